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
from incidents.letters.in_their_place import DRILL_MARK, lines_above, read_in_their_place
from incidents.letters.language import CompiledLetter, fill
from incidents.letters.mail import OutgoingMail, mail_for
from incidents.letters.mime import Skeleton, built, skeleton_for, stuffed, wire_address
from incidents.letters.ready import Built, Filled
from incidents.letters.render import personal_values
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


def values_of(name: str) -> dict[str, str]:
    return {"person_name": name, "reference_code": "ABCD-1234-ABCD-1234"}


def person(name: str, letter: CompiledLetter = LETTER, *, to: str = "claire@example.org", **heads: str) -> OutgoingMail:
    """The whole mail, by the words alone."""
    filled = fill(letter=letter, values=values_of(name))
    return mail_for(letter=filled, language=letter.language, to=to, message_ref=REF, headers={**HEADS, **heads})


def skeleton(letter: CompiledLetter = LETTER, **heads: str) -> Skeleton:
    return Skeleton(letter=letter, **{**HEADS, **heads})


def filled(made: Skeleton, name: str, *, to: str = "claire@example.org", above: tuple[str, str] = ("", "")) -> Filled:
    said = made.say(to=to, message_ref=REF, values=values_of(name), above=above)
    assert said
    return Filled(skeleton=made, said=said, date=DATE, return_path=HEADS["sender"])


def is_said(made: Skeleton, *, to: str = "claire@example.org", ref: str = REF, above: tuple[str, str] = ("", "")) -> bool:
    return made.say(to=to, message_ref=ref, values=values_of("Claire"), above=above) is not None


def same(letter: Filled, mail: OutgoingMail) -> None:
    """All that a filled letter is asked for, against the mail that it stands for and what the library makes of it."""
    compare(letter.raw, mail)
    assert letter.mail == mail
    assert letter.content_sha256 == mail.content_sha256
    assert letter.stuffed == stuffed(raw=letter.raw)
    assert letter.json_parts() == (json.dumps(mail.text), json.dumps(mail.html))
    other = Built(mail, DATE, HEADS["sender"])
    assert (letter.to, letter.message_ref, letter.heads) == (other.to, other.message_ref, other.heads)
    assert letter.json_parts() == other.json_parts()


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
    "From me", "a\tb", "a  b", "a\u00a0b",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_name_arrives_as_the_library_would_send_it_and_hashes_alike(name: str) -> None:
    letter = filled(skeleton(), name)
    same(letter, person(name))
    body = letter.raw.split(b"\r\n\r\n", 1)[1]
    assert max(map(len, body.split(b"\r\n"))) <= 76


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
        mail = person(name, letter)
    except ValueError:
        return  # a name of which nothing can be seen is not filled in
    made = skeleton(letter)
    assert is_said(made) == bool(third and fourth)
    if third and fourth:
        same(filled(made, name), mail)
        assert filled(made, name).content_sha256 == sha256(canonical_json(mail.__dict__)).hexdigest()


@settings(max_examples=100, deadline=None)
@given(name=SCRIPTS, words=st.lists(WORDS, min_size=3, max_size=3), text=WORDS, page=WORDS)
def test_lines_above_any_letter_stand_where_they_are_put_or_the_library_builds_it(
    name: str, words: list[str], text: str, page: str
) -> None:
    first, second, third = words
    letter = letter_of(f"{first}[[person_name]]{second}\n", f"{third}[[person_name]]</header>\n{second}[[person_name]]{first}\n")
    fields = PersonFields(full_name=name, representative_role="guardian", representative_name="x", representative_email="m@x.org")
    try:
        fill(letter=letter, values=values_of(name))
    except ValueError:
        return
    whole = read_in_their_place(letter=letter, values=values_of(name), fields=fields)
    mail = mail_for(letter=whole, language="fr", to="m@x.org", message_ref=REF, headers=HEADS)
    made, above = skeleton(letter), lines_above(letter=letter, fields=fields)
    if is_said(made, above=above):
        same(filled(made, name, to="m@x.org", above=above), mail)


@pytest.mark.parametrize("role", ["guardian", "next_of_kin", "attorney"])
@pytest.mark.parametrize("name", ["Marie Dupont", "佐藤 花子", "=.<&>", "e\u0301"])
def test_a_letter_read_in_somebodys_place_is_filled_too(role: str, name: str) -> None:
    values = {"person_name": "Léa", "reference_code": "ABCD-1234-ABCD-1234"}
    fields = PersonFields(
        full_name="Léa", emails=(), representative_role=role, representative_name=name, representative_email="m@example.org"
    )
    whole = read_in_their_place(letter=LETTER, values=values, fields=fields)
    mail = mail_for(letter=whole, language="fr", to="m@example.org", message_ref=REF, headers=HEADS)
    assert mail.text != fill(letter=LETTER, values=values).text
    same(filled(skeleton(), "Léa", to="m@example.org", above=lines_above(letter=LETTER, fields=fields)), mail)


