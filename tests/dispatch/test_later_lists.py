"""What a later list says of people on a signed register: named, readable, and decided before a letter that has not left leaves."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.dispatch.campaign import ApprovalRefused, release, resume
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.work import check_running_campaigns
from incidents.letters.approving import approve_content
from incidents.models import Campaign, CampaignState, QueueEntry
from incidents.models import MessageState as S
from incidents.people.deciding import accept
from incidents.people.decisions import LATER
from tests.conftest import CARL, CLAIRE, YUKI
from tests.dispatch.late import Lists, amendment_of, bring_late, message_of, put_into

OTHERWISE = {**CLAIRE, "email": "new@example.org", "flags": "do_not_contact"}


def said(campaign: Campaign, officer: User, lists: Lists, *rows: dict[str, str]) -> list[str]:
    """The reasons that wait after a later list."""
    amendment = campaign.incident.amendments.first() or amendment_of(campaign.incident, officer)
    bring_late(amendment, officer, lists, *rows)
    return list(QueueEntry.objects.filter(status="open").order_by("id").values_list("reason", flat=True))


def decide(campaign: Campaign, officer: User) -> None:
    for person in set(campaign.incident.queue.filter(status="open").values_list("person", flat=True)):
        entries = campaign.incident.queue.filter(status="open", person=person)
        accept(incident=campaign.incident, entries=entries, reason="her letter goes to the safe address", author=officer)


def test_the_entry_names_what_differs_and_nothing_of_the_record(frozen: Campaign, officer: User, write_list: Lists) -> None:
    rows = [OTHERWISE, {**CARL, "stated_country": "DE"}, {**YUKI, "elements": "name;email;payment_card"}]
    reasons = said(frozen, officer, write_list, *rows)
    assert reasons[0] == f"{LATER}: marks do_not_contact; e-mail address"
    assert len(reasons) == 3 and "leaked too payment_card" in reasons[2] and "new@example.org" not in str(reasons)
    again = [{**OTHERWISE, "email": "third@example.org", "elements": "name;email;passport"}, {**CARL, "stated_country": "DE"}]
    asked = said(frozen, officer, write_list, *again)
    assert asked[: len(reasons)] == reasons and len(asked) == len(reasons) + 1, "what was asked about is not asked again"
    assert asked[-1] == f"{LATER}: marks do_not_contact; leaked too passport; e-mail address"


def test_nobody_signs_before_it_is_decided(frozen: Campaign, officer: User, counsel: User, write_list: Lists) -> None:
    said(frozen, officer, write_list, OTHERWISE)
    with pytest.raises(ApprovalRefused, match="1 entries about it have no decision"):
        approve_content(campaign=frozen, author=counsel, reason="read")
    decide(frozen, officer)
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    said(frozen, officer, write_list, {**CARL, "email": "other@example.org"})
    with pytest.raises(ApprovalRefused, match="1 entries about it have no decision"):
        release(campaign=frozen, author=officer, reason="go")
    decide(frozen, officer)
    assert release(campaign=frozen, author=officer, reason="go").state == CampaignState.DISPATCHING


def test_letters_that_left_stop_nobody(frozen: Campaign, officer: User, counsel: User, write_list: Lists) -> None:
    put_into(message_of(frozen, "claire"), S.CANCELLED)
    said(frozen, officer, write_list, OTHERWISE)
    approve_content(campaign=frozen, author=counsel, reason="read")


def test_a_running_campaign_does_not_hold_while_somebody_is_marked_and_nobody_decides(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    said(released, officer, write_list, {**CARL, "email": "other@example.org"})
    assert check_campaign(campaign=released).holds, "another address is no danger"
    said(released, officer, write_list, OTHERWISE)
    assert check_campaign(campaign=released).violations == [
        "letters that may still leave to people whom a later list marks (dead, a minor, not to be written to), undecided: 1"
    ]
    for _ in range(2):  # somebody resumes it without a decision
        assert check_running_campaigns() == 1
        released.refresh_from_db()
        assert released.state == CampaignState.PAUSED and "whom a later list marks" in released.pause_reason
        resume(campaign=released, author=officer, reason="go on")
    decide(released, officer)
    assert check_campaign(campaign=released).holds and check_running_campaigns() == 0


def test_what_the_later_list_says_is_read_on_the_page_after_a_purpose(
    frozen: Campaign, officer: User, write_list: Lists, client: Client
) -> None:
    said(frozen, officer, write_list, OTHERWISE)
    claire = frozen.incident.people.get(reference="claire")
    client.force_login(officer)
    where = reverse("admin:person", args=(frozen.incident.pk, claire.pk))
    assert "new@example.org" not in client.get(where).content.decode()
    shown = client.post(reverse("admin:reveal", args=(frozen.incident.pk, claire.pk)), {"purpose": "a later list"}, follow=True)
    text = shown.content.decode()
    assert "new@example.org" in text and "row 2: E-mail" in text and CLAIRE["email"] in text
    decide(frozen, officer)
    shown = client.post(reverse("admin:reveal", args=(frozen.incident.pk, claire.pk)), {"purpose": "again"}, follow=True)
    assert "new@example.org" not in shown.content.decode()
