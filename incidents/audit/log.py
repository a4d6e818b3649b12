"""Writes the log: an entry in the caller's transaction, then its place in the RFC 9162 tree, then signed checkpoints.

`record` never commits by itself: no entry, no change. One sequencer at a time (advisory lock) takes what is pending, gives
gapless places and keeps the tree's frontier. Checkpoints are C2SP signed notes. Ordering and signing are the database role
"sequencer"'s alone: a process that has not its address waits for the one that has.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from django.conf import settings
from django.db import connection, transaction

from incidents import failpoints
from incidents.acting import acting_as, can_act_as
from incidents.audit import witness
from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json, checkpoint_text, fingerprint, sign_note
from incidents.audit.merkle import Frontier, leaf_hash
from incidents.models import AuditCheckpoint, AuditEvent, AuditLeaf, AuditLog, Incident
from incidents.models.audit import DECISIVE
from incidents.refusal import Refused

logger = logging.getLogger(__name__)

SEQUENCER_LOCK = 0x62_6E_5F_73_65_71  # "bn_seq"
BATCH = 20_000


SEQUENCER = "sequencer"
CHECKPOINT_EVERY = timedelta(seconds=60)
#: Seconds that a process which may not sign waits for the one that may.
WAIT_SECONDS = 20


class NobodySigns(Refused):
    """The head was not signed in time: the process that orders and signs the log does not run."""


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


def log_number(incident: Incident | None) -> int:
    """The key of the same log; asked once for an incident at hand, since a log never becomes another."""
    try:
        return log_of(None).pk if incident is None else incident.audit_log.pk
    except AuditLog.DoesNotExist:
        return log_of(incident).pk


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
    number, moment = log_number(incident), at or database_now()
    name, written = incident.reference if incident else "", stamp(moment)
    # A list first: COPY owns the connection, and entries may come from a query on the same one.
    ready = [(entry, _line(entry, actor, written, name)) for entry in entries]
    command = "COPY incidents_auditevent (log_id, action, subject, actor, happened_at, line) FROM STDIN"
    with transaction.atomic(), connection.cursor() as cursor, cursor.copy(command) as out:
        for entry, line in ready:
            out.write_row((number, entry.action.value, entry.subject, actor, moment, line))
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


@dataclass(frozen=True)
class Hole:
    """In the data of many like entries: the column of the query whose value, in hexadecimal digits, stands there."""

    column: str


#: SQL: as unlike any other as a random number, at a third of its price: of one random seed and the entry's place.
OWN_NUMBER = "left(encode(sha256(%(seed)s::bytea || int8send(row_number() OVER ())), 'hex'), 32)"


def record_set(
    *, incident: Incident, action: Action, actor: str, data: dict[str, Any], query: str, parameters: dict[str, Any]
) -> int:
    """Write one like entry for each row of `query` in the caller's transaction; returns how many.

    The database puts the lines together, byte for byte as canonical JSON is: only hexadecimal digits differ from line to line.
    The query gives `subject` and the columns of the holes in `data`; a value that is no hexadecimal number is an error.
    """
    moment, columns = (
        database_now(),
        {uuid.uuid4().hex: f"encode(decode(q.{hole.column}, 'hex'), 'hex')" for hole in _holes(data)},
    )
    marks = dict(zip(_holes(data), columns, strict=True))
    whole = {
        "action": action.value,
        "actor": actor,
        "at": stamp(moment),
        "data": {name: marks.get(value, value) if isinstance(value, Hole) else value for name, value in data.items()},
        "id": (own := uuid.uuid4().hex),
        "incident": incident.reference,
        "subject": (subject := uuid.uuid4().hex),
        "v": 1,
    }
    columns |= {own: OWN_NUMBER, subject: "encode(decode(q.subject, 'hex'), 'hex')"}
    line, given = _pieced(canonical_json(whole).decode(), columns)
    values = {**parameters, **given, "log": log_number(incident), "action": action.value, "actor": actor, "moment": moment}
    values |= {"seed": os.urandom(32)}
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO incidents_auditevent (log_id, action, subject, actor, happened_at, line) "  # noqa: S608
            f"SELECT %(log)s, %(action)s, q.subject, %(actor)s, %(moment)s, {line} FROM ({query}) q",
            values,
        )
        return int(cursor.rowcount)


def _holes(data: dict[str, Any]) -> list[Hole]:
    return [value for value in data.values() if isinstance(value, Hole)]


def _pieced(text: str, columns: dict[str, str]) -> tuple[str, dict[str, str]]:
    """SQL that puts a text together again with a column's value in the place of each mark, and the pieces between them."""
    pieces = re.split(f"({'|'.join(columns)})", text)
    given = {f"piece{place}": piece for place, piece in enumerate(pieces) if piece not in columns}
    return " || ".join(columns.get(piece, f"%(piece{place})s::text") for place, piece in enumerate(pieces)), given


def sequence() -> int:
    """Give every pending entry its place in its tree; returns how many. Harmless beside another sequencer."""
    with acting_as(SEQUENCER):
        return _sequence()


def _sequence() -> int:
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


#: Each entry by its key, whatever the planner has heard of the two tables: the log grows, what is pending does not.
PENDING = """
SELECT e.log_id, e.id, e.line FROM (SELECT event_id FROM incidents_auditpending ORDER BY event_id LIMIT %s) p
CROSS JOIN LATERAL (SELECT * FROM incidents_auditevent a WHERE a.id = p.event_id OFFSET 0) e"""


