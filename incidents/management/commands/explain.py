"""Why does this person get this letter?"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from incidents.letters.staleness import letter_lines
from incidents.management.operator import OperatorCommand, incident_named
from incidents.people.explaining import explain, in_words


class Command(OperatorCommand):
    help = "From the row to the proof, for one person: explain INCIDENT PERSON_REF"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("person_ref")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, incident: str, person_ref: str, as_json: bool, **_: Any) -> int | None:
        named = incident_named(incident)
        found = explain(incident=named, reference=person_ref, letter_marks=letter_lines(incident=named))
        for line in [json.dumps(found, indent=1, ensure_ascii=False)] if as_json else in_words(found):
            self.say(line)
        return None
