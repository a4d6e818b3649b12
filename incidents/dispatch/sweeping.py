"""Moves of a whole campaign's messages, a bounded number at a time: memory stays flat, and nobody waits for a lock for long.

Each step commits by itself. Whoever dies in between leaves the rest to housekeeping, which takes the same steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import Hole, record_set
from incidents.models import Campaign
from incidents.models import MessageState as S
from incidents.models.messages import PHASES

STEP = 5000
NOBODY_SAYS = "no event can come by this provider"
QUIET = "no event came in time"

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


def make_ready(*, campaign: Campaign) -> int:
    """Everybody whom the release of this campaign lets go; the release itself is what the log says of it."""
    return _sweep(campaign, [S.PLANNED], S.READY, "", actor="")


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
