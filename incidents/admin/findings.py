"""What only a person can say, with the reason: risk, misuse, harm, letters that no law owes, unknown laws."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.desk import say_assessed
from incidents.admin.overview import Overview
from incidents.admin.questions import Asked, open_questions, special_cases
from incidents.admin.severity import Panel, panel_of
from incidents.admin.shell import attempt, incident_of, officer, page, posted
from incidents.dispatch.obstacles import count_difference
from incidents.law.severity import Suggestion
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


RISK = "risk"
YES_NO = (("yes", "Yes"), ("no", "No"))
SHEETS = (
    Sheet(
        RISK,
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
    view = Overview(incident=incident_of(incident_id), user=officer(request))
    return _page(request, view, panel_of(view=view, post=request.POST))


def _page(request: HttpRequest, view: Overview, panel: Panel) -> HttpResponse:
    """The page; after a post that recorded nothing, with everything that was typed."""
    incident, newest = view.incident, newest_findings(incident=view.incident)
    history = incident.findings.select_related("author").order_by("-id")[:50]
    return page(
        request,
        "findings",
        title="Findings",
        incident=incident,
        tab="findings",
        sheets=[_shown(sheet, view, newest) for sheet in SHEETS],
        further=_further(incident, newest),
        history=history,
        panel=panel,
        typed=request.POST,
        # Both numbers stand beside the question, also when it is answered.
        numbers=count_difference(incident=incident, explained=True),
        differs=view.difference is not None,
    )


def _further(incident: Incident, newest: dict[tuple[str, str], Finding]) -> list[dict[str, Any]]:
    """The law's further questions first, then the special cases; an answered question stays, with its answer."""
    own = [sheet.key for sheet in SHEETS]
    waiting = open_questions(incident=incident, besides=own)
    cases = special_cases(incident=incident, besides=[*own, *(asked.key for asked in waiting)])
    shown = {asked.key for asked in [*waiting, *cases]} | set(own)
    answered = [Asked(key, key.replace("_", " "), "") for key, scope in newest if key not in shown and not scope]
    return [
        {"asked": asked, "waits": waits, "given": newest.get((asked.key, ""))}
        for waits, group in ((True, waiting), (False, [*cases, *answered]))
        for asked in group
    ]


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
    """Record a finding, then ask the law again. The risk has a page of its own to come back to: its suggestion."""
    incident, key = incident_of(incident_id), posted(request, "key")
    if key == RISK:
        return _find_risk(request, incident)
    _record(request, incident, key)
    return redirect("admin:findings", incident_id)


def _find_risk(request: HttpRequest, incident: Incident) -> HttpResponse:
    """Weigh the answers anew, or record the finding beside the suggestion that was on the page."""
    view = Overview(incident=incident, user=officer(request))
    panel = panel_of(view=view, post=request.POST)
    if posted(request, "do") == "weigh":
        return _page(request, view, panel)
    if posted(request, "shown") != panel.shown:
        messages.error(request, "The suggestion has changed with the answers or the facts. Read it, then record.")
        return _page(request, view, panel)
    if not _record(request, incident, RISK, suggestion=panel.suggestion, why_different=posted(request, "why_different")):
        return _page(request, view, panel)
    return redirect("admin:findings", incident.pk)


def _record(
    request: HttpRequest, incident: Incident, key: str, *, suggestion: Suggestion | None = None, why_different: str = ""
) -> bool:
    def step() -> str:
        record_finding(
            incident=incident,
            key=key,
            value=posted(request, "value"),
            reason=posted(request, "reason"),
            author=officer(request),
            scope=posted(request, "scope"),
            suggestion=suggestion,
            why_different=why_different,
        )
        return "The finding is recorded under your name."

    recorded = attempt(request, step)
    if recorded:
        attempt(request, lambda: say_assessed(incident, request))
    return recorded
