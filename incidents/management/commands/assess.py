"""Ask the law engine what is owed to whom."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, incident_named, operator_user, user_named
from incidents.people.assessing import assess_incident


class Command(OperatorCommand):
    help = "Derive every obligation from facts, findings and cohorts: assess INCIDENT"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("--as", dest="user", help="the author; default: operator")

    def work(self, *, incident: str, user: str | None, **_: Any) -> int | None:
        found = incident_named(incident)
        report = assess_incident(incident=found, author=user_named(user) if user else operator_user())
        self.say(f"{report.cohorts} cohorts, {report.obligations} duties looked at, {report.changed} changed.")
        for duty in found.obligations.filter(superseded=False, cohort=None, owed="yes").order_by("due_at"):
            self.say(f"  {duty.jurisdiction} {duty.addressee}: {duty.due_at or duty.deadline_kind.replace('_', ' ')}")
        for question in report.questions:
            self.say(f"  a person has to decide: {question}")
        return None
