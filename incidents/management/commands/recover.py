"""After an older database was put back: list what may have left since, and let the log go on."""

from __future__ import annotations

from typing import Any

from incidents.dispatch.recovering import recover
from incidents.management.operator import campaign_named, user_named
from incidents.management.signing import SigningCommand


class Command(SigningCommand):
    help = "List what may have left since a backup that was put back: recover CAMPAIGN --as USER --reason TEXT"

    def work(self, *, campaign: str, user: str, reason: str, **_: Any) -> int | None:
        found = recover(campaign=campaign_named(campaign), author=user_named(user), reason=reason)
        self.say(f"lost: the entries after {found.kept.size} of the signed log of {found.lost.size}, root {found.lost.root}")
        for name, number in found.doubts.items():
            self.say(f"{name}: {number} letters may have left; they are in doubt ('settle {name}' lists them)")
        self.say("Nothing is sent yet: compare with the provider ('reconcile'), settle what you know, then 'resume'.")
        return None
