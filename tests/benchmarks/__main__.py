"""`make bench`: runs the benchmarks of this folder and prints their figures, one line each, as ratios inside this run.

Nothing is asserted about time: a target that is missed is printed as short. It ends by itself, within minutes.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial

from notifier.embedded import ServiceDown
from tests.benchmarks import cases, dispatching, importing, law, people
from tests.benchmarks.figures import Figure, machine, seconds
from tests.benchmarks.stage import VAR

BENCHMARKS: dict[str, Callable[[], Iterator[Figure]]] = {
    "law": law.run,
    "cases": cases.run,
    "people": people.run,
    "import": importing.run,
    "dispatch": dispatching.run,
}


def main() -> None:
    """Run all, or the one asked for, and write `bench.json` into the state folder."""
    # A plain kill ends as Ctrl-C does: the throwaway servers are stopped and their folder goes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=BENCHMARKS)
    parser.add_argument("--people", type=int, default=people.PEOPLE, help="how many people are assessed")
    parser.add_argument("--rows", type=int, default=importing.ROWS, help="how many rows are imported")
    parser.add_argument("--letters", type=int, default=dispatching.PEOPLE, help="to how many people letters are sent")
    given = parser.parse_args()
    people.PEOPLE, importing.ROWS, dispatching.PEOPLE = given.people, given.rows, given.letters
    figures: list[Figure] = []
    for name, run in BENCHMARKS.items():
        if given.only in (None, name):
            print(f"== {name}: {machine()}", flush=True)
            print(f"== {name}: {seconds(partial(_add, figures, run)):.0f} s, {machine()}", flush=True)
    VAR.mkdir(parents=True, exist_ok=True)
    (VAR / "bench.json").write_text(json.dumps({figure.name: figure.as_dict() for figure in figures}, indent=1) + "\n")
    short = [figure.name for figure in figures if not figure.holds]
    print(f"{len(figures)} figures; " + (f"short of their target: {', '.join(short)}" if short else "all targets hold"))


def _add(figures: list[Figure], run: Callable[[], Iterator[Figure]]) -> None:
    """Run one benchmark and print each figure as it comes."""
    try:
        for figure in run():
            print(figure.line, flush=True)
            figures.append(figure)
    except ServiceDown as down:
        print(f"not run: {down}")


if __name__ == "__main__":
    main()
