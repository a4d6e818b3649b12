"""A person is erased and every proof stays; nobody is erased too early, and nobody comes back with a backup."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction

from incidents.audit import log, verify_bundle
from incidents.audit.export import export_evidence
from incidents.dispatch.campaign import freeze, resume, send_test
from incidents.dispatch.channels.inbox import open_inbox_message
from incidents.dispatch.work import dispatch
from incidents.models import (
    AffectedPerson,
    AuditEvent,
    Campaign,
    Erasure,
    ErasureState,
    ImportRow,
    InboxMessage,
    Incident,
    Letter,
    Message,
    ProviderEvent,
    QueueEntry,
)
from incidents.people import erased_list, erasing, shredding
from incidents.people.amending import join, open_amendment
from incidents.people.correcting import correct_person
from incidents.people.erasing import ErasureRefused, NotReplayed, erase_due, erase_person, request_erasure
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.explaining import explain, in_words
from incidents.people.importing import account, import_people
from incidents.people.opening import check_facts, open_incident
from incidents.vault import CannotOpen, Vault
from tests.conftest import CLAIRE, NOW


def reads(person: AffectedPerson) -> AffectedPerson:
    """The person as the database has it now."""
    return AffectedPerson.objects.get(pk=person.pk)


def of(incident: Incident, reference: str) -> AffectedPerson:
    return AffectedPerson.objects.get(incident=incident, reference=reference)


def tell(campaign: Campaign, *references: str) -> None:
    """Letters that arrived, without a provider."""
    found = campaign.messages.filter(entry__person__reference__in=references) if references else campaign.messages.all()
    keys = list(found.values_list("pk", flat=True))
    for state in ("ready", "delivered"):
        Message.objects.filter(pk__in=keys).update(state=state)


def merge(person: AffectedPerson, *, into: AffectedPerson) -> None:
    """A decision that two are one, with their rows."""
    AffectedPerson.objects.filter(pk=person.pk).update(merged_into=into, status="merged")
    ImportRow.objects.filter(person=person).update(person=into, outcome="merged", merged_from=person)


@pytest.fixture
def told(frozen: Campaign) -> Incident:
    """Everybody has their letter."""
    tell(frozen)
    return frozen.incident


# -- what goes, and what stays -----------------------------------------------------------------------------------------


def test_everything_that_names_the_person_is_gone(told: Incident) -> None:
    claire = of(told, "claire")
    assert erase_person(person=claire, actor="officer") == 1
    left = reads(claire)
    assert left.sealed is None and left.wrapped_key is None and left.erased_at is not None
    assert not any((left.customer_index, left.email_index, left.name_index, left.name_birth_index, left.address_index))
    assert left.reference.startswith("erased-") and left.reference != f"erased-{claire.reference}"
    with pytest.raises(CannotOpen, match="erased"):
        Vault(incident=told).open(person=left)


def test_what_the_counts_rest_on_stays(told: Incident) -> None:
    claire, before = of(told, "claire"), account(incident=told)
    AffectedPerson.objects.filter(pk=claire.pk).update(flags=["minor_under_16", "safe_address"])
    erase_person(person=claire, actor="officer")
    left = reads(claire)
    assert (left.subject, left.residence, left.elements, left.cohort_id) == (
        claire.subject, claire.residence, claire.elements, claire.cohort_id,
    )  # fmt: skip
    assert left.flags == ["minor_under_16"], "whether a minor decides the law; the rest is nobody's business any more"
    assert account(incident=told) == before and before.adds_up


def test_what_stands_against_it_is_asked_once_the_person_is_locked(
    told: Incident, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    claire, lock = of(told, "claire"), erasing.lock_whole

    def after_another_desk(*, incident: Incident, people: Sequence[int]) -> list[tuple[int, str]]:
        # While this one waited for the lock, somebody wrote them into an amendment.
        amendment = open_amendment(incident=told, reason="late", aware_at=told.facts.recorded_at, author=officer)
        join(amendment=amendment, people=told.people.filter(pk=claire.pk), reason="late", author=officer)
        return lock(incident=incident, people=people)

    monkeypatch.setattr(erasing, "lock_whole", after_another_desk)
    with pytest.raises(ErasureRefused, match="they go with the open amendment"):
        erase_person(person=claire, actor="officer")


def test_nobody_else_is_touched(told: Incident) -> None:
    erase_person(person=of(told, "claire"), actor="officer")
    vault = Vault(incident=told)
    assert {vault.open(person=of(told, name)).full_name for name in ("carl", "yuki")} == {"Carl O'Brien", "佐藤 由紀"}


def test_rows_versions_letters_and_words_of_the_queue_go_too(told: Incident, officer: User, frozen: Campaign) -> None:
    claire, vault = of(told, "claire"), Vault(incident=told)
    ImportRow.objects.filter(person=claire).update(sealed=vault.seal_blob(plain=b"Claire", bound_to="row"))
    version = claire.versions.create(
        number=1, sealed=claire.sealed, wrapped_key=claire.wrapped_key, residence="FR", reason="moved", author=officer,
        recorded_at=told.created_at,
    )  # fmt: skip
    entry = QueueEntry.objects.create(
        incident=told, person=claire, kind="data", reason="Is Claire Dubois one person?", remedy="Ask Claire.",
        status="corrected", decision_reason="She said so.", decided_by=officer,
    )  # fmt: skip
    ref = claire.register_entries.get().messages.get().message_ref
    mail = InboxMessage.objects.create(
        incident=told, message_ref=ref, sealed=vault.seal_blob(plain=b"Dear Claire", bound_to=f"inbox|{ref}"),
        received_at=told.created_at,
    )  # fmt: skip
    event = ProviderEvent.objects.create(
        provider="p", event_key="1", message_ref=ref, kind="delivered", detail="claire@example.org ok",
        received_at=told.created_at,
    )  # fmt: skip
    erase_person(person=claire, actor="officer")
    for one in (version, entry, mail, event):
        one.refresh_from_db()
    assert version.sealed is None and version.wrapped_key is None
    assert bytes(mail.sealed) == b"" and event.detail == ""
    assert (entry.reason, entry.remedy, entry.decision_reason) == ("(erased)", "", "She said so.")
    assert not ImportRow.objects.filter(person=claire, sealed__isnull=False).exists()
    with pytest.raises(CannotOpen):
        open_inbox_message(message=mail)


def test_test_letters_go_with_anybody_because_nobody_knows_whose_name_is_in_them(told: Incident, officer: User) -> None:
    letter = Letter.objects.filter(incident=told, language="fr").first()
    assert letter
    send_test(letter=letter, author=officer, to="officer@cartier.example")
    assert "Claire" in open_inbox_message(message=InboxMessage.objects.get(is_test=True))["text"]
    erase_person(person=of(told, "claire"), actor="officer")
    assert bytes(InboxMessage.objects.get(is_test=True).sealed) == b""


def test_whoever_was_merged_into_the_person_goes_with_them(told: Incident) -> None:
    claire, carl = of(told, "claire"), of(told, "carl")
    merge(carl, into=claire)
    assert erase_person(person=claire, actor="officer") == 2
    assert reads(carl).wrapped_key is None


def test_the_log_tells_of_the_erasure_without_naming_anybody(told: Incident) -> None:
    claire = of(told, "claire")
    erase_person(person=claire, actor="officer")
    event = AuditEvent.objects.get(action="person.erased")
    assert event.subject == claire.subject
    assert not any(word in event.line for word in ("Claire", "claire", "example.org"))


def test_explain_still_answers_and_says_erased(told: Incident) -> None:
    claire = of(told, "claire")
    erase_person(person=claire, actor="officer")
    for reference in (reads(claire).reference, claire.subject):
        text = "\n".join(in_words(explain(incident=told, reference=reference)))
        assert "erased on" in text and "person.erased" in text and "lives in FR" in text
        assert "laire" not in text


def test_the_database_lets_nobody_back_who_was_erased(told: Incident) -> None:
    claire = of(told, "claire")
    before = claire.sealed, claire.wrapped_key
    erase_person(person=claire, actor="officer")
    with pytest.raises(IntegrityError, match="stays erased"), transaction.atomic():
        AffectedPerson.objects.filter(pk=claire.pk).update(erased_at=None)
    with pytest.raises(IntegrityError, match="an_erased_person_is_blank"), transaction.atomic():
        AffectedPerson.objects.filter(pk=claire.pk).update(sealed=before[0], wrapped_key=before[1])


@pytest.mark.committed
def test_every_proof_of_before_and_after_verifies(released: Campaign, tmp_path: Path) -> None:
    campaign, incident = released, released.incident
    dispatch(campaign=campaign)
    claire = of(incident, "claire")
    before = export_evidence(incident=incident, out=tmp_path / "before.zip", actor="officer")
    line = campaign.register.get(person=claire).line
    assert erase_person(person=claire, actor="officer") == 1
    after = export_evidence(incident=incident, out=tmp_path / "after.zip", actor="officer")
    for bundle in (before, after):
        report = verify_bundle.verify(path=str(bundle), fingerprint=log.fingerprint_of_key())
        assert report.faults == 0, report.lines
    assert campaign.register.get(person=claire).line == line and claire.subject in line
    assert campaign.messages.get(entry__person=claire).state == "delivered"


@pytest.mark.committed
def test_with_somebody_erased_back_in_the_database_nothing_is_sent_until_the_replay(released: Campaign) -> None:
    incident, claire, rejected = released.incident, of(released.incident, "claire"), "e" * 32
    erased_list.append(incident=incident, subjects=[rejected])
    AffectedPerson.objects.create(incident=incident, reference="gone", subject=rejected, residence="FR", elements=[])
    dispatch(campaign=released)
    assert (released.state, "erase --replay" in released.pause_reason) == ("paused", True)
    assert not InboxMessage.objects.exists()
    assert erasing.replay_erasures(actor="operator").people == 1
    resume(campaign=released, author=User.objects.get(username="officer"), reason="erased again")
    dispatch(campaign=released)
    assert released.messages.get(entry__person=claire).state == "delivered"


# -- requests wait for the legal duty ----------------------------------------------------------------------------------


def test_a_request_waits_until_the_letter_is_final_and_is_then_done(frozen: Campaign, officer: User) -> None:
    claire = of(frozen.incident, "claire")
    asked = request_erasure(person=claire, reason="asked by mail", author=officer)
    assert asked.waits_for == "the duty to tell this person: the letter is 'planned'"
    with pytest.raises(ErasureRefused, match="cannot be erased yet: the duty to tell"):
        erase_person(person=claire, actor="officer")
    Message.objects.filter(entry__person=claire).update(state="ready")
    assert erase_due(incident=frozen.incident) == 0
    asked.refresh_from_db()
    assert (asked.state, asked.waits_for) == ("waiting", "the duty to tell this person: the letter is 'ready'")
    Message.objects.filter(entry__person=claire).update(state="delivered")
    assert erase_due(incident=frozen.incident) == 1
    asked.refresh_from_db()
    assert asked.state == "done" and asked.done_at is not None and reads(claire).erased_at is not None


def test_a_request_waits_for_the_second_letter_of_an_amendment_that_the_person_joined(told: Incident, officer: User) -> None:
    claire, late = of(told, "claire"), told.facts.recorded_at
    request_erasure(person=claire, reason="asked by mail", author=officer)
    amendment = open_amendment(incident=told, reason="the letter named no date", aware_at=late, author=officer)
    join(amendment=amendment, people=told.people.filter(pk=claire.pk), reason="the letter named no date", author=officer)
    assert erase_due(incident=told) == 0
    assert claire.erasures.get().waits_for.startswith("the duty to tell this person: they go with the open amendment")


def test_before_any_register_a_request_waits_and_a_rejected_person_is_free(imported: Incident, officer: User) -> None:
    claire, carl = of(imported, "claire"), of(imported, "carl")
    assert "no register yet" in request_erasure(person=claire, reason="asked", author=officer).waits_for
    AffectedPerson.objects.filter(pk=carl.pk).update(status="rejected")
    assert request_erasure(person=reads(carl), reason="asked", author=officer).waits_for == ""
    assert erase_due(incident=imported) == 1


def test_a_letter_left_behind_by_a_correction_or_a_stop_does_not_count_as_told(frozen: Campaign) -> None:
    claire = of(frozen.incident, "claire")
    Message.objects.filter(entry__person=claire).update(state="cancelled")
    assert "no register yet" in erasing.waits_for(person=claire)


def test_people_marked_by_the_list_get_one_waiting_request_each(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    marked = [
        {**CLAIRE, "person_id": f"p{n}", "customer_number": f"M{n}", "full_name": f"Person {n}", "email": f"p{n}@example.org"}
        for n in range(3)
    ]
    import_people(incident=incident, path=write_list(*({**one, "flags": "erasure_pending"} for one in marked)), author=officer)
    erasing.open_pending(incident=incident)
    assert erasing.open_pending(incident=incident) == 0, "each once"
    found = Erasure.objects.filter(incident=incident)
    assert found.count() == 3
    assert {(one.state, one.basis) for one in found} == {("waiting", "request")}
    assert all("no register yet" in one.waits_for for one in found)
    assert AuditEvent.objects.filter(action="erasure.requested").count() == 3
    assert erase_due(incident=incident) == 0, "they are told first"


def test_a_request_can_be_withdrawn_or_refused_with_a_reason(frozen: Campaign, officer: User) -> None:
    claire = of(frozen.incident, "claire")
    for state in (ErasureState.WITHDRAWN, ErasureState.REFUSED):
        asked = request_erasure(person=claire, reason="asked", author=officer)
        with pytest.raises(ErasureRefused, match="reason"):
            erasing.end_request(erasure=asked, state=state, reason=" ", author=officer)
        ended = erasing.end_request(erasure=asked, state=state, reason="a claim is pending", author=officer)
        assert (ended.state, ended.ending_reason, ended.ended_by) == (state, "a claim is pending", officer)
    tell(frozen)
    assert erase_due(incident=frozen.incident) == 0
    assert reads(claire).erased_at is None


def test_a_second_request_and_one_for_somebody_erased_or_merged_are_refused(told: Incident, officer: User) -> None:
    claire, carl = of(told, "claire"), of(told, "carl")
    request_erasure(person=claire, reason="asked", author=officer)
    with pytest.raises(ErasureRefused, match="asked for already"):
        request_erasure(person=claire, reason="asked", author=officer)
    erase_due(incident=told)
    with pytest.raises(ErasureRefused, match="erased already"):
        request_erasure(person=claire, reason="asked", author=officer)
    merge(carl, into=of(told, "yuki"))
    with pytest.raises(ErasureRefused, match="merged into another"):
        request_erasure(person=carl, reason="asked", author=officer)


def test_somebody_merged_after_asking_is_erased_as_the_one_who_stayed(told: Incident, officer: User) -> None:
    claire, yuki = of(told, "claire"), of(told, "yuki")
    asked = request_erasure(person=claire, reason="asked", author=officer)
    merge(claire, into=yuki)
    assert erase_due(incident=told) == 2
    asked.refresh_from_db()
    assert asked.state == "done" and reads(yuki).erased_at is not None


# -- legal holds -------------------------------------------------------------------------------------------------------


def test_a_legal_hold_stops_every_erasure_until_it_is_lifted(told: Incident, officer: User) -> None:
    claire = of(told, "claire")
    hold = erasing.place_hold(incident=told, reason="court order", author=officer)
    asked = request_erasure(person=claire, reason="asked", author=officer)
    assert asked.waits_for == "a legal hold stands"
    assert erase_due(incident=told) == 0
    with pytest.raises(ErasureRefused, match="legal hold"):
        erase_person(person=claire, actor="officer")
    with pytest.raises(IntegrityError, match="legal hold stands"), transaction.atomic():
        shredding.shred(incident=told, people=[claire.pk], basis="request", actor="officer")
    with pytest.raises(ErasureRefused, match="reason"):
        erasing.lift_hold(hold=hold, reason="", author=officer)
    erasing.lift_hold(hold=hold, reason="the case is over", author=officer)
    assert erase_due(incident=told) == 1
    assert set(AuditEvent.objects.filter(action__startswith="legal_hold").values_list("action", flat=True)) == {
        "legal_hold.placed", "legal_hold.lifted",
    }  # fmt: skip


def test_the_second_of_two_holds_still_stands_when_the_first_is_lifted(told: Incident, officer: User) -> None:
    first, second = (erasing.place_hold(incident=told, reason=why, author=officer) for why in ("court", "audit"))
    erasing.lift_hold(hold=first, reason="over", author=officer)
    assert erasing.standing_hold(incident=told) == second


# -- a backup is put back ----------------------------------------------------------------------------------------------


def put_back(person: AffectedPerson) -> None:
    """What a restored backup does: the row as it was before, past every trigger."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        AffectedPerson.objects.filter(pk=person.pk).update(
            sealed=person.sealed, wrapped_key=person.wrapped_key, reference=person.reference, erased_at=None
        )
        cursor.execute("SET LOCAL session_replication_role = origin")


