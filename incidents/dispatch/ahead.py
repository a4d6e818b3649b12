"""When so many letters will have left by the providers as dispatch takes them (`pacing.choose`): arithmetic, without a database.

At each moment all go by the first that is neither shut nor asked us to wait for minutes and has something left of its day; a wait
of seconds and a rate are its pace, for which nobody takes over. Once the first may be given letters again, they go by it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from incidents.dispatch import limits
from incidents.dispatch.pace_shown import Pace

#: Beyond so many days no end is named.
HORIZON_DAYS = 400


@dataclass
class Way:
    """One provider, and the letters a second at which letters leave by it; None: at once."""

    pace: Pace
    per_second: float | None
    #: Letters of each day (UTC) that left in the reckoning.
    sent: dict[date, int] = field(default_factory=dict)

    @property
    def away_until(self) -> datetime:
        """Until when others take over for it; now where nobody does."""
        row, now = self.pace.row, self.pace.as_of
        away = row.breaker != limits.CLOSED or limits.waits_long(row=row, now=now)
        return (self.pace.blocked_until or now) if away else now

    def left_on(self, day: date) -> float:
        """Letters that it may still be given on this day."""
        today = self.pace.as_of.astimezone(UTC).date()
        quota = self.pace.left_today if day == today else self.pace.quota_of(day=day)
        return float("inf") if quota is None else max(0, quota - self.sent.get(day, 0))

    def is_free(self, at: datetime) -> bool:
        """Whether letters may go by it at this moment, as far as is known now."""
        return self.away_until <= at and self.left_on(at.astimezone(UTC).date()) > 0


@dataclass(frozen=True)
class End:
    """When the last letter will have left (None: not in sight), and by which providers they go until then, in that order."""

    at: datetime | None
    by: tuple[Pace, ...]


def end_of(*, letters: int, ways: Sequence[Way]) -> End:
    """The end of so many letters; `ways` in the order of failover, fresh for each call."""
    start = at = max(way.pace.as_of for way in ways)
    by: list[Pace] = []
    while at - start <= timedelta(days=HORIZON_DAYS):
        midnight = at + timedelta(seconds=limits.until_midnight(at))
        way = next((way for way in ways if way.is_free(at)), None)
        if way is None:
            at = min([midnight, *(other.away_until for other in ways if other.away_until > at)])
            continue
        if not any(pace is way.pace for pace in by):
            by.append(way.pace)
        at = max(at, way.pace.blocked_until or at)
        if at >= midnight:
            continue
        earlier = ways[: ways.index(way)]
        until = min([midnight, *(other.away_until for other in earlier if other.away_until > at)])
        number, at = _leave(way, letters, at, until)
        letters -= number
        if not letters:
            return End(at, tuple(by))
    return End(None, tuple(by))


def _leave(way: Way, letters: int, at: datetime, until: datetime) -> tuple[int, datetime]:
    """How many leave by one provider until then, and when it has no more to do."""
    day = at.astimezone(UTC).date()
    most = min(letters, way.left_on(day))
    if way.per_second is None:
        number, done = int(most), at
    else:
        number = int(min(most, way.per_second * (until - at).total_seconds()))
        done = until if number < most else at + timedelta(seconds=number / way.per_second)
    way.sent[day] = way.sent.get(day, 0) + number
    return number, done
