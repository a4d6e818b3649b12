"""The last signed head of each log, kept beside the key and so outside the database: what shows that a backup was put back.

A head is written when the entries under it are committed. So a sound database always has the head's entries; one that has fewer,
or others, is older. Once the lost tail is named in the log itself (`dispatch/recovering.py`), the head counts as answered for.
"""

from __future__ import annotations

import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from incidents.audit.actions import Action
from incidents.audit.merkle import root as tree_root
from incidents.models import AuditEvent, AuditLog, Incident

logger = logging.getLogger(__name__)
#: A signer commits so many tenths of a second after it wrote the head down; then the entries themselves are hashed.
PATIENCE = 10
#: Logs of which this process has said that it cannot see their head.
_unseen: set[str] = set()


@dataclass(frozen=True)
class Head:
    """So many entries, and their root in hexadecimal digits."""

    size: int
    root: str


def head_file(log: AuditLog) -> Path:
    """Where the last signed head of a log is kept."""
    folder: Path = settings.AUDIT_KEY_FILE.parent / "heads"
    return folder / log.origin.rsplit("/", 1)[-1]


def read_head(log: AuditLog) -> Head:
    """The head that is kept. Raises OSError where none is, or none can be read; ValueError when it is torn."""
    size, root = head_file(log).read_text().split()
    return Head(int(size), root)


def remember_head(log: AuditLog, root: str) -> None:
    """Keep the head of a log; before its signature is committed."""
    path = head_file(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".new")
    with temporary.open("w") as file:
        file.write(f"{log.size} {root}")
        file.flush()
        os.fsync(file.fileno())  # a crash or a power cut leaves the old head or the new one, never half of one
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def root_at(log: AuditLog, head: Head) -> str:
    """The root of the first entries: as signed, or (the signer died before its commit) from the leaves."""
    if log.checkpoints.filter(size=head.size, root=head.root).exists():
        return head.root
    leaves = log.leaves.filter(seq__lt=head.size).order_by("seq").values_list("leaf_hash", flat=True)
    return tree_root(bytes(leaf) for leaf in leaves.iterator(chunk_size=5000)).hex()


def is_answered_for(log: AuditLog, head: Head, *, below: int | None = None) -> bool:
    """Whether an entry of this log names that head as lost with the database; `below`: one that has its place already."""
    told = AuditEvent.objects.filter(log=log, action=Action.DATABASE_RESTORED)
    if below is not None:
        told = told.filter(leaf__seq__lt=below)
    named = (json.loads(line)["data"] for line in told.values_list("line", flat=True))
    return any((data["lost_size"], data["lost_root"]) == (head.size, head.root) for data in named)


def lost_head(*, incident: Incident | None) -> Head | None:
    """The signed head that this database does not reach, though nobody has answered for it: then it is an older one, put back.

    None: it reaches it, nothing was signed yet, or the head is kept on another host (said once).
    """
    log = AuditLog.objects.filter(incident=incident).first()
    if log is None:
        return None
    try:
        head = read_head(log)
    except (OSError, ValueError):
        _say_once(log)
        return None
    return None if _reaches(log, head) or is_answered_for(log, head) else head


def _reaches(log: AuditLog, head: Head) -> bool:
    """One look where all is well; a head whose signature is being committed is waited for."""
    signed = log.checkpoints.filter(size=head.size, root=head.root)
    for _ in range(PATIENCE):
        if signed.exists():
            return True
        log.refresh_from_db(fields=["size"])  # never as it was before the head was read
        if log.size < head.size:
            return False
        time.sleep(0.1)
    return root_at(log, head) == head.root


def _say_once(log: AuditLog) -> None:
    if log.origin in _unseen or not log.checkpoints.exists():
        return
    _unseen.add(log.origin)
    logger.warning("the last signed head of %s cannot be read here: a restored database would not be noticed", log.origin)


def refusal(*, incident: Incident, campaign: str, lost: Head) -> str:
    """Why nothing is sent from such a database, and what to do."""
    held = AuditLog.objects.get(incident=incident).size
    return (
        f"The database is older than the log's last signed head: {lost.size} entries of {incident.reference} were signed, and it "
        f"does not hold all of these (it has {held} now). It was put back from a backup, and letters may have left since. "
        f"Nothing is sent until 'manage.py recover {campaign} --as USER --reason TEXT' has listed them as doubts."
    )
