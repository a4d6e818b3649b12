"""The campaign's life: what must be done before the freeze, whose two signatures, and what may follow what."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from incidents.audit.log import database_now
from incidents.dispatch import sweeping, witnessing
from incidents.dispatch.campaign import (
    CampaignRefused,
    close,
    freeze,
    pause,
    release,
    resume,
    send_test,
    stop,
)
from incidents.dispatch.channels.inbox import read_inbox_message
from incidents.dispatch.conservation import count_states
from incidents.dispatch.obstacles import closing_questions, freeze_obstacles
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.witnessing import anchor
from incidents.dispatch.work import dispatch, keep_house
from incidents.letters.approving import ApprovalRefused, approve_content
from incidents.letters.render import make_letters
from incidents.models import Approval, AuditEvent, Campaign, CampaignState, Chunk, InboxMessage, Incident, Message, Obligation
from incidents.models import MessageState as S
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.deadlines import earliest_deadlines, renew_deadlines
from incidents.people.importing import cancel, import_people
from incidents.people.looking import confirm
from incidents.people.opening import amend_facts, check_facts, record_finding
from incidents.people.uploads import receive
from tests.changes import ANNA, LATER, amend
from tests.conftest import CAST, CLAIRE, NOW
from tests.dispatch.campaigns import let_go, states, taken, together

NORA = {**CLAIRE, "person_id": "nora", "customer_number": "C9", "full_name": "Nora", "email": "a@example.org, b@example.org"}


def people(name: str) -> User:
    return User.objects.get(username=name)


# The freeze


def test_an_incident_without_people_law_or_letters_names_all_that_is_missing(incident: Incident) -> None:
    text = "\n".join(freeze_obstacles(incident=incident))
    for part in ("import the list", "The law has not been asked", "There are no letters yet"):
        assert part in text


def test_a_queue_entry_without_a_decision_stops_the_freeze(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=incident, path=write_list(*CAST, NORA), author=officer)
    assert any(line.startswith("1 queue entries have no decision") for line in freeze_obstacles(incident=incident))


def test_a_list_that_arrived_and_is_not_imported_stops_the_freeze_until_it_is_given_up(assessed: Incident, officer: User) -> None:
    later = receive(incident=assessed, chunks=[b"full_name,email,country\nLate,late@example.org,FR\n"], author=officer)
    said = f"Uploaded and not imported: list {later.pk}; confirm the columns there, or give up what is not wanted."
    assert said in freeze_obstacles(incident=assessed)
    confirm(batch=later, author=officer, mapping={"full_name": "full_name", "email": "email", "country": "stated_country"})
    assert any(f"Being imported: list {later.pk}; wait for it" in line for line in freeze_obstacles(incident=assessed))
    cancel(batch=later, author=officer)
    assert not any("mported: list" in line for line in freeze_obstacles(incident=assessed))


def test_open_questions_of_the_law_stop_the_freeze(imported: Incident, officer: User) -> None:
    assess_incident(incident=imported, author=officer)
    assert any(line.startswith("Decisions are missing for") for line in freeze_obstacles(incident=imported))


def test_facts_newer_than_the_letters_stop_the_freeze(assessed: Incident, officer: User, facts: dict[str, Any]) -> None:
    changed = check_facts({**facts, "contained": not facts.get("contained")}, now=NOW)
    amend_facts(incident=assessed, facts=changed, author=officer, reason="new knowledge")
    (line,) = freeze_obstacles(incident=assessed)
    assert line.startswith("3 letters no longer say what is known (fact contained). Make the letters again")
    make_letters(incident=assessed, author=officer)
    assert freeze_obstacles(incident=assessed) == []


def test_facts_newer_than_the_law_stop_the_freeze_until_it_was_asked_again(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, encrypted=True)
    law, letters = freeze_obstacles(incident=assessed)
    assert law.startswith("1 duties towards 1 people would be different (fact encrypted). Ask the law again")
    assert letters.startswith("1 letters no longer say what is known")
    assess_incident(incident=assessed, author=officer)
    make_letters(incident=assessed, author=officer)
    assert freeze_obstacles(incident=assessed) == []


def test_people_about_whom_the_law_was_not_asked_stop_the_freeze(
    assessed: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=assessed, path=write_list(ANNA), author=officer)
    assert any(line.startswith("1 duties towards 1 people") for line in freeze_obstacles(incident=assessed))
    with pytest.raises(CampaignRefused, match="people"):
        freeze(incident=assessed, author=officer)


def test_another_number_of_people_than_the_facts_say_must_be_explained(
    assessed: Incident, officer: User, facts: dict[str, Any]
) -> None:
    amend_facts(
        incident=assessed, facts=check_facts({**facts, "expected_people": 40}, now=NOW), author=officer, reason="the count"
    )
    assess_incident(incident=assessed, author=officer)
    make_letters(incident=assessed, author=officer)
    assert any(
        "speak of 40 people, the lists of 3: say why under Findings" in line for line in freeze_obstacles(incident=assessed)
    )
    record_finding(incident=assessed, key="count_difference", value="explained", reason="doubles", author=officer)
    assert not any("speak of" in line for line in freeze_obstacles(incident=assessed))


def test_a_refused_freeze_says_everything_at_once_and_changes_nothing(incident: Incident, officer: User) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(CampaignRefused) as refusal:
        freeze(incident=incident, author=officer)
    assert refusal.value.lines == tuple(freeze_obstacles(incident=incident))
    assert len(refusal.value.lines) >= 3
    assert (Campaign.objects.count(), AuditEvent.objects.count()) == (0, before)


def test_a_register_is_frozen_once(frozen: Campaign, officer: User) -> None:
    with pytest.raises(CampaignRefused, match="frozen already"):
        freeze(incident=frozen.incident, author=officer)
    assert Campaign.objects.count() == 1


def test_the_frozen_register_has_everybody_once_and_nothing_is_ready(frozen: Campaign) -> None:
    assert frozen.people == frozen.register.count() == 3
    assert count_states(campaign=frozen) == {S.PLANNED: 3}
    assert len(frozen.register_root) == len(frozen.letters_root) == 64
    assert sorted(frozen.register.values_list("person__reference", flat=True)) == ["carl", "claire", "yuki"]


def test_letters_can_no_longer_be_made_once_they_are_frozen(frozen: Campaign, officer: User) -> None:
    with pytest.raises(Exception, match="new campaign"):
        make_letters(incident=frozen.incident, author=officer)


# The signatures


def test_whoever_wrote_or_froze_cannot_approve_and_the_refusal_is_in_the_log(frozen: Campaign, officer: User) -> None:
    with pytest.raises(ApprovalRefused, match="somebody who edited none of it"):
        approve_content(campaign=frozen, author=officer, reason="fine")
    assert not Approval.objects.exists()
    assert AuditEvent.objects.get(action="approval.refused").actor == "officer"


def test_the_release_without_an_approval_is_refused(frozen: Campaign, officer: User) -> None:
    with pytest.raises(ApprovalRefused, match="not approved yet"):
        release(campaign=frozen, author=officer, reason="go")


def test_the_approver_cannot_release(frozen: Campaign, counsel: User) -> None:
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    with pytest.raises(ApprovalRefused, match="somebody else has to release"):
        release(campaign=frozen, author=counsel, reason="go")
    assert count_states(campaign=frozen) == {S.PLANNED: 3}


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_a_signature_needs_its_reason(frozen: Campaign, officer: User, counsel: User, reason: str) -> None:
    with pytest.raises(ApprovalRefused, match="reason"):
        approve_content(campaign=frozen, author=counsel, reason=reason)
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    with pytest.raises(ApprovalRefused, match="reason"):
        release(campaign=frozen, author=officer, reason=reason)


def test_two_releases_at_once_make_one_dispatch(five_frozen: Campaign) -> None:
    officer = people("officer")
    approve_content(campaign=five_frozen, author=people("counsel"), reason="read")
    five_frozen.refresh_from_db()
    results = together(*[lambda: release(campaign=five_frozen, author=officer, reason="go")] * 4)
    assert sum(isinstance(result, Campaign) for result in results) == 1
    assert sum(isinstance(result, ApprovalRefused) for result in results) == 3
    assert Approval.objects.filter(kind="release").count() == 1
    assert AuditEvent.objects.filter(action="release.approved").count() == 1


def test_two_approvals_at_once_are_one(five_frozen: Campaign) -> None:
    counsel = people("counsel")
    results = together(*[lambda: approve_content(campaign=five_frozen, author=counsel, reason="read")] * 3)
    assert sum(isinstance(result, Approval) for result in results) == 1
    assert AuditEvent.objects.filter(action="content.approved").count() == 1


def test_the_release_makes_everything_ready_and_claims_nothing_by_itself(released: Campaign) -> None:
    assert released.state == CampaignState.DISPATCHING
    assert count_states(campaign=released) == {S.READY: 3}
    assert not Chunk.objects.exists()


# Pause, stop, close


@pytest.mark.parametrize("step", [pause, resume, stop])
def test_every_switch_needs_a_reason(released: Campaign, officer: User, step: Callable[..., Campaign]) -> None:
    if step is resume:
        pause(campaign=released, author=officer, reason="wait")
    with pytest.raises(CampaignRefused, match="reason"):
        step(campaign=released, author=officer, reason=" ")


def test_a_step_that_does_not_fit_is_refused_in_words(frozen: Campaign, officer: User) -> None:
    for step in (pause, resume):
        with pytest.raises(CampaignRefused, match="'frozen'; this step does not fit"):
            step(campaign=frozen, author=officer, reason="why not")
    stop(campaign=frozen, author=officer, reason="wrong list")
    assert count_states(campaign=frozen) == {S.CANCELLED: 3}
    for step in (pause, resume, stop):
        with pytest.raises(CampaignRefused, match="does not fit"):
            step(campaign=frozen, author=officer, reason="why not")


def test_a_stopped_campaign_can_be_neither_approved_nor_released(frozen: Campaign, officer: User, counsel: User) -> None:
    stop(campaign=frozen, author=officer, reason="wrong list")
    frozen.refresh_from_db()
    for step, who in ((approve_content, counsel), (release, officer)):
        with pytest.raises(ApprovalRefused):
            step(campaign=frozen, author=who, reason="go")


def test_a_campaign_with_questions_cannot_be_closed_and_they_are_all_named(five: Campaign) -> None:
    dispatch(campaign=five)
    with pytest.raises(CampaignRefused) as refusal:
        close(campaign=five, author=people("officer"), reason="done")
    text = "\n".join(refusal.value.lines)
    assert "1 person is 'needs another channel'" in text
    assert "has not been notified" in text
    assert Campaign.objects.get().state == CampaignState.DRAINED


def test_a_campaign_without_questions_is_closed_with_one_entry(released: Campaign, officer: User) -> None:
    incident = released.incident
    released.messages.update(state=S.SENDING)
    released.messages.update(state=S.ACCEPTED)
    released.messages.update(state=S.DELIVERED)
    released.state = CampaignState.DRAINED
    released.save(update_fields=["state"])
    for duty in incident.obligations.filter(owed="yes", cohort=None).exclude(addressee="person"):
        when = min(duty.due_at or database_now(), database_now()) - timedelta(hours=1)
        record_filing(obligation=duty, filed_at=when, reference="R-1", author=officer)
    incident.obligations.filter(owed="ask").update(superseded=True)
    assert closing_questions(campaign=released) == []
    close(campaign=released, author=officer, reason="everybody knows")
    assert Campaign.objects.get().state == CampaignState.CLOSED
    written = AuditEvent.objects.filter(action__startswith="campaign.").order_by("id").values_list("action", flat=True)
    assert list(written) == ["campaign.closed"]


def test_a_campaign_is_not_closed_over_obligations_that_no_longer_follow(released: Campaign, officer: User) -> None:
    amend(released.incident, officer, encrypted=True)
    assert any("no longer follow from what is known. Ask the law again" in line for line in closing_questions(campaign=released))
    assess_incident(incident=released.incident, author=officer)
    assert not any("no longer follow" in line for line in closing_questions(campaign=released))


def test_a_running_campaign_cannot_be_closed(released: Campaign, officer: User) -> None:
    with pytest.raises(CampaignRefused):
        close(campaign=released, author=officer, reason="done")


# A test to oneself


def test_a_test_letter_to_oneself_is_marked_and_counted_nowhere(frozen: Campaign, officer: User) -> None:
    letter = frozen.incident.letters.filter(language="fr").first()
    assert letter
    before = count_states(campaign=frozen)
    send_test(letter=letter, author=officer, to="officer@cartier.example")
    stored = InboxMessage.objects.get()
    mail = read_inbox_message(message=stored)
    assert (stored.is_test, stored.pending_event) == (True, "")
    assert mail["To"] == "officer@cartier.example"
    assert mail["Subject"].startswith("[Test] ")
    assert "Claire Dubois" in mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert count_states(campaign=frozen) == before
    assert not frozen.messages.filter(message_ref=stored.message_ref).exists()
    entry = AuditEvent.objects.get(action="access.viewed")
    assert entry.subject
    assert "officer@cartier.example" not in entry.line


def test_test_letters_do_not_keep_a_campaign_from_draining(five_frozen: Campaign) -> None:
    letter = five_frozen.incident.letters.filter(language="fr").first()
    assert letter
    send_test(letter=letter, author=people("officer"), to="officer@cartier.example")
    dispatch(campaign=let_go(five_frozen))
    assert Campaign.objects.get().state == CampaignState.DRAINED
    assert states(five_frozen)[S.DELIVERED] == 4


def test_letters_that_wait_follow_a_deadline_that_changed_after_the_freeze(frozen: Campaign) -> None:
    """As if each law named a day; what is over keeps the one that it had."""
    waits, over = frozen.messages.order_by("id")[:2]
    Message.objects.update(due_at=NOW)
    Message.objects.filter(pk=over.pk).update(state=S.CANCELLED)
    laws = Obligation.objects.filter(incident=frozen.incident, addressee="person")
    laws.update(owed="yes", due_at=NOW + timedelta(days=3))
    laws.filter(cohort=waits.entry.person.cohort).update(due_at=NOW + timedelta(days=2))

    assert renew_deadlines(incident=frozen.incident) == frozen.messages.count() - 1
    assert renew_deadlines(incident=frozen.incident) == 0
    assert {one.due_at for one in frozen.messages.exclude(pk__in=[waits.pk, over.pk])} <= {NOW + timedelta(days=3), None}
    waits.refresh_from_db()
    over.refresh_from_db()
    assert (waits.due_at, over.due_at) == (NOW + timedelta(days=2), NOW)


def test_asking_the_law_again_after_the_freeze_moves_the_letters_deadlines(frozen: Campaign, officer: User) -> None:
    Message.objects.update(due_at=NOW)
    assess_incident(incident=frozen.incident, author=officer)
    assert set(frozen.messages.values_list("due_at", flat=True)) == {NOW}, "nothing changed, nothing is touched"
    amend(frozen.incident, officer, anchors={"aware_at": LATER})
    assess_incident(incident=frozen.incident, author=officer)
    wanted = earliest_deadlines(incident=frozen.incident)
    found = {one.pk: one.due_at for one in frozen.messages.all()}
    assert found == {one.pk: wanted.get(one.entry.person.cohort_id or 0) for one in frozen.messages.all()}
    assert NOW not in found.values()


@pytest.mark.parametrize(("drill", "begins"), [(True, "[Drill] Checkpoint of the log"), (False, "Checkpoint of the log")])
def test_the_dpo_s_mail_of_a_drill_is_marked_as_one(five: Campaign, drill: bool, begins: str) -> None:
    Incident.objects.update(is_drill=drill)
    five.incident.refresh_from_db()
    anchor(campaign=five)
    mail = read_inbox_message(message=InboxMessage.objects.get(is_test=True))
    assert mail["subject"].startswith(begins)


# What a release lets go


def ready(campaign: Campaign) -> set[str]:
    return set(campaign.messages.filter(state=S.READY).values_list("entry__person__reference", flat=True))


def test_a_release_frees_the_most_urgent_first_and_housekeeping_ends_one_that_broke_off(
    five_frozen: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days, name in enumerate(("yuki", "sven", "claire"), start=1):
        entry = five_frozen.register.get(person__reference=name)
        five_frozen.messages.filter(entry=entry).update(due_at=NOW + timedelta(days=days))
    five_frozen.messages.exclude(due_at__in=[NOW + timedelta(days=days) for days in (1, 2, 3)]).update(due_at=None)

    def breaks(*_: object) -> None:
        raise RuntimeError("the process ends here")

    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(sweeping, "STEP", 2)
        patch.setattr(sweeping, "behind_of", breaks)
        let_go(five_frozen)
    five_frozen.refresh_from_db()
    assert (five_frozen.state, five_frozen.let_go_at) == (CampaignState.DISPATCHING, None)
    assert ready(five_frozen) == {"yuki", "sven"}
    monkeypatch.setattr(sweeping, "STEP", 1)
    keep_house()
    five_frozen.refresh_from_db()
    assert states(five_frozen) == {S.READY: 5} and five_frozen.let_go_at is not None


def test_a_release_waits_for_nobody_and_whom_it_passed_over_goes_a_little_later(five_frozen: Campaign) -> None:
    held = five_frozen.messages.get(entry__person__reference="carl")
    with closing(connection.copy()) as other:
        other.set_autocommit(False)
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM incidents_message WHERE id = %s FOR UPDATE", [held.pk])
            let_go(five_frozen)
            keep_house()
        five_frozen.refresh_from_db()
        assert ready(five_frozen) == {"claire", "yuki", "hanna", "sven"} and five_frozen.let_go_at is None
        other.rollback()
    keep_house()
    five_frozen.refresh_from_db()
    assert states(five_frozen) == {S.READY: 5} and five_frozen.let_go_at is not None


def test_a_release_needs_a_reason_that_can_be_seen(five_frozen: Campaign) -> None:
    approve_content(campaign=five_frozen, author=people("counsel"), reason="read")
    five_frozen.refresh_from_db()
    with pytest.raises(ApprovalRefused, match="reason in words"):
        release(campaign=five_frozen, author=people("officer"), reason="\u200b\u2060")
    five_frozen.refresh_from_db()
    assert five_frozen.state == CampaignState.CONTENT_APPROVED


@pytest.mark.parametrize("ends", ["unsent", "failed"])
def test_a_letter_that_is_being_sent_follows_a_new_deadline_and_comes_back_with_it(
    five: Campaign, owner: Owner, ends: str
) -> None:
    claimed, new = taken(five, owner), NOW + timedelta(days=9)
    duties = Obligation.objects.filter(incident=five.incident, addressee="person", superseded=False, owed="yes")
    assert duties.update(due_at=new)
    assert renew_deadlines(incident=five.incident) > 0
    finish(claimed=claimed, outcomes=[Outcome(ends, detail="x")] * len(claimed.letters))
    assert states(five) == {S.READY: 5} and renew_deadlines(incident=five.incident) == 0
    assert {one.due_at for one in five.messages.all()} <= {new, None} and five.messages.filter(due_at=new).exists()


def test_a_mail_to_the_witness_that_fails_in_any_way_is_logged_and_holds_up_nothing(
    five: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(_: str) -> None:
        raise RuntimeError("with dpo@cartier.example in its words")

    monkeypatch.setattr(witnessing, "provider_named", breaks)
    anchor(campaign=five)
    five.refresh_from_db()
    entry = AuditEvent.objects.get(action="check.failed")
    assert not five.witnessed_at and "not sent: RuntimeError" in entry.line and "dpo@" not in entry.line


def test_a_person_whom_no_two_people_rejected_stops_the_freeze(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=incident, path=write_list(*CAST), author=officer)
    assert not any("count as rejected" in line for line in freeze_obstacles(incident=incident))
    incident.people.filter(reference=CLAIRE["person_id"]).update(status="rejected")
    assert any("1 people count as rejected, and no two people" in line for line in freeze_obstacles(incident=incident))
