"""Open an incident from a facts file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, operator_user, user_named
from incidents.models.refusal import Refused
from incidents.people.anchors import odd_moments
from incidents.people.opening import open_incident, read_facts


class Command(OperatorCommand):
    help = "Open an incident: incident_new --facts FILE.yaml (docs/facts.md gives the fields)"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--facts", required=True, type=Path)
        parser.add_argument("--as", dest="user", help="the author; default: operator")

    def work(self, *, facts: Path, user: str | None, **_: Any) -> int | None:
        try:
            raw = facts.read_bytes()
        except OSError as error:
            raise Refused(f"The facts file cannot be read ({error.strerror}). Give the path of a YAML file.") from None
        author = user_named(user) if user else operator_user()
        checked = read_facts(raw)
        incident = open_incident(facts=checked, author=author)
        for line in odd_moments(facts=checked):
            self.say(f"Look at {line}")
        self.say(f"Incident {incident.reference} is open. Next: import_people {incident.reference} FILE.csv")
        return None
