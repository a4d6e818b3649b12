"""A limited recipient domain, and its provider, get back what was claimed and certainly did not leave."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from incidents.dispatch import pacing
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.domains import shared_scope
from incidents.dispatch.outbox import give_back_strays, take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.pacing import grant, settle_up
from incidents.dispatch.work import send_ready
from incidents.models import Campaign, ProviderLimit
from notifier.rates import domain_limits, provider_limits
from tests.dispatch.campaigns import Scripted, answer, taken

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


def test_what_a_pause_gives_back_unsent_costs_its_domain_no_quota(crowd: Campaign, owner: Owner) -> None:
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
    pacing.give_back_letters(provider="inbox", incident=crowd.incident, day=given.day, letters={(key, False): 1})
    assert tokens() == before
    pacing.give_back_letters(provider="inbox", incident=crowd.incident, day=given.day, letters={(key, True): 1})
    assert tokens() > before
