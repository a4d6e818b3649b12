"""Reports to authorities and agencies: who is told, and which report comes next."""

from __future__ import annotations

from typing import Any

ADDRESSEES = {
    "regulator": "authority",
    "bureaus": "consumer reporting agencies",
    "media": "media",
    "controller": "controller",
    "clients": "clients",
}


def stage_of(duty: dict[str, Any]) -> tuple[str, Any] | None:
    """Which report to an authority comes next: the first, then those further ones that have a date."""
    later = (("second report to", duty["second_due_at"]), ("final report to", duty["final_due_at"]))
    stages = [("tell", duty["due_at"]), *(stage for stage in later if stage[1])]
    return stages[duty["filed"]] if duty["filed"] < len(stages) else None
