"""The admin's first page: a card for each incident."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from incidents.admin.overview import Overview
from incidents.admin.shell import officer
from incidents.models import Incident

CARDS = 20


def board(request: HttpRequest) -> HttpResponse:
    """The newest incidents with what is due, stuck and to be decided; the users' admin below them."""
    user = officer(request)
    cards = [Overview(incident=incident, user=user) for incident in Incident.objects.order_by("-id")[:CARDS]]
    others = [app for app in admin.site.get_app_list(request) if app["app_label"] != "incidents"]
    return admin.site.index(request, extra_context={"cards": cards, "title": "Incidents", "app_list": others})
