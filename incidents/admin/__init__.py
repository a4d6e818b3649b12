"""The privacy officer's desk: Django's admin for sign-in and frame, own pages for the work. One domain call per act."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern

from incidents.admin.urls import patterns
from incidents.models import Incident

if TYPE_CHECKING:
    IncidentModelAdmin = admin.ModelAdmin[Incident]
else:
    # Django's class takes no parameter at run time.
    IncidentModelAdmin = admin.ModelAdmin

admin.site.site_header = "Breach notification"
admin.site.site_title = "Breach notification"
admin.site.index_title = "Incidents"
admin.site.site_url = None
admin.site.enable_nav_sidebar = False


@admin.register(Incident)
class IncidentAdmin(IncidentModelAdmin):
    """The list of incidents, and the door to the desk. Nothing is edited or deleted by Django's own forms."""

    list_display = ("reference", "title", "is_drill", "created_at", "created_by")
    ordering = ("-id",)
    list_per_page = 50
    show_full_result_count = False

    def get_urls(self) -> list[URLPattern]:
        """The desk's pages before the admin's own."""
        return [*patterns(), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, object] | None = None
    ) -> HttpResponse:
        """There is no form for a row: the desk is the page of an incident."""
        if not object_id.isdecimal():
            raise Http404("no incident has such a number")
        return redirect("admin:desk", object_id)

    def has_view_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        """All staff see incidents."""
        return bool(request.user.is_active and request.user.is_staff)

    def has_module_permission(self, request: HttpRequest) -> bool:
        """All staff see the section."""
        return self.has_view_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """All staff who may act may open an incident, by the desk's own form."""
        return self.has_view_permission(request) and not getattr(request, "only_reads", False)

    def has_change_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        """Facts are amended in versions, never edited here."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Incident | None = None) -> bool:
        """What happened stays."""
        return False
