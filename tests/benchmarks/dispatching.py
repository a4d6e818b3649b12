"""Letters a second through real Celery workers, beside what others do with the same receiver in the same run.

Accounting, markers, encryption and the log are on; PostgreSQL writes as durably as an installation does. Ours is timed from the
first letter that the receiver takes to the last; peers without the time in which they fill their queues. All are run in turn,
three times; each ratio is of the medians.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from notifier import embedded
from tests.benchmarks.figures import Figure
from tests.benchmarks.receiving import ROOT, Receiver, peer, receiver, smtp_source, timed_source
from tests.faults.ground import CAMPAIGN, Ground, ground, ready_django, until
from tests.faults.stage import Stage, stage

PEOPLE = 20_000
#: Over so many the way is looked at: what the workers hold at once is a small part of it.
LONG = 60_000
#: Letters of the peers, which are slow; a rate does not depend on it at these sizes. And how often all are run.
SAMPLE, TASKS, TIMES = 1_500, 400, 3
EARLY = 10_000
#: What an installation has, where the fault tests have less.
USUAL = {
    "LEASE_SECONDS": "45", "PROVIDER_TIMEOUT_SECONDS": "30", "SETTLE_AFTER_SECONDS": "900", "CHUNK_SIZE": "400", "LANES": "5",
    "BREACH_EMBEDDED_DURABLE": "1", "LOG_LEVEL": "ERROR",
}  # fmt: skip
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """What one run of ours was."""

    letters: int
    seconds: float
    cpu_workers: float
    cpu_database: float
    size: int
    #: (letters, seconds) on the way, and the workers' largest memory in MB when 10,000 were sent and at the end.
    way: list[tuple[int, float]] = field(default_factory=list)
    early_mb: float = 0.0
    late_mb: float = 0.0

    @property
    def rate(self) -> float:
        return self.letters / self.seconds

    @property
    def cpu(self) -> float:
        """CPU seconds of workers and database for 1,000 letters."""
        return (self.cpu_workers + self.cpu_database) * 1000 / self.letters


def run() -> Iterator[Figure]:
    """Ratios to postfix's sender, to the peers, CPU, memory, a slow relay, an HTTP provider, and events meanwhile."""
    ready_django()
    with ground(durable=True) as on, receiver() as at:
        on.prepare(PEOPLE, "approved")
        first = ours(on, at, MARKER_STEP="1")
        told = letters_like(first.size)
        yield from _smtp(on, at, first, told)
        on.prepare(LONG, "approved")
        yield from _memory(ours(on, at, people=LONG, MARKER_STEP="1"))
        with receiver(delay_ms=20) as slow:
            yield _slow_relay(on, slow, told)
        yield _http(on, at, told)
        yield from _events(on, at)


