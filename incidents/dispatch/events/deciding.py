"""What one event means for one message: pure, without a database. States move forward only; what contradicts is a conflict.

A conflict changes nothing and is listed for a person (`admin/events.py`). Which try an event speaks of is told by the provider's
id; where that is made of our own name of the letter (Mailgun), every try has the same, and only the time can tell.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings

from incidents.dispatch.events.kinds import ACCEPTED, COMPLAINED, DEFERRED, DELIVERED, HARD, SOFT, SUPPRESSED
from incidents.dispatch.outcomes import LEAST_HOURS_OF_TRYING, MOST_ATTEMPTS, MOST_DAYS_OF_TRYING
from incidents.models import CampaignState
from incidents.models import MessageState as S
from incidents.models.messages import FINAL_STATES

#: Kind of event -> the state it proves. Unsubscribing proves nothing: a legal notice is no advertisement.
PROVES: dict[str, str] = {
    DELIVERED: S.DELIVERED, COMPLAINED: S.DELIVERED, HARD: S.NEEDS_OTHER_CHANNEL,
    SUPPRESSED: S.NEEDS_OTHER_CHANNEL, SOFT: S.READY,
}  # fmt: skip
#: These say no more than that the provider has the letter: that ends a doubt, and nothing else.
TAKEN = frozenset({ACCEPTED, DEFERRED})
COMES_BACK = frozenset({SOFT, HARD, SUPPRESSED})
#: States from which an event may still move a message on.
OPEN_TO_EVENTS = frozenset({S.ACCEPTED, S.ACCEPTED_UNCONFIRMED, S.IN_DOUBT, S.READY})
WAITS, NOTED, UNKNOWN, FIRST_WAVE = "waits", "noted", "unknown message", "letter of the first wave"
#: In an event's effect: what was said of an earlier try, which is known already.
EARLIER = "noted: an earlier try"
#: By how much a provider's clock may be behind ours. What happened in that time may be of either try, and counts for the newest:
#: a third copy is less bad than somebody who was never told.
CLOCKS_APART = timedelta(minutes=1)


@dataclass(slots=True)
class Target:
    """A message as an event finds it."""

    id: int
    message_ref: str
    state: str
    attempts: int
    due_at: datetime | None
    campaign_id: int
    campaign_state: str
    released_at: datetime | None
    person_id: int
    subject: str
    was: str = ""
    reason: str = ""
    #: Who was given it, and under which ids: of the newest try, and of earlier ones.
    providers: set[str] = field(default_factory=set)
    newest_ids: set[str] = field(default_factory=set)
    earlier_ids: set[str] = field(default_factory=set)
    #: When the newest try was claimed: nothing of it happened before.
    began_at: datetime | None = None

    def __post_init__(self) -> None:
        self.was = self.state


@dataclass(frozen=True, slots=True)
class Told:
    """A stored event, as far as it decides anything."""

    id: int
    provider: str
    event_key: str
    message_ref: str
    kind: str
    detail: str
    recipient_hash: str
    provider_id: str
    strength: str
    happened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What an event does: a word for it, and the state that the message moves to."""

    word: str
    to: str = ""


def conflict(why: str) -> Effect:
    """It contradicts what is known."""
    return Effect(f"conflict: {why}")


def decide(*, told: Told, target: Target, same_recipient: bool, owners: set[int], now: datetime) -> Effect:
    """The effect of an event on the message that it names. `owners`: messages known under its provider's id."""
    if target.state == S.SENDING:
        return Effect(WAITS)
    to = PROVES.get(told.kind, "")
    if not to and told.kind not in TAKEN:
        return Effect(NOTED)
    doubt = _doubtful(told, target, same_recipient, owners)
    if doubt:
        return conflict(doubt)
    if told.kind in TAKEN:
        return _taken(told, target)
    if told.kind in COMES_BACK and target.state != S.NEEDS_OTHER_CHANNEL and _about_an_earlier_try(told, target):
        return Effect(EARLIER)
    return _moved(told, target, to, now)


def _doubtful(told: Told, target: Target, same_recipient: bool, owners: set[int]) -> str:
    """Why the event may not be about this message at all; empty when it is."""
    if len(owners) > 1:
        return "provider id of several letters"
    if owners and target.id not in owners:
        return "provider id of another letter"
    # The local stand-in tells of what it holds itself, whatever a drill calls its provider.
    if told.provider != "inbox" and target.providers and told.provider not in target.providers:
        return "it went by another provider"
    return "" if same_recipient else "another recipient"


def _about_an_earlier_try(told: Told, target: Target) -> bool:
    if _names_every_try(told, target):
        moment, began = _moment(told, target), target.began_at
        return moment is not None and began is not None and moment < began - CLOCKS_APART
    return bool(told.provider_id) and told.provider_id in target.earlier_ids - target.newest_ids


def _names_every_try(told: Told, target: Target) -> bool:
    return bool(target.message_ref) and target.message_ref in told.provider_id


def _moment(told: Told, target: Target) -> datetime | None:
    """When it happened; None where the provider's clock cannot be right: before the release nothing did."""
    before = target.released_at is None or (told.happened_at is not None and told.happened_at < target.released_at)
    return None if before else told.happened_at


def _can_be_of_an_earlier_try(told: Told, target: Target) -> bool:
    """Without any id it can; with one that every try has, it cannot where the provider took a letter after the newest began."""
    if not _names_every_try(told, target):
        return not told.provider_id
    moment = _moment(told, target)
    return told.kind != ACCEPTED or moment is None or target.began_at is None or moment < target.began_at


def _taken(told: Told, target: Target) -> Effect:
    if target.state != S.IN_DOUBT:
        return Effect(NOTED)
    # The doubtful try has no id that we know.
    if _about_an_earlier_try(told, target) or (target.attempts > 1 and _can_be_of_an_earlier_try(told, target)):
        return Effect(EARLIER)
    return Effect(f"moved to {S.ACCEPTED}", S.ACCEPTED)


def _moved(told: Told, target: Target, to: str, now: datetime) -> Effect:
    if target.state == S.READY and target.attempts == 0:
        return conflict("it was never sent")
    if target.state == to or (target.state == S.NEEDS_OTHER_CHANNEL and to == S.READY):
        return Effect(NOTED)
    if target.state not in OPEN_TO_EVENTS:
        return conflict(f"after {target.state}")
    if to == S.READY and (target.state == S.ACCEPTED_UNCONFIRMED or _no_time(target, now)):
        to = S.NEEDS_OTHER_CHANNEL
    if target.campaign_state == CampaignState.CLOSED and to not in FINAL_STATES:
        return conflict("the campaign is closed")
    return Effect(f"moved to {to}", to)


def _no_time(target: Target, now: datetime) -> bool:
    """Whether another try by the same channel would come too late, or one too often."""
    if target.attempts >= MOST_ATTEMPTS:
        return True
    released = target.released_at or now
    end = (
        target.due_at - timedelta(hours=settings.CHANNEL_SWITCH_HOURS)
        if target.due_at
        else released + timedelta(days=MOST_DAYS_OF_TRYING)
    )
    return now > max(end, released + timedelta(hours=LEAST_HOURS_OF_TRYING))
