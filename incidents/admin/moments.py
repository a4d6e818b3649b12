"""Moments as the desk shows them: local time with its zone, and what is left. The script counts on in these words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.utils import timezone

SOON = timedelta(hours=24)


@dataclass(frozen=True)
class Shown:
    """A moment for a page: machine text, local text, what is left of it, and its tone (late, soon, ahead)."""

    iso: str
    text: str
    left: str
    tone: str
    left_seconds: float


def shown(moment: datetime | None, *, zone: str = "UTC", now: datetime | None = None) -> Shown | None:
    """A moment in its zone; None stays None."""
    if moment is None:
        return None
    current = now or timezone.now()
    left = moment - current
    tone = "late" if left < timedelta() else "soon" if left < SOON else "ahead"
    return Shown(moment.isoformat(), local_text(moment, zone), span(left), tone, left.total_seconds())


def shown_text(iso: str, *, zone: str) -> Shown | None:
    """The same for a moment stored as ISO 8601 text."""
    return shown(datetime.fromisoformat(iso), zone=zone) if iso else None


def local_text(moment: datetime, zone: str) -> str:
    """'Fri 30 May 2025, 11:00 CEST'."""
    return moment.astimezone(ZoneInfo(zone)).strftime("%a %-d %b %Y, %H:%M %Z")


def span(left: timedelta) -> str:
    """'in 2 d 3 h', '5 h 10 min ago'; days alone beyond a fortnight."""
    minutes = int(abs(left).total_seconds() // 60)
    days, hours, rest = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days >= 14:
        text = f"{days:,} d"
    elif days:
        text = f"{days} d {hours} h"
    else:
        text = f"{hours} h {rest} min" if hours else f"{rest} min"
    return f"{text} ago" if left < timedelta() else f"in {text}"
