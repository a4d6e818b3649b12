"""A facts page that another version has overtaken takes nothing back that its reader never saw."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.models import Incident
from tests.admin.case import at, signed_in
from tests.admin.test_acts import form_of

pytestmark = pytest.mark.django_db

MOVED = "2025-05-30T12:00"


def moved(desk: Client, incident: Incident) -> dict[str, str]:
    """Counsel's page, opened and typed into before the officer moved the clock."""
    typed = form_of(incident, reason="the hours changed", controller_phone_hours="Mon to Sat, 8 to 20")
    answer = desk.post(at("facts", incident.pk), form_of(incident, reason="the log was read", anchors_aware_at=MOVED))
    assert answer.status_code == 302 and incident.facts.number == 2
    return typed


def test_a_page_opened_before_another_version_saves_nothing_and_names_who_saved_what(
    desk: Client, opened: Incident, counsel: User
) -> None:
    typed = moved(desk, opened)
    answer = signed_in(counsel).post(at("facts", opened.pk), typed)
    page = answer.content.decode()
    assert answer.status_code == 200 and opened.facts.number == 2
    assert opened.facts.facts["anchors"]["aware_at"].startswith(MOVED), "the legal clock stays where the officer put it"
    assert re.search(r"<title>\s*Refused: ", page) and len(re.findall("data-refused", page)) == 1, "told as every refusal is"
    assert "Nothing was saved: version 2 came in between" in page and "officer saved version 2" in page
    assert "Aware, Telephone hours" in page or "Telephone hours, Aware" in page
    rows = dict(re.findall(r'<tr><th scope="row"><a href="#id_(\w+)">.*?</th>(.*?)</tr>', page))
    assert set(rows) == {"anchors_aware_at", "controller_phone_hours"}
    assert "not touched by you" in rows["anchors_aware_at"] and "30 May 2025, 12:00" in rows["anchors_aware_at"]
    assert "not touched by you" not in rows["controller_phone_hours"]
    assert 'value="Mon to Sat, 8 to 20"' in page and 'value="the hours changed"' in page, "what was typed stays"


def test_beside_another_zone_each_version_is_shown_by_its_own_clocks_as_the_boxes_are(
    desk: Client, opened: Incident, counsel: User
) -> None:
    typed = form_of(opened, reason="the hours changed", controller_phone_hours="Mon to Sat, 8 to 20")
    desk.post(at("facts", opened.pk), form_of(opened, reason="it was New York", zone="America/New_York"))
    page = signed_in(counsel).post(at("facts", opened.pk), typed).content.decode()
    rows = dict(re.findall(r'<tr><th scope="row"><a href="#id_(\w+)">.*?</th>(.*?)</tr>', page))
    cells = re.findall(r"<td[^>]*>(.*?)(?: <span.*?)?</td>", rows["anchors_aware_at"])
    assert [cell.partition(", ")[2] for cell in cells] == ["11:00 CEST", "11:00 EDT", "11:00 CEST"]
    assert 'name="anchors_aware_at" value="2025-05-30T11:00"' in page, "what is said of the box is what stands in it"
    desk.post(at("facts", opened.pk), form_of(opened, reason="the clocks agree", zone="Europe/Zurich"))
    page = signed_in(counsel).post(at("facts", opened.pk), typed).content.decode()
    assert set(re.findall(r'<tr><th scope="row"><a href="#id_(\w+)">', page)) == {
        "zone",
        "controller_phone_hours",
    }, "one moment in two zones is no difference"


def test_the_second_tab_of_one_user_is_refused_alike(desk: Client, opened: Incident) -> None:
    assert "version 2 came in between" in desk.post(at("facts", opened.pk), moved(desk, opened)).content.decode()
    assert opened.facts.number == 2


def test_over_a_newer_version_one_saves_only_knowingly_and_only_over_the_one_that_was_read(
    desk: Client, opened: Incident
) -> None:
    typed = {**moved(desk, opened), "anchors_aware_at": MOVED}
    page = desk.post(at("facts", opened.pk), typed).content.decode()
    again = {**typed, "version": re.findall(r'name="version" value="(\d+)"', page)[0]}
    desk.post(at("facts", opened.pk), again)
    assert opened.facts.number == 2, "sent once more without a word is still not saved"
    desk.post(at("facts", opened.pk), {**again, "over": "1"})
    assert opened.facts.number == 2
    assert desk.post(at("facts", opened.pk), {**again, "over": "2"}).status_code == 302
    assert opened.facts.number == 3 and opened.facts.facts["controller"]["phone_hours"] == "Mon to Sat, 8 to 20"
    assert opened.facts.facts["anchors"]["aware_at"].startswith(MOVED)


def test_a_page_that_names_no_version_saves_nothing(desk: Client, opened: Incident) -> None:
    typed = form_of(opened, reason="seen again", elements_phone="exposed")
    del typed["version"]
    assert "Nothing was saved" in desk.post(at("facts", opened.pk), typed).content.decode()
    assert opened.facts.number == 1


def test_a_refusal_for_another_reason_does_not_make_the_page_newer(desk: Client, opened: Incident) -> None:
    typed = moved(desk, opened)
    page = desk.post(at("facts", opened.pk), {**typed, "controller_sender_email": "two@x.org, three@x.org"}).content.decode()
    assert "is not one e-mail address" in page and 'name="version" value="1"' in page
