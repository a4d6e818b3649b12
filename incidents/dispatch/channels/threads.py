"""Lanes for providers that can only be waited for: one thread and one session a lane. No thread touches the database."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from incidents.dispatch.channels.contract import Answer, Prepared, SendError, SendErrorKind

logger = logging.getLogger(__name__)
#: How long `close` waits for sessions to say goodbye.
GOODBYE_SECONDS = 2.0


class Session(Protocol):
    """One connection to a provider, used by one thread. It opens when first used."""

    def hand_over(self, *, letters: Sequence[Prepared]) -> list[Answer]:
        """Hand letters over and wait; one answer a letter, in order. May raise SendError, which is all letters' answer."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class _Worker:
    """A thread with its session. It ends when it is told None; one that is given up ends with its call."""

    def __init__(self, *, lane: int, make: Callable[[], Session], done: SimpleQueue[tuple[_Worker, list[Answer]]]) -> None:
        self.lane, self._make, self._done = lane, make, done
        self._todo: SimpleQueue[Sequence[Prepared] | None] = SimpleQueue()
        # A daemon: a call that never ends must not keep a worker process from ending.
        self.thread = threading.Thread(target=self._run, name=f"lane-{lane}", daemon=True)
        self.thread.start()

    def tell(self, letters: Sequence[Prepared] | None) -> None:
        """Work for the thread, or its end."""
        self._todo.put(letters)

    def _run(self) -> None:
        session = self._make()
        while (letters := self._todo.get()) is not None:
            self._done.put((self, _answers_of(session, letters)))
        with suppress(OSError):
            session.close()


def _answers_of(session: Session, letters: Sequence[Prepared]) -> list[Answer]:
    try:
        found = session.hand_over(letters=letters)
    except SendError as error:
        return [answer_of(error)] * len(letters)
    except Exception as error:
        # Whatever this was, it may have come after the letters left. Its text may hold personal data, so it is not logged.
        logger.error("a hand-over failed in a way that nobody foresaw: %s", type(error).__name__)
        return [Answer(error=SendErrorKind.DOUBTFUL, detail=f"unforeseen: {type(error).__name__}")] * len(letters)
    missing = len(letters) - len(found)
    return found[: len(letters)] + [Answer(error=SendErrorKind.DOUBTFUL, detail="no answer for this letter")] * missing


def answer_of(error: SendError) -> Answer:
    """The answer that an error carries."""
    return Answer(
        error=error.kind, detail=error.detail, retry_after=error.retry_after, throttled=error.throttled,
        unreached=error.unreached, spent=error.spent,
    )  # fmt: skip


@dataclass
class _Underway:
    worker: _Worker
    letters: int
    ends: float


class ThreadLanes:
    """Lanes over blocking sessions. Made in one process and used in a fork of it, they start afresh there."""

    def __init__(self, *, make: Callable[[], Session], seconds: float) -> None:
        """`seconds`: after that long without an answer a hand-over is in doubt, whatever its thread still waits for."""
        self._make, self._seconds = make, seconds
        self._afresh()

    def _afresh(self) -> None:
        self._pid = os.getpid()
        self._done: SimpleQueue[tuple[_Worker, list[Answer]]] = SimpleQueue()
        self._workers: dict[int, _Worker] = {}
        self._underway: dict[int, _Underway] = {}

    def begin(self, *, lane: int, letters: Sequence[Prepared], following: Prepared | None = None) -> None:
        """Give the letters to the lane's thread; what follows cannot travel ahead."""
        if self._pid != os.getpid():
            self._afresh()  # threads do not live on in a fork, and their connections belong to the parent
        assert lane not in self._underway, "this lane is not idle"
        if lane not in self._workers:
            self._workers[lane] = _Worker(lane=lane, make=self._make, done=self._done)
        self._underway[lane] = _Underway(self._workers[lane], len(letters), time.monotonic() + self._seconds)
        self._workers[lane].tell(letters)

    def answers(self, *, seconds: float) -> list[tuple[int, list[Answer]]]:
        """What is answered, or given up, within `seconds`."""
        if not self._underway:
            return []
        until = min([time.monotonic() + seconds, *(busy.ends for busy in self._underway.values())])
        found = self._fetched(until=until)
        return found or self._given_up()

    def _fetched(self, *, until: float) -> list[tuple[int, list[Answer]]]:
        found: list[tuple[int, list[Answer]]] = []
        while True:
            try:
                wait = 0.0 if found else max(0.0, until - time.monotonic())
                worker, answers = self._done.get(timeout=wait) if wait else self._done.get_nowait()
            except Empty:
                return found
            busy = self._underway.get(worker.lane)
            if busy is not None and busy.worker is worker:  # else it was given up before it answered
                del self._underway[worker.lane]
                found.append((worker.lane, answers))

    def _given_up(self) -> list[tuple[int, list[Answer]]]:
        """A server that drips its answer outlives every socket's timeout; the lane goes on with a new thread."""
        now, detail = time.monotonic(), f"no whole answer within {self._seconds:g} s"
        late = [(lane, busy.letters) for lane, busy in self._underway.items() if busy.ends <= now]
        for lane, _ in late:
            self._underway.pop(lane).worker.tell(None)
            self._workers.pop(lane, None)
        return [(lane, [Answer(error=SendErrorKind.DOUBTFUL, detail=detail, unreached=True)] * letters) for lane, letters in late]

    def rest(self, *, lane: int) -> None:
        """Nothing travels ahead."""

    def close(self) -> None:
        """Tell every thread to end its session, and wait a little for those that are idle."""
        workers = list(self._workers.values()) if self._pid == os.getpid() else []
        idle = [worker for worker in workers if worker.lane not in self._underway]
        for worker in workers:
            worker.tell(None)
        end = time.monotonic() + GOODBYE_SECONDS
        for worker in idle:
            worker.thread.join(timeout=max(0.0, end - time.monotonic()))
        self._afresh()
