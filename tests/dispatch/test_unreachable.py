"""What people decide about single letters: given up by two, sent again, let out of quarantine, doubts settled by hand."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now
from incidents.dispatch.again import DecisionRefused, give_to_other_channel, let_out, settle_doubt, try_again
from incidents.dispatch.sweeping import end_quiet
from incidents.dispatch.unreachable import (
    UnreachableRefused,
    confirm_unreachable,
    open_proposal,
    propose_unreachable,
    withdraw_unreachable,
)
from incidents.models import AuditEvent, Campaign, CampaignState, Chunk, Doubt, Message, MessageState
from tests.dispatch.campaigns import person, sql, state_of, superuser
from tests.dispatch.test_receive import tell

REASON = "post came back, no telephone, no other address"


def user(name: str) -> User:
    return User.objects.get(username=name)


def put(message: Message, state: str) -> Message:
    """As the worker would have left it: the database's own guards are passed one allowed move at a time."""
    steps = {"needs_other_channel": ["sending", "needs_other_channel"], "quarantined": ["sending", "quarantined"]}
    for step in steps.get(state, ["sending", state]):
        Message.objects.filter(pk=message.pk).update(state=step)
    message.refresh_from_db()
    return message


@pytest.fixture
def hanna(five: Campaign) -> Message:
    """Her address bounced."""
    return put(person(five, "hanna"), "needs_other_channel")


def doubt_about(message: Message) -> Doubt:
    chunk = Chunk.objects.create(
        campaign=message.campaign, message_ids=[message.pk], token=1, owner_lock=1, lease_until=database_now(),
        claimed_at=database_now(), state="taken_over",
    )  # fmt: skip
    put(message, "in_doubt")
    return Doubt.objects.create(message=message, chunk=chunk, reason="its worker died", opened_at=database_now())


# -- given up by two ---------------------------------------------------------------------------------------------------


def test_somebody_is_given_up_by_two_different_people_with_a_reason(hanna: Message) -> None:
    with pytest.raises(UnreachableRefused, match="reason"):
        propose_unreachable(message=hanna, reason=" ", author=user("officer"))
    proposal = propose_unreachable(message=hanna, reason=REASON, author=user("officer"))
    assert state_of(hanna) == MessageState.NEEDS_OTHER_CHANNEL
    with pytest.raises(UnreachableRefused, match="second person"):
        confirm_unreachable(proposal=proposal, author=user("officer"))
    confirm_unreachable(proposal=proposal, author=user("counsel"))
    assert state_of(hanna) == MessageState.UNREACHABLE and REASON in hanna.state_reason
    with pytest.raises(UnreachableRefused, match="decided already"):
        withdraw_unreachable(proposal=proposal, reason="no", author=user("officer"))
    entries = AuditEvent.objects.filter(subject=hanna.entry.person.subject)
    assert entries.filter(action=Action.UNREACHABLE_CONFIRMED, actor="counsel", line__contains='"second":"officer"').exists()


def test_only_somebody_who_needs_another_channel_can_be_given_up(five: Campaign) -> None:
    with pytest.raises(UnreachableRefused, match="ready"):
        propose_unreachable(message=person(five, "claire"), reason=REASON, author=user("officer"))


def test_a_proposal_stands_once_and_can_be_taken_back(hanna: Message) -> None:
    proposal = propose_unreachable(message=hanna, reason=REASON, author=user("officer"))
    with pytest.raises(UnreachableRefused, match="already"):
        propose_unreachable(message=hanna, reason=REASON, author=user("counsel"))
    with pytest.raises(UnreachableRefused, match="reason"):
        withdraw_unreachable(proposal=proposal, reason="", author=user("officer"))
    withdraw_unreachable(proposal=proposal, reason="she rang", author=user("officer"))
    assert open_proposal(message=hanna) is None
    propose_unreachable(message=hanna, reason=REASON, author=user("counsel"))


def test_a_letter_that_arrives_in_the_meantime_cannot_be_given_up(hanna: Message) -> None:
    proposal = propose_unreachable(message=hanna, reason=REASON, author=user("officer"))
    Message.objects.filter(pk=hanna.pk).update(state="ready")
    with pytest.raises(UnreachableRefused, match="ready"):
        confirm_unreachable(proposal=proposal, author=user("counsel"))


def test_the_database_ends_no_line_without_the_second_person(hanna: Message) -> None:
    propose_unreachable(message=hanna, reason=REASON, author=user("officer"))
    with pytest.raises(IntegrityError, match="second person"), transaction.atomic():
        sql("UPDATE incidents_message SET state = 'unreachable' WHERE id = %s", hanna.pk)


# -- again -------------------------------------------------------------------------------------------------------------


def test_a_bounced_letter_goes_out_again_by_decision_and_keeps_its_deadline(hanna: Message) -> None:
    due = hanna.due_at
    with pytest.raises(DecisionRefused, match="reason"):
        try_again(message=hanna, reason="", author=user("officer"))
    try_again(message=hanna, reason="the mailbox works again", author=user("officer"))
    assert state_of(hanna) == MessageState.READY and hanna.due_at == due and hanna.not_before is None
    assert "the mailbox works again" in hanna.state_reason


