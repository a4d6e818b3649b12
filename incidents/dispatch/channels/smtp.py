"""A relay by SMTP (RFC 5321): several kept sessions in one loop, each with at most one letter on its way.

Pipelined where the relay offers it (RFC 2920): the next envelope rides behind the final dot. Nothing is ever handed over twice
here: a letter whose end may have left is answered as doubtful, and that is for others to settle.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import format_datetime
from math import ceil, inf
from typing import Final

from django.conf import settings

from incidents.audit.log import database_now
from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.single import taken
from incidents.dispatch.channels.smtp_connect import Connected, connect
from incidents.dispatch.channels.smtp_session import Envelope, Lost, Session, Silent, envelope_of
from incidents.letters.mail import OutgoingMail
from incidents.letters.ready import Built
from incidents.models import Incident

_MOST_THREADS: Final = 16
_CANNOT_BE_WRITTEN: Final = Answer(error=SendErrorKind.REFUSED, detail="the letter cannot be written as bytes")


@dataclass(slots=True)
class _Lane:
    """One letter at a time, over one session after another."""

    number: int
    session: Session | None = None
    waiting: Future[Connected] | None = None
    left: deque[Prepared] = field(default_factory=deque)
    letter: Prepared | None = None
    envelope: Envelope | None = None
    following: Prepared | None = None
    #: The letter whose envelope was made last as the one that follows.
    ahead: tuple[Prepared, Envelope] | None = None
    answers: list[Answer] = field(default_factory=list)
    #: The body is on its way; and whether the letter had to begin again on a new session.
    given: bool = False
    again: bool = False
    #: Monotonic seconds: after these the body is not begun any more, and its answer not waited for.
    begin_by: float = inf
    until: float = inf
    #: Whether the selector waits for room to write.
    writes: bool = False


class SmtpLanes:
    """The sessions of one worker. Touched by one thread; only connecting happens in others."""

    def __init__(self, *, at: MailAddress, number: int, seconds: float) -> None:
        self._at, self._seconds = at, seconds
        self._lanes = [_Lane(each) for each in range(number)]
        self._answered: list[tuple[int, list[Answer]]] = []
        self._at_work, self._look_at = 0, inf
        self._poll, self._by_fd = select.poll(), dict[int, _Lane]()
        self._pool = ThreadPoolExecutor(max_workers=min(number, _MOST_THREADS), thread_name_prefix="smtp")
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._poll.register(self._woken, select.POLLIN)

    def begin(self, *, lane: int, letters: Sequence[Prepared], following: Prepared | None = None) -> None:
        """Start on an idle lane. A letter has PROVIDER_TIMEOUT_SECONDS from here to its answer, half of them until its body."""
        at = self._lanes[lane]
        if at.letter is not None or at.left:
            raise RuntimeError("the lane is not idle")
        at.left.extend(letters)
        at.following, at.answers = following, []
        self._at_work += 1
        self._next(at)
        self._go_on(at)

    def answers(self, *, seconds: float) -> list[tuple[int, list[Answer]]]:
        """Wait for at least one answered lane, at most `seconds`; at once where no lane has anything on its way."""
        end = time.monotonic() + seconds
        while self._at_work and not self._answered:
            patience = max(0.0, min(end, self._look_at) - time.monotonic())
            for fd, event in self._poll.poll(ceil(patience * 1000)):
                self._happened(fd, event)
            # What has come counts before what has taken too long: this process itself may have stood still.
            now = time.monotonic()
            if now >= self._look_at:
                self._expire(now)
            if now >= end:
                break
        found, self._answered = self._answered, []
        return found

    def rest(self, *, lane: int) -> None:
        """Take back an envelope that travelled ahead. Where the relay may wait for the body, only hanging up does that."""
        at = self._lanes[lane]
        at.ahead = None
        if at.letter is None and at.session is not None and at.session.envelope is not None:
            if at.session.settled and at.session.refused:
                at.session.forget()
            else:
                self._drop(at)

    def close(self) -> None:
        """End all sessions."""
        for at in self._lanes:
            self._drop(at)
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._woken.close()
        self._waker.close()

    # One lane

    def _next(self, at: _Lane) -> None:
        """Take up the lane's next letter; with none left, its answers are complete."""
        at.letter, at.given, at.again = None, False, False
        while at.left and at.letter is None:
            letter = at.left.popleft()
            envelope = self._readable(at, letter)
            if isinstance(envelope, Answer):
                at.answers.append(envelope)
            else:
                at.letter, at.envelope = letter, envelope
        if at.letter is None:
            self._at_work -= 1
            self._answered.append((at.number, at.answers))
            return
        now = time.monotonic()
        at.begin_by, at.until = now + self._seconds / 2, now + self._seconds
        self._look_at = min(self._look_at, at.begin_by)

    def _readable(self, at: _Lane, letter: Prepared) -> Envelope | Answer:
        try:
            letter.stuffed  # noqa: B018  (made before the relay is asked for it)
        except ValueError:
            return _CANNOT_BE_WRITTEN
        return at.ahead[1] if at.ahead and at.ahead[0] is letter else envelope_of(letter=letter)

    def _go_on(self, at: _Lane) -> None:
        """Do what can be done now for the lane's letters."""
        going = True
        while going and at.letter is not None:
            try:
                going = self._step(at)
            except Lost as lost:
                self._lost(at, lost)
        if at.session is not None and at.session.unsent != at.writes:
            at.writes = at.session.unsent
            self._poll.modify(at.session.fileno(), select.POLLIN | select.POLLOUT if at.writes else select.POLLIN)

    def _step(self, at: _Lane) -> bool:
        """One step for the lane's letter; False when the relay's turn has come."""
        session = at.session
        if session is None:
            self._connect(at)
            return False
        if at.given:
            return session.outcome is not None and self._answer(at, session.outcome)
        if session.envelope is not at.envelope and session.envelope != at.envelope:
            return self._offer(at, session)
        if session.go:
            return self._give(at, session)
        if session.settled and session.refused:
            refused, signed_out = session.refused, session.signed_out
            session.forget()
            if signed_out and session.served and not at.again:
                raise Lost("the relay wants us to sign in again")
            return self._answer(at, refused)
        return False

    def _offer(self, at: _Lane, session: Session) -> bool:
        assert at.envelope is not None
        if session.envelope is not None and not (session.settled and session.refused):
            raise Lost("the envelope of another letter had travelled ahead")
        session.forget()
        impossible = at.envelope.impossible(offers=session.offers)
        if impossible:
            return self._answer(at, impossible)
        session.offer(envelope=at.envelope)
        return False

    def _give(self, at: _Lane, session: Session) -> bool:
        assert at.letter is not None
        if time.monotonic() > at.begin_by:
            at.again = True
            raise Lost("the relay was too slow to begin a letter safely")
        then = at.left[0] if at.left else at.following
        found = envelope_of(letter=then) if then and session.pipelining else None
        at.ahead = (then, found) if then and isinstance(found, Envelope) else None
        at.given = True
        self._look_at = min(self._look_at, at.until)
        session.give(body=at.letter.stuffed, following=at.ahead[1] if at.ahead else None)
        return False

    def _answer(self, at: _Lane, answer: Answer) -> bool:
        at.answers.append(answer)
        if at.session is not None:
            at.session.outcome = None
        self._next(at)
        return True

    def _lost(self, at: _Lane, lost: Lost) -> None:
        session = at.session
        self._drop(at)
        if at.letter is None:
            return
        if session is not None and at.given:
            kind = SendErrorKind.DOUBTFUL if session.in_doubt else SendErrorKind.NOT_SENT
            self._answer(at, session.outcome or Answer(error=kind, detail=lost.how, throttled=lost.throttled))
        elif session is not None and session.refused and session.envelope == at.envelope and not isinstance(lost, Silent):
            self._answer(at, session.refused)
        elif session is not None and session.served and not at.again:
            # A session kept too long for the relay's taste says nothing of this letter, of which nothing has left.
            at.again = True
        else:
            self._answer(
                at, Answer(error=SendErrorKind.NOT_SENT, detail=lost.how, throttled=lost.throttled, unreached=not lost.throttled)
            )

    def _expire(self, now: float) -> None:
        for at in self._lanes:
            if at.letter is not None and now >= (at.until if at.given else at.begin_by):
                at.again = True
                self._lost(at, Silent("the relay did not answer in time"))
                self._go_on(at)
        self._look_at = min((at.until if at.given else at.begin_by for at in self._lanes if at.letter is not None), default=inf)

    # Sessions

    def _happened(self, fd: int, event: int) -> None:
        at = self._by_fd.get(fd)
        if at is None or at.session is None:
            self._connected()
            return
        try:
            if event & select.POLLOUT:
                at.session.flush()
            if event & ~select.POLLOUT:
                at.session.hear()
        except Lost as lost:
            self._lost(at, lost)
        self._go_on(at)

    def _connect(self, at: _Lane) -> None:
        if at.waiting is None:
            at.waiting = self._pool.submit(connect, at=self._at, seconds=max(0.0, at.begin_by - time.monotonic()))
            at.waiting.add_done_callback(self._wake)

    def _wake(self, _: object) -> None:
        with suppress(OSError):
            self._waker.send(b".")

    def _connected(self) -> None:
        with suppress(BlockingIOError):
            self._woken.recv(4096)
        for at in self._lanes:
            if at.waiting is not None and at.waiting.done():
                done, at.waiting = at.waiting, None
                self._take(at, done)
                self._go_on(at)

    def _take(self, at: _Lane, done: Future[Connected]) -> None:
        try:
            connected = done.result()
        except SendError as error:
            self._answer(at, Answer(error=error.kind, detail=error.detail, throttled=error.throttled, unreached=error.unreached))
            return
        at.session, at.writes = Session(connected=connected), False
        self._by_fd[at.session.fileno()] = at
        self._poll.register(at.session.fileno(), select.POLLIN)

    def _drop(self, at: _Lane) -> None:
        waiting, session = at.waiting, at.session
        at.waiting = at.session = None
        if waiting is not None:
            waiting.add_done_callback(_hang_up)
        if session is not None:
            self._poll.unregister(session.fileno())
            del self._by_fd[session.fileno()]
            session.leave()


