"""A provider that refuses letter after letter because of us stops the campaign, and people are told what it says."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.dispatch import work
from incidents.dispatch.alarms import alarms_of
from incidents.dispatch.campaign import resume
from incidents.dispatch.events.parse import Source, parse
from incidents.dispatch.forecast import forecast
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import store_events
from incidents.models import Campaign, CampaignState
from incidents.models import MessageState as S
from tests.dispatch.campaigns import sql, states, taken, unguarded
from tests.dispatch.events.test_about_us import failed, told

WORDS = "(refuses us: sender): 550 5.7.26 claire@example.org is not welcome"


@pytest.fixture
def accepted(crowd: Campaign) -> Campaign:
    """Two hundred letters that Postmark has taken."""
    with Owner() as owner:
        claimed = taken(crowd, owner, size=200, provider="postmark")
        finish(claimed=claimed, outcomes=[Outcome("accepted", f"p{n}") for n in range(200)])
    return crowd


def tell(
    campaign: Campaign, first: int, last: int, *, detail: str = WORDS, kind: str = "bounced_soft", by: str = "postmark"
) -> None:
    """Events of some of the letters, as they were stored; then housekeeping's turn."""
    refs = list(campaign.messages.order_by("id").values_list("message_ref", flat=True))[first:last]
    events = [{"event_key": f"{kind}-{ref}-{by}", "message_ref": ref, "kind": kind, "detail": detail} for ref in refs]
    store_events(provider=by, events=events)
    work.keep_house()
    campaign.refresh_from_db()


def test_letter_after_letter_refused_because_of_us_is_told_to_people_and_pauses_the_campaign(accepted: Campaign) -> None:
    tell(accepted, 0, 4)
    assert alarms_of(campaign=accepted) == [], "a few are no alarm"
    tell(accepted, 4, 10)
    [line] = alarms_of(campaign=accepted)
    assert line.startswith(
        "postmark told 10 times in the last hour that letters were refused for us and not for the person: our sender"
    )
    assert "claire" not in line and "welcome" not in line and line in forecast(campaign=accepted).to_json()["warnings"]
    assert accepted.state == CampaignState.DISPATCHING
    tell(accepted, 10, 25)
    assert (accepted.state, states(accepted)) == (CampaignState.PAUSED, {S.READY: 25, S.ACCEPTED: 175})
    assert accepted.pause_reason == (
        "postmark tells of letter after letter that the refusal is about us (25 times): our sender or its domain is not verified "
        "or not allowed"
    )
    assert alarms_of(campaign=accepted)[0].startswith("postmark told 25 times"), "people see it while it is paused"


def test_whoever_has_looked_and_resumes_gets_twice_as_far(accepted: Campaign, crowd_url: str) -> None:
    tell(accepted, 0, 20)
    assert accepted.state == CampaignState.PAUSED
    resume(campaign=accepted, author=User.objects.get(username="officer"), reason="the domain is verified now")
    assert alarms_of(campaign=accepted) == []
    with unguarded(crowd_url) as server:  # two minutes later
        server.execute("UPDATE incidents_providerlimit SET refilled_at = refilled_at - interval '2 minutes'")
        server.execute("DELETE FROM incidents_providerevent WHERE kind = 'refused'")
    tell(accepted, 20, 59)
    assert accepted.state == CampaignState.DISPATCHING
    tell(accepted, 59, 60)
    assert accepted.state == CampaignState.PAUSED


def test_a_few_servers_that_block_us_while_most_letters_arrive_are_an_alarm_and_no_pause(accepted: Campaign) -> None:
    tell(accepted, 0, 160, kind="delivered", detail="250 ok")
    tell(accepted, 160, 190, detail="(refuses us: blocked)")
    assert accepted.state == CampaignState.DISPATCHING
    [line] = alarms_of(campaign=accepted)
    assert "our reputation is bad, or our address is blocked" in line


