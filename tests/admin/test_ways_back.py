"""Whoever posts without a session, from an old form or to nowhere reads in words that nothing was done, and finds the way back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from incidents.admin.urls import PAGES
from incidents.models import Campaign, CampaignState, Incident
from tests.admin.case import at, signed_in

pytestmark = pytest.mark.django_db
VALUES = {"kind": "address", "step": "release", "form": "notice", "language": "en", "name": "FR", "state": "held", "pass_": "x"}
HERE = "http://testserver"


def addresses(number: int) -> Iterator[tuple[str, str]]:
    """Name and address of everything in incidents/admin/urls.py; what it names need not be there."""
    for route, _, name in PAGES:
        keys = re.findall(r"<\w+:(\w+)>", route)
        yield name, reverse(f"admin:{name}", kwargs={key: VALUES.get(key, number) for key in keys})


def acts(desk: Client, number: int) -> list[tuple[str, str]]:
    """Those that only take a post."""
    return [(name, url) for name, url in addresses(number) if desk.get(url).status_code == 405]


def desk_of(name: str, url: str, incident: Incident) -> str:
    """Where an act leads back to when nobody says where its form stood."""
    if "/staff/" in url or name == "logout":
        return "/admin/"
    return at("findings" if name == "find" else "desk", incident.pk)


def words(response: HttpResponse) -> str:
    body = response.content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|<[^>]*\s(style|on\w+)=", re.sub(r'="[^"]*"', '=""', body))
    assert "unsafe" not in response["Content-Security-Policy"]
    return body


def next_of(response: HttpResponse) -> str:
    """Where a redirect to the sign-in leads afterwards; it says that the session had ended."""
    assert response.status_code == 302
    there = urlsplit(response["Location"])
    asked = parse_qs(there.query)
    assert (there.path, asked["ended"]) == ("/admin/login/", ["1"])
    return asked["next"][0]


def test_every_act_posted_without_a_session_leads_to_the_sign_in_and_then_to_the_page_of_its_form(
    desk: Client, opened: Incident
) -> None:
    form, found = at("queue", opened.pk, "address") + "?status=held", acts(desk, opened.pk)
    assert len(found) == 35
    for name, url in found:
        assert next_of(Client().post(url, {"reason": "x"}, headers={"Referer": HERE + form})) == form, name
        bare = next_of(Client().post(url, {"reason": "x"}))
        assert bare == desk_of(name, url, opened), name


def test_the_sign_in_says_that_nothing_was_done_and_leads_back(campaign: Campaign, officer: User) -> None:
    where = (campaign.incident_id, campaign.pk)
    client, page = Client(), at("campaign", *where)
    asked = client.post(at("move", *where, "stop"), {"reason": "x"}, headers={"Referer": HERE + page}, follow=True)
    body = words(asked)
    assert "Your session had ended, and what you sent was not done" in body and "<title>Nothing was done" in body
    inside = client.post(asked.redirect_chain[-1][0], {"username": "officer", "password": "officer-password-1", "next": page})
    assert (inside.status_code, inside["Location"]) == (302, page)
    campaign.refresh_from_db()
    assert campaign.state == CampaignState.FROZEN
    assert "session had ended" not in Client().get(page, follow=True).content.decode()


@pytest.mark.parametrize(
    "came_from",
    ["https://elsewhere.example/admin/incidents/incident/1/desk/", "http://testserver/admin/login/?next=/", "javascript:x"],
)
def test_a_way_back_that_is_not_a_page_of_the_desk_is_not_taken(opened: Incident, came_from: str) -> None:
    sent = Client().post(at("decide", opened.pk, "address"), headers={"Referer": came_from})
    assert next_of(sent) == at("desk", opened.pk)


def test_a_form_that_stood_on_the_answer_to_an_act_does_not_lead_back_to_that_act(desk: Client, opened: Incident) -> None:
    act, facts = at("decide", opened.pk, "address"), at("facts", opened.pk)
    assert next_of(Client().post(act, headers={"Referer": HERE + act})) == at("desk", opened.pk)
    assert next_of(Client().post(facts, headers={"Referer": HERE + facts})) == facts


def test_a_form_of_before_the_last_sign_in_is_refused_in_words_with_the_way_back(officer: User, opened: Incident) -> None:
    strict, form = Client(enforce_csrf_checks=True), at("queue", opened.pk, "address")
    strict.force_login(officer)
    for url in (at("decide", opened.pk, "address"), at("upload", opened.pk)):
        refused = strict.post(url, {"csrfmiddlewaretoken": "x" * 64}, headers={"Referer": HERE + form})
        body = words(refused)
        assert refused.status_code == 403 and "was not done" in body and "the last sign-in" in body
        assert f'href="{form}"' in body and 'role="alert"' in body
    assert next_of(Client(enforce_csrf_checks=True).post(form + "decide/", headers={"Referer": HERE + form})) == form


def test_what_is_refused_on_a_later_page_of_a_list_leads_back_to_that_page_and_nowhere_else(
    desk: Client, campaign: Campaign
) -> None:
    incident = campaign.incident_id
    lists = {
        at("decide", incident, "address"): at("queue", incident, "address") + "?status=open",
        at("join_amendment", incident): at("amendments", incident),
        at("decide_letters", incident, campaign.pk, "quarantine"): at("waiting_letters", incident, campaign.pk, "quarantine"),
    }
    for act, first in lists.items():
        later = first + ("&" if "?" in first else "?") + "after=50"
        assert desk.post(act, headers={"Referer": HERE + later})["Location"] == later
        for other in (HERE + at("desk", incident), "https://elsewhere.example" + later, ""):
            assert desk.post(act, headers={"Referer": other})["Location"] == first, other


def test_an_old_sign_in_page_says_to_open_it_again() -> None:
    refused = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "officer", "password": "x"})
    body = words(refused)
    assert refused.status_code == 403 and "You are not signed in" in body and 'href="/admin/login/"' in body


def test_every_act_opened_as_a_page_says_so_in_words_and_leads_to_the_desk(desk: Client, opened: Incident) -> None:
    for name, url in [*acts(desk, opened.pk), ("logout", "/admin/logout/")]:
        page = desk.get(url)
        assert (page.status_code, "POST" in page["Allow"]) == (405, True), name
        back = desk_of(name, url, opened)
        assert "Nothing was done" in words(page) and f'href="{back}"' in page.content.decode(), name


def test_a_page_that_only_shows_takes_nothing_and_says_so(desk: Client, opened: Incident) -> None:
    page = desk.post(at("law", opened.pk))
    assert page.status_code == 405 and "only shows a page" in words(page)


def test_a_page_that_is_not_there_leads_back(desk: Client, officer: User, opened: Incident) -> None:
    lost = {at("person", opened.pk, 999_999): at("desk", opened.pk), at("desk", 999_999): "/admin/", "/nowhere/": "/admin/"}
    for url, back in lost.items():
        page = desk.get(url)
        assert page.status_code == 404 and "Page not found" in words(page) and f'href="{back}"' in page.content.decode(), url
    assert signed_in(officer).get("/admin/nowhere/").status_code == 404
    half = desk.get(f"/admin/incidents/incident/{opened.pk}/campaign/", follow=True)
    assert half.status_code == 404 and "Page not found" in words(half), "Django's own pages of a row are none of ours"
    stranger = Client().get("/nowhere/")
    assert stranger.status_code == 404 and "Log out" not in words(stranger)


def test_the_page_of_the_section_is_the_one_with_the_incidents(desk: Client, opened: Incident) -> None:
    page = desk.get("/admin/incidents/", follow=True)
    assert page.redirect_chain == [("/admin/", 302)] and "There is no incident yet" not in page.content.decode()


def test_who_signs_out_reads_what_goes_on_without_them(desk: Client) -> None:
    body = desk.post("/admin/logout/").content.decode()
    assert "You are signed out" in body and "quality time" not in body