@pytest.mark.parametrize("role", ["", "next_of_kin"])
@pytest.mark.parametrize("drill", ["", DRILL_MARK])
def test_a_letter_that_greets_its_reader_goes_out_under_the_subject_that_the_reader_is_meant_to_see(
    role: str, drill: str
) -> None:
    page = f"<title>Cartier : vos données</title>{PAGE}<p>[[person_name]]</p>\n"
    letter = replace(
        letter_of(TEXT.replace("person_name", "reader_name"), page.replace("Bonjour <bdi>[[person_name]]", "Bonjour <bdi>[[reader_name]]")),
        subject=f"{drill}Cartier : vos données", slots=frozenset({"person_name", "reader_name", "reference_code"}),
    )  # fmt: skip
    fields = PersonFields(
        full_name="Léa", representative_role=role, representative_name="Ida & Jo", representative_email="m@x.org"
    )
    values = personal_values(fields=fields, language="fr", message_ref=REF)
    whole = read_in_their_place(letter=letter, values=values, fields=fields)
    body = canonical_json(letter.to_json()).decode()
    made = skeleton_for(letter_sha256=sha256(body.encode()).hexdigest(), body=body, headers=HEADS, elsewhere=bool(role))
    said = made.say(to="m@x.org", message_ref=REF, values=values, above=lines_above(letter=letter, fields=fields))
    assert said
    same(Filled(skeleton=made, said=said, date=DATE, return_path=HEADS["sender"]),
         mail_for(letter=whole, language="fr", to="m@x.org", message_ref=REF, headers=HEADS))  # fmt: skip
    about_somebody = f"{drill}Cartier\u00a0: incident concernant les données d’une autre personne"
    assert whole.subject == (about_somebody if role else letter.subject)


# No value gets out of its place


@pytest.mark.parametrize(
    "name",
    ["a\r\nBcc: x@example.org", "a\n\n--=_boundary\nContent-Type: text/html", "a\r\n.\r\nMAIL FROM:<x>", "\u2028.", "a\x00b"],
)
def test_a_name_cannot_make_a_head_a_part_or_an_end(name: str) -> None:
    letter = filled(skeleton(), name)
    same(letter, person(name))
    assert b"\r\n.\r\n" not in letter.stuffed[:-5]
    assert parsed(letter.raw)["Bcc"] is None


def test_a_name_that_knows_the_boundary_is_only_a_name() -> None:
    made = skeleton()
    found = re.search(rb'boundary="([^"]+)"', filled(made, "x").raw)
    assert found
    name = f"--{found[1].decode()}--"
    same(filled(made, name), person(name))


def test_a_letter_that_holds_the_words_of_a_place_is_not_mistaken_for_it() -> None:
    first = skeleton()
    marks = re.findall(rb"Mark\d+x[0-9a-f]{32}", b"".join(first._wire.pieces))  # type: ignore[union-attr]
    assert marks
    letter = letter_of(TEXT + marks[0].decode() + "\n")
    same(filled(skeleton(letter), "Claire"), person("Claire", letter))


@pytest.mark.parametrize("date", ["", "now", "Sun, 22 Nov 2026 09:00:00 +0000\r\nBcc: x@example.org", "x" * 30 + "\n"])
def test_what_is_no_date_head_is_not_written(date: str) -> None:
    made = skeleton()
    said = made.say(to="claire@example.org", message_ref=REF, values=values_of("Claire"))
    assert said
    for write in (made.raw, made.stuffed):
        with pytest.raises(ValueError):
            write(said=said, date=date)


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
    assert not is_said(skeleton(), to=to)
    letter = Built(person("Claire", to=to), DATE, HEADS["sender"])
    try:
        raw = letter.raw
    except ValueError:
        return
    assert set(parsed(raw).keys()) == set(parsed(filled(skeleton(), "Claire").raw).keys())


# Where the library builds it


@pytest.mark.parametrize(
    "to",
    ['"claire d"@example.org', "claire@[192.0.2.1]", "=?utf-8?q?x?=@example.org", "x@" + "a" * 60 + ".exämple", ".a@example.org"],
)
def test_an_unusual_address_is_left_to_the_library(to: str) -> None:
    assert not is_said(skeleton(), to=to)


