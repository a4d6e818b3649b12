"""The workers' work, with no broker at all."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.work import dispatch
from incidents.management.operator import FAILED, OperatorCommand, campaign_named
from incidents.models import CampaignState
from incidents.models.refusal import Refused


class Command(OperatorCommand):
    help = "Send everything that is due in a released campaign, here and without a broker: dispatch CAMPAIGN"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")

    def work(self, *, campaign: str, **_: Any) -> int | None:
        found = campaign_named(campaign)
        if found.state in (CampaignState.FROZEN, CampaignState.CONTENT_APPROVED, CampaignState.PAUSED):
            raise Refused(f"The campaign is '{found.get_state_display()}'; it has to be released (or resumed) first.")
        dispatch(campaign=found, progress=lambda done: self.say(f"answered {done['answered']}") if done["answered"] else None)
        check = check_campaign(campaign=found)
        self.say(f"{check.campaign} is {check.state}: {check.states}")
        return None if check.holds else FAILED
