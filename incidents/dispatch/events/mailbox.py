"""Takes bounces out of a pipe or a Maildir, and stores their events. A mail is moved only after its events are committed."""

from __future__ import annotations

import hashlib
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from incidents.dispatch.events.bounces import MOST_BYTES, NoMail, read_bounce
from incidents.dispatch.receive import store_events
from incidents.refusal import Refused

#: Bounces are told under the name of the provider that letters by a relay have.
PROVIDER, STRENGTH = "smtp", "mail"
logger = logging.getLogger(__name__)


@dataclass
class Reading:
    """How many mails were read, how many events they gave, and what the others were."""

    mails: int = 0
    events: int = 0
    strangers: int = 0
    unreadable: int = 0

    def __str__(self) -> str:
        return (
            f"{self.mails} mails read: {self.events} events; {self.strangers} name no letter of ours, "
            f"{self.unreadable} cannot be read"
        )


def read_one(*, raw: bytes, now: datetime, to: str = "") -> Reading:
    """Store what one mail says; `to`: the address it came to. Raises DatabaseError."""
    done = Reading(mails=1)
    try:
        events = read_bounce(raw=raw, now=now, to=to)
    except NoMail as error:
        done.unreadable = 1
        logger.warning("bounces: %s", error)
        return done
    done.events, done.strangers = len(events), int(not events)
    store_events(provider=PROVIDER, events=events, strength=STRENGTH, raw_sha256=hashlib.sha256(raw).hexdigest())
    return done


def read_maildir(*, folder: Path, now: datetime) -> Reading:
    """Read every mail in `new` of a Maildir and move it to `cur`; those that cannot be read with the flag F. Raises Refused."""
    new, cur = folder / "new", folder / "cur"
    if not new.is_dir() or not cur.is_dir():
        raise Refused(f"{folder} is no Maildir: it has no folders 'new' and 'cur'.")
    total = Reading()
    for name in _names(new):
        raw = _bytes_of(new / name)
        if raw is None:
            continue
        done = read_one(raw=raw, now=now)
        (new / name).rename(cur / f"{name.partition(':')[0]}:2,{'FS' if done.unreadable else 'S'}")
        total = Reading(*(ours + theirs for ours, theirs in zip(_numbers(total), _numbers(done), strict=True)))
    return total


def _numbers(reading: Reading) -> tuple[int, int, int, int]:
    return reading.mails, reading.events, reading.strangers, reading.unreadable


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as found:
        yield from sorted(entry.name for entry in found if not entry.name.startswith("."))


def _bytes_of(path: Path) -> bytes | None:
    """At most what is read of a mail; None for what is no plain file (a link is not followed) or gone meanwhile."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(handle).st_mode):  # a folder can be opened, and not be read
        os.close(handle)
        return None
    with os.fdopen(handle, "rb") as file:
        return file.read(MOST_BYTES)
