"""Decisions on the queues: corrected, held until a date with a reason, or rejected by two. Set-based, each one in the log.

An entry without a decision stops the freeze; a decided one does not have to be gone. Held people are on the register, counted,
their deadlines running.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record_many
from incidents.law.places import may_mean, residence_of
from incidents.models import AffectedPerson, ImportRow, Incident, QueueEntry, RowOutcome
from incidents.models.people import QueueKind, QueueStatus
from incidents.models.refusal import Refused
from incidents.people.addresses import check_address, normal_address
from incidents.people.cohorts import refresh_cohorts
from incidents.people.residence import is_residence
from incidents.vault import Vault

UNDECIDED = (QueueStatus.OPEN, QueueStatus.REJECTION_PROPOSED)
RESIDENCE_KINDS = (QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_UNKNOWN, QueueKind.RESIDENCE_CONFLICT)
#: A person's status follows from their entries, in this order of weight.
FOLLOW = """
UPDATE incidents_affectedperson p SET status = s.status FROM (
  SELECT q.person_id, CASE WHEN bool_or(q.status = 'rejected') THEN 'rejected'
      WHEN bool_or(q.status IN ('open', 'rejection_proposed')) THEN 'attention'
      WHEN bool_or(q.status = 'held') THEN 'held' ELSE 'clear' END AS status
  FROM incidents_queueentry q WHERE q.person_id = ANY(%s) GROUP BY q.person_id) s
WHERE p.id = s.person_id AND p.status <> s.status"""


class DecisionRefused(Refused):
    """A decision on a queue entry was refused; nothing changed."""


def _reason(text: str) -> str:
    if not text.strip():
        raise DecisionRefused("A decision needs its reason in words.")
    return text.strip()


def _may_change(incident: Incident) -> None:
    with connection.cursor() as cursor:
        # Waits for a freeze that is under way, and makes one wait for this decision; imports go on beside it.
        cursor.execute("SELECT 1 FROM incidents_incident WHERE id = %s FOR KEY SHARE", [incident.pk])
    if incident.campaigns.exists():
        raise DecisionRefused("The register is frozen; these people's entries can no longer change it.")


def _take(incident: Incident, entries: QuerySet[QueueEntry], *statuses: str) -> list[QueueEntry]:
    own = entries.filter(incident=incident, status__in=statuses)
    return list(own.select_related("person").select_for_update(of=("self",)).order_by("id"))


def _follow(entries: list[QueueEntry]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW, [[entry.person_id for entry in entries if entry.person_id]])


def _write(entries: list[QueueEntry], *, status: str, reason: str, author: User, until: date | None = None) -> None:
    QueueEntry.objects.filter(pk__in=[entry.pk for entry in entries]).update(
        status=status, decision_reason=reason, decided_by=author, decided_at=database_now(), held_until=until
    )


def _log(incident: Incident, author: User, action: Action, entries: list[QueueEntry], **data: object) -> None:
    record_many(
        incident=incident,
        actor=author.username,
        entries=[Entry(action, {"kind": entry.kind, **data}, entry.person.subject if entry.person else "") for entry in entries],
    )


@transaction.atomic
def hold(*, incident: Incident, entries: QuerySet[QueueEntry], until: date, reason: str, author: User) -> int:
    """Keep these people on the register without a letter until a date; returns how many entries. Raises DecisionRefused."""
    _may_change(incident)
    why = _reason(reason)
    if until <= database_now().date():
        raise DecisionRefused(f"{until.isoformat()} is not in the future. Give the day on which this is looked at again.")
    taken = _take(incident, entries.exclude(kind=QueueKind.ROW), *UNDECIDED)
    _write(taken, status=QueueStatus.HELD, reason=why, author=author, until=until)
    _follow(taken)
    _log(incident, author, Action.PERSON_HELD, taken, until=until.isoformat(), reason=why)
    return len(taken)


@transaction.atomic
def accept(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Decide that the person can be written to as they stand; returns how many entries."""
    _may_change(incident)
    why = _reason(reason)
    taken = _take(
        incident,
        entries.exclude(kind__in=[QueueKind.ROW, QueueKind.NO_CHANNEL, QueueKind.ADDRESS]),
        QueueStatus.OPEN,
        QueueStatus.HELD,
    )
    _write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    _follow(taken)
    _log(incident, author, Action.PERSON_CORRECTED, taken, what="accepted as it stands", reason=why)
    return len(taken)


