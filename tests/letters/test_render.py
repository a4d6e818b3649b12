"""From a duty and a cohort to one person's letter: which form, which language, what it says, and that values stay inert."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from html import escape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.letters.gaps import LettersIncomplete
from incidents.letters.language import FilledLetter, fill
from incidents.letters.render import (
    LetterRefused,
    compiled,
    make_letters,
    personal_values,
    preview,
    readers,
    reference_code,
    save_text,
    standard_texts,
)
from incidents.letters.wording import SUPPORTED
from incidents.models import AffectedPerson, AuditEvent, Campaign, Incident, Letter
from incidents.models.duties import Handling
from incidents.people.amending import AmendmentRefused
from incidents.people.assessing import assess_incident
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident, record_finding
from incidents.record import PersonFields
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.generator import write_people
from incidents.vault import Vault
from tests.conftest import CLAIRE, NOW

FINDINGS = (
    ("risk", "risk"),
    ("misuse_likely", "yes"),
    ("serious_harm_likely", "no"),
    ("voluntary_notice", "yes"),
    ("law_unknown", "courtesy"),
)
SUE = {"person_id": "sue", "customer_number": "C7", "full_name": "Sue Ann", "email": "sue@example.org", "stated_country": "US",
       "loyalty_home_store": "US-WA Bellevue", "language": "en", "date_of_birth": "1979-03-14",
       "elements": "name;email;country;date_of_birth"}  # fmt: skip


@pytest.fixture
def letters_for(officer: User, facts: dict[str, Any], write_list: Callable[..., Path]) -> Callable[..., Incident]:
    """An incident with these people, assessed, its letters made."""

    def make(*people: dict[str, str]) -> Incident:
        incident = open_incident(facts=check_facts(facts, now=NOW), author=officer, drill=True)
        import_people(incident=incident, path=write_list(*people), author=officer)
        for key, value in FINDINGS:
            record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
        assess_incident(incident=incident, author=officer)
        make_letters(incident=incident, author=officer)
        return incident

    return make


def read_by(incident: Incident, reference: str) -> tuple[Letter, FilledLetter]:
    """The letter of a person, and as this person reads it."""
    who = AffectedPerson.objects.get(incident=incident, reference=reference)
    letters = [letter for letter in incident.letters.all() if letter.cohort_id == who.cohort_id]
    letter = next((each for each in letters if each.language == who.language[:2]), letters[0])
    return letter, preview(letter=letter, person=who, vault=Vault(incident=incident))


# The drill


def test_no_letter_of_the_small_cartier_drill_has_a_blocking_finding(officer: User, tmp_path: Path) -> None:
    scenario = load_scenario(scenario_id="cartier-2025")
    out = StringIO(newline="")
    write_people(scenario=scenario, people=200, out=out)
    (tmp_path / "people.csv").write_text(out.getvalue(), encoding="utf-8", newline="")
    incident = open_incident(facts=check_facts(dict(scenario.facts), now=NOW), author=officer, drill=True)
    import_people(incident=incident, path=tmp_path / "people.csv", author=officer)
    for key, value in FINDINGS:
        record_finding(incident=incident, key=key, value=value, reason="as the demo", author=officer)
    assess_incident(incident=incident, author=officer)
    report = make_letters(incident=incident, author=officer)
    found = [(str(letter), finding) for letter in incident.letters.all() for finding in letter.findings]
    assert [each for each in found if each[1]["level"] == "block"] == []
    assert (report.blocked, report.letters) == (0, incident.letters.count())
    assert report.letters > 10
    assert {"en", "fr", "de", "ja", "it", "es", "ko", "tr"} <= set(report.languages)


# Which letter


def test_each_reads_her_own_language_and_form(assessed: Incident) -> None:
    got = {name: (read_by(assessed, name)[0].form, read_by(assessed, name)[0].language) for name in ("claire", "carl", "yuki")}
    assert got == {"claire": ("courtesy", "fr"), "carl": ("courtesy", "en"), "yuki": ("notice", "ja")}


@pytest.mark.parametrize(
    ("country", "language", "expected"),
    [("FR", "nl", "fr"), ("PL", "pl", "en"), ("CH", "it", "it"), ("DE", "", "de"), ("AO", "tlh", "pt"), ("FR", "en-US", "en")],
)
def test_a_language_without_a_text_falls_back_by_the_stated_rule(
    letters_for: Callable[..., Incident], country: str, language: str, expected: str
) -> None:
    incident = letters_for({**CLAIRE, "stated_country": country, "language": language})
    assert [letter.language for letter in incident.letters.all()] == [expected]


def test_a_letter_the_law_asks_for_says_so_and_a_courtesy_does_not(letters_for: Callable[..., Incident]) -> None:
    incident = letters_for(CLAIRE, SUE)
    handling = {reader.cohort.residence: reader.obligation.handling for reader in readers(incident=incident).values()}
    assert handling == {"FR": Handling.VOLUNTARY, "US-WA": Handling.STATUTORY}
    (claires, as_claire), (sues, as_sue) = read_by(incident, "claire"), read_by(incident, "sue")
    assert (claires.form, sues.form) == ("courtesy", "notice")
    assert claires.findings == [finding for finding in claires.findings if finding["level"] != "block"]
    assert "date of birth" in as_sue.text
    assert "naissance" not in as_claire.text
    assert "Equifax" in as_sue.text
    assert "Equifax" not in as_claire.text


def test_a_letter_says_which_of_her_data_and_what_was_not_involved(assessed: Incident) -> None:
    _, letter = read_by(assessed, "carl")
    for words in ("Cartier", "email address", "bank", "password", "Carl O'Brien"):
        assert words.lower() in letter.text.lower().replace("’", "'"), words
    assert "http" not in letter.text
    assert "<a " not in letter.html


def test_a_cohort_to_whom_nothing_is_owed_and_nothing_chosen_gets_no_letter(imported: Incident, officer: User) -> None:
    for key, value in (
        ("risk", "risk"),
        ("misuse_likely", "yes"),
        ("serious_harm_likely", "no"),
        ("voluntary_notice", "no"),
        ("law_unknown", "no"),
    ):
        record_finding(incident=imported, key=key, value=value, reason="no", author=officer)
    assess_incident(incident=imported, author=officer)
    make_letters(incident=imported, author=officer)
    assert {letter.cohort.residence for letter in imported.letters.all()} == {"JP"}


# Making


def test_making_letters_twice_makes_the_same_and_edits_no_text(assessed: Incident, officer: User) -> None:
    first = {letter.pk: letter.sha256 for letter in assessed.letters.all()}
    texts = assessed.letter_texts.count()
    make_letters(incident=assessed, author=officer)
    assert {letter.pk: letter.sha256 for letter in assessed.letters.all()} == first
    assert assessed.letter_texts.count() == texts == len(standard_texts())


def test_a_text_that_is_not_in_the_letter_language_is_refused_with_its_place(assessed: Incident, officer: User) -> None:
    with pytest.raises(LetterRefused, match="Line 3, column 6"):
        save_text(incident=assessed, form="courtesy", language="fr", source="Subject: x\n\nDear [[password]],", author=officer)


def test_an_edited_text_is_a_new_version_and_the_same_text_is_none(assessed: Incident, officer: User, counsel: User) -> None:
    source = standard_texts()[("courtesy", "fr")]
    same = save_text(incident=assessed, form="courtesy", language="fr", source=source, author=counsel)
    assert (same.number, same.author) == (1, officer)
    edited = save_text(incident=assessed, form="courtesy", language="fr", source=source + "\nMerci.\n", author=counsel)
    assert (edited.number, edited.author) == (2, counsel)
    assert AuditEvent.objects.filter(action="letter.edited", actor="counsel").count() == 1
    make_letters(incident=assessed, author=officer)
    assert "Merci." in read_by(assessed, "claire")[1].text


def test_frozen_letters_cannot_be_made_again(frozen: Campaign, officer: User) -> None:
    with pytest.raises(AmendmentRefused, match="new campaign"):
        make_letters(incident=frozen.incident, author=officer)


def test_a_letters_hash_is_that_of_what_is_stored(assessed: Incident) -> None:
    for letter in assessed.letters.all():
        assert hashlib.sha256(letter.compiled.encode()).hexdigest() == letter.sha256
        assert compiled(letter.sha256, letter.compiled).language == letter.language
        assert json.loads(letter.compiled)


# Personal values


HOSTILE = [
    "<script>alert(1)</script>",
    "[[brand]] [[#if in.us]]x[[/if]]",
    "{{ name }} {% load x %} %(name)s ${x}",
    "**bold** [link](http://evil.example)",
    "&lt;b&gt; \" ' `",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_only_ever_text(assessed: Incident, name: str) -> None:
    letter, _ = read_by(assessed, "carl")
    form = compiled(letter.sha256, letter.compiled)
    plain = fill(
        letter=form, values=personal_values(fields=PersonFields(full_name="NOBODY"), language="en", message_ref="0" * 32)
    )
    filled = fill(letter=form, values=personal_values(fields=PersonFields(full_name=name), language="en", message_ref="0" * 32))
    assert filled.text == plain.text.replace("NOBODY", name)
    assert filled.html in {plain.html.replace("NOBODY", escape(name)), plain.html.replace("NOBODY", escape(name, quote=False))}
    assert "<script" not in filled.html


def test_a_name_cannot_turn_the_line_around(assessed: Incident) -> None:
    letter, _ = read_by(assessed, "carl")
    values = personal_values(fields=PersonFields(full_name="\u202elive\u202c\r\nBcc: x"), language="en", message_ref="0" * 32)
    filled = fill(letter=compiled(letter.sha256, letter.compiled), values=values)
    assert not {"\u202e", "\u202c", "\r"} & set(filled.text + filled.html + filled.subject)
    assert "\nBcc" not in filled.text


def test_a_person_without_a_name_is_greeted_neutrally(assessed: Incident) -> None:
    for language in sorted(SUPPORTED):
        values = personal_values(fields=PersonFields(full_name=""), language=language, message_ref="0" * 32)
        assert values["person_name"]


def test_the_reference_code_is_short_and_taken_from_the_messages_name() -> None:
    assert reference_code("0123456789abcdef" + "f" * 16) == "0123-4567-89AB-CDEF"


def test_a_preview_is_the_persons_letter_with_a_code_of_zeros(assessed: Incident) -> None:
    _, letter = read_by(assessed, "claire")
    assert "Claire Dubois" in letter.text
    assert "Claire Dubois" in letter.html
    assert "0000-0000-0000-0000" in letter.text


def test_all_that_the_letters_need_is_told_at_once_in_the_words_of_the_form(
    officer: User, facts: dict[str, Any], write_list: Callable[..., Path]
) -> None:
    given = {**facts, "controller": {**facts["controller"], "legal_address": "", "phone_hours": ""}}
    incident = open_incident(facts=check_facts(given, now=NOW), author=officer, drill=True)
    import_people(incident=incident, path=write_list(CLAIRE, SUE), author=officer)
    for key, value in FINDINGS:
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    with pytest.raises(LettersIncomplete) as refused:
        make_letters(incident=incident, author=officer)
    assert refused.value.fields == ("legal_address", "phone_hours")
    assert refused.value.lines == (
        "The letters need 'Legal address', 'Telephone hours'. Fill it in under Facts, then make the letters again.",
    )


def test_what_no_fact_can_give_names_the_texts_that_say_it() -> None:
    refused = LettersIncomplete({"state_ag_name": frozenset({"notice/fr", "notice/en"}), "phone_hours": frozenset({"notice/fr"})})
    first, second = refused.lines
    assert "'Telephone hours'" in first and second == (
        "[[state_ag_name]] has no value for some readers: put it under a condition in notice/en, notice/fr, or take it out."
    )
