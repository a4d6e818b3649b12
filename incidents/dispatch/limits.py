"""The arithmetic of pace: what one row of limits allows at a moment. Touches no database; `pacing` locks, reads and writes.

The bucket holds a twenty-fifth of a second's letters and fills so much slower that in no second more than the rate can leave.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from incidents.models import ProviderLimit

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"
#: A bucket of rate/25 letters: small enough not to come in bursts, large enough not to claim letter by letter.
PARTS_OF_A_SECOND = 25
#: A throttled rate halves, never below one letter in ten seconds, and grows by a tenth in the first minute; when no further word
#: came, it doubles with each minute: a provider that was troubled for a while is not crawled to for an hour.
#: After so many seconds a lowered rate is any rate again, and no number is larger than one can be.
LONG_ENOUGH_SECONDS = 7200.0
CRAWL = 1.0
LEAST_RATE, RECOVERY_A_MINUTE, LATER_A_MINUTE, CAREFUL_SECONDS = 0.1, 1.1, 2.0, 60.0
#: Where no rate is set, a lowered one that has grown to this is no limit any more.
NO_LIMIT_FROM = 10_000.0
LONGEST_WAIT_SECONDS, DAY_SECONDS = 3600.0, 86_400.0
#: A wait that is longer is a reason to let another provider take over; one of seconds is none.
LONG_WAIT_SECONDS = 300.0
#: How the reason of a wait of minutes begins, and that of a provider which says that our quota is used up.
ASKED, USED_UP = "it asked us to wait for", "its own quota for us is used up"
#: How the reason of a breaker begins that opened because our account is refused.
REFUSES = "it refuses us: "
#: After "too fast" without a time: a pause of so many seconds, up to twice that.
PAUSE_SECONDS = 5.0
MOST_JITTER_SECONDS = 30.0
#: How often to look whether the letter that tries was answered.
ASK_AGAIN_SECONDS = 2.0
#: After so many days without a letter a provider's warm-up begins again.
COLD_AFTER_DAYS = 30


class Allowance(Protocol):
    """What the settings allow (`notifier.rates.Limit`)."""

    @property
    def per_second(self) -> float | None: ...
    @property
    def per_day(self) -> int | None: ...
    @property
    def warm_up(self) -> tuple[int, ...]: ...


@dataclass(frozen=True)
class NoLimit:
    """Nothing is set."""

    per_second: float | None = None
    per_day: int | None = None
    warm_up: tuple[int, ...] = ()


@dataclass(frozen=True)
class Fuse:
    """A circuit breaker: opens after so many failures running, for `first` seconds, doubling up to `longest`."""

    failures: int
    first: float
    longest: float


#: Never longer than 45 s: dispatch goes on within 60 s of the cause ending (guarantee G4), and one letter asks.
PROVIDER_FUSE = Fuse(failures=5, first=10, longest=45)
#: While another provider carries the letters nobody waits for this one: it is tried more and more seldom, up to this.
REST_FUSE = Fuse(failures=5, first=10, longest=1800)
#: And one that refuses our account for longer from the beginning: that does not end by itself.
ACCOUNT_FUSE = Fuse(failures=1, first=900, longest=4 * 3600)
DOMAIN_FUSE = Fuse(failures=20, first=900, longest=4 * 3600)


def seconds_to_wait(*, asked: float | None) -> float | None:
    """A wish to wait, in seconds: None when none was said or it makes no sense; at most an hour."""
    if asked is None or math.isnan(asked) or asked <= 0:
        return None
    return min(asked, LONGEST_WAIT_SECONDS)


def jittered(seconds: float) -> float:
    """Never less, up to a quarter or half a minute more: those who wait for one moment do not all come at that moment."""
    return seconds + min(seconds / 4, MOST_JITTER_SECONDS) * random.random()  # noqa: S311  (jitter)


def rate_now(*, row: ProviderLimit, limit: Allowance) -> float | None:
    """Letters a second that are allowed: what is set, or less after "too fast"; None: no limit."""
    known = [rate for rate in (row.rate, limit.per_second) if rate is not None]
    return min(known, default=None)


def capacity(rate: float) -> float:
    """The most letters that leave at once."""
    return max(1.0, rate / PARTS_OF_A_SECOND)


def inflow(rate: float) -> float:
    """Letters a second that flow into the bucket: with what it holds never more than the rate in any one second."""
    return rate - capacity(rate) if rate > PARTS_OF_A_SECOND else rate


def refill(*, row: ProviderLimit, limit: Allowance, now: datetime) -> None:
    """Bring a row to this moment: tokens, the lowered rate's recovery, the day. A clock that goes back gives nothing."""
    passed = 0.0
    if row.refilled_at is not None:
        passed = min(max(0.0, (now - row.refilled_at).total_seconds()), DAY_SECONDS)
    if row.rate is not None:
        row.rate *= _recovered(row, passed, now)
        if row.rate >= (limit.per_second or NO_LIMIT_FROM):
            row.rate = None
    rate = rate_now(row=row, limit=limit)
    if rate is None:
        row.tokens = 0.0
    elif row.refilled_at is None:
        row.tokens = capacity(rate)
    else:
        row.tokens = min(capacity(rate), row.tokens + passed * inflow(rate))
    row.refilled_at = max(now, row.refilled_at or now)
    _turn_day(row, limit, now.astimezone(UTC).date())


