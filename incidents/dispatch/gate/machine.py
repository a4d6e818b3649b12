"""This machine and the database: clocks that agree, and room for what a campaign writes."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection

from incidents.dispatch.gate.findings import BLOCK, OK, WARN, Finding

#: Seconds by which the clocks of this machine and of the database may differ.
MOST_SKEW = 5.0
#: What one person of a campaign adds to the database, and with `inbox:` or an export to the state folder, generously.
BYTES_A_PERSON, LEAST_FREE = 40_000, 500_000_000


def look_at_machine(*, people: int) -> Iterator[Finding]:
    """Clock and disk."""
    yield skew_found(seconds=clock_skew())
    wanted = LEAST_FREE + people * BYTES_A_PERSON
    yield room_found(name="disk", what="the state folder", folder=settings.VAR, wanted=wanted)
    folder = database_folder()
    if folder is None:
        text = "Where the database keeps its files cannot be seen from here; its own supervision has to tell."
        yield Finding("database_disk", OK, text)
    else:
        yield room_found(name="database_disk", what="the database", folder=folder, wanted=wanted)


def clock_skew() -> float:
    """Seconds by which the database's clock is ahead of this machine's."""
    before = time.time()
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        at = float(cursor.fetchone()[0])
    return at - (before + time.time()) / 2


def skew_found(*, seconds: float) -> Finding:
    """What a difference of the clocks means."""
    if abs(seconds) <= MOST_SKEW:
        return Finding("clock", OK, "The clocks of this machine and of the database agree.")
    text = f"The clocks of this machine and of the database differ by {abs(seconds):.0f} seconds."
    return Finding("clock", BLOCK, text, "Let both machines set their clocks by NTP; deadlines are counted by the database's.")


def database_folder() -> Path | None:
    """Where the database keeps its files, when that is on this machine and known: beside our own state, or as it says itself."""
    at = str(connection.settings_dict["HOST"])
    if not at.startswith("/") and at not in ("", "localhost", "127.0.0.1", "::1"):
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_has_role(current_user, 'pg_read_all_settings', 'member')")
        folder = settings.VAR / "postgres"
        if cursor.fetchone()[0]:
            cursor.execute("SHOW data_directory")
            folder = Path(cursor.fetchone()[0])
    return folder if folder.exists() else None


def room_found(*, name: str, what: str, folder: Path, wanted: int) -> Finding:
    """Whether a folder's disk has room for so many bytes more."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return Finding(name, WARN, f"The room for {what} cannot be told ({error.strerror}).", "Look at it by hand.")
    told = f"{free / 1e9:.1f} GB are free for {what}; this campaign may want {wanted / 1e9:.1f} GB."
    if free >= wanted:
        return Finding(name, OK, told)
    return Finding(name, BLOCK if free < LEAST_FREE else WARN, told, "Make room before letters leave.")
