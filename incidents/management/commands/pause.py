"""Start no further message until resumed."""

from __future__ import annotations

from incidents.dispatch.campaign import pause
from incidents.management.signing import SigningCommand
from incidents.models import Campaign


class Command(SigningCommand):
    help = "Start no further message until resumed: pause CAMPAIGN --as USER --reason TEXT"
    done = "paused"

    def sign(self, **given: object) -> Campaign:
        """One domain call."""
        return pause(**given)  # type: ignore[arg-type]