def _recovered(row: ProviderLimit, passed: float, now: datetime) -> float:
    """By what a lowered rate grew in the seconds since the last look. The last "too fast" was before the pause."""
    quiet = (now - row.open_until).total_seconds() if row.open_until else 0.0
    boldly = min(passed, max(0.0, quiet - CAREFUL_SECONDS))
    carefully, boldly = min(passed - boldly, LONG_ENOUGH_SECONDS), min(boldly, LONG_ENOUGH_SECONDS)
    return float(RECOVERY_A_MINUTE ** (carefully / 60) * LATER_A_MINUTE ** (boldly / 60))


def _turn_day(row: ProviderLimit, limit: Allowance, today: date) -> None:
    cold = row.warm_since is None or (row.day is not None and (today - row.day).days > COLD_AFTER_DAYS)
    if limit.warm_up and cold:
        row.warm_since = today
    if row.day is None or today > row.day:
        row.day, row.sent_today = today, 0


def quota_of(*, row: ProviderLimit, limit: Allowance, day: date) -> int | None:
    """Letters that may leave on this day: the daily quota and the warm-up plan, whichever is less; None: no limit."""
    known = [] if limit.per_day is None else [limit.per_day]
    since = (day - (row.warm_since or day)).days
    if since < len(limit.warm_up):
        known.append(limit.warm_up[max(since, 0)])
    return min(known, default=None)


def quota_left(*, row: ProviderLimit, limit: Allowance) -> int | None:
    """What is left of the row's day; None: no limit."""
    if row.day is None:
        return None
    quota = quota_of(row=row, limit=limit, day=row.day)
    return None if quota is None else max(0, quota - row.sent_today)


def until_midnight(now: datetime) -> float:
    """Seconds until the quota's next day (UTC)."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1) - now).total_seconds()


def take(*, row: ProviderLimit, limit: Allowance, wanted: int, now: datetime) -> tuple[int, float]:
    """Take up to `wanted` letters from a refilled row; with none, the seconds after which to ask again."""
    left = quota_left(row=row, limit=limit)
    if left is not None and left < 1:
        return 0, jittered(until_midnight(now))
    wanted = wanted if left is None else min(wanted, left)
    rate = rate_now(row=row, limit=limit)
    if rate is None:
        row.sent_today += wanted
        return wanted, 0.0
    worth_it = max(1, min(wanted, int(capacity(rate) * 3 / 4)))
    number = min(wanted, int(row.tokens + 1e-9))
    if number < worth_it:
        return 0, (worth_it - row.tokens) / inflow(rate)
    row.tokens, row.sent_today = row.tokens - number, row.sent_today + number
    return number, 0.0


def put_back(*, row: ProviderLimit, limit: Allowance, number: int, day: date | None, pace: bool = True) -> None:
    """Letters that were taken and did not leave; the quota of a day that has passed gains nothing. `pace`: to the bucket too."""
    rate = rate_now(row=row, limit=limit) if pace else None
    if rate is not None:
        row.tokens = min(capacity(rate), row.tokens + number)
    if day is None or day == row.day:
        row.sent_today = max(0, row.sent_today - number)


def slow_down(*, row: ProviderLimit, rate: float, asked: float | None, now: datetime) -> None:
    """The provider said "too fast": half the rate, nothing before it said. What was on its way then does not halve again."""
    if not is_paused(row=row, now=now):
        row.rate, row.tokens, row.refilled_at = max(LEAST_RATE, rate / 2), 0.0, max(now, row.refilled_at or now)
    wait = seconds_to_wait(asked=asked) or PAUSE_SECONDS * (1 + random.random())  # noqa: S311  (jitter)
    pause(row=row, seconds=wait, now=now)


def pause(*, row: ProviderLimit, seconds: float, now: datetime) -> None:
    """Nothing before this moment; an open breaker's own moment stands. A long wait says so on its row until it is over: it is
    one in its last seconds too."""
    until, still = now + timedelta(seconds=seconds), row.reason if is_paused(row=row, now=now) else ""
    if row.breaker != CLOSED or (still and row.open_until is not None and until <= row.open_until):
        return
    row.open_until = max(until, row.open_until or now)
    whole = seconds_left(row=row, now=now)
    row.reason = f"{ASKED} {whole / 60:.0f} min" if whole > LONG_WAIT_SECONDS else still


def rest_of_the_day(*, row: ProviderLimit, now: datetime, reason: str) -> None:
    """It says that our quota is used up: nothing before the next day (UTC), when it is asked again. Its rate stays."""
    if row.breaker == CLOSED:
        until = now + timedelta(seconds=until_midnight(now))
        row.open_until, row.reason = max(until, row.open_until or now), f"{USED_UP}: {reason}"[:200]


def is_paused(*, row: ProviderLimit, now: datetime) -> bool:
    """Whether the provider asked us to wait until later than now."""
    return row.breaker == CLOSED and row.open_until is not None and row.open_until > now


def waits_long(*, row: ProviderLimit, now: datetime) -> bool:
    """Whether it asked us to wait for longer than `LONG_WAIT_SECONDS`, or until the next day, and that is not over."""
    return is_paused(row=row, now=now) and bool(row.reason)


def is_spent(*, row: ProviderLimit, limit: Allowance, now: datetime) -> bool:
    """Whether the day's quota is used up. Brings the row to this moment."""
    refill(row=row, limit=limit, now=now)
    return quota_left(row=row, limit=limit) == 0


