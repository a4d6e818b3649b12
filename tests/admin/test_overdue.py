"""What an authority should have been told by now is overdue and must be done; a law asked without people was asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.admin.letter_by import NO_DATE, NOT_ASKED, WAITS
from incidents.admin.overview import UNSURE, Overview
from incidents.models import Incident
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.importing import import_people
from incidents.people.opening import record_finding
from tests.admin.case import at
from tests.changes import amend
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def test_a_report_whose_date_is_over_is_overdue_and_to_be_done_until_it_is_filed(case: Incident, officer: User) -> None:
    view = Overview(incident=case, user=officer)
    assert any(item.text.startswith("Overdue, FR: tell the authority") for item in view.stuck)
    assert not any("tell the authority" in item.text for item in view.due)
    [line] = [item for item in view.decide if "overdue" in item.text]
    assert line.text.startswith("2 reports to authorities are overdue") and line.link == at("desk", case.pk) + "#authorities-h"
    told = case.obligations.get(jurisdiction="FR", addressee="regulator", superseded=False)
    record_filing(obligation=told, filed_at=NOW, reference="CNIL-1", author=officer, reason_for_delay="found late")
    view = Overview(incident=case, user=officer)
    assert not any("FR" in item.text for item in view.stuck)
    assert any(item.text.startswith("1 report to an authority is overdue") for item in view.decide)


def test_what_only_a_finding_may_ask_for_is_not_said_to_be_handed_in(opened: Incident, officer: User, list_file: Path) -> None:
    import_people(incident=opened, path=list_file, author=officer)
    assess_incident(incident=opened, author=officer)
    asked = opened.obligations.filter(jurisdiction="FR", addressee="regulator", superseded=False)
    assert [duty.owed for duty in asked] == ["ask"]
    opened.obligations.exclude(pk__in=asked).exclude(addressee="person").delete()
    view = Overview(incident=opened, user=officer)
    assert [item.text for item in view.stuck if "Overdue" in item.text] == [f"Overdue, FR: tell the authority{UNSURE}"]
    assert "How high is the risk? (1 law)" in [item.text for item in view.decide]
    assert not [item.text for item in view.decide if "overdue" in item.text]


def test_the_law_page_says_what_the_law_answered_without_people(desk: Client, opened: Incident, officer: User) -> None:
    assert "the law has not been asked" in desk.get(at("law", opened.pk)).content.decode()
    amend(opened, officer, based_in="FR")
    assess_incident(incident=opened, author=officer)
    page = desk.get(at("law", opened.pk)).content.decode()
    assert "has not been asked" not in page and "answered about authorities alone" in page
    assert 'id="bare-h"' in page and at("jurisdiction", opened.pk, "FR") in page


def test_people_who_came_after_the_law_was_asked_are_not_said_to_be_on_no_list(
    desk: Client, opened: Incident, officer: User, list_file: Path
) -> None:
    amend(opened, officer, based_in="FR")
    assess_incident(incident=opened, author=officer)
    assert "nobody is on the list yet" in desk.get(at("law", opened.pk)).content.decode()
    import_people(incident=opened, path=list_file, author=officer)
    page = desk.get(at("law", opened.pk)).content.decode()
    assert "nobody is on the list yet" not in page and "nobody was on the list then. Ask it again." in page


def test_a_persons_page_says_why_there_is_no_date_for_the_letter(
    desk: Client, opened: Incident, officer: User, list_file: Path
) -> None:
    import_people(incident=opened, path=list_file, author=officer)
    claire = opened.people.get(reference="claire")

    def page() -> str:
        return desk.get(at("person", opened.pk, claire.pk)).content.decode()

    assert NOT_ASKED in page()
    assess_incident(incident=opened, author=officer)
    assert WAITS in page() and NO_DATE not in page(), "whether a letter is owed in France turns on the risk"
    record_finding(incident=opened, key="risk", value="risk", reason="low", author=officer)
    assess_incident(incident=opened, author=officer)
    assert NO_DATE in page()
