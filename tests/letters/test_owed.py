"""What the duty and the recorded facts decide about a letter: offers, contacts, bars, two laws at once, languages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from incidents.letters.check import LetterFinding
from incidents.letters.contacts import attorney_general, contacts, unconfirmed
from incidents.letters.content import BARS, contradictions, is_due, missing_statements
from incidents.letters.language import parse_letter
from incidents.letters.owed import BARRED_WORDS, check_owed
from incidents.letters.particulars import Situation
from incidents.letters.reading import read
from tests.letters.situations import (
    BARE,
    ELEMENT_SETS,
    LETTERS,
    RECORDED,
    Law,
    blocks,
    every_law,
    form_of,
    languages_of,
    law_block,
    made,
    situation_of,
)

LAWS = {law.pack.id: law for law in every_law()}
SEVERE = ELEMENT_SETS["severe"]


def offering(law: Law, elements: frozenset[str] = SEVERE, **services: Any) -> tuple[str, list[LetterFinding]]:
    facts = {**BARE, **RECORDED, "services": {**RECORDED["services"], **services}}
    letter, found = made(situation_of(law, elements, facts=facts), form=form_of(law), language="en")
    return letter.text, found


def codes(found: list[LetterFinding]) -> list[str]:
    return [finding.code for finding in found]


# Offers


@pytest.mark.parametrize(
    ("place", "months"), [("US-CT", 24), ("US-MA", 18), ("US-DC", 18), ("US-CA", 12), ("US-DE", 12), ("US-PA", 12)]
)
def test_an_offer_shorter_than_the_law_asks_blocks_and_one_as_long_does_not(place: str, months: int) -> None:
    assert LAWS[place].months(SEVERE) == months
    assert "offer.short" not in codes(offering(LAWS[place], months=months)[1])
    finding = next(f for f in offering(LAWS[place], months=months - 1)[1] if f.code == "offer.short")
    assert finding.level == "block" and f"at least {months} months" in finding.message and "under Facts" in finding.message


def test_an_offer_refused_where_it_is_owed_blocks() -> None:
    text, found = offering(LAWS["US-CT"], offered_to="nobody", provider="", months=0, enrolment="")
    assert "Example Guard" not in text and {"offer.refused", "content.missing"} <= set(codes(found))
    assert "offer.refused" not in codes(offering(LAWS["US-TX"], offered_to="nobody")[1])


@pytest.mark.parametrize(("to", "elements", "offered"), [
    ("where_owed", "severe", True), ("where_owed", "contact", False), ("everyone", "contact", True), ("nobody", "severe", False),
])  # fmt: skip
def test_services_are_offered_to_those_of_whom_it_was_recorded(to: str, elements: str, offered: bool) -> None:
    text, _ = offering(LAWS["US-CT"], ELEMENT_SETS[elements], offered_to=to)
    assert ("Example Guard" in text) == offered


def test_services_are_due_by_the_laws_months_and_items_not_by_a_list_of_our_own() -> None:
    assert is_due(item="credit_monitoring", facts={"is.offer_owed": True})
    assert not is_due(item="id_theft_services_offer", facts={"is.offer_owed": False, "has.ssn": True})
    card = situation_of(LAWS["US-CT"], ELEMENT_SETS["card"])
    assert not card.offer_owed and situation_of(LAWS["US-CT"], SEVERE).offer_owed
    tied = replace(card, required=("id_theft_services_offer",), conditional=frozenset({"id_theft_services_offer"}))
    assert tied.offer_owed


def test_rhode_island_reads_of_the_help_offered_or_that_there_is_none() -> None:
    assert "Example Guard helps you for 24 months" in offering(LAWS["US-RI"], offered_to="everyone")[0]
    assert "We offer no service of our own" in offering(LAWS["US-RI"], offered_to="nobody")[0]
    bare = situation_of(LAWS["US-RI"], SEVERE, facts=BARE)
    found = made(bare, form="notice", language="en")[1]
    assert ("content.missing", "remediation_services") in blocks(found)


# Facts that a law asks for


@pytest.mark.parametrize(
    ("place", "item", "fact"),
    [
        ("US-MD", "toll_free", "phone_toll_free"),
        ("US-PR", "toll_free", "phone_toll_free"),
        ("US-MA", "parent_company_name", "parent_company"),
        ("US-MA", "credit_monitoring", "services"),
        ("US-RI", "remediation_services", "services"),
        ("BR", "reasons_for_delay", "delay_reason"),
    ],
)
def test_a_missing_statement_names_the_fact_to_record(place: str, item: str, fact: str) -> None:
    late = place == "BR"
    _, found = made(situation_of(LAWS[place], SEVERE, facts=BARE, late=late), form=form_of(LAWS[place]), language="en")
    finding = next(f for f in found if (f.code, f.reference) == ("content.missing", item))
    assert f"({fact})" in finding.message and "under Facts" in finding.message


@pytest.mark.parametrize("place", ["US-CA", "US-WY"])
def test_a_letter_that_speaks_of_the_police_needs_their_answer(place: str) -> None:
    facts = {key: value for key, value in {**BARE, **RECORDED}.items() if key != "police_asked_delay"}
    _, found = made(situation_of(LAWS[place], SEVERE, facts=facts), form=form_of(LAWS[place]), language="en")
    assert blocks(found) == [("content.police_delay", "is.police_delay")]
    asked, _ = made(
        situation_of(LAWS[place], SEVERE, facts={**facts, "police_asked_delay": True}), form=form_of(LAWS[place]), language="en"
    )
    assert "The police asked us to wait" in asked.text


@pytest.mark.parametrize(("place", "due"), [("US-MD", False), ("US-VT", False), ("US-PR", True), ("US-WY", True)])
def test_a_number_that_costs_is_enough_only_where_the_law_says_if_there_is_one(place: str, due: bool) -> None:
    facts = {**BARE, **RECORDED, "phone_toll_free": False}
    letter, found = made(situation_of(LAWS[place], SEVERE, facts=facts), form="notice", language="en")
    assert (("content.missing", "toll_free") in blocks(found)) == due
    assert "call us free of charge" not in letter.text


def test_nobody_owns_the_sender_and_the_letter_names_no_parent() -> None:
    facts = {**BARE, **RECORDED, "parent_company": "none"}
    letter, found = made(situation_of(LAWS["US-MA"], SEVERE, facts=facts), form="us-ma", language="en")
    assert not blocks(found) and "none" not in letter.text


def test_a_reason_for_delay_is_due_only_when_late_and_stated_once_given() -> None:
    only = {"is.late": False, "is.delay_explained": False}
    assert missing_statements(required=["reasons_for_delay"], said=frozenset(), facts=only) == ()
    assert missing_statements(required=["reasons_for_delay"], said=frozenset(), facts={**only, "is.late": True})
    letter, _ = made(situation_of(LAWS["BR"], SEVERE), form="notice", language="en")
    assert RECORDED["delay_reason"] in letter.text


@pytest.mark.parametrize(("place", "words"), [("NZ", "A competitor in Geneva."), ("ZA", "A former supplier.")])
def test_recipient_and_intruder_are_named_where_a_law_asks_and_only_if_known(place: str, words: str) -> None:
    letter, _ = made(situation_of(LAWS[place], SEVERE), form="notice", language="en")
    assert words in letter.text
    bare, found = made(situation_of(LAWS[place], SEVERE, facts=BARE), form="notice", language="en")
    assert not blocks(found) and "More about this incident" not in bare.text
    elsewhere, _ = made(situation_of(LAWS["JP"], SEVERE), form="notice", language="en")
    assert words not in elsewhere.text


@pytest.mark.parametrize(("language", "number"), [("en", "1,234"), ("de", "1.234"), ("fr", "1\u202f234")])
def test_rhode_island_reads_the_number_of_its_people_in_the_readers_figures(language: str, number: str) -> None:
    letter, found = made(situation_of(LAWS["US-RI"], SEVERE), form="notice", language=language)
    assert number in letter.text and not blocks(found)
    illinois, _ = made(situation_of(LAWS["US-IL"], SEVERE), form="notice", language=language)
    assert number not in illinois.text


# Bars


def test_massachusetts_has_a_letter_of_its_own_that_tells_neither_nature_nor_number() -> None:
    law = LAWS["US-MA"]
    assert form_of(law) == "us-ma" and {"must_not_describe_nature", "must_not_state_number_of_residents"} <= set(BARS)
    for cause in ("attack", "error", "loss", "insider"):
        facts = {**BARE, **RECORDED, "cause": cause}
        letter, found = made(situation_of(law, SEVERE, facts=facts), form="us-ma", language="en")
        assert not blocks(found)
        assert not any(pattern.search(letter.text.split("Credit bureaus")[0]) for pattern in BARRED_WORDS.values()), cause
        assert all(words in letter.text for words in ("police report", "a company of Richemont SA", "24 months"))


def test_the_general_letter_would_not_do_for_massachusetts() -> None:
    _, found = made(situation_of(LAWS["US-MA"], SEVERE), form="notice", language="en")
    assert {("content.barred", "must_not_describe_nature")} <= set(blocks(found))


@pytest.mark.parametrize(
    ("sentence", "stopped"),
    [
        ("A hacker got into our system.", True),
        ("This was caused by an unauthorized person.", True),
        ("The data of 1,200 Massachusetts residents is involved.", True),
        ("Watch out for identity theft.", False),
        ("Call us within 12 months.", False),
    ],
)
def test_words_that_break_a_bar_are_found_whatever_they_say_they_state(sentence: str, stopped: bool) -> None:
    source = (LETTERS / "us-ma" / "en.txt").read_text("utf-8").replace("We are sorry that this happened.", sentence)
    tree = parse_letter(source=source, name="edited")
    _, found = made(situation_of(LAWS["US-MA"], SEVERE), form="us-ma", language="en", tree=tree)
    assert ("content.barred_words" in codes(found)) == stopped


def test_two_laws_that_contradict_each_other_are_left_to_counsel() -> None:
    required, barred = ("what_happened", "contact"), ("must_not_describe_nature",)
    assert contradictions(required=required, barred=barred) == (("what_happened", "must_not_describe_nature"),)
    assert contradictions(required=("nature_of_breach",), barred=barred) and not contradictions(
        required=("contact",), barred=barred
    )
    both = situation_of(LAWS["US-MA"], SEVERE, required=required)
    letter, found = made(both, form="us-ma", language="en")
    assert "content.contradiction" in codes(found) and letter


@pytest.mark.parametrize("elements", sorted(ELEMENT_SETS))
def test_the_massachusetts_letter_reads_easily_whatever_leaked(elements: str) -> None:
    letter, found = made(situation_of(LAWS["US-MA"], ELEMENT_SETS[elements]), form="us-ma", language="en")
    assert not {"reading.grade", "reading.longest", "reading.sentences", "form.data_late", "form.actions_late"} & set(
        codes(found)
    )
    assert elements == "severe" or "form.length" not in codes(found), letter.text


@pytest.mark.parametrize("block", ["all/incident", "us/security-freeze", "us/attorney-general", "us/credit-rights"])
def test_the_blocks_for_american_readers_read_easily(block: str) -> None:
    states = {"all/incident": ("US-RI", "US-WY", "US-PR", "PH")}.get(block, ("US-DC",) if "credit" not in block else ("US-NM",))
    for place in states:
        letter, _ = made(situation_of(LAWS[place], SEVERE), form="notice", language="en")
        section = letter.html.split(f'<section id="law-{block.replace("/", "-")}"')[1].split("</section>")[0]
        prose = [part.split("</")[0] for part in section.split(">") if "</p" in part or "</li" in part]
        reading = read(prose=prose, language="en")
        assert (reading.grade or 0) <= 8 and reading.longest_length <= 28, (place, reading)


# Contacts


def test_each_contact_without_a_state_stands_in_a_law_block_of_every_language() -> None:
    for contact in (contact for contact in contacts().values() if not contact.state):
        for language in languages_of("notice"):
            texts = [file.read_text("utf-8") for file in (LETTERS / "law").rglob(f"{language}.txt")]
            assert any(contact.phone in text and contact.site in text and contact.address in text for text in texts), contact


def test_each_state_whose_law_wants_its_attorney_general_has_one_with_all_parts() -> None:
    wanting = [law for law in every_law() if "state_ag_contact" in law.version.value["required"]]
    assert {law.residence for law in wanting} == {"US-DC", "US-MD", "US-NC", "US-RI"}
    for law in wanting:
        office = attorney_general(residence=law.residence)
        assert office and all((office.name, office.address, office.phone, office.site))
        assert office.shown().split("; ")[1] in made(situation_of(law, SEVERE), form="notice", language="ja")[0].text
    assert attorney_general(residence="US-TX") is None


def test_a_contact_that_nobody_confirmed_is_a_warning_until_an_officer_does() -> None:
    situation = situation_of(LAWS["US-MD"], SEVERE)
    letter, found = made(situation, form="notice", language="en")
    warned = {f.reference: f for f in found if f.code == "contacts.unconfirmed"}
    assert set(warned) == {"us-md", "ftc", "equifax", "experian", "transunion", "credit-reports"}
    assert all(finding.level == "warn" for finding in warned.values()) and "From memory: name, phone" in warned["us-md"].message
    confirmed = replace(situation, facts={**situation.facts, "contacts_confirmed": sorted(warned)})
    assert not check_owed(letter=letter, situation=confirmed)


def test_a_number_within_another_is_not_that_contact() -> None:
    assert not list(unconfirmed(text="call 1-877-438-43389 or x-identitytheft.gov", confirmed=frozenset()))
    assert [found.id for found in unconfirmed(text="identitytheft.gov.", confirmed=frozenset())] == ["ftc"]


# Languages


def test_english_words_in_a_letter_of_another_language_are_a_warning() -> None:
    def references(situation: Situation, language: str) -> set[str]:
        _, found = made(situation, form="notice", language=language)
        return {f.reference for f in found if f.code == "language.untranslated"}

    brazil, connecticut = situation_of(LAWS["BR"], SEVERE), situation_of(LAWS["US-CT"], SEVERE)
    assert references(brazil, "pt") == {"delay_reason"} and references(brazil, "en") == set()
    assert references(connecticut, "es") == {"services.enrolment"}
    said = {**brazil.facts, "delay_reason_pt": "Primeiro foi preciso saber de quem eram os dados."}
    assert references(replace(brazil, facts=said), "pt") == set()
    assert said["delay_reason_pt"] in made(replace(brazil, facts=said), form="notice", language="pt")[0].text


def test_the_law_blocks_of_this_letter_exist_in_every_language_of_the_notice() -> None:
    for block in ("all/incident", "us/security-freeze", "us/attorney-general", "us/credit-rights"):
        for language in languages_of("notice"):
            assert law_block(block, language).blocks