def _sequence_batch(cursor: Any) -> int:
    cursor.execute(PENDING, [BATCH])
    pending = cursor.fetchall()
    by_log: dict[int, list[tuple[int, bytes]]] = {}
    for log_id, event_id, line in pending:
        by_log.setdefault(log_id, []).append((event_id, leaf_hash(line.encode())))
    for log_id, leaves in by_log.items():
        _append_leaves(cursor, log_id, leaves)
    failpoints.reach("mid_sequence")
    cursor.execute("DELETE FROM incidents_auditpending WHERE event_id = ANY(%s)", [[row[1] for row in pending]])
    return len(pending)


def _append_leaves(cursor: Any, log_id: int, leaves: list[tuple[int, bytes]]) -> None:
    log = AuditLog.objects.select_for_update(no_key=True).get(pk=log_id)
    frontier = Frontier.from_hex(size=log.size, hashes=log.frontier)
    with cursor.copy("COPY incidents_auditleaf (log_id, seq, event_id, leaf_hash) FROM STDIN") as out:
        for place, (event_id, digest) in enumerate(leaves, start=log.size):
            frontier.append(digest)
            out.write(f"{log_id}\t{place}\t{event_id}\t\\\\x{digest.hex()}\n")
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


def may_sign() -> bool:
    """Whether this process may order and sign the log itself."""
    if can_act_as(SEQUENCER):
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_table_privilege('incidents_auditleaf', 'INSERT')")
        return bool(cursor.fetchone()[0])


def checkpoint(*, incident: Incident | None) -> AuditCheckpoint:
    """The signed head of everything up to now; where this process may not sign, the sequencer's is waited for.

    Raises TreeWentBack instead of signing a shorter tree, NobodySigns when no sequencer runs.
    """
    log = log_of(incident)
    if not may_sign():
        return _await_head(log)
    with acting_as(SEQUENCER):
        _sequence()
        return _sign(log.pk)


def sign_decision(*, incident: Incident) -> None:
    """After a decision: sign it here where we may; elsewhere the sequencer finds it by itself, within seconds."""
    if may_sign():
        checkpoint(incident=incident)


def seal() -> None:
    """Order what is pending and sign what is due: at once after what is decisive, else once a minute. Raises TreeWentBack."""
    went_back: list[TreeWentBack] = []
    with acting_as(SEQUENCER):
        _sequence()
        for log in AuditLog.objects.order_by("id"):
            try:
                if _is_due(log):
                    _sign(log.pk)
            except TreeWentBack as alarm:  # the other logs are signed all the same
                went_back.append(alarm)
    if went_back:
        raise went_back[0]


def _is_due(log: AuditLog) -> bool:
    last = log.checkpoints.order_by("-id").first()
    if last is None or last.size >= log.size:
        return last is None
    decisive = AuditEvent.objects.filter(log=log, action__in=DECISIVE, leaf__seq__gte=last.size)
    return database_now() - last.signed_at > CHECKPOINT_EVERY or decisive.exists()


def _sign(log_id: int) -> AuditCheckpoint:
    with transaction.atomic():
        log = AuditLog.objects.select_for_update(no_key=True).get(pk=log_id)
        last = log.checkpoints.order_by("-id").first()
        root = Frontier.from_hex(size=log.size, hashes=log.frontier).root().hex()
        if last and last.size == log.size and last.root == root:
            return last
        _refuse_to_go_back(log, root)
        text = checkpoint_text(origin=log.origin, size=log.size, root=bytes.fromhex(root))
        note = sign_note(text=text, key_name=log.origin, private_key=signing_key())
        witness.remember_head(log, root)
        failpoints.reach("mid_checkpoint")
        return AuditCheckpoint.objects.create(log=log, size=log.size, root=root, note=note, signed_at=database_now())


def _await_head(log: AuditLog) -> AuditCheckpoint:
    """The first head over everything decisive that stands in the log now."""
    entries, end = AuditEvent.objects.filter(log=log).order_by("-id"), time.monotonic() + WAIT_SECONDS
    newest = entries.filter(action__in=DECISIVE).first() or entries.first()
    while newest and time.monotonic() < end:
        place = AuditLeaf.objects.filter(event_id=newest.pk).values_list("seq", flat=True).first()
        head = log.checkpoints.filter(size__gt=place).order_by("id").first() if place is not None else None
        if head is not None:
            return head
        time.sleep(0.1)
    raise NobodySigns(
        "What was recorded is not signed: the process that orders and signs the log does not run. Start it (docs/operations.md); "
        "the command export_evidence signs by itself."
    )


def refuse_to_go_back(*, incident: Incident) -> None:
    """Raises TreeWentBack when this database does not reach the log's last signed head, and nobody has answered for that."""
    lost = witness.lost_head(incident=incident)
    if lost:
        raise _went_back(log_of(incident), lost)


def _went_back(log: AuditLog, head: witness.Head) -> TreeWentBack:
    return TreeWentBack(
        f"The log {log.origin} holds {log.size} entries, and not all of the {head.size} that were signed before. The database "
        "was restored or changed; nothing is signed until this is explained (docs/operations.md: recover)."
    )


def _refuse_to_go_back(log: AuditLog, root: str) -> None:
    """The last signed head is kept outside the database too: that is what shows a restored backup, also one that grew on."""
    try:
        head = witness.read_head(log)
    except OSError:
        return
    except ValueError:
        # Torn by a disk or a person. The database is all that is left to go by; else nothing would be signed any more.
        logger.error("the kept head of %s is torn: a restored database would not be seen; it is written anew", log.origin)
        return
    if head.size <= log.size and head.root == (root if head.size == log.size else witness.root_at(log, head)):
        return
    # What was lost may be signed over once it is named, and the name is under this very signature.
    if not witness.is_answered_for(log, head, below=log.size):
        raise _went_back(log, head)


def events_of(*, incident: Incident, subject: str) -> list[AuditEvent]:
    """All entries about one person, oldest first."""
    return list(AuditEvent.objects.filter(log=log_of(incident), subject=subject).order_by("id"))
