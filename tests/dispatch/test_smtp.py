"""Letters by SMTP: what each answer of a relay means, and that nothing it says confuses one letter with another."""

from __future__ import annotations

import email
from email.message import EmailMessage
from email.policy import default

import pytest

from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.channels.smtp import SmtpLanes
from tests.dispatch.relays import Act, Relay, Step, handed_over, lanes_to, letter_to, letters

K = SendErrorKind
OFFERS = pytest.mark.parametrize("offers", [("PIPELINING",), ()], ids=["pipelined", "step by step"])


def kinds(answers: list[Answer]) -> list[str]:
    return [answer.error or "taken" for answer in answers]


def told(relay: Relay) -> list[str]:
    return [taken.rcpt.decode() for taken in relay.taken]


def test_each_letter_is_told_to_its_own_person_over_one_kept_session() -> None:
    wanted = letters(30)
    with Relay() as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, wanted)
        assert [answer.provider_id for answer in answers] == [f"2.0.0 Ok: queued as {each}" for each in range(1, 31)]
        assert told(relay) == [f"<person{each}@example.org>" for each in range(30)]
        assert [taken.mail_from.decode() for taken in relay.taken] == [f"<{letter.return_path}>" for letter in wanted]
        assert relay.sessions == 1
    assert relay.heard[-1] == b"QUIT"


@OFFERS
@pytest.mark.parametrize("number", [1, 3, 10])
def test_every_lane_has_a_session_of_its_own_and_none_loses_count(offers: tuple[str, ...], number: int) -> None:
    with Relay(offers=offers) as relay, lanes_to(relay, number=number) as lanes:
        assert kinds(handed_over(lanes, letters(60), number=number)) == ["taken"] * 60
        assert sorted(told(relay)) == sorted(f"<person{each}@example.org>" for each in range(60))
        assert relay.sessions == number


@OFFERS
def test_what_arrives_is_the_letter_to_the_last_dot(offers: tuple[str, ...]) -> None:
    text = ".\n..\n.leading\nmiddle.\n\n.\n"
    with Relay(offers=offers) as relay, lanes_to(relay) as lanes:
        letter = letter_to("claire@example.org", text=text)
        handed_over(lanes, [letter])
        plain = relay.taken[0].body.replace(b"\r\n..", b"\r\n.")
        assert plain == letter.raw
        found = email.message_from_bytes(plain, policy=default)
        assert isinstance(found, EmailMessage)
        part = found.get_body(("plain",))
        assert part
        assert part.get_content().splitlines() == text.splitlines()


def test_the_next_envelope_rides_behind_the_final_dot_and_its_body_does_not() -> None:
    first, second = letters(2)
    with Relay() as relay, lanes_to(relay) as lanes:
        lanes.begin(lane=0, letters=[first], following=second)
        assert kinds(lanes.answers(seconds=5)[0][1]) == ["taken"]
        lanes.answers(seconds=0.05)
        assert [line.split(b":")[0] for line in relay.heard] == [relay.heard[0], *[b"MAIL FROM", b"RCPT TO", b"DATA"] * 2]
        assert len(relay.taken) == 1
        lanes.begin(lane=0, letters=[second])
        assert kinds(lanes.answers(seconds=5)[0][1]) == ["taken"]


def test_an_envelope_that_travelled_ahead_can_be_taken_back() -> None:
    first, second, third = letters(3)
    with Relay() as relay, lanes_to(relay) as lanes:
        lanes.begin(lane=0, letters=[first], following=second)
        lanes.answers(seconds=5)
        lanes.rest(lane=0)
        lanes.begin(lane=0, letters=[third])
        assert kinds(lanes.answers(seconds=5)[0][1]) == ["taken"]
        assert told(relay) == ["<person0@example.org>", "<person2@example.org>"]


def test_another_letter_than_the_one_announced_takes_its_place_safely() -> None:
    first, second, third = letters(3)
    with Relay() as relay, lanes_to(relay) as lanes:
        lanes.begin(lane=0, letters=[first], following=second)
        lanes.answers(seconds=5)
        lanes.begin(lane=0, letters=[third])
        assert kinds(lanes.answers(seconds=5)[0][1]) == ["taken"]
        assert told(relay) == ["<person0@example.org>", "<person2@example.org>"]


def test_several_letters_in_one_go_are_answered_together_in_their_order() -> None:
    with Relay(steps={"RCPT": [b"250 Ok", b"550 5.1.1 no such user"]}) as relay, lanes_to(relay) as lanes:
        lanes.begin(lane=0, letters=letters(5))
        [(lane, answers)] = lanes.answers(seconds=5)
        assert (lane, kinds(answers)) == (0, ["taken", K.REFUSED, "taken", "taken", "taken"])
        assert told(relay) == [f"<person{each}@example.org>" for each in (0, 2, 3, 4)]