@pytest.mark.parametrize("ref", ["", REF[:-1], REF + "0", REF.upper().replace("0", "A"), "\n" + REF[1:], REF[:-1] + "\n"])
def test_a_message_whose_name_is_none_of_ours_is_left_to_the_library(ref: str) -> None:
    assert not is_said(skeleton(), ref=ref)


@pytest.mark.parametrize("text, page", [("x [[person_name]]", "y\n"), ("x\n", "y [[person_name]]"), ("a\r\nb\n", "y\n")])
def test_a_letter_whose_ends_depend_on_a_value_is_left_to_the_library(text: str, page: str) -> None:
    assert not is_said(skeleton(letter_of(text, page)))


@pytest.mark.parametrize("text, page", [("[[person_name]]\n\nx\n", "y\n"), ("x\n\ny\n", "<p>[[person_name]]</p></header>\ny\n")])
def test_lines_above_whose_place_stands_behind_a_value_are_left_to_the_library(text: str, page: str) -> None:
    made = skeleton(letter_of(text, page))
    assert is_said(made) and not is_said(made, above=("a\n\n", "<p>a</p>\n"))
    assert not is_said(skeleton(), above=("a\r\n\n", "<p>a</p>\n"))


@pytest.mark.parametrize("name", ["", " ", "\u200b", "\r"])
def test_a_letter_without_a_value_is_not_filled(name: str) -> None:
    with pytest.raises(ValueError, match="person_name"):
        filled(skeleton(), name)


def test_a_domain_outside_ascii_is_written_in_ascii() -> None:
    assert not is_said(skeleton(), to="claire@münchen.example")
    raw = Built(person("Claire", to="claire@münchen.example"), DATE, "").raw
    assert raw.isascii()
    assert str(parsed(raw)["To"]) == "claire@xn--mnchen-3ya.example"
    assert wire_address(address="a@\u2028.example") == "a@\u2028.example"


def test_a_long_sender_domain_and_a_long_subject_are_filled_all_the_same() -> None:
    sender = "notice@" + "notifications." * 8 + "cartier.example"
    letter = letter_of(subject="Ce qui s’est passé " * 12 + "[ref]")
    mail = person("Claire", letter, sender=sender)
    made = skeleton(letter, sender=sender)
    if is_said(made):
        same(filled(made, "Claire"), mail)
    assert str(parsed(built(mail=mail, date=DATE))["Message-ID"]) == mail.message_id


def test_without_a_reply_address_there_is_no_such_head() -> None:
    letter = filled(skeleton(reply_to=""), "Claire")
    same(letter, person("Claire", reply_to=""))
    assert parsed(letter.raw)["Reply-To"] is None


def test_an_accent_right_behind_a_place_melts_with_the_value_and_nothing_else() -> None:
    for name in ("e", "o\u0338", "Q", "佐"):
        letter = letter_of(
            "x [[person_name]]\u0301 [[reference_code]]\u0338\n", "<p>[[person_name]]\u0301[[reference_code]]\u0338</p>\n"
        )
        same(filled(skeleton(letter), name), person(name, letter))


def test_a_letter_without_places_or_ends_is_filled() -> None:
    for text, page in (("x", "y"), ("\n", "\n\n"), ("no end", "</header>\n."), ("a\n\n.", "b\n")):
        letter = letter_of(text, page)
        same(filled(skeleton(letter), "Claire"), person("Claire", letter))


@pytest.mark.parametrize("name", [".", "..", ". .", "x" * 75 + ".", ("x" * 74 + ".") * 3, "é" * 24 + ".é"])
def test_dots_at_the_beginning_of_lines_are_doubled_wherever_they_come_from(name: str) -> None:
    letter = letter_of(".\n\n.[[person_name]].\n.[[reference_code]]\n.\n", "<p>\n.[[person_name]]\n.\n..</p>\n.")
    made = filled(skeleton(letter), name)
    same(made, person(name, letter))
    assert made.stuffed.count(b"\r\n.\r\n") == 1 and made.stuffed.endswith(b"\r\n.\r\n")


def test_a_skeleton_is_made_once_for_a_letter_and_its_heads() -> None:
    body = canonical_json(LETTER.to_json()).decode()
    digest = sha256(body.encode()).hexdigest()
    one = skeleton_for(letter_sha256=digest, body=body, headers=HEADS)
    assert skeleton_for(letter_sha256=digest, body=body, headers=dict(HEADS)) is one
    assert skeleton_for(letter_sha256=digest, body=body, headers={**HEADS, "sender_name": "Other"}) is not one
    changed = json.dumps({**LETTER.to_json(), "text": "other"})
    assert skeleton_for(letter_sha256=digest, body=changed, headers=HEADS) is not one
    assert is_said(one)
