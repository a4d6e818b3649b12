"""A provider that refuses our account: who else may take the letters meanwhile, and asking it again once somebody looked at it.

While another provider may take letters the campaign goes on by it. It pauses when none is left, for a person to look.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models.functions import Now

from incidents.audit.log import database_now
from incidents.dispatch import limits
from incidents.dispatch.channels.choose import providers
from incidents.models import ProviderLimit


def another_may_take(*, instead_of: str) -> bool:
    """Whether letters that this provider refuses may go by another one that is set, now or once its wait is over or its breaker
    closes: only one that refuses us as well may not."""
    names = providers()
    return instead_of in names and _may_take([name for name in names if name != instead_of], database_now())


def _may_take(names: Sequence[str], now: datetime) -> bool:
    rows = {row.provider: row for row in ProviderLimit.objects.filter(provider__in=names, scope="")}
    return any(name not in rows or not _refuses(rows[name], now) for name in names)


def _refuses(row: ProviderLimit, now: datetime) -> bool:
    rests = limits.rests_until(row=row)
    return limits.refuses_us(row=row) and rests is not None and rests > now


def ask_again() -> None:
    """Somebody resumes, so each provider that refused our account is asked at once, with one letter."""
    refusing = ProviderLimit.objects.filter(scope="", breaker=limits.OPEN, reason__startswith=limits.REFUSES)
    refusing.update(breaker=limits.HALF_OPEN, open_until=Now())
