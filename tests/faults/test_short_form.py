"""The matrix in its short form, for every run of the tests: killed workers, an emptied broker, a cut after the letter, ended sessions.

And the checker has to find what it looks for: each breach is made by hand in a copy of a good run's ledger.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from incidents import failpoints
from tests.faults import checker
from tests.faults.conftest import MakeStage
from tests.faults.ground import flush
from tests.faults.stage import Stage, fingerprint

Line = dict[str, Any]


def test_a_campaign_survives_a_small_storm_and_the_checker_finds_every_breach(make_stage: MakeStage) -> None:
    run = make_stage(people=60)
    run.sink.tell(delay=0.15)
    run.sink.misbehave({"at": "accepted", "do": "reset", "times": 2}, {"at": "rcpt", "do": "reply", "code": 450, "times": 3})
    run.start(workers=2)
    run.sent(8)
    os.kill(run.pids("worker0")[1], signal.SIGKILL)
    flush(run.ground.place)
    run.sent(20)
    run.kill("worker1")
    run.sent(30)
    run.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'breach_worker'")
    found = run.ends_well(seconds=60)
    assert found.doubts >= 2 and found.duplicates <= found.doubts
    for sort, breach in BREACHES.items():
        assert_found(run, sort, breach)


def twice(lines: list[Line]) -> list[Line]:
    """A copy that nobody listed."""
    return [*lines, {**lines[10], "wall": lines[10]["wall"] - 1}]


def missing(lines: list[Line]) -> list[Line]:
    """One that was never taken, though it is told to be."""
    return [line for line in lines if line["ref"] != lines[10]["ref"]]


def elsewhere(lines: list[Line]) -> list[Line]:
    """Handed over for another address."""
    return [*lines[:10], {**lines[10], "to": "somebody@else.example"}, *lines[11:]]


def altered(lines: list[Line]) -> list[Line]:
    """Another person's text under this reference."""
    return [*lines[:10], {**lines[10], "at": lines[11]["at"]}, *lines[11:]]


def before_release(lines: list[Line]) -> list[Line]:
    """A day earlier."""
    return [*lines[:10], {**lines[10], "wall": lines[10]["wall"] - 86400}, *lines[11:]]


def nobodys(lines: list[Line]) -> list[Line]:
    """A letter that stands on no register."""
    return [*lines, {**lines[10], "ref": "0" * 32}]


BREACHES: dict[str, Callable[[list[Line]], list[Line]]] = {
    "unlisted": twice, "lost": missing, "wrong": elsewhere, "wrong, by its text": altered, "early": before_release,
    "wrong, nobody's": nobodys,
}  # fmt: skip


def assert_found(run: Stage, sort: str, breach: Callable[[list[Line]], list[Line]]) -> None:
    folder = run.var / "broken"
    shutil.copytree(run.sink.folder, folder)
    ledger = folder / "ledger.jsonl"
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    # One that was taken once, in the place that the breaches speak of.
    once = [line for line in lines if sum(line["ref"] == other["ref"] for other in lines) == 1]
    rest = [line for line in lines if line not in once]
    ledger.write_text("".join(json.dumps(line) + "\n" for line in breach([*once, *rest])))
    found = checker.check(
        database=run.ground.admin, sink=folder, bundle=run.var / "evidence.zip", key=fingerprint(run.var / "keys" / "audit.pem")
    )
    shutil.rmtree(folder)
    assert getattr(found, sort.partition(",")[0]) >= 1 and not found.holds, (sort, found.line)


def test_failpoints_need_both_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BREACH_FAILPOINTS", "after_claim=raise")
    assert failpoints._rules() == {"after_claim": failpoints.Rule("raise", 0, 0, 0)}
    monkeypatch.setenv("SECRET_KEY", "made at random at the first start")
    assert failpoints._rules() == {}


@pytest.mark.parametrize("text", ["nowhere=kill", "after_claim=explode", "after_claim", "after_claim=kill@x"])
def test_a_failpoint_that_does_not_exist_is_an_error_and_not_silence(text: str) -> None:
    with pytest.raises(ValueError, match="no failpoint"):
        failpoints.read_rules(text)


def test_a_failpoint_acts_from_its_nth_time_on_and_no_oftener_than_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BREACH_FAILPOINTS_FOLDER", str(tmp_path))
    monkeypatch.setattr(failpoints, "_armed", failpoints.read_rules("after_claim=raise@2*2"))
    monkeypatch.setattr(failpoints, "_reached", type(failpoints._reached)())
    happened = 0
    for _ in range(6):
        try:
            failpoints.reach("after_claim")
        except failpoints.FailpointReached:
            happened += 1
        failpoints.reach("before_claim")
    assert happened == 2 == len(list(tmp_path.iterdir()))


def test_every_failpoint_stands_in_the_code() -> None:
    text = "\n".join(path.read_text() for path in Path(failpoints.__file__).parent.rglob("*.py"))
    assert {name: text.count(f'reach("{name}")') >= 1 for name in failpoints.NAMES} == dict.fromkeys(failpoints.NAMES, True)
