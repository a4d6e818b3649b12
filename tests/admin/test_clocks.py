"""The clocks of the facts page: local times of the incident's zone, each of which was once, twice, or never."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from incidents.admin.facts_form import ANCHOR_LABELS, FactsForm
from incidents.models import Incident
from incidents.people.anchors import HOLD_UNTIL, NAMES
from tests.admin.case import at, said

pytestmark = pytest.mark.django_db


def form_of(incident: Incident, **changed: str) -> dict[str, str]:
    form = FactsForm(stored=incident.facts.facts)
    values = {field.name: field.value() for field in form if field.value() not in (None, False, "")}
    values["version"] = incident.facts.number
    return {**{name: "on" if value is True else str(value) for name, value in values.items()}, "reason": "seen again", **changed}


def box(page: str, anchor: str) -> str:
    found = re.search(rf'<input[^>]*name="anchors_{anchor}"[^>]*>', page)
    assert found
    return found[0]


@pytest.mark.parametrize("anchor", NAMES)
@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("2099-01-01T10:00", "lies in the future"),
        ("2025-03-30T02:30", "The next time that exists is 2025-03-30T03:00+02:00"),
        ("2024-10-27T02:30", "2024-10-27T02:30+02:00 (00:30 UTC) for the first"),
        ("0001-01-01T00:00", "is not a date and time"),
        ("2025-05-30T11:00+20:00", "no place has this offset"),
        ("9" * 5000, "is not a date and time"),
    ],
    ids=["future", "gap", "twice", "year-1", "offset", "long"],
)
def test_a_time_that_cannot_be_is_refused_at_every_clock_and_what_was_typed_stays(
    desk: Client, opened: Incident, anchor: str, typed: str, says: str
) -> None:
    says = "years ahead" if (anchor, typed[:4]) == (HOLD_UNTIL, "2099") else says
    response = desk.post(at("facts", opened.pk), form_of(opened, **{f"anchors_{anchor}": typed}))
    page = response.content.decode()
    assert (
        response.status_code == 200
        and f'<a href="#id_anchors_{anchor}">{ANCHOR_LABELS[anchor][0]}: ' in page
        and says in page.replace("&#x27;", "'")
    )
    assert typed in box(page, anchor) and opened.fact_versions.count() == 1


@pytest.mark.parametrize(("answer", "utc"), [("2024-10-27T02:30+02:00", "00:30"), ("2024-10-27T02:30+01:00", "01:30")])
def test_a_time_that_came_twice_can_be_answered_with_its_offset_and_is_kept(
    desk: Client, opened: Incident, answer: str, utc: str
) -> None:
    asked = desk.post(at("facts", opened.pk), form_of(opened, anchors_occurred_at="2024-10-27T02:30")).content.decode()
    assert 'type="text"' in box(asked, "occurred_at"), "the browser's clock has no room for an offset"
    desk.post(at("facts", opened.pk), form_of(opened, anchors_occurred_at=answer))
    assert opened.facts.facts["anchors"]["occurred_at"].startswith(answer[:16]) and opened.facts.number == 2
    page = desk.get(at("facts", opened.pk)).content.decode()
    assert f'value="{answer}"' in box(page, "occurred_at")
    desk.post(at("facts", opened.pk), form_of(opened, anchors_occurred_at=answer))
    assert opened.facts.number == 2, "shown and sent back, it is the same moment"


def test_any_other_time_is_entered_by_the_browsers_clock(desk: Client, opened: Incident) -> None:
    assert 'type="datetime-local"' in box(desk.get(at("facts", opened.pk)).content.decode(), "aware_at")


def test_an_order_that_is_possible_and_rare_is_saved_and_pointed_out(desk: Client, opened: Incident) -> None:
    response = desk.post(at("facts", opened.pk), form_of(opened, anchors_assessed_at="2025-05-30T10:00"))
    assert response.status_code == 302 and "anchors.assessed_at: 2025-05-30T10:00+02:00 is before aware_at" in said(response)


def test_an_offset_of_another_place_is_kept_and_shown_in_the_incidents_zone(desk: Client, opened: Incident) -> None:
    response = desk.post(at("facts", opened.pk), form_of(opened, anchors_people_told_at="2025-06-02T09:00+09:00"))
    assert "it is shown as 2025-06-02T02:00+02:00 there" in said(response)
    page = desk.get(at("facts", opened.pk)).content.decode()
    assert 'value="2025-06-02T02:00"' in box(page, "people_told_at") and "Mon 2 Jun 2025, 02:00 CEST" in page


def test_a_filing_in_the_hour_that_came_twice_is_asked_with_both_in_utc(desk: Client, case: Incident) -> None:
    duty = case.obligations.get(jurisdiction="FR", addressee="regulator")
    fields = {"filed_at": "2024-10-27T02:30", "zone": "Europe/Paris", "reference": "CNIL-1"}
    asked = said(desk.post(at("file_notice", case.pk, duty.pk), fields))
    assert "(00:30 UTC) for the first" in asked and "(01:30 UTC) for the second" in asked and not duty.filings.exists()


@pytest.mark.parametrize("typed", ["9" * 5000, "1" * 13, "-1", "1.5", "many"])
def test_a_number_of_people_that_cannot_be_is_refused(desk: Client, opened: Incident, typed: str) -> None:
    response = desk.post(at("facts", opened.pk), form_of(opened, expected_people=typed))
    assert response.status_code == 200 and "is not a whole number of people" in response.content.decode()


def test_whether_letters_name_the_day_is_asked_beside_the_moment_and_explained(desk: Client, opened: Incident) -> None:
    page = desk.get(at("facts", opened.pk)).content.decode()
    moment, known, later = (
        page.index(f'id="box-id_{name}"') for name in ("anchors_occurred_at", "occurred_known", "anchors_first_hint_at")
    )
    assert moment < known < later and page.count('name="occurred_known"') == 1
    assert "Unticked, they say that it is not yet known." in page
