"""How long data are kept: erasures asked for, legal holds, periods by class, and what is due."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.people import person_of
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted, whole
from incidents.models import Erasure, ErasureState, Incident
from incidents.models.refusal import Refused
from incidents.people.erasing import end_request, erase_due, lift_hold, place_hold, request_erasure, standing_hold
from incidents.people.retention import CLASSES, closed_at, due, set_period

SHOWN = 200


@require_GET
def keeping(request: HttpRequest, incident_id: int) -> HttpResponse:
    """What is kept, until when, and what stands against erasing it."""
    incident = incident_of(incident_id)
    related = ("person", "author", "ended_by")
    return page(
        request, "keeping", title="Keeping and erasing", incident=incident, tab="people", hold=standing_hold(incident=incident),
        holds=incident.legal_holds.select_related("placed_by", "lifted_by").order_by("-id"), closed=closed_at(incident=incident),
        due=[(CLASSES[one.data_class], one) for one in due(incident=incident)], classes=CLASSES.items(),
        erasures=incident.erasures.select_related(*related).order_by("done_at", "id")[:SHOWN],
        waiting=incident.erasures.filter(state=ErasureState.WAITING).count(),
    )  # fmt: skip


def _next_run() -> str:
    """When what waits for nothing any more is erased."""
    at_once = "or at once by 'Erase what waits for nothing any more' under Keeping and erasing"
    return f"The next run erases what is due, within {settings.RETENTION_EVERY_HOURS} hours; {at_once}."


@require_POST
def ask_erasure(request: HttpRequest, incident_id: int, person_id: int) -> HttpResponse:
    """Record a person's request for erasure."""
    found = person_of(incident_id, person_id)

    def step() -> str:
        made = request_erasure(person=found, reason=posted(request, "reason"), author=officer(request))
        return f"Recorded. It waits for {made.waits_for}." if made.waits_for else f"Recorded. {_next_run()}"

    attempt(request, step, again=True)
    return redirect("admin:person", incident_id, person_id)


@require_POST
def end_erasure(request: HttpRequest, incident_id: int, erasure_id: int) -> HttpResponse:
    """End a waiting request: withdrawn by the person, or refused, with the reason."""
    found = get_object_or_404(Erasure, pk=erasure_id, incident_id=incident_id)

    def step() -> str:
        end_request(erasure=found, state=posted(request, "state"), reason=posted(request, "reason"), author=officer(request))
        return "The request is ended; the reason is kept."

    attempt(request, step, again=True)
    return redirect("admin:keeping", incident_id)


@require_POST
def keep(request: HttpRequest, incident_id: int, step: str) -> HttpResponse:
    """Place or lift a legal hold, set a period, or erase what was asked for and waits for nothing any more."""
    incident = incident_of(incident_id)
    if step not in STEPS:
        raise Http404
    attempt(request, lambda: STEPS[step](incident, request))
    return redirect("admin:keeping", incident_id)


def _place(incident: Incident, request: HttpRequest) -> str:
    place_hold(incident=incident, reason=posted(request, "reason"), author=officer(request))
    return "The hold stands: nothing of this incident is erased until it is lifted."


def _lift(incident: Incident, request: HttpRequest) -> str:
    hold = standing_hold(incident=incident)
    if hold is None:
        raise Refused("No hold stands.")
    lift_hold(hold=hold, reason=posted(request, "reason"), author=officer(request))
    return f"The hold is lifted. {_next_run()}"


def _period(incident: Incident, request: HttpRequest) -> str:
    days, data_class = whole(posted(request, "days")), posted(request, "data_class")
    if not posted(request, "days").isdigit():
        raise Refused("Give the period as a whole number of days.")
    set_period(incident=incident, data_class=data_class, days=days, reason=posted(request, "reason"), author=officer(request))
    return f"{CLASSES[data_class].capitalize()}: kept for {count(days, 'day')} after the close."


def _erase(incident: Incident, request: HttpRequest) -> str:
    done = erase_due(incident=incident, actor=officer(request).username)
    return f"{count(done, 'person', 'people')} erased. What the others wait for is written beside them."


STEPS: dict[str, Callable[[Incident, HttpRequest], str]] = {
    "hold": _place, "lift": _lift, "period": _period, "erase": _erase,
}  # fmt: skip
