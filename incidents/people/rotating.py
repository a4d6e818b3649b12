"""New keys without sealing anything anew: what a former key had wrapped is wrapped again, and the former key is destroyed.

Everything goes in small committed steps that leave nothing half done; killed at any moment, the same call goes on. Workers and
the desk need not stop: until the end both versions open, and from the first moment only the newer one seals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import AffectedPerson, BatchState, Incident, IncidentKey, PersonStatus, QueueEntry, StaffRecipient
from incidents.models.people import QueueKind
from incidents.models.refusal import Refused
from incidents.vault import CannotOpen, MasterKeyWrong, Vault
from incidents.vault.master import MasterKeyUnreachable, former, is_an_example, unwrap, wrap
from incidents.vault.own_key import wrap_row_again
from incidents.vault.sealing import (
    FIRST_VERSION,
    has_first_version,
    incident_context,
    later_context,
    new_wrapping_key,
    without_wrapping_key,
)

logger = logging.getLogger(__name__)
BATCH = 2000
REMEDY = (
    "Start with the key that they were wrapped with; when a rotation is under way give the former one as MASTER_KEY_OLD too, "
    "and end it with 'manage.py rotate_keys --master'."
)
#: At a start only so many incidents are tried, the newest first: each may cost a call to a KMS.
TRIED_AT_START = 20
Progress = Callable[[int], None]


class RotationRefused(Refused):
    """A rotation cannot begin or end; what is done already stays, and is right."""


@dataclass(frozen=True)
class Keyed:
    """A table with people's wrapped keys: its key, whose subject it is, and its rows of one incident."""

    table: str
    key: tuple[str, ...]
    subject: str
    rows: str


#: Where keys of people are kept; the staged rows of lists that are being read among them.
KEYED = (
    Keyed("incidents_affectedperson", ("id",), "t.subject", "incidents_affectedperson t WHERE t.incident_id = %(incident)s"),
    Keyed(
        "incidents_personversion", ("id",), "p.subject",
        "incidents_personversion t JOIN incidents_affectedperson p ON p.id = t.person_id WHERE p.incident_id = %(incident)s",
    ),
    Keyed(
        "incidents_stagedrow", ("batch_id", "number"), "t.subject",
        "incidents_stagedrow t JOIN incidents_importbatch b ON b.id = t.batch_id WHERE b.incident_id = %(incident)s",
    ),
)  # fmt: skip


# -- the master key ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MasterRotation:
    """How many keys of incidents were wrapped again, how many stood under the present master key already."""

    wrapped: int
    already: int


def rotate_master(*, actor: str) -> MasterRotation:
    """Wrap every incident's keys with the present master key, one incident a commit. Raises MasterKeyWrong, RotationRefused."""
    if former() is None:
        raise RotationRefused(
            "Give the former master key as MASTER_KEY_OLD (or MASTER_KEY_OLD_FILE, MASTER_KEY_OLD_PROGRAM) and the new one as "
            "MASTER_KEY: to every process first, then run this. docs/keys.md has the steps."
        )
    if is_an_example(key=settings.MASTER_KEY):
        raise RotationRefused(
            "The new master key is an example, not 32 random bytes: nothing would start with it. Make one (openssl rand -hex 32)."
        )
    wrapped = already = 0
    for incident_id in Incident.objects.order_by("id").values_list("id", flat=True):
        done, stood = _wrap_incident(incident_id, actor)
        wrapped, already = wrapped + done, already + stood
    _wrap_staff(actor)
    return MasterRotation(wrapped, already)


@transaction.atomic
def _wrap_staff(actor: str) -> None:
    """The records of the first wave's readers belong to no incident: their keys are wrapped by the master key itself."""
    done = 0
    for staff in StaffRecipient.objects.select_for_update().filter(removed_at=None).order_by("id"):
        again = wrap_row_again(sealed=bytes(staff.sealed), table=StaffRecipient._meta.db_table, row=staff.pk)
        done += StaffRecipient.objects.filter(pk=staff.pk).update(sealed=again) if again else 0
    if done:
        record(incident=None, action=Action.KEY_ROTATED, actor=actor, data={"key": "master", "wrapped": done})


