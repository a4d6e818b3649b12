"""No post ends on a blank page: whoever has no session, no right, an old form or a wrong address is told so, with the way back.

What was posted without a session, or from a form of before the last sign-in, is not done; nobody should have to guess that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.functional import SimpleLazyObject
from django.utils.http import url_has_allowed_host_and_scheme

from incidents.admin.away import away, is_away
from incidents.dispatch.owner import AWAY
from incidents.models import Incident
from incidents.only_reading import REFUSED, only_reads

Response = Callable[[HttpRequest], HttpResponse]
#: In the address of the sign-in page: somebody posted without a session. It says nothing about who or what.
ENDED = "ended"
OLD_FORM = (
    "What you sent was not done: its page was opened before the last sign-in of this browser, or the browser keeps no cookies.",
    "Go back to the page, which is then new, look whether everything stands as you mean it, and send it again.",
)
OLD_SIGN_IN = (
    "You are not signed in: this sign-in page was opened before the last one of this browser, or the browser keeps no cookies.",
    "Open the sign-in page again. If this comes once more, let the browser keep cookies of this site.",
)
ONLY_SENT = (
    "This address takes what a form sends, and shows nothing by itself. Nothing was done.",
    "Go back to the page with the form, look whether what you wanted is done already, and send it from there if not.",
)
#: What somebody who only reads may send: the evidence bundle names nobody, and is what an auditor comes for.
FOR_READERS = frozenset({"bundle"})
ONLY_SHOWN = ("This address only shows a page; nothing can be sent to it. Nothing was done.",)


class WaysBack:
    """Middleware: a post without a session leads to the sign-in and back to its form; what has no page gets one in words."""

    def __init__(self, get_response: Response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Tell templates who only reads, and fill the blank answer to a method that an address does not take."""
        request.only_reads = SimpleLazyObject(lambda: only_reads(request.user))  # type: ignore[attr-defined]
        response = self.get_response(request)
        if response.status_code != 405 or not request.path.startswith(reverse("admin:index")):
            return response
        lines = ONLY_SENT if "POST" in response["Allow"] else ONLY_SHOWN
        words = in_words(request, *lines, title="There is no page at this address", status=405)
        words["Allow"] = response["Allow"]
        return words

    def process_view(self, request: HttpRequest, *_: Any) -> HttpResponseBase | None:
        """Refuse a post by nobody who may act. Django would lead back to the act, and would not say that nothing was done."""
        if request.method != "POST" or not _of_the_desk(request):
            return None
        try:
            return _refused(request)
        except AWAY as error:  # What a view raises is answered elsewhere; this stands before every view.
            if is_away(error):
                return away(request, error)
            raise


def _refused(request: HttpRequest) -> HttpResponse | None:
    if not admin.site.has_permission(request):
        return _sign_in(request)
    return _only_reading(request) if only_reads(request.user) else None


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """What Django shows when a form does not belong to this session; ours, in words (403)."""
    if request.path == reverse("admin:login"):
        return in_words(request, *OLD_SIGN_IN, title="You are not signed in", status=403, back=(request.path, "Sign in"))
    if _of_the_desk(request) and not admin.site.has_permission(request):
        return _sign_in(request)
    return in_words(request, *OLD_FORM, title="This was not done", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler of 404, with a way back; the address is not repeated."""
    lines = ("There is no page at this address, or what it showed is gone.",)
    return in_words(request, *lines, title="Page not found", status=404, back=_nearest(request))


def in_words(request: HttpRequest, *lines: str, title: str, status: int, back: tuple[str, str] | None = None) -> HttpResponse:
    """A page that says why there is no other one, and where to go."""
    where, name = back or _named(way_back(request), request)
    context = {**admin.site.each_context(request), "title": title, "lines": lines, "back": where, "back_name": name}
    return render(request, "admin/desk/refused.html", context, status=status)


def _named(where: str, request: HttpRequest) -> tuple[str, str]:
    desks = {_desk_of(request): "Back to the incident", reverse("admin:index"): "All incidents"}
    return where, desks.get(where, "Back to the page")


def way_back(request: HttpRequest) -> str:
    """The page of ours where the form stood, as the browser says; else the incident's desk; else the first page."""
    came_from = request.headers.get("Referer", "")
    if url_has_allowed_host_and_scheme(came_from, {request.get_host()}, require_https=request.is_secure()):
        there = urlsplit(came_from)
        if there.path.startswith(reverse("admin:index")) and there.path not in (*_doors(), request.path):
            return f"{there.path}?{there.query}" if there.query else there.path
        if there.path == request.path and _shows_itself(request):
            return there.path
    return _desk_of(request) or reverse("admin:index")


def page_again(request: HttpRequest, page: str) -> str:
    """Where a form is shown again that was refused: at the place of its list where it stood, as the browser says; else at `page`.

    What was ticked there is ticked again; on the first page of the list it would be gone.
    """
    there = way_back(request)
    return there if there.partition("?")[0] == page.partition("?")[0] else page


def _shows_itself(request: HttpRequest) -> bool:
    """Whether a form goes to the page on which it stands, as with facts and texts; other acts have addresses of their own."""
    match = request.resolver_match
    return match is not None and match.url_name in {"incidents_incident_add", "facts", "letter_text", "password_change"}


def _doors() -> tuple[str, str]:
    return reverse("admin:login"), reverse("admin:logout")


def _of_the_desk(request: HttpRequest) -> bool:
    return request.path.startswith(reverse("admin:index")) and request.path not in _doors()


def _desk_of(request: HttpRequest) -> str:
    match = request.resolver_match
    if match is None or "incident_id" not in match.kwargs:
        return ""
    # What is weighed about the risk is shown at the address of the act.
    return reverse("admin:findings" if match.url_name == "find" else "admin:desk", args=(match.kwargs["incident_id"],))


def _nearest(request: HttpRequest) -> tuple[str, str]:
    """The desk of the incident in the address, for those who may see whether there is one; else the first page."""
    desk = _desk_of(request)
    match, incidents = request.resolver_match, (reverse("admin:index"), "All incidents")
    if not (desk and match and admin.site.has_permission(request)):
        return incidents
    there = Incident.objects.filter(pk=match.kwargs["incident_id"]).exists()
    return (desk, "The incident's desk") if there else incidents


def _sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page, which says that nothing was done; a session that is not staff's has not ended."""
    asked = {"next": way_back(request)} | ({} if request.user.is_authenticated else {ENDED: "1"})
    return redirect(f"{reverse('admin:login')}?{urlencode(asked)}")


def _only_reading(request: HttpRequest) -> HttpResponse | None:
    """403 in words, whatever is posted, but for one's own password and what readers may take."""
    match = request.resolver_match
    if request.path == reverse("admin:password_change") or (match is not None and match.url_name in FOR_READERS):
        return None
    return in_words(request, REFUSED, "Nothing was done.", title="This was not done", status=403)
