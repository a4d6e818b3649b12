"""A KMS that is away says nothing about anybody: work waits and tells why; nobody's record counts as damaged, or is emptied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.dispatch import shift
from incidents.dispatch.campaign import freeze
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.events.bodies import recipient_hash
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.work import keep_house, send_ready
from incidents.models import (
    AffectedPerson,
    Campaign,
    CanaryLetter,
    ImportBatch,
    Incident,
    PersonVersion,
    ProviderEvent,
    QueueEntry,
    StaffRecipient,
)
from incidents.people import importing
from incidents.people.correcting import correct_person
from incidents.people.importing import import_people
from incidents.people.rotating import rotate_incident
from incidents.people.uploads import receive
from incidents.tasks import import_list
from incidents.vault import KeyAway, MasterKeyUnreachable, MasterKeyWrong, Vault, own_key, sealing
from tests.conftest import CAST, CLAIRE
from tests.dispatch.campaigns import sql, states, superuser
from tests.dispatch.test_canary import ADA, BO, entered, let_go

SAID = "The program of MASTER_KEY_PROGRAM (kms) ended with code 1."
LATER, OWN = "incidents_incidentkey", "incidents_incident"


class Kms:
    """Answers as it should until it is switched off for what is bound to a word; counts what it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real, self.asked, self._off, self._times = sealing.unwrap, list[str](), "", 0
        self._refuses: KeyAway = MasterKeyUnreachable(SAID)
        for module in (sealing, own_key):
            monkeypatch.setattr(module, "unwrap", self.unwrap)

    def off(self, context: str = LATER, *, refuses: KeyAway | None = None, times: int = 1000) -> None:
        sealing._unwrap_once.cache_clear()
        self.asked, self._off, self._times = [], context, times
        self._refuses = refuses or self._refuses

    def on(self) -> None:
        sealing._away.clear()
        self._off = ""

    def unwrap(self, *, wrapped: bytes, context: str) -> object:
        self.asked.append(context.split("|", maxsplit=1)[0])
        if context.split("|", maxsplit=1)[0] == self._off and self._times:
            self._times -= 1
            raise self._refuses
        return self._real(wrapped=wrapped, context=context)


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Kms:
    return Kms(monkeypatch)


def rotated(incident: Incident) -> Incident:
    """With people's keys under the second version."""
    rotate_incident(incident=incident, actor="operator")
    return Incident.objects.get(pk=incident.pk)


def test_no_piece_of_work_begins_without_every_version_of_the_key(imported: Incident, kms: Kms) -> None:
    incident = rotated(imported)
    kms.off()
    for _ in range(3):
        with pytest.raises(KeyAway, match="ended with code 1"):
            Vault(incident=incident)
    assert kms.asked.count(LATER) == 1, "asked once, and not again for some seconds"
    assert Vault(incident=incident, people=False).blind(kind="email", value="x"), "the index is under a key of its own"
    kms.on()
    assert Vault(incident=incident).open(person=AffectedPerson.objects.get(reference="claire")).full_name == "Claire Dubois"


def test_a_version_that_comes_while_people_are_read_costs_no_call_for_each_of_them(imported: Incident, kms: Kms) -> None:
    vault = Vault(incident=imported)
    rotated(imported)
    kms.off()
    rows = list(imported.people.values_list("subject", "sealed", "wrapped_key", "key_version"))
    for _ in rows:
        with pytest.raises(KeyAway):
            vault.open_many(rows)
    assert kms.asked == [LATER]


def test_a_correction_at_the_one_moment_without_the_kms_is_refused_and_empties_nobody(
    imported: Incident, officer: User, kms: Kms
) -> None:
    incident = rotated(imported)
    claire = AffectedPerson.objects.select_related("incident").get(reference="claire")
    before = Vault(incident=incident).open(person=claire)
    kms.off(times=1)
    with pytest.raises(KeyAway, match="ended with code 1"):
        correct_person(person=claire, changes={"city": "Lyon"}, reason="moved", author=officer)
    kms.on()
    claire.refresh_from_db()
    assert Vault(incident=incident).open(person=claire) == before
    assert not PersonVersion.objects.exists()
    correct_person(person=claire, changes={"city": "Lyon"}, reason="moved", author=officer)
    claire.refresh_from_db()
    assert Vault(incident=incident).open(person=claire).emails == before.emails


def test_a_freeze_while_the_kms_is_away_is_refused_and_sets_nobody_aside(assessed: Incident, officer: User, kms: Kms) -> None:
    incident = rotated(assessed)
    kms.off()
    with pytest.raises(KeyAway, match="ended with code 1"):
        freeze(incident=incident, author=officer)
    assert not Campaign.objects.exists()
    kms.on()
    assert set(freeze(incident=incident, author=officer).messages.values_list("state", flat=True)) == {"planned"}


