"""The campaign's page shows the pace, which deadline will be missed, and what is shut; a breaker is closed there with a reason."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from incidents.admin import progress
from incidents.admin.progress import PARTS, kept_forecast
from incidents.dispatch import pacing
from incidents.dispatch.campaign import release
from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.forecast import forecast
from incidents.letters.approving import approve_content
from incidents.models import AuditEvent, Campaign, Doubt, Message, MessageState, ProviderLimit
from notifier.rates import provider_limits
from tests.admin.case import at, posted

UNREACHED = Answer(error=SendErrorKind.NOT_SENT, detail="connection refused <b>", unreached=True)
REFUSED = Answer(error=SendErrorKind.REFUSED, detail="550")
KEY = "d" * 16


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    pacing.forget()


@pytest.fixture
def sending(frozen: Campaign, officer: User, counsel: User) -> Campaign:
    """The campaign of the desk's case, released."""
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    return release(campaign=frozen, author=officer, reason="go")


def campaign_page(desk: Client, campaign: Campaign) -> str:
    return desk.get(at("campaign", campaign.incident_id, campaign.pk)).content.decode()


def test_the_page_shows_rate_letters_left_each_deadline_and_the_doubt_bound(desk: Client, sending: Campaign) -> None:
    Message.objects.filter(campaign=sending).update(due_at=datetime.now(UTC) - timedelta(hours=3))
    page = campaign_page(desk, sending)
    assert "Pace and deadlines" in page and "nothing was handed over in the last 5 min" in page
    assert "passed 3 h 0 min ago" in page and "warning</span>" in page
    assert "at most 1 letter on each of its connections can be doubtful" in page
    assert "inbox is not limited" in page and "No limit is set." in page


def test_the_part_that_refreshes_has_the_pace_on_the_campaigns_page_only(desk: Client, sending: Campaign) -> None:
    address = at("progress", sending.incident_id, sending.pk)
    assert f'data-refresh="{address}?pace=1&amp;was=dispatching"' in campaign_page(desk, sending)
    assert "Pace and deadlines" in desk.get(address, {"pace": "1"}).content.decode()
    assert "Pace and deadlines" not in desk.get(address).content.decode()


def test_a_page_left_open_says_that_the_campaign_moved_on_and_takes_back_what_fits_no_longer(
    desk: Client, sending: Campaign
) -> None:
    address, here = at("progress", sending.incident_id, sending.pk), {"pace": "1", "was": "dispatching"}
    before = desk.get(address, here).content.decode()
    assert "Reload the page" not in before and "data-settled" not in before and 'data-say="Campaign dispatching, 0 %' in before
    page = campaign_page(desk, sending)
    assert 'role="status" data-live="progress"' in page and 'id="act-pause"' in page and 'id="state"' in page
    Campaign.objects.update(state="drained")
    after = desk.get(address, here).content.decode()
    assert "now drained</span>" in after and "Reload the page" in after and "data-settled" in after
    assert all(f'data-gone="{part}"' in after for part in ("state", "act-pause"))


def test_limits_that_are_set_and_a_quota_that_is_short_are_shown(desk: Client, sending: Campaign, settings: Settings) -> None:
    settings.PROVIDER_LIMITS = provider_limits(rates="inbox 90/min 1/day", warm_up="inbox 1 2")
    Message.objects.filter(campaign=sending).update(due_at=datetime.now(UTC) + timedelta(hours=3))
    page = campaign_page(desk, sending)
    assert "At most 1.5/s; 1 letter left today (UTC); warming up until" in page
    assert "even at all that inbox may be given" in page and "too late" in page


def test_a_breaker_is_closed_with_a_reason_that_is_logged_and_not_without(desk: Client, sending: Campaign) -> None:
    pacing.told(provider="inbox", results=[("", UNREACHED)] * 5)
    page, row = campaign_page(desk, sending), ProviderLimit.objects.get()
    assert "shut: it failed" in page and "connection refused &lt;b&gt;" in page
    assert at("close_limit", sending.incident_id, sending.pk, row.pk) in page
    where = (sending.incident_id, sending.pk, row.pk)
    assert "needs its reason" in posted(desk, "close_limit", *where, reason=" ")
    assert "inbox is asked again from now on" in posted(desk, "close_limit", *where, reason="the relay is back")
    assert AuditEvent.objects.filter(action="breaker.closed", line__contains="the relay is back").count() == 1
    assert "closed already" in posted(desk, "close_limit", *where, reason="again")
    assert "open for letters" in campaign_page(desk, sending)


