"""Runs web, workers and beat as children, starts the ones that die again, and stops all of them with their parent."""

from __future__ import annotations

import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from incidents.dispatch.channels.choose import provider_named, providers
from incidents.people.rotating import faults_of_keys
from notifier import log_files
from notifier.acts import environment_of
from notifier.embedded import ServiceDown, private_folder

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 35
RESTART_PAUSE_SECONDS = 1.0
#: And before one that the machine refused is tried again.
TRY_AGAIN_SECONDS = 5.0
#: What ends by itself sooner has failed to start. So many times in a row are told, and it is tried less often.
START_SECONDS, FAILURES_TOLD, LONGEST_PAUSE_SECONDS = 10.0, 3, 30.0


def web_command(port: int) -> list[str]:
    """The web server; it binds to this machine only."""
    options = [
        "--bind",
        f"127.0.0.1:{port}",
        "--workers",
        "1",
        "--threads",
        "4",
        "--timeout",
        "600",
    ]
    return [sys.executable, "-m", "gunicorn", "notifier.wsgi:application", *options, "--log-level", "warning"]


def _celery(name: str, *options: str) -> list[str]:
    command = [sys.executable, "-m", "celery", "-A", "notifier", "worker", "-n", f"{name}@%h", *options]
    return [*command, "--without-gossip", "--without-mingle", "-l", "WARNING"]


def worker_command(concurrency: int) -> list[str]:
    """The workers that send."""
    return _celery("sender", "-Q", "wake", "-c", str(concurrency))


def house_command(var: Path) -> list[str]:
    """Beat, with the one worker that keeps house, so that long sending never delays it."""
    return _celery("house", "-Q", "house", "-P", "solo", "-B", "-s", str(var / "beat-schedule"))


def sequencer_command() -> list[str]:
    """The one that orders the log and signs its heads."""
    return _celery("sequencer", "-Q", "seal", "-P", "solo")


def importer_command() -> list[str]:
    """The one that brings lists in."""
    return _celery("importer", "-Q", "import", "-P", "solo")


def keeper_command() -> list[str]:
    """The one that erases what is due."""
    return _celery("keeper", "-Q", "keep", "-P", "solo")


def require_mail_setting() -> None:
    """Raises ImproperlyConfigured once and here, rather than in every worker: MAIL, MAIL_FALLBACK and the keys that they need."""
    for name in providers():
        provider_named(name)


def require_master_key() -> None:
    """Raises ServiceDown when the master key opens nothing here: each process would refuse to start, in a log of its own."""
    if found := faults_of_keys():
        given = next((name for name in ("MASTER_KEY_PROGRAM", "MASTER_KEY_FILE") if os.environ.get(name)), "MASTER_KEY")
        where = (
            f"{given} (when it is not in the environment: secrets.json of the state folder)" if given == "MASTER_KEY" else given
        )
        told = " ".join(part for fault in found for part in fault if part)
        raise ServiceDown(f"{told} The key that was tried is that of {where}. Nothing was started, and nothing is lost.")


def require_free_port(port: int) -> None:
    """Raises ServiceDown when something listens on the web port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise ServiceDown(
                f"Port {port} is in use: another program, or this one in another window, listens there. Stop it, or choose "
                f"another port: PORT={port + 1} make run."
            ) from None


#: prctl(2), PR_SET_PDEATHSIG: Linux only; elsewhere a killed parent leaves its children behind.
_PDEATHSIG, _libc = 1, ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """In a fresh child: it is asked to end when its parent dies, however that dies. Else it would go on under old settings."""
    if _libc is not None:
        _libc.prctl(_PDEATHSIG, signal.SIGTERM)


@dataclass
class Child:
    """One process to keep alive."""

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    #: When it was started, by the monotonic clock, and how often in a row it has failed to start.
    started: float = 0.0
    failures: int = 0
    #: When it is started again, if it waits for that.
    due: float = 0.0

    def start(self) -> None:
        """Start it in a process group of its own, so that stopping reaches its own children too."""
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=ROOT, start_new_session=True,
                env={**self.environment, "PYTHONUNBUFFERED": "1"}, preexec_fn=_end_with_parent,  # noqa: PLW1509  (takes no lock)
            )  # fmt: skip
        self.starts, self.started = self.starts + 1, time.monotonic()

    def ended(self) -> bool:
        """Whether it is gone. Counts failures to start: it ended by itself, not by a signal, before it was properly there."""
        code = self.process.poll() if self.process is not None else None
        lived = time.monotonic() - self.started
        if code is None:
            self.failures = 0 if lived > START_SECONDS else self.failures
            return False
        self.failures = self.failures + 1 if code > 0 and lived < START_SECONDS else 0
        return True

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines() if self.log.exists() else []
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")

    def signal(self, number: int) -> None:
        """Signal the whole group; a process that is gone is no error."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)


