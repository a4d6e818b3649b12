"""The local inbox: mails that a stand-in for a provider keeps. Masked in the list; a letter opens by a logged post."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.shell import PAGE_SIZE, incident_of, page, posted, whole
from incidents.admin.viewing import expired, framed, grant, granted
from incidents.dispatch.channels.inbox import open_inbox_message
from incidents.models import AffectedPerson, InboxMessage, Incident, Message
from incidents.people.erasing import refuse_returned, refuse_to_show
from incidents.vault import CannotOpen, mask
from incidents.visible import visible


@require_GET
def inbox(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Newest first, fifty at a time, nothing counted."""
    incident, before = incident_of(incident_id), whole(request.GET.get("before", ""))
    stored = incident.inbox.select_related("incident").order_by("-id")
    found = list((stored.filter(pk__lt=before) if before else stored)[: PAGE_SIZE + 1])
    rows = found[:PAGE_SIZE]
    return page(
        request,
        "inbox",
        title="Inbox",
        incident=incident,
        tab="inbox",
        rows=_shown(incident, rows),
        older=rows[-1].pk if len(found) > PAGE_SIZE else 0,
        first=not before,
    )


def _shown(incident: Incident, rows: list[InboxMessage]) -> list[dict[str, Any]]:
    refs = [row.message_ref for row in rows]
    known = Message.objects.filter(message_ref__in=refs).select_related("entry__letter", "entry__cohort")
    by_ref = {message.message_ref: message for message in known.defer("entry__letter__compiled")}
    return [{"row": row, "message": by_ref.get(row.message_ref), **_masked(row)} for row in rows]


def _masked(row: InboxMessage) -> dict[str, Any]:
    try:
        mail = open_inbox_message(message=row)
    except CannotOpen:
        return {"to": "(cannot be opened)", "subject": "", "opens": False}
    return {"to": mask(mail["to"]), "subject": mail["subject"], "opens": True}


def message_of(incident_id: int, message_id: int) -> InboxMessage:
    """A stored mail of this incident, or 404."""
    stored = InboxMessage.objects.select_related("incident")
    return get_object_or_404(stored, pk=message_id, incident_id=incident_id)


@require_GET
def inbox_message(request: HttpRequest, incident_id: int, message_id: int) -> HttpResponse:
    """One mail, masked, with the button that opens it."""
    return _message_page(request, message_of(incident_id, message_id), pass_="")


def _message_page(request: HttpRequest, row: InboxMessage, *, pass_: str) -> HttpResponse:
    shown = _shown(row.incident, [row])[0]
    if pass_:
        _reader_of(row)  # the pass may be older than the backup that brought somebody back
    mail = open_inbox_message(message=row) if pass_ and shown["opens"] else None
    return page(
        request,
        "message",
        title="Letter in the inbox",
        incident=row.incident,
        tab="inbox",
        pass_=pass_,
        mail=mail,
        **shown,
    )


def _reader_of(row: InboxMessage) -> AffectedPerson | None:
    """Who was written to; nobody for a test letter. Raises NotReplayed where somebody was erased and is here again."""
    known = Message.objects.filter(message_ref=row.message_ref).select_related("entry__person__incident").first()
    if known is None:
        refuse_returned(incident=row.incident)  # it was filled with somebody's name, and nobody wrote down whose
        return None
    refuse_to_show(person=known.entry.person)
    return known.entry.person


@require_POST
def open_message(request: HttpRequest, incident_id: int, message_id: int) -> HttpResponse:
    """Log the access, then open the letter."""
    row = message_of(incident_id, message_id)
    reader = _reader_of(row)
    pass_ = grant(
        request=request,
        incident=row.incident,
        what=f"inbox:{row.pk}",
        purpose=visible(posted(request, "purpose")) or "reading the local inbox",
        subject=reader.subject if reader else "",
    )
    return redirect("admin:inbox_open", incident_id, message_id, pass_)


@require_GET
def inbox_open(request: HttpRequest, incident_id: int, message_id: int, pass_: str) -> HttpResponse:
    """The mail: HTML in a frame, text, heads."""
    row = message_of(incident_id, message_id)
    if not granted(request=request, pass_=pass_, what=f"inbox:{row.pk}"):
        return expired(request, "admin:inbox_message", incident_id, message_id)
    return _message_page(request, row, pass_=pass_)


@require_GET
def inbox_body(request: HttpRequest, incident_id: int, message_id: int, pass_: str) -> HttpResponse:
    """The frame's body, under its own policy."""
    row = message_of(incident_id, message_id)
    if not (granted(request=request, pass_=pass_, what=f"inbox:{row.pk}") and _masked(row)["opens"]):
        return framed("<p>This view has expired.</p>")
    _reader_of(row)
    return framed(open_inbox_message(message=row)["html"])
