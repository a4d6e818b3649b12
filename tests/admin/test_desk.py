"""Who gets into the desk, what a page shows and what it must never show; a look changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.db.backends.utils import CursorWrapper
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import get_resolver, reverse

from incidents.admin import gate, queues
from incidents.admin.refusals import fault
from incidents.admin.urls import PAGES
from incidents.dispatch.campaign import send_test
from incidents.letters.needed import missing_boxes
from incidents.models import AffectedPerson, AuditEvent, Campaign, Incident, Letter
from incidents.models.people import QueueKind
from incidents.people import erased_list
from incidents.people.opening import check_facts, open_incident
from incidents.vault import Vault
from tests.admin.case import PERSONAL, at, posted, signed_in
from tests.conftest import NOW

pytestmark = pytest.mark.django_db


def pages_of(incident: Incident) -> list[str]:
    """Every page that a GET may open, for this incident as it stands."""
    pk, found = incident.pk, [reverse("admin:index"), at("incidents_incident_changelist"), at("incidents_incident_add")]
    found += [at(name, pk) for name in ("desk", "facts", "findings", "law", "people", "queues", "letters", "languages")]
    found += [at(name, pk) for name in ("inbox", "log")]
    found += [at("jurisdiction", pk, "FR"), at("letter_text", pk, "notice", "en"), at("queue", pk, QueueKind.ADDRESS)]
    found += [at("queue", pk, QueueKind.STATE_UNKNOWN) + "?status=held"]
    found += [at("person", pk, person.pk) for person in incident.people.all()[:2]]
    found += [at("letter", pk, letter.pk) for letter in incident.letters.all()[:3]]
    found += [at("inbox_message", pk, mail.pk) for mail in incident.inbox.all()[:2]]
    for one in incident.campaigns.all():
        found += [at("campaign", pk, one.pk), at("progress", pk, one.pk), at("campaign_people", pk, one.pk, "held")]
    return found


def everything() -> dict[str, int]:
    """How many rows each of our tables has."""
    return {model.__name__: model._default_manager.count() for model in apps.get_app_config("incidents").get_models()}


# -- who gets in, and what the browser is told ---------------------------------------------------------------------


def test_every_page_answers_staff_and_sends_everybody_else_to_the_sign_in(desk: Client, campaign: Campaign) -> None:
    outsider = User.objects.create_user("outsider", password="a-long-password")
    for url in pages_of(campaign.incident):
        assert desk.get(url).status_code == 200, url
        for client in (Client(), signed_in(outsider)):
            response = client.get(url)
            assert (response.status_code, response["Location"].split("?")[0]) == (302, "/admin/login/"), url


def test_every_page_stands_on_an_empty_database_and_on_an_incident_without_people(desk: Client, officer: User) -> None:
    assert desk.get("/admin/").status_code == 200


def test_an_incident_without_people_has_pages_too(desk: Client, opened: Incident) -> None:
    for name in ("desk", "facts", "findings", "law", "people", "queues", "letters", "languages", "campaigns", "inbox", "log"):
        assert desk.get(at(name, opened.pk)).status_code == 200, name
    assert "Import the list of people" in desk.get("/admin/").content.decode()


def test_a_page_of_another_incident_is_not_found(desk: Client, campaign: Campaign) -> None:
    stranger = 999_999
    letter, person = Letter.objects.first(), AffectedPerson.objects.first()
    assert letter and person
    for url in (
        at("desk", stranger),
        at("person", stranger, person.pk),
        at("letter", stranger, letter.pk),
        at("campaign", stranger, campaign.pk),
        at("queue", campaign.incident.pk, "no-such-queue"),
        at("campaign_people", campaign.incident.pk, campaign.pk, "no-such-state"),
        at("letter_text", campaign.incident.pk, "notice", "tlh"),
    ):
        assert desk.get(url).status_code == 404, url


def test_the_policy_of_every_page_forbids_inline_and_eval(desk: Client, campaign: Campaign) -> None:
    for url in pages_of(campaign.incident):
        response = desk.get(url)
        policy = response["Content-Security-Policy"]
        body = re.sub(r'="[^"]*"', '=""', response.content.decode())
        assert "default-src 'self'" in policy and "unsafe" not in policy, url
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|<[^>]*\s(style|on\w+)=", body), url


def test_what_people_typed_is_shown_as_text(desk: Client, campaign: Campaign) -> None:
    for url in pages_of(campaign.incident):
        assert "<img src=x" not in desk.get(url).content.decode(), url
    assert "&lt;img src=x" in desk.get(at("desk", campaign.incident.pk)).content.decode()


# -- what must not be seen -----------------------------------------------------------------------------------------


def test_no_page_shows_personal_data_before_a_purpose_is_given(desk: Client, campaign: Campaign) -> None:
    letter = Letter.objects.first()
    assert letter
    send_test(letter=letter, author=User.objects.get(username="officer"), to="officer@example.com")
    for url in pages_of(campaign.incident):
        body = desk.get(url).content.decode()
        for secret in PERSONAL:
            assert secret not in body, f"{secret} on {url}"


def test_a_person_is_shown_only_for_a_purpose_that_stands_in_the_log(desk: Client, case: Incident) -> None:
    person = case.people.get(reference="claire")
    assert "purpose" in posted(desk, "reveal", case.pk, person.pk, purpose="  ")
    response = desk.post(at("reveal", case.pk, person.pk), {"purpose": "the client called"})
    assert "Claire Dubois" in desk.get(response["Location"]).content.decode()
    assert not any(secret in response["Location"] for secret in PERSONAL)
    entry = AuditEvent.objects.get(action="access.viewed")
    assert (entry.subject, entry.actor) == (person.subject, "officer")
    assert "the client called" in entry.line and "Dubois" not in entry.line


def test_a_pass_opens_for_nobody_else_and_nothing_else(desk: Client, case: Incident, counsel: User) -> None:
    claire, yuki = case.people.get(reference="claire"), case.people.get(reference="yuki")
    url = desk.post(at("reveal", case.pk, claire.pk), {"purpose": "a call"})["Location"]
    assert signed_in(counsel).get(url).status_code == 302
    assert desk.get(url.replace(f"/{claire.pk}/open", f"/{yuki.pk}/open")).status_code == 302
    assert desk.get(url[:-5] + "AAAA/").status_code == 302


@pytest.fixture
def came_back(case: Incident) -> Iterator[AffectedPerson]:
    """Claire, whom the list outside of the database calls erased: the database was put back from a backup."""
    claire, listed = case.people.get(reference="claire"), erased_list.file_of(incident=case)
    yield claire
    listed.unlink(missing_ok=True)


def test_who_was_erased_and_came_back_with_a_backup_is_shown_for_no_purpose(
    desk: Client, case: Incident, came_back: AffectedPerson
) -> None:
    earlier = desk.post(at("reveal", case.pk, came_back.pk), {"purpose": "a call"})["Location"]
    assert "Claire Dubois" in desk.get(earlier).content.decode()
    erased_list.append(incident=case, subjects=[came_back.subject])
    entries = AuditEvent.objects.filter(action="access.viewed").count()
    assert "erase --replay" in posted(desk, "reveal", case.pk, came_back.pk, purpose="another call")
    assert AuditEvent.objects.filter(action="access.viewed").count() == entries
    # The pass from before is not over yet.
    page = desk.get(earlier, follow=True)
    assert page.redirect_chain == [(at("person", case.pk, came_back.pk), 302)]
    assert "erase --replay" in page.content.decode() and "Claire Dubois" not in page.content.decode()


def test_an_address_finds_its_person_without_standing_in_the_url(desk: Client, case: Incident) -> None:
    person = case.people.get(reference="yuki")
    response = desk.post(at("find_person", case.pk), {"address": "yuki@Example.NET"})
    assert response["Location"] == at("person", case.pk, person.pk)
    assert "Nobody" in posted(desk, "find_person", case.pk, address="nobody@example.org")
    further = Vault(incident=case).blind(kind="email", value="yuki@work.example")
    AffectedPerson.objects.filter(pk=person.pk).update(other_email_indexes=[further])
    assert desk.post(at("find_person", case.pk), {"address": "yuki@work.example"})["Location"] == at("person", case.pk, person.pk)


# -- a look never writes -------------------------------------------------------------------------------------------


def test_a_get_changes_nothing(desk: Client, campaign: Campaign) -> None:
    desk.get(at("log", campaign.incident.pk))
    before = everything()
    for url in pages_of(campaign.incident):
        desk.get(url)
    assert everything() == before


def test_acts_are_posts(desk: Client, campaign: Campaign) -> None:
    reads = {"incidents_incident_add", "facts", "letter_text"}
    values = {"kind": "address", "step": "release", "form": "notice", "language": "en", "name": "FR", "state": "held"}
    acts = 0
    for route, _, name in PAGES:
        keys = re.findall(r"<\w+:(\w+)>", route)
        url = reverse(f"admin:{name}", kwargs={key: values.get(key, campaign.incident.pk) for key in keys})
        if desk.get(url).status_code == 405:
            acts += 1
        elif name not in reads:
            assert desk.post(url).status_code == 405, url
    assert acts == 35


def test_the_inbox_counts_no_table(desk: Client, campaign: Campaign) -> None:
    with CaptureQueriesContext(
        connection,
    ) as queries:
        desk.get(at("inbox", campaign.incident.pk))
    assert not any("COUNT(" in query["sql"] for query in queries)


# -- a database that is away for a moment --------------------------------------------------------------------------


@contextmanager
def failing(cause: Exception) -> Iterator[None]:
    """Every statement fails as Django says it."""

    def execute(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection at 10.0.0.7") from cause

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CursorWrapper, "execute", execute)
        yield


@pytest.mark.parametrize(
    "cause", [psycopg.OperationalError("lost"), psycopg.errors.AdminShutdown("x"), psycopg.errors.CannotConnectNow("x")]
)
def test_while_the_database_restarts_the_desk_says_so_in_plain_words(
    desk: Client, case: Incident, cause: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(cause):
        shown = desk.get(at("desk", case.pk))
        saved = desk.post(at("facts", case.pk), {"reason": "x"})
    for response in (shown, saved):
        page = response.content.decode()
        assert (response.status_code, response["Retry-After"]) == (503, "60")
        assert "The database is not reachable" in page and "Nothing is lost" in page and "in a minute" in page
        assert "10.0.0.7" not in page and "Traceback" not in page and "OperationalError" not in page
    assert desk.get(at("desk", case.pk)).status_code == 200
    told = [record.getMessage() for record in caplog.records if record.name == "incidents.admin.away"]
    assert told == ["the database is away: OperationalError"] * 2, "for whoever watches the log, by its type only"


def test_a_database_that_answers_and_refuses_is_not_called_away(desk: Client, case: Incident) -> None:
    with failing(psycopg.errors.LockNotAvailable("x")), pytest.raises(OperationalError):
        desk.get(at("desk", case.pk))


class UndoneOnce:
    """A decision that the database undoes in favour of somebody else, so many times."""

    def __init__(self, times: int, cause: Exception) -> None:
        self.times, self.cause, self.called = times, cause, 0

    def __call__(self, **_: object) -> int:
        self.called += 1
        if self.called <= self.times:
            raise OperationalError("deadlock detected DETAIL: Process 7 waits for claire@example.org") from self.cause
        return 1


@pytest.mark.parametrize("cause", [psycopg.errors.DeadlockDetected("x"), psycopg.errors.SerializationFailure("x")])
def test_a_decision_that_the_database_undid_beside_another_one_is_taken_once_more(
    desk: Client, case: Incident, monkeypatch: pytest.MonkeyPatch, cause: Exception
) -> None:
    waits = case.queue.filter(status="open").order_by("id")[0]
    said_by_hand = {"entry": waits.pk, "do": "hold", "until": "2030-01-01", "reason": "asked"}
    for times, calls, words in ((1, 2, "1 entry held until"), (2, 2, "Somebody else was changing the same")):
        undone = UndoneOnce(times, cause)
        monkeypatch.setattr(queues, "hold", undone)
        told = posted(desk, "decide", case.pk, waits.kind, **said_by_hand)
        assert words in told and undone.called == calls and "claire" not in told


def test_what_may_have_done_more_than_one_step_is_not_done_again_by_itself(
    desk: Client, campaign: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone = UndoneOnce(1, psycopg.errors.DeadlockDetected("x"))
    monkeypatch.setattr(gate, "preflight", undone)
    told = posted(desk, "preflight_make", campaign.incident_id, campaign.pk)
    assert told.startswith("Somebody else was changing the same") and undone.called == 1


@pytest.mark.parametrize(("cause", "status"), [(psycopg.OperationalError("lost"), 503), (psycopg.errors.DiskFull("x"), 500)])
def test_what_fails_outside_a_view_is_told_likewise(cause: Exception, status: int) -> None:
    request = RequestFactory().get("/admin/")
    try:
        raise OperationalError("gone") from cause
    except OperationalError:
        page = fault(request)
        assert page.status_code == status and b"either saved whole or not at all" in page.content
    assert get_resolver().resolve_error_handler(500) is fault


def test_the_queue_of_unknown_states_reads_the_facts_not_anew_for_every_place_of_everybody(desk: Client, case: Incident) -> None:
    with CaptureQueriesContext(connection) as asked:
        page = desk.get(at("queue", case.pk, "state_unknown")).content.decode()
    assert "might apply" in page and "US-CA" in page
    facts = [one for one in asked.captured_queries if 'FROM "incidents_factversion"' in one["sql"]]
    assert len(facts) < 10, f"{len(facts)} times for some fifty possible places"


def test_what_no_letter_can_do_without_is_asked_for_on_the_desk_and_at_the_box_before_letters_are_made(
    officer: User, facts: dict[str, Any]
) -> None:
    without = {**facts["controller"], "phone_hours": "", "legal_address": ""}
    without = {name: value for name, value in without.items() if not name.startswith(("phone_hours_", "legal_address_"))}
    incident, desk = (
        open_incident(facts=check_facts({**facts, "controller": without}, now=NOW), author=officer),
        signed_in(officer),
    )
    page = desk.get(at("desk", incident.pk)).content.decode()
    assert "Fill in &#x27;Legal address&#x27; and &#x27;Telephone hours&#x27; under Facts: no letter can be made without" in page
    assert desk.get(at("facts", incident.pk)).content.decode().count("Needed before letters can be made") == 2
    assert missing_boxes(incident=incident) == ["Legal address", "Telephone hours"]


def test_a_complete_incident_is_not_asked_for_what_letters_need(desk: Client, case: Incident) -> None:
    assert "no letter can be made without" not in desk.get(at("desk", case.pk)).content.decode()
