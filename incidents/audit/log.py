"""Writes the log: an entry in the caller's transaction, then its place in the RFC 9162 tree, then signed checkpoints.

`record` never commits by itself: no entry, no change. One sequencer at a time (advisory lock) takes what is pending, gives
gapless places and keeps the tree's frontier. Checkpoints are C2SP signed notes.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from django.conf import settings
from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json, checkpoint_text, fingerprint, sign_note
from incidents.audit.merkle import Frontier, leaf_hash
from incidents.audit.merkle import root as tree_root
from incidents.models import AuditCheckpoint, AuditEvent, AuditLog, Incident

SEQUENCER_LOCK = 0x62_6E_5F_73_65_71  # "bn_seq"
BATCH = 20_000


class TreeWentBack(Exception):
    """The stored tree is smaller than, or differs from, the last one signed: a restored backup or a changed table."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened, without personal data: `subject` is the random name of a person, or empty."""

    action: Action
    data: dict[str, Any] = field(default_factory=dict)
    subject: str = ""


def database_now() -> datetime:
    """The database's clock, the only one that dates entries."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def stamp(moment: datetime) -> str:
    """A moment as the log writes it: UTC, microseconds, fixed width."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def log_of(incident: Incident | None) -> AuditLog:
    """The log of an incident (None: of the installation), opened at first use."""
    found = AuditLog.objects.filter(incident=incident).first()
    if found:
        return found
    origin = f"{settings.AUDIT_ORGANISATION}/breach-audit/{uuid.uuid4()}"
    log, _ = AuditLog.objects.get_or_create(incident=incident, defaults={"origin": origin})
    return log


def record(
    *,
    incident: Incident | None,
    action: Action,
    actor: str,
    data: dict[str, Any] | None = None,
    subject: str = "",
    at: datetime | None = None,
) -> None:
    """Write one entry in the caller's transaction."""
    record_many(incident=incident, actor=actor, entries=[Entry(action, data or {}, subject)], at=at)


def record_many(*, incident: Incident | None, actor: str, entries: Iterable[Entry], at: datetime | None = None) -> int:
    """Write entries in bulk (COPY) in the caller's transaction; returns how many."""
    log, moment = log_of(incident), at or database_now()
    name, written = incident.reference if incident else "", stamp(moment)
    # A list first: COPY owns the connection, and entries may come from a query on the same one.
    ready = [(entry, _line(entry, actor, written, name)) for entry in entries]
    command = "COPY incidents_auditevent (log_id, action, subject, actor, happened_at, line) FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(command) as out:
        for entry, line in ready:
            out.write_row((log.pk, entry.action.value, entry.subject, actor, moment, line))
    return len(ready)


def _line(entry: Entry, actor: str, written: str, incident: str) -> str:
    whole = {
        "action": entry.action.value,
        "actor": actor,
        "at": written,
        "data": entry.data,
        "id": uuid.uuid4().hex,
        "incident": incident,
        "subject": entry.subject,
        "v": 1,
    }
    return canonical_json(whole).decode()


def sequence() -> int:
    """Give every pending entry its place in its tree; returns how many. Harmless beside another sequencer."""
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEQUENCER_LOCK])
            if not cursor.fetchone()[0]:
                return total
            done = _sequence_batch(cursor)
        total += done
        if done < BATCH:
            return total


def _sequence_batch(cursor: Any) -> int:
    cursor.execute(
        "SELECT e.log_id, e.id, e.line FROM incidents_auditpending p JOIN incidents_auditevent e ON e.id = p.event_id "
        "ORDER BY e.log_id, e.id LIMIT %s",
        [BATCH],
    )
    pending = cursor.fetchall()
    by_log: dict[int, list[tuple[int, bytes]]] = {}
    for log_id, event_id, line in pending:
        by_log.setdefault(log_id, []).append((event_id, leaf_hash(line.encode())))
    for log_id, leaves in by_log.items():
        _append_leaves(cursor, log_id, leaves)
    cursor.execute("DELETE FROM incidents_auditpending WHERE event_id = ANY(%s)", [[row[1] for row in pending]])
    return len(pending)


