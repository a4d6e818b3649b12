"""Counts: how many people a law needs before a duty starts. "More than 500" is not "at least 500"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.law.facts import Owed


@dataclass(frozen=True)
class Notified:
    """How many people must be told for certain, and how many more if an open question is answered with yes.

    `largest` are those of the one place (state) where most of them live.
    """

    sure: int = 0
    open: int = 0
    places: tuple[tuple[int, int], ...] = ()

    @property
    def largest(self) -> Notified:
        """The most people of one place who must be told, and how many that could become."""
        sure = max((sure for sure, _ in self.places), default=0)
        possible = max((sure + may_be for sure, may_be in self.places), default=0)
        return Notified(sure=sure, open=possible - sure)


def notified_of(*, outcomes: Sequence[tuple[str, int, Owed]]) -> Notified:
    """Adds up (place, count, owed): only people to whom notice is owed count."""
    places: dict[str, tuple[int, int]] = {}
    for place, count, owed in outcomes:
        sure, may_be = places.get(place, (0, 0))
        places[place] = (sure + count * (owed is Owed.YES), may_be + count * (owed is Owed.ASK))
    found = tuple(places.values())
    return Notified(sure=sum(sure for sure, _ in found), open=sum(may_be for _, may_be in found), places=found)


def is_reached(*, count: int, op: str, n: int) -> bool:
    """Whether `count` reaches the threshold `op` `n`; op is ">" or ">="."""
    return count > n if op == ">" else count >= n


def is_reached_by(*, notified: Notified, op: str, n: int) -> bool | None:
    """Whether the people to be told reach the threshold; None where that hangs on an open question."""
    if is_reached(count=notified.sure, op=op, n=n):
        return True
    return None if is_reached(count=notified.sure + notified.open, op=op, n=n) else False
