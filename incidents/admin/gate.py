"""Before letters leave: the preflight with its findings, the first wave, and the staff who get it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.shell import attempt, campaign_of, count, officer, page, posted
from incidents.dispatch.canary import retry_wave
from incidents.dispatch.preflight import fresh_report, preflight
from incidents.dispatch.staff import add_staff, brand_of, lacks_wave, opened, remove_staff, went_without
from incidents.models import Campaign, CampaignState, CanaryLetter, Incident, PreflightReport, StaffRecipient
from incidents.tasks import wake_campaign
from incidents.vault import CannotOpen, KeyAway, mask

WORDS = {
    "asked": "What was asked about",
    "content": "Content as signed", "tracking": "No tracking in the bytes", "credentials": "Provider knows us",
    "sender": "Sender allowed", "recipient": "Takes a letter",
    "transport": "Encrypted on the way", "spf": "SPF", "dkim": "DKIM", "dmarc": "DMARC",
    "alignment": "DMARC alignment", "dns": "DNS", "webhook": "Events come back", "clock": "Clocks", "disk": "Room: state folder",
    "database_disk": "Room: database", "first_wave": "First wave", "quota": "Quota and forecast",
    "fallback credentials": "Second provider knows us", "fallback sender": "Second provider: sender",
    "fallback recipient": "Second provider: takes a letter",
    "fallback transport": "Second provider: encrypted", "fallback webhook": "Second provider: events",
}  # fmt: skip
PILLS = {"ok": "met", "warn": "ask", "block": "bad", "accepted": "ask"}
LEVELS = {"ok": "fine", "warn": "look at it", "block": "stops the release", "accepted": "accepted"}
LETTER_WORDS = {
    "planned": "waits", "sending": "on its way", "doubt": "nobody knows whether it was sent", "accepted": "taken by the provider",
    "delivered": "delivered", "failed": "failed",
}  # fmt: skip
LETTER_PILLS = {"delivered": "met", "accepted": "met", "failed": "bad", "doubt": "ask"}
REPORTS_SHOWN = 20


@dataclass(frozen=True)
class MaskedStaff:
    """One of the staff as a list may show them."""

    staff: StaffRecipient
    name: str
    email: str


def masked_staff(staff: Iterable[StaffRecipient]) -> Iterator[MaskedStaff]:
    """First letters only; what was destroyed says so. The page is there without a KMS, which is then asked once: the button
    that pauses is on it."""
    away = False
    for one in staff:
        try:
            fields = None if away else opened(staff=one)
        except CannotOpen:
            yield MaskedStaff(one, "(removed)" if one.removed_at else "(cannot be opened)", "")
            continue
        except KeyAway:
            away, fields = True, None
        yield MaskedStaff(one, mask(fields.name), mask(fields.email)) if fields else MaskedStaff(one, "(no key now)", "")


def gate_of(campaign: Campaign) -> dict[str, Any]:
    """What the campaign's page shows of the gate and of the first wave."""
    waits = campaign.state in (CampaignState.FROZEN, CampaignState.CONTENT_APPROVED)
    letters = list(campaign.canaries.select_related("staff", "letter__cohort").defer("letter__compiled").order_by("id"))
    return {
        "report": fresh_report(campaign=campaign) if waits else None,
        "newest": campaign.preflights.order_by("-id").first(),
        "waits": waits,
        "letters": list(map(_letter, letters, masked_staff(letter.staff for letter in letters))),
        "brand": brand_of(incident=campaign.incident),
        "alone": waits and _lacks_wave(campaign),
        "went_without": went_without(campaign=campaign) if campaign.released_at and not letters else "",
    }


def _lacks_wave(campaign: Campaign) -> bool:
    """Whether to warn of it; without the key nobody knows, and then nothing is released either."""
    try:
        return lacks_wave(campaign=campaign)
    except (CannotOpen, KeyAway):
        return False


def _letter(letter: CanaryLetter, to: MaskedStaff) -> dict[str, Any]:
    return {
        "letter": letter, "to": to, "word": LETTER_WORDS[letter.state],
        "pill": LETTER_PILLS.get(letter.state, "quiet"),
    }  # fmt: skip