@dataclass
class Supervisor:
    """Keeps children alive until it is stopped."""

    var: Path
    children: list[Child] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)
    _watcher: threading.Thread | None = None

    def add(self, name: str, command: list[str], *, role: str) -> None:
        """Start one more child, which is given the address of its own role in the database and no other."""
        child = Child(name, command, environment_of(role), private_folder(self.var / "log") / f"{name}.log")
        child.start()
        self.children.append(child)

    def add_workers(self) -> None:
        """Start everything that works behind the desk: sending, housekeeping with beat, the log's sequencer, the importer."""
        self.add("worker", worker_command(concurrency=2), role="worker")
        self.add("house", house_command(self.var), role="worker")
        self.add("sequencer", sequencer_command(), role="sequencer")
        self.add("importer", importer_command(), role="importer")

    def watch(self) -> None:
        """Start dead children again, from a thread."""
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()

    def _watch(self) -> None:
        while not self._ending.wait(RESTART_PAUSE_SECONDS):
            log_files.bound(self.var / "log")
            for child in self.children:
                if self._ending.is_set():
                    return
                if child.due:
                    self._start_if_due(child)
                elif child.ended():
                    # What a killed parent leaves behind must not run beside its successor.
                    child.signal(signal.SIGKILL)
                    self._start_again(child)

    def _start_again(self, child: Child) -> None:
        """At once; one that cannot start is named, with what it said, and is tried less and less often."""
        if child.failures == FAILURES_TOLD:
            words = f"'{child.name}' has failed to start {FAILURES_TOLD} times in a row, and is tried on"
            print(f"{words}. It said: {child.last_words()[:300]} (its log: {child.log})", file=sys.stderr, flush=True)
        pause = 2.0 ** (child.failures - FAILURES_TOLD) if child.failures >= FAILURES_TOLD else 0.0
        child.due = time.monotonic() + min(pause, LONGEST_PAUSE_SECONDS)
        self._start_if_due(child)

    def _start_if_due(self, child: Child) -> None:
        if time.monotonic() >= child.due:
            try:
                child.start()
            except (OSError, subprocess.SubprocessError) as error:
                # No memory for another process, no room for its log: the others are looked after, and this one is tried again.
                print(f"'{child.name}' cannot be started ({error}); it is tried again", file=sys.stderr, flush=True)
                child.due = time.monotonic() + TRY_AGAIN_SECONDS
            else:
                child.due = 0.0

    def stop(self) -> None:
        """SIGTERM (workers finish the message in hand), then SIGKILL for what does not end."""
        self._ending.set()
        if self._watcher is not None:
            self._watcher.join(timeout=5)
        for child in self.children:
            child.signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for child in self.children:
            if child.process is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.process.wait(timeout=max(0.1, end - time.monotonic()))
                child.signal(signal.SIGKILL)


@contextlib.contextmanager
def supervised(var: Path) -> Iterator[Supervisor]:
    """Children live no longer than this block, however it ends."""
    supervisor = Supervisor(var)
    try:
        yield supervisor
    finally:
        # A second Ctrl-C must not cut short what the first one began: nothing may be left behind.
        with contextlib.suppress(ValueError):
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
        supervisor.stop()


def wait_for_web(port: int, *, seconds: float = 60) -> None:
    """Wait until the web server answers a request: it listens before it knows whether it can. Raises ServiceDown."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        line = http.client.HTTPConnection("127.0.0.1", port, timeout=min(10.0, seconds))
        with contextlib.closing(line), contextlib.suppress(OSError, http.client.HTTPException):
            line.request("GET", "/admin/login/")
            line.getresponse()
            return
        time.sleep(0.1)
    raise ServiceDown(f"The web server does not answer on port {port}; what it said is in log/web.log of the state folder.")
