"""Claims beside a domain that is put aside: they do not walk over its letters each time, and miss none once it is back."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.dispatch.outbox import claim
from incidents.dispatch.owner import Owner
from incidents.models import Campaign
from tests.dispatch.campaigns import sql

ASIDE = "a" * 16


def urgent_aside(campaign: Campaign, number: int) -> set[int]:
    """Put the most urgent letters under one domain."""
    ids = list(campaign.messages.order_by("due_at", "id").values_list("pk", flat=True)[:number])
    sql("UPDATE incidents_message SET domain_key = %s WHERE id = ANY (%s)", ASIDE, ids)
    return set(ids)


def claimed(campaign: Campaign, owner: Owner, *avoid: str) -> set[int]:
    [one] = claim(campaign=campaign, owner=owner, provider="inbox", size=10, avoid=avoid)
    return set(one.message_ids)


def test_a_claim_goes_on_behind_the_last_one_that_left_out_the_same_domain(crowd: Campaign, owner: Owner) -> None:
    aside = urgent_aside(crowd, 100)
    first = claimed(crowd, owner, ASIDE)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        second = claimed(crowd, owner, ASIDE)
    picks = [one["sql"] for one in queries if "SKIP LOCKED" in one["sql"]]
    assert len(picks) == 1 and ("(due_at, id) >" in picks[0] or "due_at IS NULL AND id >" in picks[0])
    assert len(first) == len(second) == 10 and not first & second and not (first | second) & aside


def test_a_domain_that_is_back_is_claimed_at_once(crowd: Campaign, owner: Owner) -> None:
    aside = urgent_aside(crowd, 100)
    assert not claimed(crowd, owner, ASIDE) & aside
    assert claimed(crowd, owner) <= aside
