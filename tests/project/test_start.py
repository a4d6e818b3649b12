"""What a command of plain Python loads: neither the desk, nor the queue, nor the broker's client; and what a start lives through."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import django.db
import psycopg
import pytest

import manage
from notifier import environment
from notifier.database import DatabaseAway
from notifier.drill import Progress, through_restarts

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["anymail", "celery", "incidents.admin", "incidents.tasks", "kombu", "redis"]
START = """
import json, sys
import manage
sys.argv = ["manage.py", "law_cases", sys.argv[1]]
code = manage.main()
print(json.dumps([code, [name for name in HEAVY if name in sys.modules]]))
"""


def test_law_cases_load_neither_the_desk_nor_the_queue(tmp_path: Path) -> None:
    file = ROOT / "tests" / "law" / "cases" / "examples.yaml"
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY!r}{START}", str(file)],
        cwd=ROOT,
        env={**os.environ, "BREACH_VAR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.parametrize("unread", ["stdout", "stderr"])
def test_a_command_whose_reader_has_gone_ends_quietly_and_is_no_fault(tmp_path: Path, unread: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)  # as `| head -1` does when it has its line
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, unread: writing}
    asked = "tests/law/cases/examples.yaml" if unread == "stdout" else "no-such-file.yaml"
    done = subprocess.run(
        [sys.executable, "manage.py", "law_cases", asked],
        cwd=ROOT,
        env={**os.environ, "BREACH_VAR": str(tmp_path / "var")},
        text=True,
        timeout=120,
        check=False,
        **streams,
    )
    os.close(writing)
    assert (done.returncode, done.stderr or "") == (141, "")
    assert not (tmp_path / "var" / "log").exists()


def test_a_pipe_that_breaks_elsewhere_is_no_reader_that_has_gone() -> None:
    broken = "import manage, sys; sys.exit(manage.NOBODY_READS if manage.nobody_reads() else 1)"
    done = subprocess.run([sys.executable, "-c", broken], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1


class Interrupted:
    """A step under which the database goes away so many times."""

    def __init__(self, times: int, error: type[Exception] = DatabaseAway) -> None:
        self.left, self.error, self.done = times, error, 0

    def __call__(self) -> None:
        self.done += 1
        if self.left:
            self.left -= 1
            raise self.error("gone")


def test_a_set_up_that_was_cut_short_is_done_again_where_the_server_is_kept_alive() -> None:
    step = Interrupted(2)
    environment.patiently(step, seconds=60)
    assert step.done == 3


def test_a_database_that_nobody_starts_again_is_named_at_once() -> None:
    step = Interrupted(1)
    with pytest.raises(DatabaseAway):
        environment.patiently(step, seconds=0)
    assert step.done == 1


def test_a_drill_goes_on_whoever_says_that_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr(environment, "wait_for_database", lambda _, *, seconds: waited.append(seconds))
    monkeypatch.setenv("DATABASE_URL", "postgresql:///x")
    for error in (psycopg.OperationalError, django.db.InterfaceError):
        step = Interrupted(1, error)
        through_restarts(step, Progress(io.StringIO()))
        assert step.done == 2
    assert len(waited) == 2


def test_where_the_state_folder_cannot_be_used_a_fault_is_still_one_line_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BREACH_VAR", str(tmp_path / "file" / "var"))
    assert manage.fault(ZeroDivisionError("of ours")) == 3
    said = capsys.readouterr().err
    assert said == (
        f"The state folder {tmp_path / 'file' / 'var'} cannot be used: Not a directory. Set BREACH_VAR to a folder of yours.\n"
    )
