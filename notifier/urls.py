"""Every URL on one page."""

from django.contrib import admin
from django.urls import path
from django.views.generic import RedirectView

from incidents.admin.board import board

admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # The admin's first page, with a card for each incident; its other pages follow.
    path("admin/", admin.site.admin_view(board), name="board"),
    path("admin/", admin.site.urls),
]
