"""`make bench`: runs the benchmarks of this folder and prints one line each. There are none yet, and the list says so."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

VAR = Path(__file__).resolve().parents[2] / "var"
#: name -> function returning {"value": float, "target": float, "holds": bool, "unit": str}.
BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {}


def main() -> None:
    """Run all, or the one asked for, and write `var/bench.json`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only")
    only = parser.parse_args().only
    if only and only not in BENCHMARKS:
        print(f"{only} - - not run")
    results = {name: run() for name, run in BENCHMARKS.items() if only in (None, name)}
    for name, result in results.items():
        print(f"{name} {result['value']} {result['target']} {'holds' if result['holds'] else 'short'}")
    VAR.mkdir(exist_ok=True)
    (VAR / "bench.json").write_text(json.dumps(results, indent=1) + "\n")
    print(f"{len(results)} benchmarks run.")


if __name__ == "__main__":
    main()
