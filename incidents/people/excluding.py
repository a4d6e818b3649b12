"""The only removal after a freeze: with a reason, by two people. The register keeps its line, the rows still add up.

Nobody who was told already can be excluded: what happened cannot be taken back.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import AffectedPerson, Exclusion, Message, MessageState, PersonStatus, QueueEntry
from incidents.models.messages import IN_FLIGHT, MESSAGE_MOVES, TOLD_STATES
from incidents.models.people import QueueStatus
from incidents.models.refusal import Refused
from incidents.people.amending import GONE, beside_freezes
from incidents.people.cohorts import refresh_cohorts
from incidents.people.locking import locked_messages, locked_people
from incidents.people.moving import move_all
from incidents.visible import visible


class ExclusionRefused(Refused):
    """An exclusion was refused; nothing changed."""


@transaction.atomic
def propose_exclusion(*, person: AffectedPerson, reason: str, author: User) -> Exclusion:
    """First of two: say why this person is not to be written to. Nothing changes for them yet. Raises ExclusionRefused."""
    beside_freezes(person.incident)
    if not visible(reason):
        raise ExclusionRefused("An exclusion needs its reason in words.")
    [found] = locked_people(keys=[person.pk])
    _refuse(found, _messages(found))
    if open_exclusion(person=found):
        raise ExclusionRefused(
            f"The exclusion of {found.reference} is proposed already: a second person confirms or withdraws it."
        )
    data = {"reason": reason.strip()}
    record(incident=found.incident, action=Action.EXCLUSION_PROPOSED, actor=author.username, data=data, subject=found.subject)
    return Exclusion.objects.create(
        incident=found.incident, person=found, reason=reason.strip(), proposed_by=author, proposed_at=database_now()
    )


@transaction.atomic
def confirm_exclusion(*, exclusion: Exclusion, author: User) -> Exclusion:
    """Second of two, and somebody else: from now on this person is not written to. Raises ExclusionRefused."""
    beside_freezes(exclusion.incident)
    [person] = locked_people(keys=[exclusion.person_id])
    messages = _messages(person)
    found = Exclusion.objects.select_for_update(of=("self",)).select_related("proposed_by").get(pk=exclusion.pk)
    _still_open(found)
    if found.proposed_by_id == author.pk:
        raise ExclusionRefused("Whoever proposed an exclusion cannot confirm it; a second person has to.")
    _refuse(person, messages)
    found.confirmed_by, found.confirmed_at = author, database_now()
    found.save(update_fields=["confirmed_by", "confirmed_at"])
    unsent = [message for message in messages if MessageState.EXCLUDED in MESSAGE_MOVES[message.state]]
    move_all(messages=unsent, to=MessageState.EXCLUDED, actor=author.username, reason=f"excluded: {found.reason}")
    _reject(found, person)
    data = {"second": found.proposed_by.username, "reason": found.reason}
    record(incident=person.incident, action=Action.PERSON_EXCLUDED, actor=author.username, data=data, subject=person.subject)
    refresh_cohorts(incident=person.incident)
    return found


@transaction.atomic
def withdraw_exclusion(*, exclusion: Exclusion, reason: str, author: User) -> Exclusion:
    """Take a proposal back before it is confirmed; anybody may. Raises ExclusionRefused."""
    found = Exclusion.objects.select_for_update(of=("self",)).select_related("person", "incident").get(pk=exclusion.pk)
    _still_open(found)
    if not visible(reason):
        raise ExclusionRefused("Withdrawing needs its reason in words.")
    found.withdrawn_at = database_now()
    found.save(update_fields=["withdrawn_at"])
    data, subject = {"reason": reason.strip()}, found.person.subject
    record(incident=found.incident, action=Action.EXCLUSION_WITHDRAWN, actor=author.username, data=data, subject=subject)
    return found


def open_exclusion(*, person: AffectedPerson) -> Exclusion | None:
    """The proposal about this person that waits for a second one."""
    return person.exclusions.filter(withdrawn_at=None, confirmed_at=None).first()


def _still_open(exclusion: Exclusion) -> None:
    if exclusion.confirmed_at or exclusion.withdrawn_at:
        raise ExclusionRefused("This exclusion is decided already.")


def _messages(person: AffectedPerson) -> list[Message]:
    return locked_messages(of=Message.objects.filter(entry__person=person))


def _refuse(person: AffectedPerson, messages: list[Message]) -> None:
    states = {message.state for message in messages}
    if person.status in GONE:
        raise ExclusionRefused(f"{person.reference} is '{person.get_status_display()}' and is not written to.")
    if states & TOLD_STATES:
        raise ExclusionRefused(
            f"{person.reference} has been told: the provider took the letter. What happened stays on the register; if the "
            "letter should not have gone, write that to the person and record it with the incident."
        )
    if states & IN_FLIGHT:
        raise ExclusionRefused(
            f"The letter to {person.reference} is on its way at this moment. Wait until its outcome is known, or pause the "
            "campaign for others."
        )


def _reject(exclusion: Exclusion, person: AffectedPerson) -> None:
    """Counted as rejected by two from now on; questions about somebody who is not written to are closed with the reason."""
    AffectedPerson.objects.filter(pk=person.pk).update(status=PersonStatus.REJECTED)
    waiting = QueueEntry.objects.filter(person=person).exclude(status__in=[QueueStatus.REJECTED, QueueStatus.CORRECTED])
    waiting.update(
        status=QueueStatus.REJECTED, decision_reason=exclusion.reason, decided_by=exclusion.proposed_by,
        decided_at=exclusion.proposed_at, second_by=exclusion.confirmed_by,
    )  # fmt: skip
