#!/usr/bin/env python3
"""The one entry for operators. Exit codes: 0 holds, 1 a check failed, 2 bad input, 3 a service is down."""

from __future__ import annotations

import os
import select
import signal
import sys
import traceback
from datetime import UTC, datetime

#: As a shell counts a program that wrote into a closed pipe: 128 and SIGPIPE.
NOBODY_READS = 128 + signal.SIGPIPE
#: Classes of errors of a database that is not there: connection, sign-in, no such database, shut down or out of something.
GONE = ("08", "28", "3D", "53", "57")


def main() -> int:
    """Provide the services that the command needs, run it, and turn a service that is down into a plain message."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    try:
        import psycopg
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line
        from django.db.utils import InterfaceError, OperationalError

        from notifier import environment
        from notifier.embedded import ServiceDown
        from notifier.logs import end_without_words
    except ImportError as error:
        print(f"{error.name} is not installed. Run 'make run' once, then use .venv/bin/python manage.py.", file=sys.stderr)
        return 3
    end_without_words()
    command = environment.command_of(sys.argv[1:])
    # A plain kill ends as Ctrl-C does: children and servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with environment.services(command):
            execute_from_command_line(sys.argv)
    except ServiceDown as error:
        print(error, file=sys.stderr)
        return 3
    except (OperationalError, InterfaceError, psycopg.OperationalError) as error:
        print(f"The database went away: {why_away(error)}. Nothing half-done was kept; run the command again.", file=sys.stderr)
        return 3
    except ImproperlyConfigured as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError as error:
        return NOBODY_READS if nobody_reads() else fault(error)
    except Exception as error:
        return fault(error)
    return 0


def ended() -> int:
    """The exit code, once everything is written."""
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return NOBODY_READS if nobody_reads() else code
    return code


def nobody_reads() -> bool:
    """Whether whoever read our output has gone (`| head -1`). Then the rest of it goes nowhere, also at the interpreter's end."""
    gone = False
    for stream in (sys.stdout, sys.stderr):
        asked = select.poll()
        asked.register(stream.fileno(), 0)
        if any(event & select.POLLERR for _, event in asked.poll(0)):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            gone = True
    return gone


def why_away(error: Exception) -> str:
    """The first line of what says that nobody is there; else the type: a statement's error quotes what it was about."""
    from notifier.logs import named

    code = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return named(error.__cause__ or error) if code and code[:2] not in GONE else str(error).strip().split("\n")[0]


def fault(error: Exception) -> int:
    """A fault of ours: one plain line with its type and place, the way to it in a log file of mode 600. Its words, which may hold
    a person's row, are shown with DEBUG=1 alone, and written nowhere."""
    from notifier import environment
    from notifier.embedded import private_folder
    from notifier.logs import named, place_of, without_words

    trace, folder = without_words(error), environment.place().var
    try:
        place = private_folder(folder / "log") / "faults.log"
        with os.fdopen(os.open(place, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), "a") as out:
            out.write(f"{datetime.now(UTC).isoformat()} {' '.join(sys.argv[1:2])}\n{trace}\n")
    except OSError as unusable:
        print(
            f"The state folder {folder} cannot be used: {unusable.strerror}. Set BREACH_VAR to a folder of yours.",
            file=sys.stderr,
        )
        return 3
    if os.environ.get("DEBUG") == "1":
        print("".join(traceback.format_exception(error)), file=sys.stderr)
    what = " at ".join(filter(None, (named(error).removeprefix("builtins."), place_of(error))))
    print(f"This is a fault of the program ({what}), not of your input; details in {place}.", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(ended())
