"""The law's further questions on the findings page: asked in words, answered with a reason, and the law asked again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.models import Finding, Incident
from incidents.people.assessing import assess_incident
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident
from tests.admin.case import at, said
from tests.conftest import CARL, CLAIRE, NOW

pytestmark = pytest.mark.django_db

KEY = "enough_for_identity_theft"
WORDS = "Is it so that the elements without the name are enough to steal an identity?"


@pytest.fixture
def asked(officer: User, facts: dict[str, Any], write_list: Callable[..., Path]) -> Incident:
    """One person of Washington whose number leaked without the name, and one of France."""
    elements = {"email": "exposed", "name": "exposed_for_some", "ssn": "exposed_for_some", "country": "exposed_for_some"}
    opened = open_incident(facts=check_facts({**facts, "elements": elements}, now=NOW), author=officer)
    alone = {**CARL, "stated_country": "US-WA", "elements": "email;ssn"}
    import_people(incident=opened, path=write_list(alone, CLAIRE), author=officer)
    assess_incident(incident=opened, author=officer)
    return opened


def owed(incident: Incident, jurisdiction: str) -> str:
    return incident.obligations.get(jurisdiction=jurisdiction, addressee="person", superseded=False).owed


def answer(desk: Client, incident: Incident, key: str, value: str, reason: str = "as counsel found") -> str:
    return said(desk.post(at("find", incident.pk), {"key": key, "value": value, "reason": reason}))


def test_a_question_of_one_statute_is_asked_in_words_and_answered_under_a_name(desk: Client, asked: Incident) -> None:
    page = desk.get(at("findings", asked.pk)).content.decode()
    assert WORDS in page and "asked by US-WA" in page and "Further questions of these laws" in page
    assert owed(asked, "US-WA") == "ask"
    answer(desk, asked, "misuse_likely", "yes")
    assert owed(asked, "US-WA") == "ask"
    answer(desk, asked, KEY, "yes")
    assert owed(asked, "US-WA") == "yes"
    found = Finding.objects.get(incident=asked, key=KEY)
    assert (found.value, found.reason, found.author.username) == ("yes", "as counsel found", "officer")


def test_the_answer_no_ends_the_question_and_stays_on_the_page(desk: Client, asked: Incident) -> None:
    answer(desk, asked, KEY, "no", "the numbers alone open nothing")
    assert owed(asked, "US-WA") == "no"
    page = desk.get(at("findings", asked.pk)).content.decode()
    assert "the numbers alone open nothing" in page


def test_a_special_case_waits_for_nobody_and_counts_once_recorded(desk: Client, asked: Incident) -> None:
    page = desk.get(at("findings", asked.pk)).content.decode()
    assert "Special cases" in page and "later measures have removed the high risk" in page
    Finding.objects.create(
        incident=asked,
        key="risk",
        value="high",
        reason="r",
        author=User.objects.get(username="officer"),
        recorded_at=asked.created_at,
    )
    answer(desk, asked, "misuse_likely", "yes")
    assert owed(asked, "FR") == "yes"
    answer(desk, asked, "high_risk_removed", "yes")
    assert owed(asked, "FR") == "no"


@pytest.mark.parametrize("key", ["mood", "element:mood", "law:US-WA", "__class__"])
def test_a_question_that_no_law_asks_cannot_be_answered(desk: Client, asked: Incident, key: str) -> None:
    assert "no law pack asks this question" in answer(desk, asked, key, "yes")
    assert not Finding.objects.filter(incident=asked).exists()


def test_the_desk_names_the_question_among_what_must_be_decided(desk: Client, asked: Incident) -> None:
    page = desk.get(at("desk", asked.pk)).content.decode()
    assert WORDS in page and f"findings/#{KEY}" in page
