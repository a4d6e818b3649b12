"""Lanes over threads: one session each, nothing lost, nothing waited for beyond its time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

import pytest

from incidents.dispatch.channels.contract import Answer, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.threads import ThreadLanes
from tests.dispatch.providers.contract import handed_over, mail_to, prepared

K = SendErrorKind


class Played:
    """A session that does as told, and remembers."""

    def __init__(self, deed: Callable[[Sequence[Prepared]], list[Answer]], closed: list[Played]) -> None:
        self.deed, self.closed, self.threads = deed, closed, set[int]()

    def hand_over(self, *, letters: Sequence[Prepared]) -> list[Answer]:
        self.threads.add(threading.get_ident())
        return self.deed(letters)

    def close(self) -> None:
        self.closed.append(self)


class Cast:
    """Lanes and the sessions that they made."""

    def __init__(self, deed: Callable[[Sequence[Prepared]], list[Answer]], *, seconds: float = 10) -> None:
        self.made, self.closed = list[Played](), list[Played]()
        self.deed = deed
        self.lanes = ThreadLanes(make=self._make, seconds=seconds)

    def _make(self) -> Played:
        self.made.append(Played(self.deed, self.closed))
        return self.made[-1]


def taken(letters: Sequence[Prepared]) -> list[Answer]:
    return [Answer(provider_id=letter.mail.message_ref) for letter in letters]


def collected(lanes: ThreadLanes, number: int) -> dict[int, list[Answer]]:
    found: dict[int, list[Answer]] = {}
    end = time.monotonic() + 20
    while len(found) < number and time.monotonic() < end:
        for lane, answers in lanes.answers(seconds=1):
            assert lane not in found
            found[lane] = answers
    return found


def test_every_lane_has_its_own_session_and_thread_and_is_answered_once() -> None:
    cast = Cast(taken)
    for turn in range(20):
        for lane in range(4):
            cast.lanes.begin(lane=lane, letters=[prepared(mail_to(number=turn * 4 + lane))])
        found = collected(cast.lanes, 4)
        assert {lane: answers[0].provider_id for lane, answers in found.items()} == {
            lane: f"{turn * 4 + lane:032x}" for lane in range(4)
        }
    cast.lanes.close()
    assert len(cast.made) == len(cast.closed) == 4
    assert [len(session.threads) for session in cast.made] == [1] * 4


def test_lanes_work_at_the_same_time() -> None:
    together = threading.Barrier(3, timeout=10)

    def meet(letters: Sequence[Prepared]) -> list[Answer]:
        together.wait()
        return taken(letters)

    cast = Cast(meet)
    for lane in range(3):
        cast.lanes.begin(lane=lane, letters=[prepared(mail_to())])
    assert {answers[0].error for answers in collected(cast.lanes, 3).values()} == {None}
    cast.lanes.close()


def test_nobody_waits_for_lanes_that_have_nothing_to_do() -> None:
    assert Cast(taken).lanes.answers(seconds=60) == []


def test_answers_come_when_they_come_and_not_before() -> None:
    go = threading.Event()

    def wait(letters: Sequence[Prepared]) -> list[Answer]:
        go.wait(timeout=10)
        return taken(letters)

    cast = Cast(wait)
    cast.lanes.begin(lane=0, letters=[prepared(mail_to())])
    assert cast.lanes.answers(seconds=0.05) == []
    go.set()
    assert collected(cast.lanes, 1)[0][0].error is None
    cast.lanes.close()


def test_a_call_that_does_not_end_is_given_up_and_its_late_answer_is_nobodys() -> None:
    go, first = threading.Event(), threading.Event()

    def slow_once(letters: Sequence[Prepared]) -> list[Answer]:
        if not first.is_set():
            first.set()
            go.wait(timeout=20)
        return taken(letters)

    cast = Cast(slow_once, seconds=0.3)
    assert handed_over(cast.lanes, prepared(mail_to(number=1)))[0].error == K.DOUBTFUL
    cast.lanes.begin(lane=0, letters=[prepared(mail_to(number=2))])
    go.set()
    assert collected(cast.lanes, 1)[0][0].provider_id == f"{2:032x}"
    assert cast.lanes.answers(seconds=0.2) == []
    cast.lanes.close()
    assert len(cast.made) == 2


@pytest.mark.parametrize(
    ("deed", "kinds"),
    [
        (lambda letters: taken(letters)[:1], [None, K.DOUBTFUL]),
        (lambda letters: taken(letters) * 2, [None, None]),
        (lambda letters: [], [K.DOUBTFUL, K.DOUBTFUL]),
    ],
    ids=["too few", "too many", "none"],
)
def test_a_session_that_answers_too_little_or_too_much(
    deed: Callable[[Sequence[Prepared]], list[Answer]], kinds: list[SendErrorKind | None]
) -> None:
    cast = Cast(deed)
    assert [answer.error for answer in handed_over(cast.lanes, prepared(mail_to()), prepared(mail_to(number=1)))] == kinds
    cast.lanes.close()


def test_an_error_says_what_it_says_of_all_letters_and_one_that_nobody_foresaw_is_a_doubt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    problems: list[Exception] = [
        SendError(kind=K.NOT_SENT, detail="not there", retry_after=3, throttled=True), KeyError("claire@example.org")
    ]  # fmt: skip

    def fail(letters: Sequence[Prepared]) -> list[Answer]:
        raise problems.pop(0)

    cast = Cast(fail)
    first = handed_over(cast.lanes, prepared(mail_to()), prepared(mail_to(number=1)))
    assert first == [Answer(error=K.NOT_SENT, detail="not there", retry_after=3, throttled=True)] * 2
    [second] = handed_over(cast.lanes, prepared(mail_to()))
    assert (second.error, second.detail) == (K.DOUBTFUL, "unforeseen: KeyError")
    assert "claire" not in caplog.text
    cast.lanes.close()


def test_a_busy_lane_takes_no_second_letter() -> None:
    cast = Cast(taken)
    cast.lanes.begin(lane=0, letters=[prepared(mail_to())])
    with pytest.raises(AssertionError):
        cast.lanes.begin(lane=0, letters=[prepared(mail_to())])
    collected(cast.lanes, 1)
    cast.lanes.close()


def test_a_fork_starts_afresh_and_leaves_its_parents_lanes_alone() -> None:
    cast = Cast(lambda letters: [Answer(provider_id=str(os.getpid())) for _ in letters])
    assert handed_over(cast.lanes, prepared(mail_to()))[0].provider_id == str(os.getpid())
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        answer = handed_over(cast.lanes, prepared(mail_to()))[0].provider_id
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        assert stream.read() == str(child)
    os.waitpid(child, 0)
    assert handed_over(cast.lanes, prepared(mail_to()))[0].provider_id == str(os.getpid())
    cast.lanes.close()
