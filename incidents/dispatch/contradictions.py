"""Letters of which providers told both that they arrived and that they came back: a person decides, whichever was told first.

What was told first decided the state; what came after it was kept as a conflict and changed nothing (`events/deciding.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from incidents.models import MessageState

REMEDY = "Look at them (Log, What providers told); who was perhaps not told can join an amendment by name"
#: The first condition is that of the index of conflicts, so that the few are found among millions of events.
CONFLICTS = """
SELECT m.state, e.kind IN ('delivered', 'complained') AS arrived, count(DISTINCT m.id)
FROM incidents_providerevent e JOIN incidents_message m ON m.message_ref = e.message_ref
WHERE e.effect LIKE 'conflict%%' AND e.effect LIKE 'conflict: after %%' AND m.campaign_id = %s GROUP BY 1, 2 ORDER BY 1, 2"""


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


def contradictions(*, cursor: Any, campaign_id: int) -> list[Contradiction]:
    """What providers told of a campaign's letters that contradicts where they stand."""
    cursor.execute(CONFLICTS, [campaign_id])
    return [Contradiction(*row) for row in cursor.fetchall()]
