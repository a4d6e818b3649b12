"""Providers told that a letter arrived and that it came back: a person says which is true, and nobody is forgotten over it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from incidents.dispatch.again import try_again
from incidents.dispatch.campaign import CampaignRefused, close
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.contradictions import believe, told_twice
from incidents.dispatch.obstacles import closing_questions
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.receive import apply_events, store_events
from incidents.dispatch.unreachable import confirm_unreachable, propose_unreachable
from incidents.dispatch.work import keep_house
from incidents.models import AuditEvent, Campaign, CampaignState, Message, ProviderEvent
from incidents.models import MessageState as S
from incidents.models.refusal import Refused
from tests.dispatch.campaigns import person, state_of, taken
from tests.dispatch.test_receive import tell
from tests.dispatch.test_work import sent

KNOWN = "she rang and read it to us"


@pytest.fixture
def claire(five: Campaign, owner: Owner) -> Message:
    """Her letter is accepted, as everybody's."""
    finish(claimed=taken(five, owner), outcomes=[Outcome("accepted", "p")] * 5)
    return person(five, "claire")


def officer() -> User:
    return User.objects.get(username="officer")


@pytest.mark.parametrize(
    ("told", "arrived", "ends"),
    [
        (["delivered", "bounced_hard"], False, S.NEEDS_OTHER_CHANNEL),
        (["delivered", "bounced_hard"], True, S.DELIVERED),
        (["delivered", "bounced_hard"], None, S.DELIVERED),
        (["bounced_hard", "delivered"], True, S.DELIVERED),
        (["suppressed", "delivered"], False, S.NEEDS_OTHER_CHANNEL),
        (["suppressed", "delivered"], None, S.NEEDS_OTHER_CHANNEL),
    ],
)
def test_a_person_says_which_is_true_and_the_deadline_stays(
    claire: Message, told: list[str], arrived: bool | None, ends: str
) -> None:
    tell(claire, *told)
    due, entries = claire.due_at, AuditEvent.objects.filter(action="message.moved", actor="officer")
    assert list(told_twice(campaign=claire.campaign)) == [claire]
    believe(message=claire, arrived=arrived, reason=KNOWN, author=officer())
    assert (state_of(claire), claire.due_at) == (ends, due)
    assert entries.get().subject == claire.entry.person.subject and KNOWN in entries.get().line
    check = check_campaign(campaign=claire.campaign)
    assert (check.holds, check.contradictions, told_twice(campaign=claire.campaign).count()) == (True, [], 0)
    assert ProviderEvent.objects.filter(effect="conflict: decided by a person").count() == 1
    with pytest.raises(Refused, match="somebody has decided"):
        believe(message=claire, arrived=True, reason=KNOWN, author=officer())


def test_what_is_told_against_the_decision_asks_again(claire: Message) -> None:
    tell(claire, "delivered", "bounced_hard")
    believe(message=claire, arrived=False, reason=KNOWN, author=officer())
    assert tell(claire, "bounced_hard") == ["noted"] and tell(claire, "delivered") == ["conflict: after needs_other_channel"]
    assert list(told_twice(campaign=claire.campaign)) == [claire]


def test_it_takes_a_reason_and_two_things_told_and_no_end_is_undone(claire: Message) -> None:
    with pytest.raises(Refused, match="no two things"):
        believe(message=claire, arrived=True, reason=KNOWN, author=officer())
    tell(claire, "bounced_hard", "delivered")
    with pytest.raises(Refused, match="reason"):
        believe(message=claire, arrived=True, reason=" ", author=officer())
    propose_unreachable(message=claire, reason="all tried", author=officer())
    with pytest.raises(Refused, match="Withdraw"):
        believe(message=claire, arrived=True, reason=KNOWN, author=officer())
    confirm_unreachable(proposal=claire.unreachables.get(), author=User.objects.get(username="counsel"))
    with pytest.raises(Refused, match="only be left as it stands"):
        believe(message=claire, arrived=True, reason=KNOWN, author=officer())
    believe(message=claire, arrived=None, reason="given up, and yet they have it", author=officer())
    assert state_of(claire) == S.UNREACHABLE and not told_twice(campaign=claire.campaign).exists()


