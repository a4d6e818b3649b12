"""Where the tests' servers keep their data: in memory where there is room, for nothing of it has to outlive the machine.

A run makes and drops hundreds of databases of some hundred files each. On a disk, more than half of the time went to finding free
inodes beside those that were given back a moment ago.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

#: Linux keeps it in memory; containers often make it small, and then the disk is used.
IN_MEMORY = Path("/dev/shm")
#: So much has to be free there, and so much of the machine's memory, before anything is put there.
ROOM, LEFT = 4 * 2**30, 8 * 2**30


def for_servers() -> str | None:
    """A folder in memory; None where there is none or not enough room: then the disk's folder for temporary files."""
    try:
        fits = shutil.disk_usage(IN_MEMORY).free >= ROOM and _available() >= LEFT
    except (OSError, ValueError, IndexError):
        return None
    return str(IN_MEMORY) if fits and os.access(IN_MEMORY, os.W_OK | os.X_OK) else None


def _available() -> int:
    """Bytes of memory that can be had (Linux, `proc_meminfo(5)`)."""
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
