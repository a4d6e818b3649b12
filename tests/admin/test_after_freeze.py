"""After the freeze, on the desk: amendments, corrections, exclusions by two, merges taken back, holds and erasures."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from incidents.models import (
    AffectedPerson,
    AuditEvent,
    Campaign,
    ErasureState,
    InboxMessage,
    Incident,
    MessageState,
    PersonStatus,
)
from incidents.people import erased_list
from incidents.people.importing import account, import_people
from incidents.vault import Vault
from notifier.celery import app
from tests.admin.case import NORA, PERSONAL, SAM, at, posted, signed_in
from tests.conftest import CAST, NOW

AGAIN = {**CAST[0], "email": "claire.two@example.org"}
AMENDMENT = {"reason": "a second database was found", "aware_at": "2025-06-02T10:00", "zone": "Europe/Paris"}


def person(incident: Incident, reference: str) -> AffectedPerson:
    return incident.people.get(reference=reference)


@pytest.fixture
def merged(opened: Incident, officer: User, write_list: Callable[..., Path]) -> Incident:
    """Claire stands twice on the list, with two addresses."""
    import_people(incident=opened, path=write_list(*CAST, AGAIN, SAM, NORA), author=officer)
    return opened


def test_an_amendment_is_opened_with_its_own_moment_and_shown_on_the_page(desk: Client, campaign: Campaign) -> None:
    incident = campaign.incident
    assert "reason" in posted(desk, "open_amendment", incident.pk, **{**AMENDMENT, "reason": " "})
    assert "future" in posted(desk, "open_amendment", incident.pk, **{**AMENDMENT, "aware_at": "2199-01-01T10:00"})
    assert "Amendment 1 is open" in posted(desk, "open_amendment", incident.pk, **AMENDMENT)
    shown = desk.get(at("amendments", incident.pk)).content.decode()
    assert "a second database was found" in shown
    assert "2 Jun 2025, 08:00" in shown
    assert "only its people go on this register" in desk.get(at("campaigns", incident.pk) + "?next=1").content.decode()


def test_before_a_freeze_there_is_nothing_to_amend(desk: Client, case: Incident) -> None:
    assert "No register is frozen yet" in posted(desk, "open_amendment", case.pk, **AMENDMENT)
    assert "simply imported" in desk.get(at("amendments", case.pk)).content.decode()


def test_a_correction_says_which_of_the_cases_it_is(desk: Client, campaign: Campaign) -> None:
    incident, claire = campaign.incident, person(campaign.incident, "claire")
    where = (incident.pk, claire.pk)
    said = posted(desk, "correct", *where, phone="+33 1 99 00 10 11", reason="she rang")
    assert "The letter that is planned stands as it is." in said and "amendment" not in said
    for state in ("ready", "sending", "accepted", "delivered"):
        campaign.messages.filter(entry__person=claire).update(state=state)
    said = posted(desk, "correct", *where, email="claire.new@example.org", reason="she wrote to us")
    assert "told already and keep that letter" in said and "taken back" not in said


def test_a_correction_before_the_freeze_says_nothing_of_letters(desk: Client, case: Incident) -> None:
    where = (case.pk, person(case, "claire").pk)
    said = posted(desk, "correct", *where, email="claire.new@example.org", reason="she wrote to us")
    assert said.endswith("is kept.")


def test_a_correction_after_the_freeze_keeps_the_version_and_replaces_the_letter(desk: Client, campaign: Campaign) -> None:
    incident, claire = campaign.incident, person(campaign.incident, "claire")
    where = (incident.pk, claire.pk)
    assert "Nothing is filled in" in posted(desk, "correct", *where, reason="typo")
    assert "reason" in posted(desk, "correct", *where, email="claire.new@example.org")
    done = posted(desk, "correct", *where, email="claire.new@example.org", reason="she wrote to us")
    assert "version 1 is kept" in done and "taken back: it goes anew with an amendment" in done
    assert campaign.messages.get(entry__person=claire).state == MessageState.REPLACED
    page = desk.get(at("person", *where)).content.decode()
    assert "emails changed by officer" in page
    assert "claire.new" not in page
    assert "corrected after the freeze" in desk.get(at("amendments", incident.pk)).content.decode()
    posted(desk, "open_amendment", incident.pk, **AMENDMENT)
    assert "Nobody is chosen" in posted(desk, "join_amendment", incident.pk, reason="goes out again")
    assert "1 person joins amendment 1" in posted(desk, "join_amendment", incident.pk, person=claire.pk, reason="goes out again")


def test_an_exclusion_takes_two_people(desk: Client, campaign: Campaign, counsel: User) -> None:
    incident, carl = campaign.incident, person(campaign.incident, "carl")
    assert "Proposed" in posted(desk, "exclude", incident.pk, carl.pk, reason="a test account of the shop")
    exclusion = incident.exclusions.get()
    assert "second" in posted(desk, "decide_exclusion", incident.pk, exclusion.pk, "confirm")
    assert campaign.messages.get(entry__person=carl).state == MessageState.PLANNED
    assert "excluded by two" in posted(signed_in(counsel), "decide_exclusion", incident.pk, exclusion.pk, "confirm")
    assert campaign.messages.get(entry__person=carl).state == MessageState.EXCLUDED
    assert account(incident=incident).adds_up


def test_a_proposal_can_be_taken_back_with_a_reason(desk: Client, campaign: Campaign) -> None:
    incident, carl = campaign.incident, person(campaign.incident, "carl")
    posted(desk, "exclude", incident.pk, carl.pk, reason="a test account of the shop")
    exclusion = incident.exclusions.get()
    assert "reason" in posted(desk, "decide_exclusion", incident.pk, exclusion.pk, "withdraw")
    assert "taken back" in posted(desk, "decide_exclusion", incident.pk, exclusion.pk, "withdraw", reason="he is real")
    assert desk.post(at("decide_exclusion", incident.pk, exclusion.pk, "perhaps")).status_code == 404


def test_a_merge_is_shown_with_its_reason_and_can_be_taken_back(desk: Client, merged: Incident) -> None:
    merge = merged.merges.get()
    before = account(incident=merged)
    shown = desk.get(at("merges", merged.pk)).content.decode()
    assert "same customer number and name" in shown
    assert "claire.two" not in shown
    assert "reason" in posted(desk, "undo_merge", merged.pk, merge.pk)
    assert "a person of their own again" in posted(desk, "undo_merge", merged.pk, merge.pk, reason="mother and daughter")
    after = account(incident=merged)
    assert (after.rows_in, after.merged, after.adds_up) == (before.rows_in, 0, True)
    assert "taken back" in desk.get(at("merges", merged.pk)).content.decode()


def test_what_the_next_run_erases_is_said_with_its_time(desk: Client, case: Incident) -> None:
    posted(desk, "keep", case.pk, "hold", reason="a court asks")
    said = posted(desk, "keep", case.pk, "lift", reason="the court is content")
    assert "within 6 hours" in said and "Erase what waits for nothing any more" in said
    assert app.conf.beat_schedule["retention"]["schedule"] == 6 * 3600


def test_a_wish_for_erasure_waits_for_the_duty_to_tell(desk: Client, campaign: Campaign) -> None:
    incident, yuki = campaign.incident, person(campaign.incident, "yuki")
    assert "reason" in posted(desk, "ask_erasure", incident.pk, yuki.pk)
    assert "duty to tell this person" in posted(desk, "ask_erasure", incident.pk, yuki.pk, reason="by mail of 3 June")
    assert "0 people erased" in posted(desk, "keep", incident.pk, "erase")
    erasure = incident.erasures.get()
    assert "ended" in posted(desk, "end_erasure", incident.pk, erasure.pk, state="withdrawn", reason="she changed her mind")
    erasure.refresh_from_db()
    assert erasure.state == ErasureState.WITHDRAWN
    assert "she changed her mind" in desk.get(at("keeping", incident.pk)).content.decode()


def test_a_hold_stands_until_it_is_lifted_and_both_have_reasons(desk: Client, case: Incident) -> None:
    assert "reason" in posted(desk, "keep", case.pk, "hold")
    assert "The hold stands" in posted(desk, "keep", case.pk, "hold", reason="order of the court of Paris")
    assert "a hold stands" in desk.get(at("keeping", case.pk)).content.decode()
    assert "lifted" in posted(desk, "keep", case.pk, "lift", reason="the case is over")
    assert "No hold stands" in posted(desk, "keep", case.pk, "lift", reason="again")


def test_a_period_of_its_own_needs_days_and_a_reason(desk: Client, case: Incident) -> None:
    assert "whole number" in posted(desk, "keep", case.pk, "period", data_class="people", days="soon", reason="law")
    assert "reason" in posted(desk, "keep", case.pk, "period", data_class="people", days="400")
    assert "400 days" in posted(desk, "keep", case.pk, "period", data_class="people", days="400", reason="limitation of claims")
    assert desk.post(at("keep", case.pk, "burn")).status_code == 404


def test_a_conflict_is_decided_as_one_person_or_two(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    other = {**CAST[0], "person_id": "clara", "full_name": "Clara Dubois", "email": "clara@example.org"}
    import_people(incident=opened, path=write_list(*CAST, other), author=officer)
    entry = opened.queue.get(kind="match_conflict")
    refused = posted(desk, "decide", opened.pk, "match_conflict", do="accept", entry=entry.pk, reason="fine")
    assert "Nothing was decided" in refused and "0 entries" not in refused
    assert "1 person merged" in posted(
        desk, "decide", opened.pk, "match_conflict", do="one", entry=entry.pk, reason="she married"
    )
    assert opened.people.filter(status=PersonStatus.MERGED).count() == 1
    assert account(incident=opened).adds_up


def test_a_minor_gets_a_representative_who_reads_the_letter(
    desk: Client, opened: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    child = {**CAST[0], "person_id": "kim", "customer_number": "C9", "full_name": "Kim Klein", "flags": "minor_under_16"}
    import_people(incident=opened, path=write_list(*CAST, child), author=officer)
    entry = opened.queue.get(kind="guardian")
    said = {"do": "representative", "entry": entry.pk, "reason": "the file of the family", "representative_role": "guardian"}
    assert "goes to the representative" in posted(
        desk, "decide", opened.pk, "guardian", **said, representative_name="Gerda Klein", representative_email="gerda@example.org"
    )
    assert person(opened, "kim").status == PersonStatus.CLEAR


def test_a_letter_of_somebody_whom_a_backup_brought_back_is_opened_nowhere(desk: Client, campaign: Campaign) -> None:
    incident, claire = campaign.incident, person(campaign.incident, "claire")
    letter, ref = incident.letters.get(language="fr"), campaign.messages.get(entry__person=claire).message_ref
    raw = b"To: claire@example.org\nContent-Type: text/html\n\n<p>Dear Claire Dubois</p>"
    sealed = Vault(incident=incident).seal_blob(plain=raw, bound_to=f"inbox|{ref}")
    mail = InboxMessage.objects.create(incident=incident, message_ref=ref, sealed=sealed, received_at=NOW)
    posts = ((at("open_preview", incident.pk, letter.pk), {"person": claire.pk}), (at("open_message", incident.pk, mail.pk), {}))
    pages = [desk.post(url, fields)["Location"] for url, fields in posts]
    frames = [re.findall(r'<iframe[^>]*src="([^"]+)"', desk.get(page).content.decode())[0] for page in pages]
    for url in frames:
        assert "Claire Dubois" in desk.get(url).content.decode()
    erased_list.append(incident=incident, subjects=[claire.subject])
    before = AuditEvent.objects.filter(action="access.viewed").count()
    answers = [desk.get(url) for url in (*pages, *frames)] + [desk.post(url, fields) for url, fields in posts]
    for answer in answers:
        assert "erase --replay" in html.unescape(answer.content.decode())
        assert not any(word in answer.content.decode() for word in PERSONAL)
    assert AuditEvent.objects.filter(action="access.viewed").count() == before, "nothing was seen"
