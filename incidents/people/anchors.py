"""The moments of an incident: read with their offset or in a zone, in an order that can be; the odd ones are named.

A local time that the clocks jumped over never was, and one that came twice is asked, never chosen: both are refused with
the times that are possible. An offset that is not the zone's is taken as written: the instant counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.law.case_values import EAST, WEST
from incidents.law.facts import Anchor
from incidents.models.refusal import Refused

#: Moments that start no clock of the controller and stand beside the anchors.
PROCESSOR_AWARE = "processor_aware_at"
HOLD_UNTIL = "law_enforcement_hold_until"
NAMES = (*(anchor.value for anchor in Anchor), PROCESSOR_AWARE, HOLD_UNTIL)
#: A wait that ends later than this is a slip of the pen; no clock could be counted to it either.
LONGEST_HOLD = timedelta(days=10 * 365)
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
#: Nothing of an incident can lie before it happened, and nobody is certain before the first sign.
IMPOSSIBLE = (*((Anchor.OCCURRED, later) for later in NAMES if later != Anchor.OCCURRED), (Anchor.FIRST_HINT, Anchor.AWARE))
#: Possible, and more often a slip of the pen.
ODD = (
    (Anchor.AWARE, Anchor.DETERMINED),
    (Anchor.AWARE, Anchor.ASSESSED),
    (Anchor.AWARE, Anchor.PEOPLE_TOLD),
    (Anchor.DISCOVERED, Anchor.AWARE),
)


class MomentRefused(Refused):
    """A moment that never was, that was twice, or that cannot be read; with the times that are possible."""


def read_anchors(*, value: object, zone: str, now: datetime, problems: list[str]) -> dict[str, str]:
    """The anchors in their stored shape (ISO 8601 with offset); what is wrong goes to `problems` with name and remedy."""
    if value is not None and not isinstance(value, Mapping):
        problems.append("anchors: must be a mapping; write anchors: and below it aware_at: with its moment.")
    given = value if isinstance(value, Mapping) else {}
    moments = {str(name): m for name in given if (m := _anchor(str(name), given[name], zone, problems)) is not None}
    if given.get(Anchor.AWARE.value) is None:
        problems.append(
            "anchors.aware_at: missing. Every clock runs from it: give the moment of reasonable certainty that personal "
            "data are affected, with its offset, such as 2026-03-02T14:30+01:00."
        )
    problems.extend(_out_of_time(moments, now, zone))
    for early, late in IMPOSSIBLE:
        first, second = moments.get(early), moments.get(late)
        if first and second and second < first:
            problems.append(
                f"anchors.{late}: {second.isoformat()} is before {early} ({first.isoformat()}). That cannot be; correct one."
            )
    return {name: moment.isoformat() for name, moment in moments.items()}


def odd_moments(*, facts: Mapping[str, Any]) -> tuple[str, ...]:
    """What is possible and still looks like a slip: orders that are rare, offsets that are not the zone's. Nothing is refused."""
    moments = {name: datetime.fromisoformat(text) for name, text in facts["anchors"].items()}
    found = [
        f"anchors.{late}: {_local(moments[late], facts['zone'])} is before {early} ({_local(moments[early], facts['zone'])}). "
        "That is possible and rare: check both."
        for early, late in ODD
        if early in moments and late in moments and moments[late] < moments[early]
    ]
    for name, moment in moments.items():
        if moment.utcoffset() not in {timedelta(), moment.astimezone(ZoneInfo(facts["zone"])).utcoffset()}:
            found.append(
                f"anchors.{name}: {moment.isoformat(timespec='minutes')} has not the offset of {facts['zone']}; it is shown as "
                f"{_local(moment, facts['zone'])} there."
            )
    return tuple(found)


def _out_of_time(moments: Mapping[str, datetime], now: datetime, zone: str) -> list[str]:
    late = [
        f"anchors.{name}: {moment.isoformat()} lies in the future (it is {_local(now, zone)}). Check day, month and offset."
        for name, moment in moments.items()
        if moment > now and name != HOLD_UNTIL
    ]
    early = [f"anchors.{name}: {m.isoformat()} lies before 1970. Check the year." for name, m in moments.items() if m < EARLIEST]
    far = [
        f"anchors.{name}: {moment.isoformat()} lies more than {LONGEST_HOLD.days // 365} years ahead. Check the year."
        for name, moment in moments.items()
        if name == HOLD_UNTIL and moment > now + LONGEST_HOLD
    ]
    return late + early + far


