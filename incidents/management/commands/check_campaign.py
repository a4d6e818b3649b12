"""Do the numbers add up?"""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.channels.choose import providers
from incidents.dispatch.conservation import check_with_law
from incidents.dispatch.forecast import forecast
from incidents.dispatch.pace_shown import aside_in_words
from incidents.dispatch.witnessing import witness_missing
from incidents.management.operator import FAILED, OperatorCommand, campaign_named
from incidents.models import CampaignState
from incidents.people.erasing import erased_and_owed


class Command(OperatorCommand):
    help = (
        "The conservation check: people in = sum of named states, and what is signed still follows from what is known. "
        "Exit 1 on any broken invariant or stale law: check_campaign CAMPAIGN"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, campaign: str, as_json: bool, **_: Any) -> int | None:
        found = campaign_named(campaign)
        check, ahead = check_with_law(campaign=found), forecast(campaign=found)
        if as_json:
            self.say(json.dumps({**check.to_json(), "forecast": ahead.to_json()}, indent=1, sort_keys=True))
        else:
            self.say(f"{check.campaign} is {check.state}: {check.people_in} people in")
            if found.state == CampaignState.PAUSED:
                go_on = f"resume {check.campaign} --as NAME --reason TEXT"
                self.say(f"  paused: {found.pause_reason or 'no reason given'}; to go on: {go_on}")
            for state, number in sorted(check.states.items()):
                self.say(f"  {state:22} {number:>9}")
            self.say(
                f"  sum {'holds' if check.sum_ok else 'DOES NOT HOLD'}; doubts open {check.doubts_open} of {check.doubts_total}"
            )
            for violation in check.violations:
                self.say(f"  violated: {violation}")
            if check.to_decide:
                self.say(f"  to be decided: {check.to_decide}")
            if check.stands_still:
                self.say(f"  stands still: {check.stands_still}")
            for line in [*check.stale, *ahead.lines()]:
                self.say(f"  {line}")
            if aside := aside_in_words(campaign=found, providers=providers()):
                self.say(f"  warning: {aside}")
            # Of an ended campaign nobody is told any more, and most of its people are erased.
            if found.state != CampaignState.CLOSED:
                for owed in erased_and_owed(incident=found.incident):
                    self.say(f"  to be decided: {owed}")
            if missing := witness_missing(campaign=found):
                self.say(f"  warning: {missing}")
        return None if check.holds and not check.rests_on_stale else FAILED
