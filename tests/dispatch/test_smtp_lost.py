"""A relay that hangs up, resets or falls silent: certain where nothing can have been taken, doubtful where it may have been."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from incidents.dispatch.channels.contract import Answer, SendErrorKind
from tests.dispatch.relays import Act, Relay, Step, handed_over, lanes_to, large_letter_to, letters
from tests.dispatch.test_smtp import OFFERS, kinds, told

K = SendErrorKind


@OFFERS
@pytest.mark.parametrize("act", [Act.HANG_UP, Act.RESET])
@pytest.mark.parametrize(
    ("stage", "kind"),
    [("greeting", K.NOT_SENT), ("EHLO", K.NOT_SENT), ("MAIL", K.NOT_SENT), ("RCPT", K.NOT_SENT), ("DATA", K.NOT_SENT),
     ("DOT", K.DOUBTFUL)],
)  # fmt: skip
def test_a_lost_session_is_doubtful_only_after_the_dot(
    offers: tuple[str, ...], stage: str, kind: SendErrorKind, act: Act
) -> None:
    with Relay(offers=offers, steps={stage: [act]}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(3))) == [kind, "taken", "taken"]
        assert told(relay)[-2:] == ["<person1@example.org>", "<person2@example.org>"]


@OFFERS
@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("step", [Act.HANG_UP, Act.RESET, b"421 4.4.2 idle too long", (b"421 4.7.0 enough", Act.HANG_UP)])
def test_a_kept_session_that_ends_between_two_letters_costs_neither(offers: tuple[str, ...], stage: str, step: Step) -> None:
    good = b"354 go on" if stage == "DATA" else b"250 Ok"
    with Relay(offers=offers, steps={stage: [good, step]}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(3))) == ["taken"] * 3
        assert told(relay) == [f"<person{each}@example.org>" for each in range(3)]
        assert relay.sessions == 2


def test_a_relay_that_never_keeps_a_session_is_not_asked_for_ever() -> None:
    with Relay(steps={"MAIL": [b"250 Ok", *[b"421 4.7.0 no"] * 2]}) as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, letters(2))
        assert kinds(answers) == ["taken", K.NOT_SENT]
        assert answers[1].throttled
        assert relay.sessions == 3 - 1


@OFFERS
@pytest.mark.parametrize(
    ("stage", "kind"),
    [("greeting", K.NOT_SENT), ("EHLO", K.NOT_SENT), ("MAIL", K.NOT_SENT), ("RCPT", K.NOT_SENT), ("DATA", K.NOT_SENT),
     ("DOT", K.DOUBTFUL)],
)  # fmt: skip
def test_a_relay_that_falls_silent_is_waited_for_so_long_and_no_longer(
    offers: tuple[str, ...], stage: str, kind: SendErrorKind
) -> None:
    with Relay(offers=offers, steps={stage: [Act.SILENCE]}) as relay, lanes_to(relay, seconds=0.6) as lanes:
        assert kinds(handed_over(lanes, letters(2))) == [kind, "taken"]
        assert relay.sessions == 2


def test_words_that_drip_for_ever_are_not_waited_for_either() -> None:
    with Relay(steps={"DOT": [(b"250-2.0.0 wait", Act.SILENCE)]}) as relay, lanes_to(relay, seconds=0.6) as lanes:
        assert kinds(handed_over(lanes, letters(1))) == [K.DOUBTFUL]


def test_a_relay_too_slow_before_the_body_is_not_given_it() -> None:
    with Relay(steps={"DATA": [(b"", Act.SILENCE)]}) as relay, lanes_to(relay, seconds=0.6) as lanes:
        assert kinds(handed_over(lanes, letters(1))) == [K.NOT_SENT]
        assert relay.taken == []


def test_an_answer_that_came_while_the_worker_stood_still_counts() -> None:
    with Relay() as relay, lanes_to(relay, seconds=0.4) as lanes:
        handed_over(lanes, letters(1))
        first, second = letters(3)[1:]
        lanes.begin(lane=0, letters=[first], following=second)
        assert kinds(lanes.answers(seconds=5)[0][1]) == ["taken"]
        lanes.answers(seconds=0)
        time.sleep(0.1)
        lanes.begin(lane=0, letters=[second])
        found = lanes.answers(seconds=0)
        time.sleep(0.6)  # longer than any answer is waited for
        [(_, answers)] = found or lanes.answers(seconds=5)
        assert kinds(answers) == ["taken"]


@pytest.mark.parametrize("act", [Act.HANG_UP, Act.RESET])
@pytest.mark.parametrize("after", [0, 1, 1000, 1_000_000])
def test_a_body_cut_short_before_its_end_could_leave_is_certainly_not_sent(act: Act, after: int) -> None:
    letter = large_letter_to("claire@example.org")
    with Relay(in_the_body=[(after, act)]) as relay, lanes_to(relay, seconds=20) as lanes:
        assert kinds(handed_over(lanes, [letter, *letters(1)])) == [K.NOT_SENT, "taken"]
        assert told(relay) == ["<person0@example.org>"]


@pytest.mark.parametrize(("act", "kind"), [(Act.DEAF, K.NOT_SENT), (Act.SILENCE, K.DOUBTFUL)])
def test_when_time_is_up_it_counts_whether_the_end_of_the_body_could_leave(act: Act, kind: SendErrorKind) -> None:
    letter = large_letter_to("claire@example.org")
    with Relay(steps={"DATA": [(b"354 go on", act)]}) as relay, lanes_to(relay, seconds=2) as lanes:
        assert kinds(handed_over(lanes, [letter, *letters(1)])) == [kind, "taken"]
        assert told(relay) == ["<person0@example.org>"]


def test_a_large_letter_goes_through_whole() -> None:
    letter = large_letter_to("claire@example.org")
    with Relay() as relay, lanes_to(relay, seconds=30) as lanes:
        assert kinds(handed_over(lanes, [letter, *letters(2)])) == ["taken"] * 3
        assert relay.taken[0].body.replace(b"\r\n..", b"\r\n.") == letter.raw


@pytest.mark.parametrize("act", [Act.HANG_UP, Act.RESET])
@pytest.mark.parametrize("after", [1, 500])
@pytest.mark.parametrize("ahead", [True, False])
def test_a_small_body_that_left_whole_is_doubtful_wherever_the_relay_stopped_reading(act: Act, after: int, ahead: bool) -> None:
    with Relay(in_the_body=[(after, act)]) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(2), ahead=ahead)) == [K.DOUBTFUL, "taken"]
        assert told(relay) == ["<person1@example.org>"]


@pytest.mark.parametrize(
    ("words", "kinds_of_it"),
    [
        (b"552 5.3.4 too big", {K.ACCOUNT}),
        (b"451 4.3.0 disk full", {K.NOT_SENT}),
        (b"421 4.3.2 shutting down", {K.NOT_SENT}),
        # A yes to what it has not yet read is none.
        (b"250 2.0.0 Ok: queued as early", {K.NOT_SENT}),
        (b"nonsense", {K.NOT_SENT}),
    ],
)
def test_what_is_said_in_the_middle_of_a_body_is_never_a_yes(words: bytes, kinds_of_it: set[SendErrorKind]) -> None:
    letter = large_letter_to("claire@example.org")
    with Relay(in_the_body=[(1000, (words, Act.DEAF))]) as relay, lanes_to(relay, seconds=20) as lanes:
        assert set(kinds(handed_over(lanes, [letter]))) == kinds_of_it
        assert relay.taken == []


def test_where_nobody_listens_nothing_is_sent() -> None:
    with Relay() as relay:
        gone = relay.lanes(2)
    answers = handed_over(gone, letters(4), number=2)
    gone.close()
    assert kinds(answers) == [K.NOT_SENT] * 4
    assert {answer.detail for answer in answers} == {"no connection to the relay: ConnectionRefusedError"}


# Anything at all

STEPS: list[Step] = [
    b"250 Ok", b"250-a\r\n250 b", b"354 go on", b"421 4.3.2 closing", b"450 4.2.1 busy", b"451 4.3.0 later", b"503 5.5.1 sequence",
    b"550 5.1.1 no", b"554 5.7.1 no", b"garbage", b"", b"250 Ok\r\n250 Ok", Act.HANG_UP, Act.RESET, (b"250 Ok", Act.HANG_UP),
    (b"250 Ok", Act.RESET), (b"250 O", Act.HANG_UP), (b"354 go on", Act.RESET), (b"550 5.1.1 no", Act.HANG_UP), b"220 hm", b"550-5.1.1 a\r\n550 b",
]  # fmt: skip
#: What a relay says of a letter; one that takes a letter and calls it refused would be beyond all help.
STEPS_OF_THE_LETTER = [step for step in STEPS if not (isinstance(step, bytes) and step.startswith((b"250 Ok\r\n", b"354")))]


@st.composite
def misbehaviour(draw: st.DrawFn) -> dict[str, list[Step]]:
    found: dict[str, list[Step]] = {}
    for stage, good in {
        "MAIL": b"250 Ok",
        "RCPT": b"250 Ok",
        "DATA": b"354 go on",
        "DOT": b"250 2.0.0 Ok",
        "RSET": b"250 Ok",
    }.items():
        steps = STEPS_OF_THE_LETTER if stage == "DOT" else STEPS
        found[stage] = draw(st.lists(st.one_of(st.just(good), st.just(good), st.just(good), st.sampled_from(steps)), max_size=12))
    return found


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    steps=misbehaviour(), pipelining=st.booleans(), together=st.booleans(), ahead=st.booleans(), number=st.integers(1, 3),
    pieces=st.sampled_from([0, 0, 1, 3]), wanted=st.integers(1, 12),
    cut=st.lists(st.tuples(st.integers(0, 800), st.sampled_from([Act.HANG_UP, Act.RESET])), max_size=2),
)  # fmt: skip
def test_whatever_a_relay_does_no_letter_is_lost_doubled_or_believed_without_reason(
    steps: dict[str, list[Step]], pipelining: bool, together: bool, ahead: bool, number: int, pieces: int, wanted: int,
    cut: list[tuple[int, Step]],
) -> None:  # fmt: skip
    offers = ("PIPELINING",) if pipelining else ()
    people = letters(wanted)
    relay = Relay(offers=offers, steps=steps, pieces=pieces, together=together, in_the_body=cut)
    with relay, lanes_to(relay, number=number, seconds=0.5) as lanes:
        answers = handed_over(lanes, people, number=number, ahead=ahead)
    for letter, answer in zip(people, answers, strict=True):
        compare(relay, letter.mail.to, answer)


def compare(relay: Relay, to: str, answer: Answer) -> None:
    """What was believed of one letter, against what the relay did with it."""
    has = [taken for taken in relay.taken if taken.rcpt == f"<{to}>".encode()]
    assert len(has) <= 1, "handed over twice"
    if answer.error is None:
        assert has, "believed without having been taken"
    elif answer.error != K.DOUBTFUL:
        assert not has, "taken, and called certainly not sent"
