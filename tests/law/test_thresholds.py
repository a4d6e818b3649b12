"""Counts: more than 500 is not at least 500, and only people to whom notice is owed count."""

import pytest

from incidents.law.facts import Owed
from incidents.law.thresholds import Notified, is_reached, is_reached_by, notified_of


@pytest.mark.parametrize(
    ("op", "count", "reached"),
    [(">", 499, False), (">", 500, False), (">", 501, True), (">=", 499, False), (">=", 500, True), (">=", 501, True)],
)
def test_the_edge_of_500(op: str, count: int, reached: bool) -> None:
    assert is_reached(count=count, op=op, n=500) is reached


@pytest.mark.parametrize(
    ("sure", "open_", "reached"),
    [(501, 0, True), (501, 9, True), (500, 0, False), (500, 1, None), (0, 501, None), (0, 500, False)],
)
def test_people_who_may_be_owed_notice_leave_a_threshold_open(sure: int, open_: int, reached: bool | None) -> None:
    assert is_reached_by(notified=Notified(sure=sure, open=open_), op=">", n=500) is reached


def test_people_to_whom_nothing_is_owed_do_not_count() -> None:
    outcomes = [("US-CA", 300, Owed.YES), ("US-CA", 201, Owed.YES), ("US-CA", 9000, Owed.NO), ("US-CA", 40, Owed.ASK)]
    found = notified_of(outcomes=outcomes)
    assert (found.sure, found.open) == (501, 40)


def test_a_count_of_one_state_looks_at_the_largest_state() -> None:
    found = notified_of(outcomes=[("US-CA", 400, Owed.YES), ("US-TX", 300, Owed.YES), ("US-TX", 250, Owed.ASK)])
    assert (found.sure, found.open) == (700, 250)
    assert (found.largest.sure, found.largest.open) == (400, 150)
    assert is_reached_by(notified=found.largest, op=">", n=500) is None
