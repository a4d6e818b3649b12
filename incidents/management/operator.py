"""What all operators' commands share: plain messages instead of tracebacks, and the four exit codes.

0 holds, 1 a check failed, 2 bad input, 3 a service is down (see `manage.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TextIO, cast

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand

from incidents.audit.log import TreeWentBack
from incidents.models import Campaign, Incident, Message
from incidents.models.refusal import Refused
from incidents.only_reading import only_reads

FAILED, BAD_INPUT = 1, 2
#: Users as authors: most roles in the database may not read passwords.
NAMES = User.objects.defer("password")


class OperatorCommand(BaseCommand):
    """Parse, one domain call, print, exit code. `work` returns the exit code or None for 0."""

    requires_system_checks = []
    requires_migrations_checks = False

    #: The command's own few lines: parse, one domain call, print.
    work: Callable[..., int | None]

    def handle(self, *args: Any, **options: Any) -> None:
        """Run `work`; a refusal becomes its lines on the error stream and exit code 2."""
        try:
            code = self.work(**options)
        except Refused as refusal:
            for line in refusal.lines:
                self.stderr.write(line)
            sys.exit(BAD_INPUT)
        except TreeWentBack as alarm:
            self.stderr.write(str(alarm))
            sys.exit(FAILED)
        if code:
            sys.exit(code)

    @property
    def out(self) -> TextIO:
        """The output as a plain stream, for progress."""
        return cast(TextIO, self.stdout._out)

    def say(self, line: str = "") -> None:
        """One line on the output, at once."""
        self.stdout.write(line)
        self.stdout.flush()


def incident_named(reference: str) -> Incident:
    """The incident of a reference. Raises Refused."""
    found = Incident.objects.filter(reference=reference).first()
    if found is None:
        known = ", ".join(Incident.objects.order_by("-id").values_list("reference", flat=True)[:5]) or "none yet"
        raise Refused(f"There is no incident '{reference}'. Known: {known}.")
    return found


def campaign_named(reference: str) -> Campaign:
    """The campaign of a reference such as 'cartier-2025-c1'. Raises Refused."""
    found = Campaign.objects.filter(reference=reference).select_related("incident").first()
    if found is None:
        known = ", ".join(Campaign.objects.order_by("-id").values_list("reference", flat=True)[:5]) or "none yet"
        raise Refused(f"There is no campaign '{reference}'. Known: {known}. 'freeze INCIDENT' makes one and prints its name.")
    return found


def message_of(campaign: Campaign, person_ref: str) -> Message:
    """The message of somebody on a campaign's register. Raises Refused."""
    found = campaign.messages.filter(entry__person__reference=person_ref).order_by("id").first()
    if found is None:
        raise Refused(f"'{person_ref}' is nobody on the register of {campaign.reference}. The person's page shows the reference.")
    return found


def user_named(name: str) -> User:
    """The active user of a name, who may act. Raises Refused."""
    found = NAMES.filter(username=name, is_active=True).first()
    if found is None:
        raise Refused(f"There is no active user '{name}'. 'manage.py sign_in {name}' makes one.")
    if only_reads(found):
        raise Refused(f"'{name}' only reads (sign_in --read-only): nothing is done in this name. Name somebody who may act.")
    return found


def operator_user() -> User:
    """The user under whose name commands without --as work: 'operator', which nobody can sign in as."""
    found = NAMES.filter(username="operator").first()
    if found is None:
        raise Refused("There is no user 'operator', under whose name this works. 'manage.py migrate' makes it.")
    return found
