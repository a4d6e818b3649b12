"""Rows 31 to 35, 37 and 38: clocks, a deploy, changes behind the signature, stop, two releases, no sequencer, no key."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from notifier.processes import Child, sequencer_command, worker_command
from tests.faults.conftest import MakeStage
from tests.faults.ground import CAMPAIGN, until

pytestmark = pytest.mark.matrix


@pytest.fixture(scope="session")
def faketime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """libfaketime: installed, or unpacked from Debian's package without installing it."""
    for known in Path("/usr/lib").glob("*/faketime/libfaketime.so.1"):
        return known
    folder = tmp_path_factory.mktemp("faketime")
    fetched = (
        subprocess.run(["apt-get", "download", "libfaketime"], cwd=folder, capture_output=True, text=True, check=False)
        if shutil.which("apt-get")
        else None
    )
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg", "-x", str(package), str(folder)], check=True)
    found = list(folder.glob("usr/lib/*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip(
            f"libfaketime is not here and cannot be fetched: {fetched.stderr.strip()[-200:] if fetched else 'no apt-get'}"
        )
    return found[0]


#: An hour ahead and behind, a day, ten minutes, and the night in which clocks go back, each in a zone of its own.
CLOCKS = {"+1h": "UTC", "-1h": "UTC", "+1d": "America/New_York", "+10m": "Europe/Paris", "@2026-10-25 02:59:50": "Europe/Berlin"}


def test_row_31_workers_whose_clocks_are_wrong_send_nothing_twice(make_stage: MakeStage, faketime: Path) -> None:
    run = make_stage(people=120)
    run.sink.tell(delay=0.1)
    run.start(workers=0)
    for number, (offset, zone) in enumerate(CLOCKS.items()):
        command = [part.replace("sender@", f"sender{number}@") for part in worker_command(concurrency=1)]
        clock = {"LD_PRELOAD": str(faketime), "FAKETIME": offset, "TZ": zone, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        run.add(f"worker{number}", command, "worker", **clock)
    with run.woken():
        run.sent(30)
        run.kill("worker0")
        found = run.ends_well(doubts=3)
    assert found.duplicates <= found.doubts
    off = "SELECT max(abs(extract(epoch FROM clock_timestamp() - happened_at))) FROM incidents_auditevent"
    assert run.value(off) < 1800, "entries are dated by the database's clock"


def test_row_32_tables_change_and_old_and_new_workers_run_side_by_side(make_stage: MakeStage) -> None:
    run = make_stage()
    run.sink.tell(delay=0.1)
    run.start()
    run.sent(15)
    # What the next version's migration may do while this version runs: add, with a default of the database.
    run.sql("ALTER TABLE incidents_message ADD COLUMN of_the_next_version text NOT NULL DEFAULT ''")
    done = run.manage("migrate", "-v0")
    assert done.returncode == 0, done.stderr
    run.start(workers=0, house=False, sequencer=False)
    with pytest.raises(psycopg.Error):
        run.sql("UPDATE incidents_message SET state = 'of_the_next_version' WHERE id = (SELECT min(id) FROM incidents_message)")
    run.ends_well(doubts=0, duplicates=0)


def test_row_33_what_was_changed_behind_the_signature_is_not_sent(make_stage: MakeStage) -> None:
    run = make_stage()
    with run.ground.server() as server:
        server.execute("SET session_replication_role = replica")
        # One person's sealed record in the place of another's, and another wording under one cohort's letter.
        server.execute(
            "UPDATE incidents_affectedperson p SET sealed = o.sealed FROM incidents_affectedperson o "
            "WHERE p.reference = 'p1' AND o.reference = 'p7'"
        )
        (letter,) = server.execute(
            "SELECT letter_id FROM incidents_registerentry WHERE letter_id IS NOT NULL ORDER BY id LIMIT 1"
        ).fetchone() or (0,)
        server.execute("UPDATE incidents_letter SET compiled = replace(compiled, 'Cartier', 'Another') WHERE id = %s", [letter])
        (readers,) = server.execute("SELECT count(*) FROM incidents_registerentry WHERE letter_id = %s", [letter]).fetchone() or (
            0,
        )
    run.start()
    until(lambda: not {"ready", "sending"} & set(run.states()), seconds=60)
    found = run.check()
    assert not (found.lost or found.unlisted or found.wrong or found.early or found.late), (found.line, found.why)
    assert run.states()["quarantined"] in {readers, readers + 1}


def test_row_34_after_stop_no_more_arrive_than_were_on_their_way(make_stage: MakeStage) -> None:
    lanes, processes = 3, 2
    run = make_stage(people=300, LANES=str(lanes))
    run.sink.tell(delay=0.2)
    run.start(processes=processes)
    run.sent(30)
    run.sink.tell(delay=1.0)  # so that there is something left to stop, however slowly the command starts
    done = run.manage("stop", CAMPAIGN, "--as", "officer", "--reason", "the letter is wrong")
    assert done.returncode == 0, done.stdout + done.stderr
    acknowledged = run.sink.letters
    time.sleep(4)
    after = run.sink.letters - acknowledged
    print(f"{after} letters after the stop was acknowledged")
    assert after <= lanes * processes
    until(lambda: not {"ready", "sending", "planned"} & set(run.states()), seconds=30)
    found = run.check()
    assert found.holds, (found.line, found.why)
    assert found.states["cancelled"] > 0


def test_row_35_two_officers_who_release_at_once_make_one_dispatch(make_stage: MakeStage) -> None:
    run = make_stage(state="approved")
    run.start()
    with ThreadPoolExecutor(3) as pool:
        both = list(
            pool.map(lambda _: run.manage("release", CAMPAIGN, "--as", "officer", "--reason", "go", MAIL="inbox:"), range(3))
        )
    assert sorted(one.returncode == 0 for one in both) == [False, False, True], [one.stdout + one.stderr for one in both]
    run.ends_well(doubts=0, duplicates=0)
    assert run.value("SELECT count(*) FROM incidents_approval WHERE kind = 'release'") == 1


def test_row_37_without_a_sequencer_letters_leave_and_the_log_has_no_gap_afterwards(make_stage: MakeStage) -> None:
    run = make_stage()
    run.start(sequencer=False)
    run.drained(seconds=90)
    waiting = run.value("SELECT count(*) FROM incidents_auditpending")
    refused = run.manage("shell", "-c", CLOSE)
    assert waiting > 60 and "refused" in refused.stdout, (waiting, refused.stdout, refused.stderr)
    run.start(workers=0, house=False)
    until(lambda: not run.value("SELECT count(*) FROM incidents_auditpending"), seconds=30)
    run.ends_well(doubts=0, duplicates=0)
    gaps = run.value(
        "SELECT count(*) FROM (SELECT seq - lag(seq) OVER (PARTITION BY log_id ORDER BY seq) AS step FROM incidents_auditleaf) s WHERE step <> 1"
    )
    assert gaps == 0


#: What the desk's button does.
CLOSE = """
from django.contrib.auth.models import User
from incidents.dispatch.campaign import CampaignRefused, close
from incidents.models import Campaign
try:
    close(campaign=Campaign.objects.get(), author=User.objects.get(username="officer"), reason="done")
    print("closed")
except CampaignRefused as refusal:
    print("refused:", refusal)
"""


def test_row_38_without_the_signing_key_letters_leave_and_nothing_is_closed(make_stage: MakeStage) -> None:
    run = make_stage()
    heads = run.value("SELECT count(*) FROM incidents_auditcheckpoint")
    run.start(sequencer=False)
    gone = run.environment("sequencer", AUDIT_KEY_FILE="/dev/null/audit.pem")
    child = Child("sequencer", sequencer_command(), gone, run.var / "log" / "sequencer.log")
    child.start()
    run.supervisor.children.append(child)
    run.drained(seconds=90)
    refused = run.manage("shell", "-c", CLOSE, AUDIT_KEY_FILE="/dev/null/audit.pem")
    assert "refused" in refused.stdout, refused.stdout + refused.stderr
    assert run.value("SELECT count(*) FROM incidents_auditcheckpoint") == heads
    run.dismiss("sequencer")
    run.start(workers=0, house=False)
    run.ends_well(doubts=0, duplicates=0)
