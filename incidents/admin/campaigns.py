"""The campaign: freeze, the two signatures, pause, stop, close, and what became of everybody on the register."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.lookups import IsNull
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.gate import gate_of
from incidents.admin.moments import shown
from incidents.admin.people import keyset, masked
from incidents.admin.progress import kept_check, progress_of
from incidents.admin.shell import attempt, campaign_of, count, incident_of, officer, page, page_in_zone, posted, whole
from incidents.dispatch.campaign import (
    close,
    freeze,
    pause,
    release,
    release_obstacle,
    resume,
    stop,
)
from incidents.dispatch.obstacles import campaign_questions, count_difference, freeze_obstacles, incident_questions
from incidents.letters.approving import approve_content, content_obstacle
from incidents.letters.signed_content import signed_content
from incidents.letters.standing import OVER, standing, standing_of
from incidents.models import Campaign, CampaignState, Doubt, MessageState
from incidents.models.letters import ApprovalKind
from incidents.models.messages import CAMPAIGN_MOVES, in_states
from incidents.people.amending import current_amendment

Move = Callable[..., object]
#: Every move a person can make: the domain call, and what is said when it is done.
MOVES: dict[str, tuple[Move, str]] = {
    "approve": (approve_content, "Your signature stands under the content."),
    "release": (release, "Your signature releases the campaign; the workers begin within seconds."),
    "pause": (pause, "Paused: no new message starts. What is in flight finishes."),
    "resume": (resume, "Resumed."),
    "stop": (stop, "Stopped for good: everything not begun is cancelled."),
    "close": (close, "The campaign is closed."),
}
#: Moves that sign what was frozen, and that may do so knowing that it is stale.
SIGNATURES = frozenset({"approve", "release"})
#: Which state each move leads to; it is offered when the state machine allows it.
LEADS_TO = {"pause": CampaignState.PAUSED, "stop": CampaignState.STOPPED, "close": CampaignState.CLOSED}
DOUBTS_SHOWN, CHUNKS_SHOWN = 10, 20


@require_GET
def campaigns(request: HttpRequest, incident_id: int) -> HttpResponse:
    """The newest campaign; before there is one, or for the next one, what still keeps a register from being frozen."""
    incident = incident_of(incident_id)
    newest = incident.campaigns.order_by("-id").first()
    if newest and "next" not in request.GET:
        return redirect("admin:campaign", incident_id, newest.pk)
    obstacles, now = freeze_obstacles(incident=incident), standing(incident=incident)
    return page(
        request, "freeze", title="Campaign", incident=incident, tab="campaigns", obstacles=obstacles, standing=now,
        amendment=current_amendment(incident=incident), differs=count_difference(incident=incident),
        earlier=incident.campaigns.order_by("id"),
    )  # fmt: skip


@require_POST
def freeze_register(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Freeze register and letters by hash."""
    incident = incident_of(incident_id)

    def step() -> str:
        made = freeze(incident=incident, author=officer(request))
        return (
            f"Frozen as {made.reference}, with {count(made.people, 'person', 'people')} on the register. Two signatures follow."
        )

    attempt(request, step)
    return redirect("admin:campaigns", incident_id)