def crawls(*, row: ProviderLimit, limit: Allowance, now: datetime) -> bool:
    """Whether "too fast" again and again has brought it under a letter a second, and under a tenth of what is set."""
    refill(row=row, limit=limit, now=now)
    return row.rate is not None and row.rate < CRAWL and row.rate < (limit.per_second or NO_LIMIT_FROM) / 10


def seconds_left(*, row: ProviderLimit, now: datetime) -> float:
    """Seconds until a paused or open row may be asked again; while one letter tries, soon, as it may answer any moment."""
    seconds = max(0.0, (row.open_until - now).total_seconds()) if row.open_until else 0.0
    return min(seconds, ASK_AGAIN_SECONDS) if row.breaker == HALF_OPEN else seconds


def is_blocked(*, row: ProviderLimit, now: datetime) -> bool:
    """Whether nothing may leave now: paused, open, or one letter is on its way to try."""
    return row.open_until is not None and row.open_until > now


def is_due(*, row: ProviderLimit, now: datetime) -> bool:
    """Whether an open breaker may let one letter through, or the letter that tried never answered."""
    return row.breaker != CLOSED and not is_blocked(row=row, now=now)


def half_open(*, row: ProviderLimit, now: datetime, seconds: float) -> None:
    """One letter tries; when nothing is heard of it in `seconds`, another may."""
    row.breaker, row.open_until = HALF_OPEN, now + timedelta(seconds=seconds)


def trip(*, row: ProviderLimit, fuse: Fuse, now: datetime, reason: str) -> None:
    """Open the breaker, twice as long as the last time when it has not closed since."""
    row.opened = min(row.opened + 1, 30)
    seconds = _open_seconds(row, fuse)
    row.breaker, row.open_until, row.reason = OPEN, now + timedelta(seconds=seconds), reason[:200]


def _open_seconds(row: ProviderLimit, fuse: Fuse) -> float:
    return min(fuse.longest, fuse.first * 2.0 ** max(0, row.opened - 1))


def rests_until(*, row: ProviderLimit) -> datetime | None:
    """Until when a provider's open breaker lets nobody try while another provider carries the letters; None: it is not open."""
    if row.breaker != OPEN or row.open_until is None:
        return None
    fuse = ACCOUNT_FUSE if refuses_us(row=row) else REST_FUSE
    return row.open_until + timedelta(seconds=_open_seconds(row, fuse) - _open_seconds(row, PROVIDER_FUSE))


def refuses_us(*, row: ProviderLimit) -> bool:
    """Whether a provider refused our account when it was last asked."""
    return row.breaker == OPEN and row.reason.startswith(REFUSES)


def mend(*, row: ProviderLimit) -> None:
    """It works again: closed, and everything forgotten but a lowered rate."""
    if row.breaker != CLOSED:
        row.open_until = None if row.rate is None else row.refilled_at
    row.breaker, row.failures, row.opened, row.reason = CLOSED, 0, 0, ""
