"""A limited recipient domain, and its provider, get back what was claimed and certainly did not leave."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import OperationalError
from pytest_django import Settings

from incidents.dispatch import pacing, prepare, shift
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.domains import shared_scope
from incidents.dispatch.outbox import Claim, claim, give_back_strays, take_over
from incidents.dispatch.outcomes import NotLeft, Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.pacing import grant, settle_up
from incidents.dispatch.work import send_ready
from incidents.models import Campaign, Doubt, Message, ProviderLimit
from notifier.rates import domain_limits, provider_limits
from tests.dispatch.campaigns import Scripted, answer, states, taken

DOMAIN = "example.org"


@pytest.fixture(autouse=True)
def limits(settings: Settings) -> Iterator[None]:
    """A provider and a domain with a quota each."""
    pacing.forget()
    settings.PROVIDER_LIMITS = provider_limits(rates="inbox 1000/day; scripted 1000/day", warm_up="")
    settings.DOMAIN_LIMITS = domain_limits(rates=f"{DOMAIN} 500/day")
    settings.LANES, settings.CHUNK_SIZE = 1, 200
    yield
    pacing.forget()


def counted(provider: str = "inbox") -> tuple[int, int]:
    """What counts against the quota of the provider, and of the domain."""
    rows = dict(ProviderLimit.objects.filter(provider=provider).values_list("scope", "sent_today"))
    return rows[""], rows[shared_scope(domain=DOMAIN)]


def claimed_by(owner: Owner, campaign: Campaign, *said: Outcome) -> None:
    """Claim as a shift does, and answer the first."""
    given = grant(provider="inbox", wanted=200, incident=campaign.incident)
    claimed = taken(campaign, owner, size=given.number)
    settle_up(grant=given, claimed=[letter.domain_key for letter in claimed.letters])
    answer(owner, claimed, *said)


def test_what_was_not_begun_when_a_slice_ended_costs_its_domain_no_quota(crowd: Campaign, owner: Owner) -> None:
    done = send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(delay_ms=100), seconds=1).answered
    assert 0 < done < 200 and counted() == (done, done)


@pytest.mark.parametrize("kind", [SendErrorKind.ACCOUNT, SendErrorKind.NOT_SENT])
def test_a_letter_that_certainly_did_not_leave_costs_no_quota(crowd: Campaign, owner: Owner, kind: SendErrorKind) -> None:
    fails = SendError(kind=kind, detail="no connection", unreached=kind == SendErrorKind.NOT_SENT)
    provider = Scripted({f"person{n}@example.org": fails for n in range(200)})
    assert send_ready(campaign_id=crowd.pk, owner=owner, provider=provider, seconds=1).answered
    assert not provider.served and counted("scripted") == (0, 0)


def test_a_dead_worker_s_letters_cost_only_what_left_or_may_have_left(crowd: Campaign, owner: Owner) -> None:
    with Owner() as dying:
        claimed_by(
            dying, crowd, *[Outcome("accepted", "p")] * 3, Outcome("failed", detail="451"), Outcome("account", detail="535")
        )
    assert take_over() == 1
    assert counted() == (4, 4)  # three that were taken, and the one that is in doubt


def test_what_was_claimed_without_hearing_of_it_costs_its_domain_no_quota(crowd: Campaign, owner: Owner) -> None:
    claimed_by(owner, crowd)
    owner.heard.clear()
    give_back_strays(owner=owner)
    assert counted() == (0, 0)


def test_a_letter_that_failed_has_used_the_pace_of_its_domain(crowd: Campaign, settings: Settings) -> None:
    settings.DOMAIN_LIMITS = domain_limits(rates=f"{DOMAIN} 1/s")
    given = grant(provider="inbox", wanted=1, incident=crowd.incident)
    [(key, (scope, _))] = given.reserved.items()
    assert given.day is not None

    def tokens() -> float:
        return ProviderLimit.objects.get(provider="inbox", scope=scope).tokens

    before = tokens()
    pacing.return_quota_of(provider="inbox", incident=crowd.incident, day=given.day, letters={NotLeft(key, never_begun=False): 1})
    assert tokens() == before
    pacing.return_quota_of(provider="inbox", incident=crowd.incident, day=given.day, letters={NotLeft(key, never_begun=True): 1})
    assert tokens() > before


@pytest.mark.parametrize("committed", [False, True])
def test_a_claim_that_failed_costs_no_quota_whether_it_was_committed_or_not(
    crowd: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    def lost(**named: Any) -> list[Claim]:
        if committed:
            claim(**named)
            owner.heard.clear()  # the connection was cut at the commit: its worker never heard of it
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(shift, "claim", lost)
    with pytest.raises(OperationalError):
        send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=1)
    assert counted() == (0, 0)
    assert set(states(crowd)) == {"ready"}


def test_letters_that_cannot_be_opened_now_were_not_begun_and_nobody_died(
    crowd: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(prepare.Letters, "open", away)
    send_ready(campaign_id=crowd.pk, owner=owner, provider=InboxProvider(), seconds=1)
    assert set(states(crowd)) == {"ready"} and counted() == (0, 0)
    assert not Doubt.objects.exists() and not Message.objects.filter(deaths__gt=0).exists()
