"""Where providers tell what became of letters. No session, no cookie: a secret path, and the provider's own proof."""

from __future__ import annotations

import logging

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from incidents.dispatch.events.intake import admit, take
from incidents.dispatch.events.refusing import EventsRefused

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
@never_cache
def provider_events(request: HttpRequest, provider: str, path: str) -> HttpResponse:
    """Store the events of one request: 200 after their commit, 4xx when it is not believed, 503 to be tried again."""
    heads = {name.lower(): value for name, value in request.headers.items()}
    try:
        admit(provider=provider, path=path, heads=heads)
        take(provider=provider, heads=heads, body=request.body, now=timezone.now())
    except EventsRefused as refused:
        if refused.status != 404:
            logger.warning("events of %s were refused (%d): %s", provider, refused.status, refused.reason)
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
