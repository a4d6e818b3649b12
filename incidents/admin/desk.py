"""One incident at a glance: the three boxes, the way, clocks, laws, queues, letters, progress and exceptions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.law import authorities, grouped, laws
from incidents.admin.moments import Shown, shown_text
from incidents.admin.overview import EXCEPTIONS, Overview
from incidents.admin.progress import progress_of
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted
from incidents.law.facts import Anchor
from incidents.law.pack import load_packs
from incidents.models import Incident, MessageState, Obligation
from incidents.models.people import QueueKind, QueueStatus
from incidents.people.anchors import HOLD_UNTIL, PROCESSOR_AWARE, local_moment
from incidents.people.assessing import assess_incident, record_filing

ANCHORS = {
    Anchor.OCCURRED: "Occurred",
    Anchor.FIRST_HINT: "First hint",
    Anchor.DISCOVERED: "Discovered",
    Anchor.AWARE: "Aware: reasonable certainty",
    Anchor.DETERMINED: "Determined",
    Anchor.ASSESSED: "Assessed",
    Anchor.PEOPLE_TOLD: "People told",
    PROCESSOR_AWARE: "Processor aware (starts no clock of the controller)",
    HOLD_UNTIL: "Law enforcement asks to wait until",
}
ELEMENT_STATES = {
    "exposed": "Exposed",
    "exposed_for_some": "Exposed for some",
    "not_involved": "Confirmed not involved",
    "unknown": "Unknown",
}
COHORTS_SHOWN = 400


@require_GET
def desk(request: HttpRequest, incident_id: int) -> HttpResponse:
    """The incident's desk."""
    incident = incident_of(incident_id)
    view = Overview(incident=incident, user=officer(request))
    return page(
        request,
        "desk",
        title=incident.title,
        incident=incident,
        tab="desk",
        view=view,
        anchors=anchors(view.facts),
        elements=elements(view.facts),
        authorities=authorities(incident=incident, zone=view.facts["zone"]),
        laws=grouped(laws(incident=incident, zone=view.facts["zone"])),
        cohorts=incident.cohorts.filter(count__gt=0).order_by("-count", "residence")[:COHORTS_SHOWN],
        queues=queue_counts(incident),
        letters=letter_counts(incident),
        progress=progress_of(view.campaign) if view.campaign else None,
        exceptions=exceptions(view),
        zones=sorted(available_timezones()),
    )


def anchors(facts: dict[str, Any]) -> list[tuple[str, Shown | None]]:
    """The clock anchors in order; those not known are named too."""
    known = facts["anchors"]
    always = {Anchor.OCCURRED, Anchor.FIRST_HINT, Anchor.DISCOVERED, Anchor.AWARE}
    return [
        (label, shown_text(known.get(anchor, ""), zone=facts["zone"]))
        for anchor, label in ANCHORS.items()
        if anchor in always or anchor in known
    ]


def elements(facts: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """The data elements by what is known of them, in the vocabulary's words."""
    words = load_packs().vocabulary.elements
    found: dict[str, list[str]] = {state: [] for state in ELEMENT_STATES}
    for name, state in facts["elements"].items():
        found[state].append(words.get(name, name))
    return [(ELEMENT_STATES[state], names) for state, names in found.items() if names]


def queue_counts(incident: Incident) -> list[dict[str, Any]]:
    """Per queue: how many entries wait, and how many have which decision."""
    rows = incident.queue.order_by("kind").values("kind", "status").annotate(n=Count("id"))
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        queue = found.setdefault(row["kind"], {"kind": row["kind"], "label": QueueKind(row["kind"]).label, "all": 0})
        queue[row["status"]] = row["n"]
        queue["all"] += row["n"]
    for queue in found.values():
        queue["waiting"] = queue.get(QueueStatus.OPEN, 0) + queue.get(QueueStatus.REJECTION_PROPOSED, 0)
    return list(found.values())


def letter_counts(incident: Incident) -> list[dict[str, Any]]:
    """How many letters of which form in which language."""
    rows = incident.letters.order_by("form", "language").values("form", "language").annotate(n=Count("id"))
    return [dict(row) for row in rows]


def exceptions(view: Overview) -> list[tuple[str, str, int]]:
    """The states that need a person, with their number: state, label, people."""
    return [(state.value, str(MessageState(state).label), view.states.get(state, 0)) for state in EXCEPTIONS]


@require_POST
def assess(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Ask the law again, on the newest facts, findings and people."""
    incident = incident_of(incident_id)
    attempt(request, lambda: say_assessed(incident, request))
    return redirect("admin:law", incident_id)


def say_assessed(incident: Incident, request: HttpRequest) -> str:
    """Assess, and tell what came of it."""
    report = assess_incident(incident=incident, author=officer(request))
    return (
        f"{count(report.obligations, 'obligation')} for {count(report.cohorts, 'cohort')}; "
        f"{report.changed:,} changed; {count(len(report.questions), 'open question')}."
    )


@require_POST
def file_notice(request: HttpRequest, incident_id: int, obligation_id: int) -> HttpResponse:
    """Mark a notice to an authority as filed."""
    obligation = get_object_or_404(Obligation, pk=obligation_id, incident_id=incident_id, cohort=None)

    def step() -> str:
        record_filing(
            obligation=obligation,
            filed_at=_filed_at(request),
            reference=posted(request, "reference"),
            author=officer(request),
            reason_for_delay=posted(request, "reason_for_delay"),
        )
        return f"The notice of {obligation.jurisdiction} is marked as filed under {posted(request, 'reference')}."

    if attempt(request, step):
        # A filing starts clocks of its own: a second report, or the letters to people.
        attempt(request, lambda: say_assessed(obligation.incident, request))
    return redirect("admin:desk", incident_id)


def _filed_at(request: HttpRequest) -> datetime:
    return local_moment(text=posted(request, "filed_at"), zone=posted(request, "zone")).astimezone(UTC)
