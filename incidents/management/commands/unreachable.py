"""Giving somebody up whom nobody can reach: with a reason, by two people."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.unreachable import (
    confirm_unreachable,
    open_proposal,
    propose_unreachable,
    withdraw_unreachable,
)
from incidents.management.operator import OperatorCommand, campaign_named, message_of, user_named
from incidents.models import Message, Unreachable
from incidents.models.refusal import Refused

_DONE = {
    "propose": "proposed; somebody else confirms it",
    "confirm": "cannot be reached, said by two; the line is final",
    "withdraw": "the proposal is withdrawn",
}


class Command(OperatorCommand):
    help = "Give somebody up by two: unreachable propose|confirm|withdraw CAMPAIGN PERSON_REF --as USER [--reason TEXT]"

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        for name, text in (
            ("propose", "first of two: say what was tried, and why nothing is left"),
            ("confirm", "second of two: somebody else"),
            ("withdraw", "take a proposal back"),
        ):
            step = steps.add_parser(name, help=text)
            step.add_argument("campaign")
            step.add_argument("person_ref")
            step.add_argument("--as", dest="user", required=True, help="who decides")
            if name != "confirm":
                step.add_argument("--reason", required=True, help="in words, without personal data; it is kept in the log")

    def work(self, *, step: str, campaign: str, person_ref: str, user: str, reason: str = "", **_: Any) -> int | None:
        message, author = message_of(campaign_named(campaign), person_ref), user_named(user)
        if step == "propose":
            propose_unreachable(message=message, reason=reason, author=author)
        elif step == "confirm":
            confirm_unreachable(proposal=_open(message, person_ref), author=author)
        else:
            withdraw_unreachable(proposal=_open(message, person_ref), reason=reason, author=author)
        self.say(f"{person_ref}: {_DONE[step]}")
        return None


def _open(message: Message, person_ref: str) -> Unreachable:
    found = open_proposal(message=message)
    if found is None:
        raise Refused(f"No proposal about {person_ref} waits for a second person. Propose it first.")
    return found
