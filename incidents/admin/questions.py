"""The law's own further questions as sheets: those it waits for, and special cases that count only once recorded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from incidents.models import Incident


@dataclass
class Asked:
    """One question of the packs: its words, where it is written, and which laws ask it."""

    key: str
    text: str
    reference: str
    places: list[str] = field(default_factory=list)


def open_questions(*, incident: Incident, besides: Iterable[str]) -> list[Asked]:
    """What the law waits for, besides the keys that have a sheet of their own. Unknown residences have theirs."""
    own = set(besides)
    found = _collected(incident, "duty__questions", owed="ask")
    return [asked for key, asked in found.items() if key not in own and not key.startswith("law:")]


def special_cases(*, incident: Incident, besides: Iterable[str]) -> list[Asked]:
    """Exceptions and special cases of the laws touched; nothing waits for them."""
    own = set(besides)
    return [asked for key, asked in _collected(incident, "duty__may_record").items() if key not in own]


def _collected(incident: Incident, path: str, **only: str) -> Mapping[str, Asked]:
    rows = incident.obligations.filter(superseded=False, **only).values_list("jurisdiction", path).order_by("jurisdiction")
    found: dict[str, Asked] = {}
    for jurisdiction, questions in rows:
        for question in questions or []:
            asked = found.setdefault(question["finding"], Asked(question["finding"], question["text"], question["reference"]))
            if jurisdiction not in asked.places:
                asked.places.append(jurisdiction)
    return dict(sorted(found.items()))
