"""What a command of plain Python loads: neither the desk, nor the queue, nor the broker's client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["anymail", "celery", "incidents.admin", "incidents.tasks", "kombu", "redis"]
START = """
import json, sys
import manage
sys.argv = ["manage.py", "law_cases", sys.argv[1]]
code = manage.main()
print(json.dumps([code, [name for name in HEAVY if name in sys.modules]]))
"""


def test_law_cases_load_neither_the_desk_nor_the_queue(tmp_path: Path) -> None:
    file = ROOT / "tests" / "law" / "cases" / "examples.yaml"
    done = subprocess.run(
        [sys.executable, "-c", f"HEAVY = {HEAVY!r}{START}", str(file)],
        cwd=ROOT,
        env={**os.environ, "BREACH_VAR": str(tmp_path / "var")},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
