"""What the law must say in a drill, held against what the engine said: who must be told, who need not be, by when.

The conclusions are those of an expert reader of the same facts, as far as the packs' primary texts bear them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from incidents.models import Incident
from incidents.scenarios.catalog import Scenario
from incidents.scenarios.checking import canonical

#: When a conclusion must hold: before anybody has found anything, after the plot's findings, after the second wave's.
BEFORE, DECIDED, SECOND = "before", "decided", "second"


@dataclass(frozen=True)
class Said:
    """One thing the law says: towards whom, about which people, whether owed and by when."""

    place: str
    to: str
    element_set: str
    owed: str
    kind: str = ""
    due: str = ""
    final: str = ""


@dataclass(frozen=True)
class Conclusion:
    """One line of a scenario's `conclusions`. Empty `sets` or `sizes`: all of them; empty `kind` or moments: not looked at."""

    places: tuple[str, ...]
    to: tuple[str, ...]
    owed: str
    but: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    when: tuple[str, ...] = (DECIDED,)
    kind: str = ""
    due: str = ""
    final: str = ""
    #: Of people whose open question about an element was answered so.
    once: str = ""

    def is_about(self, said: Said) -> bool:
        """Whether the line speaks of this."""
        named = any(fnmatchcase(said.place, place) for place in self.places) and said.place not in self.but
        return named and said.to in self.to and (not self.sets or said.element_set in self.sets)

    def is_met_by(self, said: Said) -> bool:
        """Whether the law says what the line expects."""
        asked = {"owed": self.owed, "kind": self.kind, "due": self.due, "final": self.final}
        return all(getattr(said, name) == value for name, value in asked.items() if value)


def conclusions_of(*, scenario: Scenario, when: str, size: str, once: str = "") -> list[Conclusion]:
    """The lines that must hold at this stage and in this size."""
    lines = [_conclusion(raw) for raw in scenario.conclusions]
    return [line for line in lines if when in line.when and (not line.sizes or size in line.sizes) and line.once == once]


def broken(*, conclusions: Sequence[Conclusion], said: Iterable[Said]) -> list[str]:
    """Each difference in one sentence; empty when all hold."""
    heard = list(said)
    return [
        f"{each.place} {each.to} {each.element_set}: expected {line.owed} {line.kind or line.due}, the law says {each.owed} "
        f"{each.kind} {each.due} {each.final}".rstrip()
        for line in conclusions
        for each in heard
        if line.is_about(each) and not line.is_met_by(each)
    ]


def said_of(*, incident: Incident, scenario: Scenario) -> list[Said]:
    """What the law says of an incident as it stands, by the general law of each place."""
    names = {canonical(each.elements): name for name, each in scenario.population.element_sets.items()}
    duties = incident.obligations.filter(superseded=False, regime="general").select_related("cohort")
    return [
        Said(
            place=duty.jurisdiction,
            to=duty.addressee,
            element_set=names.get(canonical(tuple(duty.cohort.elements)), "?") if duty.cohort else "",
            owed=duty.owed,
            **moments(duty.duty["deadline"]),
        )
        for duty in duties
        if duty.cohort is None or duty.cohort.count
    ]


def moments(deadline: Mapping[str, Any] | None) -> dict[str, str]:
    """Kind, end, and end of the last report where several are due, comparable as text."""
    if deadline is None:
        return {}
    last = deadline["final_by"] or deadline["second_by"]
    return {"kind": deadline["kind"], "due": _instant(deadline["shown_at"]), "final": _instant(last)}


def _instant(text: str | None) -> str:
    """A moment in UTC; a plain date stays as it is."""
    if text is None:
        return ""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat() if "T" in text else text


def _conclusion(raw: Mapping[str, Any]) -> Conclusion:
    owed = {True: "yes", False: "no"}.get(raw["owed"], raw["owed"])
    lists = {name: _words(raw.get(name)) for name in ("but", "sets", "sizes")}
    return Conclusion(
        places=_words(raw["at"]),
        to=_words(raw["to"]),
        owed=owed,
        when=_words(raw.get("when")) or (DECIDED,),
        kind=raw.get("kind", ""),
        due=_instant(raw.get("due")),
        final=_instant(raw.get("final")),
        once=raw.get("once", ""),
        **lists,
    )


def _words(value: str | None) -> tuple[str, ...]:
    return tuple((value or "").split())
