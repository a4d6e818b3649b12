"""The limits of the providers on a campaign's page: what is shut, until when and why; and closing a breaker by hand."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from incidents.admin.moments import Shown, shown
from incidents.admin.shell import attempt, campaign_of, count, officer, posted
from incidents.dispatch.channels.choose import providers
from incidents.dispatch.limits import CLOSED, HALF_OPEN, refuses_us
from incidents.dispatch.pace_shown import Aside, Pace, close_breaker, domains_aside, paces_of, waiting_for_domains
from incidents.models import Campaign

#: Breaker -> its pill's tone and what it says.
WORDS = {
    CLOSED: ("met", "open for letters"),
    "paused": ("ask", "asked us to wait"),
    "open": ("bad", "shut: it failed"),
    HALF_OPEN: ("ask", "tried with one letter"),
}


@dataclass(frozen=True)
class Way:
    """One provider, or one recipient domain that was put aside, as the page shows it."""

    name: str
    tone: str
    says: str
    until: Shown | None
    reason: str
    #: The row that can be closed; None: there is nothing to close.
    limit_id: int | None
    #: Letters ready for this domain; 0 for a provider.
    waiting: int = 0
    pace: Pace | None = None


def ways(*, campaign: Campaign) -> list[Way]:
    """The providers in the order of failover, then the domains that are put aside."""
    zone, names = campaign.facts.facts["zone"], providers()
    aside = domains_aside(providers=names)
    waiting = waiting_for_domains(campaign=campaign, aside=aside)
    return [_provider(pace, zone) for pace in paces_of(providers=names)] + [
        _domain(one, waiting.get(one.key, 0), zone) for one in aside if one.key in waiting
    ]


def _provider(pace: Pace, zone: str) -> Way:
    tone, says = WORDS[pace.breaker]
    if pace.is_lowered and pace.breaker == CLOSED:
        tone, says = "ask", "slowed down: it said that we are too fast"
    if (pace.spent_until and pace.breaker == CLOSED) or pace.says_used_up:
        held = f"today's quota is taken; {count(pace.in_hand, 'letter')} of it not out yet"
        tone, says = "ask", held if pace.in_hand and not pace.says_used_up else "today's quota is used up"
    if refuses_us(row=pace.row):
        tone, says = "bad", "refuses us"
    closable = pace.breaker != CLOSED or pace.is_lowered
    until = shown(pace.blocked_until or pace.spent_until, zone=zone)
    return Way(pace.provider, tone, says, until, pace.row.reason, pace.row.pk if closable else None, pace=pace)


def _domain(one: Aside, waiting: int, zone: str) -> Way:
    tone, says = WORDS[HALF_OPEN] if one.breaker == HALF_OPEN else ("bad", "put aside")
    return Way(f"a domain at {one.provider}", tone, says, shown(one.until, zone=zone), one.reason, one.id, waiting)


@require_POST
def close_limit(request: HttpRequest, incident_id: int, campaign_id: int, limit_id: int) -> HttpResponse:
    """Close a breaker now, with a reason."""
    found = campaign_of(incident_id, campaign_id)

    def step() -> str:
        row = close_breaker(limit_id=limit_id, incident=found.incident, author=officer(request), reason=posted(request, "reason"))
        what = f"A domain at {row.provider}" if row.scope else row.provider
        return f"{what} is asked again from now on. Your reason is in the log."

    attempt(request, step)
    return redirect("admin:campaign", incident_id, campaign_id)
