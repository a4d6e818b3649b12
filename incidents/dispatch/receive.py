"""Provider events: stored first, matched after, applied forward only; the same event twice changes nothing.

A late "delivered" does not undo a bounce: what contradicts a known end is kept as a conflict for a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.dispatch.outbox import MOST_ATTEMPTS, backoff
from incidents.models import Campaign, CampaignState, Message, ProviderEvent
from incidents.models import MessageState as S

BATCH = 1000
#: Kind of event -> the state it proves.
PROVES: dict[str, str] = {
    "delivered": S.DELIVERED,
    "bounced_hard": S.NEEDS_OTHER_CHANNEL,
    "bounced_soft": S.READY,
    "complained": S.DELIVERED,
}
#: States from which an event may still move a message on.
OPEN_TO_EVENTS = frozenset({S.ACCEPTED, S.ACCEPTED_UNCONFIRMED, S.IN_DOUBT, S.READY})


def store_events(*, provider: str, events: Iterable[Mapping[str, Any]]) -> int:
    """Keep events as they come, each once; returns how many were handed in."""
    rows = [
        ProviderEvent(
            provider=provider, event_key=str(event["event_key"])[:100], message_ref=str(event.get("message_ref", ""))[:32],
            kind=str(event["kind"])[:20], detail=str(event.get("detail", ""))[:200], happened_at=event.get("happened_at"),
            received_at=Now(),
        )
        for event in events
    ]  # fmt: skip
    ProviderEvent.objects.bulk_create(rows, ignore_conflicts=True, batch_size=2000)
    return len(rows)


def apply_events() -> int:
    """Match stored events with their messages and move them; returns how many were dealt with."""
    total = 0
    while True:
        with transaction.atomic():
            done, more = _apply_batch()
        total += done
        if not more or not done:
            return total


def _apply_batch() -> tuple[int, bool]:
    events = list(
        ProviderEvent.objects.select_for_update(skip_locked=True).filter(applied_at__isnull=True).order_by("id")[:BATCH]
    )
    found = (
        Message.objects.select_for_update(of=("self",))
        .filter(message_ref__in={event.message_ref for event in events if event.message_ref})
        .select_related("campaign__incident", "entry__person")
        .order_by("id")
    )
    messages = {message.message_ref: message for message in found}
    effects: dict[str, list[ProviderEvent]] = {}
    entries: dict[Campaign, list[Entry]] = {}
    for event in events:
        message = messages.get(event.message_ref)
        effect = _effect(event, message)
        if effect == "waits":
            continue
        effects.setdefault(effect, []).append(event)
        if message is not None:
            entries.setdefault(message.campaign, []).append(_entry(event, message, effect))
    _save(effects, entries, [message for message in messages.values() if message.state != message.__dict__.get("was")])
    return sum(len(group) for group in effects.values()), len(events) == BATCH


def _effect(event: ProviderEvent, message: Message | None) -> str:
    """Decide, and set the message's new state in memory. `waits`: our own outcome is not written yet."""
    if message is None:
        return "unknown message"
    message.__dict__.setdefault("was", message.state)
    to = PROVES.get(event.kind)
    if message.state == S.SENDING:
        return "waits"
    if to is None or message.state == to:
        return "noted"
    if message.state == S.READY and (message.attempts == 0 or to == S.NEEDS_OTHER_CHANNEL):
        return "conflict"
    if message.state not in OPEN_TO_EVENTS:
        return "conflict"
    if event.kind == "bounced_soft" and message.state == S.ACCEPTED_UNCONFIRMED:
        return "conflict"
    if event.kind == "bounced_soft" and message.attempts >= MOST_ATTEMPTS:
        to = S.NEEDS_OTHER_CHANNEL
    message.state, message.state_reason = to, f"{event.provider}: {event.kind}"
    return f"moved to {to}"


def _entry(event: ProviderEvent, message: Message, effect: str) -> Entry:
    moved = effect.startswith("moved to ")
    data = {
        "campaign": message.campaign.reference, "message": message.message_ref, "provider": event.provider,
        "event": event.event_key, "kind": event.kind, "effect": effect, "state": message.state if moved else "",
    }  # fmt: skip
    return Entry(Action.EVENT_RECEIVED, data, message.entry.person.subject)


def _save(effects: Mapping[str, list[ProviderEvent]], entries: Mapping[Campaign, list[Entry]], moved: list[Message]) -> None:
    for effect, events in effects.items():
        ProviderEvent.objects.filter(pk__in=[e.pk for e in events]).update(applied_at=Now(), effect=effect[:40])
    by_state: dict[tuple[str, str], list[Message]] = {}
    for message in moved:
        by_state.setdefault((message.state, message.state_reason), []).append(message)
    for (state, reason), group in by_state.items():
        Message.objects.filter(pk__in=[m.pk for m in group]).update(state=state, state_reason=reason)
    for message in moved:
        if message.state == S.READY:
            _wait_before_retry(message)
    for campaign, lines in entries.items():
        record_many(incident=campaign.incident, actor="provider", entries=lines)


def _wait_before_retry(message: Message) -> None:
    seconds = backoff(attempts=message.attempts, drill=message.campaign.incident.is_drill)
    Message.objects.filter(pk=message.pk).update(not_before=database_now() + timedelta(seconds=seconds))
    # Looked at without a lock first (stop locks the campaign before its messages, we the other way round): it cannot drain
    # in the meantime, since our event counts as not applied until we commit.
    if not Campaign.objects.filter(pk=message.campaign_id, state=CampaignState.DRAINED).exists():
        return
    campaign = Campaign.objects.select_for_update().get(pk=message.campaign_id)
    if campaign.state == CampaignState.DRAINED:
        campaign.state = CampaignState.DISPATCHING
        campaign.save(update_fields=["state"])
        data = {"campaign": campaign.reference, "reason": "a letter has to be sent again"}
        record(incident=campaign.incident, action=Action.CAMPAIGN_RESUMED, actor="provider", data=data)
