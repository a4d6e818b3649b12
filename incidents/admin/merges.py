"""Merged rows and people: why each was taken for the same person, and the undo."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.people import keyset, masked
from incidents.admin.shell import attempt, incident_of, officer, page, posted, whole
from incidents.models import Incident, Merge
from incidents.people.merging import undo_merge

#: What agreed, in words.
TIERS = {
    "customer": "customer number", "reference": "the list's own number", "email": "e-mail and name",
    "address": "name and postal address", "birth": "name and birth date", "decision": "decided by a person",
}  # fmt: skip


@require_GET
def merges(request: HttpRequest, incident_id: int) -> HttpResponse:
    """All merges, fifty at a time, by the identifier that agreed."""
    incident = incident_of(incident_id)
    tier = request.GET.get("tier", "")
    found = incident.merges.select_related("person", "other", "row__batch", "author", "undone_by")
    chosen = found.filter(tier=tier) if tier else found
    rows, older, newer = keyset(chosen, after=whole(request.GET.get("after", "")), before=whole(request.GET.get("before", "")))
    named = masked(incident=incident, people=[merge.person for merge in rows])
    return page(
        request, "merges", title="Merged rows", incident=incident, tab="people", older=older, newer=newer, tier=tier,
        rows=list(zip(rows, named, strict=True)), query=f"tier={tier}&" if tier else "",
        tiers=[(name, TIERS.get(name, name), number) for name, number in _tiers(incident)],
    )  # fmt: skip


def _tiers(incident: Incident) -> Iterable[tuple[str, int]]:
    return incident.merges.values_list("tier").annotate(number=Count("id")).order_by("tier")


@require_POST
def undo(request: HttpRequest, incident_id: int, merge_id: int) -> HttpResponse:
    """Take one merge back: the row, or the person, stands for itself again."""
    merge = get_object_or_404(Merge.objects.select_related("incident"), pk=merge_id, incident_id=incident_id)

    def step() -> str:
        alone = undo_merge(merge=merge, reason=posted(request, "reason"), author=officer(request))
        return f"Taken back: {alone.reference} is a person of their own again."

    attempt(request, step, again=True)
    return redirect("admin:merges", incident_id)
