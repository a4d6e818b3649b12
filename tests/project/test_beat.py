"""Housekeeping is due every few seconds, whatever happens to the clock of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from celery.utils.imports import symbol_by_name

from notifier.celery import app

EVERY = {"tick", "seal", "lists", "retention", "check"}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The machine's clock, which somebody may set."""
    found = SimpleNamespace(off=timedelta())
    monkeypatch.setattr(app, "now", lambda: datetime.now(UTC) + found.off)
    return found


@pytest.fixture
def turn(clock: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], set[str]]]:
    """One turn of the beat: the names of what it finds due until it would sleep."""
    kind = symbol_by_name(app.conf.beat_scheduler)
    sent: list[str] = []
    monkeypatch.setattr(kind, "apply_entry", lambda _, entry, producer=None: sent.append(entry.name))
    beat: Any = kind(app=app, schedule_filename=str(tmp_path / "beat"), max_interval=app.conf.beat_max_loop_interval)
    monkeypatch.setattr(kind, "producer", None)

    def one() -> set[str]:
        sent.clear()
        for _ in range(20):
            if beat.tick() > 0:
                break
        return set(sent)

    yield one
    beat.close()


@pytest.mark.parametrize("back", [timedelta(minutes=1), timedelta(hours=1), timedelta(days=400)])
def test_a_clock_that_is_set_back_keeps_nothing_waiting(
    clock: SimpleNamespace, turn: Callable[[], set[str]], back: timedelta
) -> None:
    clock.off = timedelta(days=1)
    assert turn() == EVERY and turn() == set()
    clock.off -= back
    assert turn() == EVERY and turn() == set()
    clock.off += timedelta(seconds=2.1)
    assert turn() == {"tick", "seal"}
    clock.off += timedelta(seconds=58)
    assert turn() == {"tick", "seal", "lists", "check"}


def test_a_clock_that_jumps_ahead_makes_all_due_once(clock: SimpleNamespace, turn: Callable[[], set[str]]) -> None:
    assert turn() == set(), "each is due for the first time after its interval"
    clock.off += timedelta(days=2)
    assert turn() == EVERY and turn() == set()


def test_a_beat_that_sleeps_looks_again_within_two_seconds() -> None:
    assert app.conf.beat_max_loop_interval <= 2
