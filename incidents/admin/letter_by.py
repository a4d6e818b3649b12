"""By when the letter of each person on a page has to have left: the law's date or our own target, from one place for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.admin.moments import Shown, shown
from incidents.models import AffectedPerson
from incidents.people.deadlines import Earliest, earliest_of


@dataclass(frozen=True)
class LetterBy:
    """A person's date as a page shows it; at most one of the two is there."""

    #: The law's.
    due: Shown | None
    #: Our target where the law gives no date. Never shown as the law's.
    ours: Shown | None
    #: Whose date it is.
    laws: str


def letters_by(*, people: Sequence[AffectedPerson], zone: str) -> list[LetterBy]:
    """The dates of these people, in their order; one query for all. `zone`: where a law names no place of its own."""
    found = earliest_of(cohorts={person.cohort_id for person in people if person.cohort_id})
    return [_shown(found.get(person.cohort_id or 0, Earliest()), zone) for person in people]


def _shown(one: Earliest, zone: str) -> LetterBy:
    place = one.zone or zone
    return LetterBy(shown(one.due_at, zone=place), shown(one.ours_at, zone=place), ", ".join(one.laws))