def letters_like(size: int) -> dict[str, Any]:
    """The two parts of a letter that is as long on the wire as ours are."""
    sentence = "Nous vous écrivons parce que des données vous concernant ont été consultées par des tiers. "
    text = "Bonjour NOM,\r\n\r\n" + "\r\n".join([sentence] * max(1, (size - 1200) // 219))
    html = "<p>Bonjour NOM</p>" + "".join(f"<p>{sentence}</p>" for _ in range(max(1, (size - 1200) // 219)))
    return {"text": text, "html": html}


def _smtp(on: Ground, at: Receiver, first: Run, told: dict[str, Any]) -> Iterator[Figure]:
    rates: dict[str, list[float]] = {name: [] for name in ("sink", "source", "w1", "w10", "django", "post_office", "tasks")}
    cpu: dict[str, list[float]] = {"w1": [], "w10": []}
    command = smtp_source()
    raw = "Subject: x\r\n\r\n" + "x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * (first.size // 72)
    for _ in range(TIMES):
        rates["sink"].append(peer("blast", {"number": 40_000, "port": at.smtp, "raw": raw}, at)["rate"])
        if isinstance(command, list):
            rates["source"].append(timed_source(command, at, number=20_000, size=first.size))
        for name, step in (("w1", "1"), ("w10", "10")):
            done = ours(on, at, MARKER_STEP=step)
            rates[name].append(done.rate)
            cpu[name].append(done.cpu)
        rates["django"].append(peer("django", {**told, "number": SAMPLE, "port": at.smtp}, at)["rate"])
        rates["post_office"].append(peer("post_office", {**told, "number": SAMPLE, "port": at.smtp, **_database(on)}, at)["rate"])
        rates["tasks"].append(_tasks(on, at, told))
    of = {name: median(found) for name, found in rates.items() if found}
    yield from _ratios(of, command, first.size, at)
    for name in ("w1", "w10"):
        used = median(cpu[name])
        note = f"{used:.3f} CPU seconds of workers and database for 1,000 letters, W={name[1:]}, N={PEOPLE:,}"
        yield Figure(f"dispatch.cpu_{name}", 0.3 / used, "times", note, target=1.0)


def _ratios(of: dict[str, float], command: list[str] | str, size: int, at: Receiver) -> Iterator[Figure]:
    note = f"{at.kind} receiver, two streams of ready bytes, letters of {size:,} bytes, N=40,000"
    yield Figure("dispatch.receiver_ceiling", of["sink"], "letters/s", note)
    for name in ("w1", "w10"):
        yield Figure(
            f"dispatch.smtp_{name}", of[name], "letters/s", f"W={name[1:]}, N={PEOPLE:,}, two Celery processes, median of {TIMES}"
        )
    if "source" in of:
        note = f"smtp-source with ten kept sessions, N=20,000: {of['source']:,.0f}/s"
        yield Figure("dispatch.of_smtp_source_w1", of["w1"] / of["source"], "times", note, target=0.25)
        yield Figure("dispatch.of_smtp_source_w10", of["w10"] / of["source"], "times", note, target=0.5)
    else:
        print(f"dispatch.of_smtp_source_w1, dispatch.of_smtp_source_w10: not run: {command}", flush=True)
    against = {
        "post_office": ("django-post_office, two processes", SAMPLE, 10.0, 20.0),
        "django": ("Django's send_messages, two processes", SAMPLE, 6.0, None),
        "tasks": ("a Celery task for each message, two processes", TASKS, 40.0, None),
    }
    for name, (what, number, low, high) in against.items():
        note = f"{what}, N={number:,}: {of[name]:,.0f}/s"
        yield Figure(f"dispatch.of_{name}_w1", of["w1"] / of[name], "times", note, target=low)
        if high:
            yield Figure(f"dispatch.of_{name}_w10", of["w10"] / of[name], "times", note, target=high)


def ours(on: Ground, at: Receiver, *, people: int = 0, mail: str = "smtp", **settings: str) -> Run:
    """One campaign through two worker processes, house and sequencer; timed from the last moment without a letter to the last letter."""
    people = people or PEOPLE
    where = {"MAIL": f"smtp://127.0.0.1:{at.smtp}"} if mail == "smtp" else {
        "MAIL": "postmark:", "POSTMARK_API_URL": f"http://127.0.0.1:{at.http}/", "POSTMARK_SERVER_TOKEN": "bench"}  # fmt: skip
    with stage(on, people=people, state="approved", **{**USUAL, **where, **settings}) as here:
        here.start()
        _warm(here)
        before, began = at.counted(), time.perf_counter()
        cpu = _cpu(here)
        officer = threading.Thread(target=_release, args=(here,))
        officer.start()  # letters leave before the command has ended
        with here.woken(every=0.2):
            way = _watch(here, at, before[0], people, began)
            officer.join()
            until(
                lambda: not {"ready", "sending"} & set(here.states()), seconds=120, why=lambda: f"{here.states()} {here.said()}"
            )
        spent = [after - start for after, start in zip(_cpu(here), cpu, strict=True)]
        size = (at.counted()[1] - before[1]) // people if at.kind == "C" else 9_600
        first = max((moment for letters, moment in way if not letters), default=0.0)
        early = next((mb for letters, _, mb in _memories if letters >= min(EARLY, people)), 0.0)
        return Run(people, max(way[-1][1] - first, 1e-6), spent[0], spent[1], size, way, early, _memories[-1][2])


_memories: list[tuple[int, float, float]] = []


def _warm(here: Stage) -> None:
    """The workers are there and have met the database."""
    processes = lambda: len(here.pids("worker0")) >= 3  # noqa: E731
    until(processes, seconds=60, why=here.said)
    with here.woken(every=0.2):
        time.sleep(3)


def _release(here: Stage) -> None:
    # The gate asks the DNS about a real provider's sender; this one has none, and the workers go where they were told.
    done = here.manage("release", CAMPAIGN, "--as", "officer", "--reason", "go", MAIL="inbox:")
    assert done.returncode == 0, done.stdout + done.stderr


def _watch(here: Stage, at: Receiver, before: int, people: int, began: float) -> list[tuple[int, float]]:
    """Letters over time, until all have come."""
    way: list[tuple[int, float]] = []
    _memories.clear()
    end = time.monotonic() + max(120, people / 50)
    while not way or way[-1][0] < people:
        way.append((at.counted()[0] - before, time.perf_counter() - began))
        if len(way) % 10 == 1 or way[-1][0] >= people:
            _memories.append((*way[-1], sum(_high_water(pid) for pid in here.pids("worker0")[1:])))
        assert time.monotonic() < end, here.said()
        time.sleep(0.01)
    return way


def _high_water(pid: int) -> float:
    """The largest memory of a process so far, in MB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def _cpu(here: Stage) -> tuple[float, float]:
    """CPU seconds of the workers, and of the database with all its sessions, those that have ended too."""
    workers = sum(_ticks(pid, waited=False) for pid in here.pids("worker0"))
    server = here.ground.pid("postgres")
    sessions = [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
    return workers / TICKS, (_ticks(server, waited=True) + sum(_ticks(pid, waited=False) for pid in sessions)) / TICKS


def _ticks(pid: int, *, waited: bool) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return sum(int(value) for value in fields[11 : 15 if waited else 13])


def _database(on: Ground) -> dict[str, Any]:
    """A database of its own for a peer, empty."""
    with on.server("postgres") as server:
        server.execute("DROP DATABASE IF EXISTS peers WITH (FORCE)")
        server.execute("CREATE DATABASE peers TEMPLATE template0")
    return {"database": {"NAME": "peers", "USER": "bootstrap", "PASSWORD": on.password, "HOST": str(on.place.runtime)}}


def _tasks(on: Ground, at: Receiver, told: dict[str, Any]) -> float:
    """Letters a second of a task for each message, from the first to the last."""
    order = {**told, "number": TASKS, "port": at.smtp, "broker": embedded.valkey_url(on.place), **_database(on)}
    before = at.counted()[0]
    command = [sys.executable, "-m", "tests.benchmarks.peers", "tasks"]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        until(lambda: at.counted()[0] > before, seconds=60, why="the task for each message never began")
        started, first = time.perf_counter(), at.counted()[0]
        until(lambda: at.counted()[0] - before >= TASKS, seconds=120, why="the task for each message did not end")
        return (TASKS - (first - before)) / (time.perf_counter() - started)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _memory(done: Run) -> Iterator[Figure]:
    note = f"N={done.letters:,}: {done.early_mb:.0f} MB in both processes at {min(EARLY, done.letters):,}, {done.late_mb:.0f} MB at the end"
    yield Figure("dispatch.memory_flat", 1.1 / (done.late_mb / done.early_mb), "times", note, target=1.0)
    at = {
        share: next(moment for letters, moment in done.way if letters >= share * done.letters) for share in (0.1, 0.4, 0.6, 0.9)
    }
    start, end = (0.3 * done.letters / max(at[later] - at[sooner], 1e-3) for sooner, later in ((0.1, 0.4), (0.6, 0.9)))
    note = f"N={done.letters:,}: {start:,.0f}/s from a tenth to four tenths, {end:,.0f}/s from six tenths to nine"
    yield Figure("dispatch.rate_at_the_end", end / start, "times", note, target=0.9)


def _slow_relay(on: Ground, slow: Receiver, told: dict[str, Any]) -> Figure:
    """Forty connections, each answer 20 ms away."""
    mine = ours(on, slow, LANES="20", CHUNK_SIZE="100", MARKER_STEP="10")
    theirs = peer("connections", {**told, "number": 2_000, "port": slow.smtp, "connections": 40}, slow)["rate"]
    note = f"20 ms an answer, 40 connections: ours {mine.rate:,.0f}/s (N={mine.letters:,}), Django's backend {theirs:,.0f}/s (N=2,000)"
    return Figure("dispatch.slow_relay", mine.rate / theirs, "times", note, target=3.0)


def _http(on: Ground, at: Receiver, told: dict[str, Any]) -> Figure:
    """Complete letters, 500 in a request, against one request a letter."""
    mine = ours(on, at, mail="http", CHUNK_SIZE="1000")
    order = {**told, "number": SAMPLE, "port": at.http, "backend": "anymail.backends.postmark.EmailBackend"}
    theirs = peer("anymail", order, at)["rate"]
    note = f"ours {mine.rate:,.0f}/s (N={mine.letters:,}), Anymail's single sends in two processes {theirs:,.0f}/s (N={SAMPLE:,})"
    return Figure("dispatch.http_batches", mine.rate / theirs, "times", note, target=10.0)


def _events(on: Ground, at: Receiver) -> Iterator[Figure]:
    """Events taken by the web server while letters leave, each in a request of its own by four senders."""
    from tests.faults.test_matrix_events import AUTH, PATH, Web, delivered, refs

    where = {"MAIL": "postmark:", "POSTMARK_API_URL": f"http://127.0.0.1:{at.http}/", "POSTMARK_SERVER_TOKEN": "bench"}
    keys = {"EVENTS_PATH": PATH, "POSTMARK_WEBHOOK_AUTH": AUTH}
    with stage(on, people=PEOPLE, state="approved", **{**USUAL, **where, **keys}) as here:
        here.start()
        web, known, taken = Web(here), refs(here), list[float]()
        _warm(here)
        _release(here)
        end, numbers, one = time.perf_counter() + 8, iter(range(10**9)), threading.Lock()

        def tell() -> None:
            while time.perf_counter() < end:
                with one:
                    number = next(numbers)
                started = time.perf_counter()
                assert web.tell(delivered(known[number % len(known)], number)) == 200
                taken.append(time.perf_counter() - started)

        senders, started = [threading.Thread(target=tell) for _ in range(4)], time.perf_counter()
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        rate = len(taken) / (time.perf_counter() - started)
    worst = sorted(taken)[int(len(taken) * 0.99)]
    note = f"N={len(taken):,} requests of one event each by four senders, while letters leave; p99 {worst * 1e3:.0f} ms"
    yield Figure("dispatch.events_a_second", rate, "events/s", note, target=500.0)
    yield Figure("dispatch.events_p99", 0.5 / worst, "times", note, target=1.0)
