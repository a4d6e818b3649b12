"""The shape of every command that moves a campaign in somebody's name, with a reason."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, campaign_named, user_named
from incidents.models import Campaign


class SigningCommand(OperatorCommand):
    """CAMPAIGN --as USER --reason TEXT."""

    done = ""
    #: Whether the signature can be given knowingly over letters that no longer say what is known.
    knowing = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")
        parser.add_argument("--as", dest="user", required=True, help="who signs")
        parser.add_argument("--reason", required=True, help="in words; it is kept in the log")
        if self.knowing:
            parser.add_argument("--despite", default="", help="the fingerprint of the stale marks that you have read")

    def sign(self, **given: object) -> Campaign:
        """The domain call: campaign, author, reason."""
        raise NotImplementedError

    def work(self, *, campaign: str, user: str, reason: str, **given: Any) -> int | None:
        more = {name: given[name] for name in ("despite", "without_wave") if name in given}
        moved = self.sign(campaign=campaign_named(campaign), author=user_named(user), reason=reason, **more)
        self.say(f"{moved.reference}: {self.done}")
        return None