def _hang_up(done: Future[Connected]) -> None:
    """A session that came too late: nobody waits for it any more."""
    if not done.cancelled() and done.exception() is None:
        done.result().sock.close()


class SmtpProvider:
    """A relay. No event can come back by plain SMTP, only bounce mails."""

    name = "smtp"
    reports_delivery = False
    batch = 1

    def __init__(self, address: MailAddress) -> None:
        self._address = address
        self._single: SmtpLanes | None = None

    def lanes(self, *, incident: Incident, number: int) -> Lanes:
        """Up to `number` sessions; each connects when it is first used."""
        return SmtpLanes(at=self._address, number=number, seconds=settings.PROVIDER_TIMEOUT_SECONDS)

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Hand over a single mail over a kept session; returns the relay's words. Raises SendError; ValueError as `built`."""
        letter = Built(mail, format_datetime(database_now()), mail.sender)
        letter.stuffed  # noqa: B018  (what cannot be written is the caller's to know, before anything is asked)
        return taken(answer=self._handed_over(letter))

    def _handed_over(self, letter: Prepared) -> Answer:
        lanes = self._single or SmtpLanes(at=self._address, number=1, seconds=settings.PROVIDER_TIMEOUT_SECONDS)
        self._single = None  # whatever interrupts this, a session in the middle of a letter is not used again
        try:
            lanes.begin(lane=0, letters=[letter])
            found: list[tuple[int, list[Answer]]] = []
            while not found:
                found = lanes.answers(seconds=settings.PROVIDER_TIMEOUT_SECONDS)
        except BaseException:
            lanes.close()
            raise
        self._single = lanes
        return found[0][1][0]

    def look_up(self, *, message_ref: str) -> bool | None:
        """A relay cannot be asked."""
        return None

    def close(self) -> None:
        """End the kept session."""
        if self._single is not None:
            self._single.close()
            self._single = None
