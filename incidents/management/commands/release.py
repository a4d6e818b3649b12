"""The second signature: from here on workers send."""

from __future__ import annotations

from django.core.management.base import CommandParser

from incidents.dispatch.campaign import release
from incidents.management.signing import SigningCommand
from incidents.models import Campaign
from incidents.tasks import wake_campaign


class Command(SigningCommand):
    help = "The second signature: from here on workers send: release CAMPAIGN --as USER --reason TEXT"
    knowing = True
    done = "released; workers send now (without a broker: dispatch CAMPAIGN)"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        alone = "why people are written to at once, where nobody of the staff is entered; it is kept in the log"
        parser.add_argument("--without-first-wave", dest="without_wave", default="", metavar="REASON", help=alone)

    def sign(self, **given: object) -> Campaign:
        """One domain call, then a wake-up for the workers."""
        campaign = release(**given)  # type: ignore[arg-type]
        wake_campaign(campaign.pk)
        return campaign
