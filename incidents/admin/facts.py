"""Open an incident, amend its facts, and see every version with author and reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from incidents.admin.facts_form import FactsForm, in_words, place_of
from incidents.admin.facts_newer import Newer, newer_than
from incidents.admin.moments import local_text, shown
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted, whole
from incidents.letters.standing import standing
from incidents.models import Incident
from incidents.models.refusal import Refused
from incidents.people.anchors import odd_moments
from incidents.people.assessing import assess_incident
from incidents.people.opening import FactsMoved, amend_facts, open_incident


@require_http_methods(["GET", "HEAD", "POST"])
def new_incident(request: HttpRequest) -> HttpResponse:
    """An empty form; posted: the incident with its first version of facts."""
    form, errors = FactsForm(request.POST if request.method == "POST" else None), []
    if request.method == "POST":
        try:
            incident = open_incident(facts=form.facts(), author=officer(request), drill="drill" in request.POST)
        except Refused as refusal:
            errors = _lines(refusal)
        else:
            messages.success(request, f"The incident {incident.reference} is open. Import the list of people next.")
            # The clocks of authorities run from the first moment, whoever is on the list.
            attempt(request, lambda: _asked(incident, request))
            _point_out(request, incident.facts.facts)
            return redirect("admin:desk", incident.pk)
    return page(request, "facts", title="New incident", form=form, errors=errors, tab="new")


def _asked(incident: Incident, request: HttpRequest) -> str:
    report = assess_incident(incident=incident, author=officer(request))
    return f"The law was asked: {count(report.obligations, 'obligation')} before anybody is on the list."


@require_http_methods(["GET", "HEAD", "POST"])
def facts(request: HttpRequest, incident_id: int) -> HttpResponse:
    """The newest facts in the form, and all versions; posted: one version more, unless somebody else's came before it."""
    incident, errors, newer = incident_of(incident_id), [], None
    current = incident.facts
    form = FactsForm(request.POST if request.method == "POST" else None, stored=current.facts)
    if request.method == "POST":
        try:
            return _amended(request, incident, form)
        except FactsMoved as moved:
            newer = _newer(request, incident, form, moved)
        except Refused as refusal:
            errors = _lines(refusal)
    return page(
        request, "facts", title="Facts", incident=incident, tab="facts", form=form, errors=errors, newer=newer,
        # What was typed stays typed on the version that its page showed.
        shown=_shown(request) if request.method == "POST" else current.number, versions=_versions(incident),
    )  # fmt: skip


def _amended(request: HttpRequest, incident: Incident, form: FactsForm) -> HttpResponse:
    """Save the boxes as a new version. Raises Refused, and FactsMoved unless the newer version was read and is named."""
    known = whole(posted(request, "over")) or _shown(request)
    version = amend_facts(
        incident=incident, facts=form.facts(), author=officer(request), reason=posted(request, "reason"), shown=known
    )
    messages.success(request, f"The facts stand at version {version.number}. {_touched(incident)}")
    _point_out(request, version.facts)
    return redirect("admin:facts", incident.pk)


def _shown(request: HttpRequest) -> int:
    """The version from which the posted page was made; 0 when it names none."""
    return whole(posted(request, "version"))


def _newer(request: HttpRequest, incident: Incident, form: FactsForm, moved: FactsMoved) -> Newer:
    return newer_than(incident=incident, version=moved.newer, number=_shown(request), typed=form.facts(), form=form)


def _touched(incident: Incident) -> str:
    """How far the change reaches: nothing that was derived changes by itself."""
    now = standing(incident=incident)
    if now.sound:
        return "Nothing that was derived from them would be different."
    return f"Touched: {now.counts}. {' '.join(now.remedies)}"


def _point_out(request: HttpRequest, facts: Mapping[str, Any]) -> None:
    """What is possible and still looks like a slip; nothing is refused for it."""
    for line in odd_moments(facts=facts):
        messages.warning(request, f"Look at {line}")


def _lines(refusal: Refused) -> list[tuple[str, str]]:
    return [(place_of(line), in_words(line)) for line in refusal.lines]


def _versions(incident: Incident) -> list[dict[str, Any]]:
    """Newest first, each with what changed since the one before."""
    rows = list(incident.fact_versions.select_related("author").order_by("number"))
    found = []
    for before, row in zip([None, *rows], rows, strict=False):
        zone = row.facts["zone"]
        changes = _changes(_in_zone(before.facts, zone), _in_zone(row.facts, zone)) if before else []
        found.append({"row": row, "at": shown(row.recorded_at, zone=row.facts["zone"]), "changes": changes})
    return found[::-1]


def _in_zone(facts: dict[str, Any], zone: str) -> dict[str, Any]:
    """The facts with their moments as the clocks of the incident's zone showed them."""
    return {**facts, "anchors": {name: local_text(datetime.fromisoformat(at), zone) for name, at in facts["anchors"].items()}}


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """What differs: name, before, after; one level into the groups."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [(f"{name}.{inner}", was, now) for inner, was, now in _changes(old, new)]
        elif old != new:
            found.append((name, old, new))
    return found