def test_a_drained_campaign_begins_to_dispatch_again(hanna: Message) -> None:
    Campaign.objects.update(state=CampaignState.DRAINED)
    try_again(message=hanna, reason="the mailbox works again", author=user("officer"))
    assert Campaign.objects.get().state == CampaignState.DISPATCHING


@pytest.mark.parametrize("state", [CampaignState.STOPPED, CampaignState.CLOSED])
def test_nothing_is_sent_again_with_a_campaign_that_is_over(hanna: Message, state: str) -> None:
    Campaign.objects.update(state=CampaignState.DRAINED)
    Campaign.objects.update(state=state)
    with pytest.raises(DecisionRefused, match="nothing is sent"):
        try_again(message=hanna, reason="the mailbox works again", author=user("officer"))
    assert state_of(hanna) == MessageState.NEEDS_OTHER_CHANNEL


def test_whoever_is_proposed_as_unreachable_is_not_sent_to_in_between(hanna: Message) -> None:
    propose_unreachable(message=hanna, reason=REASON, author=user("officer"))
    with pytest.raises(DecisionRefused, match="Withdraw"):
        try_again(message=hanna, reason="the mailbox works again", author=user("officer"))


def test_only_what_waits_for_a_channel_is_sent_again(five: Campaign) -> None:
    with pytest.raises(DecisionRefused, match="does not fit"):
        try_again(message=person(five, "claire"), reason="please", author=user("officer"))


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_a_letter_is_let_out_of_quarantine_with_a_reason_and_a_clean_count(five: Campaign) -> None:
    claire = put(person(five, "claire"), "quarantined")
    Message.objects.filter(pk=claire.pk).update(deaths=3)
    with pytest.raises(DecisionRefused, match="reason"):
        let_out(message=claire, reason=" ", author=user("officer"))
    let_out(message=claire, reason="the machine was faulty, not the letter", author=user("officer"))
    assert state_of(claire) == MessageState.READY and claire.deaths == 0


def test_without_a_frozen_letter_there_is_nothing_to_let_out(admin_url: str) -> None:
    campaign = Campaign.objects.select_related("incident").get()
    claire = put(person(campaign, "claire"), "quarantined")
    with superuser(admin_url) as server:
        server.execute("SET session_replication_role = replica")  # what the register's own guard would refuse
        server.execute("UPDATE incidents_registerentry SET letter_id = NULL WHERE id = %s", [claire.entry_id])
    with pytest.raises(DecisionRefused, match="No letter was frozen"):
        let_out(message=claire, reason="looked at", author=user("officer"))


def test_a_letter_in_quarantine_can_be_given_to_another_channel(five: Campaign) -> None:
    claire = put(person(five, "claire"), "quarantined")
    give_to_other_channel(message=claire, reason="cannot be written as mail", author=user("officer"))
    assert state_of(claire) == MessageState.NEEDS_OTHER_CHANNEL
    with pytest.raises(DecisionRefused, match="does not fit"):
        give_to_other_channel(message=claire, reason="again", author=user("officer"))


# -- doubts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arrived", "state"), [(True, MessageState.ACCEPTED), (False, MessageState.READY)])
def test_a_doubt_is_settled_by_what_a_person_knows(five: Campaign, arrived: bool, state: str) -> None:
    claire = person(five, "claire")
    doubt = doubt_about(claire)
    with pytest.raises(DecisionRefused, match="how do you know"):
        settle_doubt(doubt=doubt, arrived=arrived, reason="", author=user("officer"))
    settle_doubt(doubt=doubt, arrived=arrived, reason="she told us on the telephone", author=user("officer"))
    doubt.refresh_from_db()
    assert state_of(claire) == state and (doubt.settled_by, doubt.settled_how) == ("officer", "a person's decision")
    entry = AuditEvent.objects.get(action=Action.DOUBT_RESOLVED, subject=claire.entry.person.subject)
    assert "on the telephone" in entry.line
    with pytest.raises(DecisionRefused, match="settled already"):
        settle_doubt(doubt=doubt, arrived=arrived, reason="twice", author=user("officer"))


def test_what_an_event_has_settled_is_not_undone_by_a_person(five: Campaign) -> None:
    claire = person(five, "claire")
    doubt = doubt_about(claire)
    Message.objects.filter(pk=claire.pk).update(state="delivered")
    settle_doubt(doubt=doubt, arrived=False, reason="she said so", author=user("officer"))
    assert state_of(claire) == MessageState.DELIVERED


@pytest.mark.parametrize("how", ["a person", "an event"])
def test_a_doubt_that_ends_as_accepted_is_final_after_a_quiet_time_like_any_other(five: Campaign, how: str) -> None:
    doubt = doubt_about(person(five, "claire"))
    if how == "a person":
        settle_doubt(doubt=doubt, arrived=True, reason="the relay's log says so", author=user("officer"))
    else:
        tell(doubt.message, "deferred")
    doubt.message.refresh_from_db()
    assert doubt.message.state == MessageState.ACCEPTED and doubt.message.accepted_at is not None
    assert end_quiet(campaign=five, hours=0) == 1
    assert state_of(doubt.message) == MessageState.ACCEPTED_UNCONFIRMED
