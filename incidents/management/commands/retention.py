"""What is kept how long, and erasing what is due."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser

from incidents.audit.log import database_now
from incidents.management.operator import BAD_INPUT, OperatorCommand, incident_named, operator_user, user_named
from incidents.models import ErasureState, Incident
from incidents.models.refusal import Refused
from incidents.people.retention import CLASSES, Due, due, run, set_period


class Command(OperatorCommand):
    help = (
        "List what is kept until when (--dry-run), erase what is due (--run; done daily by itself), or give an incident a period "
        "of its own: retention [INCIDENT] --dry-run | --run | --set CLASS=DAYS --reason TEXT"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident", nargs="?")
        how = parser.add_mutually_exclusive_group(required=True)
        how.add_argument("--dry-run", action="store_true")
        how.add_argument("--run", action="store_true")
        how.add_argument("--set", dest="period", help=f"CLASS=DAYS after the close; classes: {', '.join(CLASSES)}")
        parser.add_argument("--reason", default="", help="why this incident's period differs")
        parser.add_argument("--as", dest="user", help="in whose name; default: operator")

    def work(self, *, incident: str | None, period: str | None, user: str | None, **given: Any) -> int | None:
        named = incident_named(incident) if incident else None
        if period is not None:
            self._set(named, period, given["reason"], user)
        elif given["dry_run"]:
            self._list(named)
        else:
            return self._run(named, user_named(user).username if user else "retention")
        return None

    def _run(self, named: Incident | None, actor: str) -> int | None:
        applied = run(actor=actor, incident=named)
        for one in applied:
            if one.skipped:
                self.say(f"{one.incident.reference}: {one.skipped}")
                continue
            done = ", ".join([f"{one.on_request} people on request", *(f"{n} {name}" for name, n in one.classes.items())])
            self.say(f"{one.incident.reference}: erased {done}")
        if not applied:
            self.say("Nothing was due.")
        return BAD_INPUT if any(one.skipped for one in applied) else None

    def _set(self, incident: Incident | None, period: str, reason: str, user: str | None) -> None:
        data_class, _, days = period.partition("=")
        if incident is None or not (days.isascii() and days.isdigit()):
            raise Refused("Give the incident and a period such as --set people=365, with --reason.")
        author = user_named(user) if user else operator_user()
        set_period(incident=incident, data_class=data_class, days=int(days), reason=reason, author=author)
        self.say(f"{incident.reference}: {data_class} are kept {int(days)} days after the close.")

    def _list(self, named: Incident | None) -> None:
        now = database_now()
        for incident in [named] if named else Incident.objects.order_by("id"):
            self.say(incident.reference)
            for one in due(incident=incident):
                self.say(f"  {one.data_class:8} {one.records:>9} {CLASSES[one.data_class]}: {_until(one, now)}")
            waiting = incident.erasures.filter(state=ErasureState.WAITING).count()
            if waiting:
                self.say(f"  {waiting} erasures on request wait; the person's page says for what")


def _until(one: Due, now: datetime) -> str:
    """DUE, until which day, or how long after what; and what keeps it longer."""
    if one.is_due(now):
        return "DUE"
    if one.due_at is None:
        return f"{one.days} days after {one.waits_for}"
    return f"until {one.due_at:%Y-%m-%d}" + (f", kept by {one.waits_for}" if one.waits_for else "")
