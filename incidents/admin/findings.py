"""What only a person can say, with the reason: risk, misuse, harm, letters that no law owes, unknown laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.desk import say_assessed
from incidents.admin.overview import Overview
from incidents.admin.shell import attempt, incident_of, officer, page, posted
from incidents.models import Finding, Incident
from incidents.people.opening import newest_findings, record_finding


@dataclass(frozen=True)
class Sheet:
    """One question with its possible answers; `scoped` names what an answer may be limited to."""

    key: str
    title: str
    explains: str
    answers: tuple[tuple[str, str], ...]
    scoped: str = ""


YES_NO = (("yes", "Yes"), ("no", "No"))
SHEETS = (
    Sheet(
        "risk",
        "How high is the risk to people?",
        "GDPR Art 33 and 34, and laws like it: authorities are told unless a risk is unlikely, people when it is high.",
        (("unlikely", "A risk is unlikely"), ("risk", "A risk, but not a high one"), ("high", "A high risk")),
    ),
    Sheet(
        "misuse_likely",
        "Is misuse of the data likely, or has it happened?",
        "The harm tests of several US statutes.",
        YES_NO,
    ),
    Sheet(
        "serious_harm_likely",
        "Is serious harm likely?",
        "The threshold of laws such as Australia's and Canada's.",
        YES_NO,
    ),
    Sheet(
        "voluntary_notice",
        "Write to people to whom no law owes a letter?",
        "The controller's own choice; the letter says so and claims no duty.",
        (("yes", "Yes, write to them"), ("no", "No letter")),
        "jurisdiction",
    ),
    Sheet(
        "law_unknown",
        "Places for which there is no law pack",
        "A courtesy letter may go; the open question keeps the campaign from closing until the law is checked.",
        (("courtesy", "Courtesy notice, law to be checked"), ("no", "No letter until the law is checked")),
        "residence",
    ),
    Sheet(
        "count_difference",
        "The list differs from the number expected",
        "Say why, if it does.",
        (("explained", "Explained"),),
    ),
)


@require_GET
def findings(request: HttpRequest, incident_id: int) -> HttpResponse:
    """All questions, what was found, and who asks."""
    incident = incident_of(incident_id)
    view = Overview(incident=incident, user=officer(request))
    history = incident.findings.select_related("author").order_by("-id")[:50]
    sheets = [_shown(sheet, view, newest_findings(incident=incident)) for sheet in SHEETS]
    return page(request, "findings", title="Findings", incident=incident, tab="findings", sheets=sheets, history=history)


def _shown(sheet: Sheet, view: Overview, newest: dict[tuple[str, str], Finding]) -> dict[str, Any]:
    asking = view.choices_open if sheet.key == "voluntary_notice" else view.questions.get(sheet.key, [])
    answers = dict(sheet.answers)
    given = [(answers.get(found.value, found.value), found) for (key, _), found in newest.items() if key == sheet.key]
    return {"sheet": sheet, "asking": asking, "given": given, "scopes": _scopes(view.incident, sheet)}


def _scopes(incident: Incident, sheet: Sheet) -> list[str]:
    if not sheet.scoped:
        return []
    towards = incident.obligations.filter(superseded=False, addressee="person", cohort__count__gt=0)
    owed = "no" if sheet.key == "voluntary_notice" else "ask"
    return list(towards.filter(owed=owed).order_by("jurisdiction").values_list("jurisdiction", flat=True).distinct())


@require_POST
def find(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Record a finding, then ask the law again."""
    incident, key = incident_of(incident_id), posted(request, "key")

    def step() -> str:
        record_finding(
            incident=incident,
            key=key,
            value=posted(request, "value"),
            reason=posted(request, "reason"),
            author=officer(request),
            scope=posted(request, "scope"),
        )
        return "The finding is recorded under your name."

    if attempt(request, step):
        attempt(request, lambda: say_assessed(incident, request))
    return redirect("admin:findings", incident_id)
