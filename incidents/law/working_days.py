"""Working days of a place: its weekend and its public holidays, as the pinned `holidays` library knows them.

Regulation (EEC, Euratom) 1182/71 Art 2 and the statutes that count business days mean the holidays of the place where
the act is to be done. The dates that were left out are stored with each deadline.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache

import holidays

_DAY = timedelta(days=1)
_ENGLISH = "en_US"


@dataclass(frozen=True)
class WorkingDays:
    """The days of one place. Without a country: Monday to Friday. `closed` are further days of rest ("MM-DD")."""

    country: str | None = None
    subdivision: str | None = None
    closed: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether the public holidays of the place are known."""
        return self.country in _supported()

    def is_open(self, *, day: date) -> bool:
        """Whether `day` is a working day there."""
        if day.strftime("%m-%d") in self.closed:
            return False
        if not self.known:
            return day.weekday() < 5
        return _calendar(str(self.country), self.subdivision).is_working_day(day)

    def closures(self, *, after: date, until: date) -> Iterator[str]:
        """The public holidays and closed days of the period, as "2026-07-03 Independence Day"; weekends are left out."""
        for number in range(1, (until - after).days + 1):
            day = after + number * _DAY
            name = _calendar(str(self.country), self.subdivision).get(day) if self.known else None
            name = name or ("closed by the rule" if day.strftime("%m-%d") in self.closed else None)
            if name:
                yield f"{day.isoformat()} {name}"


#: Monday to Friday, wherever no place is named.
WEEKDAYS = WorkingDays()


def working_days_of(*, place: str, closed: frozenset[str] = frozenset()) -> WorkingDays:
    """The working days of a country ("BR") or of a part of it ("US-VT"); an unknown part takes its country's."""
    country, _, part = place.partition("-")
    subdivision = part if part and part in _supported().get(country, ()) else None
    return WorkingDays(country=country, subdivision=subdivision, closed=closed)


@cache
def _supported() -> dict[str, tuple[str, ...]]:
    return {country: tuple(parts) for country, parts in holidays.list_supported_countries().items()}


@cache
def _calendar(country: str, subdivision: str | None) -> holidays.HolidayBase:
    found = holidays.country_holidays(country, subdiv=subdivision)
    if _ENGLISH not in found.supported_languages:
        return found
    return holidays.country_holidays(country, subdiv=subdivision, language=_ENGLISH)
