"""From the register to the letter: the form of a state, every law owed at once, the count of a state, what was filed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.letters.readers import conditional_items, readers
from incidents.letters.render import make_letters, situations
from incidents.models import Incident, Letter, Obligation
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.importing import import_people
from incidents.people.opening import amend_facts, check_facts, open_incident, record_finding
from tests.conftest import CLAIRE, NOW

pytestmark = pytest.mark.django_db
FINDINGS = (("risk", "high"), ("misuse_likely", "yes"), ("serious_harm_likely", "yes"), ("voluntary_notice", "yes"))
OFFER = {"offered_to": "where_owed", "provider": "Example Guard", "months": 24, "enrolment": "call 1-800-555-0100"}
ELEMENTS = "name;email;country;date_of_birth;ssn"
Make = Callable[..., Incident]


def american(state: str, name: str, *, language: str = "en", elements: str = ELEMENTS) -> dict[str, str]:
    return {
        "person_id": name, "customer_number": name, "full_name": name.title(), "email": f"{name}@example.org",
        "stated_country": "US", "loyalty_home_store": f"{state} Shop", "language": language, "elements": elements,
        "date_of_birth": "1979-03-14",
    }  # fmt: skip


@pytest.fixture
def told(officer: User, facts: dict[str, Any], write_list: Callable[..., Path]) -> Make:
    """An incident in which these people's numbers were exposed, with its letters made."""

    def make(*people: dict[str, str], **more: Any) -> Incident:
        exposed = dict.fromkeys(("name", "email", "country", "date_of_birth", "ssn"), "exposed")
        given = check_facts({**facts, "elements": exposed, **more}, now=NOW)
        incident = open_incident(facts=given, author=officer, drill=True)
        import_people(incident=incident, path=write_list(*people), author=officer)
        for key, value in FINDINGS:
            record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
        assess_incident(incident=incident, author=officer)
        make_letters(incident=incident, author=officer)
        return incident

    return make


def letter_to(incident: Incident, residence: str) -> Letter:
    return incident.letters.get(cohort__residence=residence)


def blocked(letter: Letter) -> list[str]:
    return [finding["reference"] for finding in letter.findings if finding["level"] == "block"]


def test_massachusetts_california_and_the_others_get_their_forms(told: Make) -> None:
    people = [american(state, state[3:].lower()) for state in ("US-MA", "US-CA", "US-RI", "US-IL")]
    incident = told(*people, services=OFFER, parent_company="none", police_asked_delay=False)
    forms = {letter.cohort.residence: letter.form for letter in incident.letters.all()}
    assert forms == {"US-MA": "us-ma", "US-CA": "us-ca", "US-RI": "notice", "US-IL": "notice"}
    assert not [found for letter in incident.letters.all() for found in blocked(letter)]


def test_a_massachusetts_reader_of_another_language_gets_the_states_letter_in_english(told: Make) -> None:
    incident = told(american("US-MA", "chloe", language="fr"), services=OFFER, parent_company="none")
    assert (letter_to(incident, "US-MA").form, letter_to(incident, "US-MA").language) == ("us-ma", "en")


def test_rhode_island_reads_the_count_of_its_own_people_over_all_its_groups(told: Make) -> None:
    people = [american("US-RI", name) for name in ("ann", "bob")] + [american("US-RI", "cyd", elements="drivers_license")]
    incident = told(*people, american("US-TX", "dan"), services={"offered_to": "nobody"})
    letters = incident.letters.filter(cohort__residence="US-RI")
    assert letters.count() == 2 and all("whose data is involved: 3." in letter.compiled for letter in letters)
    assert "whose data is involved" not in letter_to(incident, "US-TX").compiled


def test_without_the_facts_the_letter_waits_and_with_them_it_does_not(told: Make, officer: User) -> None:
    incident = told(american("US-MA", "max"))
    assert set(blocked(letter_to(incident, "US-MA"))) == {"credit_monitoring", "parent_company_name"}
    facts = check_facts({**incident.facts.facts, "services": OFFER, "parent_company": "Richemont SA"}, now=NOW)
    amend_facts(incident=incident, facts=facts, author=officer, reason="counsel asked")
    make_letters(incident=incident, author=officer)
    assert blocked(letter_to(incident, "US-MA")) == []


def test_a_cohort_to_which_two_laws_owe_a_letter_reads_what_both_ask(told: Make) -> None:
    incident = told(american("US-TX", "tex"), services=OFFER)
    duty = Obligation.objects.get(incident=incident, addressee="person", cohort__residence="US-TX")
    second = Obligation.objects.get(pk=duty.pk)
    second.pk, second.jurisdiction = None, "FED-HIPAA"
    asked = {"content_required": ["fcra_rights"], "content_barred": ["number_affected"], "monitoring_months": 6}
    second.duty = {**duty.duty, **asked, "references": ["45 CFR 164.404"]}
    second.save()
    reader = readers(incident=incident)[duty.cohort_id or 0]
    assert reader.jurisdictions == ("US-TX", "FED-HIPAA") and "fcra_rights" in reader.required
    assert (reader.barred, reader.months, reader.references[1]) == (("number_affected",), 6, "45 CFR 164.404")
    make_letters(incident=incident, author=duty.facts.author)
    letter = letter_to(incident, "US-TX")
    assert "Fair Credit Reporting Act" in letter.compiled and "45 CFR 164.404" in letter.compiled and not blocked(letter)


def test_a_late_letter_and_a_filed_report_are_seen(told: Make, officer: User) -> None:
    person = {**CLAIRE, "elements": ELEMENTS, "date_of_birth": "1979-03-14", "stated_country": "NZ", "language": "en"}
    incident = told(person)
    [(_, before)] = situations(incident=incident, told=readers(incident=incident).values())
    assert not before.regulator_told
    regulator = incident.obligations.get(jurisdiction="NZ", addressee="regulator")
    record_filing(
        obligation=regulator, filed_at=NOW - timedelta(days=1), reference="r-1", author=officer, reason_for_delay="searching"
    )
    Obligation.objects.filter(jurisdiction="NZ", addressee="person").update(due_at=NOW - timedelta(days=300))
    [(_, after)] = situations(incident=incident, told=readers(incident=incident).values())
    assert after.regulator_told and after.late


def test_items_that_a_law_ties_to_certain_data_are_known() -> None:
    assert "id_theft_services_offer" in conditional_items(jurisdiction="US-CA")
    assert conditional_items(jurisdiction="XX") == frozenset()
