"""The letter as an e-mail: fixed heads, both parts, and one hash over everything that was approved."""

from __future__ import annotations

import email
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP, default

import pytest

from incidents.letters.language import FilledLetter
from incidents.letters.mail import OutgoingMail, mail_for

DATE = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MAIL = OutgoingMail(
    message_ref="ab" * 16, to="claire@example.org", sender="notice@cartier.example", sender_name="Cartier, Maison “C”",
    reply_to="dpo@cartier.example", language="ja", subject="お客様の情報について " * 8,
    text="佐藤 由紀 様\n" + "長い行" * 200 + "\n.\nFrom the start\n", html="<p>佐藤 由紀 様</p>",
)  # fmt: skip


def through_the_wire(mail: OutgoingMail) -> EmailMessage:
    raw = mail.build(date=DATE).as_bytes(policy=SMTP)
    assert raw.isascii()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    found = email.message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def test_the_heads_are_as_fixed() -> None:
    found = through_the_wire(MAIL)
    assert found["From"].addresses[0].addr_spec == "notice@cartier.example"
    assert found["From"].addresses[0].display_name == "Cartier, Maison “C”"
    assert str(found["To"]) == "claire@example.org"
    assert str(found["Reply-To"]) == "dpo@cartier.example"
    assert str(found["Subject"]) == MAIL.subject.strip() or str(found["Subject"]) == MAIL.subject
    assert found["Date"].datetime == DATE
    assert str(found["Message-ID"]) == f"<{'ab' * 16}@cartier.example>"
    assert (str(found["Content-Language"]), str(found["Auto-Submitted"])) == ("ja", "auto-generated")
    for name in ("Bcc", "Cc", "Sender", "X-Mailer", "List-Unsubscribe"):
        assert found[name] is None


def test_both_parts_arrive_letter_for_letter() -> None:
    found = through_the_wire(MAIL)
    parts = [part.get_content_type() for part in found.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    text, html = found.get_body(("plain",)), found.get_body(("html",))
    assert text
    assert html
    assert text.get_content().splitlines() == MAIL.text.splitlines()
    assert html.get_content().strip() == MAIL.html


def test_without_a_reply_address_there_is_no_such_head() -> None:
    assert replace(MAIL, reply_to="").build(date=DATE)["Reply-To"] is None


@pytest.mark.parametrize("field", ["to", "sender_name", "reply_to", "subject", "language"])
def test_a_line_break_in_a_head_is_never_written(field: str) -> None:
    with pytest.raises(ValueError):
        replace(MAIL, **{field: "a@example.org\r\nBcc: b@example.org"}).build(date=DATE).as_bytes(policy=SMTP)


@pytest.mark.parametrize("field", list(OutgoingMail.__dataclass_fields__))
def test_the_hash_is_over_every_field(field: str) -> None:
    assert replace(MAIL, **{field: "other"}).content_sha256 != MAIL.content_sha256


def test_the_hash_does_not_depend_on_when_it_is_sent_or_how_letters_are_composed() -> None:
    again = replace(MAIL)
    again.build(date=DATE)
    assert again.content_sha256 == MAIL.content_sha256
    assert replace(MAIL, subject="e\u0301").content_sha256 == replace(MAIL, subject="\u00e9").content_sha256


def test_the_mail_of_a_letter_goes_under_the_campaigns_heads() -> None:
    heads = {"sender": "notice@cartier.example", "sender_name": "Cartier", "reply_to": "dpo@cartier.example"}
    mail = mail_for(
        letter=FilledLetter(subject="s", text="t", html="<p>h</p>"), language="en", to="carl@example.com",
        message_ref="cd" * 16, headers=heads,
    )  # fmt: skip
    assert mail == OutgoingMail(
        "cd" * 16, "carl@example.com", "notice@cartier.example", "Cartier", "dpo@cartier.example", "en", "s", "t", "<p>h</p>"
    )
