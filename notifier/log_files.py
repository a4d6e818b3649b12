"""No log of `up` fills the disk: one that has grown is kept once beside itself, and begins anew."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

#: A log never grows much beyond this, and what is kept of it is no longer: so a process takes twice as much at most.
MOST_BYTES = 20_000_000


def bound(folder: Path) -> None:
    """Look after every log in a folder. One that cannot be read or written now is looked at the next time."""
    for log in folder.glob("*.log"):
        with contextlib.suppress(OSError):
            if log.stat().st_size > MOST_BYTES:
                _begin_anew(log)


def _begin_anew(log: Path) -> None:
    """Its process holds it open and appends: so it is copied and cut, not renamed, and a line written in between is lost."""
    older = log.with_name(f"{log.name}.1")
    try:
        with log.open("rb") as full, os.fdopen(os.open(older, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "wb") as kept:
            full.seek(-MOST_BYTES, os.SEEK_END)
            shutil.copyfileobj(full, kept)
    except OSError:
        older.unlink(missing_ok=True)  # no room for both: the letters need it more
    os.truncate(log, 0)
