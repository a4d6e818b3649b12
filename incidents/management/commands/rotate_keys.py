"""New keys, by wrapping anew."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand, incident_named, operator_user, user_named
from incidents.people.rotating import rotate_incident, rotate_master


class Command(OperatorCommand):
    help = "Wrap keys anew, while everything runs; killed, it goes on where it was: rotate_keys --master | --incident INCIDENT"

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("--master", action="store_true", help="incidents' keys, from MASTER_KEY_OLD to MASTER_KEY")
        which.add_argument("--incident", help="people's keys, to a new version of this incident's key")
        parser.add_argument("--as", dest="user", help="in whose name; default: operator")

    def work(self, *, master: bool, incident: str | None, user: str | None, **_: Any) -> int | None:
        actor = (user_named(user) if user else operator_user()).username
        if master or incident is None:
            done = rotate_master(actor=actor)
            self.say(f"{done.wrapped} keys of incidents wrapped with the present master key; {done.already} were already.")
            self.say("MASTER_KEY_OLD can be taken from every process now, and the former key destroyed once no backup needs it.")
            return None
        turned = rotate_incident(incident=incident_named(incident), actor=actor, progress=self._progress)
        self.say(f"{turned.wrapped} keys of people wrapped with version {turned.version} of the key of {incident}.")
        if turned.damaged:
            self.say(f"{turned.damaged} people's keys do not open: each waits in the queue 'A value that needs a look'.")
        if turned.waits_for:
            self.say(f"The former version is kept: {turned.waits_for}.")
            return FAILED
        self.say("The former version is destroyed.")
        return None

    def _progress(self, number: int) -> None:
        if number % 100_000 == 0:
            self.say(f"{number} keys")
