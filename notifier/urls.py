"""Every URL on one page."""

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.urls import path
from django.views.generic import RedirectView

from incidents.admin.board import board
from incidents.pages.events import provider_events
from notifier.own_password import own_password

admin.autodiscover()
# Sign-ins are made by the owner of the database (`manage.py sign_in`); the desk's role can make and change none.
admin.site.unregister([User, Group])

#: What nobody caught: a database that is away for a moment is told in words, anything else as Django does.
handler500 = "incidents.admin.refusals.fault"
handler404 = "incidents.admin.ways_back.not_found"
urlpatterns = [
    # Where providers tell what became of letters (docs/events.md).
    path("events/<slug:provider>/<str:path>/", provider_events, name="provider_events"),
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # The admin's first page, with a card for each incident; its other pages follow.
    path("admin/", admin.site.admin_view(board), name="board"),
    # The admin's page of one section would be the first page without its cards.
    path("admin/incidents/", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/password_change/", admin.site.admin_view(own_password)),
    path("admin/", admin.site.urls),
]
