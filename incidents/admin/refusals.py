"""A refusal that no page has expected is still told in its own words, with its remedy, and never as a traceback.

So is a database that is away for a moment: what was half done there is undone, and the reader only has to try again.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Final

import psycopg
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error

from incidents.admin.ways_back import in_words
from incidents.dispatch.owner import AWAY
from incidents.refusal import Refused

logger = logging.getLogger(__name__)
Response = Callable[[HttpRequest], HttpResponse]
#: How long a server takes to start again, in seconds, with some room.
TRY_AGAIN: Final = 60
#: What PostgreSQL says while it ends, starts, or has no room for one connection more; 08 is every broken connection.
GOING_OR_COMING: Final = frozenset({"57P01", "57P02", "57P03", "53300"})


class RefusalsInWords:
    """Middleware: what a view refuses (a wrong master key, say) becomes a page that says so."""

    def __init__(self, get_response: Response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing on the way in or out."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """503: the request was sound, the installation is not able to answer it now."""
        if is_away(error):
            return away(request, error)
        if not isinstance(error, Refused):
            return None
        return in_words(request, *error.lines, title="This cannot be shown now", status=503)


def fault(request: HttpRequest) -> HttpResponse:
    """Django's handler of what nobody caught, also outside the views (a session is stored after them)."""
    error = sys.exc_info()[1]
    return away(request, error) if is_away(error) else server_error(request)


def is_away(error: BaseException | None) -> bool:
    """Whether the database could not be reached; one that answers and refuses (a lock, a full disk) is there."""
    if not isinstance(error, AWAY):
        return False
    told = error if isinstance(error, psycopg.Error) else error.__cause__
    state = getattr(told, "sqlstate", None)
    return state is None or state.startswith("08") or state in GOING_OR_COMING


def away(_: HttpRequest, error: BaseException | None) -> HttpResponse:
    """Made without a look at the database: no user, no session, no message. The log has the type: words name hosts."""
    logger.warning("the database is away: %s", type(error).__name__)
    words = render_to_string("admin/desk/away.html", {"seconds": TRY_AGAIN})
    return HttpResponse(words, status=503, headers={"Retry-After": str(TRY_AGAIN), "Cache-Control": "no-store"})
