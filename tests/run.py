"""`make test`: lint, types, import contracts, then the tests; every part runs, the worst result counts."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PARTS = {
    "ruff": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "mypy": [str(BIN / "mypy")],
    "imports": [str(BIN / "lint-imports"), "--no-cache"],
    # Two processes, each with its own servers; the tests of one file stay together. `-n 0` runs all in one.
    "pytest": [sys.executable, "-m", "pytest", "-n", "2", "--dist", "loadfile", "--no-loadscope-reorder", *sys.argv[1:]],
}


def main() -> int:
    """Run every part and print how long it took."""
    # The type checker's Django plugin imports the settings, which refuse to start without secrets.
    secrets = {"SECRET_KEY": "only-for-types", "MASTER_KEY": "00" * 32}
    # The tests start some hundred processes: none of them need compile the project anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    worst = 0
    for name, command in PARTS.items():
        started = time.monotonic()
        environment = {**os.environ, **(secrets if name == "mypy" else {})}
        code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        print(f"== {name}: {'passed' if code == 0 else f'FAILED ({code})'} in {time.monotonic() - started:.0f} s", flush=True)
        worst = max(worst, code)
    return worst


if __name__ == "__main__":
    sys.exit(main())
