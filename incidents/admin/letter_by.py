"""By when the letter of each person on a page has to have left: the law's date or our own target, from one place for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.admin.moments import Shown, shown
from incidents.models import AffectedPerson, Obligation
from incidents.people.deadlines import Earliest, earliest_of

#: Where there is no date.
NO_DATE = "no law that covers this person gives a date"
WAITS = "no date yet: a law asks for a finding first, whether a letter is owed"
NOT_ASKED = "no date yet: the law has not been asked about this person"


@dataclass(frozen=True)
class LetterBy:
    """A person's date as a page shows it; at most one of the two is there."""

    #: The law's.
    due: Shown | None
    #: Our target where the law gives no date. Never shown as the law's.
    ours: Shown | None
    #: Whose date it is.
    laws: str
    #: Why there is none.
    none: str = ""


def letters_by(*, people: Sequence[AffectedPerson], zone: str) -> list[LetterBy]:
    """The dates of these people, in their order; one query for all. `zone`: where a law names no place of its own."""
    cohorts = {person.cohort_id for person in people if person.cohort_id}
    found = earliest_of(cohorts=cohorts)
    dated = {pk for pk, one in found.items() if one.due_at or one.ours_at}
    why = _why_none(cohorts - dated)
    return [
        _shown(found.get(person.cohort_id or 0, Earliest()), zone, why.get(person.cohort_id or 0, NOT_ASKED)) for person in people
    ]


def _why_none(cohorts: set[int]) -> dict[int, str]:
    """Why there is no date for these cohorts' letters, of those about whom the law was asked."""
    asked = Obligation.objects.filter(cohort__in=cohorts, addressee="person", superseded=False) if cohorts else ()
    found: dict[int, str] = {}
    for duty in asked:
        waits = duty.owed == "ask" or found.get(duty.cohort_id or 0) == WAITS
        found[duty.cohort_id or 0] = WAITS if waits else NO_DATE
    return found


def _shown(one: Earliest, zone: str, none: str) -> LetterBy:
    place, dated = one.zone or zone, one.due_at or one.ours_at
    laws = ", ".join(one.laws)
    return LetterBy(shown(one.due_at, zone=place), shown(one.ours_at, zone=place), laws, "" if dated else none)