@require_GET
def preflight_page(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """The newest report, what may be accepted, and the reports before it."""
    found = campaign_of(incident_id, campaign_id)
    newest = found.preflights.order_by("-id").first()
    return page(
        request, "preflight", title=f"Preflight of {found.reference}", incident=found.incident, tab="campaigns", campaign=found,
        report=newest, findings=_findings(newest), earlier=found.preflights.order_by("-id")[1:REPORTS_SHOWN],
        fresh=fresh_report(campaign=found) is not None, brand=brand_of(incident=found.incident),
    )  # fmt: skip


def _findings(report: PreflightReport | None) -> list[dict[str, Any]]:
    return [
        {**one, "label": WORDS.get(one["name"], one["name"]), "pill": PILLS[one["level"]], "word": LEVELS[one["level"]]}
        for one in (report.findings if report else [])
    ]


@require_POST
def preflight_make(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """Look again; with a finding that is ticked as accepted, and the reason."""
    found, reason = campaign_of(incident_id, campaign_id), posted(request, "reason")
    accept = dict.fromkeys(request.POST.getlist("accept"), reason)

    def step() -> str:
        report = preflight(campaign=found, author=officer(request), accept=accept)
        stops = sum(one["level"] == "block" for one in report.findings)
        said = f"{count(stops, 'thing stops', 'things stop')}" if stops else "nothing stops"
        return f"Looked at {count(len(report.findings), 'thing')}: {said} the release."

    attempt(request, step)
    return redirect("admin:preflight", incident_id, campaign_id)


@require_POST
def canary_again(request: HttpRequest, incident_id: int, campaign_id: int) -> HttpResponse:
    """The first wave again, to those whose letter failed."""
    found = campaign_of(incident_id, campaign_id)

    def step() -> str:
        retry_wave(campaign=found, reason=posted(request, "reason"), author=officer(request))
        wake_campaign(found.pk)
        return "Those of the staff whose letter failed get one more; then the campaign goes on by itself."

    attempt(request, step)
    return redirect("admin:campaign", incident_id, campaign_id)


# -- the staff ---------------------------------------------------------------------------------------------------------


@require_GET
def staff(request: HttpRequest) -> HttpResponse:
    """Everyone who is entered, by brand, masked; and the form."""
    entered = StaffRecipient.objects.filter(removed_at=None).select_related("added_by").order_by("brand", "id")
    brands: dict[str, list[MaskedStaff]] = {}
    for one in masked_staff(entered):
        brands.setdefault(one.staff.brand, []).append(one)
    known = dict.fromkeys(brand_of(incident=incident) for incident in Incident.objects.order_by("-id")[:50])
    # With several brands, a guess would put somebody among the readers of another one's letters.
    asked = request.GET.get("brand", next(iter(known)) if len(known) == 1 else "")
    without = [brand for brand in dict.fromkeys([asked, *known]) if brand and brand not in brands]
    return page(
        request, "staff", title="Staff recipients", brands=list(brands.items()), known=[*known], asked=asked, without=without
    )


@require_POST
def staff_act(request: HttpRequest, act: str) -> HttpResponse:
    """Enter or remove one."""
    if act not in {"add", "remove"}:
        raise Http404
    attempt(request, lambda: _entered(request) if act == "add" else _removed(request))
    brand = posted(request, "brand")
    return redirect(f"{reverse('admin:staff')}?{urlencode({'brand': brand})}" if brand else "admin:staff")


def _entered(request: HttpRequest) -> str:
    said = {name: posted(request, name) for name in ("brand", "email", "language", "reason")}
    made = add_staff(name=posted(request, "full_name"), author=officer(request), **said)
    return f"Entered for {made.brand}. From the next release on they get one letter each, before anybody else."


def _removed(request: HttpRequest) -> str:
    number = posted(request, "staff")
    found = get_object_or_404(StaffRecipient, pk=number if number.isdecimal() else 0)
    remove_staff(staff=found, reason=posted(request, "reason"), author=officer(request))
    return "Removed; name and address are destroyed."
