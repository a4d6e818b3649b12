"""A letter that somebody reads in the person's place greets them, says whom it is about, and is else the letter that was signed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from incidents.letters.in_their_place import address_of, read_in_their_place
from incidents.letters.language import FilledLetter
from incidents.letters.wording import SUPPORTED, in_their_place
from incidents.record import PersonFields

LETTER = FilledLetter(
    subject="Maison: a letter", text="Maison\n\nDear Claire Dubois,\n\nYour data leaked.\n",
    html="<body>\n<main>\n<header><p>Maison</p></header>\n<p>Dear <bdi>Claire Dubois</bdi>,</p>\n</main>\n</body>\n",
)  # fmt: skip
CLAIRE = PersonFields(full_name="Claire Dubois", emails=("claire@example.org",))
WITH_IDA = replace(
    CLAIRE, representative_role="guardian", representative_name="Ida Dubois", representative_email="ida@example.org"
)


@pytest.mark.parametrize("language", sorted(SUPPORTED))
@pytest.mark.parametrize("role", ["guardian", "next_of_kin", "attorney"])
def test_the_one_who_reads_is_greeted_and_told_whom_the_letter_is_about(language: str, role: str) -> None:
    letter = read_in_their_place(letter=LETTER, fields=replace(WITH_IDA, representative_role=role), language=language)
    for part in (letter.text, letter.html):
        assert part.index("Maison") < part.index("Ida Dubois") < part.index("Claire Dubois") and part.count("Claire Dubois") == 2
        assert "{" not in part
    assert letter.subject == LETTER.subject


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_each_language_has_its_own_words_for_each_role(language: str) -> None:
    words = in_their_place(language=language)
    assert set(words) == {"greeting", "about", "guardian", "next_of_kin", "attorney"} and len(set(words.values())) == 5
    assert ("{name}" in words["greeting"], "{person}" in words["about"]) == (True, True)


@pytest.mark.parametrize("missing", ["representative_role", "representative_name", "representative_email"])
def test_without_a_whole_representative_the_letter_is_the_persons_own(missing: str) -> None:
    fields = replace(WITH_IDA, **{missing: ""})
    assert read_in_their_place(letter=LETTER, fields=fields, language="en") == LETTER
    assert address_of(fields=fields) == "claire@example.org"


def test_the_letter_goes_to_the_representative() -> None:
    assert address_of(fields=WITH_IDA) == "ida@example.org" and address_of(fields=PersonFields()) == ""


@pytest.mark.parametrize("name", ["<script>x</script>", "{person}", "a & b", "\u202eadI", "[[person_name]]"])
def test_a_name_is_literal_text_whatever_it_holds(name: str) -> None:
    letter = read_in_their_place(letter=LETTER, fields=replace(WITH_IDA, representative_name=name), language="fr")
    assert "<script" not in letter.html and "\u202e" not in letter.text
    assert name.replace("\u202e", "") in letter.text


def test_a_language_of_which_no_words_are_kept_reads_the_english_lines() -> None:
    assert "This letter is about" in read_in_their_place(letter=LETTER, fields=WITH_IDA, language="zh-Hant").text
