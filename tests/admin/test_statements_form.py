"""The boxes for what some laws want said: filled, read back untouched, and each refusal leads to its box."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from django.test import Client

from incidents.admin.facts_form import FactsForm, place_of
from incidents.admin.letters import _ways
from incidents.admin.statements_form import OFFERED, SERVICE_LABELS, TEXT_LABELS
from incidents.letters.gaps import BOXES, LettersIncomplete
from incidents.models import Incident
from incidents.people.statements import OFFERED_TO, TEXTS
from tests.admin.case import at

pytestmark = pytest.mark.django_db
FILLED: dict[str, Any] = {
    "police_asked_delay": "no",
    "phone_toll_free": "yes",
    "parent_company": "Richemont SA",
    "delay_reason": "We had to find out whose data it was.",
    "told_delay_reason_fr": "Il fallait savoir de qui étaient les données.",
    "services_offered_to": "where_owed",
    "services_provider": "Example Guard",
    "services_months": "24",
    "services_enrolment": "call 1-800-555-0100",
    "told_enrolment_fr": "appelez le 1-800-555-0100",
    "contacts_confirmed": ["ftc", "us-md"],
}


def boxes(incident: Incident, **changed: Any) -> dict[str, Any]:
    """The form as the browser would post it, with some boxes changed."""
    form = FactsForm(stored=incident.facts.facts)
    values = {field.name: field.value() for field in form if field.value() not in (None, False, "")}
    values["version"] = incident.facts.number
    return {**{name: "on" if value is True else value for name, value in values.items()}, "reason": "counsel asked", **changed}


def saved(desk: Client, incident: Incident, **changed: Any) -> str:
    return desk.post(at("facts", incident.pk), boxes(incident, **changed), follow=True).content.decode()


def test_what_is_filled_in_is_stored_and_shown_again(desk: Client, opened: Incident) -> None:
    assert "The facts stand at version 2" in saved(desk, opened, **FILLED)
    facts = opened.facts.facts
    assert (facts["police_asked_delay"], facts["phone_toll_free"], facts["parent_company"]) == (False, True, "Richemont SA")
    assert facts["services"]["months"] == 24 and facts["services"]["enrolment_fr"].startswith("appelez")
    assert facts["delay_reason_fr"].startswith("Il fallait") and facts["contacts_confirmed"] == ["ftc", "us-md"]
    page = desk.get(at("facts", opened.pk)).content.decode()
    assert "Richemont SA" in page and "Il fallait savoir" in page and page.count("checked") >= 2


def test_an_untouched_form_changes_nothing_even_what_has_no_box(desk: Client, opened: Incident) -> None:
    saved(desk, opened, **FILLED)
    saved(desk, opened)
    assert opened.fact_versions.count() == 2


def test_a_box_emptied_is_a_fact_no_longer_recorded(desk: Client, opened: Incident) -> None:
    saved(desk, opened, **FILLED)
    empty = {**dict.fromkeys(FILLED, ""), "contacts_confirmed": []}
    saved(desk, opened, **empty)
    assert opened.facts.number == 3
    assert not {*TEXTS, "services", "contacts_confirmed", "police_asked_delay", "parent_company"} & set(opened.facts.facts)


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"services_provider": "Example Guard"}, "services.offered_to: &#x27;&#x27; is not known"),
        ({"services_offered_to": "everyone"}, "services.months: missing"),
        ({**FILLED, "services_months": "two years"}, "services.months: &#x27;two years&#x27;"),
        ({"delay_reason": "[[brand]]"}, "delay_reason: double brackets"),
    ],
)
def test_what_does_not_hold_is_refused_beside_its_box(desk: Client, opened: Incident, changed: dict[str, Any], line: str) -> None:
    page = saved(desk, opened, **changed)
    assert line in page and opened.fact_versions.count() == 1
    assert f'id="{place_of(line)}"' in page


def test_the_boxes_have_words_for_everything_that_can_be_recorded() -> None:
    assert set(OFFERED) == set(OFFERED_TO) and set(TEXT_LABELS) == {*TEXTS, "parent_company"}
    assert set(SERVICE_LABELS) == {"provider", "months", "enrolment"}


def test_what_the_letters_lack_leads_to_boxes_that_the_facts_have() -> None:
    (line,) = _ways(Incident(pk=7), LettersIncomplete(dict.fromkeys(BOXES, frozenset({"notice/en"}))))
    found = dict(re.findall(r'#id_(\w+)">([^<]+)</a>', line))
    form = FactsForm()
    assert len(found) == len(BOXES) and {box for box in found if box not in form.fields} == set()
    labels = {name: html.unescape(label).split(": ")[-1].lower() for name, label in found.items()}
    assert {name for name, label in labels.items() if label not in str(form.fields[name].label).lower()} == set()
