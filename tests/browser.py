"""Chromium for the journeys: the one that is there, else Debian's package, else Playwright's own; none is a loud failure."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but the page that is asked for goes over the network, and that page is on this machine.
OPTIONS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--no-first-run",
    "--no-pings",
    "--no-proxy-server",
)
REMEDIES = (
    "No Chromium was found, and none could be installed. Do one of these: set CHROMIUM to the path of a Chromium or Chrome; "
    "as root, 'apt-get install chromium'; or '.venv/bin/python -m playwright install chromium' with the network up."
)


class NoBrowser(Exception):
    """There is no Chromium to drive; the message names the remedies."""


@contextmanager
def browser() -> Iterator[Browser]:
    """A headless Chromium, closed at the end. Raises NoBrowser."""
    with sync_playwright() as playwright:
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=find_chromium(playwright), args=[*OPTIONS, *sandbox])
        try:
            yield running
        finally:
            running.close()


def find_chromium(playwright: Playwright) -> str:
    """The path of a Chromium, installed first when there is none. Raises NoBrowser."""
    named = os.environ.get("CHROMIUM")
    if named:
        if shutil.which(named) is None:
            raise NoBrowser(f"CHROMIUM is '{named}', which is no program here. {REMEDIES}")
        return named
    tried: list[str] = []
    found = _on_path() or _from_debian(tried) or _from_playwright(playwright, tried)
    if found is None:
        raise NoBrowser("\n".join([REMEDIES, *tried]))
    return found


def _on_path() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _from_debian(tried: list[str]) -> str | None:
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return None
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    _try(tried, "apt-get", "update", **quiet)
    _try(tried, "apt-get", "install", "--yes", "--no-install-recommends", "chromium", **quiet)
    return _on_path()


def _from_playwright(playwright: Playwright, tried: list[str]) -> str | None:
    own = playwright.chromium.executable_path
    if not Path(own).exists():
        _try(tried, sys.executable, "-m", "playwright", "install", "chromium")
    return own if Path(own).exists() else None


def _try(tried: list[str], *command: str, **environment: str) -> None:
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode:
        tried.append(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
