"""Import a list of affected people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand, incident_named, operator_user, user_named
from incidents.people.importing import import_people


class Command(OperatorCommand):
    help = "Import a CSV list of affected people: import_people INCIDENT FILE"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("file", type=Path)
        parser.add_argument("--encoding", help="only for files that are neither UTF-8 nor UTF-16 with BOM, e.g. cp1252")
        parser.add_argument("--as", dest="user", help="the author; default: operator")

    def work(self, *, incident: str, file: Path, encoding: str | None, user: str | None, **_: Any) -> int | None:
        author = user_named(user) if user else operator_user()
        report = import_people(incident=incident_named(incident), path=file, author=author, encoding=encoding)
        counts = report.accounting
        if report.already_known:
            self.say("This very file was imported before; nothing was changed.")
        else:
            self.say(f"{report.rows} rows read.")
        self.say(
            f"Rows in {counts.rows_in} = people {counts.people} + merged {counts.merged} + needs attention "
            f"{counts.needs_attention} + rejection pending {counts.rejection_pending} + rejected {counts.rejected}"
        )
        return None if counts.adds_up else FAILED
