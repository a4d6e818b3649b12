"""After the freeze: amendments for people found late or corrected, corrections of one person, exclusions by two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.column_names import CORRECTABLE
from incidents.admin.people import keyset, masked, person_of
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted, whole
from incidents.admin.ways_back import page_again
from incidents.models import AffectedPerson, Amendment, Exclusion, Incident, Message
from incidents.models.messages import FINAL_STATES, TOLD_STATES
from incidents.models.refusal import Refused
from incidents.people.amending import (
    current_amendment,
    join,
    open_amendment,
    people_of,
    people_waiting,
    waiting_in_bulk,
    waits_because,
)
from incidents.people.anchors import local_moment
from incidents.people.correcting import EMAILS
from incidents.people.deciding import correct_record
from incidents.people.excluding import confirm_exclusion, propose_exclusion, withdraw_exclusion
from incidents.people.moving import standing_messages


@require_GET
def amendments(request: HttpRequest, incident_id: int) -> HttpResponse:
    """All amendments, who could join the open one, and the exclusions that wait for a second person."""
    incident = incident_of(incident_id)
    current = current_amendment(incident=incident)
    waiting = people_waiting(incident=incident)
    rows, older, newer = keyset(waiting, after=whole(request.GET.get("after", "")), before=whole(request.GET.get("before", "")))
    return page(
        request, "amendments", title="Amendments", incident=incident, tab="campaigns", frozen=incident.campaigns.exists(),
        current=current, inside=people_of(incident=incident, amendment=current).count() if current else 0,
        amendments=[_told(one) for one in incident.amendments.select_related("author").order_by("-number")],
        rows=_with_reasons(incident, rows), number=waiting.count(), older=older, newer=newer,
        in_bulk=waiting_in_bulk(incident=incident).count(),
        exclusions=_exclusions(incident), zone=incident.facts.facts["zone"],
    )  # fmt: skip


def _told(amendment: Amendment) -> dict[str, Any]:
    people = people_of(incident=amendment.incident, amendment=amendment).count()
    return {"amendment": amendment, "people": people, "campaign": amendment.campaigns.first()}


def _with_reasons(incident: Incident, rows: list[AffectedPerson]) -> list[dict[str, Any]]:
    shown = masked(incident=incident, people=rows)
    return [{"person": one, "why": _why(one.person)} for one in shown]


def _why(person: AffectedPerson) -> str:
    return waits_because(was=getattr(person, "was", None), may_have_it=getattr(person, "may_have_it", False))


def _exclusions(incident: Incident) -> list[Exclusion]:
    return list(incident.exclusions.select_related("person", "proposed_by", "confirmed_by").order_by("-id")[:100])


@require_POST
def open_one(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Open an amendment with its own moment of awareness."""
    incident = incident_of(incident_id)

    def step() -> str:
        aware_at = local_moment(text=posted(request, "aware_at"), zone=posted(request, "zone")).astimezone(UTC)
        made = open_amendment(incident=incident, reason=posted(request, "reason"), aware_at=aware_at, author=officer(request))
        return f"Amendment {made.number} is open. Import the late list, or let people join below."

    attempt(request, step)
    return redirect("admin:amendments", incident_id)


@require_POST
def join_people(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Put the ticked people, or all who wait and have no letter yet, into the open amendment."""
    incident = incident_of(incident_id)

    def step() -> str:
        current = current_amendment(incident=incident)
        if current is None:
            raise Refused("No amendment is open. Open one first.")
        chosen = waiting_in_bulk(incident=incident)
        if posted(request, "scope") != "all":
            chosen = incident.people.filter(pk__in=[whole(pk) for pk in request.POST.getlist("person")])
        if not chosen.exists():
            raise Refused("Nobody is chosen. Tick people, or choose everybody who waits.")
        people = AffectedPerson.objects.filter(pk__in=list(chosen.values_list("pk", flat=True)))
        done = join(amendment=current, people=people, reason=posted(request, "reason"), author=officer(request))
        return f"{count(done, 'person joins', 'people join')} amendment {current.number}."

    here = reverse("admin:amendments", args=[incident_id])
    return redirect(here if attempt(request, step) else page_again(request, here))


def _letters(person: AffectedPerson) -> QuerySet[Message]:
    return standing_messages(people=AffectedPerson.objects.filter(pk=person.pk)).order_by("id")


def _of_the_letter(person: AffectedPerson, before: dict[int, str]) -> str:
    """What a correction did to somebody's letters, which stood so before; empty where none was planned."""
    after = dict(_letters(person).values_list("pk", "state"))
    if before.keys() - after.keys():
        return " The letter that was not sent yet is taken back: it goes anew with an amendment."
    if TOLD_STATES & set(after.values()):
        return " They were told already and keep that letter: another one goes only when they join an amendment by name."
    return " The letter that is planned stands as it is." if set(after.values()) - FINAL_STATES else ""


@require_POST
def correct(request: HttpRequest, incident_id: int, person_id: int) -> HttpResponse:
    """Correct fields of one person; empty fields stay as they are. The earlier record is kept as a version."""
    found = person_of(incident_id, person_id)

    def step() -> str:
        changes = {name: posted(request, name) for name in CORRECTABLE if posted(request, name)}
        changes |= {name: "" for name in request.POST.getlist("clear") if name in CORRECTABLE and name not in EMAILS[:1]}
        if not changes:
            raise Refused("Nothing is filled in. Write the right value into the field that is wrong.")
        before = dict(_letters(found).values_list("pk", "state"))
        was, answered = correct_record(person=found, changes=changes, reason=posted(request, "reason"), author=officer(request))
        closed = f" {count(answered, 'question is', 'questions are')} answered by it." if answered else ""
        return f"Corrected; version {was.number} is kept.{closed}{_of_the_letter(found, before)}"

    attempt(request, step, again=True)
    return redirect("admin:person", incident_id, person_id)


@require_POST
def exclude(request: HttpRequest, incident_id: int, person_id: int) -> HttpResponse:
    """First of two: propose that this person is not written to."""
    found = person_of(incident_id, person_id)

    def step() -> str:
        propose_exclusion(person=found, reason=posted(request, "reason"), author=officer(request))
        return "Proposed. A second person confirms it; until then nothing changes."

    attempt(request, step)
    return redirect("admin:person", incident_id, person_id)


@require_POST
def decide_exclusion(request: HttpRequest, incident_id: int, exclusion_id: int, step: str) -> HttpResponse:
    """Second of two confirms, or anybody takes the proposal back."""
    found = get_object_or_404(Exclusion.objects.select_related("incident", "person"), pk=exclusion_id, incident_id=incident_id)
    steps: dict[str, Callable[[], str]] = {
        "confirm": lambda: _confirmed(request, found),
        "withdraw": lambda: _withdrawn(request, found),
    }
    if step not in steps:
        raise Http404
    attempt(request, steps[step])
    return redirect("admin:amendments", incident_id)


def _confirmed(request: HttpRequest, found: Exclusion) -> str:
    confirm_exclusion(exclusion=found, author=officer(request))
    return f"{found.person.reference} is excluded by two. The register keeps the line."


def _withdrawn(request: HttpRequest, found: Exclusion) -> str:
    withdraw_exclusion(exclusion=found, reason=posted(request, "reason"), author=officer(request))
    return f"The proposal about {found.person.reference} is taken back."
