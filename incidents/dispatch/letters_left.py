"""The letters that have not left, by the law that covers their people, and when the last of each law's is due to go.

Letters leave by the earliest legal deadline, then by their numbers: those of two laws with one date, and of all laws without one,
go mixed. So where the last letter of each law stands is counted, not only how many there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from django.db import connection

from incidents.models import Campaign, CampaignState
from incidents.people.deadlines import Earliest, earliest_of

OVER = frozenset({CampaignState.STOPPED, CampaignState.CLOSED})
FAR = datetime.max.replace(tzinfo=UTC)
#: By the cohort on the frozen register: a few hundred rows. `place` is the order in which workers take letters (`picking.PICK`).
LEFT = """
SELECT m.due_at, e.cohort_id, count(*), max(m.place), max(m.not_before) FROM (
  SELECT due_at, entry_id, not_before, row_number() OVER (ORDER BY due_at NULLS LAST, id) AS place
  FROM incidents_message WHERE campaign_id = %s AND phase = 'waiting') m
JOIN incidents_registerentry e ON e.id = m.entry_id GROUP BY m.due_at, e.cohort_id"""


@dataclass(frozen=True)
class Left:
    """The letters left of the people whom the same laws cover, with the same date."""

    laws: tuple[str, ...]
    due_at: datetime | None
    #: Our own target where the law gives no date.
    ours_at: datetime | None
    letters: int
    #: The place of the last of them among all letters left, from 1.
    place: int
    #: Before that moment the last of them does not leave: it is tried again then.
    not_before: datetime | None

    @property
    def order(self) -> tuple[datetime, datetime, int]:
        """The earliest date of a law first, then our targets, and last those whom no dated law covers."""
        return (self.due_at or FAR, self.ours_at or FAR, self.place)


def letters_left(*, campaign: Campaign) -> list[Left]:
    """What waits, each letter once: by its laws and its date. Reads counts only."""
    if campaign.state in OVER:
        return []
    with connection.cursor() as cursor:
        cursor.execute(LEFT, [campaign.pk])
        rows = cursor.fetchall()
    covers = earliest_of(cohorts={cohort_id for _, cohort_id, *_ in rows if cohort_id})
    return sorted(_together(_left(row, covers) for row in rows), key=lambda one: one.order)


def _left(row: tuple[datetime | None, int, int, int, datetime | None], covers: dict[int, Earliest]) -> Left:
    due_at, cohort_id, letters, place, not_before = row
    law = covers.get(cohort_id, Earliest())
    return Left(law.laws_of(due_at), due_at, None if due_at else law.ours_at, letters, place, not_before)


def _together(rows: Iterable[Left]) -> list[Left]:
    found: dict[tuple[object, ...], Left] = {}
    for one in rows:
        key = (one.laws, one.due_at, one.ours_at)
        same = found.get(key)
        if same is not None:
            later = max(filter(None, (same.not_before, one.not_before)), default=None)
            letters, place = same.letters + one.letters, max(same.place, one.place)
            one = replace(same, letters=letters, place=place, not_before=later)  # noqa: PLW2901
        found[key] = one
    return list(found.values())
