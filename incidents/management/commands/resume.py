"""Go on after a pause."""

from __future__ import annotations

from incidents.dispatch.campaign import resume
from incidents.management.signing import SigningCommand
from incidents.models import Campaign
from incidents.tasks import wake_campaign


class Command(SigningCommand):
    help = "Go on after a pause: resume CAMPAIGN --as USER --reason TEXT"
    done = "resumed"

    def sign(self, **given: object) -> Campaign:
        """One domain call, then a wake-up for the workers."""
        campaign = resume(**given)  # type: ignore[arg-type]
        wake_campaign(campaign.pk)
        return campaign
