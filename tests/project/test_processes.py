"""What a supervisor does with processes that die: started again at once, and one that cannot start is named."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from notifier import log_files, processes
from notifier.processes import Child, Supervisor

CANNOT = "import sys; print('reading the settings'); print('SECRET_KEY is too short', file=sys.stderr); sys.exit(1)"
LIVES = "import time; time.sleep(600)"


@pytest.fixture
def supervisor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    monkeypatch.setattr(processes, "RESTART_PAUSE_SECONDS", 0.02)
    found = Supervisor(tmp_path)
    yield found
    found.stop()


def child(supervisor: Supervisor, code: str) -> Child:
    made = Child("worker", [sys.executable, "-c", code], dict(os.environ), supervisor.var / "worker.log")
    made.start()
    supervisor.children.append(made)
    supervisor.watch()
    return made


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.01)


def test_one_that_cannot_start_is_named_once_with_its_last_words_and_tried_less_often(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "LONGEST_PAUSE_SECONDS", 0.5)
    made = child(supervisor, CANNOT)
    until(lambda: made.starts >= 5)
    said = capsys.readouterr().err
    assert said.count("'worker' has failed to start 3 times in a row") == 1
    assert "It said: SECRET_KEY is too short" in said and str(made.log) in said and "reading" not in said
    began, starts = time.monotonic(), made.starts
    until(lambda: made.starts >= starts + 2)
    assert time.monotonic() - began >= 0.5


def test_one_that_is_killed_is_started_again_at_once_however_often(
    supervisor: Supervisor, capsys: pytest.CaptureFixture[str]
) -> None:
    made = child(supervisor, LIVES)
    for number in range(2, 7):
        made.signal(9)
        until(lambda number=number: made.starts == number)  # type: ignore[misc]
    assert (made.failures, made.due, capsys.readouterr().err) == (0, 0.0, "")


def test_what_a_killed_parent_started_ends_with_it(tmp_path: Path) -> None:
    """Else it would go on sending under the settings of then, beside whatever is started next."""
    code = f"""
import os, pathlib, sys, time
import django; django.setup()
from notifier.processes import Child
child = Child("worker", [sys.executable, "-c", {LIVES!r}], dict(os.environ), pathlib.Path({str(tmp_path / "worker.log")!r}))
child.start()
print(child.process.pid, flush=True)
time.sleep(600)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "notifier.settings"}
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=processes.ROOT, env=environment)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    os.kill(pid, 0)
    parent.kill()
    parent.wait()
    until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text())


def test_one_that_the_machine_refuses_to_start_is_tried_again_and_the_others_are_looked_after(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(processes, "TRY_AGAIN_SECONDS", 0.1)
    made = child(supervisor, LIVES)
    start, refused = Child.start, iter([OSError(12, "Cannot allocate memory")] * 2)

    def begin(self: Child) -> None:
        if error := next(refused, None):
            raise error
        start(self)

    monkeypatch.setattr(Child, "start", begin)
    first = made.process
    assert first is not None
    first.kill()
    until(lambda: made.starts == 2 and made.process is not None and made.process.poll() is None)
    assert capsys.readouterr().err.count("'worker' cannot be started ([Errno 12] Cannot allocate memory)") == 2


WRITES = "import time\nfor n in range(100_000): print(f'line {n:06}', flush=True); time.sleep(0.0005)"


def test_a_log_that_grows_is_kept_once_and_begins_anew_while_its_process_goes_on(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "MOST_BYTES", 2000)
    folder = supervisor.var / "log"
    folder.mkdir()
    log, older = folder / "worker.log", folder / "worker.log.1"
    (folder / "quiet.log").write_text("a few words")
    made = Child("worker", [sys.executable, "-c", WRITES], dict(os.environ), log)
    made.start()
    supervisor.children.append(made)
    supervisor.watch()
    until(older.exists)
    first = older.read_bytes()
    until(lambda: older.read_bytes() not in (first, b"") and log.stat().st_size > 0)
    supervisor.stop()
    assert made.starts == 1, "it was not disturbed"
    assert older.stat().st_mode & 0o777 == 0o600 and 0 < older.stat().st_size <= 2000
    assert (folder / "quiet.log").read_text() == "a few words" and len(list(folder.iterdir())) == 3
    lines = (older.read_bytes() + log.read_bytes()).split(b"\n")[1:-1]
    assert all(line.startswith(b"line ") and len(line) == 11 for line in lines), "nothing is torn"


def test_with_no_room_for_what_was_written_the_log_begins_anew_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log_files, "MOST_BYTES", 10)
    monkeypatch.setattr(log_files.shutil, "copyfileobj", full)
    (tmp_path / "web.log").write_text("more than ten bytes")
    log_files.bound(tmp_path)
    assert [(path.name, path.stat().st_size) for path in tmp_path.iterdir()] == [("web.log", 0)]
