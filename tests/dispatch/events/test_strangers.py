"""Events of letters that are nobody's here: kept for their time, then only that they came."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django import Settings

from incidents.dispatch.events import strangers
from incidents.dispatch.events.strangers import forget_strangers
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import Campaign, Message, ProviderEvent
from incidents.people.erasing import lift_hold, place_hold
from incidents.tasks import keep_retention
from tests.dispatch.campaigns import person, sql, state_of, superuser
from tests.dispatch.events.conftest import handed_over
from tests.dispatch.events.posted import NAMES

REF = "f" * 32


@pytest.fixture
def told(five: Campaign) -> ProviderEvent:
    """A bounce of nobody's letter, with what the provider wrote."""
    event = {"event_key": "e", "message_ref": REF, "kind": "bounced_hard", "detail": "5.1.1 unknown", "recipient_hash": "0" * 64}
    store_events(provider="postmark", events=[event])
    apply_events()
    return ProviderEvent.objects.get()


def came(days_ago: float) -> None:
    sql("UPDATE incidents_providerevent SET received_at = %s", timezone.now() - timedelta(days=days_ago))


def test_it_is_kept_for_its_time_and_then_only_that_it_came(told: ProviderEvent, settings: Settings) -> None:
    settings.RETENTION_DAYS = {**settings.RETENTION_DAYS, "events": 30}
    came(29.9)
    assert forget_strangers() == 0
    came(30.1)
    keep_retention()
    told.refresh_from_db()
    assert (told.detail, told.recipient_hash, told.effect) == ("", "", "given up: unknown message")
    assert forget_strangers() == 0
    store_events(provider="postmark", events=[{"event_key": "e", "message_ref": REF, "kind": "bounced_hard"}])
    assert ProviderEvent.objects.count() == 1


def test_what_was_given_up_moves_nobody_whose_letter_comes_to_be_known(told: ProviderEvent, five: Campaign) -> None:
    came(91)
    assert forget_strangers() == 1
    claire: Message = person(five, "claire")
    sql("UPDATE incidents_message SET message_ref = %s WHERE id = %s", REF, claire.pk)
    assert apply_events() == 0
    assert state_of(claire) == "ready"


def test_while_a_legal_hold_stands_anywhere_nothing_is_given_up(told: ProviderEvent, five: Campaign) -> None:
    came(9999)
    officer = User.objects.get(username="officer")
    hold = place_hold(incident=five.incident, reason="court order", author=officer)
    assert forget_strangers() == 0
    lift_hold(hold=hold, reason="over", author=officer)
    assert forget_strangers() == 1


def test_more_than_a_page_goes_too_and_what_is_known_stays(
    told: ProviderEvent, five: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "BATCH", 2)
    strange = [{"event_key": f"s{n}", "message_ref": f"{n:032x}", "kind": "delivered", "detail": "x"} for n in range(4)]
    ours = {"event_key": "ours", "message_ref": person(five, "claire").message_ref, "kind": "notice", "detail": "x"}
    store_events(provider="postmark", events=[*strange, ours])
    apply_events()
    came(91)
    assert forget_strangers() == 5
    assert list(ProviderEvent.objects.exclude(detail="").values_list("event_key", flat=True)) == ["ours"]


@pytest.mark.committed("worker")
def test_housekeeping_s_own_role_may_give_them_up(database: None) -> None:
    store_events(provider="postmark", events=[{"event_key": "e", "message_ref": REF, "kind": "delivered"}])
    assert forget_strangers() == 0


def test_a_name_that_another_provider_gave_is_not_looked_at_again_and_the_own_one_is(five: Campaign) -> None:
    store_events(provider="sendgrid", events=[{"event_key": "s", "kind": "delivered", "provider_id": NAMES["postmark"]}])
    store_events(provider="postmark", events=[{"event_key": "p", "kind": "delivered", "provider_id": NAMES["postmark"]}])
    assert apply_events() == 2
    claire = handed_over(five, "postmark")
    assert apply_events() == 1, "Postmark's own"
    assert state_of(claire) == "delivered"
    before = list(ProviderEvent.objects.order_by("id").values_list("provider", "effect", "applied_at"))
    assert apply_events() == 0
    assert [effect for _, effect, _ in before] == ["unknown message", "moved to delivered"]
    assert list(ProviderEvent.objects.order_by("id").values_list("provider", "effect", "applied_at")) == before


def test_a_name_is_found_whatever_our_settings_call_the_account(five: Campaign, settings: Settings, admin_url: str) -> None:
    settings.MAIL = "postmark:?name=second"
    store_events(provider="postmark", events=[{"event_key": "p", "kind": "delivered", "provider_id": NAMES["postmark"]}])
    assert apply_events() == 1
    claire = handed_over(five, "second")
    with superuser(admin_url) as server:
        server.execute("UPDATE incidents_attempt SET provider_id = %s", [NAMES["postmark"]])
    assert apply_events() == 1 and state_of(claire) == "delivered"
