"""Letters of which providers told both that they arrived and that they came back: a person decides, whichever was told first.

What was told first decided the state; what came after it was kept as a conflict and changed nothing (`events/deciding.py`).
The decision may move the letter either way; the deadline stays the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import record
from incidents.dispatch.channels.choose import MAKERS, providers
from incidents.dispatch.events.kinds import COMPLAINED, DELIVERED, HARD, SUPPRESSED
from incidents.dispatch.unreachable import locked_message, open_proposal
from incidents.models import Attempt, Campaign, CampaignState, Message, MessageState, ProviderEvent
from incidents.models.messages import MESSAGE_MOVES
from incidents.models.refusal import Refused
from incidents.people.moving import move
from incidents.visible import visible

REMEDY = "Decide which is true (Told two things; or the command again: arrived, came-back, stands)"
#: How the effects of such events begin, and what is written there once a person has decided.
AFTER, DECIDED = "conflict: after ", "conflict: decided by a person"
#: And that of what came from a provider by whom the letter did not go, as far as our settings say.
ELSEWHERE = "conflict: it went by another provider"
#: What says that a letter arrived, and that it came back; and where a letter stands against each. (A soft bounce after a delivery
#: is a relay's second thought; who was given up and bounces once more, or goes with an amendment, stands as was told. Who waited
#: for another try when the campaign was stopped is cancelled.)
ARRIVED, CAME_BACK = (DELIVERED, COMPLAINED), (HARD, SUPPRESSED)
AGAINST_ARRIVED = (MessageState.NEEDS_OTHER_CHANNEL, MessageState.UNREACHABLE, MessageState.CANCELLED)
AGAINST_CAME_BACK, TAKEN = (MessageState.DELIVERED,), (MessageState.ACCEPTED, MessageState.ACCEPTED_UNCONFIRMED)


@dataclass(frozen=True)
class Contradiction:
    """So many letters stand in a state that a later event contradicts; `arrived`: that event says that they arrived."""

    state: str
    arrived: bool
    letters: int

    def __str__(self) -> str:
        one = self.letters == 1
        told = "arrived" if self.arrived else "came back"
        return (
            f"{self.letters:,} letter{'' if one else 's'} stand{'s' if one else ''} as '{MessageState(self.state).label}', but a "
            f"provider also told that {'it' if one else 'they'} {told}"
        )


def contradictions(*, campaign: Campaign) -> list[Contradiction]:
    """What providers told of a campaign's letters that contradicts where they stand."""
    states = Counter((state, state in AGAINST_ARRIVED) for state in told_twice(campaign=campaign).values_list("state", flat=True))
    return [Contradiction(state, arrived, number) for (state, arrived), number in sorted(states.items())]


def told_twice(*, campaign: Campaign) -> QuerySet[Message]:
    """The letters of a campaign that wait for such a decision."""
    after, elsewhere = undecided().exclude(effect=ELSEWHERE), undecided().filter(effect=ELSEWHERE)
    renamed = _told(elsewhere, (*AGAINST_CAME_BACK, *TAKEN)) & Q(_by_no_known_name())
    # The few of which such a thing was told come first: without them each letter of the campaign would be looked at.
    letters = campaign.messages.filter(message_ref__in=undecided().values("message_ref"))
    return letters.filter(_told(after, AGAINST_CAME_BACK) | renamed)


def _told(events: QuerySet[ProviderEvent], against_came_back: tuple[str, ...]) -> Q:
    came_back = events.filter(kind__in=CAME_BACK).values("message_ref")
    arrived = events.filter(kind__in=ARRIVED).values("message_ref")
    return Q(message_ref__in=came_back, state__in=against_came_back) | Q(message_ref__in=arrived, state__in=AGAINST_ARRIVED)


def _by_no_known_name() -> Exists:
    """Whether a letter went by a name that no setting says any more: nobody knows which kind of provider that was."""
    return Exists(Attempt.objects.filter(message=OuterRef("pk")).exclude(provider__in=[*MAKERS, *providers()]))


def undecided() -> QuerySet[ProviderEvent]:
    """What was told after where a letter stood was known, or by whom it did not go, and nobody has decided about. By the index of
    conflicts."""
    return ProviderEvent.objects.filter(effect__startswith="conflict").filter(Q(effect__startswith=AFTER) | Q(effect=ELSEWHERE))


@transaction.atomic
def believe(*, message: Message, arrived: bool | None, reason: str, author: User) -> Message:
    """Decide which is true: the letter arrived, or it came back and needs another channel; None: it stands as it does.

    Raises Refused; nothing changed then.
    """
    found = locked_message(message=message)
    told = undecided().filter(message_ref=found.message_ref)
    twice = told_twice(campaign=found.campaign).filter(pk=found.pk).exists()
    to = found.state if arrived is None else MessageState.DELIVERED if arrived else MessageState.NEEDS_OTHER_CHANNEL
    _refuse(found, to, reason, twice)
    told.update(effect=DECIDED)
    reason, campaign = f"a person's decision: {reason.strip()}", found.campaign
    if to != found.state:
        move(campaign=campaign, messages=[found], to=to, actor=author.username, reason=reason)
        return found
    data = {"campaign": campaign.reference, "message": found.message_ref, "state": to, "reason": reason}
    subject = found.entry.person.subject
    record(incident=campaign.incident, action=Action.MESSAGE_MOVED, actor=author.username, data=data, subject=subject)
    return found


def _refuse(message: Message, to: str, reason: str, twice: bool) -> None:
    reference, stands = message.entry.person.reference, message.get_state_display()
    if not twice:
        raise Refused(f"Of the letter to {reference} no two things were told, or somebody has decided: it is '{stands}'.")
    if not visible(reason):
        raise Refused("This decision needs its reason in words: how do you know?")
    if to == message.state:
        return
    if to not in MESSAGE_MOVES[MessageState(message.state)]:
        raise Refused(f"{reference} is '{stands}' by an earlier decision or step: it can only be left as it stands.")
    if message.campaign.state == CampaignState.CLOSED:
        raise Refused("The campaign is closed: leave the letter as it stands, and let the person join an amendment by name.")
    if open_proposal(message=message):
        raise Refused(f"{reference} is proposed as unreachable. Withdraw that first.")
