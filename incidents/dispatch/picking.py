"""Which letters a worker takes next: the most urgent, but none of a domain put aside, found without reading all that wait."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from incidents.dispatch.owner import Owner, Place

#: The most urgent stand first in their index, and a chunk's messages are found by their keys. The planner, who has heard little
#: of a table that was just filled, would rather read all that wait and sort them, or all that are being sent, for every chunk.
BY_INDEX = "".join(f"SET LOCAL enable_{way} = off; " for way in ("sort", "seqscan", "hashjoin", "mergejoin"))
PICK = """
SELECT id, domain_key, due_at FROM incidents_message WHERE campaign_id = %s AND phase = 'waiting' AND state = 'ready'
  AND (not_before IS NULL OR not_before <= clock_timestamp()) AND domain_key <> ALL (%s::text[]) {behind}
ORDER BY due_at NULLS LAST, id LIMIT %s FOR UPDATE SKIP LOCKED"""
#: While anybody holds an old snapshot (a backup, a count), the index keeps every letter that has left; whoever walks over all of
#: them for each claim is slower with each; and so are those of a domain put aside, which may be the most urgent (50 to 70 ms for
#: 100,000, 0.5 ms behind them). So a worker goes on where its last claim that left out the same domains ended, for so many
#: seconds; then, where it finds too few there, or a domain comes back, it looks from the beginning.
GO_ON_SECONDS, MOST_PLACES = 2.0, 64
BEHIND, BEHIND_ALL_DATED = "AND (due_at, id) > (%s, %s)", "AND due_at IS NULL AND id > %s"


#: For the letter that tries whether a provider works again: one that it left in doubt would only be in doubt again.
UNTRIED = "AND attempts = 0"


def pick_untried(cursor: Any, campaign_id: int, avoid: list[str]) -> list[int]:
    """The id of the most urgent message that nobody has been given yet, if there is one."""
    cursor.execute(PICK.format(behind=UNTRIED), [campaign_id, avoid, 1])
    return [row[0] for row in cursor.fetchall()]


def pick(cursor: Any, owner: Owner, campaign_id: int, size: int, avoid: list[str], caps: Mapping[str, int]) -> list[int]:
    """The ids of the most urgent messages, no more of a capped domain than its cap; others move up in their place."""
    ids: list[int] = []
    left = dict(caps)
    while len(ids) < size:
        picked = set(ids)
        found = [row for row in _ready(cursor, owner, campaign_id, size, avoid) if row[0] not in picked]
        for message_id, domain, _ in found:
            if len(ids) < size and left.get(domain, 1) > 0:
                ids.append(message_id)
                if domain in left:
                    left[domain] -= 1
        full = [domain for domain, number in left.items() if number <= 0 and domain not in avoid]
        if not full:
            break
        avoid = avoid + full
    return ids


def _ready(cursor: Any, owner: Owner, campaign_id: int, size: int, avoid: list[str]) -> list[tuple[int, str, datetime | None]]:
    """Up to so many ready messages: behind those of this worker's last claim, or, if they are fewer there, from the beginning."""
    here, found = (campaign_id, frozenset(avoid)), []
    place = owner.places.get(here)
    if place is not None and time.monotonic() - place.since < GO_ON_SECONDS:
        behind, values = behind_of(place.due_at, place.id)
        cursor.execute(PICK.format(behind=behind), [campaign_id, avoid, *values, size])
        found = cursor.fetchall()
    if len(found) < size:
        place = None
        cursor.execute(PICK.format(behind=""), [campaign_id, avoid, size])
        found = cursor.fetchall()
    if found:
        last_id, _, due_at = found[-1]
        if len(owner.places) >= MOST_PLACES:
            owner.places.clear()
        owner.places[here] = Place(due_at, last_id, place.since if place else time.monotonic())
    return found


def behind_of(due_at: datetime | None, message_id: int) -> tuple[str, list[Any]]:
    """The condition, and its values, of what stands behind this message in the order of sending."""
    return (BEHIND, [due_at, message_id]) if due_at else (BEHIND_ALL_DATED, [message_id])
