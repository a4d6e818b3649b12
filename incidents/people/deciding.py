"""Decisions on the queues: corrected, held until a date with a reason, or rejected by two. Set-based, each one in the log.

An entry without a decision stops the freeze; a decided one does not have to be gone. Held people are on the register, counted,
their deadlines running; from the day until which they were held on, they wait for a decision again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record_many
from incidents.law.places import may_mean, residence_of
from incidents.models import (
    AffectedPerson,
    ImportRow,
    Incident,
    MessageState,
    PersonStatus,
    PersonVersion,
    QueueEntry,
    RowOutcome,
)
from incidents.models.messages import TOLD_STATES
from incidents.models.people import Confidence, QueueKind, QueueStatus
from incidents.people.addresses import check_address
from incidents.people.cohorts import refresh_cohorts
from incidents.people.correcting import correct_person
from incidents.people.decisions import (
    ABOUT_REJECTED,
    OF_FLAGS,
    RESIDENCE_KINDS,
    UNDECIDED,
    WAITING,
    DecisionRefused,
    follow,
    log,
    on_signed_register,
    reason_of,
    take,
    write,
)
from incidents.people.joining import REPRESENTATIVE, answered_kinds
from incidents.people.later import names_grave
from incidents.people.residence import is_residence
from incidents.people.reviewing import key, still_asked
from incidents.vault import Vault

__all__ = [
    "RESIDENCE_KINDS", "UNDECIDED", "DecisionRefused", "accept", "confirm_rejection", "correct_address", "correct_fields",
    "correct_record", "correct_residence", "hold", "propose_rejection", "refuse_rejection", "undecided",
]  # fmt: skip

#: Nobody waits longer without being looked at; an order of the police is renewed too.
LONGEST_HOLD = timedelta(days=366)
ADDRESS_KINDS = (QueueKind.ADDRESS, QueueKind.NO_CHANNEL)
#: Somebody has to say something that no field of the record says.
BY_SOMEBODY = (QueueKind.MATCH_CONFLICT, QueueKind.DELAY_ORDER, QueueKind.SAFE_ADDRESS, QueueKind.ROW)
#: What a field of the record can answer, where it is corrected without an entry.
ANSWERED_BY_FIELD = dict.fromkeys(REPRESENTATIVE, (QueueKind.GUARDIAN, QueueKind.NEXT_OF_KIN, *ADDRESS_KINDS)) | {
    "email": ADDRESS_KINDS,
    "residence": (QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_UNKNOWN),
}
#: Answered by an address, by a channel, by one or two; never by taking the person as they stand.
NOT_AS_THEY_STAND = (QueueKind.ROW, *ADDRESS_KINDS, QueueKind.MATCH_CONFLICT, QueueKind.DO_NOT_CONTACT)


@transaction.atomic
def hold(*, incident: Incident, entries: QuerySet[QueueEntry], until: date, reason: str, author: User) -> int:
    """Keep these people on the register without a letter until a date; returns how many entries. Raises DecisionRefused.

    Somebody whose day has come may be held until another one.
    """
    why = reason_of(reason)
    _check_day(until)
    waiting = entries.filter(pk__in=undecided(incident=incident).values("pk"))
    taken = take(incident, waiting.exclude(kind=QueueKind.ROW), *UNDECIDED, QueueStatus.HELD, told=True)
    write(taken, status=QueueStatus.HELD, reason=why, author=author, until=until)
    log(incident, author, Action.PERSON_HELD, taken, until=until.isoformat(), reason=why)
    return len(taken)


def _check_day(until: date) -> None:
    """A hold is for a day on which somebody looks again; 9999-12-31 would be a rejection by one. Raises DecisionRefused."""
    today = database_now().date()
    if until <= today:
        raise DecisionRefused(f"{until.isoformat()} is not in the future. Give the day on which this is looked at again.")
    last = today + LONGEST_HOLD
    if until > last:
        raise DecisionRefused(
            f"{until.isoformat()} is more than {LONGEST_HOLD.days} days ahead. Give the day on which this is looked at again, "
            f"{last.isoformat()} at the latest; whoever still has to wait then is held once more."
        )


@transaction.atomic
def accept(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Decide that the person can be written to as they stand; returns how many entries."""
    why = reason_of(reason)
    # An order to wait ends; until somebody held the person for its time, nobody can say that it has.
    waits = entries.filter(kind=QueueKind.DELAY_ORDER, status=QueueStatus.OPEN)
    asked = entries.exclude(kind__in=NOT_AS_THEY_STAND).exclude(pk__in=waits.values("pk"))
    taken = take(incident, asked, *WAITING, as_signed=True)
    _refuse_grave_in_bulk(taken)
    write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    log(incident, author, Action.PERSON_CORRECTED, taken, what="accepted as it stands", reason=why)
    return len(taken)


