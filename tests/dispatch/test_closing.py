"""Closing a campaign: nobody is left behind by an event that came before, whoever applies it at which moment."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.dispatch import obstacles, receive
from incidents.dispatch.campaign import CampaignRefused, close, drain_if_done
from incidents.dispatch.obstacles import closing_questions
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.models import Attempt, Campaign, CampaignState, ProviderEvent
from incidents.models import MessageState as S
from tests.dispatch.campaigns import person, sql, state_of, taken, together


@pytest.fixture
def drained(five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> Campaign:
    """Everybody has their letter, and nothing else is asked about the incident."""
    finish(claimed=taken(five, owner, provider="postmark"), outcomes=[Outcome("accepted", f"p-{n}") for n in range(5)])
    sql("UPDATE incidents_message SET state = 'accepted_unconfirmed'")
    assert drain_if_done(campaign=five)
    monkeypatch.setattr(obstacles, "incident_questions", lambda incident: [])
    return Campaign.objects.select_related("incident").get()


def closed(campaign: Campaign) -> str:
    officer = User.objects.get(username="officer")
    return close(campaign=Campaign.objects.get(pk=campaign.pk), author=officer, reason="all told").state


@pytest.mark.parametrize("named", ["by us", "by the provider"])
def test_a_campaign_is_not_closed_before_what_came_is_applied(drained: Campaign, named: str) -> None:
    claire = person(drained, "claire")
    name = (
        {"message_ref": claire.message_ref}
        if named == "by us"
        else {"provider_id": Attempt.objects.get(message=claire).provider_id}
    )
    receive.store_events(provider="postmark", events=[{"event_key": "late", "kind": "bounced_hard", **name}])
    assert closing_questions(campaign=drained) == ["events of its letters came and are not applied yet: 1; housekeeping does it"]
    with pytest.raises(CampaignRefused, match="not applied yet"):
        closed(drained)
    receive.apply_events()
    assert state_of(claire) == S.NEEDS_OTHER_CHANNEL
    with pytest.raises(CampaignRefused, match="needs another channel"):
        closed(drained)


def test_somebody_elses_event_keeps_no_campaign_open(drained: Campaign) -> None:
    stranger = {"event_key": "other", "kind": "bounced_hard", "message_ref": "0" * 32, "provider_id": "of-nobody"}
    receive.store_events(provider="postmark", events=[stranger])
    assert closed(drained) == CampaignState.CLOSED


def test_who_closes_beside_a_bounce_waits_for_it_and_is_refused(drained: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    claire, save, written = person(drained, "claire"), receive._save, threading.Event()
    receive.store_events(
        provider="postmark", events=[{"event_key": "late", "kind": "bounced_hard", "message_ref": claire.message_ref}]
    )

    def saved(page: Any, campaigns: Mapping[int, Campaign]) -> None:
        save(page, campaigns)
        written.set()
        # Long enough for the other to ask everything, if nothing held it.
        sql("SELECT pg_sleep(1.5)")

    def closing() -> str:
        assert written.wait(timeout=20)
        return closed(drained)

    monkeypatch.setattr(receive, "_save", saved)
    monkeypatch.setattr(obstacles, "_unapplied", lambda campaign: 0)  # as if it had come a moment later
    _, refused = together(receive.apply_events, closing)
    assert isinstance(refused, CampaignRefused) and "needs another channel" in str(refused)
    assert (Campaign.objects.get().state, state_of(claire)) == (CampaignState.DRAINED, S.NEEDS_OTHER_CHANNEL)


def test_a_page_of_events_asks_for_its_campaigns_once(drained: Campaign) -> None:
    refs = drained.messages.values_list("message_ref", flat=True)
    events = [{"event_key": ref, "kind": "delivered", "message_ref": ref} for ref in refs]
    receive.store_events(provider="postmark", events=events)
    with CaptureQueriesContext(connection) as queries:
        receive.apply_events()
    assert sum("FOR SHARE" in one["sql"] for one in queries) == 1
    assert not ProviderEvent.objects.exclude(effect="moved to delivered").exists()
