"""A machine of its own to break: PostgreSQL, Valkey, workers, house and sequencer as the launcher starts them, a sink, proxies.

A `Ground` (in ground.py) holds the servers and campaigns that were made ready once; a `Stage` on it is one run in a fresh copy of such a campaign.
Everything lies in one folder and is gone at the end.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from notifier import embedded
from notifier.privileges import ROLES
from tests.faults import checker
from tests.faults.ground import CAMPAIGN, INCIDENT, NAME, ROOT, Ground, until
from tests.faults.proxy import Proxy

#: Short times, so that what waits in an installation for minutes waits for seconds here.
QUICK = {
    "LEASE_SECONDS": "20", "PROVIDER_TIMEOUT_SECONDS": "4", "SETTLE_AFTER_SECONDS": "2", "RETRY_BASE_SECONDS": "1",
    "CHUNK_SIZE": "20", "LANES": "3",
}  # fmt: skip


class SinkControl:
    """The sink's process and its control port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.sink", "--folder", str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        assert self.process.stdout is not None
        self.ports: dict[str, int] = json.loads(self.process.stdout.readline())
        self._socket = socket.create_connection(("127.0.0.1", self.ports["control"]), timeout=20)
        self._file = self._socket.makefile("rw")
        self._one = threading.Lock()

    def tell(self, **order: Any) -> dict[str, Any]:
        """An order (`rules`, `delay`, `events`, `listen`, `take_events`), or none: returns the state."""
        with self._one:
            self._file.write(json.dumps(order) + "\n")
            self._file.flush()
            found: dict[str, Any] = json.loads(self._file.readline())
        return found

    def misbehave(self, *rules: dict[str, Any]) -> None:
        """From now on by these rules; none: properly."""
        self.tell(rules=list(rules))

    @property
    def letters(self) -> int:
        return int(self.tell()["letters"])

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()


