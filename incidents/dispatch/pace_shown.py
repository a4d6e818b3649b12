"""The pace of a provider, for people: what is allowed now, what is left of the day, what is shut; and opening it by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Count, Func, IntegerField

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch import limits
from incidents.dispatch.limits import CLOSED, Allowance
from incidents.dispatch.pacing import WHOLE, limit_of
from incidents.models import Campaign, Incident, MessageState, ProviderLimit
from incidents.models.messages import Chunk, ChunkState, in_states
from incidents.models.refusal import Refused
from incidents.visible import visible


class LimitRefused(Refused):
    """A breaker was not closed; nothing changed."""


@dataclass(frozen=True)
class Pace:
    """What is allowed at one provider at one moment."""

    provider: str
    as_of: datetime
    limit: Allowance
    row: ProviderLimit
    #: Until when it is not tried because another provider carries the letters.
    rests_until: datetime | None = None
    #: Letters of the day's quota that its connections took and that are not out yet.
    in_hand: int = 0

    @property
    def per_second(self) -> float | None:
        """Letters a second that are allowed now; None: no limit."""
        return limits.rate_now(row=self.row, limit=self.limit)

    @property
    def rate_text(self) -> str:
        """The same in words; empty: no limit."""
        return "" if self.per_second is None else rate_in_words(per_second=self.per_second)

    @property
    def is_lowered(self) -> bool:
        """Whether the provider said "too fast" and the rate has not recovered."""
        return self.row.rate is not None

    @property
    def left_today(self) -> int | None:
        """Letters that may still leave today (UTC); None: no limit."""
        return limits.quota_left(row=self.row, limit=self.limit)

    @property
    def spent_until(self) -> datetime | None:
        """Until when nothing leaves by this provider because the day's quota (UTC) is used up."""
        return self.as_of + timedelta(seconds=limits.until_midnight(self.as_of)) if self.left_today == 0 else None

    def quota_of(self, *, day: date) -> int | None:
        """Letters of a later day (UTC): quota and warm-up; None: no limit."""
        return limits.quota_of(row=self.row, limit=self.limit, day=day)

    @property
    def is_limited(self) -> bool:
        """Whether anything is limited at all."""
        return self.per_second is not None or self.left_today is not None

    @property
    def is_warming_up(self) -> bool:
        """Whether today is a day of the warm-up plan."""
        return bool(self.limit.warm_up) and (self.row.day or self.as_of.date()) < self.warm_until

    @property
    def warm_until(self) -> date:
        """The first day after the plan."""
        return (self.row.warm_since or self.as_of.date()) + timedelta(days=len(self.limit.warm_up))

    @property
    def blocked_until(self) -> datetime | None:
        """Until when nothing leaves by this provider: its breaker is open, or it asked us to wait."""
        if self.rests_until is not None and self.rests_until > self.as_of:
            return self.rests_until
        return self.row.open_until if limits.is_blocked(row=self.row, now=self.as_of) else None

    @property
    def says_used_up(self) -> bool:
        """Whether the provider itself says that our quota is used up."""
        return self.breaker == "paused" and self.row.reason.startswith(limits.USED_UP)

    @property
    def carries_letters(self) -> bool:
        """Whether letters go by it now, perhaps at a pace."""
        waits = limits.waits_long(row=self.row, now=self.as_of)
        return self.row.breaker == CLOSED and not waits and self.left_today != 0

    @property
    def breaker(self) -> str:
        """closed, paused (it asked us to wait), open, or half_open (one letter tries)."""
        if self.row.breaker == CLOSED and self.blocked_until:
            return "paused"
        return self.row.breaker


def pace_of(*, provider: str) -> Pace:
    """What is allowed now; changes nothing."""
    now = database_now()
    row = ProviderLimit.objects.filter(provider=provider, scope=WHOLE).first() or ProviderLimit(provider=provider)
    limit = limit_of(row=row)
    limits.refill(row=row, limit=limit, now=now)
    return Pace(provider, now, limit, row, in_hand=0 if limits.quota_left(row=row, limit=limit) is None else _in_hand(provider))


