"""Things die in the middle of sending: nobody is lost, nobody is told twice in silence, and it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.installation import Installation

CAMPAIGN = "cartier-2025-c1"
PEOPLE = 250
WAITING = {"planned", "ready", "sending", "in_doubt"}
#: Mails that lie twice in the inbox, not counting the second try after a soft bounce.
TWICE = """
SELECT m.message_ref, EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = m.id)
FROM incidents_inboxmessage i JOIN incidents_message m USING (message_ref) WHERE NOT i.is_test
  AND NOT EXISTS (SELECT 1 FROM incidents_providerevent e WHERE e.message_ref = m.message_ref AND e.kind = 'bounced_soft')
GROUP BY m.id, m.message_ref HAVING count(*) > 1"""


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state of an installation that was started once and stopped: its secrets, its servers' data, its schema."""
    var = tmp_path_factory.mktemp("set-up") / "var"
    var.mkdir()
    here = Installation(var)
    here.start("up", "--services-only")
    try:
        here.wait_for("Database and broker run")
    finally:
        here.stop()
    (var / "out.log").unlink()
    return var


@pytest.fixture
def slow_mail(installation: Installation, set_up: Path, free_port: int) -> Iterator[Installation]:
    """An installation whose provider takes its time, so that there is a middle to kill something in."""
    if not (set_up / "postgres").is_symlink():  # PostgreSQL as `nobody` keeps its data elsewhere: set up anew
        shutil.copytree(set_up, installation.var, dirs_exist_ok=True)
    installation.extra.update(MAIL="inbox:?delay_ms=50", CHUNK_SIZE="40", PORT=str(free_port))
    yield installation


def answered(at: Installation) -> int:
    """Letters that the provider has taken so far; 0 while there is no database or no campaign yet."""
    try:
        with at.database() as look:
            row = look.execute("SELECT count(*) FROM incidents_inboxmessage WHERE NOT is_test").fetchone()
    except Exception:
        return 0
    return int(row[0]) if row else 0


def wait_until_sent(at: Installation, number: int, *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while answered(at) < number:
        assert time.monotonic() < end, at.said()[-2000:]
        assert at.started[-1].poll() is None, at.said()[-2000:]
        time.sleep(0.1)


def check(at: Installation) -> dict[str, Any]:
    """The conservation check as anybody may run it at any moment; it has to hold."""
    done = at.manage("check_campaign", CAMPAIGN, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["sum_ok"] and not found["violations"]
    return found


def wait_until_drained(at: Installation, *, seconds: float = 120) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while (found := check(at))["state"] == "dispatching":
        assert time.monotonic() < end, found
        time.sleep(0.3)
    return found


def assert_everybody_is_accounted_for(at: Installation, found: dict[str, Any], *, doubts: int) -> None:
    assert found["state"] == "drained"
    assert not WAITING & set(found["states"]), found["states"]
    assert sum(found["states"].values()) == found["people_in"] >= PEOPLE - 5
    assert found["doubts_open"] == 0 and found["doubts_total"] <= doubts
    with at.database() as look:
        assert all(listed for _, listed in look.execute(TWICE).fetchall()), "a second letter without a listed doubt"


def kill(pids: list[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def kill_server(at: Installation, key: str, *, wipe: str = "") -> None:
    """Kill one of the embedded servers and wait until `up` has started another one."""

    def running() -> int:
        return int(json.loads((at.var / "run.json").read_text())[key])

    before, end = running(), time.monotonic() + 30
    kill([before])
    if wipe:
        shutil.rmtree(at.var / wipe)
    while running() == before:
        assert time.monotonic() < end, f"{key} stays gone; it said: {at.said()[-2000:]}"
        time.sleep(0.2)


@pytest.mark.slow
def test_workers_are_killed_in_the_middle_and_the_check_holds_at_every_moment(slow_mail: Installation) -> None:
    slow_mail.start("up", "--scenario", "cartier-2025", "--size", str(PEOPLE))
    killed = 0
    for already_sent in (30, 120):
        wait_until_sent(slow_mail, already_sent)
        workers = slow_mail.children("sender@")
        assert len(workers) >= 3, "a parent and its two senders"
        kill(workers)
        killed += len(workers) - 1
        check(slow_mail)

    found = wait_until_drained(slow_mail)

    assert_everybody_is_accounted_for(slow_mail, found, doubts=killed * settings.LANES)
    slow_mail.wait_for("The desk:")
    assert "FAILS" not in slow_mail.said()


@pytest.mark.slow
def test_ctrl_c_in_the_middle_stops_at_once_and_the_rest_is_sent_without_any_broker(slow_mail: Installation) -> None:
    up = slow_mail.start("up", "--scenario", "cartier-2025", "--size", str(PEOPLE))
    wait_until_sent(slow_mail, 20)
    up.send_signal(signal.SIGINT)
    assert up.wait(timeout=45) == 0
    slow_mail.assert_nothing_is_left()
    assert "Traceback" not in slow_mail.said() and answered(slow_mail) < PEOPLE

    done = slow_mail.manage("dispatch", CAMPAIGN, REDIS_URL="redis://127.0.0.1:1/0", MAIL="inbox:")

    assert done.returncode == 0, done.stdout + done.stderr
    (slow_mail.var / "out.log").unlink()
    slow_mail.start("up", "--services-only")
    slow_mail.wait_for("Database and broker run")
    assert_everybody_is_accounted_for(slow_mail, check(slow_mail), doubts=2 * settings.LANES)


@pytest.mark.slow
def test_the_broker_is_killed_and_emptied_and_then_the_database_is_killed(slow_mail: Installation) -> None:
    slow_mail.start("up", "--scenario", "cartier-2025", "--size", str(PEOPLE))
    wait_until_sent(slow_mail, 30)

    kill_server(slow_mail, "valkey_pid", wipe="valkey")
    wait_until_sent(slow_mail, 120)
    kill_server(slow_mail, "postgres_pid")

    found = wait_until_drained(slow_mail)
    # One on each connection of the two senders at the kill, and of those that came back before their sessions knew that the server was another.
    assert_everybody_is_accounted_for(slow_mail, found, doubts=4 * settings.LANES)
    slow_mail.wait_for("The desk:")
    assert "FAILS" not in slow_mail.said() and "Traceback" not in slow_mail.said()
