"""Housekeeping comes round: neither thousands of doubts nor a slow provider of the first wave keep it from what else is due."""

from __future__ import annotations

import time

import pytest
from pytest_django import Settings

from incidents.dispatch import canary, doubts
from incidents.dispatch.doubts import settle_doubts
from incidents.dispatch.outbox import finish
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.models import Campaign, CanaryLetter, Doubt
from tests.dispatch.campaigns import Mute, Scripted, taken
from tests.dispatch.test_canary import entered, go_on, let_go


@pytest.fixture
def listed(five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Five open doubts, and a house that has time for one of them a round."""
    finish(claimed=taken(five, owner), outcomes=[Outcome("doubt", detail="no answer")] * 5)
    monkeypatch.setattr(doubts, "_memory", doubts._Memory())
    monkeypatch.setattr(doubts, "SECONDS", 0.0)
    return list(Doubt.objects.order_by("id").values_list("id", flat=True))


def test_doubts_whose_time_is_over_end_a_few_in_each_round_the_oldest_first(listed: list[int], settings: Settings) -> None:
    settings.SETTLE_AFTER_SECONDS = 0
    for number in range(1, 6):
        assert settle_doubts(provider_of=lambda _: Mute()) == 1
        assert list(Doubt.objects.exclude(settled_at=None).order_by("id").values_list("id", flat=True)) == listed[:number]


def test_doubts_of_which_nothing_is_known_hold_up_none_behind_them(listed: list[int]) -> None:
    last = Doubt.objects.select_related("message").get(pk=listed[-1]).message.message_ref
    asked = list[str]()

    class Knows(Mute):
        def look_up(self, *, message_ref: str) -> bool | None:
            asked.append(message_ref)
            return True if message_ref == last else None

    assert [settle_doubts(provider_of=lambda _: Knows()) for _ in range(5)] == [0, 0, 0, 0, 1]
    assert len(set(asked)) == 5, "all come in turn"
    settle_doubts(provider_of=lambda _: Knows())
    assert doubts._memory.after == listed[0], "and then the oldest again"


def test_a_slow_provider_gets_a_letter_to_staff_in_each_round_and_all_in_the_end(
    five_frozen: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "SECONDS", 0.05)
    addresses = [f"reader{n}@staff.example.com" for n in range(4)]
    entered(*[(f"Reader {n}", address, "") for n, address in enumerate(addresses)])
    campaign = let_go(five_frozen)
    provider = Scripted({address: lambda: time.sleep(0.1) for address in addresses})
    for number in range(1, 5):
        go_on(campaign, provider)
        assert len(provider.served) == number
    assert not CanaryLetter.objects.filter(state="planned").exists()


def test_who_of_the_staff_is_tried_in_vain_waits_behind_the_others(
    five_frozen: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "SECONDS", 0.05)
    monkeypatch.setattr(canary, "_is_due", lambda letter, provider, now: True)
    entered(("First", "first@staff.example.com", ""), ("Second", "second@staff.example.com", ""))
    campaign = let_go(five_frozen)
    tried = list[str]()

    def refuse() -> None:
        tried.append("first")
        time.sleep(0.1)
        raise canary.SendError(kind=canary.SendErrorKind.NOT_SENT, detail="451")

    provider = Scripted({"first@staff.example.com": refuse})
    go_on(campaign, provider)
    assert (len(tried), len(provider.served)) == (1, 0)
    go_on(campaign, provider)
    assert len(provider.served) == 1
