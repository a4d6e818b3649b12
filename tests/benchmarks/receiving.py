"""The receiver of the dispatch benchmarks (`sink.c`, else the fault tests' sink), its ceiling, and postfix's sender beside it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.benchmarks.stage import VAR

HERE, ROOT = Path(__file__).resolve().parent, Path(__file__).resolve().parents[2]


@dataclass
class Receiver:
    """A process that takes letters; `kind` says which."""

    kind: str
    smtp: int
    http: int
    state: int

    def counted(self) -> tuple[int, int]:
        """Letters and bytes so far."""
        if self.kind == "C":
            with socket.create_connection(("127.0.0.1", self.state), timeout=5) as line:
                letters, size, _ = line.makefile().readline().split()
            return int(letters), int(size)
        with socket.create_connection(("127.0.0.1", self.state), timeout=5) as line, line.makefile("rw") as file:
            file.write("{}\n")
            file.flush()
            return int(json.loads(file.readline())["letters"]), 0


@contextlib.contextmanager
def receiver(*, delay_ms: int = 0) -> Iterator[Receiver]:
    """A receiver of its own, each answer `delay_ms` late; in C where there is a compiler."""
    with tempfile.TemporaryDirectory(prefix="bench-sink-") as folder:
        binary, compiler = Path(folder) / "sink", shutil.which("cc") or shutil.which("gcc")
        if compiler and subprocess.run([compiler, "-O2", "-o", str(binary), str(HERE / "sink.c")], check=False).returncode == 0:
            process = subprocess.Popen([str(binary), str(delay_ms)], stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            made = Receiver("C", *map(int, process.stdout.readline().split()))
        else:
            command = [sys.executable, "-m", "tests.faults.sink", "--no-sync", "--folder", folder]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            assert process.stdout is not None
            ports = json.loads(process.stdout.readline())
            made = Receiver("Python", ports["smtp"], ports["http"], ports["control"])
        try:
            yield made
        finally:
            process.kill()
            process.wait()


def smtp_source() -> list[str] | str:
    """The command of postfix's sender: from PATH, or unpacked from Debian's package without installing it; else why not."""
    if found := shutil.which("smtp-source", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/lib/postfix/sbin"):
        return [found]
    folder = VAR / "bench-postfix"
    binary = folder / "usr/sbin/smtp-source"
    if not binary.exists():
        if not (shutil.which("apt-get") and shutil.which("dpkg")):
            return "smtp-source is not in PATH, and there is no apt-get to fetch Debian's postfix with"
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["apt-get", "download", "postfix"], cwd=folder, capture_output=True, text=True, check=False)
        for package in folder.glob("postfix_*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(folder)], check=False)
        if not binary.exists():
            return f"smtp-source is not in PATH, and Debian's postfix could not be fetched: {done.stderr.strip()[-160:]}"
    return ["env", f"LD_LIBRARY_PATH={folder}/usr/lib/postfix", str(binary)]


def timed_source(command: list[str], at: Receiver, *, number: int, size: int) -> float:
    """Letters a second of smtp-source with ten kept sessions."""
    options = ["-s", "10", "-d", "-m", str(number), "-l", str(size), "-f", "a@sender.example", "-t", "b@example.org"]
    before, started = at.counted()[0], time.perf_counter()
    subprocess.run([*command, *options, f"127.0.0.1:{at.smtp}"], check=True, capture_output=True)
    seconds = time.perf_counter() - started
    assert at.counted()[0] - before == number
    return number / seconds


def peer(what: str, told: dict[str, Any], at: Receiver) -> dict[str, Any]:
    """One of the peers to its end; every letter has to have come."""
    before = at.counted()[0]
    command = [sys.executable, "-m", "tests.benchmarks.peers", what]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(told), capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    came = at.counted()[0] - before
    assert came == told["number"], f"{what}: {came} of {told['number']} came"
    return {**found, "rate": told["number"] / found["seconds"]}
