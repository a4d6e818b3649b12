"""Amendments: people who join a running incident later, with a register, letters and signatures of their own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, incident_named, user_named
from incidents.models import Amendment, Incident
from incidents.models.refusal import Refused
from incidents.people.amending import (
    current_amendment,
    join,
    open_amendment,
    people_of,
    waiting_counts,
    waiting_in_bulk,
    waits_because,
)
from incidents.people.anchors import local_moment


class Command(OperatorCommand):
    help = "People who come later: amend open|join|list INCIDENT"

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        opening = steps.add_parser("open", help="open an amendment with its own moment of awareness")
        joining = steps.add_parser("join", help="let people join the open amendment")
        listing = steps.add_parser("list", help="show the amendments, and who waits for one")
        for step in (opening, joining, listing):
            step.add_argument("incident")
        for step in (opening, joining):
            step.add_argument("--as", dest="user", required=True, help="the author")
            step.add_argument("--reason", required=True, help="in words; it is kept in the log")
        opening.add_argument("--aware-at", required=True, help="when you learnt of these people: 2026-03-02T14:30+01:00")
        joining.add_argument("person_refs", nargs="*", metavar="PERSON_REF")
        joining.add_argument("--waiting", action="store_true", help="all who wait and can have no earlier letter ('amend list')")
        listing.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, step: str, incident: str, **given: Any) -> int | None:
        found = incident_named(incident)
        steps: dict[str, Callable[..., Iterator[str]]] = {"open": self._open, "join": self._join, "list": self._list}
        for line in steps[step](found, **given):
            self.say(line)
        return None

    def _open(self, incident: Incident, *, aware_at: str, user: str, reason: str, **_: Any) -> Iterator[str]:
        moment = local_moment(text=aware_at, zone=incident.facts.facts["zone"])
        made = open_amendment(incident=incident, reason=reason, aware_at=moment, author=user_named(user))
        yield f"amendment {made.number} of {incident.reference}: open; aware at {made.aware_at.isoformat()}"

    def _join(self, incident: Incident, *, user: str, reason: str, **given: Any) -> Iterator[str]:
        amendment = current_amendment(incident=incident)
        if amendment is None:
            raise Refused("No amendment is open. Open one first: amend open INCIDENT --aware-at MOMENT.")
        people = incident.people.filter(reference__in=given["person_refs"])
        if given["waiting"]:
            people = incident.people.filter(pk__in=list(waiting_in_bulk(incident=incident).values_list("pk", flat=True)))
        missing = set(given["person_refs"]) - set(people.values_list("reference", flat=True)) if given["person_refs"] else set()
        if missing or not (given["waiting"] or given["person_refs"]):
            raise Refused(f"Nobody of this name is on the list: {', '.join(sorted(missing)) or 'name people, or --waiting'}.")
        done = join(amendment=amendment, people=people, reason=reason, author=user_named(user))
        yield f"amendment {amendment.number} of {incident.reference}: {done} people joined"

    def _list(self, incident: Incident, *, as_json: bool, **_: Any) -> Iterator[str]:
        told = [_told(one) for one in incident.amendments.order_by("number")]
        waiting = {waits_because(was=was): number for was, number in waiting_counts(incident=incident).items()}
        by_name = sum(waiting.values()) - waiting_in_bulk(incident=incident).count()
        if as_json:
            found = {"incident": incident.reference, "amendments": told, "waiting": waiting, "by_name_only": by_name}
            yield json.dumps(found, indent=1)
            return
        for one in told:
            state = one["campaign"] or "open"
            yield f"amendment {one['number']}: {one['people']} people, aware at {one['aware_at']}, {state}: {one['reason']}"
        for why, number in sorted(waiting.items()):
            yield f"{number} people wait: {why}"
        if by_name:
            yield f"{by_name} of them may have an earlier letter already: they join by name only"
        if not told and not waiting:
            yield "no amendment, and nobody waits for one"


def _told(amendment: Amendment) -> dict[str, Any]:
    campaign = amendment.campaigns.first()
    people = people_of(incident=amendment.incident, amendment=amendment)
    return {
        "number": amendment.number, "aware_at": amendment.aware_at.isoformat(), "reason": amendment.reason,
        "people": people.count(), "found_late": people.filter(amendment=amendment).count(),
        "campaign": campaign.reference if campaign else None,
    }  # fmt: skip
