"""A demo played once, for the stories that only look at what it left."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.installation import Installation


@dataclass
class Played:
    """An installation after `demo --json`, what the demo printed, and its report."""

    at: Installation
    said: str
    report: dict[str, Any]


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The small Cartier drill, played to its end; nothing runs any more."""
    var = tmp_path_factory.mktemp("played") / "var"
    var.mkdir()
    here, report = Installation(var), var.parent / "report.json"
    done = here.manage("demo", "--scenario", "cartier-2025", "--size", "small", "--json", str(report))
    assert done.returncode == 0, done.stdout + done.stderr
    return Played(here, done.stdout + done.stderr, json.loads(report.read_text()))


@pytest.fixture
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