@transaction.atomic
def _wrap_incident(incident_id: int, actor: str) -> tuple[int, int]:
    incident = Incident.objects.select_for_update().get(pk=incident_id)
    done = already = 0
    own = _under_present(bytes(incident.wrapped_key), incident_context(reference=incident.reference))
    if own:
        Incident.objects.filter(pk=incident_id).update(wrapped_key=own)
    done, already = (1, 0) if own else (0, 1)
    for later in incident.keys.filter(wrapped_key__isnull=False):
        context = later_context(reference=incident.reference, version=later.version)
        again = _under_present(bytes(later.wrapped_key or b""), context)
        if again:
            incident.keys.filter(pk=later.pk).update(wrapped_key=again)
        done, already = done + bool(again), already + (not again)
    if done:
        record(incident=incident, action=Action.KEY_ROTATED, actor=actor, data={"key": "master", "wrapped": done})
    return done, already


def _under_present(wrapped: bytes, context: str) -> bytes | None:
    """The key wrapped anew; None when it stands under the present master key already."""
    found = unwrap(wrapped=wrapped, context=context)
    return None if found.by_present else wrap(key=found.key, context=context)


def faults_of_keys() -> list[tuple[str, str]]:
    """For a start: (what, remedy) when the master key opens nothing. One that opens only a part is told in the process's log."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT has_column_privilege('incidents_incident', 'wrapped_key', 'SELECT')")
        if not cursor.fetchone()[0]:
            return []  # the sequencer: it opens nobody's data
    tried = list(Incident.objects.order_by("-id")[:TRIED_AT_START])
    closed = []
    for incident in tried:
        try:
            Vault(incident=incident).prove()
        except MasterKeyUnreachable as down:
            return [(down.lines[0], "")]
        except (CannotOpen, MasterKeyWrong):
            closed.append(incident.reference)
    what = f"The master key does not open the keys of {len(closed)} of {len(tried)} incidents ({', '.join(closed[:3])})."
    if closed and len(closed) < len(tried):
        # The others go on; whoever comes near a closed one is told the same (MasterKeyWrong).
        logger.error("%s %s", what, REMEDY)
    return [(what, REMEDY)] if closed and len(closed) == len(tried) else []


# -- an incident's key -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class IncidentRotation:
    """What became of it: the version that seals now, how many keys were wrapped again, whose key does not open."""

    version: int
    wrapped: int
    damaged: int
    #: Why the former version is still there; empty when it is destroyed.
    waits_for: str = ""


def rotate_incident(*, incident: Incident, actor: str, progress: Progress | None = None) -> IncidentRotation:
    """Everybody's key under a new version of the incident's (or the one that was begun); then the former is destroyed."""
    version = _begin(incident, actor)
    wrapped, damaged = 0, list[str]()
    for keyed in KEYED:
        last: tuple[int, ...] = ()
        while step := _wrap_batch(incident, keyed, version, last):
            last, wrapped, damaged = step.last, wrapped + step.done, [*damaged, *step.damaged]
            if progress:
                progress(wrapped)
    if damaged:
        _ask_about(incident, damaged)
    return IncidentRotation(version, wrapped, len(damaged), _retire(incident, version, actor))


@transaction.atomic
def _begin(incident: Incident, actor: str) -> int:
    """The version to go to: the newest when a rotation was begun, else a new one, from here on the one that seals."""
    locked = Incident.objects.select_for_update().get(pk=incident.pk)
    live = set(locked.keys.filter(retired_at=None).values_list("version", flat=True))
    live |= {FIRST_VERSION} if has_first_version(incident=locked) else set()
    if len(live) > 1:
        return max(live)
    version = max({FIRST_VERSION, *locked.keys.values_list("version", flat=True)}) + 1
    wrapped = new_wrapping_key(reference=locked.reference, version=version)
    IncidentKey.objects.create(incident=locked, version=version, wrapped_key=wrapped, made_at=database_now())
    record(incident=locked, action=Action.KEY_INTRODUCED, actor=actor, data={"key": "incident", "version": version})
    return version


@dataclass(frozen=True)
class Step:
    """One committed batch: where it ended, how many keys were wrapped again, subjects whose key does not open."""

    last: tuple[int, ...]
    done: int
    damaged: list[str]


@transaction.atomic
def _wrap_batch(incident: Incident, keyed: Keyed, version: int, last: tuple[int, ...]) -> Step | None:
    """Wrap the keys of the next rows of one table; None when there are none left."""
    key = ", ".join(f"t.{column}" for column in keyed.key)
    after = f"AND ({key}) > ({', '.join(map(str, last))})" if last else ""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {key}, {keyed.subject}, t.wrapped_key, t.key_version, t.ctid::text FROM {keyed.rows} "  # noqa: S608
            f"AND t.wrapped_key IS NOT NULL AND t.key_version < %(version)s {after} ORDER BY {key} LIMIT {BATCH} FOR UPDATE OF t",
            {"incident": incident.pk, "version": version},
        )
        rows = cursor.fetchall()
        if not rows:
            return None
        again = Vault(incident=incident).wrap_again([(row[-4], bytes(row[-3]), row[-2]) for row in rows])
        ready = [(row[-1], wrapped) for row, wrapped in zip(rows, again, strict=True) if wrapped]
        cursor.execute(
            f"UPDATE {keyed.table} t SET wrapped_key = u.wrapped, key_version = %s "  # noqa: S608
            "FROM unnest(%s::tid[], %s::bytea[]) AS u(at, wrapped) WHERE t.ctid = u.at",
            [version, [at for at, _ in ready], [wrapped for _, wrapped in ready]],
        )
        assert cursor.rowcount == len(ready)
    damaged = [row[-4] for row, wrapped in zip(rows, again, strict=True) if not wrapped]
    return Step(rows[-1][: len(keyed.key)], len(ready), damaged)


def _ask_about(incident: Incident, subjects: list[str]) -> None:
    """Somebody whose key does not open needs a person's attention; everybody else goes on."""
    people = AffectedPerson.objects.filter(incident=incident, subject__in=subjects)
    for person in people.exclude(queue__kind=QueueKind.DATA, queue__column="sealed record", queue__status="open"):
        QueueEntry.objects.create(
            incident=incident, person=person, kind=QueueKind.DATA, column="sealed record",
            reason="The sealed record of this person does not open: the record or its key was damaged in the database.",
            remedy="Correct the person from the list as it came, or put the row back from a backup.",
        )  # fmt: skip
        AffectedPerson.objects.filter(pk=person.pk, status=PersonStatus.CLEAR).update(status=PersonStatus.ATTENTION)