def test_somebody_whom_a_backup_brought_back_is_noticed_and_erased_again(told: Incident) -> None:
    claire = of(told, "claire")
    erase_person(person=claire, actor="officer")
    assert erasing.not_replayed() == []
    put_back(claire)
    assert Vault(incident=told).open(person=reads(claire)).full_name == "Claire Dubois"
    ((returned),) = erasing.not_replayed()
    assert (returned.incident, returned.people) == (told, (claire.pk,))
    with pytest.raises(NotReplayed, match="1 people of .* erase --replay"):
        erasing.refuse_returned(incident=told)
    officer = User.objects.get(username="officer")
    with pytest.raises(NotReplayed, match="erased and is here again"):
        correct_person(person=claire, changes={"email": "new@example.org"}, reason="she wrote", author=officer)
    with pytest.raises(NotReplayed, match="erase --replay"):
        freeze(incident=told, author=officer)
    assert erasing.replay_erasures(actor="operator").people == 1
    assert erasing.not_replayed() == [] and reads(claire).wrapped_key is None
    assert erased_list.file_of(incident=told).read_text() == f"{claire.subject}\n", "listed once, by random name only"


def test_a_hold_that_came_back_with_the_backup_stops_the_replay_of_its_own_incident_only(
    told: Incident, officer: User, facts: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    claire = of(told, "claire")
    later = open_incident(facts=check_facts({**facts, "reference": "later-2025"}, now=NOW), author=officer)
    kim = AffectedPerson.objects.create(incident=later, reference="kim", subject="e" * 32, residence="FR", elements=[])
    for person in (claire, kim):
        erased_list.append(incident=person.incident, subjects=[person.subject])
    hold = erasing.place_hold(incident=told, reason="court", author=officer)
    with pytest.raises(SystemExit) as ended:
        call_command("erase", replay=True, user="officer")
    said = capsys.readouterr().out
    assert ended.value.code == 2 and "1 people erased again." in said
    assert f"{told.reference}: 1 people are not erased again" in said and f"legal_hold lift {told.reference}" in said
    assert reads(kim).erased_at is not None and reads(claire).erased_at is None
    erasing.lift_hold(hold=hold, reason="lifted since the backup", author=officer)
    call_command("erase", replay=True, user="officer")
    assert reads(claire).erased_at is not None


def test_who_was_excluded_by_two_after_the_backup_is_named_by_the_replay_until_two_exclude_them_again(
    frozen: Campaign, officer: User, counsel: User, capsys: pytest.CaptureFixture[str]
) -> None:
    incident, claire, carl = frozen.incident, of(frozen.incident, "claire"), of(frozen.incident, "carl")
    tell(frozen, "carl")
    erased_list.append(incident=incident, subjects=[claire.subject, carl.subject])
    QueueEntry.objects.create(incident=incident, person=claire, kind="data", reason="a question", remedy="ask")
    call_command("erase", replay=True, user="officer")
    said, who = capsys.readouterr().out, f"{incident.reference} {reads(claire).reference}"
    assert f"{who} is erased and can no longer be told" in said and "the letter is 'planned'" in said
    assert f"exclude propose {who} --as USER --reason TEXT" in said and reads(carl).reference not in said
    with suppress(SystemExit):
        call_command("check_campaign", frozen.reference)
    assert f"to be decided: {who} is erased" in capsys.readouterr().out
    exclusion = propose_exclusion(person=reads(claire), reason="asked not to be written to", author=officer)
    confirm_exclusion(exclusion=exclusion, author=counsel)
    assert erasing.erased_and_owed(incident=incident) == []
    assert not QueueEntry.objects.filter(person=claire).exclude(status="rejected").exists()


def test_who_was_erased_and_whose_letter_may_have_left_is_settled_first(frozen: Campaign) -> None:
    incident, claire = frozen.incident, of(frozen.incident, "claire")
    for state in ("ready", "sending", "in_doubt"):
        Message.objects.filter(entry__person=claire).update(state=state)
    erased_list.append(incident=incident, subjects=[claire.subject])
    (owed,) = erasing.replay_erasures(actor="operator").owed
    assert f"settle CAMPAIGN {reads(claire).reference}" in owed and "may have left" in owed


def test_who_was_erased_and_is_held_before_any_register_is_named_and_can_be_excluded_by_two(
    imported: Incident, officer: User, counsel: User
) -> None:
    claire = of(imported, "claire")
    AffectedPerson.objects.filter(pk=claire.pk).update(status="held")
    erased_list.append(incident=imported, subjects=[claire.subject])
    (owed,) = erasing.replay_erasures(actor="operator").owed
    assert reads(claire).reference in owed and "they stand on no register yet" in owed and "settle" not in owed
    confirm_exclusion(exclusion=propose_exclusion(person=reads(claire), reason="asked", author=officer), author=counsel)
    assert erasing.erased_and_owed(incident=imported) == []


def test_an_erasure_that_was_never_committed_is_made_good_by_the_replay(told: Incident) -> None:
    claire = of(told, "claire")
    erased_list.append(incident=told, subjects=[claire.subject])  # the machine died before the commit
    assert [one.people for one in erasing.not_replayed()] == [(claire.pk,)]
    erasing.replay_erasures(actor="operator")
    assert reads(claire).erased_at is not None and erasing.not_replayed() == []


def test_a_line_torn_by_a_power_cut_costs_only_itself(told: Incident) -> None:
    claire, carl = of(told, "claire"), of(told, "carl")
    erased_list.append(incident=told, subjects=[claire.subject])
    path = erased_list.file_of(incident=told)
    path.write_bytes(path.read_bytes() + b"0123456789")
    erased_list.append(incident=told, subjects=[carl.subject])
    assert erased_list.not_replayed(incident=told) == sorted([claire.pk, carl.pk])


def test_the_list_of_the_erased_is_for_its_owner_only(told: Incident) -> None:
    erase_person(person=of(told, "claire"), actor="officer")
    path = erased_list.file_of(incident=told)
    assert path.stat().st_mode & 0o077 == 0 and path.parent == settings.AUDIT_KEY_FILE.parent / "erased"


def test_the_name_is_on_the_list_before_the_erasure_is_committed_and_nothing_is_erased_when_it_cannot_be(
    told: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(**_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(erased_list, "append", full)
    claire = of(told, "claire")
    with pytest.raises(OSError, match="No space"), transaction.atomic():
        erase_person(person=claire, actor="officer")
    assert reads(claire).erased_at is None


# -- the commands ------------------------------------------------------------------------------------------------------


def test_the_command_erases_or_says_what_it_waits_for(frozen: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    reference, claire = frozen.incident.reference, of(frozen.incident, "claire")
    call_command("erase", reference, "claire", reason="asked by mail", user="officer")
    assert "it waits for the duty to tell this person" in capsys.readouterr().out
    call_command("erase", reference, "claire", reason="came to an agreement", user="officer", ending="withdrawn")
    assert "withdrawn" in capsys.readouterr().out
    tell(frozen)
    call_command("erase", reference, "claire", reason="asked again", user="officer")
    assert "Erased." in capsys.readouterr().out and reads(claire).erased_at is not None
    with pytest.raises(SystemExit):
        call_command("erase", reference, "claire", reason="asked again", user="officer")
    assert "Nobody on the list" in capsys.readouterr().err


def test_holds_by_command(told: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("legal_hold", "place", told.reference, user="officer", reason="court")
    call_command("legal_hold", "lift", told.reference, user="officer", reason="over")
    with pytest.raises(SystemExit):
        call_command("legal_hold", "lift", told.reference, user="officer", reason="over")
    assert "No legal hold" in capsys.readouterr().err