def _in_hand(provider: str) -> int:
    claimed = Chunk.objects.filter(state=ChunkState.CLAIMED, provider=provider)
    sizes = claimed.annotate(size=Func("message_ids", function="cardinality", output_field=IntegerField()))
    return sum(max(0, size - confirmed) for size, confirmed in sizes.values_list("size", "confirmed"))


def paces_of(*, providers: Sequence[str]) -> list[Pace]:
    """The same of all by which letters may go: while one of them carries the letters, one that is shut rests for longer."""
    found = [pace_of(provider=name) for name in providers]
    well = any(pace.carries_letters for pace in found)
    return [replace(pace, rests_until=limits.rests_until(row=pace.row)) for pace in found] if well else found


def rate_in_words(*, per_second: float) -> str:
    """'120/s', '1.5/s', '12/min', '30/h': the unit in which a number can be pictured."""
    for unit, seconds in (("s", 1), ("min", 60)):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:,.{0 if per_second * seconds >= 10 else 1}f}/{unit}"
    return f"{per_second * 3600:,.0f}/h"


@dataclass(frozen=True)
class Aside:
    """A recipient domain that was put aside. Its name is nowhere: the key stands for it."""

    id: int
    provider: str
    key: str
    breaker: str
    until: datetime | None
    reason: str


def domains_aside(*, providers: list[str]) -> list[Aside]:
    """The domains that are put aside now, the longest first; at most fifty."""
    rows = ProviderLimit.objects.filter(provider__in=providers).exclude(scope=WHOLE).exclude(breaker=CLOSED)
    return [
        Aside(row.pk, row.provider, row.scope, row.breaker, row.open_until, row.reason)
        for row in rows.order_by("-open_until", "id")[:50]
    ]


def waiting_for_domains(*, campaign: Campaign, aside: Sequence[Aside]) -> dict[str, int]:
    """Letters of this campaign that wait for domains that are put aside, by the domain's key."""
    ready = campaign.messages.filter(in_states(MessageState.READY), domain_key__in=[one.key for one in aside]).order_by()
    return dict(ready.values_list("domain_key").annotate(n=Count("id"))) if aside else {}


def aside_in_words(*, campaign: Campaign, providers: list[str]) -> str:
    """How many letters wait for domains that are put aside, until when, and what can be done; empty where none does."""
    aside = domains_aside(providers=providers)
    waiting = waiting_for_domains(campaign=campaign, aside=aside)
    until = [one.until for one in aside if one.key in waiting and one.until]
    if not waiting:
        return ""
    letters, domains = sum(waiting.values()), len(waiting)
    first = f", the first until {min(until).astimezone(UTC):%H:%M:%S} UTC" if until else ""
    wait = f"{letters:,} {'letter waits' if letters == 1 else 'letters wait'} for"
    many = "domain" if domains == 1 else "domains"
    close = "The campaign's page can close that under Ways out."
    return f"{wait} {domains} {many} put aside{first}; none of them is out before. {close}"


@transaction.atomic
def close_breaker(*, limit_id: int, incident: Incident, author: User, reason: str) -> ProviderLimit:
    """Close a breaker, end a pause, take a domain back, and lift a lowered rate, because a person knows better; it is logged.

    Quotas and rates that are set stay. Raises LimitRefused without a reason, or where there is nothing to close.
    """
    if not visible(reason):
        raise LimitRefused("Closing a breaker needs its reason in words.")
    row = ProviderLimit.objects.select_for_update().filter(pk=limit_id).first()
    if row is None or (row.breaker == CLOSED and row.rate is None and row.open_until is None):
        raise LimitRefused("There is nothing to close: this breaker is closed already.")
    data = {
        "provider": row.provider, "domain_key": row.scope, "was": row.breaker, "because": row.reason,
        "until": row.open_until.astimezone(UTC).isoformat() if row.open_until else "", "reason": reason.strip(),
    }  # fmt: skip
    limits.mend(row=row)
    row.open_until, row.rate = None, None
    row.save(update_fields=("breaker", "failures", "opened", "reason", "open_until", "rate"))
    record(incident=incident, action=Action.BREAKER_CLOSED, actor=author.username, data=data)
    return row
