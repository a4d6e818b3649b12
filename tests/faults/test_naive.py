"""The baseline has to fail: a task for each message loses people, or writes twice to some, in the very storm that ours stands."""

from __future__ import annotations

import random
import subprocess
import sys
import time

import pytest

from tests.faults.conftest import MakeStage
from tests.faults.ground import ROOT, until
from tests.faults.stage import Stage
from tests.faults.storm import Storm

PEOPLE = 60


def start_naive(run: Stage) -> None:
    """Its workers, and a task for everybody."""
    command = [sys.executable, "-m", "celery", "-A", "tests.faults.naive", "worker", "-c", "4", "-Q", "naive", "-l", "ERROR"]
    run.add("worker0", [*command, "--without-gossip", "--without-mingle"], "worker")
    run.supervisor.watch()
    run.watched = True
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.naive"],
        cwd=ROOT,
        env=run.environment("worker"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) == PEOPLE


def wait_until_idle(run: Stage, *, seconds: float = 8) -> None:
    """Nothing was taken for so long: it thinks that it is done."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < seconds:
        if (now := run.sink.letters) != last:
            last, since = now, time.monotonic()
        time.sleep(0.2)
    run.sql("UPDATE incidents_campaign SET state = 'drained'")


def test_a_task_for_each_message_does_not_survive_killed_workers(make_stage: MakeStage) -> None:
    run = make_stage(people=PEOPLE)
    run.sink.tell(delay=0.15)
    start_naive(run)
    for number in (8, 25):
        until(lambda number=number: run.sink.letters >= number, seconds=60, why=run.said)
        run.kill("worker0")
    wait_until_idle(run)
    found = run.check()
    assert found.lost or found.unlisted, found.line


@pytest.mark.matrix
def test_a_task_for_each_message_does_not_survive_the_storm(make_stage: MakeStage) -> None:
    run = make_stage(people=PEOPLE, proxies=("postgres", "valkey", "sink"))
    run.sink.tell(delay=0.3)
    start_naive(run)
    run.sent(3)
    weather = Storm(run, random.Random(39))
    weather.run(seconds=40, people=PEOPLE)
    print(weather.told)
    wait_until_idle(run)
    found = run.check()
    assert found.lost or found.unlisted, found.line
