"""Subject and sender arrive as they were approved: no space is lost, whatever the language and however long."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import default
from email.utils import parseaddr
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.letters.heads import LONGEST_LINE, LONGEST_WORD, encoded_words
from incidents.letters.mail import OutgoingMail
from incidents.letters.mime import built

LETTERS = Path(__file__).resolve().parents[2] / "templates" / "letters"
BRANDS = (
    "Cartier", "Victoria's Secret", "The North Face", "Marks & Spencer", "Hermès", "Société Générale", "L’Oréal Paris",
    "Nestlé Österreich", "삼성전자", "資生堂", "株式会社 リクルート", "Crédit Agricole Île-de-France", "A, B (and) \"C\" \\ D", "=?x?=",
)  # fmt: skip
SUBJECTS = sorted(
    {line[8:].strip() for path in LETTERS.glob("*/*.txt") if (line := path.read_text("utf-8").split("\n")[0])[:8] == "Subject:"}
)
WORDS = st.lists(st.text(st.characters(exclude_categories=("C", "Z")), min_size=1, max_size=25), min_size=1, max_size=12).map(
    " ".join
)


def sent(subject: str, name: str) -> bytes:
    mail = OutgoingMail(
        "a" * 32, "claire@example.org", "privacy@example.com", name, "dpo@example.com", "ko", subject, "x\n", "<p>x</p>\n"
    )
    raw = built(mail=mail, date="Mon, 02 Jun 2025 09:00:00 +0000")
    assert mail.build(date=datetime(2025, 6, 2, 9, tzinfo=UTC)).as_bytes()[:200] == raw[:200]
    return raw


def read(raw: bytes) -> tuple[str, str, str]:
    """Subject, name and address as a reader's program decodes them (RFC 2047)."""
    found = message_from_bytes(raw)
    name, address = parseaddr(str(found["From"]).replace("\r\n", ""))
    return (
        str(make_header(decode_header(str(found["Subject"]).replace("\r\n", "")))),
        str(make_header(decode_header(name))),
        address,
    )


def heads_of(raw: bytes) -> list[bytes]:
    return raw.split(b"\r\n\r\n")[0].split(b"\r\n")


def test_the_subjects_of_all_letters_are_looked_at() -> None:
    assert len(SUBJECTS) >= 13


@pytest.mark.parametrize("mark", ["", "[Drill] "])
@pytest.mark.parametrize("brand", BRANDS)
def test_every_letter_of_every_brand_has_its_subject_and_sender(brand: str, mark: str) -> None:
    for pattern in SUBJECTS:
        subject = mark + re.sub(r"\[\[\w+\]\]", lambda _: brand, pattern)
        raw = sent(subject, f"{brand} Client Privacy")
        assert read(raw) == (subject, f"{brand} Client Privacy", "privacy@example.com")
        assert str(message_from_bytes(raw, policy=default)["Subject"]) == subject
        assert not any(line.strip() in (b"Subject:", b"From:") for line in heads_of(raw)), "no line is empty"


@settings(deadline=None)
@given(subject=WORDS, name=WORDS)
def test_any_subject_and_any_name_arrive_whole_in_lines_of_seven_bits(subject: str, name: str) -> None:
    raw = sent(subject, name)
    assert read(raw) == (subject, name, "privacy@example.com")
    heads = heads_of(raw)
    assert b"".join(heads).isascii()
    assert all(len(line) <= LONGEST_LINE + 2 for line in heads if b"=?utf-8?" in line)


@given(text=WORDS)
def test_an_encoded_word_is_no_longer_than_may_be_and_breaks_no_sign(text: str) -> None:
    words = list(encoded_words(text=text, before=9))
    assert all(len(word) <= LONGEST_WORD for word in words) and len(words[0]) <= LONGEST_WORD - 9
    assert "".join(str(make_header(decode_header(word))) for word in words) == text
