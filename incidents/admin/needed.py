"""What the facts still need before letters can be made, as a line of the desk."""

from __future__ import annotations

from django.urls import reverse

from incidents.admin.items import Item
from incidents.letters.needed import missing_boxes
from incidents.models import Incident


def facts_due(incident: Incident) -> list[Item]:
    """The empty boxes that the letters need, in one line, until letters are made; nothing where none is empty."""
    boxes = " and ".join(f"'{box}'" for box in missing_boxes(incident=incident))
    if not boxes or incident.letters.exists():
        return []
    return [Item(f"Fill in {boxes} under Facts: no letter can be made without", reverse("admin:facts", args=[incident.pk]))]