@transaction.atomic
def _retire(incident: Incident, version: int, actor: str) -> str:
    """Destroy the former versions once nothing is left under them; returns what that waits for, empty when it is done."""
    # Whoever stores a key at this moment is waited for (0006_keeping), and is seen.
    locked = Incident.objects.select_for_update().get(pk=incident.pk)
    with connection.cursor() as cursor:
        left = sum(_left(cursor, keyed, incident, version) for keyed in KEYED)
    if left:
        return (
            f"{left} keys of people stand under a former version, and do not open or came meanwhile: decide, and run this again"
        )
    reading = (BatchState.WAITING, BatchState.READING, BatchState.SETTLING)
    if locked.imports.filter(state__in=reading).exists():
        return "a list is being imported: run this again when it is in"
    now, retired = (
        database_now(),
        list(locked.keys.filter(retired_at=None, version__lt=version).values_list("version", flat=True)),
    )
    locked.keys.filter(version__in=retired).update(wrapped_key=None, retired_at=now)
    if has_first_version(incident=locked):
        Incident.objects.filter(pk=locked.pk).update(wrapped_key=without_wrapping_key(incident=locked))
        IncidentKey.objects.create(
            incident=locked, version=FIRST_VERSION, wrapped_key=None, made_at=locked.created_at, retired_at=now
        )
        retired.append(FIRST_VERSION)
    for former_version in retired:
        data = {"key": "incident", "version": former_version}
        record(incident=locked, action=Action.KEY_RETIRED, actor=actor, data=data)
    return ""


def _left(cursor: Any, keyed: Keyed, incident: Incident, version: int) -> int:
    cursor.execute(
        f"SELECT count(*) FROM {keyed.rows} AND t.wrapped_key IS NOT NULL AND t.key_version < %(version)s",  # noqa: S608
        {"incident": incident.pk, "version": version},
    )
    found: int = cursor.fetchone()[0]
    return found