@require_GET
def campaign(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """Everything about one campaign."""
    found = campaign_of(incident_id, campaign_id)
    zone, now, (check, checked_at) = found.facts.facts["zone"], standing_of(campaign=found), kept_check(found)
    return page_in_zone(
        request,
        "campaign",
        zone=zone,
        title=f"Campaign {found.reference}",
        incident=found.incident,
        tab="campaigns",
        campaign=found,
        progress=progress_of(found),
        check=check,
        checked=shown(checked_at, zone=zone),
        signing=_signing(found, request),
        content=signed_content(campaign=found),
        standing=now,
        knowing="" if now.duties.towards_people else now.fingerprint,
        moves=_moves(found),
        authors=_names(found.author_ids),
        moments=[(label, shown(at, zone=zone)) for label, at in _moments(found) if at],
        doubts=_doubts(found),
        gate=gate_of(found),
        chunks=found.chunks.order_by("-id")[:CHUNKS_SHOWN],
        **_open_questions(found),
        others=found.incident.campaigns.exclude(pk=found.pk).select_related("amendment").order_by("id"),
        amendment=current_amendment(incident=found.incident),
    )


def _open_questions(found: Campaign) -> dict[str, Any]:
    """What keeps a drained campaign open, and what keeps the incident open; the last campaign waits for both."""
    if found.state != CampaignState.DRAINED:
        return {"questions": [], "of_incident": [], "last": False}
    return {
        "questions": campaign_questions(campaign=found),
        "of_incident": incident_questions(incident=found.incident),
        "last": not found.incident.campaigns.exclude(pk=found.pk).exclude(state__in=OVER).exists(),
    }


def _signing(found: Campaign, request: HttpRequest) -> dict[str, Any]:
    """Both signatures, and why the reader cannot give the one that is due."""
    user, given = officer(request), {one.kind: one for one in found.approvals.select_related("author")}
    return {
        "content": given.get(ApprovalKind.CONTENT),
        "release": given.get(ApprovalKind.RELEASE),
        "content_obstacle": content_obstacle(campaign=found, author=user, reason="asked"),
        "release_obstacle": release_obstacle(campaign=found, author=user, reason="asked"),
    }


def _moves(found: Campaign) -> set[str]:
    allowed = CAMPAIGN_MOVES[found.state]
    offered = {name for name, state in LEADS_TO.items() if state in allowed}
    return offered | ({"resume"} if found.state == CampaignState.PAUSED else set())


def _names(author_ids: list[int]) -> list[str]:
    return list(User.objects.filter(pk__in=author_ids).order_by("username").values_list("username", flat=True))


def _moments(found: Campaign) -> list[tuple[str, Any]]:
    return [("Frozen", found.frozen_at), ("Released", found.released_at), ("Drained", found.drained_at)]


def _doubts(found: Campaign) -> list[Doubt]:
    """The open ones first, and of each kind the newest first."""
    rows = Doubt.objects.filter(message__campaign=found).select_related("message__entry__person")
    return list(rows.order_by(IsNull(F("settled_at"), False), "-id")[:DOUBTS_SHOWN])


@require_GET
def progress(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """The part of the page that moves, alone; the script asks for it every few seconds."""
    found = campaign_of(incident_id, campaign_id)
    zone = found.facts.facts["zone"]
    # What the page it is a part of still shows of before: its state, and the acts that do not fit any more.
    gone = ["state", *(f"act-{name}" for name in ("pause", "resume") if name not in _moves(found))]
    return page_in_zone(
        request, "progress", zone=zone, title="Progress", progress=progress_of(found), incident=found.incident, gone=gone
    )


@require_GET
def campaign_people(request: HttpRequest, incident_id: int, campaign_id: int, state: str) -> HttpResponse:
    """Who is in a state, masked, fifty at a time."""
    found = campaign_of(incident_id, campaign_id)
    if state not in MessageState.values:
        raise Http404
    rows, older, newer = keyset(
        found.messages.filter(in_states(state)).select_related("entry__person"),
        after=whole(request.GET.get("after", "")),
        before=whole(request.GET.get("before", "")),
    )
    named = masked(incident=found.incident, people=[message.entry.person for message in rows])
    return page(
        request,
        "state",
        title=f"{found.reference}: {MessageState(state).label}",
        incident=found.incident,
        tab="campaigns",
        campaign=found,
        rows=list(zip(rows, named, strict=True)),
        older=older,
        newer=newer,
    )


@require_POST
def move(request: HttpRequest, incident_id: int, campaign_id: int, step: str) -> HttpResponse:
    """One move of the campaign, with its reason."""
    found = campaign_of(incident_id, campaign_id)
    if step not in MOVES:
        raise Http404
    call, said = MOVES[step]

    more = {"despite": posted(request, "despite")} if step in SIGNATURES else {}
    if step == "release" and posted(request, "alone"):
        more["without_wave"] = posted(request, "without_wave")

    def done() -> str:
        call(campaign=found, author=officer(request), reason=posted(request, "reason"), **more)
        return said

    attempt(request, done)
    return redirect("admin:campaign", incident_id, campaign_id)
