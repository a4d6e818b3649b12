"""A letter filled by substitution says, byte for byte decoded, what the standard library would have said; and has the same hash."""

from __future__ import annotations

import email
import json
import re
from dataclasses import replace
from email.message import EmailMessage
from email.policy import default
from email.utils import parsedate_to_datetime
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.audit.bundle_format import canonical_json
from incidents.letters.in_their_place import read_in_their_place
from incidents.letters.language import CompiledLetter, fill
from incidents.letters.mail import OutgoingMail, mail_for
from incidents.letters.mime import NO_SKELETON, Skeleton, built, skeleton_for, slots_for, wire_address
from incidents.record import PersonFields

DATE = "Sun, 22 Nov 2026 09:00:00 +0000"
HEADS = {"sender": "notice@cartier.example", "sender_name": "Cartier, Maison “C”", "reply_to": "dpo@cartier.example"}
REF = "0123456789abcdef" * 2
TEXT = "Cartier\n\n[[person_name]],\n\nVoici ce qui s’est passé.\n.\n. .\nRéférence : [[reference_code]]\n"
PAGE = (
    '<!doctype html>\n<header><p style="x">Cartier</p></header>\n<p>Bonjour <bdi>[[person_name]]</bdi>,</p>\n'
    "<p>Voici ce qui s’est passé.</p>\n<p><bdi>[[reference_code]]</bdi></p>\n"
)


def letter_of(text: str = TEXT, page: str = PAGE, *, subject: str = "Vos données — ce qui s’est passé") -> CompiledLetter:
    slots = frozenset(re.findall(r"\[\[(person_name|reference_code)\]\]", text + page))
    return CompiledLetter("fr", subject, text, page, frozenset(), slots)


LETTER = letter_of()


def person(name: str, letter: CompiledLetter = LETTER, *, to: str = "claire@example.org") -> tuple[OutgoingMail, dict[str, str]]:
    values = {"person_name": name, "reference_code": "ABCD-1234-ABCD-1234"}
    filled = fill(letter=letter, values=values)
    mail = mail_for(letter=filled, language=letter.language, to=to, message_ref=REF, headers=HEADS)
    return mail, dict(slots_for(values=values))


def skeleton(letter: CompiledLetter = LETTER, **heads: str) -> Skeleton:
    return Skeleton(letter=letter, **{**HEADS, **heads})


def substituted(raw: bytes) -> bool:
    """Whether this was filled, not built: the library's own boundaries look otherwise."""
    return b'boundary="=_' in raw


def parsed(raw: bytes) -> EmailMessage:
    found = email.message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    assert not found.defects
    return found


def compare(raw: bytes, mail: OutgoingMail) -> None:
    """What was made, against what the library makes of the same mail."""
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r") == raw.count(b"\r\n")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    ours, theirs = parsed(raw), parsed(mail.build(date=parsedate_to_datetime(DATE)).as_bytes())
    assert [name for name, _ in ours.items()] == [name for name, _ in theirs.items()]
    for name in set(ours.keys()) - {"Content-Type"}:
        assert [str(head) for head in ours.get_all(name, [])] == [str(head) for head in theirs.get_all(name, [])]
    assert len(list(ours.walk())) == len(list(theirs.walk())) == 3
    for part, other in zip(ours.iter_parts(), theirs.iter_parts(), strict=True):
        assert part.items() == other.items()
        assert not part.defects
        assert part.get_content() == other.get_content()
    text = ours.get_body(("plain",))
    assert text
    assert text.get_content().replace("\r\n", "\n").rstrip("\n") == mail.text.rstrip("\n")


