"""Which law a place has: territories by the Treaties, parts with a law of their own, and words that are asked about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from incidents.law import places
from incidents.law.engine import assess
from incidents.law.facts import Assessment, Group, IncidentFacts
from incidents.law.pack import load_packs
from incidents.law.strict_yaml import read_yaml

TABLE = read_yaml(path=Path(places.__file__).with_name("places.yaml"))
PACKS = load_packs()
MAPPED = {**TABLE["parts"], **TABLE["of_their_own"]}


def assessed(residence: str, **facts: str) -> Assessment:
    group = Group(residence=residence, elements=frozenset({"name", "ssn"}), count=5)
    return assess(facts=IncidentFacts(**facts), groups=[group], packs=PACKS)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", MAPPED)
def test_every_line_of_the_table_says_who_says_so(code: str) -> None:
    assert set(MAPPED[code]) == {"code", "says"} and re.search(r"ISO 3166-2|TFEU|EEA Agreement", MAPPED[code]["says"])
    assert places.CODE.fullmatch(code) and places.CODE.fullmatch(MAPPED[code]["code"])


@pytest.mark.parametrize("word", [word for words in TABLE["may_mean"].values() for word in words])
def test_no_word_that_is_asked_about_is_a_place_of_its_own(word: str) -> None:
    assert places.residence_of(code=word).upper() not in PACKS.packs or word in {"AE-DIFC", "AE-ADGM"}
    assert places.may_mean(word=word) and places.may_mean(word=word.lower()) == places.may_mean(word=word.upper())


@pytest.mark.parametrize("code", [code for code in PACKS.packs if PACKS.packs[code].kind in {"us_state", "province"}])
def test_every_state_and_province_with_a_law_is_a_known_part_with_a_name(code: str) -> None:
    assert code in places.known_parts() and code in TABLE["named_parts"]


@pytest.mark.parametrize(
    ("residence", "law"),
    [("PR", "US-PR"), ("RE", "FR"), ("gp", "FR"), ("FR-974", "FR"), ("FR-RE", "FR"), ("AX", "FI"), ("fr", "FR"), (" GB ", "GB"), ("us-ca", "US-CA"),
     ("CN-HK", "HK"), ("CN-MO", "MO"), ("CN-TW", "TW"), ("CA-ON", "CA"), ("CA-QC", "CA-QC"), ("CA-AB", "CA-AB"), ("AE-DU", "AE"),
     ("AE-DIFC", "AE-DIFC"), ("no", "NO"), ("ES-CN", "ES"), ("PT-30", "PT")],
)  # fmt: skip
def test_a_residence_finds_the_law_that_applies_there(residence: str, law: str) -> None:
    found = assessed(residence)
    assert law in {duty.jurisdiction for duty in found.duties if duty.group == 0} and found.law_unknown == ()


@pytest.mark.parametrize(
    "residence",
    ["FR-NC", "NC", "FR-BL", "FR-PM", "FR-WF", "FR-PF", "FR-TF", "NL-AW", "NL-CW", "NL-SX", "NL-BQ1", "NO-21", "SJ", "AS", "US-AS", "MP", "UM",
     "CA-XX", "CA-00", "US-ZZ", "US", "UK", "England", "Georgia", "Holland", "XX", "California", "GL", "FO", "BL", ""],
)  # fmt: skip
def test_a_residence_without_a_law_that_we_hold_is_asked_and_never_given_the_next_best(residence: str) -> None:
    found = assessed(residence)
    own = [duty for duty in found.duties if duty.jurisdiction == places.residence_of(code=residence)]
    assert [(duty.owed.value, duty.addressee.value) for duty in own] == [("ask", "person")] and own[0].questions[0].text
    assert {duty.jurisdiction[:3] for duty in found.duties if duty not in own} <= {"FED"}, "federal acts bind in the states"


@pytest.mark.parametrize(
    ("residence", "says"),
    [
        ("UK", "is GB meant?"),
        ("Georgia", "is US-GA or GE meant?"),
        ("NY", "is US-NY meant?"),
        ("Québec", "is CA-QC meant?"),
        ("US", "In which US state do these people live?"),
        ("USA", "In which US state do these people live?"),
        ("FR-NC", "There is no pack for this residence. About this place: TFEU Art 355(2) and Annex II."),
        ("BL", "European Council Decision 2010/718/EU"),
        ("AS", "federal acts alone"),
        ("XX", "which place is meant?"),
    ],
)
def test_the_question_names_what_may_be_meant_or_what_is_known_of_the_place(residence: str, says: str) -> None:
    assert says in next(question.text for duty in assessed(residence).duties for question in duty.questions)


@pytest.mark.parametrize(
    ("established", "lead"),
    [("FR", "FR"), ("RE", "FR"), ("AX", "FI"), ("NC", None), ("GB", None), ("US", None), ("SJ", None), ("XX", None)],
)
def test_the_lead_authority_is_that_of_the_state_whose_territory_it_is(established: str, lead: str | None) -> None:
    assert assessed("FR", established_in=established).lead_authority == lead


@pytest.mark.parametrize("word", ["", " ", "-", "ß", "ﬁ", "\0", "x" * 100_000, "佐藤", "US-", "-CA"])
def test_no_word_is_too_odd_to_be_asked_about(word: str) -> None:
    assert (places.may_mean(word=word) == () and places.residence_of(code=word) == word.strip()) or word in {" ", ""}
