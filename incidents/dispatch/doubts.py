"""Doubts end: by the provider's own word, by a person, or by the deadline policy; and how is recorded.

The policy: a second letter harms less than none, and the same Message-ID lets a mailbox recognise it. But a letter with which
three processes died is not sent again before a person has looked at it; and in a stopped campaign nothing is sent again: there a
letter that may have arrived counts as taken, for whoever counts as not written to goes on another register, and gets two.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.channels.choose import UnknownProvider, provider_named
from incidents.dispatch.channels.contract import Provider
from incidents.models import CampaignState, Doubt, LateResult, Message
from incidents.models import MessageState as S
from incidents.models.messages import BY_DEATHS, BY_POLICY
from incidents.people.locking import share_campaign
from incidents.people.moving import move

BATCH = 500
DEADLY = 3
#: How a doubt ends by time in a stopped campaign, and what the message says of it then.
NOT_REPEATED, MAY_HAVE_ARRIVED = "deadline policy: not repeated", "may have arrived; the campaign was stopped"
#: Seconds for a round, and for all look-ups in it: so that housekeeping comes to what else is due. And for which a provider rests
#: that took as long for one look-up.
SECONDS, LOOK_UP_SECONDS, REST_SECONDS = 8.0, 5.0, 60.0
MOST_SECONDS_BETWEEN, FORGET_ABOVE = 120.0, 100_000
#: What a late answer of the fenced worker proves.
LATE_PROOF = {"accepted": S.ACCEPTED, "failed": S.READY, "account": S.READY, "refused": S.NEEDS_OTHER_CHANNEL}


def settle_doubts(*, provider_of: Callable[[str], Provider] = provider_named) -> int:
    """Settle the open doubts of which something is known by now, or whose time is over; returns how many.

    The oldest first, for some seconds; the next round goes on behind the last one that was looked at, so that all come in turn.
    """
    settled, began = 0, time.monotonic()
    overdue = database_now() - timedelta(seconds=settings.SETTLE_AFTER_SECONDS)
    for doubt in _in_turn():
        is_overdue = doubt.opened_at < overdue
        to, how, by = _answer(doubt, provider_of, is_overdue=is_overdue, end=began + LOOK_UP_SECONDS)
        if not how and is_overdue:
            to, how, by = S.READY, BY_POLICY, "dispatcher"
        settled += _settle(doubt, to, how, by) if how else 0
        if time.monotonic() - began >= SECONDS:
            _memory.after = doubt.pk
            break
    return settled


def _in_turn() -> Iterator[Doubt]:
    """The open doubts: those behind the last one of a round that had no time for all, then the oldest, each once."""
    start, _memory.after = _memory.after, 0
    still_open = Doubt.objects.filter(settled_at__isnull=True).select_related("message").order_by("id")
    for part in (still_open.filter(pk__gt=start), still_open.filter(pk__lte=start)):
        last = 0
        while page := list(part.filter(pk__gt=last)[:BATCH]):
            yield from page
            last = page[-1].pk


def _answer(
    doubt: Doubt, provider_of: Callable[[str], Provider], *, is_overdue: bool, end: float
) -> tuple[str, str, str]:  # fmt: skip
    """The state that is proved, by what, and whose word it is; nothing when nobody knows."""
    if doubt.message.state != S.IN_DOUBT:
        return "", "provider event", "provider"
    late = LateResult.objects.filter(chunk_id=doubt.chunk_id, message_id=doubt.message_id).first() if doubt.chunk_id else None
    if late and late.outcome in LATE_PROOF:
        return LATE_PROOF[late.outcome], "late answer", "dispatcher"
    known = _looked_up(doubt, provider_of, is_overdue=is_overdue, end=end)
    # What it has may be an earlier try that it took: of that one's bounce we heard, of the doubtful one it says nothing.
    if known is None or (known and doubt.message.accepted_at):
        return "", "", ""
    return (S.ACCEPTED if known else S.READY), "provider look-up", "dispatcher"


@dataclass
class _Memory:
    """When the house asked (monotonic seconds): doubt -> how often and when last; provider -> until when it is let alone. And the
    last doubt of a round that had no time for all; 0: it had."""

    asked: dict[tuple[int, datetime], tuple[int, float]] = field(default_factory=dict)
    silent_until: dict[str, float] = field(default_factory=dict)
    after: int = 0


_memory = _Memory()


def _looked_up(doubt: Doubt, provider_of: Callable[[str], Provider], *, is_overdue: bool, end: float) -> bool | None:
    """What the provider knows of the letter, if it is its turn to be asked about; None: nothing, or not now.

    All look-ups of a round share some seconds, one letter is asked about more and more seldom, and a provider that hangs is let
    alone for a while: the doubts of one provider hold up nothing else, and end by their own time whatever it does.
    """
    began, name, this = time.monotonic(), doubt.provider, (doubt.pk, doubt.opened_at)
    times, last = _memory.asked.get(this, (0, 0.0))
    pause = min(MOST_SECONDS_BETWEEN, 2.0 * (times - 1) ** 2) if times else 0.0
    if began >= end or began < _memory.silent_until.get(name, 0.0) or (not is_overdue and began - last < pause):
        return None
    if len(_memory.asked) >= FORGET_ABOVE:
        _memory.asked.clear()
    _memory.asked[this] = times + 1, began
    try:
        return provider_of(name).look_up(message_ref=doubt.message.message_ref)
    except UnknownProvider:
        return None
    finally:
        if (now := time.monotonic()) - began >= LOOK_UP_SECONDS:
            _memory.silent_until[name] = now + REST_SECONDS


def settle_by_hand(*, doubt: Doubt, arrived: bool, by: str) -> None:
    """A person's answer to a doubt."""
    _settle(doubt, S.ACCEPTED if arrived else S.READY, "a person's decision", by)


def _settle(doubt: Doubt, to: str, how: str, by: str) -> int:
    with transaction.atomic():
        # First, as in `people/locking.py`: a stop comes before this, which sees it, or behind it, and finds the letter moved.
        share_campaign(key=doubt.message.campaign_id)
        found = Message.objects.select_for_update(of=("self",)).select_related("campaign__incident", "entry__person")
        message = found.get(pk=doubt.message_id)
        if how == BY_POLICY and message.campaign.state == CampaignState.STOPPED:
            to, how = S.ACCEPTED, NOT_REPEATED
        still_open = Doubt.objects.filter(pk=doubt.pk, settled_at__isnull=True)
        if not still_open.update(settled_at=database_now(), settled_how=how, settled_by=by):
            return 0
        if to == S.READY and message.deaths >= DEADLY and by == "dispatcher":
            to, how = S.QUARANTINED, f"{message.deaths} {BY_DEATHS}"
        if to and message.state == S.IN_DOUBT:
            why = MAY_HAVE_ARRIVED if how == NOT_REPEATED else how
            move(campaign=message.campaign, messages=[message], to=to, actor=by, reason=why, action=Action.DOUBT_RESOLVED)
            return 1
        data = {"campaign": message.campaign.reference, "message": message.message_ref, "state": "", "reason": how}
        subject = message.entry.person.subject
        record(incident=message.campaign.incident, action=Action.DOUBT_RESOLVED, actor=by, data=data, subject=subject)
    return 1
