"""Keys are wrapped anew while everything goes on, and what was destroyed is really gone."""

from __future__ import annotations

import os
import signal
import time
from urllib.parse import quote, urlencode

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, connection, connections, transaction

from incidents.dispatch.campaign import resume
from incidents.dispatch.work import dispatch
from incidents.models import AffectedPerson, AuditEvent, BatchState, Campaign, ImportBatch, Incident, IncidentKey, QueueEntry
from incidents.people import rotating
from incidents.people.rotating import RotationRefused, faults_of_keys, rotate_incident, rotate_master
from incidents.vault import CannotOpen, MasterKeyWrong, PersonFields, Vault, new_incident_key
from notifier.embedded import ServiceDown
from notifier.processes import require_master_key
from tests.dispatch.campaigns import process

NEW_MASTER = bytes(range(32))


def names(incident: Incident) -> list[str]:
    """Everybody's name, as the vault reads it now."""
    vault = Vault(incident=Incident.objects.get(pk=incident.pk))
    return [vault.open(person=person).full_name for person in AffectedPerson.objects.filter(incident=incident).order_by("id")]


def stored(incident: Incident) -> list[tuple[bytes, bytes]]:
    """The sealed records and wrapped keys as they lie in the database."""
    rows = AffectedPerson.objects.filter(incident=incident).order_by("id").values_list("sealed", "wrapped_key")
    return [(bytes(sealed or b""), bytes(key or b"")) for sealed, key in rows]


def crowd(incident: Incident) -> None:
    """Two hundred sealed people."""
    subjects = [f"{n:032x}" for n in range(200)]
    records = [(one, PersonFields(full_name=f"Person {one}").encode()) for one in subjects]
    AffectedPerson.objects.bulk_create(
        AffectedPerson(
            incident=incident, reference=subject, subject=subject, residence="FR", elements=["name"], sealed=sealed.sealed,
            wrapped_key=sealed.wrapped_key, key_version=sealed.key_version,
        )
        for subject, sealed in zip(subjects, Vault(incident=incident).seal_many(records), strict=True)
    )  # fmt: skip


def address() -> str:
    """This test's own database, in the role that the test works in."""
    at = connections["default"].settings_dict
    more = urlencode(
        {"host": at["HOST"], "port": at["PORT"] or 5432, "options": at["OPTIONS"].get("options", "")}, quote_via=quote
    )
    return f"postgresql://{at['USER']}:{at['PASSWORD']}@/{at['NAME']}?{more}"


# -- the master key ----------------------------------------------------------------------------------------------------


def new_master(monkeypatch: pytest.MonkeyPatch, *, old: bytes = b"") -> None:
    monkeypatch.setattr(settings, "MASTER_KEY", NEW_MASTER)
    monkeypatch.setattr(settings, "MASTER_KEY_OLD", old)


