"""When the lists hold another number of people than was expected, the desk asks why, with both numbers, before a freeze refuses."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.admin.overview import Overview
from incidents.models import Incident
from tests.admin.case import at, posted
from tests.changes import amend

pytestmark = pytest.mark.django_db


@pytest.fixture
def differing(case: Incident, officer: User) -> Incident:
    """Forty were expected; five came."""
    amend(case, officer, expected_people=40)
    return case


def asked(incident: Incident, user: User) -> list[tuple[str, str]]:
    decide = Overview(incident=incident, user=user).decide
    return [(item.text, item.link) for item in decide if "expected" in item.text]


def test_the_desk_asks_why_the_lists_differ_from_the_number_expected(differing: Incident, officer: User) -> None:
    link = at("findings", differing.pk) + "#count_difference"
    assert asked(differing, officer) == [("40 people expected, 5 on the lists: why?", link)]
    [step] = [step for step in Overview(incident=differing, user=officer).steps if step.name == "Decisions"]
    assert step.state != "done" and "1 question" in step.line


def test_findings_shows_both_numbers_and_the_answer_ends_the_question(desk: Client, differing: Incident, officer: User) -> None:
    page = desk.get(at("findings", differing.pk)).content.decode()
    assert "<strong>40</strong> people are" in page and "<strong>5</strong> are" in page and "waits for an answer" in page
    posted(desk, "find", differing.pk, key="count_difference", value="explained", reason="the first count had doubles")
    assert asked(differing, officer) == []
    page = desk.get(at("findings", differing.pk)).content.decode()
    assert "<strong>40</strong> people are" in page and "waits for an answer" not in page


def test_the_refusal_of_the_freeze_says_it_in_words_with_a_link(desk: Client, differing: Incident) -> None:
    page = desk.get(at("campaigns", differing.pk)).content.decode()
    assert "speak of 40 people, the lists of 5: say why under Findings" in page
    assert f'href="{at("findings", differing.pk)}#count_difference">Say why the list differs</a>' in page
    assert "finding count_difference" not in page


def test_nothing_is_asked_when_the_numbers_agree(case: Incident, officer: User) -> None:
    amend(case, officer, expected_people=5)
    assert asked(case, officer) == []


def test_an_incident_without_a_list_is_not_asked_why_nobody_is_there(opened: Incident, officer: User) -> None:
    amend(opened, officer, expected_people=40)
    assert asked(opened, officer) == []
