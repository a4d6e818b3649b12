"""When the first provider does not take letters: what certainly did not leave goes by the fallback, without anybody's help."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from incidents.admin.pace import ways
from incidents.dispatch import brake, outcomes, pacing
from incidents.dispatch.campaign import resume
from incidents.dispatch.channels.choose import providers
from incidents.dispatch.channels.contract import Answer, SendError, SendErrorKind
from incidents.dispatch.forecast import forecast
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import send_due, send_ready
from incidents.letters.mail import OutgoingMail
from incidents.models import Attempt, Campaign, CampaignState, Incident
from incidents.models import MessageState as S
from tests.dispatch.campaigns import Scripted, sql, states

WAIT_AN_HOUR = SendError(kind=SendErrorKind.NOT_SENT, detail="429", throttled=True, retry_after=3600)

CUT = SendError(kind=SendErrorKind.DOUBTFUL, detail="reset", unreached=True)

WE_ARE_REFUSED = SendError(kind=SendErrorKind.ACCOUNT, detail="first: 401")


class Failing(Scripted):
    """A provider that answers every letter with the same error."""

    def __init__(self, error: SendError, *, name: str = "first") -> None:
        super().__init__()
        self.name, self.error = name, error

    def keep(self, *, mail: OutgoingMail, raw: bytes, incident: Incident, test: bool = False) -> str:
        raise self.error


@pytest.fixture(autouse=True)
def two_providers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.MAIL, settings.MAIL_FALLBACK, settings.LANES = "inbox:?name=first", "inbox:?name=second", 1
    monkeypatch.setattr(outcomes, "backoff", lambda *, attempts, drill: 0.0)
    pacing.forget()
    yield
    pacing.forget()


def sent_by(campaign: Campaign) -> set[str]:
    """Who took the letters of a campaign."""
    return set(Attempt.objects.filter(message__campaign=campaign, outcome="accepted").values_list("provider", flat=True))


def test_letters_of_a_request_that_was_told_to_wait_go_by_the_fallback_at_once(five: Campaign, owner: Owner) -> None:
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(WAIT_AN_HOUR), seconds=1)
    assert Attempt.objects.get().outcome == "failed"
    send_due(owner=owner, seconds=1)
    assert states(five) == {S.ACCEPTED: 5} and sent_by(five) == {"second"}
    assert not pacing.may_go_on(provider="first"), "the provider itself waits"


def test_a_long_wait_of_the_provider_near_the_deadline_gives_nobody_to_another_channel(five: Campaign, owner: Owner) -> None:
    sql("UPDATE incidents_campaign SET released_at = released_at - interval '8 days'")
    sql("UPDATE incidents_message SET due_at = clock_timestamp() + interval '24 hours 30 minutes'")
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(WAIT_AN_HOUR), seconds=1)
    assert Attempt.objects.exists() and states(five) == {S.READY: 5}
    five.refresh_from_db()
    assert five.state == CampaignState.DISPATCHING


def test_a_letter_that_the_dead_provider_left_in_doubt_does_not_try_it_again(five: Campaign, owner: Owner) -> None:
    sql("UPDATE incidents_message SET attempts = 1 WHERE id <> (SELECT max(id) FROM incidents_message)")
    [last] = five.messages.filter(attempts=0)
    pacing.told(provider="first", results=[("", Answer(error=SendErrorKind.DOUBTFUL, detail="reset"))] * 5)
    sql("UPDATE incidents_providerlimit SET open_until = clock_timestamp() - interval '1 second'")
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(CUT), seconds=1)
    assert [attempt.message_id for attempt in Attempt.objects.all()] == [last.pk] and states(five) == {S.READY: 4, S.IN_DOUBT: 1}
    sql("UPDATE incidents_providerlimit SET open_until = clock_timestamp() - interval '1 second'")
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(CUT), seconds=1)
    assert states(five) == {S.READY: 3, S.IN_DOUBT: 2}, "where each was tried, the most urgent one"


def test_a_provider_that_refuses_our_account_is_put_aside_and_the_fallback_carries_the_letters(
    five: Campaign, owner: Owner
) -> None:
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(WE_ARE_REFUSED), seconds=1)
    five.refresh_from_db()
    assert five.state == CampaignState.DISPATCHING
    (line,) = (line for line in forecast(campaign=five).warnings if "first" in line)
    assert line.startswith("first refuses us (first: 401); somebody has to put that right. It is not asked until ")
    assert line.endswith("Letters go by second until then.")
    (first, _) = ways(campaign=five)
    assert (first.says, first.reason, first.limit_id is not None) == ("refuses us", "it refuses us: first: 401", True)
    sql("UPDATE incidents_providerlimit SET open_until = open_until - interval '14 minutes'")
    send_due(owner=owner, seconds=1)
    assert states(five) == {S.ACCEPTED: 5} and sent_by(five) == {"second"}
    sql("UPDATE incidents_providerlimit SET open_until = open_until - interval '2 minutes'")
    assert pacing.choose(providers=providers()) == "first", "a quarter of an hour is over"


def test_a_campaign_pauses_when_both_providers_refuse_us_and_a_resume_asks_both_again(five: Campaign, owner: Owner) -> None:
    officer = User.objects.get(username="officer")
    for last in (False, True):
        for number, name in enumerate(("first", "second")):
            assert pacing.choose(providers=providers()) == name
            send_ready(campaign_id=five.pk, owner=owner, provider=Failing(WE_ARE_REFUSED, name=name), seconds=1)
            five.refresh_from_db()
            assert five.state == (CampaignState.PAUSED if number else CampaignState.DISPATCHING)
        assert five.pause_reason == "the provider refuses us: account: first: 401" and states(five) == {S.READY: 5}
        if not last:
            resume(campaign=five, author=officer, reason="the second account is paid")


def test_too_many_refused_addresses_pause_the_campaign_whoever_else_could_be_asked(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(brake, "REFUSED_RUNNING", 3)
    no = SendError(kind=SendErrorKind.REFUSED, detail="550 no such user")
    send_ready(campaign_id=five.pk, owner=owner, provider=Failing(no), seconds=1)
    five.refresh_from_db()
    assert five.state == CampaignState.PAUSED and "addresses running were refused" in five.pause_reason
