"""How fast letters may leave: rates, quotas and warm-up of providers and recipient domains, circuit breakers, failover order.

Several hosts share one database, so the truth is the row of `ProviderLimit`, changed under its lock in a short transaction of its
own by the database's clock. Where nothing is limited and nothing is wrong, no row exists: a claim costs one look, an answer none.

A row whose breaker is closed and whose `open_until` is ahead is paused: the provider asked us to wait until then.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from django.conf import settings
from django.db import transaction
from django.db.models import DateTimeField, Func, Q, QuerySet

from incidents.dispatch import limits
from incidents.dispatch.channels.contract import Answer
from incidents.dispatch.domains import domain_key, shared_scope
from incidents.dispatch.limits import CLOSED, DOMAIN_FUSE, PROVIDER_FUSE, Allowance, NoLimit
from incidents.dispatch.measured import rate_of_the_last_minute
from incidents.dispatch.outcomes import NotLeft
from incidents.dispatch.verdicts import Verdict, judge
from incidents.models import Incident, ProviderLimit
from incidents.vault import CannotOpen, KeyAway, Vault

logger = logging.getLogger(__name__)
CLOCK = Func(function="clock_timestamp", output_field=DateTimeField())
WHOLE = ""  # the scope of a provider as a whole
#: Below so many failures running a domain is counted in this process only: no row for each mailbox that is gone.
WRITTEN_FROM = 5
FORGET_ABOVE = 50_000


@dataclass(frozen=True)
class Grant:
    """What may be claimed now. Ask, claim at most this, then `settle_up` with what was claimed."""

    provider: str
    #: Letters that may be claimed; they are taken from rate and quota already.
    number: int
    #: With `number` 0: seconds after which to ask again (jittered). Else: when to ask again if nothing claimable is found.
    wait_seconds: float = 0.0
    #: Domain keys of which nothing may be claimed, and domain keys with the most that may be.
    avoid: tuple[str, ...] = ()
    caps: Mapping[str, int] = field(default_factory=dict)
    #: What was taken from a domain's own rate: domain key -> scope of its row, letters.
    reserved: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    #: The day (UTC) whose quota they are of; None: nothing was taken from any row.
    day: date | None = None
    #: The one letter tries whether the provider works again.
    tries: bool = False


@dataclass
class _Memory:
    """What this process saw last. Only spares statements; the rows are the truth."""

    #: (provider, domain key) -> failures running that are in no row yet.
    unwritten: Counter[tuple[str, str]] = field(default_factory=Counter)
    #: Provider -> scopes whose rows have something to forget once they work again.
    watched: dict[str, set[str]] = field(default_factory=dict)
    #: Providers of which something was taken from a row.
    counted: set[str] = field(default_factory=set)
    #: Provider -> certain failures by domain since its last sign of life.
    silent: dict[str, Counter[str]] = field(default_factory=dict)

    def watch(self, provider: str, rows: Iterable[ProviderLimit]) -> None:
        """Remember which rows are in trouble."""
        self.watched[provider] = {row.scope for row in rows if row.failures or row.breaker != CLOSED}


_memory = _Memory()


def forget() -> None:
    """Drop what this process remembers; for tests, which change the database under it."""
    _memory.__init__()  # type: ignore[misc]


def is_watched(*, provider: str, scope: str) -> bool:
    """Whether this process knows of a row that has something to forget."""
    return scope in _memory.watched.get(provider, set())


def watch(*, provider: str, scope: str, on: bool) -> None:
    """Remember, or forget, that a row has something to forget."""
    known = _memory.watched.setdefault(provider, set())
    (known.add if on else known.discard)(scope)


def grant(*, provider: str, wanted: int, incident: Incident | None = None, now: datetime | None = None) -> Grant:
    """How many letters may be claimed for a provider now, and of which domains none or few.

    `incident` names the limited domains (their keys are the incident's); without it only the domains that were put aside
    count. `now` is for tests; else the database's clock. Takes no part in an open transaction (RuntimeError).
    """
    limit, domains = _limit(provider), _limited_domains(provider, incident)
    if limit == NoLimit() and not domains:
        rows, at = _look(provider, now)
        if not rows:
            return Grant(provider, wanted)
        if (quick := _without_lock(provider, wanted, rows, at)) is not None:
            return quick
    _memory.counted.add(provider)
    with transaction.atomic(durable=True):
        scopes = {WHOLE, *(scope for scope, _ in domains.values())}
        locked, at = _locked(provider, scopes, now)
        given = _grant(provider, limit, domains, wanted, locked, at)
        _write(row for row in locked.values() if row.scope in scopes or row.breaker == limits.HALF_OPEN)
    return given


def _write(rows: Iterable[ProviderLimit]) -> None:
    for row in rows:
        row.save(update_fields=WRITTEN)


WRITTEN = (
    "rate", "tokens", "refilled_at", "day", "sent_today", "warm_since", "breaker", "failures", "open_until", "opened", "reason",
)  # fmt: skip


def _limit(provider: str) -> Allowance:
    found: Allowance | None = settings.PROVIDER_LIMITS.get(provider)
    return NoLimit() if found is None else found


def _domain_limits(provider: str) -> dict[str, Allowance]:
    """Domain -> its limit at this provider; what is said of the provider itself goes before what is said of each."""
    of_each = {domain: limit for (name, domain), limit in settings.DOMAIN_LIMITS.items() if name == ""}
    return {**of_each, **{domain: limit for (name, domain), limit in settings.DOMAIN_LIMITS.items() if name == provider}}


def _limited_domains(provider: str, incident: Incident | None) -> dict[str, tuple[str, Allowance]]:
    """Domain key -> scope of its row and its limit, of the domains that the settings limit at this provider."""
    found = _domain_limits(provider) if incident is not None else {}
    if incident is None or not found:
        return {}
    vault = Vault(incident=incident, people=False)
    return {domain_key(vault=vault, domain=name): (shared_scope(domain=name), limit) for name, limit in found.items()}


def _rows(provider: str) -> QuerySet[ProviderLimit]:
    return ProviderLimit.objects.filter(provider=provider).annotate(at=CLOCK)


NEVER = datetime.max.replace(tzinfo=UTC)
TROUBLE = ~Q(breaker=CLOSED) | Q(failures__gt=0)


def _at(row: ProviderLimit) -> datetime:
    """The database's clock when the row was read."""
    moment: datetime = row.at  # type: ignore[attr-defined]  # annotated by _rows
    return moment


def _look(provider: str, now: datetime | None) -> tuple[dict[str, ProviderLimit], datetime]:
    """The provider's row and those in trouble, unlocked, and the moment."""
    rows = list(_rows(provider).filter(TROUBLE | Q(scope=WHOLE)).order_by("scope"))
    _memory.watch(provider, rows)
    return {row.scope: row for row in rows}, now or max((_at(row) for row in rows), default=NEVER)


def _locked(provider: str, scopes: set[str], now: datetime | None) -> tuple[dict[str, ProviderLimit], datetime]:
    """These rows (made when missing) and those in trouble, locked in one order, and the moment."""
    wanted = _rows(provider).filter(TROUBLE | Q(scope__in=scopes)).order_by("scope").select_for_update()
    rows = {row.scope: row for row in wanted}
    if missing := scopes - rows.keys():
        made = [ProviderLimit(provider=provider, scope=scope) for scope in sorted(missing)]
        ProviderLimit.objects.bulk_create(made, ignore_conflicts=True)
        rows = {row.scope: row for row in wanted.all()}
    _memory.watch(provider, rows.values())
    return rows, now or max(_at(row) for row in rows.values())


def _without_lock(provider: str, wanted: int, rows: dict[str, ProviderLimit], now: datetime) -> Grant | None:
    """The answer where no row has to change: nothing limits, or nothing may leave; None where one has to."""
    whole = rows.get(WHOLE)
    if whole is not None and limits.is_blocked(row=whole, now=now):
        return Grant(provider, 0, limits.jittered(limits.seconds_left(row=whole, now=now)))
    if any(limits.is_due(row=row, now=now) for row in rows.values()) or (whole is not None and whole.rate is not None):
        return None
    aside = [row for row in rows.values() if row.scope and row.breaker != CLOSED]
    return Grant(provider, wanted, _first_end(aside, now), avoid=tuple(row.scope for row in aside))


def _first_end(rows: Iterable[ProviderLimit], now: datetime) -> float:
    return min((limits.jittered(limits.seconds_left(row=row, now=now)) for row in rows), default=0.0)


def _grant(
    provider: str, limit: Allowance, domains: dict[str, tuple[str, Allowance]], wanted: int,
    rows: dict[str, ProviderLimit], now: datetime,
) -> Grant:  # fmt: skip
    whole = rows[WHOLE]
    limits.refill(row=whole, limit=limit, now=now)
    if limits.is_blocked(row=whole, now=now):
        return Grant(provider, 0, limits.jittered(limits.seconds_left(row=whole, now=now)))
    trying = limits.is_due(row=whole, now=now)
    number, wait = limits.take(row=whole, limit=limit, wanted=min(wanted, 1) if trying else wanted, now=now)
    if not number:
        return Grant(provider, 0, wait)
    if trying:
        limits.half_open(row=whole, now=now, seconds=settings.LEASE_SECONDS)
    caps = _caps_of_the_limited(domains, number, rows, now)
    reserved = {key: (domains[key][0], cap) for key, cap in caps.items() if cap}
    aside = [row for row in rows.values() if row.scope and row.breaker != CLOSED]
    for row in aside:
        if limits.is_due(row=row, now=now):
            limits.half_open(row=row, now=now, seconds=settings.LEASE_SECONDS)
            caps[row.scope] = min(1, caps.get(row.scope, 1))
        else:
            caps[row.scope] = 0
    return Grant(
        provider, number, _first_end(aside, now), avoid=tuple(key for key, cap in caps.items() if not cap),
        caps={key: cap for key, cap in caps.items() if cap}, reserved=reserved, day=whole.day, tries=trying,
    )  # fmt: skip


def _caps_of_the_limited(
    domains: dict[str, tuple[str, Allowance]], number: int, rows: dict[str, ProviderLimit], now: datetime
) -> dict[str, int]:
    caps = {}
    for key, (scope, limit) in domains.items():
        limits.refill(row=rows[scope], limit=limit, now=now)
        caps[key], _ = limits.take(row=rows[scope], limit=limit, wanted=number, now=now)
    return caps


def settle_up(*, grant: Grant, claimed: Sequence[str]) -> None:
    """Put back what was granted and not claimed. `claimed`: the domain keys of the letters that were claimed, one a letter."""
    if grant.day is None:
        return
    of_each = Counter(claimed)
    domains = {scope: taken - of_each[key] for key, (scope, taken) in grant.reserved.items()}
    return_quota(provider=grant.provider, number=grant.number - len(claimed), domains=domains, day=grant.day)


def return_quota_of(*, provider: str, incident: Incident, day: date, letters: Mapping[NotLeft, int]) -> None:
    """Put back claimed letters of which certainly nothing left, as many as are said of each.

    A letter that was begun and failed used the pace, of the provider and of its domain, and no quota.
    """
    scopes = _scopes(provider, incident)
    for fresh in (True, False):
        of_each = {one.domain_key: count for one, count in letters.items() if one.never_begun == fresh}
        domains = {scopes[key]: count for key, count in of_each.items() if key in scopes}
        return_quota(provider=provider, number=sum(of_each.values()), domains=domains, day=day, pace=fresh)


def _scopes(provider: str, incident: Incident) -> dict[str, str]:
    """Domain key -> scope of its row; none while the incident's key is away, when only the provider's quota is put right."""
    try:
        return {key: scope for key, (scope, _) in _limited_domains(provider, incident).items()}
    except (KeyAway, CannotOpen) as away:
        logger.warning("what a limited domain gets back is not known (%s)", type(away).__name__)
        return {}


def return_quota(
    *, provider: str, number: int, domains: Mapping[str, int] | None = None, day: date | None = None, pace: bool = True
) -> None:
    """Put back letters that were granted and did not leave. `domains`: scope of a row -> letters; `day`: that of the grant;
    `pace`: to the rate as well."""
    back = {scope: count for scope, count in {WHOLE: number, **(domains or {})}.items() if count > 0}
    if not back or (day is None and provider not in _memory.counted):
        return
    with transaction.atomic(durable=True):
        rows = list(ProviderLimit.objects.select_for_update().filter(provider=provider, scope__in=back).order_by("scope"))
        for row in rows:
            limits.put_back(row=row, limit=limit_of(row=row), number=back[row.scope], day=day, pace=pace)
        _write(rows)


def limit_of(*, row: ProviderLimit) -> Allowance:
    """What the settings allow the provider, or the limited domain, whose row this is."""
    if row.scope == WHOLE:
        return _limit(row.provider)
    named = {shared_scope(domain=domain): limit for domain, limit in _domain_limits(row.provider).items()}
    return named.get(row.scope, NoLimit())


def told(*, provider: str, results: Sequence[tuple[str, Answer]], now: datetime | None = None) -> None:
    """What a provider answered, letter by letter in their order: (domain key, answer). Call it outside of a transaction.

    "Too fast" halves the rate; a wish to wait is kept, at most an hour; failures running open the provider's breaker, or put
    the domain aside. Where all went well and nothing was wrong before, no statement is made. `now` is for tests.
    """
    verdict = judge(results=results, silent=_memory.silent.setdefault(provider, Counter()))
    watched = _memory.watched.get(provider, set())
    domains = {key: heard for key, heard in verdict.domains.items() if key and _is_to_be_written(provider, key, heard, watched)}
    if not verdict.speaks_of_the_provider and not domains and not (verdict.reached and WHOLE in watched):
        return
    with transaction.atomic(durable=True):
        rows, at = _locked(provider, {WHOLE, *domains}, now)
        _hear_provider(rows[WHOLE], verdict, at)
        for key in domains:
            _hear_domain(rows[key], through=domains[key][0], at=at)
        _write(rows[scope] for scope in (WHOLE, *domains))
    _memory.watch(provider, rows.values())


def _is_to_be_written(provider: str, key: str, heard: tuple[bool, int], watched: set[str]) -> bool:
    """Whether a domain's row has to change; else its failures are counted here until they are worth a row."""
    if len(_memory.unwritten) > FORGET_ABOVE:
        _memory.unwritten.clear()
    through, running = heard
    if through:
        _memory.unwritten.pop((provider, key), None)
    if running:
        _memory.unwritten[provider, key] += running
    return key in watched or _memory.unwritten[provider, key] >= WRITTEN_FROM


def _hear_provider(row: ProviderLimit, verdict: Verdict, at: datetime) -> None:
    limits.refill(row=row, limit=_limit(row.provider), now=at)
    if verdict.account:
        _trip(row, PROVIDER_FUSE, at, f"{limits.REFUSES}{verdict.account}")
        return
    tried = row.breaker == limits.HALF_OPEN
    row.failures = verdict.outages if verdict.reached else row.failures + verdict.outages
    if (tried and verdict.outages) or (row.breaker == CLOSED and row.failures >= PROVIDER_FUSE.failures):
        _trip(row, PROVIDER_FUSE, at, verdict.reason or "it cannot be reached")
    elif tried and verdict.reached:
        limits.mend(row=row)
    if verdict.spent:
        limits.rest_of_the_day(row=row, now=at, reason=verdict.spent)
        logger.warning("%s is given nothing until %s: %s", row.provider, row.open_until, row.reason)
    elif verdict.throttled:
        rate = limits.rate_now(row=row, limit=_limit(row.provider)) or rate_of_the_last_minute(provider=row.provider)
        limits.slow_down(row=row, rate=rate, asked=verdict.asked, now=at)
        logger.warning("%s says that we are too fast: %.1f letters a second from now on", row.provider, row.rate or rate)
    elif (seconds := limits.seconds_to_wait(asked=verdict.asked)) is not None:
        limits.pause(row=row, seconds=seconds, now=at)


def _hear_domain(row: ProviderLimit, *, through: bool, at: datetime) -> None:
    running = _memory.unwritten.pop((row.provider, row.scope), 0)
    if through:
        limits.mend(row=row)
        row.failures = running
    elif row.breaker != limits.OPEN:
        row.failures += running
    tried, many = row.breaker == limits.HALF_OPEN, row.breaker == CLOSED and row.failures >= DOMAIN_FUSE.failures
    if running and (tried or many):
        _trip(row, DOMAIN_FUSE, at, f"{row.failures} letters to this domain failed running")


def _trip(row: ProviderLimit, fuse: limits.Fuse, at: datetime, reason: str) -> None:
    if row.breaker == limits.OPEN and row.open_until is not None and row.open_until > at:
        return  # an answer that was on its way when it opened
    limits.trip(row=row, fuse=fuse, now=at, reason=reason)
    logger.warning(
        "%s %s until %s: %s", row.provider, "domain put aside" if row.scope else "is not asked", row.open_until, reason
    )


def choose(*, providers: Sequence[str], now: datetime | None = None) -> str | None:
    """The first provider, in this order, by which letters leave in time; None: none may be asked.

    One whose breaker is open is passed by until it is due for the one letter that tries, and so is one that asked us to wait for
    minutes, whose quota of the day is used up, or that complained of our pace until less than a letter a second was left. A wait
    of seconds and any other rate are its pace: nobody takes over for them. One that failed again when it was tried rests for
    longer; but where nobody else carries letters, the one that was shut first tries. Where all wait, it is the first that is not
    shut.
    """
    rows = ProviderLimit.objects.filter(provider__in=providers, scope=WHOLE).annotate(at=CLOCK)
    shut, late, resting = set[str](), set[str](), dict[str, datetime]()
    for row in rows:
        at = now or _at(row)
        if row.breaker != CLOSED and not limits.is_due(row=row, now=at):
            shut.add(row.provider)
        elif (rests := limits.rests_until(row=row)) is not None and rests > at:
            resting[row.provider] = rests
        elif limits.waits_long(row=row, now=at) or _carries_next_to_nothing(row, at):
            late.add(row.provider)
    free = [name for name in providers if name not in shut]
    well = next((name for name in free if name not in late and name not in resting), None)
    return well or min(resting, key=resting.__getitem__, default=free[0] if free else None)


def _carries_next_to_nothing(row: ProviderLimit, at: datetime) -> bool:
    limit = _limit(row.provider)
    return limits.is_spent(row=row, limit=limit, now=at) or limits.crawls(row=row, limit=limit, now=at)


def may_go_on(*, provider: str, now: datetime | None = None) -> bool:
    """Whether letters that are claimed may still be begun: its breaker is closed, and it did not ask us to wait."""
    row = _rows(provider).filter(scope=WHOLE).first()
    return row is None or not limits.is_blocked(row=row, now=now or _at(row)) or row.breaker == limits.HALF_OPEN
