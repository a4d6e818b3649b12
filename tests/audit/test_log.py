"""The log: no change without its entry and no entry without its change; gapless places; heads that never go back."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from django.contrib.auth.models import User
from django.db import transaction
from pytest_django import Settings

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.log import Entry, TreeWentBack, checkpoint, database_now, record, record_many, sequence, stamp
from incidents.audit.merkle import leaf_hash, root
from incidents.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditLog, AuditPending, Incident
from tests.dispatch.campaigns import process, together


@pytest.fixture(autouse=True)
def own_key(settings: Settings, tmp_path: Path) -> Path:
    """A key and heads of this test's own."""
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    return tmp_path / "keys" / "audit.pem"


def note(incident: Incident, text: str = "x", *, times: int = 1) -> None:
    record_many(
        incident=incident, actor="officer", entries=[Entry(Action.ACCESS_VIEWED, {"purpose": text}) for _ in range(times)]
    )


def lines(incident: Incident) -> list[str]:
    """The entries in the order of the tree."""
    return list(
        AuditEvent.objects.filter(log__incident=incident, leaf__isnull=False).order_by("leaf__seq").values_list("line", flat=True)
    )


def places(incident: Incident) -> list[int]:
    return list(AuditLeaf.objects.filter(log__incident=incident).order_by("seq").values_list("seq", flat=True))


# Entries


def test_an_entry_is_canonical_and_says_who_what_when_and_of_whom(incident: Incident) -> None:
    moment = database_now()
    record(
        incident=incident, action=Action.ACCESS_VIEWED, actor="officer", data={"purpose": "été\n"}, subject="ab" * 16, at=moment
    )
    event = AuditEvent.objects.order_by("-id")[0]
    found = json.loads(event.line)
    assert {**found, "id": ""} == {
        "action": "access.viewed", "actor": "officer", "at": stamp(moment), "data": {"purpose": "été\n"}, "id": "",
        "incident": incident.reference, "subject": "ab" * 16, "v": 1,
    }  # fmt: skip
    assert event.line == json.dumps(found, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert (event.action, event.subject, event.actor) == ("access.viewed", "ab" * 16, "officer")


def test_a_value_without_a_canonical_form_is_refused_and_nothing_is_written(incident: Incident) -> None:
    before = AuditEvent.objects.count()
    for value in (1.5, 2**60, {1, 2}, b"x"):
        with pytest.raises((TypeError, ValueError)):
            record(incident=incident, action=Action.ACCESS_VIEWED, actor="officer", data={"value": value})
    assert AuditEvent.objects.count() == before


def test_a_change_that_is_rolled_back_leaves_no_entry(incident: Incident) -> None:
    before = AuditEvent.objects.count(), AuditPending.objects.count()
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        note(incident, times=3)
        raise ZeroDivisionError
    assert (AuditEvent.objects.count(), AuditPending.objects.count()) == before


def test_a_failed_entry_takes_its_change_with_it(incident: Incident) -> None:
    with pytest.raises(TypeError), transaction.atomic():
        User.objects.create_user("somebody")
        record(incident=incident, action=Action.ACCESS_VIEWED, actor="officer", data={"x": 0.5})
    assert not User.objects.filter(username="somebody").exists()


# Places in the tree


def test_the_sequencer_gives_gapless_places_from_zero_and_the_frontier_is_the_tree(incident: Incident) -> None:
    for _ in range(3):
        note(incident, times=7)
        sequence()
    assert not AuditPending.objects.exists()
    assert places(incident) == list(range(len(lines(incident))))
    head = checkpoint(incident=incident)
    assert head.root == root(leaf_hash(line.encode()) for line in lines(incident)).hex()
    assert sequence() == 0


@pytest.mark.committed
def test_entries_of_many_writers_with_rollbacks_between_get_gapless_places(incident: Incident) -> None:
    def write() -> None:
        for number in range(15):
            with transaction.atomic():
                note(incident, f"kept {number}")
            try:
                with transaction.atomic():
                    note(incident, "thrown away", times=2)
                    raise ZeroDivisionError
            except ZeroDivisionError:
                pass

    def order() -> None:
        for _ in range(15):
            sequence()

    assert together(write, write, write, order, order) == [None] * 5
    sequence()
    assert places(incident) == list(range(len(places(incident))))
    assert len(lines(incident)) == AuditEvent.objects.count()
    assert sum("kept" in line for line in lines(incident)) == 45
    assert not any("thrown away" in line for line in lines(incident))
    head = checkpoint(incident=incident)
    assert head.root == root(leaf_hash(line.encode()) for line in lines(incident)).hex()


@pytest.mark.committed
def test_an_entry_whose_transaction_is_still_open_gets_its_place_later(incident: Incident) -> None:
    with transaction.atomic():
        note(incident, "slow")

        def other() -> None:
            note(incident, "quick")
            sequence()

        assert together(other) == [None]
    sequence()
    found = [json.loads(line)["data"].get("purpose") for line in lines(incident)]
    assert found[-2:] == ["quick", "slow"]
    assert places(incident) == list(range(len(places(incident))))


def test_each_incident_has_its_own_tree(incident: Incident) -> None:
    record(incident=None, action=Action.KEY_INTRODUCED, actor="system")
    note(incident)
    sequence()
    assert AuditLog.objects.count() == 2
    assert places(incident) == list(range(len(places(incident))))
    assert AuditLeaf.objects.filter(log__incident=None).count() == 1


# Heads


def public_pem(folder: Path) -> Path:
    pem = log.signing_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "public.pem").write_bytes(pem)
    return folder / "public.pem"


