"""Write a scenario's list of invented people as CSV. Needs no database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand
from incidents.models.refusal import Refused
from incidents.scenarios.catalog import UnknownScenario, load_scenario, people_in
from incidents.scenarios.generator import write_people


class Command(OperatorCommand):
    help = "Write the list of invented people of a scenario: scenario cartier-2025 --size small --out people.csv"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("scenario")
        parser.add_argument("--size", default="small", help="small, medium, large or a number of people")
        parser.add_argument("--out", required=True, type=Path)

    def work(self, *, scenario: str, size: str, out: Path, **_: Any) -> int | None:
        try:
            found = load_scenario(scenario_id=scenario)
            people = people_in(scenario=found, size=size)
            with out.open("w", encoding="utf-8", newline="") as file:
                counts = write_people(scenario=found, people=people, out=file)
        except (UnknownScenario, ValueError) as error:
            raise Refused(str(error.args[0])) from None
        except OSError as error:
            raise Refused(f"The file cannot be written ({error.strerror}). Give another --out.") from None
        self.say(f"{counts.rows} rows for {counts.people} people written.")
        return None
