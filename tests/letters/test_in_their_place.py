"""A letter that somebody reads in the person's place greets them, says whom it is about, and is else the letter that was signed."""

from __future__ import annotations

import html
from dataclasses import replace

import pytest

from incidents.letters.in_their_place import DRILL_MARK, address_of, read_in_their_place
from incidents.letters.language import CompiledLetter, FilledLetter
from incidents.letters.render import personal_values, standard_texts
from incidents.letters.wording import SUPPORTED, in_their_place
from incidents.record import PersonFields
from tests.letters.test_texts import typical

TEXT, PAGE = (
    "Maison\n\nDear [[reader_name]],\n\nYour data leaked. [[person_name]] is under 18.\n",
    "<body>\n<main>\n<header><p>Maison</p></header>\n<p>Dear <bdi>[[reader_name]]</bdi>,</p>\n<p>[[person_name]] is under 18.</p>\n"
    "</main>\n</body>\n",
)
LETTER = CompiledLetter("en", "Maison: your data", TEXT, PAGE, frozenset(), frozenset({"person_name", "reader_name"}))
#: As a text of before [[reader_name]] was compiled.
OLD = replace(
    LETTER, text=TEXT.replace("reader_name", "person_name"), html=PAGE.replace("reader_name", "person_name"),
    slots=frozenset({"person_name"}),
)  # fmt: skip
CLAIRE = PersonFields(full_name="Claire Dubois", emails=("claire@example.org",))
WITH_IDA = replace(
    CLAIRE, representative_role="guardian", representative_name="Ida Dubois", representative_email="ida@example.org"
)


def read(fields: PersonFields, *, letter: CompiledLetter = LETTER) -> FilledLetter:
    values = personal_values(fields=fields, language="en", message_ref="0" * 32)
    return read_in_their_place(letter=letter, values=values, fields=fields)


@pytest.mark.parametrize("language", sorted(SUPPORTED))
@pytest.mark.parametrize("role", ["guardian", "next_of_kin", "attorney"])
def test_the_one_who_reads_is_greeted_and_told_whom_the_letter_is_about(language: str, role: str) -> None:
    letter = read(replace(WITH_IDA, representative_role=role), letter=replace(LETTER, language=language))
    for part in (letter.text, letter.html):
        assert part.index("Maison") < part.index("Claire Dubois") < part.index("Ida Dubois")
        assert (part.count("Ida Dubois"), part.count("Claire Dubois")) == (1, 2) and "{" not in part
    words = in_their_place(language=language)
    assert html.unescape(letter.text).count(words["you"]) == 1 and words[role] in letter.text
    assert letter.subject == words["subject"].replace("{brand}", "Maison") and len(letter.subject) <= 70


@pytest.mark.parametrize("form, language", sorted(standard_texts()))
def test_no_standard_letter_greets_the_dead_or_a_child_where_somebody_reads_in_their_place(form: str, language: str) -> None:
    """Nor does its subject call the data the reader's own."""
    made = typical(form, language, "contact").letter
    letter = read(replace(WITH_IDA, representative_role="next_of_kin"), letter=made)
    own = read(CLAIRE, letter=made)
    for part, persons in ((letter.text, own.text), (letter.html, own.html)):
        assert (part.count("Ida Dubois"), part.count("Claire Dubois")) == (1, 1)
        assert part.index("Claire Dubois") < part.index("Ida Dubois") and persons.count("Claire Dubois") == 1
    assert letter.subject != own.subject == made.subject and f"<title>{letter.subject}</title>" in letter.html


def test_the_letter_to_the_guardian_speaks_of_the_child_by_name_and_greets_the_guardian() -> None:
    text = read(WITH_IDA).text
    assert "Dear Ida Dubois," in text and "Claire Dubois is under 18." in text and "Dear Claire" not in text


def test_whose_name_is_not_known_is_not_called_by_a_word_of_the_salutation() -> None:
    letter = read(replace(WITH_IDA, full_name=""))
    assert letter.text.startswith("Maison\n\nThis letter is about the data of one of our clients. ") and "Dear Ida" in letter.text


def test_a_drills_letter_says_so_to_whoever_reads_it_too() -> None:
    assert read(WITH_IDA, letter=replace(LETTER, subject=f"{DRILL_MARK}x")).subject.startswith("[Drill] Maison: ")


def test_a_letter_of_a_text_without_the_readers_name_stays_as_it_was_approved() -> None:
    letter = read(WITH_IDA, letter=OLD)
    assert letter.subject == OLD.subject
    assert letter.text.startswith("Maison\n\nDear Ida Dubois,\n\nThis letter is about the data of Claire Dubois. ")
    assert letter.text.endswith("Dear Claire Dubois,\n\nYour data leaked. Claire Dubois is under 18.\n")


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_each_language_has_its_own_words_for_each_role(language: str) -> None:
    words = in_their_place(language=language)
    roles = {"guardian", "next_of_kin", "attorney"}
    assert set(words) == {"subject", "greeting", "about", "about_unnamed", "you", *roles} and len(set(words.values())) == 8
    assert ("{name}" in words["greeting"], "{person}" in words["about"], "{brand}" in words["subject"]) == (True, True, True)


@pytest.mark.parametrize("missing", ["representative_role", "representative_name", "representative_email"])
def test_without_a_whole_representative_the_letter_is_the_persons_own(missing: str) -> None:
    fields = replace(WITH_IDA, **{missing: ""})
    assert read(fields) == read(CLAIRE) and read(fields).subject == LETTER.subject
    assert address_of(fields=fields) == "claire@example.org"


def test_the_letter_goes_to_the_representative() -> None:
    assert address_of(fields=WITH_IDA) == "ida@example.org" and address_of(fields=PersonFields()) == ""


@pytest.mark.parametrize("name", ["<script>x</script>", "{person}", "a & b", "\u202eadI", "[[person_name]]"])
def test_a_name_is_literal_text_whatever_it_holds(name: str) -> None:
    letter = read(replace(WITH_IDA, representative_name=name), letter=replace(LETTER, language="fr"))
    assert "<script" not in letter.html and "\u202e" not in letter.text
    assert name.replace("\u202e", "") in letter.text


def test_a_language_of_which_no_words_are_kept_reads_the_english_lines() -> None:
    assert "This letter is about" in read(WITH_IDA, letter=replace(LETTER, language="zh-Hant")).text