def test_a_list_while_the_kms_is_away_is_not_settled_and_nobody_is_said_not_to_open(
    imported: Incident, officer: User, write_list: Callable[..., Path], kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, path = rotated(imported), write_list({**CLAIRE, "email": "other@example.org"}, CAST[1])
    settle = importing._settle

    def without_the_kms(batch: ImportBatch, progress: Any) -> Any:
        kms.off()
        monkeypatch.setattr(importing, "_settle", settle)
        return settle(batch, progress)

    monkeypatch.setattr(importing, "_settle", without_the_kms)
    with pytest.raises(KeyAway, match="ended with code 1"):
        import_people(incident=incident, path=path, author=officer, source="new")
    assert not QueueEntry.objects.exists()
    kms.on()
    import_people(incident=incident, path=path, author=officer, source="new")
    assert "sealed record" not in QueueEntry.objects.values_list("column", flat=True)


def test_a_list_that_waits_for_the_kms_says_so_on_its_page(
    imported: Incident, officer: User, write_list: Callable[..., Path], kms: Kms
) -> None:
    incident = rotated(imported)
    batch = receive(incident=incident, chunks=[write_list({**CLAIRE, "email": "other@example.org"}).read_bytes()], author=officer)
    ImportBatch.objects.filter(pk=batch.pk).update(state="waiting")
    kms.off()
    import_list(batch.pk)
    batch.refresh_from_db()
    assert batch.refusal.startswith(SAID) and "tried again" in batch.refusal


def test_a_slice_of_work_while_the_kms_is_away_sets_nobody_aside(crowd: Campaign, owner: Owner, kms: Kms) -> None:
    incident = rotated(crowd.incident)
    kms.off()
    assert send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=1).answered == 0
    assert set(states(crowd)) == {"ready"} and not crowd.chunks.exists() and kms.asked.count(LATER) == 1
    kms.on()
    assert Vault(incident=incident)
    assert send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=20).answered == crowd.people


def test_a_version_that_comes_in_the_middle_of_a_slice_gives_back_what_was_claimed(
    crowd: Campaign, owner: Owner, kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = shift.claim

    def after_a_rotation(**said: Any) -> Any:
        rotated(crowd.incident)
        kms.off()
        return claim(**said)

    monkeypatch.setattr(shift, "claim", after_a_rotation)
    assert send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=1).answered == 0
    assert set(states(crowd)) == {"ready"} and not crowd.chunks.filter(state="claimed").exists()


def test_with_a_wrong_key_for_a_later_version_the_campaign_pauses_with_that_reason(
    crowd: Campaign, owner: Owner, kms: Kms
) -> None:
    rotated(crowd.incident)
    kms.off(refuses=MasterKeyWrong("The master key does not open the key of incident x."))
    send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=1)
    crowd.refresh_from_db()
    assert crowd.state == "paused" and "master key does not open" in crowd.pause_reason
    assert set(states(crowd)) == {"ready"}


@pytest.mark.parametrize("context", [LATER, OWN, StaffRecipient._meta.db_table])
def test_the_first_wave_waits_for_the_kms_and_does_not_fail(five_frozen: Campaign, kms: Kms, context: str) -> None:
    entered(ADA, BO)
    campaign = let_go(five_frozen)
    rotated(campaign.incident)
    kms.off(context)
    keep_house()
    campaign.refresh_from_db()
    assert (campaign.canary, campaign.state) == ("waiting", "dispatching")
    assert set(CanaryLetter.objects.values_list("state", flat=True)) == {"planned"}
    kms.on()
    keep_house()
    assert set(CanaryLetter.objects.values_list("state", flat=True)) <= {"accepted", "delivered"}


def test_a_campaigns_page_with_its_buttons_is_there_without_the_kms(five_frozen: Campaign, kms: Kms) -> None:
    entered(ADA, BO)
    campaign = let_go(five_frozen)
    kms.off(StaffRecipient._meta.db_table)
    client = Client()
    client.force_login(User.objects.get(username="officer"))
    shown = client.get(reverse("admin:campaign", args=(campaign.incident_id, campaign.pk)))
    assert shown.status_code == 200 and "(no key now)" in shown.content.decode()
    assert kms.asked == [StaffRecipient._meta.db_table], "asked once for all of the staff"


def test_a_page_of_events_asks_the_kms_once_and_holds_up_nobody_who_pauses(
    five: Campaign, admin_url: str, kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotated(five.incident)
    sql("UPDATE incidents_message SET state = 'sending', attempts = 1")
    sql("UPDATE incidents_message SET state = 'accepted'")
    for message in five.messages.select_related("entry__person"):
        address = Vault(incident=five.incident).open(person=message.entry.person).emails[0]
        told = {"message_ref": message.message_ref, "kind": "delivered", "recipient_hash": recipient_hash(address)}
        store_events(provider="ses", events=[{"event_key": f"{message.pk}-{n}", **told} for n in range(20)])
    locked = []

    def pausing(**said: Any) -> Any:
        with superuser(admin_url) as other:
            try:
                other.execute("SELECT 1 FROM incidents_campaign FOR UPDATE NOWAIT")
            except psycopg.errors.LockNotAvailable:
                locked.append(said)
        return kms.unwrap(**said)

    monkeypatch.setattr(sealing, "unwrap", pausing)
    for context in (LATER, OWN):
        sealing._away.clear()
        kms.off(context)
        assert apply_events() == 0 and kms.asked.count(context) == 1 and not locked
    assert ProviderEvent.objects.filter(applied_at=None).count() == 100, "kept, and applied later"
    kms.on()
    assert apply_events() == 100 and states(five) == {"delivered": 5}
