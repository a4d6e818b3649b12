"""Pace: rates, quotas, warm-up, "too fast", breakers; shared by every host through the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from pytest_django import Settings
from pytest_django.fixtures import DjangoAssertNumQueries

from incidents.dispatch import pacing
from incidents.dispatch.aside import switch_channel
from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.domains import domain_key
from incidents.dispatch.measured import ASSUMED_RATE
from incidents.dispatch.outbox import give_back_strays, take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.pacing import Grant, choose, grant, may_go_on, return_quota, settle_up, told
from incidents.dispatch.work import send_ready
from incidents.models import Campaign, Incident, Message, ProviderLimit
from incidents.vault import Vault
from notifier.rates import Limit, domain_limits, provider_limits
from tests.dispatch.campaigns import answer, process, taken

T0 = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC)
TAKEN = Answer(provider_id="250 ok")
REFUSED = Answer(error=SendErrorKind.REFUSED, detail="550 no such user")
LATER = Answer(error=SendErrorKind.NOT_SENT, detail="450 domain not found")
GREYLISTED = Answer(error=SendErrorKind.NOT_SENT, detail="450 4.2.0, greylisted", greylisted=True)
UNREACHED = Answer(error=SendErrorKind.NOT_SENT, detail="connection refused", unreached=True)
SILENT = Answer(error=SendErrorKind.DOUBTFUL, detail="no answer in 30 s")
ACCOUNT = Answer(error=SendErrorKind.ACCOUNT, detail="535 authentication failed")

USED_UP = Answer(error=SendErrorKind.NOT_SENT, detail="resend: our quota is used up (429, daily_quota_exceeded)", spent=True)


def too_fast(retry_after: float | None = None) -> Answer:
    return Answer(error=SendErrorKind.NOT_SENT, detail="429", throttled=True, retry_after=retry_after)


def after(seconds: float, since: datetime = T0) -> datetime:
    return since + timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    pacing.forget()
    yield
    pacing.forget()


@pytest.fixture
def limited(settings: Settings) -> Any:
    """Set limits as the environment would."""

    def set_(rates: str = "", *, warm_up: str = "", domains: str = "") -> None:
        settings.PROVIDER_LIMITS = provider_limits(rates=rates, warm_up=warm_up)
        settings.DOMAIN_LIMITS = domain_limits(rates=domains)

    return set_


def whole(provider: str = "smtp") -> ProviderLimit:
    return ProviderLimit.objects.get(provider=provider, scope="")


def everything(
    seconds: float, *, since: datetime = T0, wanted: int = 1000, step: float = 0.01, provider: str = "smtp"
) -> list[tuple[float, int]]:
    """Ask greedily every hundredth of a second: (second, letters) of each grant that gave some."""
    found = []
    for tick in range(round(seconds / step)):
        if number := grant(provider=provider, wanted=wanted, now=after(tick * step, since)).number:
            found.append((tick * step, number))
    return found


def test_without_limits_and_trouble_a_claim_costs_one_look_and_writes_nothing(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert grant(provider="smtp", wanted=200) == Grant("smtp", 200)
    with django_assert_num_queries(0):
        told(provider="smtp", results=[("a" * 16, TAKEN)] * 200)
        return_quota(provider="smtp", number=3)
        settle_up(grant=Grant("smtp", 200), claimed=["a" * 16])
    assert not ProviderLimit.objects.exists()


def test_no_second_holds_more_letters_than_the_rate(db: None, limited: Any) -> None:
    limited("smtp 100/s")
    given = everything(3)
    for start, _ in given:
        assert sum(number for at, number in given if start <= at < start + 1 - 1e-9) <= 100
    assert sum(number for _, number in given) >= 3 * 95


@pytest.mark.parametrize(("rates", "seconds", "letters"), [("smtp 5/s", 4, 20), ("smtp 30/min", 10, 5), ("smtp 3600/h", 5, 5)])
def test_a_slow_rate_is_kept_letter_by_letter(db: None, limited: Any, rates: str, seconds: float, letters: int) -> None:
    limited(rates)
    assert sum(number for _, number in everything(seconds, step=0.1)) == letters


def test_the_wait_says_when_to_ask_again(db: None, limited: Any) -> None:
    limited("smtp 2/s")
    assert grant(provider="smtp", wanted=10, now=T0).number == 1
    refused = grant(provider="smtp", wanted=10, now=T0)
    assert refused.number == 0 and 0.5 <= refused.wait_seconds <= 1
    assert grant(provider="smtp", wanted=10, now=after(refused.wait_seconds)).number == 1


@pytest.mark.parametrize("rate", [0.5, 7, 25, 26, 100, 1000, 5000])
def test_whoever_asks_again_when_told_to_gets_nearly_the_whole_rate(db: None, limited: Any, rate: float) -> None:
    limited(f"smtp {rate}/s")
    at, got = 0.0, 0
    while at < max(1, 20 / rate):
        given = grant(provider="smtp", wanted=200, now=after(at))
        got, at = got + given.number, at + (given.wait_seconds or 0.001)
    assert got >= 0.95 * rate * at - 1


@pytest.mark.committed
def test_two_processes_that_share_a_bucket_never_exceed_it(committed: str) -> None:
    code = """
    import json, time
    from incidents.dispatch.pacing import grant
    end, given = time.monotonic() + 4, []
    while time.monotonic() < end:
        got = grant(provider="smtp", wanted=50)
        given.append([time.time(), got.number])
        time.sleep(min(got.wait_seconds, 0.05))
    print(json.dumps(given))
    """
    both = [process(code, PROVIDER_RATES="smtp 200/s 700/day") for _ in range(2)]
    outputs = [one.communicate(timeout=120) for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    given = sorted(tuple(each) for out, _ in outputs for each in json.loads(out))
    assert all(any(number for _, number in json.loads(out)) for out, _ in outputs)
    span = given[-1][0] - given[0][0]
    assert sum(number for _, number in given) <= min(700, 200 * span + 8)
    assert whole().sent_today == sum(number for _, number in given)


def test_the_daily_quota_ends_at_midnight_utc_and_not_before(db: None, limited: Any) -> None:
    limited("smtp 500/day")
    late = after(-60, MIDNIGHT)
    assert grant(provider="smtp", wanted=300, now=late).number == 300
    assert grant(provider="smtp", wanted=300, now=late).number == 200
    over = grant(provider="smtp", wanted=300, now=late)
    assert over.number == 0 and 60 <= over.wait_seconds < 90
    assert grant(provider="smtp", wanted=1, now=after(-0.001, MIDNIGHT)).number == 0
    assert grant(provider="smtp", wanted=300, now=MIDNIGHT).number == 300


def test_a_clock_that_goes_back_over_midnight_opens_no_new_quota(db: None, limited: Any) -> None:
    limited("smtp 500/day")
    assert grant(provider="smtp", wanted=500, now=after(1, MIDNIGHT)).number == 500
    assert grant(provider="smtp", wanted=500, now=after(-1, MIDNIGHT)).number == 0
    assert grant(provider="smtp", wanted=500, now=after(2, MIDNIGHT)).number == 0


def test_what_is_given_back_may_be_claimed_again_but_not_on_another_day(db: None, limited: Any) -> None:
    limited("smtp 500/day")
    yesterday = grant(provider="smtp", wanted=500, now=after(-1, MIDNIGHT))
    settle_up(grant=yesterday, claimed=["a" * 16] * 480)
    assert grant(provider="smtp", wanted=500, now=after(-1, MIDNIGHT)).number == 20
    assert grant(provider="smtp", wanted=500, now=MIDNIGHT).number == 500
    settle_up(grant=yesterday, claimed=[])
    assert grant(provider="smtp", wanted=500, now=MIDNIGHT).number == 0


def test_a_warm_up_follows_its_plan_by_days_and_then_the_quota(db: None, limited: Any) -> None:
    limited("smtp 1000/day", warm_up="smtp 10 50 200")
    days = [grant(provider="smtp", wanted=5000, now=T0 + timedelta(days=day)).number for day in range(5)]
    assert days == [10, 50, 200, 1000, 1000] and whole().warm_since == T0.date()


def test_a_warm_up_begins_again_after_a_month_of_silence(db: None, limited: Any) -> None:
    limited(warm_up="smtp 10 50")
    for day in (0, 1):
        grant(provider="smtp", wanted=5000, now=T0 + timedelta(days=day))
    assert grant(provider="smtp", wanted=5000, now=T0 + timedelta(days=2)).number == 5000
    assert grant(provider="smtp", wanted=5000, now=T0 + timedelta(days=40)).number == 10


def test_too_fast_halves_the_rate_once_a_storm_and_it_comes_back_a_tenth_in_the_first_minute(db: None, limited: Any) -> None:
    limited("smtp 100/s")
    grant(provider="smtp", wanted=200, now=T0)
    for _ in range(20):  # twenty connections are told so in the same second
        told(provider="smtp", results=[("", too_fast(10))] * 5, now=T0)
    assert whole().rate == 50
    assert grant(provider="smtp", wanted=200, now=after(9.9)).number == 0
    grant(provider="smtp", wanted=200, now=after(60))
    assert whole().rate == pytest.approx(55, rel=0.01)
    grant(provider="smtp", wanted=200, now=after(8 * 60))
    assert whole().rate is None


@pytest.mark.parametrize("looks", [1, 7, 600])
def test_a_rate_that_fell_far_is_back_in_minutes_however_often_it_is_looked_at(db: None, looks: int) -> None:
    """After ten storms running it is a letter in some seconds; it must not stay there for an hour."""
    grant(provider="smtp", wanted=200, now=T0)
    for storm in range(10):
        told(provider="smtp", results=[("", too_fast(5))], now=after(6 * storm))
    fallen = whole().rate
    assert fallen is not None and fallen < 0.2
    for look in range(1, looks + 1):
        grant(provider="smtp", wanted=1, now=after(59 + 60 + 600 * look / looks))
    grown = whole().rate
    assert grown == pytest.approx(fallen * 1.1 * 2**10, rel=0.02)


def test_a_provider_that_complains_again_is_written_to_carefully_again(db: None, limited: Any) -> None:
    limited("smtp 100/s")
    told(provider="smtp", results=[("", too_fast(10))], now=T0)
    grant(provider="smtp", wanted=1, now=after(100))
    before = whole().rate or 100
    told(provider="smtp", results=[("", too_fast(10))], now=after(100))
    grant(provider="smtp", wanted=1, now=after(170))
    assert whole().rate == pytest.approx(before / 2 * 1.1 ** (70 / 60), rel=0.01)


def test_after_a_storm_those_who_wait_do_not_come_in_lockstep(db: None, limited: Any) -> None:
    limited("smtp 100/s")
    told(provider="smtp", results=[("", too_fast(8))], now=T0)
    waits = [grant(provider="smtp", wanted=200, now=T0).wait_seconds for _ in range(50)]
    assert min(waits) >= 8 and len(set(waits)) == 50 and max(waits) - min(waits) > 0.5
    given = everything(1, since=after(8))
    assert sum(number for _, number in given) <= 51


def test_too_fast_without_any_limit_set_makes_one_of_what_was_sent(db: None) -> None:
    assert grant(provider="smtp", wanted=200).number == 200
    told(provider="smtp", results=[("", too_fast(1))], now=T0)
    assert whole().rate == ASSUMED_RATE / 2
    later = everything(2, since=after(1))
    assert 18 <= sum(number for _, number in later) <= 22
    grant(provider="smtp", wanted=200, now=after(3 * 3600))
    assert grant(provider="smtp", wanted=200, now=after(3 * 3600)).number == 200


@pytest.mark.parametrize("hours", [16, 18, 24, 72, 24 * 365])
def test_however_long_a_provider_rests_after_too_fast_it_is_written_to_again(db: None, hours: int) -> None:
    """Over a night, and in the next incident: the growth of the lowered rate was once a number too large to be one."""
    told(provider="smtp", results=[("", too_fast(1))], now=T0)
    assert grant(provider="smtp", wanted=200, now=after(hours * 3600)).number == 200
    told(provider="smtp", results=[("", too_fast(1))], now=after(hours * 3600 + 1))


@pytest.mark.parametrize(
    ("asked", "least", "most"),
    [(-1, 5, 10), (0, 5, 10), (-86400 * 365.0, 5, 10), (float("nan"), 5, 10), (1e12, 3600, 3600), (float("inf"), 3600, 3600),
     (30, 30, 30), (None, 5, 10)],
)  # fmt: skip
def test_a_wish_to_wait_is_honoured_and_capped(db: None, asked: float | None, least: float, most: float) -> None:
    told(provider="smtp", results=[("", too_fast(asked))], now=T0)
    until = whole().open_until
    assert until is not None and least <= (until - T0).total_seconds() <= most
    assert grant(provider="smtp", wanted=5, now=after(least - 0.1)).number == 0
    assert grant(provider="smtp", wanted=5, now=after(most + 1)).number > 0


def test_five_failures_to_reach_the_provider_open_its_breaker(db: None) -> None:
    told(provider="smtp", results=[("", UNREACHED)] * 2 + [("", TAKEN)] + [("", UNREACHED)] * 4, now=T0)
    assert grant(provider="smtp", wanted=200, now=T0).number == 200
    told(provider="smtp", results=[("", SILENT)], now=T0)
    shut = grant(provider="smtp", wanted=200, now=after(1))
    assert shut.number == 0 and 9 <= shut.wait_seconds <= 18
    assert whole().reason == "no answer in 30 s"


def test_the_half_open_breaker_lets_one_letter_through_and_closes_on_its_answer(db: None) -> None:
    told(provider="smtp", results=[("", UNREACHED)] * 5, now=T0)
    assert [grant(provider="smtp", wanted=200, now=after(31)).number for _ in range(4)] == [1, 0, 0, 0]
    told(provider="smtp", results=[("", TAKEN)], now=after(32))
    assert grant(provider="smtp", wanted=200, now=after(32)).number == 200
    assert (whole().breaker, whole().failures, whole().opened) == ("closed", 0, 0)


def test_a_letter_that_tries_in_vain_opens_the_breaker_for_twice_as_long_up_to_45_seconds(db: None) -> None:
    told(provider="smtp", results=[("", UNREACHED)] * 5, now=T0)
    at, pauses = T0, []
    for _ in range(7):
        until = whole().open_until
        assert until is not None
        pauses.append((until - at).total_seconds())
        at = until
        assert grant(provider="smtp", wanted=200, now=at).number == 1
        told(provider="smtp", results=[("", UNREACHED)], now=at)
    assert pauses == [10, 20, 40, 45, 45, 45, 45]


def test_a_letter_that_tries_and_never_answers_is_followed_by_another(db: None, settings: Settings) -> None:
    told(provider="smtp", results=[("", UNREACHED)] * 5, now=T0)
    assert grant(provider="smtp", wanted=200, now=after(31)).number == 1
    assert grant(provider="smtp", wanted=200, now=after(31 + settings.LEASE_SECONDS - 1)).number == 0
    assert grant(provider="smtp", wanted=200, now=after(31 + settings.LEASE_SECONDS)).number == 1


def test_letters_that_were_on_their_way_when_it_opened_do_not_open_it_longer(db: None) -> None:
    for second in range(6):
        told(provider="smtp", results=[("", UNREACHED)] * 5, now=after(second))
    assert whole().open_until == after(10) and whole().opened == 1


def test_an_account_that_is_refused_opens_the_breaker_at_once(db: None) -> None:
    told(provider="smtp", results=[("", ACCOUNT)], now=T0)
    assert grant(provider="smtp", wanted=200, now=T0).number == 0 and "535" in whole().reason


def test_failing_over_takes_the_first_provider_whose_breaker_is_not_open(db: None) -> None:
    order = ("smtp", "postmark", "ses")
    assert choose(providers=order, now=T0) == "smtp"
    told(provider="smtp", results=[("", UNREACHED)] * 5, now=T0)
    assert choose(providers=order, now=T0) == "postmark"
    told(provider="postmark", results=[("", UNREACHED)] * 5, now=after(5))
    told(provider="ses", results=[("", ACCOUNT)], now=after(5))
    assert choose(providers=order, now=after(6)) is None and choose(providers=(), now=T0) is None
    assert choose(providers=order, now=after(31)) == "smtp"
    assert grant(provider="smtp", wanted=5, now=after(31)).number == 1
    assert choose(providers=order, now=after(36)) == "postmark"


def test_the_fallback_carries_the_letters_while_the_first_provider_makes_us_wait_for_minutes(db: None) -> None:
    order = ("smtp", "postmark")
    told(provider="smtp", results=[("", too_fast(3000))], now=T0)
    assert choose(providers=order, now=after(1)) == "postmark"
    told(provider="smtp", results=[("", too_fast(20))], now=after(2))
    assert choose(providers=order, now=after(2990)) == "postmark", "a long wait is one in its last seconds too"
    assert choose(providers=order, now=after(3001)) == "smtp"
    told(provider="smtp", results=[("", too_fast(20))], now=after(3002))
    assert choose(providers=order, now=after(3003)) == "smtp", "the long one is over, and this one is short"


@pytest.mark.parametrize("asked", [None, 1, 30, 299])
def test_a_wait_of_seconds_is_no_reason_for_the_fallback(db: None, asked: float | None) -> None:
    told(provider="smtp", results=[("", too_fast(asked))], now=T0)
    assert choose(providers=("smtp", "postmark"), now=after(1)) == "smtp"


def test_the_fallback_carries_the_letters_when_the_first_providers_quota_of_the_day_is_used_up(db: None, limited: Any) -> None:
    limited("smtp 10/day; postmark 5/day")
    order = ("smtp", "postmark")
    assert grant(provider="smtp", wanted=9, now=T0).number == 9 and choose(providers=order, now=T0) == "smtp"
    assert grant(provider="smtp", wanted=9, now=T0).number == 1 and choose(providers=order, now=T0) == "postmark"
    assert grant(provider="postmark", wanted=9, now=T0).number == 5
    assert choose(providers=order, now=T0) == "smtp", "both wait for midnight"
    assert choose(providers=order, now=MIDNIGHT) == "smtp" and grant(provider="smtp", wanted=9, now=MIDNIGHT).number == 9


def test_a_provider_that_says_its_quota_is_used_up_rests_until_the_next_day_and_the_fallback_carries_on(db: None) -> None:
    order = ("smtp", "postmark")
    told(provider="smtp", results=[("", TAKEN), ("", USED_UP), ("", too_fast(20))], now=T0)
    told(provider="smtp", results=[("", too_fast(3000))], now=after(1))
    assert choose(providers=order, now=after(2)) == "postmark" and whole().breaker == "closed"
    assert whole().reason == "its own quota for us is used up: resend: our quota is used up (429, daily_quota_exceeded)"
    last = MIDNIGHT - timedelta(seconds=1)
    assert choose(providers=order, now=last) == "postmark" and grant(provider="smtp", wanted=5, now=last).number == 0
    assert choose(providers=order, now=MIDNIGHT) == "smtp"
    told(provider="smtp", results=[("", USED_UP)], now=MIDNIGHT)
    assert choose(providers=order, now=after(3600, MIDNIGHT)) == "postmark", "the month's is asked about once a day"


def test_a_used_up_quota_lowers_no_rate(db: None) -> None:
    told(provider="smtp", results=[("", USED_UP)], now=T0)
    assert whole().rate is None and grant(provider="smtp", wanted=500, now=MIDNIGHT).number == 500


def test_a_provider_that_stays_dead_is_tried_more_and_more_seldom_while_another_one_carries_the_letters(db: None) -> None:
    order, at, waits = ("smtp", "postmark"), T0, []
    told(provider="smtp", results=[("", SILENT)] * 5, now=T0)
    for _ in range(11):
        tried = next(second for second in range(0, 4000, 5) if choose(providers=order, now=after(second, at)) == "smtp")
        waits.append(tried)
        at = after(tried, at)
        assert grant(provider="smtp", wanted=200, now=at).number == 1
        assert choose(providers=order, now=at) == "postmark"
        told(provider="smtp", results=[("", SILENT)], now=at)
    assert waits == [10, 20, 40, 80, 160, 320, 640, 1280, 1800, 1800, 1800]
    told(provider="postmark", results=[("", UNREACHED)] * 5, now=after(5, at))
    assert choose(providers=order, now=after(44, at)) == "postmark", "it is due for a try after ten seconds"
    assert grant(provider="postmark", wanted=200, now=after(44, at)).number == 1
    assert choose(providers=order, now=after(45, at)) == "smtp", "nobody else carries letters: no rest"


def test_the_fallback_carries_the_letters_of_a_provider_that_complains_until_next_to_nothing_is_left(db: None) -> None:
    for n in range(12):
        told(provider="smtp", results=[(FINE, too_fast())], now=after(20 * n))
    assert (whole().rate or 9) < 1 and choose(providers=("smtp", "postmark"), now=after(260)) == "postmark"
    assert choose(providers=("smtp",), now=after(260)) == "smtp"
    assert choose(providers=("smtp", "postmark"), now=after(260 + 900)) == "smtp"


def test_a_rate_is_a_pace_and_no_reason_for_the_fallback(db: None, limited: Any) -> None:
    limited("smtp 2/h")
    assert grant(provider="smtp", wanted=9, now=T0).number == 1
    assert grant(provider="smtp", wanted=9, now=after(1)).number == 0
    assert choose(providers=("smtp", "postmark"), now=after(1)) == "smtp"


def test_what_is_claimed_is_not_begun_while_the_provider_is_shut_or_asked_us_to_wait(db: None) -> None:
    assert may_go_on(provider="smtp")
    told(provider="smtp", results=[("", too_fast(60))], now=T0)
    assert not may_go_on(provider="smtp", now=after(59)) and may_go_on(provider="smtp", now=after(61))
    told(provider="smtp", results=[("", UNREACHED)] * 5, now=after(61))
    assert not may_go_on(provider="smtp", now=after(62))
    assert grant(provider="smtp", wanted=9, now=after(92)).number == 1
    assert may_go_on(provider="smtp", now=after(92)), "the letter that tries"


@pytest.mark.parametrize(("times", "due_hours", "moved"), [(1, 5, False), (2, 5, True), (2, 72, False), (2, None, False)])
def test_a_letter_to_a_domain_that_stays_gone_goes_by_another_channel_when_its_deadline_is_near(
    released: Campaign, times: int, due_hours: float | None, moved: bool
) -> None:
    due_at = None if due_hours is None else datetime.now(UTC) + timedelta(hours=due_hours)
    claire, carl = released.messages.order_by("id")[:2]
    Message.objects.filter(pk__in=(claire.pk, carl.pk)).update(due_at=due_at)
    Message.objects.filter(pk=claire.pk).update(domain_key=GONE)
    told(provider="smtp", results=[(GONE, REFUSED)] * 20)
    ProviderLimit.objects.filter(scope=GONE).update(opened=times)
    assert switch_channel(campaign=released, providers=["smtp", "ses"]) == 0, "it may still go by the other provider"
    assert switch_channel(campaign=released, providers=["smtp"]) == int(moved)
    claire.refresh_from_db()
    carl.refresh_from_db()
    assert (claire.state, carl.state) == ("needs_other_channel" if moved else "ready", "ready")


@pytest.mark.parametrize(("days", "moved"), [(6, False), (8, True)])
def test_a_letter_without_a_date_in_law_waits_a_week_for_a_domain_that_stays_gone(
    released: Campaign, days: int, moved: bool
) -> None:
    claire = released.messages.order_by("id")[0]
    Message.objects.filter(pk=claire.pk).update(due_at=None, domain_key=GONE)
    released.released_at = datetime.now(UTC) - timedelta(days=days)
    told(provider="smtp", results=[(GONE, REFUSED)] * 20)
    ProviderLimit.objects.filter(scope=GONE).update(opened=2)
    assert switch_channel(campaign=released, providers=["smtp"]) == int(moved)
    claire.refresh_from_db()
    assert claire.state == ("needs_other_channel" if moved else "ready")


GONE, FINE, OTHER = "dead000000000000", "f1ee000000000000", "aced000000000000"


@pytest.mark.parametrize("failure", [LATER, REFUSED], ids=["later", "refused"])
def test_a_domain_that_is_gone_for_forty_per_cent_of_the_list_is_put_aside_alone_and_its_people_are_not_burned(
    db: None, failure: Answer
) -> None:
    waiting = [GONE if n % 5 < 2 else (FINE, OTHER)[n % 2] for n in range(5000)]
    failed, at = 0, T0
    for _ in range(200):
        allowed = grant(provider="smtp", wanted=50, now=at)
        mine = [key for key in waiting if key not in allowed.avoid][: allowed.number]
        for key in mine:
            waiting.remove(key)
        told(provider="smtp", results=[(key, failure if key == GONE else TAKEN) for key in mine], now=at)
        failed, at = failed + mine.count(GONE), at + timedelta(seconds=1)
    assert set(waiting) == {GONE} and failed <= 40
    assert ProviderLimit.objects.filter(scope__in=(FINE, OTHER)).count() == 0 and whole().breaker == "closed"
    aside = ProviderLimit.objects.get(scope=GONE)
    assert aside.breaker == "open" and aside.open_until is not None and aside.open_until >= after(15 * 60)


def test_a_domain_that_greylists_is_never_put_aside_since_every_first_letter_is_put_off(db: None) -> None:
    told(provider="smtp", results=[(GONE, GREYLISTED)] * 100, now=T0)
    told(provider="smtp", results=[(GONE, GREYLISTED), (FINE, TAKEN)] * 50, now=after(1))
    assert grant(provider="smtp", wanted=50, now=after(2)) == Grant("smtp", 50)
    assert not ProviderLimit.objects.filter(failures__gt=0).exists()


def test_a_domain_that_comes_back_is_tried_with_one_letter_and_then_freely(db: None) -> None:
    told(provider="smtp", results=[(GONE, REFUSED)] * 20, now=T0)
    assert grant(provider="smtp", wanted=50, now=after(899)).avoid == (GONE,)
    trying = grant(provider="smtp", wanted=50, now=after(901))
    assert (trying.number, trying.avoid, dict(trying.caps)) == (50, (), {GONE: 1})
    assert grant(provider="smtp", wanted=50, now=after(902)).avoid == (GONE,)
    told(provider="smtp", results=[(FINE, TAKEN), (GONE, TAKEN)], now=after(903))
    assert grant(provider="smtp", wanted=50, now=after(904)) == Grant("smtp", 50)


def test_a_domain_that_stays_gone_is_put_aside_twice_as_long(db: None) -> None:
    told(provider="smtp", results=[(GONE, REFUSED)] * 20, now=T0)
    grant(provider="smtp", wanted=50, now=after(901))
    told(provider="smtp", results=[(GONE, REFUSED)], now=after(902))
    assert ProviderLimit.objects.get(scope=GONE).open_until == after(902 + 1800)


def test_mailboxes_that_are_gone_here_and_there_put_no_domain_aside_and_make_no_rows(db: None) -> None:
    for n in range(200):
        told(provider="smtp", results=[(FINE, REFUSED)] * 3 + [(FINE, TAKEN), (f"{n:016x}", REFUSED)], now=after(n))
    assert not ProviderLimit.objects.exclude(scope="").exists()


def test_the_failures_of_a_domain_are_counted_over_processes(db: None) -> None:
    for second in range(4):
        pacing.forget()  # as another process
        told(provider="smtp", results=[(GONE, REFUSED)] * 5, now=after(second))
    assert ProviderLimit.objects.get(scope=GONE).breaker == "open"


def test_a_provider_that_is_down_puts_no_domain_aside(db: None) -> None:
    told(provider="smtp", results=[(FINE, TAKEN)] * 10 + [(FINE, UNREACHED)] * 100, now=T0)
    told(provider="smtp", results=[(FINE, UNREACHED)] * 100 + [(FINE, TAKEN)], now=after(1))
    assert not ProviderLimit.objects.exclude(scope="").exists()


def test_certain_failures_of_many_domains_count_against_the_provider_and_not_against_them(db: None) -> None:
    told(provider="smtp", results=[(f"{n % 6:016x}", LATER) for n in range(200)], now=T0)
    assert whole().breaker == "open"
    grant(provider="smtp", wanted=50, now=after(31))
    told(provider="smtp", results=[(FINE, TAKEN)], now=after(31))
    assert not ProviderLimit.objects.exclude(scope="").exists() and whole().breaker == "closed"


def test_a_domain_with_a_rate_of_its_own_is_capped_and_the_rest_goes_on(db: None, incident: Incident, limited: Any) -> None:
    limited("smtp 1000/s", domains="gmail.com 50/s 100/day; smtp:outlook.com 25/s; ses:gmail.com 1/s")
    gmail, outlook = (domain_key(vault=Vault(incident=incident), domain=name) for name in ("gmail.com", "outlook.com"))
    first = grant(provider="smtp", wanted=40, incident=incident, now=T0)
    assert (first.number, dict(first.caps), first.avoid) == (40, {gmail: 2, outlook: 1}, ())
    settle_up(grant=first, claimed=[gmail] * 2 + [FINE] * 38)
    second = grant(provider="smtp", wanted=40, incident=incident, now=after(0.035))
    assert gmail not in second.caps or second.caps[gmail] == 1
    assert second.caps[outlook] == 1, "what was not claimed was put back"
    settle_up(grant=second, claimed=[gmail] * second.caps.get(gmail, 0))
    taken, at = 2 + second.caps.get(gmail, 0), 1.0
    while at < 20:
        given = grant(provider="smtp", wanted=40, incident=incident, now=after(at))
        taken += given.caps.get(gmail, 0)
        settle_up(grant=given, claimed=[gmail] * given.caps.get(gmail, 0))
        at += 0.1
    assert taken == 100 and gmail in grant(provider="smtp", wanted=40, incident=incident, now=after(21)).avoid


def test_two_incidents_share_the_quota_of_a_limited_domain(incident: Incident, limited: Any) -> None:
    limited(domains="gmail.com 10/day")
    other = Incident(pk=incident.pk + 1, reference=incident.reference, wrapped_key=incident.wrapped_key)
    assert sum(grant(provider="smtp", wanted=8, incident=one, now=T0).caps[key_of(one)] for one in (incident, other)) == 10


def key_of(incident: Incident) -> str:
    return domain_key(vault=Vault(incident=incident), domain="gmail.com")


def test_a_domain_has_one_key_in_every_spelling_and_another_in_every_incident(incident: Incident) -> None:
    vault = Vault(incident=incident)
    assert domain_key(vault=vault, domain="Bücher.Example.") == domain_key(vault=vault, domain="xn--bcher-kva.example")
    assert len(domain_key(vault=vault, domain="a" * 300)) == 16 != domain_key(vault=vault, domain="")


@pytest.mark.committed
def test_a_grant_takes_no_part_in_an_open_transaction(committed: str, limited: Any) -> None:
    limited("smtp 5/s")
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        grant(provider="smtp", wanted=5)


@pytest.mark.parametrize(
    ("rates", "word"),
    [("smtp", "without a limit"), ("smtp fast", "'fast'"), ("smtp -5/s", "'-5/s'"), ("smtp 0/s", "pause the campaign"),
     ("smtp nan/s", "'nan/s'"), ("smtp 1e9/s", "'1e9/s'"), ("smtp 999999999/s", "outside"), ("smtp 5/s 6/min", "two limits"),
     ("smtp 5/day 6/day", "two limits"), ("smtp 0/day", "letters a day"), ("smtp 1.5/day", "letters a day"),
     ("smtp 5/week", "'5/week'"), ("50/s", "no provider's name"), ("smtp: 5/s", "no provider's name"),
     ("smtp 5/s; smtp 6/s", "twice"), ("smtp 5/s, 6/day", "'5/s,'")],
)  # fmt: skip
def test_a_rate_that_makes_no_sense_is_refused_in_words(rates: str, word: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=word):
        provider_limits(rates=rates, warm_up="")


@pytest.mark.parametrize(
    "plan", ["smtp", "smtp 0 5", "smtp 10 5", "smtp 10 ten", "smtp -1", "smtp 5/day", "SMTP! 5", "smtp " + "1 " * 121]
)
def test_a_warm_up_that_makes_no_sense_is_refused(plan: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="WARM_UP"):
        provider_limits(rates="", warm_up=plan)


@pytest.mark.parametrize(
    "rates", ["gmail 5/s", "bücher.example 5/s", "a@b.example 5/s", "gmail.com", "Sm tp:gmail.com 5/s", ":: 5/s"]
)
def test_a_domain_limit_that_makes_no_sense_is_refused(rates: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DOMAIN_RATES"):
        domain_limits(rates=rates)


def test_settings_are_read_in_any_spacing_and_case_and_empty_means_no_limit() -> None:
    assert provider_limits(rates=" SMTP 50/s  20000/day ;; postmark 90/min; ", warm_up="ses 5 6")["smtp"] == Limit(50, 20000)
    assert provider_limits(rates="smtp 90/min", warm_up="smtp 5 6") == {"smtp": Limit(1.5, None, (5, 6))}
    assert provider_limits(rates="", warm_up=" ;") == {} == domain_limits(rates="")
    assert domain_limits(rates="gmail.com 5/s; smtp:GMAIL.com 1/h") == {
        ("", "gmail.com"): Limit(5),
        ("smtp", "gmail.com"): Limit(1 / 3600),
    }


def test_what_a_pause_gives_back_unsent_costs_no_quota(crowd: Campaign, owner: Owner, limited: Any, settings: Settings) -> None:
    limited("inbox 1000/day")
    settings.LANES, settings.CHUNK_SIZE = 1, 200
    done = send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(delay_ms=100), seconds=1).answered
    assert 0 < done < 200 and whole("inbox").sent_today == done


def test_what_a_killed_worker_had_not_begun_costs_no_quota(crowd: Campaign, owner: Owner, limited: Any) -> None:
    limited("inbox 1000/day")
    given = grant(provider="inbox", wanted=200, incident=crowd.incident)
    with Owner() as dying:
        claimed = taken(crowd, dying, size=given.number)
        answer(dying, claimed, *[Outcome("accepted", "p")] * 3)
    assert take_over() == 1
    assert whole("inbox").sent_today == 4  # three that were taken, and the one that is in doubt
    assert take_over() == 0
    assert whole("inbox").sent_today == 4


def test_what_was_claimed_without_hearing_of_it_costs_no_quota(crowd: Campaign, owner: Owner, limited: Any) -> None:
    limited("inbox 1000/day")
    given = grant(provider="inbox", wanted=200, incident=crowd.incident)
    owner.heard.discard(taken(crowd, owner, size=given.number).chunk_id)
    for _ in range(2):
        give_back_strays(owner=owner)
        assert whole("inbox").sent_today == 0
