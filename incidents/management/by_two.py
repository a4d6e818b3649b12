"""Commands for what two people say about somebody: one proposes with a reason, another confirms, anybody takes it back."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import User
from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, user_named
from incidents.models import AffectedPerson, Message
from incidents.models.refusal import Refused


class ByTwoCommand(OperatorCommand):
    """propose | confirm | withdraw, of somebody in a scope (an incident, a campaign)."""

    scope: ClassVar[str]
    proposing: ClassVar[str]
    #: Step -> what is said when it is done.
    done: ClassVar[dict[str, str]]

    def about(self, scope: str, person_ref: str) -> AffectedPerson | Message:
        """Whom, or which letter, it is about. Raises Refused."""
        raise NotImplementedError

    def propose(self, about: Any, reason: str, author: User) -> object:
        """First of two."""
        raise NotImplementedError

    def waiting(self, about: Any) -> Any:
        """The proposal that waits for a second person, if there is one."""
        raise NotImplementedError

    def confirm(self, proposal: Any, author: User) -> object:
        """Second of two."""
        raise NotImplementedError

    def withdraw(self, proposal: Any, reason: str, author: User) -> object:
        """Take it back."""
        raise NotImplementedError

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        for name, text in (
            ("propose", f"first of two: {self.proposing}"),
            ("confirm", "second of two: somebody else"),
            ("withdraw", "take a proposal back"),
        ):
            step = steps.add_parser(name, help=text)
            step.add_argument("scope", metavar=self.scope)
            step.add_argument("person_ref")
            step.add_argument("--as", dest="user", required=True, help="who decides")
            if name != "confirm":
                step.add_argument("--reason", required=True, help="in words, without personal data; it is kept in the log")

    def work(self, *, step: str, scope: str, person_ref: str, user: str, reason: str = "", **_: Any) -> int | None:
        about, author = self.about(scope, person_ref), user_named(user)
        if step == "propose":
            self.propose(about, reason, author)
        else:
            proposal = self.waiting(about)
            if proposal is None:
                raise Refused(f"No proposal about {person_ref} waits for a second person. Propose it first.")
            if step == "confirm":
                self.confirm(proposal, author)
            else:
                self.withdraw(proposal, reason, author)
        self.say(f"{person_ref}: {self.done[step]}")
        return None
