"""Who reads a letter in somebody's place, and whether a channel is safe: answers that only somebody who asked can give."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.models import Incident, QueueEntry
from incidents.models.people import QueueKind, QueueStatus
from incidents.people.correcting import correct_person
from incidents.people.decisions import WAITING, DecisionRefused, log, reason_of, take, write

#: Which roles answer which question.
ROLES = {
    QueueKind.GUARDIAN: ("guardian", "attorney"),
    QueueKind.NEXT_OF_KIN: ("next_of_kin", "attorney"),
}
#: With somebody to write to these need no other answer.
ANSWERED = (QueueKind.ADDRESS, QueueKind.NO_CHANNEL)
SAFETY = (QueueKind.SAFE_ADDRESS, QueueKind.DO_NOT_CONTACT)


@transaction.atomic
def name_representative(*, entry: QueueEntry, role: str, name: str, email: str, reason: str, author: User) -> int:
    """Say who reads this person's letter in their place; returns how many entries that answers.

    The letter goes to the representative and says for whom it is. Raises DecisionRefused, CorrectionRefused.
    """
    why, person, roles = reason_of(reason), entry.person, ROLES.get(QueueKind(entry.kind), ())
    if person is None or not roles or entry.status not in WAITING:
        raise DecisionRefused("This entry does not ask who stands in for somebody, or it is decided already.")
    if role not in roles:
        raise DecisionRefused(f"Of this question the answer is one of: {', '.join(roles)}.")
    if not name.strip() or not email.strip():
        raise DecisionRefused("Give the representative's name and e-mail address: the letter is sent there.")
    changes = {"representative_role": role, "representative_name": name, "representative_email": email}
    correct_person(person=person, changes=changes, reason=why, author=author)
    kinds = (entry.kind, *ANSWERED)
    waiting = entry.incident.queue.filter(person=person, kind__in=kinds, status__in=WAITING)
    done = list(waiting.select_related("person").select_for_update(of=("self",)).order_by("id"))
    write(done, status=QueueStatus.CORRECTED, reason=why, author=author)
    log(entry.incident, author, Action.PERSON_CORRECTED, done, what=f"represented: {role}", reason=why)
    return len(done)


@transaction.atomic
def confirm_safe(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Say that these people can safely be written to at their e-mail address, and how that is known; returns how many."""
    why = reason_of(reason)
    taken = take(incident, entries.filter(kind__in=SAFETY), *WAITING, as_signed=True)
    unreachable = [entry for entry in taken if entry.person and not entry.person.has_email]
    if unreachable:
        raise DecisionRefused(
            f"{len(unreachable)} of these people have no e-mail address that could be safe: add one first, or hold."
        )
    write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    log(incident, author, Action.PERSON_CORRECTED, taken, what="e-mail is safe", reason=why)
    return len(taken)
