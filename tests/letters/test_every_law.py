"""Every law pack's letter: whatever the law asks for can be stated, every bar is kept, and a missing fact is named."""

from __future__ import annotations

import itertools

import pytest

from incidents.law.pack import load_packs
from incidents.letters.content import BARS, FORM_ITEMS, STATEMENTS
from incidents.letters.syntax import US_PLACES
from tests.letters.situations import (
    BARE,
    ELEMENT_SETS,
    RECORDED,
    Law,
    blocks,
    every_law,
    form_of,
    languages_of,
    made,
    situation_of,
)

LAWS = list(every_law())
#: One law for each different list of items: what a language cannot say, it cannot say for all of them.
DIFFERENT = list({(form_of(law), str(law.version.value["required"]), law.residence[:2] == "US"): law for law in LAWS}.values())


def test_every_us_jurisdiction_has_a_pack_and_a_letter_fact() -> None:
    packs = {pack.id for pack in load_packs() if pack.kind == "us_state"}
    assert packs == {f"US-{place.upper()}" for place in US_PLACES} and len(packs) == 54


def test_every_item_of_the_vocabulary_is_a_statement_a_form_item_or_a_bar() -> None:
    words = load_packs().vocabulary.content_items
    assert {*words["us"], *words["world"]} <= {*STATEMENTS, *FORM_ITEMS, *BARS}


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_an_english_letter_states_all_that_the_law_asks_and_breaks_no_bar(law: Law) -> None:
    for name, elements in ELEMENT_SETS.items():
        letter, found = made(situation_of(law, elements), form=form_of(law), language="en")
        assert not blocks(found), (name, blocks(found), letter.text)


@pytest.mark.parametrize(("law", "cause"), list(itertools.product(DIFFERENT, ["error", "loss", "insider"])), ids=str)
def test_so_it_does_whatever_the_cause(law: Law, cause: str) -> None:
    situation = situation_of(law, ELEMENT_SETS["severe"], facts={**BARE, **RECORDED, "cause": cause})
    letter, found = made(situation, form=form_of(law), language="en")
    assert not blocks(found), (blocks(found), letter.text)


@pytest.mark.parametrize("law", DIFFERENT, ids=str)
def test_every_language_of_the_form_can_say_it(law: Law) -> None:
    for language, name in itertools.product(languages_of(form_of(law)), ("contact", "password", "severe")):
        letter, found = made(situation_of(law, ELEMENT_SETS[name]), form=form_of(law), language=language)
        assert not blocks(found), (language, name, blocks(found), letter.text)


@pytest.mark.parametrize("law", LAWS, ids=str)
def test_what_nobody_recorded_blocks_with_the_fact_and_the_place_to_record_it(law: Law) -> None:
    _, found = made(situation_of(law, ELEMENT_SETS["severe"], facts=BARE, late=True), form=form_of(law), language="en")
    for finding in (finding for finding in found if finding.level == "block"):
        assert finding.code in {"content.missing", "content.police_delay"}, finding
        assert "under Facts" in finding.message or "on its page under Law" in finding.message, finding


@pytest.mark.parametrize("language", languages_of("notice"))
@pytest.mark.parametrize("item", sorted({*STATEMENTS} - {"prescribed_headings"}))
def test_any_statement_can_be_made_to_americans_and_to_others(item: str, language: str) -> None:
    """Beyond today's packs: an item that a law starts to ask for can be stated at once."""
    american = next(law for law in LAWS if law.pack.id == "US-RI")
    other = next(law for law in LAWS if law.pack.id == "NZ")
    only = {"state_agency_info_contact": "US-NY", "legal_rights_and_how_to_use_them": "KR", "regulator_complaint_right": "NZ"}
    law = next(law for law in LAWS if law.pack.id == only[item]) if item in only else american if item in AMERICAN else other
    situation = situation_of(law, ELEMENT_SETS["severe"], required=(item,), conditional=frozenset({item}))
    letter, found = made(situation, form="notice", language=language)
    assert ("content.missing", item) not in blocks(found), letter.text


AMERICAN = {
    "credit_bureau_contacts", "ftc_contact", "state_ag_contact", "security_freeze_info", "freeze_free_of_charge",
    "fraud_alert_info", "police_report_right", "report_identity_theft_advice", "vigilance_advice", "fcra_rights",
}  # fmt: skip
