#!/usr/bin/env python3
"""The one entry for operators. Exit codes: 0 holds, 1 a check failed, 2 bad input, 3 a service is down."""

from __future__ import annotations

import os
import signal
import sys


def main() -> int:
    """Provide the services that the command needs, run it, and turn a service that is down into a plain message."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    try:
        from django.core.management import execute_from_command_line
        from django.db.utils import OperationalError

        from notifier import environment
        from notifier.embedded import ServiceDown
    except ImportError as error:
        print(f"{error.name} is not installed. Run 'make run' once, then use .venv/bin/python manage.py.", file=sys.stderr)
        return 3
    command = sys.argv[1] if len(sys.argv) > 1 else "help"
    # A plain kill ends as Ctrl-C does: children and servers are stopped on the way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with environment.services(command):
            execute_from_command_line(sys.argv)
    except ServiceDown as error:
        print(error, file=sys.stderr)
        return 3
    except OperationalError as error:
        first = str(error).strip().split("\n")[0]
        print(f"The database went away: {first}. Nothing half-done was kept; run the command again.", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
