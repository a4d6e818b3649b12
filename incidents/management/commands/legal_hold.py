"""Keep an incident's data, whatever its time."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, incident_named, user_named
from incidents.models.refusal import Refused
from incidents.people.erasing import lift_hold, place_hold, standing_hold


class Command(OperatorCommand):
    help = "While a legal hold stands nothing of an incident is erased: legal_hold place|lift INCIDENT --as USER --reason TEXT"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("what", choices=["place", "lift"])
        parser.add_argument("incident")
        parser.add_argument("--as", dest="user", required=True, help="in whose name")
        parser.add_argument("--reason", required=True, help="the order or decision, in words")

    def work(self, *, what: str, incident: str, user: str, reason: str, **_: Any) -> int | None:
        named, author = incident_named(incident), user_named(user)
        if what == "place":
            place_hold(incident=named, reason=reason, author=author)
            self.say(f"{named.reference}: nothing is erased until the hold is lifted.")
            return None
        hold = standing_hold(incident=named)
        if hold is None:
            raise Refused(f"No legal hold stands on {named.reference}.")
        lift_hold(hold=hold, reason=reason, author=author)
        more = standing_hold(incident=named)
        self.say(f"{named.reference}: lifted. {'Another hold stands.' if more else 'What is due is erased by the next run.'}")
        return None
