"""The only removal after a freeze: with a reason, by two people."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, incident_named, user_named
from incidents.models import AffectedPerson, Exclusion
from incidents.models.refusal import Refused
from incidents.people.excluding import (
    confirm_exclusion,
    open_exclusion,
    propose_exclusion,
    withdraw_exclusion,
)


class Command(OperatorCommand):
    help = "Exclude a person by two: exclude propose|confirm|withdraw INCIDENT PERSON_REF --as USER [--reason TEXT]"

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        for name, text in (
            ("propose", "first of two: say why this person is not to be written to"),
            ("confirm", "second of two: somebody else"),
            ("withdraw", "take a proposal back"),
        ):
            step = steps.add_parser(name, help=text)
            step.add_argument("incident")
            step.add_argument("person_ref")
            step.add_argument("--as", dest="user", required=True, help="who decides")
            if name != "confirm":
                step.add_argument("--reason", required=True, help="in words, without personal data; it is kept in the log")

    def work(self, *, step: str, incident: str, person_ref: str, user: str, reason: str = "", **_: Any) -> int | None:
        person = incident_named(incident).people.filter(reference=person_ref).first()
        if person is None:
            raise Refused(f"'{person_ref}' is nobody on the list of {incident}. The person's page shows the reference.")
        author = user_named(user)
        if step == "propose":
            propose_exclusion(person=person, reason=reason, author=author)
        elif step == "confirm":
            confirm_exclusion(exclusion=_open(person), author=author)
        else:
            withdraw_exclusion(exclusion=_open(person), reason=reason, author=author)
        self.say(f"{person_ref}: {_DONE[step]}")
        return None


_DONE = {
    "propose": "exclusion proposed; somebody else confirms it",
    "confirm": "excluded by two; nothing more is sent to this person",
    "withdraw": "the proposal is withdrawn",
}


def _open(person: AffectedPerson) -> Exclusion:
    found = open_exclusion(person=person)
    if found is None:
        raise Refused(f"No exclusion of {person.reference} waits for a second person. Propose one first.")
    return found
