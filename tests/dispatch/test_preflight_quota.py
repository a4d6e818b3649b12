"""What the gate says of the provider's quota: a deadline that all that is allowed cannot keep is told before the release."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pytest_django import Settings

from incidents.dispatch import ahead, pacing
from incidents.dispatch.gate.findings import OK, WARN, Finding
from incidents.dispatch.preflight import findings_of
from incidents.models import Campaign, Message, ProviderLimit
from notifier.rates import provider_limits
from tests.dispatch.test_preflight import no_dns


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    pacing.forget()


def quota(campaign: Campaign, settings: Settings, rates: str = "", *, hours: float = 48) -> Finding:
    """The finding for five letters that are due in so many hours, at a provider that may be given so much."""
    settings.PROVIDER_LIMITS = provider_limits(rates=rates, warm_up="")
    Message.objects.update(due_at=datetime.now(UTC) + timedelta(hours=hours))
    found = findings_of(campaign=campaign, resolver=no_dns)
    return next(one for one in found if one.name == "quota")


@pytest.mark.parametrize(("rates", "words"), [("", "not limited"), ("inbox 1/s", "1"), ("inbox 100/s 1000/day", "left today")])
def test_what_is_enough_is_said_with_the_letters_that_wait(
    five_frozen: Campaign, settings: Settings, rates: str, words: str
) -> None:
    found = quota(five_frozen, settings, rates)
    assert found.level == OK and found.text.startswith("5 letters wait; inbox ") and words in found.text


def test_a_deadline_that_the_daily_quota_cannot_keep_is_a_warning_with_its_remedy(
    five_frozen: Campaign, settings: Settings
) -> None:
    found = quota(five_frozen, settings, "inbox 1000/s 1/day")
    assert (found.level, "would be missed even so" in found.text) == (WARN, True)
    assert "PROVIDER_RATES" in found.remedy and "second provider" in found.remedy


def test_a_quota_under_which_no_end_is_in_sight_is_a_warning_too(
    five_frozen: Campaign, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert quota(five_frozen, settings, "inbox 1000/s 1/day", hours=400).level == OK
    monkeypatch.setattr(ahead, "HORIZON_DAYS", 2)
    assert quota(five_frozen, settings, "inbox 1000/s 1/day", hours=400).level == WARN


def test_a_quota_that_is_used_up_today_is_a_warning_with_the_moment(five_frozen: Campaign, settings: Settings) -> None:
    quota(five_frozen, settings, "inbox 1000/s 5/day", hours=400)
    assert pacing.grant(provider="inbox", wanted=9).number == 5
    found = quota(five_frozen, settings, "inbox 1000/s 5/day", hours=400)
    assert found.level == WARN and "Today's quota of inbox is used up" in found.text and "00:00 UTC" in found.text


def test_a_deadline_that_is_over_already_is_not_the_quota_s_fault(five_frozen: Campaign, settings: Settings) -> None:
    assert quota(five_frozen, settings, "inbox 1000/s 1/day", hours=-1).level == OK


def test_a_provider_that_takes_nothing_for_now_is_a_warning_with_the_moment(five_frozen: Campaign, settings: Settings) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    ProviderLimit.objects.create(provider="inbox", breaker="open", open_until=until, reason="20 letters failed running")
    found = quota(five_frozen, settings)
    assert (found.level, f"{until:%H:%M} UTC" in found.text) == (WARN, True)


def test_without_a_provider_that_can_be_read_nothing_is_forecast(five_frozen: Campaign, settings: Settings) -> None:
    settings.MAIL_FALLBACK = "postmark:nonsense"
    found = quota(five_frozen, settings)
    assert found.level == WARN and found.text.startswith("Nothing can be forecast")