def test_bounces_by_mail_are_a_part_of_what_was_handed_over(crowd: Campaign) -> None:
    with Owner() as owner:
        finish(claimed=taken(crowd, owner, size=200, provider="smtp"), outcomes=[Outcome("accepted")] * 200)
    sql("UPDATE incidents_chunk SET confirmed = 200 WHERE campaign_id = %s", crowd.pk)
    tell(crowd, 0, 49, by="smtp", detail="(refuses us: blocked)")
    assert crowd.state == CampaignState.DISPATCHING
    tell(crowd, 49, 50, by="smtp", detail="(refuses us: blocked)")
    assert crowd.state == CampaignState.PAUSED


def test_what_is_told_of_persons_or_of_a_full_mailbox_is_nothing_against_us(accepted: Campaign) -> None:
    tell(accepted, 0, 100, detail="452 4.2.2 over quota")
    tell(accepted, 100, 150, kind="bounced_hard", detail="550 5.1.1 no such user")
    assert accepted.state == CampaignState.DISPATCHING and alarms_of(campaign=accepted) == []


def test_what_was_told_an_hour_ago_is_no_alarm_any_more(accepted: Campaign, crowd_url: str) -> None:
    tell(accepted, 0, 10)
    assert alarms_of(campaign=accepted)
    with unguarded(crowd_url) as server:
        server.execute(
            "UPDATE incidents_providerevent SET event_key = regexp_replace(event_key, '[0-9-]{10}T[0-9:]{5}', "
            "to_char(now() AT TIME ZONE 'UTC' - interval '62 minutes', 'YYYY-MM-DD\"T\"HH24:MI')) WHERE kind = 'refused'"
        )
    assert alarms_of(campaign=accepted) == []


@pytest.mark.parametrize(("provider", "change", "against"), [
    ("ses", {"eventType": "Reject", "reject": {"reason": "Bad content"}}, "letter"),
    ("postmark", {"Type": "SMTPApiError", "Details": "401: the sender signature is not confirmed"}, "sender"),
    ("postmark", {"Type": "SMTPApiError", "Details": "405: no credits"}, "account"),
    ("postmark", {"Type": "Blocked", "Details": "550 blocked"}, "blocked"),
    ("postmark", {"Type": "SoftBounce", "Details": "452 the account of claire is suspended"}, ""),
    ("mailgun", {"event": "rejected", "reject": {"reason": "Sandbox subdomains are for test purposes only"}}, "account"),
    ("mailgun", failed("espblock", 550, "5.7.1 our policy"), "blocked"),
    ("mailgun", failed("generic", 603, "Domain is disabled"), "account"),
    ("mailgun", failed("bounce", 550, "5.7.26 unauthenticated mail (DMARC)"), "sender"),
    ("mailgun", failed("bounce", 550, "5.1.1 no such user"), ""),
    ("sendgrid", {"event": "dropped", "reason": "Recipient List over Package Quota"}, "account"),
    ("sendgrid", {"event": "bounce", "type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 blocked using zen.spamhaus.example"}, "blocked"),
    ("brevo", {"event": "error", "reason": "the sender you used is not valid"}, "sender"),
    ("brevo", {"event": "blocked", "reason": "blacklisted sender"}, "blocked"),
    ("brevo", {"event": "soft_bounce", "reason": "452 4.2.2 mailbox disabled, quota exceeded"}, ""),
    ("mailjet", {"event": "blocked", "error_related_to": "spam", "error": "sender blocked"}, "blocked"),
    ("mailjet", {"event": "blocked", "error_related_to": "domain", "error": "relay/access denied"}, "sender"),
])  # fmt: skip
def test_what_it_has_against_us_is_kept_in_our_words(provider: str, change: dict[str, Any], against: str) -> None:
    document = json.loads(told(provider, "0" * 32, change).body)
    [found] = parse(provider=provider, document=document, source=Source({}, datetime.now(UTC)))
    assert found["detail"].startswith(f"(refuses us: {against})") if against else "refuses us" not in found["detail"]
