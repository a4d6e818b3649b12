"""What providers told that contradicts what is known, and what names nothing of ours: listed for a person. Only read here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from incidents.admin.shell import PAGE_SIZE, incident_of, page, whole
from incidents.models import Incident, Message, ProviderEvent

#: By the index of conflicts, so that a desk with millions of events finds its few.
CONFLICTS = """
SELECT e.* FROM incidents_providerevent e JOIN incidents_message m ON m.message_ref = e.message_ref
JOIN incidents_campaign c ON c.id = m.campaign_id
WHERE c.incident_id = %s AND e.effect LIKE 'conflict%%' AND (%s = 0 OR e.id < %s) ORDER BY e.id DESC LIMIT %s"""


@require_GET
def events(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Fifty conflicts at a time, newest first; `before` goes on. Below them the newest of the unknown."""
    incident, before = incident_of(incident_id), whole(request.GET.get("before", ""))
    found = _conflicts(incident, before)
    rows = found[:PAGE_SIZE]
    return page(
        request,
        "events",
        title="What providers told",
        incident=incident,
        tab="log",
        rows=[(row, _campaign_of(row)) for row in rows],
        older=rows[-1].pk if len(found) > PAGE_SIZE else 0,
        first=not before,
        unknown=list(ProviderEvent.objects.filter(effect="unknown message").order_by("-id")[:PAGE_SIZE]),
    )


def _conflicts(incident: Incident, before: int) -> list[ProviderEvent]:
    return list(ProviderEvent.objects.raw(CONFLICTS, [incident.pk, before, before, PAGE_SIZE + 1]))


def _campaign_of(event: ProviderEvent) -> Message:
    return Message.objects.select_related("campaign").get(message_ref=event.message_ref)
