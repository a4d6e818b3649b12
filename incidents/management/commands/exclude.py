"""The only removal after a freeze: with a reason, by two people."""

from __future__ import annotations

from django.contrib.auth.models import User

from incidents.management.by_two import ByTwoCommand
from incidents.management.operator import incident_named
from incidents.models import AffectedPerson, Exclusion
from incidents.models.refusal import Refused
from incidents.people.excluding import (
    confirm_exclusion,
    open_exclusion,
    propose_exclusion,
    withdraw_exclusion,
)


class Command(ByTwoCommand):
    help = (
        "Exclude a person by two: exclude propose|withdraw INCIDENT PERSON_REF --as USER --reason TEXT, "
        "exclude confirm INCIDENT PERSON_REF --as USER"
    )
    scope, proposing = "incident", "say why this person is not to be written to"
    done = {
        "propose": "exclusion proposed; somebody else confirms it",
        "confirm": "excluded by two; nothing more is sent to this person",
        "withdraw": "the proposal is withdrawn",
    }

    def about(self, scope: str, person_ref: str) -> AffectedPerson:
        person = incident_named(scope).people.filter(reference=person_ref).first()
        if person is None:
            raise Refused(f"'{person_ref}' is nobody on the list of {scope}. The person's page shows the reference.")
        return person

    def propose(self, about: AffectedPerson, reason: str, author: User) -> Exclusion:
        return propose_exclusion(person=about, reason=reason, author=author)

    def waiting(self, about: AffectedPerson) -> Exclusion | None:
        return open_exclusion(person=about)

    def confirm(self, proposal: Exclusion, author: User) -> Exclusion:
        return confirm_exclusion(exclusion=proposal, author=author)

    def withdraw(self, proposal: Exclusion, reason: str, author: User) -> Exclusion:
        return withdraw_exclusion(exclusion=proposal, reason=reason, author=author)
