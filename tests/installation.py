"""An installation of its own for a journey: its own state folder, servers and keys, driven by `manage.py` as people do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parent.parent
OURS = ("DATABASE_URL", "REDIS_URL", "MAIL", "SECRET_KEY", "MASTER_KEY", "AUDIT_ORGANISATION")


@dataclass
class Installation:
    """One fresh machine, as far as the product can see."""

    var: Path
    extra: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        plain = {name: value for name, value in os.environ.items() if name not in OURS}
        return {**plain, "BREACH_VAR": str(self.var), "BREACH_EMBEDDED_DURABLE": "0", **self.extra}

    def manage(self, *arguments: str, seconds: int = 240, **extra: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment, **extra},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that stays up; `stop` ends it."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self.environment,
            stdout=(self.var / "out.log").open("a"),
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End everything that was started here."""
        for process in self.started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=60)

    def said(self) -> str:
        """What the started commands have printed so far."""
        file = self.var / "out.log"
        return file.read_text() if file.exists() else ""

    def wait_for(self, text: str, *, seconds: float = 120) -> None:
        """Wait until a started command has printed this."""
        end = time.monotonic() + seconds
        while text not in self.said():
            assert time.monotonic() < end, f"'{text}' did not come; it said: {self.said()[-2000:]}"
            assert any(p.poll() is None for p in self.started), f"it ended: {self.said()[-2000:]}"
            time.sleep(0.2)

    def database(self) -> psycopg.Connection[Any]:
        """A look into the database as its superuser; only while servers run."""
        known = json.loads((self.var / "secrets.json").read_text())
        sockets = json.loads((self.var / "run.json").read_text())["sockets"]
        url = f"postgresql://bootstrap:{known['bootstrap_password']}@/breach?host={sockets}"
        return psycopg.connect(url, autocommit=True)

    def processes(self) -> list[tuple[int, str]]:
        """Process id and command line of everything that belongs to this installation, servers included."""
        found = []
        ours = f"BREACH_VAR={self.var}".encode()
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    environment = (entry / "environ").read_bytes().split(b"\0")
                except OSError:
                    continue
                if line and ours in environment:
                    found.append((int(entry.name), line))
        return found

    def children(self, name: str) -> list[int]:
        """Process ids of this installation whose command line holds a text."""
        return [pid for pid, line in self.processes() if name in line]

    def assert_nothing_is_left(self) -> None:
        """No process of this installation runs any more; children may take a moment to be gone."""
        end = time.monotonic() + 5
        while left := self.processes():
            assert time.monotonic() < end, left
            time.sleep(0.1)