NAMES = [
    "Claire Dupont", "Éléonore d’Æsir", "佐藤 由紀", "بن علي", "משה", "Ελένη", "Николай", "ณัฐ", "தமிழ்", "\u1112\u1161\u11ab", "한글", "नमस्ते",
    "=C3=A9", "a=b=", ".", ". .", "...", "--=_x", "--", "=", "=?utf-8?q?x?=", "<b>&\"'", "\\", "x" * 1000, "é" * 1000, "x" * 73, "x" * 74,
    "x" * 75, "x" * 76, "x" * 77, "a\u0338", "e\u0301", "\u0301", "A\u030a", "\u212b", "\u0344", "\u0958", "👩‍👩‍👧 Ana", "\u00ad", "[[person_name]]", "Mark0x",
    "From me", "a\tb", "a  b", "\u00a0",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_name_arrives_as_the_library_would_send_it_and_hashes_alike(name: str) -> None:
    mail, slots = person(name if name.strip() else "x")
    made = skeleton()
    raw = made.fill(mail=mail, slots=slots, date=DATE)
    assert substituted(raw)
    compare(raw, mail)
    body = raw.split(b"\r\n\r\n", 1)[1]
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert made.content_sha256(mail=mail, slots=slots) == mail.content_sha256


SCRIPTS = st.one_of(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
    st.text("aZé àß=.-_<>&\"'\\/ \t,;:?@\u0300\u0301\u0323\u0327\u0338\u00c5\u212b\u0958", min_size=1, max_size=90),
    st.text(st.characters(min_codepoint=0x0900, max_codepoint=0x0DFF, categories=["L", "M"]), min_size=1, max_size=30),
    st.text(st.characters(min_codepoint=0x1100, max_codepoint=0x11FF), min_size=1, max_size=12),
    st.text(st.characters(min_codepoint=0xAC00, max_codepoint=0xD7A3), min_size=1, max_size=12),
    st.text(st.characters(min_codepoint=0x0590, max_codepoint=0x07FF), min_size=1, max_size=30),
    st.text("\u1112\u1161\u11ab\uac00\u0301\u093c\u09be\u09c7e", min_size=1, max_size=8),
)
#: The words around the places: anything that a letter may hold, and what could melt with a value.
WORDS = st.text('ab é=.<>&"\\\n\u0301\u0338\u09c7\u09be\u1112\u1161\u11ab\uac00様', max_size=90)


@settings(max_examples=200, deadline=None)
@given(name=SCRIPTS, words=st.lists(WORDS, min_size=4, max_size=4))
def test_any_name_in_any_letter_is_equal_part_by_part_and_hashes_alike(name: str, words: list[str]) -> None:
    first, second, third, fourth = words
    text = f"{first}[[person_name]]{second}[[reference_code]][[person_name]]{third}"
    page = f"{third}</header>\n{second}[[person_name]]{first}[[reference_code]]{fourth}"
    letter = letter_of(text, page)
    try:
        mail, slots = person(name, letter)
    except ValueError:
        return  # a name of which nothing can be seen is not filled in
    made = skeleton(letter)
    raw = made.fill(mail=mail, slots=slots, date=DATE)
    assert substituted(raw) == bool(third and fourth)
    compare(raw, mail)
    assert made.content_sha256(mail=mail, slots=slots) == mail.content_sha256
    assert made.content_sha256(mail=mail, slots=slots) == sha256(canonical_json(mail.__dict__)).hexdigest()


@settings(max_examples=200, deadline=None)
@given(
    name=SCRIPTS, place=st.sampled_from(["text", "html", "subject", "sender_name", "language", "message_ref", "to", "reply_to"])
)
def test_a_mail_that_is_not_this_letter_is_written_and_hashed_as_what_it_is(name: str, place: str) -> None:
    mail, slots = person("Claire Dupont")
    other = replace(mail, **{place: name})
    made = skeleton()
    assert made.content_sha256(mail=other, slots=slots) == other.content_sha256
    try:
        raw = made.fill(mail=other, slots=slots, date=DATE)
    except ValueError:
        return  # no head can hold it
    if place in {"text", "html"}:
        assert not substituted(raw)
        part = parsed(raw).get_body(("plain" if place == "text" else "html",))
        assert part
        assert part.get_content().split() == name.split()


@pytest.mark.parametrize("name", ["Claire", "佐藤"])
@pytest.mark.parametrize("field", ["text", "html"])
def test_one_changed_letter_anywhere_changes_the_hash_and_the_bytes(name: str, field: str) -> None:
    mail, slots = person(name)
    made = skeleton()
    for at in range(0, len(getattr(mail, field)), 7):
        whole = getattr(mail, field)
        other = replace(mail, **{field: whole[:at] + "¿" + whole[at + 1 :]})
        assert made.content_sha256(mail=other, slots=slots) == other.content_sha256 != mail.content_sha256
    longer = replace(mail, **{field: getattr(mail, field) + "more\n"})
    assert made.content_sha256(mail=longer, slots=slots) == longer.content_sha256
    assert b"more" in made.fill(mail=longer, slots=slots, date=DATE)


@pytest.mark.parametrize("role", ["guardian", "next_of_kin", "attorney"])
@pytest.mark.parametrize("name", ["Marie Dupont", "佐藤 花子", "=.<&>", "e\u0301"])
def test_a_letter_read_in_somebodys_place_is_filled_too(role: str, name: str) -> None:
    values = {"person_name": "Léa", "reference_code": "ABCD-1234-ABCD-1234"}
    fields = PersonFields(
        full_name="Léa", emails=(), representative_role=role, representative_name=name, representative_email="m@example.org"
    )
    filled = read_in_their_place(letter=fill(letter=LETTER, values=values), fields=fields, language="fr")
    mail = mail_for(letter=filled, language="fr", to="m@example.org", message_ref=REF, headers=HEADS)
    slots, made = slots_for(values=values), skeleton()
    assert mail.text != fill(letter=LETTER, values=values).text
    raw = made.fill(mail=mail, slots=slots, date=DATE)
    assert substituted(raw)
    compare(raw, mail)
    assert made.content_sha256(mail=mail, slots=slots) == mail.content_sha256


# No value gets out of its place


@pytest.mark.parametrize(
    "name",
    ["a\r\nBcc: x@example.org", "a\n\n--=_boundary\nContent-Type: text/html", "a\r\n.\r\nMAIL FROM:<x>", "\u2028.", "a\x00b"],
)
def test_a_name_cannot_make_a_head_a_part_or_an_end(name: str) -> None:
    mail, slots = person(name)
    made = skeleton()
    raw = made.fill(mail=mail, slots=slots, date=DATE)
    compare(raw, mail)
    assert b"\r\n.\r\n" not in raw.replace(b"\r\n..", b"")
    # Not cleaned by the letter's own rules either: then it is no value of this letter.
    unclean = replace(mail, text=LETTER.text.replace("[[person_name]]", name))
    assert parsed(made.fill(mail=unclean, slots={**slots, "person_name": name}, date=DATE))["Bcc"] is None


def test_a_name_that_knows_the_boundary_is_only_a_name() -> None:
    made = skeleton()
    mail, slots = person("x")
    found = re.search(rb'boundary="([^"]+)"', made.fill(mail=mail, slots=slots, date=DATE))
    assert found
    mail, slots = person(f"--{found[1].decode()}--")
    raw = made.fill(mail=mail, slots=slots, date=DATE)
    assert substituted(raw)
    compare(raw, mail)


def test_a_letter_that_holds_the_words_of_a_place_is_not_mistaken_for_it() -> None:
    first = skeleton()
    marks = re.findall(rb"Mark\d+x[0-9a-f]{32}", b"".join(first._wire.pieces))  # type: ignore[union-attr]
    assert marks
    letter = letter_of(TEXT + marks[0].decode() + "\n")
    mail, slots = person("Claire", letter)
    raw = skeleton(letter).fill(mail=mail, slots=slots, date=DATE)
    compare(raw, mail)


@pytest.mark.parametrize("date", ["", "now", "Sun, 22 Nov 2026 09:00:00 +0000\r\nBcc: x@example.org", "x" * 30 + "\n"])
def test_what_is_no_date_head_is_not_written(date: str) -> None:
    mail, slots = person("Claire")
    with pytest.raises(ValueError):
        skeleton().fill(mail=mail, slots=slots, date=date)


@pytest.mark.parametrize(
    "to",
    [
        "a@example.org\r\nBcc: b@example.org",
        "a@example.org\nX: y",
        "",
        "a@",
        "@",
        "<a@example.org",
        "a@b@c",
        "\ud800@example.org",
    ],
)
def test_an_address_that_is_none_makes_no_second_head(to: str) -> None:
    mail, slots = person("Claire", to=to)
    try:
        raw = skeleton().fill(mail=mail, slots=slots, date=DATE)
    except ValueError:
        return
    assert set(parsed(raw).keys()) == set(
        parsed(skeleton().fill(mail=replace(mail, to="a@example.org"), slots=slots, date=DATE)).keys()
    )


# Where the library builds it


@pytest.mark.parametrize(
    "to", ['"claire d"@example.org', "claire@[192.0.2.1]", "=?utf-8?q?x?=@example.org", "x@" + "a" * 60 + ".example"]
)
def test_an_unusual_address_is_written_as_the_library_does(to: str) -> None:
    mail, slots = person("Claire", to=to)
    assert parsed(skeleton().fill(mail=mail, slots=slots, date=DATE))["To"] == parsed(built(mail=mail, date=DATE))["To"]
    assert skeleton().content_sha256(mail=mail, slots=slots) == mail.content_sha256


def test_a_domain_outside_ascii_is_written_in_ascii() -> None:
    mail, slots = person("Claire", to="claire@münchen.example")
    raw = skeleton().fill(mail=mail, slots=slots, date=DATE)
    assert raw.isascii()
    assert str(parsed(raw)["To"]) == "claire@xn--mnchen-3ya.example"
    assert wire_address(address="a@\u2028.example") == "a@\u2028.example"


def test_a_long_sender_domain_and_a_long_subject_are_filled_all_the_same() -> None:
    sender = "notice@" + "notifications." * 8 + "cartier.example"
    letter = letter_of(subject="Ce qui s’est passé " * 12 + "[ref]")
    mail, slots = person("Claire", letter)
    mail = replace(mail, sender=sender)
    raw = skeleton(letter, sender=sender).fill(mail=mail, slots=slots, date=DATE)
    compare(raw, mail)
    assert str(parsed(raw)["Message-ID"]) == mail.message_id


def test_without_a_reply_address_there_is_no_such_head() -> None:
    mail, slots = person("Claire")
    raw = skeleton(reply_to="").fill(mail=replace(mail, reply_to=""), slots=slots, date=DATE)
    assert substituted(raw)
    assert parsed(raw)["Reply-To"] is None


def test_an_accent_right_behind_a_place_melts_with_the_value_and_nothing_else() -> None:
    for name in ("e", "o\u0338", "Q", "佐"):
        letter = letter_of(
            "x [[person_name]]\u0301 [[reference_code]]\u0338\n", "<p>[[person_name]]\u0301[[reference_code]]\u0338</p>\n"
        )
        mail, slots = person(name, letter)
        made = skeleton(letter)
        assert made.content_sha256(mail=mail, slots=slots) == mail.content_sha256
        compare(made.fill(mail=mail, slots=slots, date=DATE), mail)


def test_a_letter_without_places_or_ends_is_filled() -> None:
    for text, page in (("", ""), ("x", "y"), ("\n", "\n\n"), ("no end", "</header>\n"), ("a\n\n", "b\n")):
        letter = letter_of(text, page)
        mail, slots = person("Claire", letter)
        raw = skeleton(letter).fill(mail=mail, slots=slots, date=DATE)
        compare(raw, mail)
        assert skeleton(letter).content_sha256(mail=mail, slots=slots) == mail.content_sha256


def test_a_single_mail_needs_no_skeleton() -> None:
    mail, _ = person("Claire")
    compare(NO_SKELETON.fill(mail=mail, slots={}, date=DATE), mail)
    assert NO_SKELETON.content_sha256(mail=mail, slots={}) == mail.content_sha256


def test_a_skeleton_is_made_once_for_a_letter_and_its_heads() -> None:
    body = canonical_json(LETTER.to_json()).decode()
    digest = sha256(body.encode()).hexdigest()
    one = skeleton_for(letter_sha256=digest, body=body, headers=HEADS)
    assert skeleton_for(letter_sha256=digest, body=body, headers=dict(HEADS)) is one
    assert skeleton_for(letter_sha256=digest, body=body, headers={**HEADS, "sender_name": "Other"}) is not one
    changed = json.dumps({**LETTER.to_json(), "text": "other"})
    assert skeleton_for(letter_sha256=digest, body=changed, headers=HEADS) is not one
    mail, slots = person("Claire")
    assert substituted(one.fill(mail=mail, slots=slots, date=DATE))
