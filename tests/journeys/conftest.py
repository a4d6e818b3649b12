"""A demo played once, for the stories that only look at what it left."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.installation import Installation


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: a story of half a minute or more; QUICK=1 leaves it out")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.environ.get("QUICK") == "1":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="slow, and QUICK=1 was asked for"))


@dataclass(eq=False)
class Onlooker(threading.Thread):
    """Writes down what can be seen from outside while a command runs: the broker's traffic and all command lines."""

    at: Installation
    broker: list[str] = field(default_factory=list)
    command_lines: set[str] = field(default_factory=set)
    ending: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def run(self) -> None:
        threading.Thread(target=self._listen, daemon=True).start()
        while not self.ending.wait(0.3):
            self.command_lines |= {line for _, line in self.at.processes()}

    def _listen(self) -> None:
        while not self.ending.wait(0.1):
            with contextlib.suppress(OSError, ValueError, KeyError, redis.RedisError):
                socket_path = f"{json.loads((self.at.var / 'run.json').read_text())['sockets']}/valkey.sock"
                with redis.Redis(unix_socket_path=socket_path).monitor() as monitor:
                    for command in monitor.listen():
                        self.broker.append(command["command"])


@dataclass
class Played:
    """An installation after `demo --json`: what the demo printed, its report, and what an onlooker saw meanwhile."""

    at: Installation
    said: str
    report: dict[str, Any]
    seen: Onlooker


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The small Cartier drill, played to its end; nothing runs any more."""
    var = tmp_path_factory.mktemp("played") / "var"
    var.mkdir()
    here, report = Installation(var), var.parent / "report.json"
    seen = Onlooker(here)
    seen.start()
    demo = here.start("demo", "--scenario", "cartier-2025", "--size", "small", "--json", str(report))
    try:
        code = demo.wait(timeout=240)
    finally:
        here.stop()
        seen.ending.set()
    assert code == 0, here.said()
    said = here.said()
    (var / "out.log").unlink()
    return Played(here, said, json.loads(report.read_text()), seen)


@pytest.fixture(scope="module")
def serving(played: Played) -> Iterator[Installation]:
    """The played installation with its servers up, so that a row of commands does not start them each time."""
    played.at.start("up", "--services-only")
    try:
        played.at.wait_for("Database and broker run")
        yield played.at
    finally:
        played.at.stop()
        (played.at.var / "out.log").unlink()


@pytest.fixture
def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def facts_file(tmp_path: Path) -> Path:
    """The full example of docs/facts.md as a file."""
    path = tmp_path / "facts.yaml"
    path.write_text(example_of_facts(), encoding="utf-8")
    return path


def example_of_facts() -> str:
    """The YAML block of docs/facts.md."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "facts.md").read_text(encoding="utf-8")
    return page.split("```yaml\n", 1)[1].split("```", 1)[0]