@dataclass
class Stage:
    """One run."""

    ground: Ground
    var: Path
    addresses: dict[str, str]
    extra: dict[str, str]
    proxies: dict[str, Proxy] = field(default_factory=dict)
    mail: str = "smtp"
    helpers: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        from notifier.processes import Supervisor

        self.sink = SinkControl(self.var / "sink")
        self.failpoints = self.var / "failpoints"
        self.failpoints.mkdir()
        self.supervisor = Supervisor(self.var)
        self.watched = False

    # What processes are given.

    def environment(self, role: str = "", **more: str) -> dict[str, str]:
        """The environment of a process of this role; without one, of an operator who knows all addresses."""
        port = self.proxies["sink"].port if "sink" in self.proxies else self.sink.ports["smtp" if self.mail == "smtp" else "http"]
        own = {**self.ground.secrets(self.var), **QUICK, "BREACH_FAILPOINTS_FOLDER": str(self.failpoints)}
        own |= mail_to(self.mail, port)
        if "valkey" in self.proxies:
            own["REDIS_URL"] = f"redis://127.0.0.1:{self.proxies['valkey'].port}/0"
        own |= (
            {"DATABASE_URL": self.address(role)}
            if role
            else {f"DATABASE_{name.upper()}_URL": self.address(name) for name in ROLES}
        )
        return {**own, **self.extra, **more}

    def address(self, role: str) -> str:
        """Where this role finds the database; through the proxy if there is one."""
        if "postgres" not in self.proxies or role in {"web", "owner", "sequencer"}:
            return self.addresses[role]
        user, password = f"{NAME}_{role}", self.ground.passwords[role]
        return (
            f"postgresql://{user}:{password}@127.0.0.1:{self.proxies['postgres'].port}/{NAME}?sslmode=disable&gssencmode=disable"
        )

    # Processes.

    def add(self, name: str, command: list[str], role: str, **more: str) -> Any:
        """Start a process as the launcher does."""
        from notifier.processes import Child

        child = Child(name, command, self.environment(role, **more), embedded.private_folder(self.var / "log") / f"{name}.log")
        child.start()
        self.supervisor.children.append(child)
        return child

    def start(self, *, workers: int = 1, processes: int = 2, house: bool = True, sequencer: bool = True, **more: str) -> Stage:
        """Workers of so many processes each, house with beat, sequencer; `more` is the workers' own environment."""
        from notifier.processes import house_command, sequencer_command, worker_command

        for number in range(workers):
            command = [part.replace("sender@", f"sender{number}@") for part in worker_command(concurrency=processes)]
            self.add(f"worker{number}", command, "worker", **more)
        if house:
            self.add("house", house_command(self.var), "worker", **more)
        if sequencer:
            self.add("sequencer", sequencer_command(), "sequencer", **more)
        if not self.watched:
            self.supervisor.watch()
            self.watched = True
        return self

    def child(self, name: str) -> Any:
        """One of the processes that were started."""
        return next(child for child in self.supervisor.children if child.name == name)

    def dismiss(self, name: str) -> None:
        """End a process and do not start it again."""
        child = self.child(name)
        self.supervisor.children.remove(child)
        child.signal(signal.SIGKILL)
        child.process.wait()

    def pids(self, name: str) -> list[int]:
        """The process and its own children."""
        parent = self.child(name).process.pid
        kids = [int(pid) for file in Path(f"/proc/{parent}/task").glob("*/children") for pid in file.read_text().split()]
        return [parent, *kids]

    def kill(self, name: str, how: int = signal.SIGKILL) -> int:
        """Signal a whole group of processes; how many there were."""
        number = len(self.pids(name))
        self.child(name).signal(how)
        return number

    def kill_server(self, key: str, how: int = signal.SIGKILL) -> None:
        """Kill the embedded PostgreSQL or Valkey, and wait until another one answers."""
        before = self.ground.pid(key)
        os.kill(before, how)
        until(lambda: self.ground.pid(key) != before, seconds=60, why=f"{key} stays gone")

    def manage(self, *arguments: str, seconds: float = 120, **more: str) -> subprocess.CompletedProcess[str]:
        """A command of an operator."""
        environment = {**self.environment(**more), "BREACH_FAILPOINTS": more.get("BREACH_FAILPOINTS", "")}
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )  # fmt: skip

    # Looking.

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """A look into the database as its superuser, and straight; waits for one that is being started again."""
        end = time.monotonic() + 60
        while True:
            try:
                with self.ground.server() as server:
                    done = server.execute(query, values or None)
                    return done.fetchall() if done.description else []
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.2)

    def value(self, query: str, *values: Any) -> Any:
        return self.sql(query, *values)[0][0]

    @property
    def state(self) -> str:
        return str(self.value("SELECT state FROM incidents_campaign WHERE reference = %s", CAMPAIGN))

    def states(self) -> dict[str, int]:
        """How many messages are in which state."""
        return dict(self.sql("SELECT state, count(*) FROM incidents_message GROUP BY 1"))

    def doubts(self) -> int:
        return int(self.value("SELECT count(*) FROM incidents_doubt"))

    def sent(self, number: int, *, seconds: float = 60) -> None:
        """Wait until the sink has taken so many."""
        until(
            lambda: self.sink.letters >= number,
            seconds=seconds,
            why=lambda: f"only {self.sink.letters} of {number} letters came\n{self.said()}",
        )

    def drained(self, *, seconds: float = 60) -> float:
        """Wait until the campaign has nothing left to send; seconds that it took."""
        started = time.monotonic()
        until(lambda: self.state == "drained", seconds=seconds, why=lambda: f"{self.state} with {self.states()}\n{self.said()}")
        return time.monotonic() - started

    def said(self) -> str:
        """The ends of the logs."""
        return "\n".join(
            f"--{file.name}: {file.read_text(errors='replace')[-1500:]}" for file in sorted((self.var / "log").glob("*.log"))
        )

    def check(self, *, content: bool = True) -> checker.Verdict:
        """The checker's verdict at the end of a run; prints its line."""
        bundle = self.var / "evidence.zip"
        done = self.manage("export_evidence", INCIDENT, "--out", str(bundle))
        assert done.returncode == 0, done.stdout + done.stderr
        found = checker.check(
            database=self.ground.admin, sink=self.sink.folder, bundle=bundle, key=fingerprint(self.var / "keys" / "audit.pem"), content=content
        )  # fmt: skip
        print(found.line, f"(people={found.people} letters={found.taken} doubts={found.doubts} {found.states})", flush=True)
        for why in found.why:
            print("  " + why, flush=True)
        return found

    def ends_well(self, *, doubts: int | None = None, duplicates: int | None = None, seconds: float = 90) -> checker.Verdict:
        """It drains and no promise was broken; with at most so many doubts and listed duplicates where the row says how many."""
        self.drained(seconds=seconds)
        found = self.check()
        assert found.holds, (found.line, found.why)
        assert not found.waiting, found.states
        assert doubts is None or found.doubts <= doubts, f"{found.doubts} doubts, {doubts} allowed"
        assert duplicates is None or found.duplicates <= duplicates, f"{found.duplicates} duplicates, {duplicates} allowed"
        return found

    def hands(self, deed: str, number: int = 0, *, role: str = "", **more: str) -> subprocess.Popen[str]:
        """Start `tests.faults.hands`; it is ended with the run."""
        command = [sys.executable, "-m", "tests.faults.hands", deed, *([str(number)] if number else [])]
        log = (embedded.private_folder(self.var / "log") / f"hands-{deed}.log").open("a")
        process = subprocess.Popen(
            command, cwd=ROOT, env=self.environment(role, **more), stdout=subprocess.PIPE, stderr=log, text=True
        )
        self.helpers.append(process)
        return process

    def end_hands(self, process: subprocess.Popen[str]) -> None:
        """Kill such a process and the child that does its work."""
        with contextlib.suppress(OSError):
            kids = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.kill()
            for pid in kids:
                os.kill(int(pid), signal.SIGKILL)
        process.wait()

    def met(self, failpoint: str) -> int:
        """How often a failpoint that counts (`*N`) has done something."""
        return len(list(self.failpoints.glob(f"{failpoint}.*")))

    def wake(self, stopping: threading.Event, *, every: float = 0.1) -> None:
        """Wake the workers much more often than the house does, until told to end: a wake-up too many changes nothing."""
        from celery import Celery

        pk = self.value("SELECT id FROM incidents_campaign WHERE reference = %s", CAMPAIGN)
        with Celery(broker=embedded.valkey_url(self.ground.place)) as app:
            while not stopping.wait(every):
                with contextlib.suppress(Exception):
                    app.send_task("incidents.tasks.wake", (pk,), queue="wake", retry=False)

    @contextlib.contextmanager
    def woken(self, *, every: float = 0.1) -> Iterator[None]:
        """Wake the workers all the time, in a thread, inside the block."""
        stopping = threading.Event()
        waker = threading.Thread(target=self.wake, args=(stopping,), kwargs={"every": every}, daemon=True)
        waker.start()
        try:
            yield
        finally:
            stopping.set()
            waker.join()

    def stop(self) -> None:
        """End everything of this run at once."""
        for process in self.helpers:
            self.end_hands(process)
        self.supervisor._ending.set()
        if self.supervisor._watcher is not None:
            self.supervisor._watcher.join(timeout=5)
        for child in self.supervisor.children:
            child.signal(signal.SIGKILL)
            if child.process is not None:
                child.process.wait()
        self.sink.stop()
        for proxy in self.proxies.values():
            proxy.stop()