def _refuse_grave_in_bulk(taken: list[QueueEntry]) -> None:
    """Whom the letter may go to, or what the law asks, is looked at person by person once it is signed."""
    people = {entry.person_id for entry in taken}
    if len(people) < 2:
        return
    about = [entry for entry in taken if entry.kind in (*OF_FLAGS, *RESIDENCE_KINDS)]
    over = (*TOLD_STATES, MessageState.UNREACHABLE)
    unsent = on_signed_register([entry.person_id for entry in about if entry.person_id], but_for=over)
    grave = [one for one in taken if names_grave(one.reason)] + [one for one in about if one.person_id in unsent]
    if grave:
        raise DecisionRefused(
            f"{len(grave)} of these entries say of people on a signed register that they are dead, minors, not to be written to, "
            "live elsewhere, were born on another day or lost other data: the letter may be wrong for them. Accept those one "
            "person at a time, or correct the person; the others can be accepted together."
        )


@transaction.atomic
def correct_residence(*, incident: Incident, entries: QuerySet[QueueEntry], residence: str, reason: str, author: User) -> int:
    """Set where these people live, with the evidence as the reason; returns how many. Raises DecisionRefused."""
    why, place = reason_of(reason), _settled(residence)
    taken = take(incident, entries.filter(kind__in=RESIDENCE_KINDS), *WAITING)
    write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    AffectedPerson.objects.filter(pk__in=[entry.person_id for entry in taken]).update(
        residence=place, residence_from="decision", possible_residences=[], confidence=Confidence.DECIDED
    )
    refresh_cohorts(incident=incident)
    log(incident, author, Action.PERSON_CORRECTED, taken, what="residence", to=place, reason=why)
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
    reason_of(reason)
    ready, problem = check_address(address)
    if problem or not ready:
        raise DecisionRefused(f"The address cannot be used: {problem.reason if problem else 'it is empty'}.")
    if entry.kind not in ADDRESS_KINDS or entry.status not in WAITING or entry.incident_id != incident.pk:
        raise DecisionRefused("This entry is not about an address, or it is decided already.")
    correct_fields(incident=incident, entry=entry, changes={"email": ready}, reason=reason, author=author)


@transaction.atomic
def correct_fields(*, incident: Incident, entry: QueueEntry, changes: Mapping[str, str], reason: str, author: User) -> int:
    """Correct what one person's record says (see correcting.FIELDS); closes what that answers and returns how many entries.

    The row is checked again as it now reads: a question that still stands stays open, a new one is opened.
    Raises DecisionRefused, CorrectionRefused.
    """
    why, person = reason_of(reason), entry.person
    if person is None or entry.incident_id != incident.pk or entry.status not in WAITING:
        raise DecisionRefused("This entry is about no person, or it is decided already. A row is corrected by the reject file.")
    correct_person(person=person, changes=changes, reason=why, author=author)
    person.refresh_from_db()
    return _close_answered(person, changes, why, author, entry)


@transaction.atomic
def correct_record(*, person: AffectedPerson, changes: Mapping[str, str], reason: str, author: User) -> tuple[PersonVersion, int]:
    """The same from the person's page, without an entry: the version that was, and how many entries the record now answers.

    Raises CorrectionRefused.
    """
    version = correct_person(person=person, changes=changes, reason=reason, author=author)
    person.refresh_from_db()
    return version, _close_answered(person, changes, reason.strip(), author)


