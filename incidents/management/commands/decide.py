"""Show what waits in the queues, and take a decision for one queue or one person in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandParser
from django.db.models import Count, QuerySet

from incidents.management.operator import OperatorCommand, incident_named, user_named
from incidents.models import Incident, QueueEntry
from incidents.models.people import QueueKind, QueueStatus
from incidents.models.refusal import Refused
from incidents.people import deciding, merging, representing
from incidents.people.decisions import NOTHING_DECIDED

#: Step -> what it does, and the option that it needs beside the reason.
STEPS: dict[str, tuple[Callable[..., int], str]] = {
    "hold": (deciding.hold, "until"),
    "accept": (deciding.accept, ""),
    "residence": (deciding.correct_residence, "residence"),
    "one": (merging.merge_people, ""),
    "two": (merging.keep_apart, ""),
    "safe": (representing.confirm_safe, ""),
    "reject": (deciding.propose_rejection, ""),
    "refuse": (deciding.refuse_rejection, ""),
}
CONFIRM = "confirm"


class Command(OperatorCommand):
    help = "Show the queues, or decide: decide INCIDENT [KIND STEP --as USER --reason TEXT]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("kind", nargs="?", choices=QueueKind.values)
        parser.add_argument("step", nargs="?", choices=[*STEPS, CONFIRM])
        parser.add_argument("--person", help="only this person's entry: the reference on the person's page")
        parser.add_argument("--until", type=date.fromisoformat, help="hold: the day on which it is looked at again")
        parser.add_argument("--to", dest="residence", help="residence: the ISO code")
        parser.add_argument("--reason", default="")
        parser.add_argument("--as", dest="user", help="who decides; a rejection is confirmed by somebody else")

    def work(self, *, incident: str, kind: str | None, step: str | None, user: str | None, **given: Any) -> None:
        found = incident_named(incident)
        if kind is None or step is None:
            self._show(found, kind)
            return
        if not user:
            raise Refused("A decision has an author: name the user with --as.")
        entries = found.queue.filter(kind=kind)
        if given["person"]:
            entries = entries.filter(person__reference=given["person"])
        done = _decide(found, entries, step, user_named(user), given)
        told = f"{done} entries decided: {step}." if done else NOTHING_DECIDED
        self.say(f"{told} {deciding.undecided(incident=found).count()} still need a decision.")

    def _show(self, incident: Incident, kind: str | None) -> None:
        counts = incident.queue.values("kind", "status").annotate(n=Count("pk")).order_by("kind", "status")
        for row in counts.filter(kind=kind) if kind else counts:
            self.say(f"{row['n']:>8}  {row['kind']:<20} {QueueStatus(row['status']).words}: {QueueKind(row['kind']).label}")
        self.say(f"{deciding.undecided(incident=incident).count()} entries need a decision before the freeze.")


def _decide(incident: Incident, entries: QuerySet[QueueEntry], step: str, author: User, given: dict[str, Any]) -> int:
    if step == CONFIRM:
        return deciding.confirm_rejection(incident=incident, entries=entries, author=author)
    act, needed = STEPS[step]
    if needed and not given[needed]:
        raise Refused(f"The step {step} needs --{'to' if needed == 'residence' else needed}.")
    more = {needed: given[needed]} if needed else {}
    return act(incident=incident, entries=entries, reason=given["reason"], author=author, **more)