def mail_to(kind: str, port: int) -> dict[str, str]:
    """The settings with which letters go to the sink."""
    if kind == "smtp":
        return {"MAIL": f"smtp://127.0.0.1:{port}"}
    return {"MAIL": "postmark:", "POSTMARK_API_URL": f"http://127.0.0.1:{port}/", "POSTMARK_SERVER_TOKEN": "sink-token"}


def fingerprint(pem: Path) -> str:
    """SHA-256 of the raw public key of the log."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(pem.read_bytes(), password=None)
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()


@contextlib.contextmanager
def stage(
    on: Ground, *, people: int = 60, state: str = "released", proxies: tuple[str, ...] = (), mail: str = "smtp", **extra: str
) -> Iterator[Stage]:
    """A fresh copy of a ready campaign, a sink, and proxies where asked for; nothing is started yet."""
    name = on.prepare(people, state)
    var = on.folder / f"run-{random.getrandbits(40):x}"
    var.mkdir()
    if (keys := on.ready[name] / "keys").is_dir():  # before a freeze nothing was signed, and there is no key yet
        shutil.copytree(keys, var / "keys")
    made = Stage(on, var, on.copy(name), extra, mail=mail)
    sockets = on.place.runtime
    targets = {"postgres": str(sockets / ".s.PGSQL.5432"), "valkey": str(sockets / "valkey.sock"),
               "sink": ("127.0.0.1", made.sink.ports["smtp" if mail == "smtp" else "http"])}  # fmt: skip
    try:
        for wanted in proxies:
            made.proxies[wanted] = Proxy(targets[wanted])
        yield made
    finally:
        made.stop()
        shutil.rmtree(var, ignore_errors=True)