def test_what_no_longer_contradicts_is_no_question(five: Campaign, owner: Owner, claire: Message) -> None:
    carl, yuki, sven = person(five, "carl"), person(five, "yuki"), person(five, "sven")
    tell(claire, "bounced_hard", "delivered")
    try_again(message=claire, reason="the mailbox works again", author=officer())
    assert sent(five, owner, InboxProvider()) == 1
    tell(claire, "delivered")
    tell(carl, "bounced_hard")
    propose_unreachable(message=carl, reason="all tried", author=officer())
    confirm_unreachable(proposal=carl.unreachables.get(), author=User.objects.get(username="counsel"))
    tell(carl, "suppressed")
    tell(yuki, "delivered", "bounced_soft")
    tell(sven, "bounced_hard", "delivered")
    Message.objects.filter(pk=sven.pk).update(state=S.REPLACED)
    assert list(told_twice(campaign=five)) == [] and check_campaign(campaign=five).contradictions == []


def test_a_campaign_is_not_closed_over_it_and_a_closed_one_stays_as_it_is(claire: Message) -> None:
    tell(claire, "delivered", "bounced_hard")
    assert any("arrived and came back, as providers told: 1;" in line for line in closing_questions(campaign=claire.campaign))
    Campaign.objects.update(state=CampaignState.DRAINED)
    with pytest.raises(CampaignRefused, match="came back"):
        close(campaign=Campaign.objects.get(), author=officer(), reason="over")
    Campaign.objects.update(state=CampaignState.CLOSED)
    with pytest.raises(Refused, match="join an amendment"):
        believe(message=claire, arrived=False, reason=KNOWN, author=officer())
    believe(message=claire, arrived=None, reason=KNOWN, author=officer())
    assert state_of(claire) == S.DELIVERED


def test_a_letter_that_bounced_and_is_sent_again_by_decision_is_no_violation(five: Campaign, owner: Owner) -> None:
    """The minute's check paused such a campaign: only a soft bounce was known to it as a cause for a second letter."""
    sent(five, owner, InboxProvider())
    keep_house()
    hanna = person(five, "hanna")
    assert hanna.state == S.NEEDS_OTHER_CHANNEL
    five.refresh_from_db()
    try_again(message=hanna, reason="the mailbox works again", author=officer())
    five.refresh_from_db()
    sent(five, owner, InboxProvider())
    assert (state_of(hanna), hanna.attempts) == (S.ACCEPTED, 2)
    assert check_campaign(campaign=five).violations == []


@pytest.mark.parametrize(("arrived", "ends"), [(False, S.NEEDS_OTHER_CHANNEL), (True, S.DELIVERED), (None, S.ACCEPTED)])
def test_a_bounce_from_a_provider_whose_name_was_changed_since_is_decided_by_a_person(
    five: Campaign, owner: Owner, arrived: bool | None, ends: str
) -> None:
    """It was refused as another provider's, and the campaign closed over it."""
    finish(claimed=taken(five, owner, provider="eu"), outcomes=[Outcome("accepted", f"id{n}") for n in range(5)])
    claire = person(five, "claire")
    bounce = {"event_key": "late", "message_ref": claire.message_ref, "kind": "bounced_hard"}
    store_events(provider="ses", events=[bounce], strength="signed")
    apply_events()
    assert ProviderEvent.objects.get().effect == "conflict: it went by another provider" and state_of(claire) == S.ACCEPTED
    assert any("decide which is true" in line for line in closing_questions(campaign=five))
    believe(message=claire, arrived=arrived, reason=KNOWN, author=officer())
    assert state_of(claire) == ends and not told_twice(campaign=five).exists()
