"""Clock arithmetic, nothing else: hours, days, business days and months, as calendars.yaml says they are counted.

Regulation (EEC, Euratom) 1182/71 Art 3: the hour, or the day, of the event is not counted; hours never roll.
Hours are elapsed hours in UTC, so a change to or from summer time neither gives nor takes one.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from incidents.law.facts import Moment
from incidents.law.working_days import WEEKDAYS, WorkingDays, working_days_of

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
#: A date alone, under a clock of hours, means the last hour of that day.
_LAST_HOUR = time(23, 0)


@dataclass(frozen=True)
class Reading:
    """Another reading of a period that some hold: for information, never the shown deadline."""

    ends_at: Moment
    text: str


@dataclass(frozen=True)
class Period:
    """The end of a period: what is shown, the end under the regulation where that is later, and what to know.

    `left_out` are the public holidays that were not counted, or that moved the end ("2026-07-03 Independence Day").
    """

    shown_at: Moment
    legal_end_at: datetime | None = None
    notes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    readings: tuple[Reading, ...] = ()


def end_of_period(*, start: Moment, n: int, rule: Mapping[str, Any], zone: ZoneInfo, place: str = "") -> Period:
    """The end of `n` units after `start`, counted by one rule of calendars.yaml; holidays are those of `place` ("US-VT")."""
    unit = rule["unit"]
    working = working_days_of(place=place, closed=frozenset(rule.get("closed", ())))
    if unit == "hours":
        return _hours(start=instant_of(moment=start, zone=zone), n=n, rule=rule, zone=zone, working=working)
    day = local_day(moment=start, zone=zone)
    if unit == "business_days":
        return _open_days(day, business_days_after(day=day, n=n, working=working), working)
    end = months_after(day=day, n=n) if unit == "months" else days_after(day=day, n=n, rule=rule)
    if rule.get("roll") != "next_working_day":
        return Period(shown_at=end)
    end = _with_working_days(day=day, end=end, least=int(rule.get("least_working_days", 0)), working=working)
    return _open_days(end - _DAY, next_working_day(day=end, working=working), working)


_NO_HOLIDAYS = "the public holidays of the place are not known: the true end may be later, never earlier"


def _open_days(after: date, end: date, working: WorkingDays) -> Period:
    left_out = tuple(working.closures(after=after, until=end))
    return Period(shown_at=end, left_out=left_out, notes=() if working.known else (_NO_HOLIDAYS,))


def _hours(*, start: datetime, n: int, rule: Mapping[str, Any], zone: ZoneInfo, working: WorkingDays) -> Period:
    shown = elapsed_hours_after(start=start, n=n)
    if rule.get("legal_end") != "next_full_hour":
        return Period(shown_at=shown)
    end = elapsed_hours_after(start=next_full_hour(after=start, zone=zone), n=n)
    return Period(shown_at=shown, legal_end_at=end, readings=_with_two_working_days(start, end, rule, zone, working))


def _with_two_working_days(
    start: datetime, end: datetime, rule: Mapping[str, Any], zone: ZoneInfo, working: WorkingDays
) -> tuple[Reading, ...]:
    """The disputed reading that Art 3(5) of Regulation 1182/71 also holds for hours; empty where it changes nothing."""
    least = int(rule.get("disputed_working_days", 0))
    if not least:
        return ()
    day = business_days_after(day=local_day(moment=start, zone=zone), n=least, working=working)
    if day <= local_day(moment=end, zone=zone):
        return ()
    return (Reading(ends_at=day, text=f"disputed: with {least} working days in the period (Art 3(5)); not relied on here"),)


def elapsed_hours_after(*, start: datetime, n: int) -> datetime:
    """The instant `n` elapsed hours after `start`, in UTC."""
    return start.astimezone(UTC) + n * _HOUR


def next_full_hour(*, after: datetime, zone: ZoneInfo) -> datetime:
    """The first hour that counts (Regulation 1182/71 Art 3(1)): the clock hour after that of the event, in UTC."""
    local = after.astimezone(zone)
    into_the_hour = timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    return after.astimezone(UTC) - into_the_hour + _HOUR


def days_after(*, day: date, n: int, rule: Mapping[str, Any]) -> date:
    """Day `n` after `day`; the day of the event is day 1 only where the rule says so (Japan)."""
    counted = n - 1 if rule.get("first_day") == "event_day" else n
    return day + counted * _DAY


def business_days_after(*, day: date, n: int, working: WorkingDays = WEEKDAYS) -> date:
    """The `n`-th working day after `day`; weekends and holidays of the place are left out."""
    left = n
    while left > 0:
        day += _DAY
        left -= working.is_open(day=day)
    return day


def months_after(*, day: date, n: int) -> date:
    """The same date `n` months later, or the last day of a month that lacks it (1182/71 Art 3(2)(c))."""
    months = day.year * 12 + day.month - 1 + n
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def next_working_day(*, day: date, working: WorkingDays = WEEKDAYS) -> date:
    """`day` itself, or the next working day where it is a day of rest (1182/71 Art 3(4))."""
    while not working.is_open(day=day):
        day += _DAY
    return day


def _with_working_days(*, day: date, end: date, least: int, working: WorkingDays) -> date:
    """1182/71 Art 3(5): a period of two days or more holds at least two working days."""
    if least == 0 or end - day < 2 * _DAY:
        return end
    return max(end, business_days_after(day=day, n=least, working=working))


def local_day(*, moment: Moment, zone: ZoneInfo) -> date:
    """The local day of a moment at the authority's place; raises ValueError for a time without its offset."""
    return _aware(moment).astimezone(zone).date() if isinstance(moment, datetime) else moment


def instant_of(*, moment: Moment, zone: ZoneInfo) -> datetime:
    """The instant of a moment in UTC; a date alone means the start of its last hour at the authority's place."""
    if isinstance(moment, datetime):
        return _aware(moment).astimezone(UTC)
    return datetime.combine(moment, _LAST_HOUR, tzinfo=zone).astimezone(UTC)


def is_after(*, moment: Moment, end: Moment, zone: ZoneInfo) -> bool:
    """Whether `moment` is later than `end`; where one is a date alone, local days are compared."""
    if isinstance(moment, datetime) and isinstance(end, datetime):
        return _aware(moment) > _aware(end)
    return local_day(moment=moment, zone=zone) > local_day(moment=end, zone=zone)


def earliest(*, moments: list[Moment], zone: ZoneInfo) -> Moment | None:
    """The earliest of some moments, or None of none; a date alone counts as its last hour."""
    return min(moments, key=lambda moment: instant_of(moment=moment, zone=zone), default=None)


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no offset; write it with one, such as +02:00")
    return moment
