"""What one person proposed is announced to whoever may confirm it, on the desk and on the board."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from incidents.admin.items import Item
from incidents.admin.overview import Overview
from incidents.models import Campaign, Incident, Message, Unreachable
from incidents.models.people import QueueKind
from incidents.people.deciding import propose_rejection
from incidents.people.excluding import propose_exclusion, withdraw_exclusion
from tests.admin.case import at, signed_in

pytestmark = pytest.mark.django_db


def decides(incident: Incident, user: User) -> list[Item]:
    return Overview(incident=incident, user=user).decide


def boxes(client: Client, url: str) -> Iterator[str]:
    """The boxes 'You decide' of a page, as text."""
    for found in re.findall(r'<section class="box decide">(.*?)</section>', client.get(url).content.decode(), re.S):
        yield html.unescape(re.sub(r"<[^>]+>", " ", found))


def give_up(campaign: Campaign, author: User) -> Message:
    """Somebody of this campaign is proposed as unreachable."""
    message = campaign.messages.select_related("entry")[0]
    Unreachable.objects.create(
        incident=campaign.incident, person=message.entry.person, message=message, reason="nothing is left",
        proposed_by=author, proposed_at=timezone.now(),
    )  # fmt: skip
    return message


def test_somebody_proposed_as_unreachable_waits_on_everybody_elses_desk_and_board(
    desk: Client, campaign: Campaign, officer: User, counsel: User
) -> None:
    give_up(campaign, officer)
    line, link = "Confirm 1 proposal that somebody cannot be reached", "another-channel/#u-h"
    for url in (at("desk", campaign.incident_id), "/admin/"):
        assert line in next(boxes(signed_in(counsel), url)) and link in signed_in(counsel).get(url).content.decode()
        mine = next(boxes(desk, url))
        assert line not in mine and "1 proposal of yours that somebody cannot be reached" in mine
        assert "waits for a second person" in mine


def test_a_proposal_of_an_earlier_campaign_is_announced_too(campaign: Campaign, officer: User, counsel: User) -> None:
    give_up(campaign, officer)
    later = Campaign.objects.get(pk=campaign.pk)
    later.pk, later.reference = None, f"{campaign.reference}-later"
    later.amendment = campaign.incident.amendments.create(
        number=1, reason="late", aware_at=campaign.frozen_at, author=officer, recorded_at=campaign.frozen_at
    )
    later.save()
    [found] = [item for item in decides(campaign.incident, counsel) if "cannot be reached" in item.text]
    assert campaign.reference in found.text and f"/campaigns/{campaign.pk}/" in found.link


def test_an_exclusion_is_announced_until_it_is_decided(case: Incident, officer: User, counsel: User) -> None:
    made = propose_exclusion(person=case.people.get(reference="carl"), reason="a test account", author=officer)
    [found] = [item for item in decides(case, counsel) if "exclusion" in item.text]
    assert (found.text, found.link, found.other) == ("Confirm 1 proposed exclusion", at("amendments", case.pk) + "#ex-h", False)
    [own] = [item for item in decides(case, officer) if "exclusion" in item.text]
    assert own.other and "waits for a second person" in own.text
    withdraw_exclusion(exclusion=made, reason="a real client", author=counsel)
    assert not [item for item in decides(case, counsel) if "exclusion" in item.text]


def test_a_rejection_leads_to_the_queue_where_it_is_confirmed(case: Incident, officer: User, counsel: User) -> None:
    entries = case.queue.filter(kind=QueueKind.ADDRESS)
    propose_rejection(incident=case, entries=entries, reason="a test", author=officer)
    [found] = [item for item in decides(case, counsel) if "rejection" in item.text]
    assert found.text == f"Confirm 1 proposed rejection ({QueueKind.ADDRESS.label})"
    assert found.link == at("queue", case.pk, QueueKind.ADDRESS) + "?status=rejection_proposed"
    assert [item.other for item in decides(case, officer) if "rejection" in item.text] == [True]
