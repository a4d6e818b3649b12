"""What a person decides about single letters: try again, let out of quarantine, give to another channel, settle a doubt.

Each with a reason, in the log. The content stays what was signed: the worker compares it again before it sends.
"""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.unreachable import locked_message, open_proposal
from incidents.models import Campaign, CampaignState, Doubt, Message
from incidents.models import MessageState as S
from incidents.models.refusal import Refused
from incidents.people.moving import move
from incidents.visible import visible

#: In these a letter can still go out; a drained campaign begins to dispatch again.
STILL_SENDS = (CampaignState.DISPATCHING, CampaignState.PAUSED, CampaignState.DRAINED)
BY_HAND = "a person's decision"


class DecisionRefused(Refused):
    """A decision about a letter was refused; nothing changed."""


@transaction.atomic
def try_again(*, message: Message, reason: str, author: User) -> Message:
    """A letter that needs another channel goes out once more by this one. Raises DecisionRefused."""
    return _out_again(message, S.NEEDS_OTHER_CHANNEL, reason, author)


@transaction.atomic
def let_out(*, message: Message, reason: str, author: User) -> Message:
    """Somebody has looked at a letter in quarantine: it may be sent. Its deaths are forgotten. Raises DecisionRefused."""
    return _out_again(message, S.QUARANTINED, reason, author)


@transaction.atomic
def give_to_other_channel(*, message: Message, reason: str, author: User) -> Message:
    """A letter in quarantine is not sent by this channel any more. Raises DecisionRefused."""
    found = locked_message(message=message)
    _refuse(found, S.QUARANTINED, reason)
    move(campaign=found.campaign, messages=[found], to=S.NEEDS_OTHER_CHANNEL, actor=author.username, reason=_said(reason))
    return found


@transaction.atomic
def settle_doubt(*, doubt: Doubt, arrived: bool, reason: str, author: User) -> None:
    """What a person knows of a doubtful send: it arrived, or it did not and is sent again. Raises DecisionRefused."""
    message = locked_message(message=doubt.message)
    if not visible(reason):
        raise DecisionRefused("Settling a doubt needs its reason in words: how do you know?")
    settled = Doubt.objects.filter(pk=doubt.pk, settled_at=None)
    if not settled.update(settled_at=database_now(), settled_how=BY_HAND, settled_by=author.username):
        raise DecisionRefused("This doubt is settled already.")
    said, to = _said(reason), S.ACCEPTED if arrived else S.READY
    if message.state == S.IN_DOUBT:
        _move(message, to, said, author, Action.DOUBT_RESOLVED)
        return
    # An event or a take-over was faster; what the person knows is kept beside it.
    data = {"campaign": message.campaign.reference, "message": message.message_ref, "state": "", "reason": said}
    subject, incident = message.entry.person.subject, message.campaign.incident
    record(incident=incident, action=Action.DOUBT_RESOLVED, actor=author.username, data=data, subject=subject)


def _out_again(message: Message, before: str, reason: str, author: User) -> Message:
    # The campaign before its messages, in the order in which a stop locks them.
    campaign = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=message.campaign_id)
    found = locked_message(message=message)
    _refuse(found, before, reason)
    if campaign.state not in STILL_SENDS:
        raise DecisionRefused(f"The campaign is '{campaign.get_state_display()}': nothing is sent with it any more.")
    if found.entry.letter_id is None:
        raise DecisionRefused(
            f"No letter was frozen for {found.entry.person.reference}. Mend the record; then the person goes with an amendment."
        )
    Message.objects.filter(pk=found.pk).update(not_before=None, deaths=0)
    _move(found, S.READY, _said(reason), author, Action.MESSAGE_MOVED)
    if campaign.state == CampaignState.DRAINED:
        _go_on(campaign, author)
    return found


def _go_on(campaign: Campaign, author: User) -> None:
    Campaign.objects.filter(pk=campaign.pk).update(state=CampaignState.DISPATCHING)
    data = {"campaign": campaign.reference, "reason": "a letter is sent again by a person's decision"}
    record(incident=campaign.incident, action=Action.CAMPAIGN_RESUMED, actor=author.username, data=data)


def _move(message: Message, to: str, reason: str, author: User, action: Action) -> None:
    move(campaign=message.campaign, messages=[message], to=to, actor=author.username, reason=reason, action=action)


def _refuse(message: Message, before: str, reason: str) -> None:
    reference = message.entry.person.reference
    if message.state != before:
        raise DecisionRefused(f"{reference} is '{message.get_state_display()}', not '{S(before).label}'; this does not fit.")
    if not visible(reason):
        raise DecisionRefused("This decision needs its reason in words.")
    if open_proposal(message=message):
        raise DecisionRefused(f"{reference} is proposed as unreachable. Withdraw that first.")


def _said(reason: str) -> str:
    return f"{BY_HAND}: {reason.strip()}"
