"""Giving somebody up whom nobody can reach: with a reason, by two people."""

from __future__ import annotations

from django.contrib.auth.models import User

from incidents.dispatch.unreachable import (
    confirm_unreachable,
    open_proposal,
    propose_unreachable,
    withdraw_unreachable,
)
from incidents.management.by_two import ByTwoCommand
from incidents.management.operator import campaign_named, message_of
from incidents.models import Message, Unreachable


class Command(ByTwoCommand):
    help = (
        "Give somebody up by two: unreachable propose|withdraw CAMPAIGN PERSON_REF --as USER --reason TEXT, "
        "unreachable confirm CAMPAIGN PERSON_REF --as USER"
    )
    scope, proposing = "campaign", "say what was tried, and why nothing is left"
    done = {
        "propose": "proposed; somebody else confirms it",
        "confirm": "cannot be reached, said by two; the line is final",
        "withdraw": "the proposal is withdrawn",
    }

    def about(self, scope: str, person_ref: str) -> Message:
        return message_of(campaign_named(scope), person_ref)

    def propose(self, about: Message, reason: str, author: User) -> Unreachable:
        return propose_unreachable(message=about, reason=reason, author=author)

    def waiting(self, about: Message) -> Unreachable | None:
        return open_proposal(message=about)

    def confirm(self, proposal: Unreachable, author: User) -> Unreachable:
        return confirm_unreachable(proposal=proposal, author=author)

    def withdraw(self, proposal: Unreachable, reason: str, author: User) -> Unreachable:
        return withdraw_unreachable(proposal=proposal, reason=reason, author=author)
