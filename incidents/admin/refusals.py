"""A refusal that no page has expected is still told in its own words, with its remedy, and never as a traceback."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

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
        if not isinstance(error, Refused):
            return None
        return render(request, "admin/desk/refused.html", {"title": "This cannot be shown now", "lines": error.lines}, status=503)
