"""Where providers tell what became of letters. No session, no cookie: a secret path, and the provider's own proof."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.core.exceptions import DisallowedHost
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, UnreadablePostError
from django.urls import Resolver404, resolve
from django.utils import timezone

from incidents.dispatch.events.intake import admit, take
from incidents.dispatch.events.refused import count_refused
from incidents.dispatch.events.refusing import EventsRefused
from incidents.dispatch.events.secrets import PROVES, missing_for

PLACE = "/events/"
#: What an answer without any text says of itself.
HEADS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
}
logger = logging.getLogger(__name__)


class ProvidersPassBy:
    """Middleware: providers come thousands at once and have no session and no form, so what looks after these is not asked."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """The answer of the view behind a provider's address; of everybody else's the usual way."""
        if not request.path_info.startswith(PLACE):
            return self.get_response(request)
        try:
            request.get_host()
            view, arguments, named = resolve(request.path_info)
        except (DisallowedHost, Resolver404):
            return self.get_response(request)
        answer: HttpResponse = view(request, *arguments, **named)
        for name, value in HEADS.items():
            answer[name] = value
        return answer


def provider_events(request: HttpRequest, provider: str, path: str) -> HttpResponse:
    """Store the events of one request: 200 after their commit, 4xx when it is not believed, 503 to be tried again.

    Whatever is no POST hears 405, or 503 while a POST would hear that: so the preflight sees whether events are taken at all.
    """
    if request.method != "POST":
        return _answer(503) if provider in PROVES and missing_for(provider) else HttpResponseNotAllowed(["POST"])
    heads, admitted = {name.lower(): value for name, value in request.headers.items()}, False
    try:
        admit(provider=provider, path=path, heads=heads)
        admitted = True
        take(provider=provider, heads=heads, body=request.body, now=timezone.now())
    except EventsRefused as refused:
        if refused.status != 404:
            logger.warning("events of %s were refused (%d): %s", provider, refused.status, refused.reason)
            if admitted or refused.status != 503:  # that came before its address was looked at
                count_refused(provider=provider, status=refused.status, reason=refused.reason)
        return _answer(refused.status)
    except UnreadablePostError:
        return _answer(400)
    except DatabaseError as error:
        # The text of the error may quote what came: only its kind is told. The provider tries again.
        logger.error("events of %s were not stored: %s", provider, type(error).__name__)
        return _answer(503)
    return _answer(200)


def _answer(status: int) -> HttpResponse:
    return HttpResponse(status=status, content_type="text/plain")
