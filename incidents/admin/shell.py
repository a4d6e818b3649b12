"""What every page of the desk shares: one domain call per post, refusals shown as messages, never a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.db import IntegrityError, OperationalError
from django.http import HttpRequest
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format

from incidents.admin.column_names import field_in_words
from incidents.audit.log import TreeWentBack
from incidents.models import Campaign, Incident
from incidents.models.refusal import Refused
from incidents.vault import CannotOpen

#: The pages of one incident, in the order of the work: URL name and title.
TABS = (
    ("desk", "Desk"),
    ("facts", "Facts"),
    ("people", "People"),
    ("queues", "Queues"),
    ("law", "Law"),
    ("findings", "Findings"),
    ("letters", "Letters"),
    ("campaigns", "Campaign"),
    ("inbox", "Inbox"),
    ("log", "Log"),
)
PAGE_SIZE = 50
#: What PostgreSQL says when it undoes one of two transactions that stand in each other's way: deadlock, serialization failure.
UNDONE = frozenset({"40P01", "40001"})
BESIDE = "Somebody else was changing the same at this moment, and what you asked for last was not done. Look, and try again."


def officer(request: HttpRequest) -> User:
    """Who is signed in; the admin lets nobody else through."""
    assert isinstance(request.user, User)
    return request.user


def incident_of(incident_id: int) -> Incident:
    """The incident of a page, or 404."""
    return get_object_or_404(Incident, pk=incident_id)


def campaign_of(incident_id: int, campaign_id: int) -> Campaign:
    """A campaign of this incident, or 404."""
    return get_object_or_404(Campaign.objects.select_related("incident"), pk=campaign_id, incident_id=incident_id)


def attempt(request: HttpRequest, step: Callable[[], str], *, again: bool = False) -> bool:
    """Run one domain call; show what it says, or every line of its refusal. True when it was done.

    `again`: the step is one transaction and nothing beside it, so that it is run once more when the database undid it in favour
    of somebody else.
    """
    try:
        said = step()
    except Refused as refusal:
        return _refused(request, *refusal.lines)
    except CannotOpen as error:
        return _refused(request, f"The record cannot be opened: {error}.")
    except TreeWentBack as error:
        return _refused(request, str(error))
    except IntegrityError as error:
        # The database is the second guard of every rule; its first line says which.
        return _refused(request, f"The database refused this: {str(error).splitlines()[0]}.")
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) not in UNDONE:
            raise
        return attempt(request, step) if again else _refused(request, BESIDE)
    messages.success(request, said)
    return True


def _refused(request: HttpRequest, *lines: str) -> bool:
    for line in lines:
        messages.error(request, field_in_words(line))
    return False


def page(
    request: HttpRequest, template: str, *, title: str, incident: Incident | None = None, tab: str = "", **more: Any
) -> TemplateResponse:
    """A page of the desk in the admin's frame."""
    context = {
        **admin.site.each_context(request),
        "title": title,
        "incident": incident,
        "tab": tab,
        "tabs": TABS,
        **more,
    }
    return TemplateResponse(request, f"admin/desk/{template}.html", context)


def page_in_zone(request: HttpRequest, template: str, *, zone: str, **more: Any) -> TemplateResponse:
    """The same with every moment on it in one zone, also those that templates and sentences write themselves."""
    with timezone.override(ZoneInfo(zone)):
        made = page(request, template, **more)
        made.render()  # now: the admin would do so later, in its own zone
    return made


def posted(request: HttpRequest, name: str) -> str:
    """A field of the post, trimmed; empty when it is not there."""
    return str(request.POST.get(name, "")).strip()


def whole(text: str) -> int:
    """A page marker from the URL; 0 when it is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def count(number: int, one: str, many: str = "") -> str:
    """'1 letter', '12 letters'."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def day_of(moment: Any) -> str:
    """A date in words, for messages."""
    return date_format(moment, "j F Y")
