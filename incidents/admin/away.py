"""A database that is away for a moment: its page is made without it. What was half done there is undone; one tries again."""

from __future__ import annotations

import logging
from typing import Final

import psycopg
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from incidents.dispatch.owner import AWAY

logger = logging.getLogger(__name__)
#: How long a server takes to start again, in seconds, with some room.
TRY_AGAIN: Final = 60
#: What PostgreSQL says while it ends, starts, or has no room for one connection more; 08 is every broken connection.
GOING_OR_COMING: Final = frozenset({"57P01", "57P02", "57P03", "53300"})


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
