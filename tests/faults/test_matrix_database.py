"""Rows 12 to 18 and 36: the database is killed, its sessions end, its answers are lost, it is full, it comes back an hour older."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.faults.conftest import MakeStage
from tests.faults.ground import CAMPAIGN, INCIDENT, NAME, Ground, TooLate, until
from tests.faults.stage import Stage, stage

pytestmark = pytest.mark.matrix


def test_row_12_the_database_killed_three_times_and_stopped_at_once(make_stage: MakeStage) -> None:
    run = make_stage(people=120)
    run.sink.tell(delay=0.3)
    run.start(workers=2)
    for number, how in enumerate((9, 9, 9, 3), start=1):
        run.sent(12 * number)
        run.kill_server("postgres", how)
    run.sink.tell(delay=0.0)
    found = run.ends_well()
    # Of each lane one letter, and what its marker had not flushed.
    assert found.duplicates <= found.doubts


def test_row_13_random_sessions_ended_a_hundred_times(make_stage: MakeStage) -> None:
    run, chance = make_stage(people=120), random.Random(13)
    run.sink.tell(delay=0.4)
    run.start(workers=2)
    run.sent(3)
    for _ in range(100):
        run.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'breach_%%' ORDER BY random() LIMIT 1")
        time.sleep(chance.uniform(0, 0.2))
    run.sink.tell(delay=0.0)
    found = run.ends_well()
    assert found.duplicates <= found.doubts


def test_row_14_no_connection_left_and_connections_dropped_on_the_way(make_stage: MakeStage) -> None:
    run = make_stage(proxies=("postgres",))
    run.sink.tell(delay=0.2)
    run.start()
    run.sent(10)
    run.sql("ALTER ROLE breach_worker CONNECTION LIMIT 0")
    run.proxies["postgres"].reset_all()
    time.sleep(4)
    run.sql("ALTER ROLE breach_worker CONNECTION LIMIT -1")
    for _ in range(5):
        time.sleep(0.5)
        run.proxies["postgres"].reset_all()
    found = run.ends_well()
    assert found.duplicates <= found.doubts


def test_row_15_a_commit_whose_answer_is_lost_is_read_again_and_not_repeated(make_stage: MakeStage) -> None:
    run = make_stage(people=120, proxies=("postgres",), CHUNK_SIZE="5")
    run.sink.tell(delay=0.05)
    run.start(processes=1)
    # Each time another step of the work: claims, outcomes, what the house does.
    for number, spared in enumerate((0, 1, 2, 3, 5), start=1):
        run.sent(10 * number)
        run.proxies["postgres"].behave(cut_commits=2, spare_commits=spared)
    found = run.ends_well()
    assert run.proxies["postgres"].cut >= 5 and found.duplicates <= found.doubts


def test_row_16_locks_that_do_not_come_leave_nothing_half_done(make_stage: MakeStage) -> None:
    run = make_stage(people=120)
    run.sql("ALTER ROLE breach_worker SET lock_timeout = '100ms'")
    run.sink.tell(delay=0.1)
    run.start()
    run.sent(5)
    ending = threading.Event()
    other = threading.Thread(target=_hold_locks, args=(run, ending))
    other.start()
    time.sleep(8)
    ending.set()
    other.join()
    run.sql("ALTER ROLE breach_worker RESET lock_timeout")
    found = run.ends_well()
    assert found.duplicates <= found.doubts


def _hold_locks(run: Stage, ending: threading.Event) -> None:
    """Take rows in another order than the workers do, and keep them; the server ends one of the two."""
    while not ending.is_set():
        with contextlib.suppress(psycopg.Error), run.ground.server() as server, server.transaction():
            server.execute("SET LOCAL lock_timeout = '300ms'")
            server.execute("SELECT 1 FROM incidents_message ORDER BY random() LIMIT 40 FOR UPDATE")
            time.sleep(0.15)
            server.execute("SELECT 1 FROM incidents_campaign FOR UPDATE")
            server.execute("SELECT 1 FROM incidents_chunk ORDER BY random() LIMIT 5 FOR UPDATE")
            time.sleep(0.15)


def test_row_16_a_freeze_that_gets_no_lock_leaves_no_campaign(make_stage: MakeStage) -> None:
    run = make_stage(state="assessed")
    run.sql("ALTER ROLE breach_web SET lock_timeout = '200ms'")
    with run.ground.server() as server, server.transaction():
        server.execute("LOCK TABLE incidents_registerentry IN EXCLUSIVE MODE")
        refused = run.manage("freeze", "cartier-2025", "--as", "officer")
    assert refused.returncode != 0 and run.value("SELECT count(*) FROM incidents_campaign") == 0
    run.sql("ALTER ROLE breach_web RESET lock_timeout")
    assert run.manage("freeze", "cartier-2025", "--as", "officer").returncode == 0
    assert run.check().holds


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 1.2 GB under a folder; only root may."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system can be mounted by root only")
def test_row_17_a_full_disk_of_the_database_stops_sending_and_it_goes_on_when_there_is_room(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with small_disk(folder):
        # The sink and the run's own files lie elsewhere: only the database's disk is full.
        made = Ground(tmp_path, disk=folder)
        (folder / "var").mkdir()
        with made.running(), stage(made, people=300) as run:
            run.sink.tell(delay=0.05)
            run.start()
            run.sent(20)
            _fill(folder / "filler")
            time.sleep(6)
            before = run.sink.letters
            time.sleep(3)
            # What was claimed before it was full may still leave; nothing that has no intent.
            print(f"full at {before} letters, {run.sink.letters} three seconds later")
            (folder / "filler").unlink()
            found = run.ends_well(seconds=120)
            assert found.duplicates <= found.doubts


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 65536)


def test_row_18_no_room_for_the_logs_signed_heads_holds_nobody_up_and_is_made_up_for(make_stage: MakeStage) -> None:
    # Printed letters have no store yet; what the product writes beside the database are the heads of its log.
    run = make_stage()
    run.sink.tell(delay=0.05)
    limited = run.hands("sequencer", role="sequencer")
    resource.prlimit(limited.pid, resource.RLIMIT_FSIZE, (0, 0))
    heads = run.value("SELECT count(*) FROM incidents_auditcheckpoint")
    run.start(sequencer=False)
    run.sent(60)
    assert run.value("SELECT count(*) FROM incidents_auditcheckpoint") == heads, "nothing was signed whose head could not be kept"
    run.end_hands(limited)
    run.start(workers=0, house=False)
    run.ends_well(doubts=0, duplicates=0)
    assert run.value("SELECT count(*) FROM incidents_auditcheckpoint") > heads


def test_row_36_a_database_an_hour_older_is_noticed_before_anything_leaves(make_stage: MakeStage) -> None:
    run = make_stage(people=120)
    run.sink.tell(delay=0.1)
    run.start()
    run.sent(30)
    _copy_as(run, "backup", NAME)
    run.sent(80)
    # Within an hour many heads are signed; here one is asked for.
    assert run.manage("export_evidence", INCIDENT, "--out", str(run.var / "before.zip")).returncode == 0
    for child in list(run.supervisor.children):
        run.dismiss(child.name)
    time.sleep(1)  # what was on its way has come
    before = run.sink.letters
    _copy_as(run, NAME, "backup")
    run.start()
    until(lambda: len(run.pids("worker0")) >= 3, seconds=60, why=run.said)
    with run.woken(), contextlib.suppress(TooLate):
        until(lambda: run.sink.letters > before, seconds=15)
    print(f"{run.sink.letters - before} letters left after the restore")
    assert run.sink.letters == before, "letters were sent from a database that is older than its log's signed head"
    assert run.state == "paused"
    signed = ("--as", "officer", "--reason", "the backup of an hour ago")
    assert "manage.py recover" in run.manage("resume", CAMPAIGN, *signed).stderr and run.state == "paused"
    ready = run.states()["ready"]
    done = run.manage("recover", CAMPAIGN, *signed)
    assert done.returncode == 0 and f"{CAMPAIGN}: {ready} letters may have left" in done.stdout, done.stdout + done.stderr
    assert run.sink.letters == before, "the doubts stand on the list before anything leaves"
    run.sink.tell(delay=0.0)
    assert run.manage("resume", CAMPAIGN, *signed).returncode == 0
    found = run.ends_well()
    assert found.duplicates <= found.doubts


def _copy_as(run: Stage, to: str, of: str) -> None:
    """A backup or its restore: the whole database as it stands."""
    with run.ground.server("postgres") as server:
        server.execute(f"ALTER DATABASE {of} ALLOW_CONNECTIONS false")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [of])
        server.execute(f"DROP DATABASE IF EXISTS {to} WITH (FORCE)")
        until(lambda: _try(server, f"CREATE DATABASE {to} TEMPLATE {of}"), seconds=20)
        server.execute(f"ALTER DATABASE {of} ALLOW_CONNECTIONS true")
    if to == NAME:
        from notifier import database

        database.prepare_database(run.ground.admin, passwords=run.ground.passwords, again=True)


def _try(server: psycopg.Connection, statement: str) -> bool:
    try:
        server.execute(statement)
    except psycopg.errors.ObjectInUse:
        return False
    return True
