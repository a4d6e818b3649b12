"""`make bench`: runs the benchmarks of this folder and prints their figures, one line each, as ratios inside this run.

Nothing is asserted about time: a target that is missed is printed as short. It ends by itself, within minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import cases, law, people
from tests.benchmarks.figures import Figure, machine, seconds

VAR = Path(os.environ.get("BREACH_VAR") or Path(__file__).resolve().parents[2] / "var")
BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {"law": law.run, "cases": cases.run, "people": people.run}


def main() -> None:
    """Run all, or the one asked for, and write `bench.json` into the state folder."""
    # A plain kill ends as Ctrl-C does: the throwaway servers are stopped and their folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--people", type=int, default=people.PEOPLE, help="how many people are assessed")
    given = parser.parse_args()
    people.PEOPLE = given.people
    figures: list[Figure] = []
    for name, run in BENCHMARKS.items():
        if given.only in (None, name):
            print(f"== {name}: {machine()}", flush=True)
            taken = seconds(lambda run=run: figures.extend(_shown(run())))  # type: ignore[misc]
            print(f"== {name}: {taken:.0f} s", flush=True)
    VAR.mkdir(parents=True, exist_ok=True)
    (VAR / "bench.json").write_text(json.dumps({figure.name: figure.as_dict() for figure in figures}, indent=1) + "\n")
    short = [figure.name for figure in figures if not figure.holds]
    print(f"{len(figures)} figures; " + (f"short of their target: {', '.join(short)}" if short else "all targets hold"))


def _shown(figures: Iterator[Figure]) -> Iterator[Figure]:
    for figure in figures:
        print(figure.line, flush=True)
        yield figure


if __name__ == "__main__":
    main()
