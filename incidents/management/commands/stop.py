"""End a campaign for good; what has not begun is cancelled."""

from __future__ import annotations

from incidents.dispatch.campaign import stop
from incidents.management.signing import SigningCommand
from incidents.models import Campaign


class Command(SigningCommand):
    help = "End a campaign for good; what has not begun is cancelled: stop CAMPAIGN --as USER --reason TEXT"
    done = "stopped"

    def sign(self, **given: object) -> Campaign:
        """One domain call."""
        return stop(**given)  # type: ignore[arg-type]