def _anchor(name: str, value: object, zone: str, problems: list[str]) -> datetime | None:
    if value is None:
        return None
    if name not in NAMES:
        problems.append(f"anchors.{name[:60]}: unknown; use {', '.join(NAMES)}.")
        return None
    try:
        return _with_offset(value, zone)
    except MomentRefused as refusal:
        problems.extend(f"anchors.{name}: {line}" for line in refusal.lines)
        return None


def _with_offset(value: object, zone: str) -> datetime:
    """A moment of a facts file, which carries its offset; without one, the offsets that it may have are named."""
    text = str(value)[:60] if isinstance(value, str | datetime | int) else "a list or mapping"
    moment = value if isinstance(value, datetime) else _parsed(text)
    if moment is None:
        raise MomentRefused(f"'{text}' is not an ISO 8601 moment such as 2026-03-02T14:30+01:00.")
    if moment.tzinfo is None:
        raise MomentRefused(f"{text} has no zone; add its offset. {_which(moment, len(text) <= 10, zone)}")
    return _possible_offset(moment)


def _which(naive: datetime, only_a_day: bool, zone: str) -> str:
    """What a time without an offset may be: once, twice or never in the zone of the incident."""
    if only_a_day:
        return "Give the hour too, such as 2026-03-02T14:30+01:00."
    try:
        moment = local_moment(text=naive.isoformat(), zone=zone)
    except MomentRefused as refusal:
        return " ".join(refusal.lines)
    return f"In {zone} that is {moment.isoformat(timespec='minutes')}."


def _parsed(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _possible_offset(moment: datetime) -> datetime:
    offset = moment.utcoffset()
    if offset is None or not WEST <= offset <= EAST:
        raise MomentRefused(f"{moment.isoformat()}: no place has this offset. Offsets go from -12:00 to +14:00; correct it.")
    return moment


# -- wall clocks ---------------------------------------------------------------------------------------------------


def local_moment(*, text: str, zone: str) -> datetime:
    """A wall-clock moment of a zone ('2026-03-29T02:30' in Europe/Paris), or one with its offset. Raises MomentRefused."""
    moment = _parsed(text)
    if moment is None:
        raise MomentRefused(f"'{text[:60]}' is not a date and time. Write it as 2026-03-02T14:30.")
    if moment.tzinfo is not None:
        return _possible_offset(moment)
    found = instants(naive=moment, zone=zone)
    if not found:
        after = _end_of_gap(moment, ZoneInfo(zone)).isoformat(timespec="minutes")
        raise MomentRefused(
            f"{text} does not exist in {zone}: the clocks were put forward over it. The next time that exists is {after}."
        )
    if len(found) > 1:
        first, second = found
        raise MomentRefused(
            f"{text} came twice in {zone}, when the clocks were put back. Write which one is meant: {_named(first)} for the "
            f"first, {_named(second)} for the second."
        )
    return found[0]


def instants(*, naive: datetime, zone: str) -> tuple[datetime, ...]:
    """The instants at which the clocks of a zone show this time, each with its offset: none, one or two."""
    if not EARLIEST.year <= naive.year < 9999:
        raise MomentRefused(f"{naive.isoformat()} is not a date and time that can be counted with. Check the year.")
    place, found = _zone(zone), []
    for fold in (0, 1):
        offset = naive.replace(tzinfo=place, fold=fold).utcoffset() or timedelta()
        moment = naive.replace(tzinfo=timezone(offset), fold=0)
        if moment.astimezone(place).replace(tzinfo=None, fold=0) == naive.replace(fold=0):
            found.append(moment)
    return tuple(dict.fromkeys(found))


def _zone(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise MomentRefused(f"'{zone[:60]}' is not a known zone. Use an IANA zone such as Europe/Paris.") from None


def _end_of_gap(naive: datetime, place: ZoneInfo) -> datetime:
    """The first moment after the gap in which a wall-clock time lies, found by halving between both sides of it."""
    sides = [naive - (naive.replace(tzinfo=place, fold=fold).utcoffset() or timedelta()) for fold in (1, 0)]
    before, after = (side.replace(tzinfo=UTC) for side in sides)
    old = before.astimezone(place).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = (before + (after - before) / 2).replace(microsecond=0)
        middle = middle if middle > before else after
        before, after = (middle, after) if middle.astimezone(place).utcoffset() == old else (before, middle)
    return after.replace(microsecond=0).astimezone(place)


def _named(moment: datetime) -> str:
    return f"{moment.isoformat(timespec='minutes')} ({moment.astimezone(UTC).strftime('%H:%M')} UTC)"


def _local(moment: datetime, zone: str) -> str:
    try:
        return moment.astimezone(_zone(zone)).isoformat(timespec="minutes")
    except MomentRefused:
        return moment.isoformat(timespec="minutes")