@transaction.atomic
def correct_residence(*, incident: Incident, entries: QuerySet[QueueEntry], residence: str, reason: str, author: User) -> int:
    """Set where these people live, with the evidence as the reason; returns how many. Raises DecisionRefused."""
    _may_change(incident)
    why, place = _reason(reason), _settled(residence)
    taken = _take(incident, entries.filter(kind__in=RESIDENCE_KINDS), QueueStatus.OPEN, QueueStatus.HELD)
    _write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    AffectedPerson.objects.filter(pk__in=[entry.person_id for entry in taken]).update(
        residence=place, residence_from="decision", possible_residences=[]
    )
    _follow(taken)
    refresh_cohorts(incident=incident)
    _log(incident, author, Action.PERSON_CORRECTED, taken, what="residence", to=place, reason=why)
    return len(taken)


def _settled(residence: str) -> str:
    """The code under which the law knows a residence ('PR' -> 'US-PR'). Raises DecisionRefused with what may be meant."""
    place = residence_of(code=residence)
    if is_residence(residence):
        return place
    possible = (place,) if is_residence(place) else may_mean(word=residence)
    meant = f" Is {' or '.join(possible)} meant?" if possible else ""
    raise DecisionRefused(
        f"'{residence}' is no residence. Use an ISO code: a country (FR), a US state (US-WA) or a province (CA-QC); "
        f"'US' alone means that the state stays unknown.{meant}"
    )


@transaction.atomic
def correct_address(*, incident: Incident, entry: QueueEntry, address: str, reason: str, author: User) -> None:
    """Give one person a working e-mail address. Raises DecisionRefused with what is wrong with it."""
    _may_change(incident)
    why = _reason(reason)
    ready, problem = check_address(address)
    if problem or not ready:
        raise DecisionRefused(f"The address cannot be used: {problem.reason if problem else 'it is empty'}.")
    addressed = QueueEntry.objects.filter(person=entry.person, kind__in=[QueueKind.ADDRESS, QueueKind.NO_CHANNEL])
    taken = _take(incident, addressed, QueueStatus.OPEN, QueueStatus.HELD)
    if not taken or entry.person is None:
        raise DecisionRefused("This entry is not about an address, or it is decided already.")
    vault, person = Vault(incident=incident), entry.person
    fields = replace(vault.open(person=person), emails=(ready,))
    sealed = vault.seal(fields=fields, subject=person.subject)
    person.sealed, person.wrapped_key, person.has_email = sealed.sealed, sealed.wrapped_key, True
    person.email_index = vault.blind(kind="email", value=normal_address(ready))
    person.save(update_fields=["sealed", "wrapped_key", "has_email", "email_index"])
    _write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    _follow(taken)
    _log(incident, author, Action.PERSON_CORRECTED, taken, what="address", commitment=sealed.commitment, reason=why)


@transaction.atomic
def propose_rejection(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """First of two: say that these are not people of this incident. Nobody is rejected yet."""
    _may_change(incident)
    why = _reason(reason)
    taken = _take(incident, entries, QueueStatus.OPEN, QueueStatus.HELD)
    _write(taken, status=QueueStatus.REJECTION_PROPOSED, reason=why, author=author)
    _follow(taken)
    _log(incident, author, Action.REJECTION_PROPOSED, taken, reason=why)
    return len(taken)


@transaction.atomic
def confirm_rejection(*, incident: Incident, entries: QuerySet[QueueEntry], author: User) -> int:
    """Second of two: only somebody else than the proposer; returns how many. Raises DecisionRefused."""
    _may_change(incident)
    taken = _take(incident, entries, QueueStatus.REJECTION_PROPOSED)
    if any(entry.decided_by_id == author.pk for entry in taken):
        raise DecisionRefused("Whoever proposed a rejection cannot confirm it; a second person has to.")
    ids = [entry.pk for entry in taken]
    QueueEntry.objects.filter(pk__in=ids).update(status=QueueStatus.REJECTED, second_by=author)
    ImportRow.objects.filter(queue__in=ids, outcome=RowOutcome.REJECTION_PENDING).update(outcome=RowOutcome.REJECTED)
    _follow(taken)
    refresh_cohorts(incident=incident)
    for entry in taken:
        proposer = entry.decided_by.username if entry.decided_by else ""
        _log(incident, author, Action.QUEUE_REJECTED, [entry], second=proposer, reason=entry.decision_reason)
    return len(taken)


def undecided(*, incident: Incident) -> QuerySet[QueueEntry]:
    """The entries that stop a freeze."""
    return incident.queue.filter(status__in=UNDECIDED)
