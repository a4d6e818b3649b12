"""Nobody can reach this person by any channel: the reason, by two different people. The last thing that is tried, and final.

The law may ask for a substitute notice then (published, or in the press); that is the controller's to decide, not this module's.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import Campaign, Message, Unreachable
from incidents.models import MessageState as S
from incidents.models.refusal import Refused
from incidents.people.locking import lock_people
from incidents.people.moving import move
from incidents.visible import visible


class UnreachableRefused(Refused):
    """It was refused that somebody is given up; nothing changed."""


@transaction.atomic
def propose_unreachable(*, message: Message, reason: str, author: User) -> Unreachable:
    """First of two: say what was tried, and why nothing is left. Nothing changes yet. Raises UnreachableRefused."""
    found = locked_message(message=message)
    _refuse(found)
    if not visible(reason):
        raise UnreachableRefused("Giving somebody up needs its reason in words: what was tried, and why nothing is left to try.")
    if open_proposal(message=found):
        raise UnreachableRefused(f"{found.entry.person.reference} is proposed already: a second person confirms or withdraws it.")
    made = Unreachable.objects.create(
        incident=found.campaign.incident, person=found.entry.person, message=found, reason=reason.strip(), proposed_by=author,
        proposed_at=database_now(),
    )  # fmt: skip
    _log(made, found, Action.UNREACHABLE_PROPOSED, author, reason.strip())
    return made


@transaction.atomic
def confirm_unreachable(*, proposal: Unreachable, author: User) -> Unreachable:
    """Second of two, and somebody else: the person's line ends here. Raises UnreachableRefused."""
    message = locked_message(message=proposal.message)
    found = _still_open(proposal)
    if found.proposed_by_id == author.pk:
        raise UnreachableRefused("Whoever proposed it cannot confirm it; a second person has to.")
    _refuse(message)
    found.confirmed_by, found.confirmed_at = author, database_now()
    found.save(update_fields=["confirmed_by", "confirmed_at"])
    _log(found, message, Action.UNREACHABLE_CONFIRMED, author, found.reason)
    reason = f"cannot be reached: {found.reason}"
    move(campaign=message.campaign, messages=[message], to=S.UNREACHABLE, actor=author.username, reason=reason)
    return found


@transaction.atomic
def withdraw_unreachable(*, proposal: Unreachable, reason: str, author: User) -> Unreachable:
    """Take a proposal back before it is confirmed; anybody may. Raises UnreachableRefused."""
    message = locked_message(message=proposal.message)
    found = _still_open(proposal)
    if not visible(reason):
        raise UnreachableRefused("Withdrawing needs its reason in words.")
    found.withdrawn_at = database_now()
    found.save(update_fields=["withdrawn_at"])
    _log(found, message, Action.UNREACHABLE_WITHDRAWN, author, reason.strip())
    return found


def open_proposal(*, message: Message) -> Unreachable | None:
    """The proposal about this message that waits for a second person."""
    return message.unreachables.filter(withdrawn_at=None, confirmed_at=None).first()


def open_proposals(*, campaign: Campaign) -> QuerySet[Unreachable]:
    """All of a campaign that wait for a second person, the oldest first."""
    found = Unreachable.objects.filter(message__campaign=campaign, withdrawn_at=None, confirmed_at=None)
    return found.select_related("person", "proposed_by", "message").order_by("id")


def locked_message(*, message: Message) -> Message:
    """The message as it is now, kept so until the transaction ends; and its person, in the one order (`people.locking`)."""
    lock_people(keys=[message.entry.person_id])
    found = Message.objects.select_for_update(of=("self",)).select_related("campaign__incident", "entry__person")
    return found.get(pk=message.pk)


def _still_open(proposal: Unreachable) -> Unreachable:
    found = Unreachable.objects.select_for_update(of=("self",)).select_related("proposed_by").get(pk=proposal.pk)
    if found.confirmed_at or found.withdrawn_at:
        raise UnreachableRefused("This is decided already.")
    return found


def _refuse(message: Message) -> None:
    if message.state != S.NEEDS_OTHER_CHANNEL:
        raise UnreachableRefused(
            f"{message.entry.person.reference} is '{message.get_state_display()}'. Only somebody who needs another channel can "
            "be given up, when none is left."
        )


def _log(proposal: Unreachable, message: Message, action: Action, author: User, reason: str) -> None:
    data = {"campaign": message.campaign.reference, "message": message.message_ref, "reason": reason}
    if action == Action.UNREACHABLE_CONFIRMED:
        data["second"] = proposal.proposed_by.username
    subject = message.entry.person.subject
    record(incident=message.campaign.incident, action=action, actor=author.username, data=data, subject=subject)
