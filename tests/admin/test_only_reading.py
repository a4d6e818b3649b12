"""A sign-in for an auditor sees the masked pages and takes the evidence; it can do nothing else, at the desk or by a command."""

from __future__ import annotations

import io
import re
import sys
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from incidents.admin.urls import PAGES
from incidents.audit.actions import Action
from incidents.letters.approving import approve_content
from incidents.management.operator import user_named
from incidents.models import AuditEvent, Campaign, CampaignState
from incidents.models.refusal import Refused
from incidents.only_reading import only_reads
from tests.admin.case import PERSONAL, at, signed_in

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-password-of-an-auditor"
VALUES = {"kind": "address", "step": "release", "form": "notice", "language": "en", "name": "FR", "state": "held", "pass_": "x"}


def signs_in(monkeypatch: pytest.MonkeyPatch, name: str, **options: Any) -> User:
    monkeypatch.setattr(sys, "stdin", io.StringIO(PASSWORD + "\n"))
    call_command("sign_in", name, **options)
    return User.objects.get(username=name)


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch) -> User:
    return signs_in(monkeypatch, "auditor", read_only=True)


def test_an_auditor_is_refused_every_post_of_the_desk_in_words_and_only_takes_the_evidence(
    auditor: User, campaign: Campaign
) -> None:
    client, before = signed_in(auditor), AuditEvent.objects.count()
    for route, _, name in PAGES:
        keys = re.findall(r"<\w+:(\w+)>", route)
        url = reverse(f"admin:{name}", kwargs={key: VALUES.get(key, campaign.incident_id) for key in keys})
        if name == "bundle":
            continue
        refused = client.post(url, {"reason": "I am only an auditor", "purpose": "to look"})
        assert refused.status_code == 403 and "This sign-in only reads" in refused.content.decode(), name
    refused = client.post(at("incidents_incident_changelist"), {"action": "delete_selected", "_selected_action": "1"})
    assert refused.status_code == 403
    campaign.refresh_from_db()
    assert (campaign.state, AuditEvent.objects.count()) == (CampaignState.FROZEN, before)
    assert client.post(at("bundle", campaign.incident_id))["Content-Type"] == "application/zip"
    assert Action.ACCESS_VIEWED not in AuditEvent.objects.values_list("action", flat=True)


def test_an_auditor_sees_the_masked_pages_and_is_told_that_nothing_can_be_done(auditor: User, campaign: Campaign) -> None:
    client, where = signed_in(auditor), (campaign.incident_id,)
    pages = [at(name, *where) for name in ("desk", "facts", "law", "people", "queues", "letters", "log")]
    for url in ["/admin/", at("incidents_incident_changelist"), at("campaign", *where, campaign.pk), *pages]:
        page = client.get(url)
        body = page.content.decode()
        assert page.status_code == 200 and "This sign-in only reads" in body and "only-reads" in body, url
        assert not [word for word in PERSONAL if word in body], url
        assert at("incidents_incident_add") not in body, url


def test_an_auditor_sees_no_form_to_open_an_incident_and_still_the_preflight_beside_the_release(
    auditor: User, campaign: Campaign, counsel: User, desk: Client
) -> None:
    page = signed_in(auditor).get(at("incidents_incident_add")).content.decode()
    assert "Your sign-in reads only" in page and 'name="title"' not in page
    assert 'name="title"' in desk.get(at("incidents_incident_add")).content.decode()
    approve_content(campaign=campaign, author=counsel, reason="read")
    page = signed_in(auditor).get(at("campaign", campaign.incident_id, campaign.pk)).content.decode()
    form = page.index(f'action="{at("move", campaign.incident_id, campaign.pk, "release")}"')
    assert page.index("Open the preflight") < form, "forms are hidden from who only reads; what they say stands beside them"


def test_what_others_decide_is_not_said_to_be_the_auditors_to_decide(auditor: User, campaign: Campaign, desk: Client) -> None:
    for url in ("/admin/", at("desk", campaign.incident_id)):
        page = signed_in(auditor).get(url).content.decode()
        assert "You decide" not in page and "Others decide" in page, url
        assert "You decide" in desk.get(url).content.decode()


def test_an_auditor_changes_the_own_password(auditor: User) -> None:
    new = {"new_password1": "another-long-password-1", "new_password2": "another-long-password-1"}
    assert signed_in(auditor).post("/admin/password_change/", {"old_password": PASSWORD, **new}).status_code == 302


def test_no_command_does_anything_in_the_name_of_who_only_reads(auditor: User, officer: User) -> None:
    with pytest.raises(Refused, match="only reads"):
        user_named("auditor")
    assert user_named("officer") == officer


def test_who_only_reads_does_so_with_a_new_password_too_and_everybody_else_acts_as_before(
    auditor: User, monkeypatch: pytest.MonkeyPatch, desk: Client
) -> None:
    assert only_reads(signs_in(monkeypatch, "auditor"))
    assert not only_reads(signs_in(monkeypatch, "somebody"))
    body = desk.get("/admin/").content.decode()
    assert "only reads" not in body and at("incidents_incident_add") in body
