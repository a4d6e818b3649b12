"""`manage.py law_cases` on a hundred cases, in processes of their own: start-up and packs apart from the cases themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from incidents.law.pack import PACKS_FOLDER, packs_from
from incidents.law.pack_files import PackFiles, checked, read_content
from incidents.law.pack_memory import recall, remember
from incidents.law.strict_yaml import read_yaml
from tests.benchmarks.figures import Figure, in_turn

ROOT = Path(__file__).resolve().parents[2]
CASES = 100
ROUNDS = 5


def run() -> Iterator[Figure]:
    """Seconds of a run, of its start alone, and of reading the packs with and without what is remembered."""
    with tempfile.TemporaryDirectory(prefix="bn-bench-") as folder:
        here = Path(folder)
        hundred, one = _file(here / "hundred.yaml", _cases()), _file(here / "one.yaml", _cases()[:1])
        _law_cases(hundred, here)  # compiles the modules, and remembers the packs
        whole, start = in_turn(lambda: _law_cases(hundred, here), lambda: _law_cases(one, here), times=ROUNDS)
        yield Figure("cases.seconds", whole, "s", f"N={CASES} cases, median of {ROUNDS} runs of manage.py law_cases")
        yield Figure("cases.start_up", start, "s", f"the same with one case; the other {CASES - 1} alone {whole - start:.2f} s")
        yield _packs(here)


def _packs(here: Path) -> Figure:
    content = read_content(root=PACKS_FOLDER)
    remember(root=here, content=content, documents=checked(content=content).documents)
    full, known = in_turn(lambda: packs_from(content=content), lambda: _remembered(here), times=3)
    note = f"{len(content)} files: {full:.2f} s checked in full, {known * 1000:.0f} ms where these bytes were checked before"
    return Figure("cases.packs_remembered", full / known, "times as fast", note)


def _remembered(here: Path) -> None:
    from incidents.law.pack import _pack_set

    content = read_content(root=PACKS_FOLDER)
    documents = recall(root=here, content=content)
    assert documents is not None
    _pack_set(PackFiles(documents))


def _cases() -> list[Any]:
    """The first cases of every file there is, round by round, until there are enough."""
    files = [read_yaml(path=path)["cases"] for path in sorted((ROOT / "tests" / "law" / "cases").glob("*.yaml"))]
    found = [cases[number] for number in range(max(map(len, files))) for cases in files if number < len(cases)]
    return found[:CASES]


def _file(path: Path, cases: list[Any]) -> Path:
    plain = json.loads(json.dumps({"cases": cases}))
    path.write_text(yaml.safe_dump(plain, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _law_cases(file: Path, here: Path) -> None:
    """One process, as an operator starts it: with compiled modules, whatever this process was told about them."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PYTHONDONTWRITEBYTECODE", "DATABASE_URL"}}
    environment = {**kept, "BREACH_VAR": str(here / "var"), "PYTHONPYCACHEPREFIX": str(here / "compiled")}
    command = [sys.executable, "manage.py", "law_cases", str(file)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-2000:]
