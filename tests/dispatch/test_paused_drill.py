"""A drill whose campaign is paused: it waits as long as the person does, and for nobody when the system paused it."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from incidents.audit.actions import Action
from incidents.audit.log import record
from incidents.dispatch import campaign as campaign_module
from incidents.dispatch import witnessing
from incidents.dispatch.campaign import pause, resume
from incidents.dispatch.work import dispatch
from incidents.models import AuditLog, Campaign, CampaignState
from incidents.scenarios import waves
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.plot import Cast
from notifier.rehearsal import Rehearsal, Report, _is_over, _paused, tell


@pytest.fixture
def cast() -> Callable[[], Cast]:
    return lambda: Cast(User.objects.get(username="officer"), User.objects.get(username="counsel"))


def test_a_drill_that_somebody_pauses_waits_longer_than_any_silence_and_goes_on(
    five: Campaign, cast: Callable[[], Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, slept, officer = list[str](), list[float](), cast().officer

    def progress(step: str, _done: int, _total: int) -> None:
        steps.append(step)
        if len(steps) == 1:
            pause(campaign=five, author=officer, reason="a look at the letters")
        elif len(steps) == 4:
            resume(campaign=five, author=officer, reason="read")
            dispatch(campaign=Campaign.objects.select_related("incident").get(pk=five.pk))

    # More than half of the patience goes by between two looks.
    clock = SimpleNamespace(monotonic=lambda: waves.SILENCE_SECONDS * 0.55 * len(slept), sleep=slept.append)
    monkeypatch.setattr(waves, "time", clock)
    waves.sign_and_send(campaign=five, cast=cast(), progress=progress)
    assert steps[1:4] == ["paused by officer; goes on when it is resumed"] * 3
    five.refresh_from_db()
    assert five.state == CampaignState.DRAINED


def test_a_standstill_is_said_before_it_is_given_up(
    five: Campaign, cast: Callable[[], Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, slept = list[str](), list[float]()
    clock = SimpleNamespace(monotonic=lambda: 50.0 * len(slept), sleep=slept.append)
    monkeypatch.setattr(waves, "time", clock)
    with pytest.raises(waves.StoryStuck, match="No letter moved for 600 seconds"):
        waves.sign_and_send(campaign=five, cast=cast(), progress=lambda step, *_: steps.append(step))
    assert steps[:4] == [
        "send the letters",
        "send the letters",
        *(f"nothing moved for {n} s (var/log may say why)" for n in (90, 150)),
    ]


def test_a_log_that_is_still_being_signed_is_no_standstill(
    five: Campaign, cast: Callable[[], Cast], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, slept = list[str](), list[float]()
    for module in (campaign_module, witnessing):  # at its end, and by housekeeping
        monkeypatch.setattr(module, "anchor", lambda *, campaign: None)
    dispatch(campaign=five)
    five.refresh_from_db()
    assert five.state == CampaignState.DRAINED

    def progress(step: str, _done: int, _total: int) -> None:
        steps.append(step)
        AuditLog.objects.filter(incident=five.incident).update(size=F("size") + 1000)  # as the sequencer does
        if len(steps) == 20:
            record(incident=five.incident, action=Action.ANCHOR_SENT, actor="dispatcher", data={})

    # Twenty looks, fifty seconds apart: far longer than any silence is borne.
    clock = SimpleNamespace(monotonic=lambda: 50.0 * len(slept), sleep=slept.append)
    monkeypatch.setattr(waves, "time", clock)
    before = five.incident.audit_log.size
    waves.sign_and_send(campaign=five, cast=cast(), progress=progress)
    assert steps[1] == f"wait for the log to be signed; {before + 1000:,} entries have their place" and len(steps) == 21


def test_what_the_system_paused_is_waited_for_by_nobody(five: Campaign, cast: Callable[[], Cast]) -> None:
    pause(campaign=five, author=None, reason="the provider refuses us")
    began = time.monotonic()
    waves.sign_and_send(campaign=five, cast=cast(), progress=lambda *_: None)
    assert time.monotonic() - began < waves.SILENCE_SECONDS
    five.refresh_from_db()
    assert five.state == CampaignState.PAUSED


def test_a_drill_that_somebody_paused_is_not_over_and_goes_on_when_it_is_started_again(
    five: Campaign, cast: Callable[[], Cast]
) -> None:
    assert not _is_over(five.incident)
    pause(campaign=five, author=cast().officer, reason="lunch")
    assert not _is_over(five.incident)
    resume(campaign=five, author=cast().officer, reason="back")
    pause(campaign=five, author=None, reason="the conservation check failed")
    assert _is_over(five.incident)


def test_a_drill_that_ends_paused_says_why_and_what_to_do(five: Campaign) -> None:
    assert _paused(five.incident) == {}
    pause(campaign=five, author=None, reason="the provider refuses us: account: resend: we are refused (401)")
    report = Report(5, 1, 2.0, {}, 0, 0, None, 0, checks={"campaign_drained": False}, paused=_paused(five.incident))
    out = io.StringIO()
    tell(report, Rehearsal(load_scenario(scenario_id="cartier-2025"), 5, "drill"), out)
    assert f"{five.reference} is paused: the provider refuses us: account: resend: we are refused (401). " in out.getvalue()
    assert f"manage.py resume {five.reference} --as USER --reason TEXT" in out.getvalue()
