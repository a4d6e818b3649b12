"""Compare a campaign's counts with the providers' own."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser

from incidents.dispatch.reconcile import MOST_LOOK_UPS, reconcile
from incidents.management.operator import OperatorCommand, campaign_named


class Command(OperatorCommand):
    help = "Compare a campaign's counts with each provider's own, with explanations: reconcile CAMPAIGN [--look-ups N] [--json]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")
        parser.add_argument(
            "--look-ups", type=int, default=MOST_LOOK_UPS, help="letters without any event to ask about one by one"
        )
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, campaign: str, look_ups: int, as_json: bool, **_: Any) -> None:
        """One domain call; each provider's counts in a block."""
        if look_ups < 0:
            raise CommandError("--look-ups is a number of letters: 0 or more.")
        made = reconcile(campaign=campaign_named(campaign), look_ups=look_ups)
        if as_json:
            self.say(
                json.dumps(
                    [{"provider": r.provider, "ours": r.ours, "theirs": r.theirs, "differences": r.differences} for r in made]
                )
            )
            return
        for row in made:
            self.say(f"{row.provider}:")
            for name in ("taken", "delivered", "bounced", "complained"):
                self.say(f"  {name:12} ours {row.ours[name]:>9}   theirs {row.theirs.get(name, 'not counted'):>11}")
            for line in row.differences:
                self.say(f"  {line}")
