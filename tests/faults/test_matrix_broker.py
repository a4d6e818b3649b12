"""Rows 7 to 11: the broker is killed, emptied, full, read-only, slow, never there, or full of old wake-ups. Nothing depends on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.faults.conftest import MakeStage
from tests.faults.ground import PATIENCE, flush
from tests.faults.stage import Stage

pytestmark = pytest.mark.matrix


def broker(run: Stage) -> Any:
    return redis.Redis(unix_socket_path=str(run.ground.place.runtime / "valkey.sock"), socket_timeout=5)


def test_row_07_a_broker_killed_and_back_empty_delays_and_loses_nothing(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.tell(delay=0.1)
    run.start()
    run.sent(20)
    run.kill_server("valkey")
    assert run.drained(seconds=60) < 60
    run.ends_well(doubts=0, duplicates=0)


def test_row_08_a_broker_emptied_five_times(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.tell(delay=0.15)
    run.start()
    for number in range(5):
        run.sent(10 * number)
        flush(run.ground.place)
    run.ends_well(doubts=0, duplicates=0, seconds=60)


@contextlib.contextmanager
def memory_full(run: Stage) -> Iterator[None]:
    broker(run).config_set("maxmemory", "1")
    try:
        yield
    finally:
        broker(run).config_set("maxmemory", "0")


@contextlib.contextmanager
def read_only(run: Stage) -> Iterator[None]:
    broker(run).replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        broker(run).replicaof("NO", "ONE")


@contextlib.contextmanager
def standing_still(run: Stage) -> Iterator[None]:
    broker(run).client_pause(10_000)
    yield
    with contextlib.suppress(redis.RedisError):
        broker(run).client_unpause()


def test_row_09_a_broker_that_is_full_read_only_or_stands_still_holds_nobody_up(make_stage: MakeStage) -> None:
    run, slowest = make_stage(), dict[str, float]()
    run.sink.tell(delay=0.3)
    run.start()
    run.sent(3)
    for trouble in (memory_full, read_only, standing_still):
        with trouble(run):
            # What a page of the desk does after a release, in a process of its own.
            said, _ = run.hands("wake", 1, role="web").communicate(timeout=60)
            slowest[trouble.__name__] = float(said.split("slowest=")[1].split()[0])
    run.sink.tell(delay=0.0)
    run.ends_well(doubts=0, duplicates=0)
    print(slowest)
    assert max(slowest.values()) <= 2.0, slowest


def test_row_11_ten_thousand_old_wake_ups_change_nothing(make_stage: MakeStage) -> None:
    run = make_stage()
    said, _ = run.hands("stale", 10_000, role="web").communicate(timeout=240)
    assert "sent=10000" in said, run.said()
    run.start()
    with run.woken(every=0.02):
        assert run.drained(seconds=60) < 60 * PATIENCE
        run.ends_well(doubts=0, duplicates=0)
