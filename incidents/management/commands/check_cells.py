"""Whether a drill's people were all imported once, and read as they are: exit 0 only if both hold."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand, incident_named
from incidents.scenarios.checking import check_cells


class Command(OperatorCommand):
    help = "Compare the people of a drill with the list they came from, cell by cell: check_cells INCIDENT [--json]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, incident: str, as_json: bool, **_: Any) -> int | None:
        check = check_cells(incident=incident_named(incident))
        if as_json:
            found = {"truth_holds": check.truth_holds, "reading_holds": check.reading_holds}
            counts = {"read": sum(check.by_reading.values()), "queued": sum(check.queued.values()), "strangers": check.strangers}
            self.say(json.dumps({"scenario": check.scenario, "size": check.size, **found, **counts}))
        else:
            for line in check.lines():
                self.say(line)
        return None if check.truth_holds and check.reading_holds else FAILED
