"""The first signature: the content."""

from __future__ import annotations

from incidents.letters.approving import approve_content
from incidents.management.signing import SigningCommand
from incidents.models import Campaign


class Command(SigningCommand):
    help = "Sign a campaign's content (register and letters, by hash): approve CAMPAIGN --as USER --reason TEXT"
    knowing = True
    done = "content approved"

    def sign(self, **given: object) -> Campaign:
        """One domain call."""
        return approve_content(**given).campaign  # type: ignore[arg-type]
