"""Freeze register and letters into a campaign."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.campaign import freeze
from incidents.letters.render import make_letters
from incidents.management.operator import OperatorCommand, incident_named, operator_user, user_named
from incidents.people.amending import is_frozen


class Command(OperatorCommand):
    help = "Make the letters where they are missing, freeze register and letters, and print the campaign: freeze INCIDENT"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("--as", dest="user", help="the author; default: operator")

    def work(self, *, incident: str, user: str | None, **_: Any) -> int | None:
        found, author = incident_named(incident), user_named(user) if user else operator_user()
        if not is_frozen(incident=found):
            make_letters(incident=found, author=author)
        campaign = freeze(incident=found, author=author)
        self.say(campaign.reference)
        return None
