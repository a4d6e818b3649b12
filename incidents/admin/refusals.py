"""A refusal that no page has expected is still told in its own words, with its remedy, and never as a traceback.

So is a database that is away for a moment: what was half done there is undone, and the reader only has to try again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.views.defaults import server_error

from incidents.admin.away import away, is_away
from incidents.admin.ways_back import in_words
from incidents.refusal import Refused

Response = Callable[[HttpRequest], HttpResponse]


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