def _close_answered(
    person: AffectedPerson, changes: Mapping[str, str], why: str, author: User, entry: QueueEntry | None = None
) -> int:
    """Close what the corrected record answers by what it has, and what was asked about these columns and is no longer."""
    fields, asked = Vault(incident=person.incident).open(person=person), still_asked(person=person)
    answered = answered_kinds(fields, person.residence)
    if entry is None:
        answered &= {kind for name in changes for kind in ANSWERED_BY_FIELD.get(name, ())}
    waiting = person.queue.filter(status__in=WAITING).select_related("person").select_for_update(of=("self",))
    done = [
        one
        for one in waiting.exclude(reason__in=ABOUT_REJECTED).order_by("id")
        if one.kind in answered
        or ((one == entry or one.column in changes) and one.kind not in BY_SOMEBODY and key(one) not in asked)
    ]
    write(done, status=QueueStatus.CORRECTED, reason=why, author=author)
    log(person.incident, author, Action.PERSON_CORRECTED, done, what="fields", fields=sorted(changes), reason=why)
    return len(done)


@transaction.atomic
def propose_rejection(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """First of two: say that these are not people of this incident. Nobody is rejected yet."""
    why = reason_of(reason)
    taken = take(incident, entries, *WAITING)
    write(taken, status=QueueStatus.REJECTION_PROPOSED, reason=why, author=author)
    log(incident, author, Action.REJECTION_PROPOSED, taken, reason=why)
    return len(taken)


@transaction.atomic
def confirm_rejection(*, incident: Incident, entries: QuerySet[QueueEntry], author: User) -> int:
    """Second of two: only somebody else than the proposer; returns how many. Raises DecisionRefused."""
    taken = take(incident, entries, QueueStatus.REJECTION_PROPOSED)
    if any(entry.decided_by_id == author.pk for entry in taken):
        raise DecisionRefused("Whoever proposed a rejection cannot confirm it; a second person has to.")
    ids = [entry.pk for entry in taken]
    QueueEntry.objects.filter(pk__in=ids).update(status=QueueStatus.REJECTED, second_by=author)
    ImportRow.objects.filter(queue__in=ids, outcome=RowOutcome.REJECTION_PENDING).update(outcome=RowOutcome.REJECTED)
    follow(entry.person_id for entry in taken)
    refresh_cohorts(incident=incident)
    record_many(incident=incident, actor=author.username, entries=[_rejected(entry) for entry in taken])
    return len(taken)


@transaction.atomic
def refuse_rejection(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Refuse a proposed rejection, or take one's own back: the question is open again, as before it; returns how many.

    Also of people on a register that was signed meanwhile: nobody is rejected by it.
    """
    why = reason_of(reason)
    taken = take(incident, entries, QueueStatus.REJECTION_PROPOSED, as_signed=True)
    ids = [entry.pk for entry in taken]
    QueueEntry.objects.filter(pk__in=ids).update(
        status=QueueStatus.OPEN, decision_reason="", decided_by=None, decided_at=None, held_until=None
    )
    follow(entry.person_id for entry in taken)
    record_many(incident=incident, actor=author.username, entries=[_refused(entry, why) for entry in taken])
    return len(taken)


def _refused(entry: QueueEntry, reason: str) -> Entry:
    proposer = entry.decided_by.username if entry.decided_by else ""
    data = {"kind": entry.kind, "proposed_by": proposer, "reason": reason}
    return Entry(Action.REJECTION_WITHDRAWN, data, entry.person.subject if entry.person else "")


def _rejected(entry: QueueEntry) -> Entry:
    proposer = entry.decided_by.username if entry.decided_by else ""
    data = {"kind": entry.kind, "second": proposer, "reason": entry.decision_reason}
    return Entry(Action.QUEUE_REJECTED, data, entry.person.subject if entry.person else "")


def undecided(*, incident: Incident) -> QuerySet[QueueEntry]:
    """The entries that stop a freeze. Nothing waits of people who were rejected, or merged into somebody."""
    gone = (PersonStatus.REJECTED, PersonStatus.MERGED)
    # The day of a hold was given to look again.
    over = Q(status=QueueStatus.HELD, held_until__lte=database_now().date())
    return incident.queue.filter(Q(status__in=UNDECIDED) | over).exclude(person__status__in=gone)
