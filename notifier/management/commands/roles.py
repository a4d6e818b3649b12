"""One command sets the database up: database, roles, tables, rights. A second time it finds all of it done."""

from __future__ import annotations

import shlex
from typing import Any

from django.conf import settings

from incidents.management.operator import OperatorCommand
from notifier import acts, database, schema
from notifier.embedded import write_private


class Command(OperatorCommand):
    help = (
        "Set up the database, its roles and their rights, and write the roles' addresses into a file of mode 600; for a server "
        "of your own with an administrator's address as DATABASE_URL: roles"
    )

    def work(self, **_: Any) -> int | None:
        known = acts.given_addresses()  # made by the start of this very command
        schema.migrate(known["owner"])
        path = settings.VAR / "database.env"
        lines = (f"{acts.variable(role)}={shlex.quote(address)}\n" for role, address in known.items())
        write_private(path, "".join(lines))
        self.say(f"{database.database_name(known['owner'])} is set up, with the roles {', '.join(known)}.")
        self.say(f"Their addresses are in {path} (mode 600): give each process its own as DATABASE_URL, and no other.")
        return None
