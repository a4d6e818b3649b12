"""The signed head of the log reaches the data protection officer, also where the first mail does not."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.admin.running import Running
from incidents.dispatch import witnessing
from incidents.dispatch.campaign import stop
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.witnessing import anchor_the_ended, without_witness, witness_missing
from incidents.models import AuditEvent, Campaign

pytestmark = pytest.mark.django_db(transaction=True)


class Mailer:
    """Two providers and their answers in turn: a kind of failure, or None for taken."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: SendErrorKind | None) -> None:
        self.answers, self.asked, self.now = list(answers), list[str](), 1000.0
        monkeypatch.setattr(witnessing, "providers", lambda: ["first", "second"])
        monkeypatch.setattr(witnessing, "provider_named", self._named)
        monkeypatch.setattr(witnessing.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(witnessing, "_TRIED", {})

    def _named(self, name: str) -> Mailer:
        self.asked.append(name)
        return self

    def send(self, **_: Any) -> str:
        answer = self.answers.pop(0)
        if answer is not None:
            raise SendError(kind=answer, detail="421 try later")
        return "queued as 1"


def ended(campaign: Campaign, author: User) -> Campaign:
    stop(campaign=campaign, author=author, reason="the wrong list")
    return Campaign.objects.get(pk=campaign.pk)


def test_a_head_that_was_not_taken_is_mailed_again_later_by_the_other_provider_and_is_named_until_then(
    released: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not without_witness().exists(), "a campaign that runs has not ended"
    mailer, campaign = Mailer(monkeypatch, SendErrorKind.NOT_SENT, SendErrorKind.ACCOUNT, None), ended(released, officer)
    assert anchor_the_ended() == 1 and anchor_the_ended() == 0
    assert "was not mailed to the data protection officer yet" in witness_missing(campaign=campaign)
    stuck = [item.text for item in Running(incident=campaign.incident, user=officer).stuck()]
    assert any("was not mailed to the data protection officer yet" in line for line in stuck)
    out = io.StringIO()
    call_command("check_campaign", campaign.reference, stdout=out)
    assert "warning: the signed head of the log was not mailed" in out.getvalue()
    mailer.now += 59
    assert anchor_the_ended() == 0
    mailer.now += 1
    assert anchor_the_ended() == 1
    mailer.now += 119
    assert anchor_the_ended() == 0
    mailer.now += 1
    assert anchor_the_ended() == 1 and not witness_missing(campaign=campaign) and anchor_the_ended() == 0
    assert mailer.asked == ["first", "second", "first"]
    kinds = AuditEvent.objects.filter(action__in=["check.failed", "anchor.sent"]).order_by("id").values_list("action", flat=True)
    assert list(kinds) == ["check.failed", "check.failed", "anchor.sent"]


def test_a_head_that_was_perhaps_taken_each_time_is_told_as_doubtful_and_left_at_three(
    released: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    mailer, campaign = Mailer(monkeypatch, *[SendErrorKind.DOUBTFUL] * 9), ended(released, officer)
    for _ in range(9):
        anchor_the_ended()
        mailer.now += witnessing.LONGEST_WAIT
    lines = AuditEvent.objects.filter(action="check.failed").values_list("line", flat=True)
    assert len(lines) == witnessing.DOUBTFUL_TRIES == len(mailer.asked) and all("in doubt: 421" in line for line in lines)
    assert not witness_missing(campaign=campaign)


def test_a_campaign_that_was_stopped_before_anybody_released_it_needs_no_witness(frozen: Campaign, officer: User) -> None:
    ended(frozen, officer)
    assert not without_witness().exists()
