"""Whom a relay's refusal means: one person, who needs another channel then, or us, and then nobody is struck off for it."""

from __future__ import annotations

import pytest

from incidents.dispatch.channels.contract import SendErrorKind
from incidents.dispatch.channels.smtp_replies import ReplyReader, refusal


def meant_by(stage: str, words: str, *, special: bool = False) -> str:
    [reply] = ReplyReader().feed(words.encode() + b"\r\n")
    answer = refusal(stage=stage, reply=reply, special=special)
    assert "example" not in answer.detail
    return answer.error or "taken"


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("RCPT", "554 5.7.1 <host.example[192.0.2.1]>: Client host rejected: Access denied"),
        ("RCPT", "553 5.7.1 <notice@cartier.example>: Sender address rejected: not owned by user notice"),
        ("RCPT", "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname"),
        ("RCPT", "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org"),
        ("RCPT", "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"),
        ("RCPT", "550 5.7.60 SMTP; Client does not have permissions to send as this sender"),
        ("RCPT", "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP"),
        ("RCPT", "550 5.7.23 <a@b.example>: Recipient address rejected: Message rejected due to: SPF fail"),
        ("RCPT", "550 5.4.5 Daily user sending limit exceeded"),
        ("RCPT", "550 5.1.8 Access denied, bad outbound sender"),
        ("RCPT", "550 Unauthenticated senders not allowed"),
        ("DOT", "554 5.7.1 rejected as spam"),
        ("DOT", "550 5.7.26 unauthenticated (DMARC)"),
        ("DOT", "552 5.3.4 too big"),
        ("DOT", "552 Message size exceeds fixed limit"),
        ("DATA", "554 5.5.1 no"),
    ],
)
def test_a_relay_that_refuses_us_strikes_nobody_off(stage: str, words: str) -> None:
    assert meant_by(stage, words) == SendErrorKind.ACCOUNT


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        ("RCPT", "550 5.1.1 <antispam@spf.example>: Recipient address rejected: User unknown"),
        ("RCPT", "554 5.7.1 <spam@b.example>: Recipient address rejected: Access denied"),
        ("RCPT", "550 5.4.1 Recipient address rejected: Access denied"),
        ("RCPT", "550 5.7.1 RESOLVER.RST.AuthRequired; authentication required"),
        ("RCPT", "550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required"),
        ("RCPT", "550 5.7.2 Mailing list expansion prohibited"),
        ("RCPT", "554 5.7.1 Access denied"),
        ("RCPT", "550 5.7.0 rejected"),
        ("RCPT", "550 5.7.1 This mailing list only accepts mail of its members"),
        ("RCPT", "550 5.7.1 This mailbox does not take mail from outside"),
        ("RCPT", "550 5.2.1 The user's account is disabled"),
        ("RCPT", "552 5.2.2 over quota"),
        ("RCPT", "550 5.5.0 Requested action not taken: mailbox unavailable"),
        ("RCPT", "550 no such user"),
        ("RCPT", "550 no"),
        ("DOT", "552 5.2.3 Message too large for this mailbox"),
        ("DOT", "554 5.5.1 no valid recipients"),
    ],
)
def test_a_relay_that_refuses_one_person_pauses_nobody_elses_letter(stage: str, words: str) -> None:
    assert meant_by(stage, words) == SendErrorKind.REFUSED


def test_a_relay_that_cannot_do_what_one_address_needs_refuses_that_person() -> None:
    assert meant_by("MAIL", "555 5.5.4 Unsupported option: SMTPUTF8", special=True) == SendErrorKind.REFUSED
    assert meant_by("MAIL", "555 5.5.4 Unsupported option") == SendErrorKind.ACCOUNT


def test_a_relays_used_up_quota_is_told_from_a_rate_that_is_too_high() -> None:
    answers = {}
    for words in (
        "454 Throttling failure: Daily message quota exceeded",
        "454 Throttling failure: Maximum sending rate exceeded",
    ):
        [reply] = ReplyReader().feed(words.encode() + b"\r\n")
        answers[words] = refusal(stage="DOT", reply=reply)
    assert [(one.error, one.spent, one.throttled) for one in answers.values()] == [
        (SendErrorKind.NOT_SENT, True, False),
        (SendErrorKind.NOT_SENT, False, True),
    ]