def test_a_checkpoint_verifies_with_openssl(incident: Incident, tmp_path: Path) -> None:
    head = checkpoint(incident=incident)
    text, _, signature = head.note.rpartition("\n\n")
    assert text.split("\n") == [head.log.origin, str(head.size), base64.b64encode(bytes.fromhex(head.root)).decode()]
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(signature.split(" ")[-1])[4:])
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(public_pem(tmp_path)), "-rawin"]
    command += ["-in", str(tmp_path / "text"), "-sigfile", str(tmp_path / "signature")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (tmp_path / "text").write_text(text.replace(str(head.size), str(head.size + 1)) + "\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_an_unchanged_tree_is_signed_once(incident: Incident) -> None:
    assert checkpoint(incident=incident).pk == checkpoint(incident=incident).pk
    note(incident)
    checkpoint(incident=incident)
    assert AuditCheckpoint.objects.count() == 2


@pytest.fixture
def restored(incident: Incident) -> Iterator[Callable[[], None]]:
    """Signs a head, and gives the way back to the database as it stood before: a restored backup."""
    point = transaction.savepoint()
    note(incident, "lost by the restore", times=5)
    checkpoint(incident=incident)
    yield lambda: transaction.savepoint_rollback(point)


def test_a_shorter_tree_is_never_signed(incident: Incident, restored: Callable[[], None]) -> None:
    restored()
    before = AuditCheckpoint.objects.count()
    with pytest.raises(TreeWentBack, match="were signed before"), transaction.atomic():
        checkpoint(incident=incident)
    assert AuditCheckpoint.objects.count() == before


@pytest.mark.parametrize("times", [5, 20])
def test_nor_one_that_grew_on_after_the_restore(incident: Incident, restored: Callable[[], None], times: int) -> None:
    restored()
    note(incident, "written after the restore", times=times)
    with pytest.raises(TreeWentBack), transaction.atomic():
        checkpoint(incident=incident)


def test_a_signer_that_dies_before_its_commit_does_not_block_the_next(incident: Incident) -> None:
    """The head was written down, its row was not: the tree below it is still the same, so it may grow on."""
    sequence()
    point = transaction.savepoint()
    checkpoint(incident=incident)
    transaction.savepoint_rollback(point)
    note(incident, times=3)
    assert checkpoint(incident=incident).size > 3


def test_a_changed_frontier_is_not_signed(incident: Incident) -> None:
    head = checkpoint(incident=incident)
    wrong = ["00" * 32] * len(AuditLog.objects.get(incident=incident).frontier)
    AuditLog.objects.filter(incident=incident).update(frontier=wrong)
    with pytest.raises(TreeWentBack), transaction.atomic():
        checkpoint(incident=incident)
    assert AuditCheckpoint.objects.get().pk == head.pk


# The key


def test_the_key_is_made_once_and_only_its_owner_may_read_it(own_key: Path) -> None:
    first = log.fingerprint_of_key()
    assert stat.S_IMODE(own_key.stat().st_mode) == 0o400
    assert [file.name for file in own_key.parent.iterdir()] == ["audit.pem"]
    assert log.fingerprint_of_key() == first
    assert own_key.read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_processes_that_all_come_first_agree_on_one_key(db: None, own_key: Path) -> None:
    code = "from incidents.audit.log import fingerprint_of_key; print(fingerprint_of_key())"
    started = [process(code) for _ in range(2)]
    said = {each.communicate(timeout=60)[0] for each in started}
    assert said == {log.fingerprint_of_key() + "\n"}
    assert stat.S_IMODE(own_key.stat().st_mode) == 0o400


def test_the_entries_about_one_person_are_found(incident: Incident) -> None:
    record(incident=incident, action=Action.ACCESS_VIEWED, actor="officer", subject="ab" * 16)
    record(incident=incident, action=Action.ACCESS_VIEWED, actor="officer", subject="cd" * 16)
    assert [event.subject for event in log.events_of(incident=incident, subject="ab" * 16)] == ["ab" * 16]
