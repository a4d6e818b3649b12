"""Letters that wait for a person: which need another channel, are in quarantine, in doubt, or of which two things were told; each
decided with a reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.letter_by import letters_by
from incidents.admin.people import keyset, masked
from incidents.admin.shell import attempt, campaign_of, count, officer, page, posted, whole
from incidents.admin.ways_back import page_again
from incidents.dispatch.again import give_to_other_channel, let_out, settle_doubt, try_again
from incidents.dispatch.contradictions import believe, told_twice, undecided
from incidents.dispatch.unreachable import (
    confirm_unreachable,
    open_proposals,
    propose_unreachable,
    withdraw_unreachable,
)
from incidents.models import Campaign, Doubt, Message, ProviderEvent, Unreachable
from incidents.models import MessageState as S
from incidents.models.messages import in_states
from incidents.models.refusal import Refused
from incidents.tasks import wake_campaign

#: Page -> its name, and what can be decided there.
PAGES = {"another-channel": S.NEEDS_OTHER_CHANNEL.label, "quarantine": S.QUARANTINED.label, "told-twice": "told two things"}
Decide = Callable[..., object]
DECISIONS: dict[str, tuple[Decide, str]] = {
    "again": (try_again, "sent again by this channel"),
    "unreachable": (propose_unreachable, "proposed as unreachable; a second person confirms it"),
    "let-out": (let_out, "let out of quarantine and sent"),
    "other-channel": (give_to_other_channel, "now needs another channel"),
    "arrived": (partial(believe, arrived=True), "counts as delivered"),
    "came-back": (partial(believe, arrived=False), "now needs another channel"),
    "stands": (partial(believe, arrived=None), "stays as it stands, by your decision"),
}
FITS = {
    "another-channel": ("again", "unreachable"), "quarantine": ("let-out", "other-channel"),
    "told-twice": ("arrived", "came-back", "stands"),
}  # fmt: skip
DOUBTS_SHOWN = 100


@require_GET
def waiting(request: HttpRequest, incident_id: int, campaign_id: int, kind: str) -> HttpResponse:
    """Who waits for a decision, masked, with the reason and the time left on the same clock."""
    found = campaign_of(incident_id, campaign_id)
    people = _waiting(found, kind).select_related("entry__person")
    rows, older, newer = keyset(people, after=whole(request.GET.get("after", "")), before=whole(request.GET.get("before", "")))
    return page(
        request, "undelivered", title=f"{found.reference}: {PAGES[kind]}", incident=found.incident, tab="campaigns",
        campaign=found, kind=kind, rows=_shown(found, rows), older=older, newer=newer, number=people.count(),
        proposals=open_proposals(campaign=found)[:100] if kind == "another-channel" else [],
        given_up=_given_up(found) if kind == "another-channel" else [],
    )  # fmt: skip


def _waiting(campaign: Campaign, kind: str) -> QuerySet[Message]:
    if kind not in PAGES:
        raise Http404
    if kind == "told-twice":
        return told_twice(campaign=campaign)
    return campaign.messages.filter(in_states(S.QUARANTINED if kind == "quarantine" else S.NEEDS_OTHER_CHANNEL))


def _shown(campaign: Campaign, rows: list[Message]) -> list[dict[str, Any]]:
    people = [message.entry.person for message in rows]
    named, dates = masked(incident=campaign.incident, people=people), letters_by(people=people, zone=campaign.facts.facts["zone"])
    proposed = set(open_proposals(campaign=campaign).filter(message__in=rows).values_list("message_id", flat=True))
    against = _against(rows)
    return [
        {
            "message": message, "person": one, "by": by, "proposed": message.pk in proposed,
            "against": against.get(message.message_ref, []),
        }
        for message, one, by in zip(rows, named, dates, strict=True)
    ]  # fmt: skip


def _against(rows: list[Message]) -> dict[str, list[ProviderEvent]]:
    """Letter -> what was told against where it stands, the oldest first."""
    found: dict[str, list[ProviderEvent]] = {}
    for event in undecided().filter(message_ref__in=[message.message_ref for message in rows]).order_by("id"):
        found.setdefault(event.message_ref, []).append(event)
    return found


def _given_up(campaign: Campaign) -> list[Unreachable]:
    found = Unreachable.objects.filter(message__campaign=campaign, confirmed_at__isnull=False)
    return list(found.select_related("person", "proposed_by", "confirmed_by").order_by("-id")[:100])


@require_POST
def decide_letters(request: HttpRequest, incident_id: int, campaign_id: int, kind: str) -> HttpResponse:
    """One decision with one reason for the ticked letters; each stands or is refused by itself."""
    found = campaign_of(incident_id, campaign_id)
    chosen = _waiting(found, kind).filter(pk__in=[whole(pk) for pk in request.POST.getlist("message")]).order_by("id")

    def step() -> str:
        if posted(request, "do") not in FITS[kind]:
            raise Refused("Choose what to do with these letters.")
        decide, done = DECISIONS[posted(request, "do")]
        letters = list(chosen)
        if not letters:
            raise Refused("No letter is chosen. Tick at least one.")
        for message in letters:
            decide(message=message, reason=posted(request, "reason"), author=officer(request))
        wake_campaign(found.pk)
        return f"{count(len(letters), 'letter')}: {done}."

    here = reverse("admin:waiting_letters", args=[incident_id, campaign_id, kind])
    return redirect(here if attempt(request, step) else page_again(request, here))


@require_POST
def decide_unreachable(request: HttpRequest, incident_id: int, unreachable_id: int, step: str) -> HttpResponse:
    """Confirm as the second, or take back."""
    proposals = Unreachable.objects.select_related("message__campaign")
    proposal = get_object_or_404(proposals, pk=unreachable_id, incident_id=incident_id)
    if step not in {"confirm", "withdraw"}:
        raise Http404

    def done() -> str:
        if step == "confirm":
            confirm_unreachable(proposal=proposal, author=officer(request))
            return "Cannot be reached, said by two people; the line is final."
        withdraw_unreachable(proposal=proposal, reason=posted(request, "reason"), author=officer(request))
        return "The proposal is taken back."

    attempt(request, done)
    return redirect("admin:waiting_letters", incident_id, proposal.message.campaign_id, "another-channel")


@require_GET
def doubts(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """Every send of which nobody knows whether it happened: the open ones first, each with how it ended."""
    found = campaign_of(incident_id, campaign_id)
    rows = Doubt.objects.filter(message__campaign=found).select_related("message__entry__person")
    newest_open_first = rows.order_by(F("settled_at").desc(nulls_first=True), "-id")
    return page(
        request, "doubts", title=f"{found.reference}: doubts", incident=found.incident, tab="campaigns", campaign=found,
        doubts=newest_open_first[:DOUBTS_SHOWN], number=rows.count(), open_number=rows.filter(settled_at=None).count(),
    )  # fmt: skip


@require_POST
def settle(request: HttpRequest, incident_id: int, campaign_id: int, doubt_id: int) -> HttpResponse:
    """Settle a doubt by what a person knows."""
    doubt = get_object_or_404(Doubt, pk=doubt_id, message__campaign_id=campaign_id, message__campaign__incident_id=incident_id)
    arrived = posted(request, "arrived")

    def step() -> str:
        if arrived not in {"yes", "no"}:
            raise Refused("Say whether the letter arrived.")
        settle_doubt(doubt=doubt, arrived=arrived == "yes", reason=posted(request, "reason"), author=officer(request))
        return "The doubt is settled; how and by whom is in the log."

    attempt(request, step)
    return redirect("admin:doubts", incident_id, campaign_id)
