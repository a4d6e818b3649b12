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

_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
#: A date alone, under a clock of hours, means the last hour of that day.
_LAST_HOUR = time(23, 0)


@dataclass(frozen=True)
class Period:
    """The end of a period: what is shown, the end under the regulation where that is later, and what to know."""

    shown_at: Moment
    legal_end_at: datetime | None = None
    notes: tuple[str, ...] = ()


def end_of_period(*, start: Moment, n: int, rule: Mapping[str, Any], zone: ZoneInfo) -> Period:
    """The end of `n` units after `start`, counted by one rule of calendars.yaml at the authority's place."""
    unit = rule["unit"]
    if unit == "hours":
        return _hours(start=instant_of(moment=start, zone=zone), n=n, rule=rule, zone=zone)
    day = local_day(moment=start, zone=zone)
    closed = frozenset(rule.get("closed", ()))
    if unit == "business_days":
        return Period(shown_at=business_days_after(day=day, n=n, closed=closed), notes=(_HOLIDAYS,))
    end = months_after(day=day, n=n) if unit == "months" else days_after(day=day, n=n, rule=rule)
    if rule.get("roll") != "next_working_day":
        return Period(shown_at=end)
    end = _with_working_days(day=day, end=end, least=int(rule.get("least_working_days", 0)), closed=closed)
    return Period(shown_at=next_working_day(day=end, closed=closed), notes=(_HOLIDAYS,))


_HOLIDAYS = "public holidays of the place are not counted in: the true end may be later, never earlier"


def _hours(*, start: datetime, n: int, rule: Mapping[str, Any], zone: ZoneInfo) -> Period:
    if rule.get("legal_end") != "next_full_hour":
        return Period(shown_at=elapsed_hours_after(start=start, n=n))
    end = next_full_hour(after=start, zone=zone)
    return Period(shown_at=elapsed_hours_after(start=start, n=n), legal_end_at=elapsed_hours_after(start=end, n=n))


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


def business_days_after(*, day: date, n: int, closed: frozenset[str] = frozenset()) -> date:
    """The `n`-th Monday-to-Friday after `day`, days of `closed` ("MM-DD") left out."""
    left = n
    while left > 0:
        day += _DAY
        left -= is_working_day(day=day, closed=closed)
    return day


def months_after(*, day: date, n: int) -> date:
    """The same date `n` months later, or the last day of a month that lacks it (1182/71 Art 3(2)(c))."""
    months = day.year * 12 + day.month - 1 + n
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def next_working_day(*, day: date, closed: frozenset[str] = frozenset()) -> date:
    """`day` itself, or the next working day where it is a day of rest (1182/71 Art 3(4))."""
    while not is_working_day(day=day, closed=closed):
        day += _DAY
    return day


def is_working_day(*, day: date, closed: frozenset[str] = frozenset()) -> bool:
    """Whether `day` is Monday to Friday and not in `closed` ("MM-DD")."""
    return day.weekday() < 5 and day.strftime("%m-%d") not in closed


def _with_working_days(*, day: date, end: date, least: int, closed: frozenset[str]) -> date:
    """1182/71 Art 3(5): a period of two days or more holds at least two working days."""
    if least == 0 or end - day < 2 * _DAY:
        return end
    return max(end, business_days_after(day=day, n=least, closed=closed))


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
