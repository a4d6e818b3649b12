"""What a stop leaves behind: letters that may have arrived count as such, and nobody gets a second one unasked."""

from __future__ import annotations

from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from pytest_django import Settings

from incidents.dispatch.campaign import stop
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.contradictions import believe, contradictions, told_twice
from incidents.dispatch.doubts import settle_doubts
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import keep_house
from incidents.models import AffectedPerson, AuditEvent, Campaign, Doubt
from incidents.models import MessageState as S
from incidents.models.refusal import Refused
from incidents.people.amending import join, people_waiting, waiting_in_bulk, waits_because
from tests.dispatch.campaigns import Mute, person, sql, state_of, states, taken
from tests.dispatch.late import amendment_of
from tests.dispatch.test_receive import tell


def officer() -> User:
    return User.objects.get(username="officer")


def stopped(campaign: Campaign) -> Campaign:
    return stop(campaign=campaign, author=officer(), reason="a wrong paragraph")


@pytest.fixture
def doubted(five: Campaign, owner: Owner) -> Campaign:
    """Of all five nobody knows whether their letter arrived."""
    finish(claimed=taken(five, owner, provider="smtp"), outcomes=[Outcome("doubt", detail="no answer")] * 5)
    return five


def test_a_doubt_whose_time_is_over_after_a_stop_counts_as_a_letter_that_may_have_arrived(
    doubted: Campaign, settings: Settings
) -> None:
    stopped(doubted)
    settings.SETTLE_AFTER_SECONDS = 0
    keep_house()
    assert set(doubted.messages.values_list("state_reason", flat=True)) == {"may have arrived; the campaign was stopped"}
    assert states(doubted) == {S.ACCEPTED: 5} and check_campaign(campaign=doubted).holds
    assert set(Doubt.objects.values_list("settled_how", "settled_by")) == {("deadline policy: not repeated", "dispatcher")}
    log = list(AuditEvent.objects.filter(action="doubt.resolved").values_list("line", flat=True))
    assert len(log) == 5 and all("may have arrived" in line and "sent again" not in line for line in log)
    claire = person(doubted, "claire")
    assert tell(claire, "delivered") == ["moved to delivered"] and state_of(claire) == S.DELIVERED
    assert not people_waiting(incident=doubted.incident).exists(), "nobody is offered a second letter"


def test_whose_doubt_ended_before_the_stop_joins_an_amendment_by_name_only(doubted: Campaign, settings: Settings) -> None:
    settings.SETTLE_AFTER_SECONDS = 0
    assert settle_doubts(provider_of=lambda _: Mute()) == 5
    stopped(doubted)
    incident, claire = doubted.incident, person(doubted, "claire")
    assert (states(doubted), people_waiting(incident=incident).count()) == ({S.CANCELLED: 5}, 5)
    assert all("by name" in waits_because(was=one.was, may_have_it=one.may_have_it) for one in people_waiting(incident=incident))
    amendment = amendment_of(incident, officer())
    assert join(amendment=amendment, people=waiting_in_bulk(incident=incident), reason="all who wait", author=officer()) == 0
    out = StringIO()
    call_command("amend", "list", incident.reference, stdout=out)
    assert "5 of them may have an earlier letter already" in out.getvalue()
    chosen = AffectedPerson.objects.filter(pk=claire.entry.person_id)
    assert join(amendment=amendment, people=chosen, reason="she says that she has none", author=officer()) == 1


def test_who_was_certainly_not_written_to_joins_with_all_the_others(five: Campaign, owner: Owner) -> None:
    finish(claimed=taken(five, owner), outcomes=[Outcome("failed", detail="451")] * 4 + [Outcome("unsent")])
    stopped(five)
    assert waiting_in_bulk(incident=five.incident).count() == 5


def test_a_letter_that_a_provider_says_does_not_exist_left_nobody_with_one(doubted: Campaign) -> None:
    stopped(doubted)
    asked = type("Asked", (Mute,), {"look_up": lambda self, *, message_ref: False})
    assert settle_doubts(provider_of=lambda _: asked()) == 5
    keep_house()
    assert states(doubted) == {S.CANCELLED: 5} and waiting_in_bulk(incident=doubted.incident).count() == 5


def test_who_died_in_three_hands_joins_by_name_only(doubted: Campaign, settings: Settings) -> None:
    settings.SETTLE_AFTER_SECONDS = 0
    sql("UPDATE incidents_message SET deaths = 3")
    settle_doubts(provider_of=lambda _: Mute())
    assert states(doubted) == {S.QUARANTINED: 5}
    assert (people_waiting(incident=doubted.incident).count(), waiting_in_bulk(incident=doubted.incident).count()) == (5, 0)


def test_a_cancelled_letter_that_arrived_is_told_to_a_person(doubted: Campaign, settings: Settings) -> None:
    settings.SETTLE_AFTER_SECONDS = 0
    settle_doubts(provider_of=lambda _: Mute())
    stopped(doubted)
    claire = person(doubted, "claire")
    assert tell(claire, "delivered") == ["conflict: after cancelled"]
    assert list(told_twice(campaign=doubted)) == [claire]
    assert [str(one) for one in contradictions(campaign=doubted)] == [
        "1 letter stands as 'cancelled', but a provider also told that it arrived"
    ]
    with pytest.raises(Refused, match="only be left as it stands"):
        believe(message=claire, arrived=True, reason="she rang", author=officer())
    believe(message=claire, arrived=None, reason="she has it", author=officer())
    assert not told_twice(campaign=doubted).exists()


@pytest.mark.parametrize("provider", ["smtp", "inbox"])
def test_letters_taken_before_a_stop_have_their_end_as_in_any_campaign(
    five: Campaign, owner: Owner, settings: Settings, provider: str
) -> None:
    """By a relay, of which no event can come, at once; else after the quiet time. An erasure waited for them for ever."""
    settings.MAIL, settings.MAIL_FALLBACK = "inbox:", "smtp://127.0.0.1:2525"
    finish(claimed=taken(five, owner, provider=provider), outcomes=[Outcome("accepted", "250 ok")] * 5)
    stopped(five)
    keep_house()
    assert states(five) == ({S.ACCEPTED_UNCONFIRMED: 5} if provider == "smtp" else {S.ACCEPTED: 5})
    sql("UPDATE incidents_message SET accepted_at = accepted_at - interval '73 hours'")
    keep_house()
    assert states(five) == {S.ACCEPTED_UNCONFIRMED: 5}


def test_a_provider_that_no_setting_names_is_said_once_and_not_every_other_second(
    five: Campaign, owner: Owner, caplog: pytest.LogCaptureFixture
) -> None:
    finish(claimed=taken(five, owner, provider="gone"), outcomes=[Outcome("accepted", "p")] * 5)
    stopped(five)
    for _ in range(3):
        keep_house()
    assert sum("no setting names" in line.getMessage() for line in caplog.records) == 1
