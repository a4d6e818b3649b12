"""Doubtful sends: listed, and settled by what a person knows."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.again import settle_doubt
from incidents.management.operator import OperatorCommand, campaign_named, user_named
from incidents.models import Campaign, Doubt
from incidents.models.refusal import Refused


class Command(OperatorCommand):
    help = "List open doubts, or settle one by hand: settle CAMPAIGN [PERSON_REF --arrived yes|no --as USER --reason TEXT]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")
        parser.add_argument("person_ref", nargs="?")
        parser.add_argument("--arrived", choices=("yes", "no"), help="no: it is sent again")
        parser.add_argument("--as", dest="user", default="", help="who knows it")
        parser.add_argument("--reason", default="", help="how they know it; it is kept in the log")

    def work(
        self, *, campaign: str, person_ref: str | None, arrived: str | None, user: str, reason: str, **_: Any
    ) -> int | None:  # fmt: skip
        found = campaign_named(campaign)
        if person_ref is None:
            self._list(found)
            return None
        if arrived is None or not user:
            raise Refused("Say whether the letter arrived (--arrived yes|no), who knows it (--as) and how (--reason).")
        doubt = _open(found).filter(message__entry__person__reference=person_ref).first()
        if doubt is None:
            raise Refused(f"No doubt about {person_ref} is open in {campaign}.")
        settle_doubt(doubt=doubt, arrived=arrived == "yes", reason=reason, author=user_named(user))
        self.say(f"{person_ref}: {'arrived, as you say' if arrived == 'yes' else 'did not arrive; it is sent again'}")
        return None

    def _list(self, campaign: Campaign) -> None:
        found = list(_open(campaign))
        for doubt in found:
            self.say(f"{doubt.message.entry.person.reference}  since {doubt.opened_at:%Y-%m-%d %H:%M:%S} UTC  {doubt.reason}")
        self.say(f"{campaign.reference}: {len(found)} doubts open")


def _open(campaign: Campaign) -> Any:
    found = Doubt.objects.filter(message__campaign=campaign, settled_at=None)
    return found.select_related("message__entry__person").defer("message__entry__person__sealed").order_by("id")
