"""Rows 1 to 6, 11 and 39: processes die, stand still, are asked to end, are there twice or not at all."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.faults.conftest import MakeStage
from tests.faults.ground import until
from tests.faults.storm import storm

pytestmark = pytest.mark.matrix
#: How often a process is killed at each place.
KILLS = int(os.environ.get("BREACH_MATRIX_KILLS", "50"))
#: From the intent to the outcome a death leaves one letter of which nobody knows; everywhere else there must be no doubt.
DOUBTFUL = {"after_intent_commit", "mid_render", "after_bytes_sent", "after_response_before_commit"}
OF_WORKERS = (
    "before_claim", "after_claim", "mid_render", "after_intent_commit", "after_bytes_sent", "after_response_before_commit",
    "after_commit_before_wake",
)  # fmt: skip


@pytest.mark.parametrize("place", OF_WORKERS)
def test_row_01_a_worker_killed_at_any_place_leaves_doubts_only_where_a_letter_was_on_its_way(
    make_stage: MakeStage, place: str
) -> None:
    # A chunk or a letter for each death, and some for the end: else there would be too few places to die at.
    per_chunk = place in {"before_claim", "after_claim", "after_intent_commit", "after_commit_before_wake"}
    run = make_stage(people=300, CHUNK_SIZE="4" if per_chunk else "20", LANES="1")
    run.start(processes=4, BREACH_FAILPOINTS=f"{place}=kill*{KILLS}")
    with run.woken():
        found = run.ends_well(seconds=180)
    assert run.met(place) == KILLS, f"only {run.met(place)} deaths"
    assert found.doubts == 0 if place not in DOUBTFUL else found.doubts <= KILLS
    assert found.duplicates <= found.doubts


@pytest.mark.parametrize("place", ["mid_sequence", "mid_checkpoint"])
def test_row_01_a_sequencer_killed_at_any_place_leaves_no_gap(make_stage: MakeStage, place: str) -> None:
    run = make_stage()
    run.hands("sequencer", role="sequencer", BREACH_FAILPOINTS=f"{place}=kill*{KILLS}")
    run.start(sequencer=False)
    run.drained()
    until(lambda: run.met(place) == KILLS or not run.value("SELECT count(*) FROM incidents_auditpending"), seconds=60)
    run.ends_well(doubts=0, duplicates=0)
    assert run.met(place) >= min(KILLS, 5), f"only {run.met(place)} deaths"


def test_row_01_events_are_stored_once_however_often_their_reader_is_killed(make_stage: MakeStage) -> None:
    run = make_stage()
    run.start()
    run.drained()
    teller = run.hands("store_events", 60, role="web", BREACH_FAILPOINTS=f"mid_event_store=kill@2*{KILLS}")
    assert teller.wait(timeout=120) == 0, run.said()
    assert run.met("mid_event_store") == KILLS
    assert run.value("SELECT count(*) FROM incidents_providerevent WHERE provider = 'smtp'") == 60
    until(lambda: run.states().get("delivered") == 60, seconds=30)
    run.ends_well(doubts=0, duplicates=0)


def test_row_01_a_freeze_that_is_killed_leaves_no_half_register(make_stage: MakeStage) -> None:
    run = make_stage(state="assessed")
    kills = min(KILLS, 5)
    freezer = run.hands(
        "freeze", role="web", BREACH_FAILPOINTS=f"mid_freeze=kill*{kills}", DATABASE_SEQUENCER_URL=run.address("sequencer")
    )
    until(lambda: run.met("mid_freeze") >= 1 or freezer.poll() is not None, seconds=60)
    assert freezer.wait(timeout=180) == 0, run.said()
    assert run.met("mid_freeze") == kills
    assert run.sql("SELECT count(*), sum(people) FROM incidents_campaign") == [(1, 60)]
    assert run.value("SELECT count(*) FROM incidents_message") == run.value("SELECT count(*) FROM incidents_registerentry") == 60
    print(run.check().line)


def test_row_02_whole_groups_killed_twenty_times_at_random(make_stage: MakeStage) -> None:
    run, chance, killed = make_stage(people=300), random.Random(2), 0
    run.sink.tell(delay=0.9)
    run.start(workers=2)
    lanes = 3
    for _ in range(20):
        # Each kill hits workers that send, however slowly they come back on a busy machine.
        before = run.sink.letters
        until(lambda before=before: run.sink.letters > before, seconds=30, why=run.said)
        time.sleep(chance.uniform(0, 1))
        killed += run.kill(chance.choice(("worker0", "worker1"))) - 1
    run.sink.tell(delay=0.0)
    found = run.ends_well(seconds=120)
    assert found.duplicates <= found.doubts <= killed * lanes and found.doubts


@pytest.mark.parametrize("place", ["after_intent_commit", "after_bytes_sent"])
def test_row_03_a_worker_that_stood_still_is_fenced_and_its_late_answer_is_kept(make_stage: MakeStage, place: str) -> None:
    run = make_stage(LANES="1", LEASE_SECONDS="5")
    run.start(workers=2, processes=1, BREACH_FAILPOINTS=f"{place}=stop*1")
    until(lambda: run.met(place), seconds=30)
    stopped = until(lambda: [pid for name in ("worker0", "worker1") for pid in run.pids(name) if stands_still(pid)], seconds=10)
    time.sleep(15)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    time.sleep(2)
    found = run.ends_well(doubts=1, duplicates=1)
    assert run.value("SELECT count(*) FROM incidents_chunk WHERE state = 'taken_over'") == 1
    if place == "after_bytes_sent":
        assert found.doubts == 1 and run.value("SELECT count(*) FROM incidents_lateresult") >= 1


def stands_still(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


def test_row_04_a_letter_that_kills_its_worker_is_put_aside_after_three_and_the_others_go_on(make_stage: MakeStage) -> None:
    # The kernel's out-of-memory kill is a SIGKILL in the middle of one letter; a control group needs rights that not everybody has.
    run = make_stage(LANES="1", SETTLE_AFTER_SECONDS="0")
    run.sink.misbehave({"at": "rcpt", "do": "hang", "match": "person7@", "seconds": 60})
    run.start(processes=1, PROVIDER_TIMEOUT_SECONDS="20", LEASE_SECONDS="30")
    for death in range(1, 4):
        until(
            lambda death=death: run.sink.tell()["rules"] == [death],
            seconds=60,
            why=run.said,
        )
        time.sleep(0.5)  # the letter before it is marked as answered
        for pid in run.pids("worker0")[1:]:
            os.kill(pid, signal.SIGKILL)
    run.ends_well(duplicates=0)
    assert run.states()["quarantined"] == 1 and run.sink.tell()["rules"] == [3]


def test_row_04_memory_that_runs_out_loses_nobody(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.tell(delay=0.2)
    run.start()
    run.sent(5)
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    limited = run.pids("worker0")[1:]
    for pid in limited:
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        resource.prlimit(pid, resource.RLIMIT_AS, (used, resource.RLIM_INFINITY))
    time.sleep(5)
    for pid in limited:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_AS, unlimited)
    found = run.ends_well()
    assert found.duplicates <= found.doubts


def test_row_05_workers_asked_to_end_finish_what_is_on_its_way(make_stage: MakeStage) -> None:
    run = make_stage(people=300)
    run.sink.tell(delay=0.2)
    run.start(workers=2)
    for name in ("worker0", "worker1"):
        run.sent(15 if name == "worker0" else 40)
        child = run.child(name)
        run.supervisor.children.remove(child)
        child.signal(signal.SIGTERM)
        assert child.process.wait(timeout=35) is not None
    run.sink.tell(delay=0.0)
    run.start(workers=1, house=False, sequencer=False)
    run.ends_well(doubts=0, duplicates=0)


def test_row_06_two_houses_do_no_work_twice_and_a_killed_one_is_not_missed(make_stage: MakeStage) -> None:
    from notifier.processes import house_command

    run = make_stage()
    run.sink.tell(delay=0.1)
    (run.var / "second").mkdir()
    run.start()
    run.add("house2", house_command(run.var / "second"), "worker")
    run.sent(20)
    run.kill("house")
    run.ends_well(doubts=0, duplicates=0)


def test_row_06_and_10_without_beat_and_broker_the_command_does_the_same(make_stage: MakeStage) -> None:
    run = make_stage()
    done = run.manage("dispatch", "cartier-2025-c1", REDIS_URL="redis://127.0.0.1:1/0")
    assert done.returncode == 0, done.stdout + done.stderr
    run.ends_well(doubts=0, duplicates=0)


def test_row_39_everything_at_random(make_stage: MakeStage) -> None:
    seed = int(os.environ.get("BREACH_STORM_SEED", "39"))
    run = make_stage(people=300, proxies=("postgres", "valkey", "sink"))
    run.start(workers=2)
    found = storm(run, seed=seed, people=300, seconds=60)
    assert found.holds and run.state == "drained", (f"seed {seed}", found.line, found.why)
