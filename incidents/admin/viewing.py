"""Sight of personal data: a post with a purpose writes the log entry, and gives a pass that opens the page for a while.

So a GET never writes, a page can be loaded again, and nobody's data are seen without an entry that says who and why.
"""

from __future__ import annotations

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from incidents.admin.shell import officer
from incidents.audit.actions import Action
from incidents.audit.log import record
from incidents.models import Incident
from incidents.models.refusal import Refused
from incidents.visible import visible

SALT = "incidents.admin.viewing"
#: How long a pass opens its page, in seconds.
LASTS = 1800
#: The one policy that differs: the letter's own inline style, and nothing else at all.
FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'self'"


def grant(*, request: HttpRequest, incident: Incident, what: str, purpose: str, subject: str = "") -> str:
    """Log the access and give the pass. Raises Refused without a purpose."""
    if not visible(purpose):
        raise Refused("Say for what purpose you look at personal data; it is written to the log with your name.")
    data = {"purpose": purpose[:300], "what": what.partition(":")[0]}
    record(incident=incident, action=Action.ACCESS_VIEWED, actor=officer(request).username, data=data, subject=subject)
    return signing.dumps([officer(request).pk, what], salt=SALT, compress=True)


def granted(*, request: HttpRequest, pass_: str, what: str) -> bool:
    """Whether the pass was given to this user, for this, not long ago."""
    try:
        found = signing.loads(pass_, salt=SALT, max_age=LASTS)
    except signing.BadSignature:
        return False
    return bool(found == [officer(request).pk, what])


def expired(request: HttpRequest, to: str, *where: object) -> HttpResponse:
    """Back to where a new pass can be had."""
    messages.warning(request, "This view has expired, or is somebody else's. Open it again; the access is logged.")
    return redirect(to, *where)


def framed(html: str) -> HttpResponse:
    """A letter's HTML for the sandboxed frame, under its own policy."""
    response = HttpResponse(html)
    response["Content-Security-Policy"] = FRAME_POLICY
    response["X-Frame-Options"] = "SAMEORIGIN"
    response["Cache-Control"] = "no-store"
    return response
