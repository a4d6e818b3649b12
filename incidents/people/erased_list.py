"""Who was erased, by random name only, kept outside the database beside the log's heads: a backup that is put back cannot know.

One file for each incident's log, 33 bytes a line, only ever added to. A name is on the disk before the erasure is committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from incidents.audit.log import log_of
from incidents.audit.witness import sync_folder
from incidents.models import AffectedPerson, Incident

#: A subject is 32 hexadecimal digits; with its line's end.
LINE_BYTES = 33
ASKED_AT_ONCE = 10_000


def file_of(*, incident: Incident) -> Path:
    """Where the erased people of this incident are listed."""
    folder: Path = settings.AUDIT_KEY_FILE.parent / "erased"
    return folder / log_of(incident).origin.rsplit("/", 1)[-1]


def append(*, incident: Incident, subjects: Sequence[str]) -> None:
    """Add names and wait until the disk has them; called last before the commit of their erasure."""
    path = file_of(incident=incident)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = not path.exists()
    handle = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    try:
        whole = "".join(f"{subject}\n" for subject in subjects).encode()
        # A line that a full disk or a power cut left half written is ended first, so that it costs only itself.
        torn = os.fstat(handle).st_size % LINE_BYTES
        whole = b"-" * (LINE_BYTES - torn - 1) + b"\n" + whole if torn else whole
        while whole:
            whole = whole[os.write(handle, whole) :]
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        sync_folder(path.parent)


def not_replayed(*, incident: Incident) -> list[int]:
    """Keys of the people whom the list calls erased and the database still holds: it was put back from an older backup."""
    path = file_of(incident=incident)
    try:
        lines = path.stat().st_size // LINE_BYTES
    except OSError:
        return []
    if lines == AffectedPerson.objects.filter(incident=incident, erased_at__isnull=False).count():
        return []
    return [pk for names in _names(path) for pk in _still_there(incident, names)]


def _names(path: Path) -> Iterator[list[str]]:
    """The names, some thousands at a time."""
    with path.open(encoding="ascii", errors="replace") as lines:
        while part := lines.readlines(ASKED_AT_ONCE * LINE_BYTES):
            yield [name for line in part if len(name := line.strip()) == LINE_BYTES - 1]


def _still_there(incident: Incident, names: list[str]) -> list[int]:
    people = AffectedPerson.objects.filter(incident=incident, subject__in=names, erased_at=None)
    return list(people.order_by("id").values_list("id", flat=True))
