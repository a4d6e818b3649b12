"""Turns the clocks of a pack into deadlines: which moment starts them, how they are counted, what a hold does to them.

A duty "without undue delay" has a deadline without a date: no number is invented for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from incidents.law.conditions import Scene, weigh
from incidents.law.deadlines import earliest, end_of_period, instant_of, is_after, local_day
from incidents.law.facts import Anchor, Deadline, IncidentFacts, Moment
from incidents.law.pack import PackSet, Version

_STOOD_IN_FOR = {Anchor.AWARE, Anchor.DISCOVERED, Anchor.DETERMINED, Anchor.ASSESSED}
RELATIVE = {"before_individuals", "same_time_as_individuals", "no_later_than_individuals"}


@dataclass(frozen=True)
class Place:
    """Where a clock is read: the packs, the jurisdiction and its zone, and the facts weighed."""

    packs: PackSet
    jurisdiction: str
    zone: ZoneInfo
    scene: Scene
    hold: Version | None = None
    #: Where the act is to be done, for its public holidays: "US-VT", "BR".
    holidays: str = ""
    #: Whether the clock is that of a processor towards its controller: its own knowledge starts it.
    processor: bool = False

    @property
    def facts(self) -> IncidentFacts:
        """The facts of the incident."""
        return self.scene.facts


def anchor_moment(*, facts: IncidentFacts, anchor: str, jurisdiction: str, zone: ZoneInfo) -> Moment | None:
    """The moment an anchor stands for, with the fall-backs of docs/law-cases.md; None where it is not known."""
    if anchor == "filed_at":
        return facts.filed_at.get(jurisdiction)
    if anchor == "law_enforcement_hold_until":
        return facts.law_enforcement_hold_until
    if anchor == "end_of_year":
        found = anchor_moment(facts=facts, anchor=Anchor.DISCOVERED, jurisdiction=jurisdiction, zone=zone)
        return None if found is None else date(local_day(moment=found, zone=zone).year, 12, 31)
    if anchor in facts.anchors:
        return facts.anchors[Anchor(anchor)]
    if anchor not in _STOOD_IN_FOR:
        return None
    stand_ins = [facts.anchors[a] for a in (Anchor.AWARE, Anchor.DISCOVERED) if a in facts.anchors]
    return earliest(moments=stand_ins, zone=zone)


def deadline_of(*, version: Version, place: Place) -> Deadline:
    """The deadline of one duty: of several clocks the one that ends first (`pick: latest`: last); relative ones stand beside."""
    running = [clock for clock in version.value["clocks"] if _runs(clock, place)] or [version.value["clocks"][-1]]
    clocks = [_deadline(clock, version, place) for clock in running]
    dated = [found for clock, found in zip(running, clocks, strict=True) if found.shown_at and not _lapses(clock, found, place)]
    pick = max if version.value.get("pick") == "latest" else min
    chosen = pick(dated, key=lambda clock: _instant(clock, place)) if dated else clocks[0]
    relative = next((clock.relative for clock in clocks if clock.relative), None)
    notes = dict.fromkeys(note for clock in clocks for note in clock.notes)
    return replace(chosen, relative=relative, notes=tuple(notes))


def later_stage(*, version: Version, place: Place) -> Moment | None:
    """When a further report (second, final) is due: by the first clock whose condition holds."""
    for clock in version.value["clocks"]:
        if _runs(clock, place):
            return _deadline(clock, version, replace(place, hold=None)).shown_at
    return None


def _lapses(clock: Mapping[str, Any], found: Deadline, place: Place) -> bool:
    """Whether this clock falls away because the other starting point, named by `lapses_if_later`, comes after its end."""
    if "lapses_if_later" not in clock or found.shown_at is None:
        return False
    anchor = place.packs.vocabulary.anchors[clock["lapses_if_later"]]
    start = anchor_moment(facts=place.facts, anchor=anchor, jurisdiction=place.jurisdiction, zone=place.zone)
    return start is not None and is_after(moment=start, end=found.shown_at, zone=place.zone)


def is_late(*, deadline: Deadline, place: Place) -> bool:
    """Whether the filing already made came after the deadline (after its legal end, where that is later)."""
    filed = place.facts.filed_at.get(place.jurisdiction)
    end = deadline.legal_end_at or deadline.shown_at
    return filed is not None and end is not None and is_after(moment=filed, end=end, zone=place.zone)


def _runs(clock: Mapping[str, Any], place: Place) -> bool:
    condition = clock.get("when")
    return condition is None or weigh(condition=condition, scene=place.scene).holds is True


def _instant(deadline: Deadline, place: Place) -> Any:
    assert deadline.shown_at is not None
    return instant_of(moment=deadline.shown_at, zone=place.zone)


def _deadline(clock: Mapping[str, Any], version: Version, place: Place) -> Deadline:
    anchor = _anchor(clock, place)
    at = _start(anchor, place)
    plain = Deadline(
        kind=clock["kind"],
        shown_at=None,
        anchor=anchor,
        anchor_at=at,
        reference=version.reference,
        relative=clock["kind"] if clock["kind"] in RELATIVE else None,
        zone=place.zone.key,
        notes=tuple(clock[key] for key in ("qualifier", "note") if key in clock),
    )
    counted = _counted(plain, clock, place) if "n" in clock else _uncounted(plain)
    return _after_hold(counted, clock, place)


def _start(anchor: str, place: Place) -> Moment | None:
    if place.processor and place.facts.processor_aware_at is not None:
        return place.facts.processor_aware_at
    return anchor_moment(facts=place.facts, anchor=anchor, jurisdiction=place.jurisdiction, zone=place.zone)


def _anchor(clock: Mapping[str, Any], place: Place) -> str:
    if clock["kind"] in RELATIVE:
        return Anchor.PEOPLE_TOLD.value
    return str(place.packs.vocabulary.anchors.get(clock.get("runs_from", ""), Anchor.DISCOVERED.value))


def _uncounted(deadline: Deadline) -> Deadline:
    """No number of days: a date is shown only for "with the individuals", once these have been told."""
    return replace(deadline, shown_at=deadline.anchor_at) if deadline.relative else deadline


def _counted(deadline: Deadline, clock: Mapping[str, Any], place: Place) -> Deadline:
    start = deadline.anchor_at
    if _restarts(clock, place) or clock.get("runs_from") == "end_of_law_enforcement_hold":
        start = place.facts.law_enforcement_hold_until
    if start is None:
        note = f"{clock['n']} {clock['kind'].replace('_', ' ')} from {deadline.anchor}, which is not known yet"
        return replace(deadline, notes=(*deadline.notes, note))
    rule = place.packs.calendars[clock["calendar"]]
    period = end_of_period(start=start, n=clock["n"], rule=rule, zone=place.zone, place=place.holidays)
    return replace(
        deadline,
        shown_at=period.shown_at,
        legal_end_at=period.legal_end_at,
        anchor_at=start,
        notes=(*deadline.notes, *period.notes),
        left_out=period.left_out,
        other_readings=tuple(f"{reading.ends_at.isoformat()}: {reading.text}" for reading in period.readings),
    )


def _held(place: Place) -> bool:
    return place.hold is not None and bool(place.hold.value["allowed"]) and _hold_until(place) is not None


def _hold_until(place: Place) -> Moment | None:
    return place.facts.law_enforcement_hold_until


def _restarts(clock: Mapping[str, Any], place: Place) -> bool:
    """Whether the days are counted from the end of the hold (Tennessee), which came after their usual start."""
    return _held(place) and place.hold is not None and bool(place.hold.value["restarts"]) and _held_back(clock, place)


def _held_back(clock: Mapping[str, Any], place: Place) -> bool:
    """Whether the hold ended after this clock started; one that was over by then held nothing back. Compared as instants."""
    until, start = _hold_until(place), _start(_anchor(clock, place), place)
    if until is None or start is None:
        return until is not None
    return instant_of(moment=until, zone=place.zone) > instant_of(moment=start, zone=place.zone)


def _after_hold(deadline: Deadline, clock: Mapping[str, Any], place: Place) -> Deadline:
    """A hold is a clock too: a date that falls before its end moves there, and the wait is noted."""
    until = _hold_until(place)
    if not _held(place) or until is None or place.hold is None or not _held_back(clock, place):
        return deadline
    if "then" in place.hold.value:
        return _then(deadline, place.hold, until, place)
    note = f"law-enforcement hold until {until.isoformat()}; then without unreasonable delay"
    held = replace(deadline, notes=(*deadline.notes, note))
    if held.shown_at is None or not _ends_before(held, until, place):
        return held
    return replace(held, shown_at=until, legal_end_at=None)


def _ends_before(deadline: Deadline, moment: Moment, place: Place) -> bool:
    """Compared as instants: a hold "until" a day lasts to its last hour."""
    return bool(_instant(deadline, place) < instant_of(moment=moment, zone=place.zone))


def _then(deadline: Deadline, hold: Version, until: Moment, place: Place) -> Deadline:
    """Where the statute gives a period of its own after the hold (Maine: seven business days); it may delay, never hasten."""
    clock = {**hold.value["then"], "runs_from": "end_of_law_enforcement_hold"}
    after = _counted(replace(deadline, notes=()), clock, replace(place, hold=None))
    note = f"law-enforcement hold until {until.isoformat()}; then {clock['n']} {clock['kind'].replace('_', ' ')}"
    if deadline.shown_at is not None and after.shown_at is not None and _ends_before(after, deadline.shown_at, place):
        return replace(deadline, notes=(*deadline.notes, note))
    return replace(after, notes=(*deadline.notes, note, *after.notes))