def _append_leaves(cursor: Any, log_id: int, leaves: list[tuple[int, bytes]]) -> None:
    log = AuditLog.objects.select_for_update().get(pk=log_id)
    frontier = Frontier.from_hex(size=log.size, hashes=log.frontier)
    with cursor.copy("COPY incidents_auditleaf (log_id, seq, event_id, leaf_hash) FROM STDIN") as out:
        for place, (event_id, digest) in enumerate(leaves, start=log.size):
            frontier.append(digest)
            out.write_row((log_id, place, event_id, digest))
    log.size, log.frontier = frontier.size, frontier.to_hex()
    log.save(update_fields=["size", "frontier"])


def signing_key() -> Ed25519PrivateKey:
    """The Ed25519 key that signs checkpoints: a file that only its owner may read, made at first use."""
    path: Path = settings.AUDIT_KEY_FILE
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        # Private from its first byte on, and under a name of its own: several processes may be first.
        with tempfile.NamedTemporaryFile(dir=path.parent) as temporary:
            temporary.write(pem)
            temporary.flush()
            os.fchmod(temporary.fileno(), 0o400)
            # A link fails when another process was first; both then read the same key.
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(temporary.name)
    key = load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, Ed25519PrivateKey)
    return key


def fingerprint_of_key() -> str:
    """SHA-256 of the raw public key, in hex: what a regulator is given beforehand."""
    return fingerprint(signing_key().public_key().public_bytes_raw())


def checkpoint(*, incident: Incident | None) -> AuditCheckpoint:
    """Sequence what is pending and sign the tree's head. Raises TreeWentBack instead of signing a shorter tree."""
    sequence()
    with transaction.atomic():
        log = AuditLog.objects.select_for_update().get(pk=log_of(incident).pk)
        last = log.checkpoints.order_by("-id").first()
        root = Frontier.from_hex(size=log.size, hashes=log.frontier).root().hex()
        if last and last.size == log.size and last.root == root:
            return last
        _refuse_to_go_back(log, root)
        text = checkpoint_text(origin=log.origin, size=log.size, root=bytes.fromhex(root))
        note = sign_note(text=text, key_name=log.origin, private_key=signing_key())
        _remember_head(log, root)
        return AuditCheckpoint.objects.create(log=log, size=log.size, root=root, note=note, signed_at=database_now())


def _head_file(log: AuditLog) -> Path:
    folder: Path = settings.AUDIT_KEY_FILE.parent / "heads"
    return folder / log.origin.rsplit("/", 1)[-1]


def _refuse_to_go_back(log: AuditLog, root: str) -> None:
    """The last signed head is kept outside the database too: that is what shows a restored backup, also one that grew on."""
    try:
        size, known = _head_file(log).read_text().split()
    except OSError:
        return
    if int(size) > log.size or known != (root if int(size) == log.size else _root_at(log, int(size), known)):
        raise TreeWentBack(
            f"The log {log.origin} holds {log.size} entries, but {size} were signed before. The database was restored "
            "or changed; nothing is signed until this is explained."
        )


def _root_at(log: AuditLog, size: int, known: str) -> str:
    """The root of the first `size` entries: as signed, or (the signer died before its commit) from the leaves."""
    if log.checkpoints.filter(size=size, root=known).exists():
        return known
    leaves = log.leaves.filter(seq__lt=size).order_by("seq").values_list("leaf_hash", flat=True)
    return tree_root(bytes(leaf) for leaf in leaves.iterator(chunk_size=5000)).hex()


def _remember_head(log: AuditLog, root: str) -> None:
    path = _head_file(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    temporary.write_text(f"{log.size} {root}")
    temporary.replace(path)  # a crash leaves the old head or the new one, never half of one


def events_of(*, incident: Incident, subject: str) -> list[AuditEvent]:
    """All entries about one person, oldest first."""
    return list(AuditEvent.objects.filter(log=log_of(incident), subject=subject).order_by("id"))