def test_lanes_with_nothing_on_its_way_do_not_wait() -> None:
    with Relay() as relay, lanes_to(relay) as lanes:
        assert lanes.answers(seconds=3600) == []


def test_a_lane_that_is_not_idle_takes_no_second_letter() -> None:
    first, second = letters(2)
    with Relay(steps={"greeting": [Act.SILENCE]}) as relay, lanes_to(relay) as lanes:
        lanes.begin(lane=0, letters=[first])
        with pytest.raises(RuntimeError):
            lanes.begin(lane=0, letters=[second])


# What an answer means


@OFFERS
@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize(
    ("stage", "words", "kind"),
    [
        ("MAIL", b"451 4.3.0 later", K.NOT_SENT),
        ("MAIL", b"550 5.7.1 who are you", K.ACCOUNT),
        ("MAIL", b"553 5.7.1 sender not owned by user", K.ACCOUNT),
        ("RCPT", b"450 4.2.1 mailbox busy", K.NOT_SENT),
        ("RCPT", b"550 5.1.1 no such user", K.REFUSED),
        ("RCPT", b"550-5.1.1 no such\r\n550 5.1.1 user", K.REFUSED),
        ("RCPT", b"554 5.7.1 <x@example.org>: Relay access denied", K.ACCOUNT),
        ("RCPT", b"550 5.7.1 Unable to relay", K.ACCOUNT),
        ("DATA", b"451 4.3.0 later", K.NOT_SENT),
        ("DATA", b"554 5.5.1 no", K.ACCOUNT),
        ("DOT", b"451 4.7.1 greylisted", K.NOT_SENT),
        ("DOT", b"552 5.3.4 too big", K.ACCOUNT),
        ("DOT", b"554 5.7.1 spam", K.ACCOUNT),
        ("DOT", b"554 Message rejected: Email address is not verified.", K.ACCOUNT),
        ("DOT", b"421 4.3.2 shutting down", K.NOT_SENT),
        # Neither a yes nor a no: perhaps taken.
        ("DOT", b"251 hm", K.DOUBTFUL),
        ("DOT", b"354 go on", K.DOUBTFUL),
        ("DOT", b"nonsense", K.DOUBTFUL),
        ("DOT", b"250-one\r\n251 two", K.DOUBTFUL),
    ],
)
def test_what_an_answer_means_wherever_in_the_pipeline_and_the_others_go_through(
    offers: tuple[str, ...], stage: str, words: bytes, kind: SendErrorKind, at: int
) -> None:
    good = {"MAIL": b"250 Ok", "RCPT": b"250 Ok", "DATA": b"354 go on", "DOT": b"250 Ok"}[stage]
    with Relay(offers=offers, steps={stage: [good] * at + [words]}) as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, letters(4))
        expected = ["taken"] * 4
        expected[at] = kind
        assert kinds(answers) == expected
        told_of = [f"<person{each}@example.org>" for each in range(4) if each != at or words.startswith(b"25")]
        assert [rcpt for rcpt in told(relay) if rcpt != f"<person{at}@example.org>"] == [
            rcpt for rcpt in told_of if rcpt != f"<person{at}@example.org>"
        ]
        assert "example.org" not in answers[at].detail


@OFFERS
def test_refusal_after_refusal_leaves_the_session_in_step(offers: tuple[str, ...]) -> None:
    refusals: list[Step] = [b"550 5.1.1 no"] * 20
    with Relay(offers=offers, steps={"RCPT": refusals}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(25))) == [K.REFUSED] * 20 + ["taken"] * 5
        assert relay.sessions == 1
        assert told(relay) == [f"<person{each}@example.org>" for each in range(20, 25)]


def test_a_relay_that_opens_data_for_nobody_gets_an_empty_letter_that_reaches_nobody() -> None:
    steps: dict[str, list[Step]] = {"RCPT": [b"550 5.1.1 no"], "DATA": [b"354 go on"], "DOT": [b"554 5.5.1 no valid recipients"]}
    with Relay(steps=steps) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(3))) == [K.REFUSED, "taken", "taken"]
        assert told(relay) == ["<person1@example.org>", "<person2@example.org>"]
        assert relay.sessions == 1


def test_a_relay_that_refuses_the_sender_and_takes_the_recipient_gets_not_even_an_empty_letter() -> None:
    steps: dict[str, list[Step]] = {"MAIL": [b"550 5.7.1 no"], "RCPT": [b"250 Ok"], "DATA": [b"354 go on"]}
    with Relay(steps=steps) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(2))) == [K.ACCOUNT, "taken"]
        assert told(relay) == ["<person1@example.org>"]