def test_the_master_key_is_changed_and_the_former_one_is_needed_no_more(
    imported: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, known = stored(imported), names(imported)
    new_master(monkeypatch, old=settings.MASTER_KEY)
    assert names(imported) == known, "half rotated: both keys open"
    assert rotate_master(actor="operator") == rotating.MasterRotation(wrapped=1, already=0)
    assert rotate_master(actor="operator") == rotating.MasterRotation(wrapped=0, already=1), "again changes nothing"
    new_master(monkeypatch)
    assert names(imported) == known
    assert stored(imported) == before, "nobody's record or key was touched"


def test_rotating_the_master_key_asks_for_the_former_one(imported: Incident) -> None:
    with pytest.raises(RotationRefused, match="MASTER_KEY_OLD"):
        rotate_master(actor="operator")


def test_an_example_is_no_new_master_key_and_nothing_is_wrapped_with_it(
    imported: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known, before = names(imported), bytes(Incident.objects.get(pk=imported.pk).wrapped_key)
    former = settings.MASTER_KEY
    monkeypatch.setattr(settings, "MASTER_KEY", b"\1\2" * 16)
    monkeypatch.setattr(settings, "MASTER_KEY_OLD", former)
    with pytest.raises(SystemExit) as ended:
        call_command("rotate_keys", master=True, user="officer")
    assert ended.value.code == 2 and "is an example, not 32 random bytes" in capsys.readouterr().err
    assert bytes(Incident.objects.get(pk=imported.pk).wrapped_key) == before
    monkeypatch.setattr(settings, "MASTER_KEY", former)
    assert names(imported) == known


def test_a_wrong_master_key_is_told_in_plain_words(imported: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults_of_keys() == []
    new_master(monkeypatch)
    ((what, remedy),) = faults_of_keys()
    assert what == f"The master key does not open the keys of 1 of 1 incidents ({imported.reference})."
    assert "MASTER_KEY_OLD" in remedy and "rotate_keys --master" in remedy
    with pytest.raises(MasterKeyWrong, match=imported.reference):
        Vault(incident=imported)


def test_up_says_at_once_that_the_master_key_opens_nothing_here(imported: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MASTER_KEY_FILE", raising=False)
    require_master_key()
    new_master(monkeypatch)
    for place, words in (("MASTER_KEY", "secrets.json of the state folder"), ("MASTER_KEY_FILE", "that of MASTER_KEY_FILE.")):
        monkeypatch.setenv(place, "somewhere")
        with pytest.raises(ServiceDown) as ended:
            require_master_key()
        told = str(ended.value)
        assert told.startswith(f"The master key does not open the keys of 1 of 1 incidents ({imported.reference}). Start with")
        assert words in told and told.endswith("Nothing was started, and nothing is lost.")


def test_nobody_is_sealed_under_a_key_that_opens_nobody_of_the_incident(imported: Incident) -> None:
    Vault(incident=imported).seal(fields=PersonFields(full_name="Nobody"), subject="d" * 32)
    # As a KMS would answer that gives out some other key and no error.
    imported.wrapped_key = new_incident_key(reference=imported.reference)
    imported.save(update_fields=["wrapped_key"])
    for _ in range(2):
        with pytest.raises(MasterKeyWrong, match=f"{imported.reference} opens nobody"):
            Vault(incident=imported).seal(fields=PersonFields(full_name="Nobody"), subject="d" * 32)
    assert [what for what, _ in faults_of_keys()] == [
        f"The master key does not open the keys of 1 of 1 incidents ({imported.reference})."
    ]


def test_one_damaged_record_does_not_make_the_key_a_wrong_one(imported: Incident) -> None:
    first = AffectedPerson.objects.filter(incident=imported).order_by("id").first()
    assert first is not None
    AffectedPerson.objects.filter(pk=first.pk).update(wrapped_key=bytes(60))
    assert Vault(incident=imported).seal(fields=PersonFields(full_name="Nobody"), subject="d" * 32).sealed


def test_a_command_with_the_wrong_key_says_so_without_a_traceback(
    imported: Incident, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    new_master(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        call_command("rotate_keys", incident=imported.reference, user="officer")
    assert ended.value.code == 2
    assert f"does not open the key of incident {imported.reference}" in capsys.readouterr().err


@pytest.mark.committed
def test_with_the_wrong_key_a_campaign_pauses_before_anything_is_claimed(
    released: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = settings.MASTER_KEY
    new_master(monkeypatch)
    dispatch(campaign=released)
    assert released.state == "paused" and "master key does not open" in released.pause_reason
    assert not released.chunks.exists() and set(released.messages.values_list("state", flat=True)) == {"ready"}
    monkeypatch.setattr(settings, "MASTER_KEY", right)
    resume(campaign=released, author=released.frozen_by, reason="the right key is back")
    dispatch(campaign=released)
    assert set(released.messages.values_list("state", flat=True)) == {"delivered"}


def test_the_log_tells_of_rotations_and_holds_no_key(imported: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    former = settings.MASTER_KEY
    new_master(monkeypatch, old=former)
    rotate_master(actor="operator")
    rotate_incident(incident=imported, actor="operator")
    lines = list(AuditEvent.objects.filter(action__startswith="key.").order_by("id").values_list("action", "line"))
    assert [action for action, _ in lines] == ["key.rotated", "key.introduced", "key.retired"]
    assert not any(secret.hex() in line for secret in (former, NEW_MASTER) for _, line in lines)


# -- an incident's key -------------------------------------------------------------------------------------------------


def test_people_go_to_a_new_version_and_no_record_is_sealed_again(imported: Incident) -> None:
    before, known = stored(imported), names(imported)
    done = rotate_incident(incident=imported, actor="operator")
    assert (done.version, done.wrapped, done.damaged, done.waits_for) == (2, 3, 0, "")
    after = stored(imported)
    assert [sealed for sealed, _ in after] == [sealed for sealed, _ in before]
    assert not {key for _, key in after} & {key for _, key in before}
    assert names(imported) == known
    assert set(imported.people.values_list("key_version", flat=True)) == {2}


def test_the_former_wrapping_key_is_really_gone_while_index_and_blobs_go_on(imported: Incident) -> None:
    former = Incident.objects.get(pk=imported.pk)
    vault = Vault(incident=former)
    index, blob = vault.blind(kind="email", value="x"), vault.seal_blob(plain=b"a row", bound_to="row|1")
    kept = AffectedPerson.objects.filter(incident=imported).order_by("id")[0]
    rotate_incident(incident=former, actor="operator")
    now = Vault(incident=Incident.objects.get(pk=imported.pk))
    assert now.blind(kind="email", value="x") == index
    assert now.open_blob(sealed=blob, bound_to="row|1") == b"a row"
    kept.pk = None  # as in a backup: the key as it was wrapped before
    with pytest.raises(CannotOpen, match="version 1"):
        now.open(person=kept)
    (retired,) = IncidentKey.objects.filter(incident=imported, version=1)
    assert retired.wrapped_key is None and retired.retired_at is not None


def test_the_next_rotation_destroys_the_second_version(imported: Incident) -> None:
    known = names(imported)
    for version in (2, 3):
        done = rotate_incident(incident=Incident.objects.get(pk=imported.pk), actor="operator")
        assert (done.version, done.waits_for) == (version, "")
    assert names(imported) == known
    live = IncidentKey.objects.filter(incident=imported, wrapped_key__isnull=False)
    assert list(live.values_list("version", flat=True)) == [3]


def test_whoever_read_a_person_before_the_rotation_still_opens_them_after_it(imported: Incident) -> None:
    vault, people = Vault(incident=imported), list(imported.people.order_by("id"))
    fresh = Incident.objects.get(pk=imported.pk)
    rotate_incident(incident=fresh, actor="operator")
    late = Vault(incident=Incident.objects.get(pk=imported.pk))
    assert [vault.open(person=person) for person in people] == [late.open(person=person) for person in people]


def test_people_who_come_while_a_rotation_is_under_way_are_sealed_under_the_new_version(
    imported: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotating, "_retire", lambda *_: "stopped here")
    rotate_incident(incident=imported, actor="operator")
    sealed = Vault(incident=imported).seal_many([("f" * 32, b"{}")])[0]
    assert sealed.key_version == 2


def test_a_key_under_a_retired_version_is_refused_by_the_database(imported: Incident) -> None:
    vault, claire = Vault(incident=imported), imported.people.order_by("id")[0]
    stale = vault.seal(fields=vault.open(person=claire), subject=claire.subject)
    rotate_incident(incident=imported, actor="operator")
    with pytest.raises(IntegrityError, match="retired"), transaction.atomic():
        imported.people.filter(pk=claire.pk).update(wrapped_key=stale.wrapped_key, key_version=stale.key_version)


def test_one_damaged_key_needs_attention_and_the_others_go_on(imported: Incident) -> None:
    broken = imported.people.order_by("id")[0]
    imported.people.filter(pk=broken.pk).update(wrapped_key=b"\0" * 60)
    for _ in range(2):
        done = rotate_incident(incident=Incident.objects.get(pk=imported.pk), actor="operator")
        assert done.damaged == 1 and "do not open" in done.waits_for
    entry = QueueEntry.objects.get(person=broken)
    assert "does not open" in entry.reason and entry.status == "open"
    broken.refresh_from_db()
    assert broken.status == "attention"
    assert sorted(imported.people.values_list("key_version", flat=True)) == [1, 2, 2]
    vault = Vault(incident=Incident.objects.get(pk=imported.pk))
    assert len([vault.open(person=p) for p in imported.people.exclude(pk=broken.pk)]) == 2


def test_the_former_version_stays_while_a_list_is_being_imported(imported: Incident, officer: User) -> None:
    batch = ImportBatch.objects.get(incident=imported)
    ImportBatch.objects.filter(pk=batch.pk).update(state=BatchState.READING)
    assert "a list is being imported" in rotate_incident(incident=imported, actor="operator").waits_for
    ImportBatch.objects.filter(pk=batch.pk).update(state=BatchState.CANCELLED)
    done = rotate_incident(incident=imported, actor="operator")
    assert (done.version, done.waits_for) == (2, ""), "the rotation that was begun is ended, no third version is made"


def test_an_earlier_version_of_a_person_is_wrapped_anew_too(imported: Incident, officer: User) -> None:
    claire = imported.people.order_by("id")[0]
    vault = Vault(incident=imported)
    version = claire.versions.create(
        number=1, sealed=claire.sealed, wrapped_key=claire.wrapped_key, residence="FR", reason="moved", author=officer,
        recorded_at=imported.created_at,
    )  # fmt: skip
    assert rotate_incident(incident=imported, actor="operator").wrapped == 4
    version.refresh_from_db()
    now = Vault(incident=Incident.objects.get(pk=imported.pk))
    assert version.key_version == 2 and now.open_version(version=version) == vault.open(person=claire)


def test_the_command_says_what_it_did(imported: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("rotate_keys", incident=imported.reference, user="officer")
    assert capsys.readouterr().out.splitlines() == [
        f"3 keys of people wrapped with version 2 of the key of {imported.reference}.",
        "The former version is destroyed.",
    ]


@pytest.mark.committed
def test_killed_in_the_middle_it_goes_on_where_it_was(incident: Incident) -> None:
    crowd(incident)
    known = names(incident)
    slow = process(
        f"""
        import time
        from incidents.people import rotating
        from incidents.models import Incident
        rotating.BATCH = 10
        rotating.rotate_incident(
            incident=Incident.objects.get(pk={incident.pk}), actor="operator", progress=lambda n: time.sleep(0.05)
        )
        """,
        DATABASE_URL=address(),
    )
    end = time.monotonic() + 60
    while incident.people.filter(key_version=2).count() < 30:
        assert time.monotonic() < end and slow.poll() is None, slow.stderr and slow.stderr.read()
        time.sleep(0.02)
    os.kill(slow.pid, signal.SIGKILL)
    slow.communicate()
    versions = set(incident.people.values_list("key_version", flat=True))
    assert versions == {1, 2}, "it was killed in the middle"
    assert names(incident) == known, "both versions open meanwhile"
    done = rotate_incident(incident=incident, actor="operator")
    assert (done.version, done.damaged, done.waits_for) == (2, 0, "") and 0 < done.wrapped < len(known)
    assert names(incident) == known and len(known) == 200
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM incidents_incidentkey WHERE wrapped_key IS NOT NULL")
        assert cursor.fetchone() == (1,)
