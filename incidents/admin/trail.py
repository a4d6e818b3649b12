"""The log of one incident, newest first, and its signed checkpoints. Only read here."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from incidents.admin.shell import PAGE_SIZE, incident_of, page, whole
from incidents.audit.actions import Action
from incidents.audit.log import fingerprint_of_key
from incidents.models import AuditCheckpoint, AuditEvent, AuditLog

CHECKPOINTS_SHOWN = 10


@require_GET
def log(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Fifty entries at a time; `action` filters, `before` goes on."""
    incident = incident_of(incident_id)
    action, before = request.GET.get("action", ""), whole(request.GET.get("before", ""))
    found = _entries(AuditLog.objects.filter(incident=incident).first(), action, before)
    rows = found[:PAGE_SIZE]
    return page(
        request,
        "log",
        title="Log",
        incident=incident,
        tab="log",
        rows=[_shown(row) for row in rows],
        older=rows[-1].pk if len(found) > PAGE_SIZE else 0,
        first=not before,
        action=action,
        actions=[one.value for one in Action],
        checkpoints=AuditCheckpoint.objects.filter(log__incident=incident).order_by("-id")[:CHECKPOINTS_SHOWN],
        fingerprint=fingerprint_of_key(),
    )


def _entries(of: AuditLog | None, action: str, before: int) -> list[AuditEvent]:
    if of is None:
        return []
    asked = {"action": action, "pk__lt": before}
    rows = of.events.filter(**{name: value for name, value in asked.items() if value})
    return list(rows.select_related("leaf").order_by("-id")[: PAGE_SIZE + 1])


def _shown(row: AuditEvent) -> dict[str, Any]:
    entry = json.loads(row.line)
    place = getattr(row, "leaf", None)
    return {
        "row": row,
        "place": place.seq if place else None,
        "data": entry["data"],
        "json": json.dumps(entry, ensure_ascii=False, indent=1, sort_keys=True),
        "hash": bytes(place.leaf_hash).hex() if place else "",
    }