def test_a_domain_that_is_put_aside_is_shown_with_the_letters_that_wait_and_without_its_name(
    desk: Client, sending: Campaign
) -> None:
    pacing.told(provider="inbox", results=[(KEY, REFUSED)] * 20)
    assert "a domain at inbox" not in campaign_page(desk, sending), "it is nobody's of this campaign"
    assert Message.objects.filter(campaign=sending, state="ready").update(domain_key=KEY) > 1
    page = campaign_page(desk, sending)
    assert "a domain at inbox" in page and "letters of this campaign wait for it" in page and "Nobody is given up" in page
    row = ProviderLimit.objects.get(scope=KEY)
    assert "A domain at inbox is asked again" in posted(
        desk, "close_limit", sending.incident_id, sending.pk, row.pk, reason="their mail works again"
    )


def test_a_breaker_is_closed_by_a_post_of_somebody_signed_in_only(desk: Client, sending: Campaign) -> None:
    pacing.told(provider="inbox", results=[("", UNREACHED)] * 5)
    address = at("close_limit", sending.incident_id, sending.pk, ProviderLimit.objects.get().pk)
    assert desk.get(address).status_code == 405
    assert Client().post(address, {"reason": "let me"}).status_code == 302
    assert ProviderLimit.objects.get().breaker == "open"


def test_a_forecast_that_takes_long_is_shown_again_for_a_while_and_a_quick_one_never(
    sending: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kept_forecast(sending) is not kept_forecast(sending)
    monkeypatch.setattr(progress, "LONG_SECONDS", -1.0)
    monkeypatch.setattr(progress, "SHARE", 1e9)
    first = kept_forecast(sending)
    assert kept_forecast(sending) is first
    sending.state = "paused"
    assert kept_forecast(sending).state == "paused"
    progress._kept.clear()


def test_every_moment_on_the_page_is_in_the_incident_s_zone(desk: Client, sending: Campaign) -> None:
    Message.objects.filter(campaign=sending).update(due_at=datetime.now(UTC) + timedelta(minutes=12))
    message = Message.objects.filter(campaign=sending).earliest("id")
    Doubt.objects.create(message=message, reason="cut", opened_at=datetime(2026, 1, 5, 23, 30, tzinfo=UTC))
    page = (
        campaign_page(desk, sending) + desk.get(at("progress", sending.incident_id, sending.pk), {"pace": "1"}).content.decode()
    )
    assert "Tue 6 Jan 2026, 00:30:00 CET" in page and "if this goes on" in page
    assert not re.search(r"\d UTC|\(UTC\)", page)


def test_the_open_doubts_stand_before_the_settled_ones_and_the_newest_first(desk: Client, sending: Campaign) -> None:
    message, now = Message.objects.filter(campaign=sending).earliest("id"), datetime.now(UTC)
    for number in range(14):
        settled = {} if number in (1, 3) else {"settled_at": now, "settled_how": "look-up", "settled_by": "dispatcher"}
        Doubt.objects.create(message=message, reason=f"doubt {number:02}", opened_at=now, **settled)
    shown = re.findall(r"doubt (\d\d)", campaign_page(desk, sending))
    assert shown == ["03", "01", "13", "12", "11", "10", "09", "08", "07", "06"]


def test_a_paused_campaign_names_no_end_and_one_letter_has_not_left(desk: Client, sending: Campaign, settings: Settings) -> None:
    settings.PROVIDER_LIMITS = provider_limits(rates="inbox 90/min", warm_up="")
    letters = Message.objects.filter(campaign=sending, state="ready")
    letters.update(due_at=datetime.now(UTC) + timedelta(hours=3))
    letters.filter(pk=letters.earliest("id").pk).update(due_at=datetime.now(UTC) - timedelta(hours=3))
    assert "in time</span>" in campaign_page(desk, sending)
    posted(desk, "move", sending.incident_id, sending.pk, "pause", reason="a look")
    page = campaign_page(desk, sending)
    assert '<span class="quiet">paused</span>' in page and "in time</span>" not in page
    assert "1 letter has not left" in page and "runs on while the campaign is paused" in page
    sending.refresh_from_db()
    lines = forecast(campaign=sending).lines()
    assert any("paused, so no end is in sight" in line for line in lines) and not any("out by" in line for line in lines)


def test_every_state_is_in_exactly_one_part_of_the_bar() -> None:
    found = [state for _, _, states in PARTS for state in states]
    assert sorted(found) == sorted(MessageState)