def test_an_answer_is_kept_without_addresses_and_short() -> None:
    said = "250 2.0.0 Ok <claire@example.org> caf\u00e9 ".encode() + b"x" * 500
    with Relay(steps={"DOT": [said]}) as relay, lanes_to(relay) as lanes:
        [answer] = handed_over(lanes, [letter_to("claire@example.org")])
        assert answer.provider_id.startswith("2.0.0 Ok <(address)> caf??")
        assert len(answer.provider_id) == 120


def test_too_fast_is_heard_as_such() -> None:
    steps: list[Step] = [b"450 4.7.1 greylisted", b"452 4.5.3 too many connections", b"451 4.7.28 rate limited"]
    with Relay(steps={"RCPT": steps}) as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, letters(4))
        assert [answer.throttled for answer in answers] == [False, True, True, False]
        assert [answer.greylisted for answer in answers] == [True, False, False, False]


def test_too_many_recipients_is_no_word_about_our_pace() -> None:
    with Relay(steps={"RCPT": [b"452 4.5.3 Error: too many recipients"]}) as relay, lanes_to(relay) as lanes:
        [answer, _] = handed_over(lanes, letters(2))
        assert (answer.error, answer.throttled, answer.greylisted) == (K.NOT_SENT, False, False)


@OFFERS
def test_a_session_whose_sign_in_has_expired_is_begun_anew_and_no_letter_is_lost_or_doubled(offers: tuple[str, ...]) -> None:
    steps: dict[str, list[Step]] = {"MAIL": [b"250 Ok", b"250 Ok", b"530 5.7.0 Authentication required"]}
    with Relay(offers=offers, steps=steps) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(5))) == ["taken"] * 5
        assert sorted(told(relay)) == [f"<person{each}@example.org>" for each in range(5)] and relay.sessions == 2


@OFFERS
def test_a_relay_that_knows_us_no_more_on_a_new_session_refuses_our_account(offers: tuple[str, ...]) -> None:
    no: list[Step] = [b"530 5.7.0 Authentication required"] * 3
    with Relay(offers=offers, steps={"MAIL": [b"250 Ok", *no]}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(2))) == ["taken", K.ACCOUNT] and relay.sessions == 2
    with Relay(offers=offers, steps={"MAIL": no}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(1))) == [K.ACCOUNT] and relay.sessions == 1


# In what pieces answers come


@OFFERS
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_answers_may_come_in_any_pieces(offers: tuple[str, ...], together: bool, pieces: int) -> None:
    steps: dict[str, list[Step]] = {
        "MAIL": [b"250-first\r\n250-\r\n250 last"], "RCPT": [b"250", b"550-5.1.1 no\r\n550 5.1.1 such user"],
        "DOT": [b"250-2.0.0 one\r\n250 2.0.0 two"],
    }  # fmt: skip
    with Relay(offers=offers, steps=steps, together=together, pieces=pieces) as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, letters(4))
        assert kinds(answers) == ["taken", K.REFUSED, "taken", "taken"]
        assert answers[0].provider_id == "2.0.0 one 2.0.0 two"
        assert answers[1].detail == "the relay refused the recipient (550 5.1.1)"


GARBAGE = [
    b"hello", b"2", b"99 no", b"150 wait", b"600 more", b"250_ok", b"\x00\xff\xfe", b"", b"250-one\r\n550 two", b"250 " + b"x" * 70_000,
    b"250-" + b"\r\n250-".join([b"x" * 100] * 700) + b"\r\n250 end",
]  # fmt: skip


@OFFERS
@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
@pytest.mark.parametrize(
    ("stage", "kind"), [("greeting", K.NOT_SENT), ("EHLO", K.NOT_SENT), ("MAIL", K.NOT_SENT), ("RCPT", K.NOT_SENT),
                        ("DATA", K.NOT_SENT), ("DOT", K.DOUBTFUL)],
)  # fmt: skip
def test_garbage_is_believed_nowhere(offers: tuple[str, ...], stage: str, kind: SendErrorKind, garbage: bytes) -> None:
    with Relay(offers=offers, steps={stage: [garbage]}) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, letters(2), ahead=False)) == [kind, "taken"]
        assert told(relay)[-1] == "<person1@example.org>"


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
def test_an_answer_too_many_never_counts_for_the_next_letter(stage: str) -> None:
    good = {"MAIL": b"250 Ok", "RCPT": b"250 Ok", "DATA": b"354 go on", "DOT": b"250 2.0.0 Ok"}[stage]
    steps: dict[str, list[Step]] = {stage: [good + b"\r\n250 2.0.0 Ok: once more"], "DOT": [b"554 5.7.1 no"] * 9}
    if stage == "DOT":
        steps = {"DOT": [good + b"\r\n250 2.0.0 Ok: once more", *[b"554 5.7.1 no"] * 9]}
    with Relay(steps=steps) as relay, lanes_to(relay) as lanes:
        answers = kinds(handed_over(lanes, letters(3)))
    assert answers.count("taken") == len(relay.taken) == (1 if stage == "DOT" else 0)


