"""Two files to take away, both logged: the evidence bundle (no personal data) and the reject file (personal data)."""

from __future__ import annotations

import io

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_POST

from incidents.admin.shell import attempt, incident_of, officer, posted
from incidents.audit.actions import Action
from incidents.audit.export import export_evidence
from incidents.audit.log import record
from incidents.people.rejects import write_reject_file
from incidents.visible import visible


@require_POST
def bundle(request: HttpRequest, incident_id: int) -> HttpResponseBase:
    """Build the bundle as of now and hand it over; the export itself is an entry in it."""
    incident = incident_of(incident_id)
    name = f"{incident.reference}-evidence-{timezone.now():%Y%m%dT%H%M%SZ}.zip"
    path = settings.VAR / "exports" / name

    def step() -> str:
        export_evidence(incident=incident, out=path, actor=officer(request).username)
        return f"The bundle {name} was built; it lies in the folder of exports too."

    if not attempt(request, step):
        return redirect("admin:desk", incident_id)
    return FileResponse(path.open("rb"), as_attachment=True, filename=name)


@require_POST
def reject_file(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Every entry of the queues with row, column, reason and remedy, safe to open in a spreadsheet; for a purpose."""
    incident, out, purpose = incident_of(incident_id), io.StringIO(), posted(request, "purpose")
    if not visible(purpose):
        messages.error(request, "Say for what purpose you take personal data away; it is written to the log with your name.")
        return redirect("admin:queues", incident_id)
    lines = write_reject_file(incident=incident, out=out)
    data = {"what": "reject file", "lines": lines, "purpose": purpose[:300]}
    record(incident=incident, action=Action.ACCESS_EXPORTED, actor=officer(request).username, data=data)
    # The mark tells spreadsheets that this is UTF-8.
    response = HttpResponse("\ufeff" + out.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{incident.reference}-rejects.csv"'
    response["Cache-Control"] = "no-store"
    return response
