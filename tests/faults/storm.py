"""Everything fails at random while a campaign is sent; afterwards the checker has to find nothing.

    python -m tests.faults.storm --seed 1 --people 20000 --minutes 30

The seed decides what happens when; it is printed, and so is the checker's line. Exit 1 when a promise was broken.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults import checker
from tests.faults.ground import TooLate, flush, ground, ready_django
from tests.faults.stage import Stage, stage

#: Seconds between two faults, and how long one that lasts may last.
PAUSE, LASTING = (1.0, 6.0), (0.5, 8.0)
#: How long everything may take after the last fault ended. Retries wait up to a minute by then.
CALM_SECONDS = 300


@dataclass
class Storm:
    """What can happen, and what did. All of it is over when its `during` ends."""

    on: Stage
    chance: random.Random
    happened: Counter[str] = field(default_factory=Counter)

    @property
    def told(self) -> str:
        """What happened, and how often."""
        return ", ".join(f"{number} x {name}" for name, number in self.happened.most_common())

    def deeds(self) -> dict[str, tuple[int, Callable[[], None]]]:
        """Name -> how often beside the others, and what is done."""
        return {
            "kill a worker's process": (6, self._kill_one),
            "kill a whole group": (3, self._kill_group),
            "kill house or sequencer": (2, self._kill_keeper),
            "stop a process": (2, self._stop_one),
            "ask a group to end": (1, self._terminate),
            "PostgreSQL stopped at once": (1, lambda: self.on.kill_server("postgres", signal.SIGQUIT)),
            "PostgreSQL killed": (1, lambda: self.on.kill_server("postgres")),
            "database sessions ended": (3, self._terminate_sessions),
            "broker killed": (1, lambda: self.on.kill_server("valkey")),
            "broker emptied": (2, lambda: flush(self.on.ground.place)),
            "connections reset": (3, self._reset_connections),
            "network": (5, self._network),
            "provider": (8, self._provider),
        }

    def run(self, *, seconds: float, people: int) -> None:
        """Fault after fault until the time is over or everybody is told; then everything behaves again."""
        deeds = self.deeds()
        names, weights = list(deeds), [weight for weight, _ in deeds.values()]
        started, over = time.monotonic(), threading.Event()
        pace = threading.Thread(target=self._pace, args=(people, seconds, over), daemon=True)
        pace.start()
        while time.monotonic() - started < seconds and self.on.state in {"dispatching", "paused"}:
            time.sleep(self.chance.uniform(*PAUSE))
            (name,) = self.chance.choices(names, weights)
            self.happened[name] += 1
            with contextlib.suppress(ProcessLookupError, IndexError, FileNotFoundError):
                deeds[name][1]()
        over.set()
        pace.join()
        self.on.sink.tell(rules=[], delay=0.0, listen=True)
        for proxy in self.on.proxies.values():
            proxy.accept()

    def _pace(self, people: int, seconds: float, over: threading.Event) -> None:
        """The sink takes its time, so that there is something to break until the end."""
        started, delay = time.monotonic(), 0.1
        while not over.wait(0.5):
            wanted = people * (time.monotonic() - started) / seconds
            delay = min(3.0, max(0.005, delay * (1.3 if self.on.sink.letters > wanted else 0.7)))
            self.on.sink.tell(delay=delay)

    def _workers(self) -> list[str]:
        return [child.name for child in self.on.supervisor.children if child.name.startswith("worker")]

    def _which(self) -> str:
        return self.chance.choice(sorted(self.on.proxies))

    def _kill_one(self) -> None:
        os.kill(self.chance.choice(self.on.pids(self.chance.choice(self._workers()))[1:]), signal.SIGKILL)

    def _kill_group(self) -> None:
        self.on.kill(self.chance.choice(self._workers()))

    def _kill_keeper(self) -> None:
        keepers = [child.name for child in self.on.supervisor.children if child.name in {"house", "sequencer"}]
        self.on.kill(self.chance.choice(keepers))

    def _terminate(self) -> None:
        self.on.kill(self.chance.choice(self._workers()), signal.SIGTERM)

    def _stop_one(self) -> None:
        """Longer than the lease or shorter: the process does not know that time went by."""
        pid = self.chance.choice(self.on.pids(self.chance.choice(self._workers()))[1:])
        os.kill(pid, signal.SIGSTOP)
        time.sleep(self.chance.uniform(1, 14))
        os.kill(pid, signal.SIGCONT)

    def _terminate_sessions(self) -> None:
        self.on.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE 'breach_%%' AND random() < %s",
            self.chance.choice((0.2, 0.5, 1.0)),
        )

    def _reset_connections(self) -> None:
        self.on.proxies[self._which()].reset_all()

    def _network(self) -> None:
        """One of the three ways is bad for a while."""
        proxy = self.on.proxies[self._which()]
        how: list[dict[str, Any]] = [
            {"hang": True}, {"black_hole": True}, {"drip": 200}, {"reset_after": self.chance.randint(50, 20_000)},
            {"half_close_after": self.chance.randint(50, 20_000)}, {"cut_commits": 3, "spare_commits": self.chance.randint(0, 20)},
        ]  # fmt: skip
        if self.chance.random() < 0.25:
            proxy.refuse()
        else:
            proxy.behave(**self.chance.choice(how))
        time.sleep(self.chance.uniform(*LASTING))
        proxy.reset_all()
        proxy.accept()

    def _provider(self) -> None:
        """The relay is not itself for a while."""
        share = self.chance.choice((0.05, 0.3, 1.0))
        rules: list[dict[str, Any]] = [
            {"at": "connect", "do": "reply", "code": 421}, {"at": "mail", "do": "reply", "code": 451},
            {"at": "rcpt", "do": "reply", "code": 450}, {"at": "data", "do": "reply", "code": 451},
            {"at": "dot", "do": "reply", "code": 452}, {"at": "dot", "do": "reply", "code": 421}, {"at": "dot", "do": "hang"},
            {"at": "dot", "do": "close"}, {"at": "body", "do": "reset"}, {"at": "accepted", "do": "hang"},
            {"at": "accepted", "do": "reset"}, {"at": "accepted", "do": "close"}, {"at": "accepted", "do": "truncate"},
            {"at": "accepted", "do": "garbage"}, {"at": "rcpt", "do": "reply", "code": 550, "times": 3},
        ]  # fmt: skip
        if self.chance.random() < 0.15:
            self.on.sink.tell(listen=False)
        else:
            self.on.sink.misbehave({**self.chance.choice(rules), "share": share})
        time.sleep(self.chance.uniform(*LASTING))
        self.on.sink.tell(rules=[], listen=True)


def storm(on: Stage, *, seed: int, people: int, seconds: float) -> checker.Verdict:
    """One storm on a stage that is started; then calm, then the verdict."""
    weather = Storm(on, random.Random(seed))
    weather.run(seconds=seconds, people=people)
    print(f"seed={seed}: {weather.told}", flush=True)
    try:
        print(f"drained {on.drained(seconds=CALM_SECONDS):.0f} s after the last fault", flush=True)
    except TooLate as late:
        print(f"not drained {CALM_SECONDS} s after the last fault: {str(late)[:6000]}", flush=True)
        # What is sent while it is counted would be found wrong; the sequencer signs what is counted.
        for name in [child.name for child in on.supervisor.children if child.name != "sequencer"]:
            on.dismiss(name)
    return on.check()


def main() -> int:
    """Print the seed and the checker's line; 1 when something is broken."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--workers", type=int, default=2, help="groups of two processes each")
    parser.add_argument("--keep", action="store_true", help="print the logs' ends")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ready_django()
    print(f"seed={given.seed} people={given.people} minutes={given.minutes}", flush=True)
    with ground() as on, stage(on, people=given.people, proxies=("postgres", "valkey", "sink")) as run:
        run.start(workers=given.workers)
        found = storm(run, seed=given.seed, people=given.people, seconds=given.minutes * 60)
        drained = run.state == "drained"
        if given.keep or not (found.holds and drained):
            print(run.said())
    print(f"seed={given.seed} {found.line}")
    return 0 if found.holds and drained else 1


if __name__ == "__main__":
    sys.exit(main())
