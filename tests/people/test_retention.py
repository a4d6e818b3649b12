"""What is kept is kept for its time, from the close on; a hold keeps it longer; then it is gone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.audit import witness
from incidents.audit.actions import Action
from incidents.audit.log import database_now, log_of, record
from incidents.models import (
    AffectedPerson,
    AuditEvent,
    BatchState,
    Campaign,
    ImportBatch,
    ImportRow,
    InboxMessage,
    Incident,
    Message,
    ProviderEvent,
)
from incidents.people import erasing, retention
from incidents.people.retention import RetentionRefused, due, set_period
from incidents.people.rotating import rotate_incident
from incidents.vault import Vault
from tests.roles import acting

PEOPLE_DAYS = 90


def close(campaign: Campaign) -> datetime:
    """Everybody told, the register closed, as its own function would; without its questions about authorities."""
    keys = list(campaign.messages.exclude(state="delivered").values_list("pk", flat=True))
    for state in ("ready", "delivered"):
        Message.objects.filter(pk__in=keys).update(state=state)
    for state in ("drained", "closed"):
        Campaign.objects.filter(pk=campaign.pk).update(state=state)
    now = database_now()
    record(incident=campaign.incident, action=Action.CAMPAIGN_CLOSED, actor="officer", at=now)
    return now


def kept(incident: Incident) -> dict[str, int]:
    return {one.data_class: one.records for one in due(incident=incident)}


@pytest.fixture
def signed(released: Campaign) -> Campaign:
    """A released register, with one record of each class beside the people."""
    incident, vault = released.incident, Vault(incident=released.incident)
    message = released.messages.order_by("id")[0]
    row = ImportRow.objects.order_by("id")[0]
    ImportRow.objects.filter(pk=row.pk).update(sealed=vault.seal_blob(plain=b"a row", bound_to="row"))
    InboxMessage.objects.create(incident=incident, message_ref=message.message_ref, sealed=b"sealed", received_at=database_now())
    ProviderEvent.objects.create(
        provider="p", event_key="1", message_ref=message.message_ref, kind="delivered", detail="claire@example.org",
        received_at=database_now(),
    )  # fmt: skip
    return released


def test_before_the_close_nothing_is_due_however_long_ago(signed: Campaign) -> None:
    incident = signed.incident
    assert kept(incident) == {"people": 3, "rows": 1, "letters": 1, "events": 1}
    assert {one.waits_for for one in due(incident=incident)} == {"the close of the incident"}
    assert retention.run(now=database_now() + timedelta(days=9999)) == []


def test_each_class_goes_when_its_days_after_the_close_are_over(signed: Campaign) -> None:
    incident, closed = signed.incident, close(signed)
    assert retention.closed_at(incident=incident) == closed
    assert retention.run(now=closed + timedelta(days=29)) == []
    (first,) = retention.run(now=closed + timedelta(days=30))
    assert (first.on_request, first.classes) == (0, {"letters": 1})
    assert bytes(InboxMessage.objects.get().sealed) == b""
    (second,) = retention.run(now=closed + timedelta(days=PEOPLE_DAYS))
    assert second.classes["people"] == 3 and kept(incident) == {}
    assert not AffectedPerson.objects.filter(wrapped_key__isnull=False).exists()
    assert not ImportRow.objects.filter(sealed__isnull=False).exists()
    assert ProviderEvent.objects.get().detail == ""
    assert retention.run(now=closed + timedelta(days=PEOPLE_DAYS)) == [], "again changes nothing"


def test_the_log_tells_what_was_applied_and_each_person_has_an_entry(signed: Campaign) -> None:
    closed = close(signed)
    retention.run(now=closed + timedelta(days=PEOPLE_DAYS))
    events = AuditEvent.objects.filter(action="person.erased")
    assert set(events.values_list("subject", flat=True)) == set(signed.incident.people.values_list("subject", flat=True))
    assert AuditEvent.objects.filter(action="retention.applied", line__contains='"class":"people"').exists()


def test_a_person_who_still_has_to_be_told_keeps_the_incident_open(signed: Campaign) -> None:
    close(signed)
    late = AffectedPerson.objects.create(
        incident=signed.incident, reference="late", subject="9" * 32, residence="FR", elements=[]
    )
    assert retention.closed_at(incident=signed.incident) is None
    AffectedPerson.objects.filter(pk=late.pk).update(status="rejected")
    assert retention.closed_at(incident=signed.incident) is not None
    late.delete()  # no row of a list stands behind it: the database would not let the numbers stand


def test_a_period_of_its_own_needs_a_known_class_and_a_reason(signed: Campaign, officer: User) -> None:
    incident, closed = signed.incident, close(signed)
    for data_class, reason in (("people", " "), ("gossip", "why not")):
        with pytest.raises(RetentionRefused):
            set_period(incident=incident, data_class=data_class, days=365, reason=reason, author=officer)
    set_period(incident=incident, data_class="people", days=2190, reason="45 CFR 164.414(b)", author=officer)
    retention.run(now=closed + timedelta(days=PEOPLE_DAYS))
    assert kept(incident) == {"people": 3}
    set_period(incident=incident, data_class="people", days=10, reason="the six years were an error", author=officer)
    assert retention.run(now=closed + timedelta(days=10))[0].classes == {"people": 3}


def test_a_legal_hold_stops_all_of_it(signed: Campaign, officer: User) -> None:
    incident, closed = signed.incident, close(signed)
    hold = erasing.place_hold(incident=incident, reason="court order", author=officer)
    before = kept(incident)
    assert retention.run(now=closed + timedelta(days=9999)) == []
    assert kept(incident) == before and {one.waits_for for one in due(incident=incident)} == {"a legal hold"}
    erasing.lift_hold(hold=hold, reason="over", author=officer)
    retention.run(now=closed + timedelta(days=9999))
    assert kept(incident) == {}


def test_a_hold_placed_while_the_run_is_at_work_stops_the_rest(
    signed: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, closed = signed.incident, close(signed)
    monkeypatch.setattr(retention, "BATCH", 1)
    erase, done = retention.ERASE["people"], list[int]()

    def and_then_a_hold(incident: Incident, keys: list[int], actor: str) -> int:
        number = erase(incident, keys, actor)
        done.append(number)
        erasing.place_hold(incident=incident, reason="court order", author=officer)
        return number

    monkeypatch.setitem(retention.ERASE, "people", and_then_a_hold)
    retention.run(now=closed + timedelta(days=PEOPLE_DAYS))
    assert done == [1] and kept(incident)["people"] == 2


def test_an_upload_that_nobody_confirmed_goes_by_its_own_clock(incident: Incident, officer: User) -> None:
    came = database_now()
    batch = ImportBatch.objects.create(
        incident=incident, state=BatchState.UPLOADED, sha256="0" * 64, encoding="", delimiter="", columns=[], author=officer,
        imported_at=came,
    )  # fmt: skip
    batch.parts.create(number=1, sealed=b"sealed")
    assert retention.run(now=came + timedelta(days=6)) == []
    assert retention.run(now=came + timedelta(days=7))[0].classes == {"uploads": 1}
    batch.refresh_from_db()
    assert batch.state == BatchState.CANCELLED and not batch.parts.exists()


def test_a_request_is_done_by_the_run_as_soon_as_it_is_free(signed: Campaign, officer: User) -> None:
    person = signed.incident.people.order_by("id")[0]
    erasing.request_erasure(person=person, reason="asked", author=officer)
    assert retention.run() == []
    Message.objects.filter(entry__person=person).update(state="delivered")
    assert retention.run()[0].on_request == 1


@pytest.mark.committed
def test_housekeeping_has_the_rights_for_it_and_the_desk_those_for_a_request(signed: Campaign, officer: User) -> None:
    incident, first = signed.incident, signed.incident.people.order_by("id")[0]
    Message.objects.filter(entry__person=first).update(state="delivered")
    with acting("web"):
        erasing.request_erasure(person=first, reason="asked", author=officer)
        assert erasing.erase_due(incident=incident) == 1
        rotate_incident(incident=Incident.objects.get(pk=incident.pk), actor="officer")
        erasing.lift_hold(
            hold=erasing.place_hold(incident=incident, reason="court", author=officer), reason="over", author=officer
        )
    closed = close(signed)
    batch = ImportBatch.objects.create(
        incident=incident, state=BatchState.UPLOADED, sha256="1" * 64, encoding="", delimiter="", columns=[], author=officer,
        imported_at=closed,
    )  # fmt: skip
    batch.parts.create(number=1, sealed=b"sealed")
    second = incident.people.filter(erased_at=None).order_by("id")[0]
    AffectedPerson.objects.filter(pk=second.pk).update(flags=["erasure_pending"])
    with acting("worker"):
        (done,) = retention.run(now=closed + timedelta(days=PEOPLE_DAYS))
    assert done.on_request == 1 and done.classes["people"] == 1 and done.classes["uploads"] == 1
    assert kept(incident) == {}


def test_the_command_lists_before_it_erases(signed: Campaign, capsys: pytest.CaptureFixture[str]) -> None:
    reference = signed.incident.reference
    call_command("retention", reference, dry_run=True)
    listed = capsys.readouterr().out
    assert "90 days after the close of the incident" in listed and "sealed records of people" in listed
    close(signed)
    call_command("retention", reference, period="people=0", reason="agreed with the authority", user="officer")
    call_command("retention", reference, dry_run=True)
    assert "DUE" in capsys.readouterr().out
    assert kept(signed.incident)["people"] == 3, "listing erases nothing"
    call_command("retention", run=True)
    assert "3 people" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        call_command("retention", reference, period="people=soon", reason="x", user="officer")


# -- an older database -------------------------------------------------------------------------------------------------


def test_in_an_older_database_nothing_is_erased_until_it_is_recovered(
    signed: Campaign, officer: User, capsys: pytest.CaptureFixture[str]
) -> None:
    incident, closed = signed.incident, close(signed)
    before, claire = kept(incident), incident.people.get(reference="claire")
    erasing.request_erasure(person=claire, reason="asked by mail", author=officer)
    # What the backup lacks was signed: the head outside of the database is further than its log.
    head, log = witness.Head(10_000, "ab" * 32), log_of(incident)
    path = witness.head_file(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{head.size} {head.root}")
    (skipped,) = retention.run(now=closed + timedelta(days=9999))
    assert "Nothing is erased until 'manage.py recover" in skipped.skipped and not skipped.classes
    for step in (lambda: erasing.erase_due(incident=incident), lambda: erasing.erase_person(person=claire, actor="officer")):
        with pytest.raises(erasing.ErasureRefused, match="put back from a backup"):
            step()
    with pytest.raises(SystemExit) as ended:
        call_command("retention", run=True)
    assert ended.value.code == 2 and signed.reference in capsys.readouterr().out
    assert kept(incident) == before
    data = {"lost_size": head.size, "lost_root": head.root}
    record(incident=incident, action=Action.DATABASE_RESTORED, actor="officer", data=data)
    (done,) = retention.run(now=closed + timedelta(days=9999))
    assert (done.on_request, done.skipped) == (1, "") and kept(incident) == {}
