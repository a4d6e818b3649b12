"""What providers tell of letters to staff, from the stored event to the campaign."""

from __future__ import annotations

import pytest

from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.receive import apply_events, store_events
from incidents.models import Campaign, CampaignState, ProviderEvent
from tests.dispatch.test_canary import ADA, BO, entered, go_on, let_go, letter_to, no_claim


@pytest.mark.parametrize("kind", ["suppressed", "bounced_hard"])
def test_whom_the_provider_does_not_write_to_stops_the_release(five_frozen: Campaign, kind: str) -> None:
    ada, bo = entered(ADA, BO)
    campaign = go_on(let_go(five_frozen), InboxProvider())
    told = {ada: "delivered", bo: kind}
    events = [{"event_key": str(one.pk), "message_ref": letter_to(one).message_ref, "kind": what} for one, what in told.items()]
    store_events(provider="inbox", events=events)
    assert apply_events() == 2
    assert set(ProviderEvent.objects.values_list("effect", flat=True)) == {"letter of the first wave"}
    assert (letter_to(ada).state, letter_to(bo).state) == ("delivered", "failed")
    assert letter_to(bo).detail == f"the provider says: {kind}"
    campaign = go_on(campaign, InboxProvider())
    assert (campaign.state, campaign.canary) == (CampaignState.PAUSED, "failed")
    assert kind in campaign.pause_reason and no_claim(campaign)
