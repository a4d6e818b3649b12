"""System checks of the place we run in: `manage.py check --database default`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections


@register(Tags.database)
def check_database(*, databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """Refuse a role that could change the log, and a server that may forget what it has confirmed."""
    found: list[CheckMessage] = []
    for alias in databases or []:
        with connections[alias].cursor() as cursor:
            cursor.execute(
                "SELECT rolsuper, current_setting('fsync'), current_setting('synchronous_commit') FROM pg_roles "
                "WHERE rolname = current_user"
            )
            superuser, fsync, commit = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'incidents_%%' AND tableowner = current_user")
            owned = cursor.fetchone()[0]
        if superuser or owned:
            hint = "Run as <database>_app; <database>_owner only migrates."
            found.append(Error("The running database role owns tables or is a superuser.", hint=hint, id="incidents.E001"))
        if "off" in (fsync, commit):
            hint = "Set fsync and synchronous_commit to on: what is written before a letter goes out must survive a power cut."
            found.append(Error("The database may lose confirmed writes.", hint=hint, id="incidents.E002"))
    return found
