"""Counts: how many people a law needs before a duty starts. "More than 500" is not "at least 500"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.law.facts import Owed


@dataclass(frozen=True)
class Notified:
    """How many people must be told for certain, and how many more if an open question is answered with yes."""

    sure: int = 0
    open: int = 0


def notified_of(*, outcomes: Sequence[tuple[int, Owed]]) -> Notified:
    """Adds up (count, owed): only people to whom notice is owed count."""
    return Notified(
        sure=sum(count for count, owed in outcomes if owed is Owed.YES),
        open=sum(count for count, owed in outcomes if owed is Owed.ASK),
    )


def is_reached(*, count: int, op: str, n: int) -> bool:
    """Whether `count` reaches the threshold `op` `n`; op is ">" or ">="."""
    return count > n if op == ">" else count >= n


def is_reached_by(*, notified: Notified, op: str, n: int) -> bool | None:
    """Whether the people to be told reach the threshold; None where that hangs on an open question."""
    if is_reached(count=notified.sure, op=op, n=n):
        return True
    return None if is_reached(count=notified.sure + notified.open, op=op, n=n) else False
