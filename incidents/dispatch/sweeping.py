"""Moves of a whole campaign's messages, a bounded number at a time: memory stays flat, and nobody waits for a lock for long.

Each step commits by itself. Whoever dies in between leaves the rest to housekeeping, which takes the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from incidents.audit.actions import Action
from incidents.audit.log import Hole, record_set
from incidents.dispatch.picking import BY_INDEX, behind_of
from incidents.models import Campaign, Message
from incidents.models import MessageState as S
from incidents.models.messages import PHASES, in_states

STEP = 5000
NOBODY_SAYS = "no event can come by this provider"
QUIET = "no event came in time"

#: In the order in which they are claimed.
LET_GO = """
UPDATE incidents_message m SET state = 'ready' FROM (
  SELECT id, due_at FROM incidents_message WHERE campaign_id = %s AND phase = 'waiting' AND state = 'planned' {behind}
  ORDER BY due_at NULLS LAST, id LIMIT %s FOR UPDATE SKIP LOCKED) next
WHERE m.id = next.id RETURNING next.due_at, next.id"""
#: Messages of a campaign in some states; `more` narrows them.
SWEEP = """
UPDATE incidents_message SET state = %(to)s, state_reason = %(reason)s WHERE id IN (
  SELECT m.id FROM incidents_message m WHERE m.campaign_id = %(campaign)s AND m.phase = ANY (%(phases)s::text[])
    AND m.state = ANY (%(states)s::text[]) {more}
  LIMIT %(step)s FOR UPDATE OF m SKIP LOCKED) RETURNING id"""
LAST_TRY_BY = """AND EXISTS (
  SELECT 1 FROM incidents_attempt a WHERE a.message_id = m.id AND a.number = m.attempts AND a.provider = ANY (%(providers)s))"""
SILENT_FOR = "AND m.accepted_at < clock_timestamp() - make_interval(hours => %(hours)s)"
NAMED = """
SELECT p.subject, m.message_ref FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
JOIN incidents_affectedperson p ON p.id = e.person_id WHERE m.id = ANY (%(ids)s)"""


def make_ready(*, campaign: Campaign) -> None:
    """Let go everybody whom the release of this campaign frees, the most urgent first; what the log says of it is the release."""
    last: tuple[datetime | None, int] | None = None
    while True:
        gone = _let_go(campaign, last)
        if len(gone) == STEP:
            last = max(gone, key=lambda row: (row[0] is None, row[0] or campaign.frozen_at, row[1]))
        elif last is None:
            break
        else:
            last = None  # those without a deadline stand behind no date
    # Whoever was held by somebody else meanwhile was passed over, and is let go by housekeeping.
    waits = Exists(Message.objects.filter(in_states(S.PLANNED), campaign=OuterRef("pk")))
    Campaign.objects.filter(~waits, pk=campaign.pk).update(let_go_at=Now())


def _let_go(campaign: Campaign, last: tuple[datetime | None, int] | None) -> list[tuple[datetime | None, int]]:
    behind, values = ("", []) if last is None else behind_of(*last)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
        cursor.execute(LET_GO.format(behind=behind), [campaign.pk, *values, STEP])
        return list(cursor.fetchall())


def cancel_unsent(*, campaign: Campaign, actor: str) -> int:
    """Everybody to whom a stopped campaign has not begun to write."""
    return _sweep(campaign, [S.PLANNED, S.READY], S.CANCELLED, "the campaign was stopped", actor=actor)


def end_silent(*, campaign: Campaign, providers: Sequence[str]) -> int:
    """Letters taken by providers of which no event can come."""
    more = {"providers": list(providers)}
    return _sweep(campaign, [S.ACCEPTED], S.ACCEPTED_UNCONFIRMED, NOBODY_SAYS, actor="dispatcher", narrow=LAST_TRY_BY, more=more)


def end_quiet(*, campaign: Campaign, hours: int) -> int:
    """Letters taken so many hours ago of which no event came."""
    more = {"hours": hours}
    return _sweep(campaign, [S.ACCEPTED], S.ACCEPTED_UNCONFIRMED, QUIET, actor="dispatcher", narrow=SILENT_FOR, more=more)


def _sweep(
    campaign: Campaign,
    states: list[str],
    to: str,
    reason: str,
    *,
    actor: str,
    narrow: str = "",
    more: dict[str, Any] | None = None,
) -> int:
    """Step by step; with an actor each message has its entry."""
    values = {"campaign": campaign.pk, "states": states, "to": to, "reason": reason, "step": STEP, **(more or {})}
    values["phases"] = [PHASES.get(state, state) for state in states]
    total = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(SWEEP.format(more=narrow), values)
            ids = [row[0] for row in cursor.fetchall()]
            if ids and actor:
                data = {"campaign": campaign.reference, "message": Hole("message_ref"), "state": to, "reason": reason}
                record_set(
                    incident=campaign.incident, action=Action.MESSAGE_MOVED, actor=actor, data=data, query=NAMED,
                    parameters={"ids": ids},
                )  # fmt: skip
        total += len(ids)
        if len(ids) < STEP:
            return total
