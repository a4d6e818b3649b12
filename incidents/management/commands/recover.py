"""After an older database was put back: list what may have left since, and let the log go on."""

from __future__ import annotations

from typing import Any

from incidents.dispatch.recovering import recover, recover_log
from incidents.management.operator import campaign_named, user_named
from incidents.management.signing import SigningCommand
from incidents.models import Campaign, Incident


class Command(SigningCommand):
    help = "List what may have left since a backup was put back: recover CAMPAIGN|INCIDENT --as USER --reason TEXT"

    def work(self, *, campaign: str, user: str, reason: str, **_: Any) -> int | None:
        of_nobody = Incident.objects.filter(reference=campaign).first()
        if of_nobody and not Campaign.objects.filter(reference=campaign).exists():
            found = recover_log(incident=of_nobody, author=user_named(user), reason=reason)
        else:
            found = recover(campaign=campaign_named(campaign), author=user_named(user), reason=reason)
        self.say(f"lost: the entries after {found.kept.size} of the signed log of {found.lost.size}, root {found.lost.root}")
        for name, number in found.doubts.items():
            self.say(f"{name}: {number} letters may have left; they are in doubt ('settle {name}' lists them)")
        if not found.doubts:
            return None
        self.say("Nothing is sent yet: compare with the provider ('reconcile'), settle what you know, then 'resume'.")
        return None
