"""Moves messages outside of a worker's chunk: decisions, corrections, exclusions, events, a stop. Each move has its entry."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Coalesce, Now

from incidents.audit.actions import Action
from incidents.audit.log import Entry, record_many
from incidents.models import AffectedPerson, Campaign, Message, MessageState
from incidents.models.messages import LEFT_STATES


def move(
    *,
    campaign: Campaign,
    messages: Iterable[Message],
    to: str,
    actor: str,
    reason: str,
    action: Action = Action.MESSAGE_MOVED,
) -> int:
    """Move messages of one campaign, with an entry each, in the caller's transaction; returns how many."""
    chosen = list(messages)
    moved = Message.objects.filter(pk__in=[message.pk for message in chosen])
    # What was taken without our hearing of it counts from now on: after a time without an event it is final.
    since = {"accepted_at": Coalesce("accepted_at", Now())} if to == MessageState.ACCEPTED else {}
    moved.update(state=to, state_reason=reason[:200], **since)
    record_many(
        incident=campaign.incident,
        actor=actor,
        entries=[
            Entry(
                action,
                {"campaign": campaign.reference, "message": m.message_ref, "state": to, "reason": reason},
                m.entry.person.subject,
            )
            for m in chosen
        ],
    )
    return len(chosen)


def move_all(*, messages: Iterable[Message], to: str, actor: str, reason: str) -> int:
    """The same for messages of several campaigns."""
    by_campaign: dict[int, list[Message]] = {}
    for message in messages:
        by_campaign.setdefault(message.campaign_id, []).append(message)
    return sum(move(campaign=g[0].campaign, messages=g, to=to, actor=actor, reason=reason) for g in by_campaign.values())


def standing_messages(*, people: QuerySet[AffectedPerson]) -> QuerySet[Message]:
    """The messages of register lines that still speak for these people: neither replaced nor cancelled. Oldest first."""
    found = Message.objects.filter(entry__person__in=people).exclude(state__in=LEFT_STATES)
    return found.select_related("campaign__incident", "entry__person").order_by("id")
