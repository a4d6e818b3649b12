"""Read bounces of letters by plain SMTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError
from django.utils import timezone

from incidents.dispatch.events.bounces import MOST_BYTES
from incidents.dispatch.events.mailbox import read_maildir, read_one
from incidents.management.operator import OperatorCommand

#: sysexits.h: a mail server that gets this keeps the mail and tries again.
TRY_AGAIN = 75


class Command(OperatorCommand):
    help = (
        "Read bounces: a mail on the standard input, or every new one of a Maildir: read_bounces [--to ADDRESS | --maildir DIR]"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--maildir", type=Path, default=None)
        parser.add_argument("--to", default="", help="the address that the mail came to, as the mail server gives it")

    def work(self, *, maildir: Path | None, to: str, **_: Any) -> int | None:
        """One mail, or a folder; the body of none is kept."""
        now = timezone.now()
        try:
            if maildir is not None:
                self.say(str(read_maildir(folder=maildir, now=now)))
            else:
                raw = sys.stdin.buffer.read(MOST_BYTES)
                while sys.stdin.buffer.read(65_536):
                    pass  # a mail server that cannot write all of it takes us for broken
                read_one(raw=raw, now=now, to=to)
        except DatabaseError as error:
            self.stderr.write(f"The database does not take it now ({type(error).__name__}): the mail stays where it is.")
            return TRY_AGAIN
        return None