# Addresses


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ('"claire d"@example.org', b'<"claire d"@example.org>'),
        ('"a>b\\"c"@example.org', b'<"a>b\\"c"@example.org>'),
        ("o'neil+tag=1@example.org", b"<o'neil+tag=1@example.org>"),
        ("claire@m\u00fcnchen.example", b"<claire@xn--mnchen-3ya.example>"),
        ("claire@stra\u00dfe.example", b"<claire@xn--strae-oqa.example>"),
        ("claire@[192.0.2.1]", b"<claire@[192.0.2.1]>"),
    ],
)
def test_addresses_travel_as_they_are_and_domains_in_ascii(address: str, path: bytes) -> None:
    with Relay() as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, [letter_to(address)])) == ["taken"]
        assert relay.taken[0].rcpt == path
        assert relay.taken[0].body.isascii()


def test_an_address_that_needs_smtputf8_goes_only_where_it_is_offered() -> None:
    wanted = [letter_to("jos\u00e9@example.org"), *letters(1)]
    with Relay() as relay, lanes_to(relay) as lanes:
        answers = handed_over(lanes, wanted)
        assert kinds(answers) == [K.REFUSED, "taken"]
        assert "SMTPUTF8" in answers[0].detail
        assert relay.sessions == 1
    with Relay(offers=("PIPELINING", "8BITMIME", "SMTPUTF8")) as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, wanted)) == ["taken", "taken"]
        assert relay.taken[0].rcpt == "<jos\u00e9@example.org>".encode()
        assert relay.taken[0].mail_from.endswith(b"> BODY=8BITMIME SMTPUTF8")
        assert not relay.taken[1].mail_from.endswith(b"SMTPUTF8")
        assert "To: jos\u00e9@example.org".encode() in relay.taken[0].body


INJECTIONS = [
    "a@example.org>\r\nRCPT TO:<b@example.org", "a@example.org\r\nDATA", "a@example.org\nRSET", "a@example.org\rRSET", "a b@example.org",
    "a@example.org>", "<a@example.org", "a@b@example.org", "a@example.org, b@example.org", '"a\r\nb"@example.org', "a@example.org\x00",
    "a", "@example.org", "", "a@", '"a"b"@example.org', "a@example.org SIZE=1", "\u2028@example.org", "a@ex\u2028ample.org",
    "a@" + "x" * 250 + ".org", "a\u0085b@example.org", "a@[192.0.2.1]>x",
]  # fmt: skip


@OFFERS
@pytest.mark.parametrize("address", INJECTIONS)
def test_nothing_but_an_address_gets_into_an_envelope(offers: tuple[str, ...], address: str) -> None:
    with Relay(offers=(*offers, "SMTPUTF8", "8BITMIME")) as relay, lanes_to(relay) as lanes:
        wanted = [*letters(1), letter_to(address), *letters(2)[1:]]
        assert kinds(handed_over(lanes, wanted)) == ["taken", K.REFUSED, "taken"]
        assert told(relay) == ["<person0@example.org>", "<person1@example.org>"]
        lines = {line.split(b":")[0].split(b" ")[0] for line in relay.heard}
        assert lines <= {b"EHLO", b"MAIL", b"RCPT", b"DATA"}


@pytest.mark.parametrize("path", [address for address in INJECTIONS if address])
def test_a_return_path_that_is_no_address_is_our_own_fault(path: str) -> None:
    with Relay() as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, [letter_to("claire@example.org", return_path=path)])) == [K.ACCOUNT]
        assert relay.taken == []


def test_the_empty_return_path_is_allowed() -> None:
    with Relay() as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, [letter_to("claire@example.org", return_path="")])) == ["taken"]
        assert relay.taken[0].mail_from == b"<>"


def test_a_letter_that_cannot_be_written_is_refused_before_the_relay_hears_of_it() -> None:
    bad = letter_to("claire@example.org", text="\ud800")
    with Relay() as relay, lanes_to(relay) as lanes:
        assert kinds(handed_over(lanes, [bad, *letters(1)])) == [K.REFUSED, "taken"]
        assert [line for line in relay.heard if line.startswith(b"RCPT")] == [b"RCPT TO:<person0@example.org>"]


def test_closed_lanes_hold_nothing_open() -> None:
    with Relay() as relay:
        lanes: SmtpLanes = relay.lanes(3)
        handed_over(lanes, letters(3), number=3)
        lanes.close()
        assert relay.heard.count(b"QUIT") in {0, 1, 2, 3}
