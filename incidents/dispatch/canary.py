"""The first wave: one real letter for everyone of the staff, exactly once; nobody else is written to before it passed.

`sending` is committed before the provider is called. Whatever stands there when nobody works on it any more is a doubt: the
provider is asked, and when it cannot tell the letter counts as failed. It is never sent a second time by itself.

It goes by the way that people's letters would take at that moment, and what it proves it proves of that provider: the campaign's
letters go by it first, and by another one only where that does not work.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch import pacing
from incidents.dispatch.alarms import AFTER_IT_PASSED
from incidents.dispatch.campaign import CampaignRefused, pause, resume
from incidents.dispatch.channels.choose import UnknownProvider, provider_named
from incidents.dispatch.channels.contract import Answer, Provider, SendError, SendErrorKind
from incidents.dispatch.domains import domain_key
from incidents.dispatch.outcomes import backoff
from incidents.dispatch.refusing_us import another_may_take
from incidents.dispatch.staff import canary_mail, opened, plan_wave
from incidents.letters.mail import OutgoingMail
from incidents.letters.tracking import foreign_content
from incidents.models import Campaign, CampaignState, CanaryLetter
from incidents.vault import CannotOpen, Vault
from incidents.visible import visible

logger = logging.getLogger(__name__)
PLANNED, SENDING, DOUBT, ACCEPTED, DELIVERED, FAILED = "planned", "sending", "doubt", "accepted", "delivered", "failed"
DISPATCHER = "dispatcher"
#: After so long no other letter is begun in this step: a slow provider takes a second for each, and housekeeping has more to do.
SECONDS = 1.0
#: What an event about a letter proves of it; others are noted only.
PROVES = {"delivered": DELIVERED, "complained": DELIVERED, "bounced_hard": FAILED, "bounced_soft": FAILED, "suppressed": FAILED}
#: From which states an event may move a letter on; one that failed stays failed.
OPEN_TO_EVENTS = {DELIVERED: (SENDING, DOUBT, ACCEPTED), FAILED: (SENDING, DOUBT, ACCEPTED, DELIVERED)}


class CanaryRefused(CampaignRefused):
    """The first wave cannot be sent again; nothing changed."""


def step(*, campaign: Campaign, provider: Provider) -> None:
    """Send what is planned of the first wave, and decide when all of it is known. Costs nothing when no wave waits.

    For about a second, one letter at least; the next step goes on with those that were tried least, and asks about doubts last.
    Raises KeyAway before anything of it is begun.
    """
    if campaign.canary != "waiting" or campaign.state != CampaignState.DISPATCHING:
        return
    Vault(incident=campaign.incident)  # without its key nobody's letter leaves: the wave waits for it too
    now, end = database_now(), time.monotonic() + SECONDS
    _find_left_behind(campaign, now)
    for letter in sorted(_newest(campaign), key=lambda letter: (letter.state == DOUBT, letter.tries)):
        if letter.state == PLANNED and _is_due(letter, provider, now):
            _send(letter, provider)
        elif letter.state == DOUBT:
            _settle(letter, provider, now)
        else:
            continue
        if time.monotonic() >= end:
            break
    _decide(campaign, provider)


def _newest(campaign: Campaign) -> list[CanaryLetter]:
    """The letter that counts for each of the staff: where one failed, the one that was sent after it."""
    found = campaign.canaries.select_related("campaign__incident", "staff", "letter").order_by("id")
    newest = {letter.staff_id: letter for letter in found}.values()
    # Whoever was removed meanwhile gets nothing more, and what failed for them counts no longer.
    return [letter for letter in newest if not (letter.staff.removed_at and letter.state in (PLANNED, FAILED))]


def _wait() -> timedelta:
    return timedelta(minutes=settings.CANARY_MINUTES)


def _find_left_behind(campaign: Campaign, now: datetime) -> None:
    """Longer in `sending` than any call to a provider takes: whoever sent it has died."""
    longest = timedelta(seconds=max(settings.LEASE_SECONDS, settings.PROVIDER_TIMEOUT_SECONDS))
    left = campaign.canaries.filter(state=SENDING, sent_at__lt=now - longest)
    left.update(state=DOUBT, detail="its worker died while it was handed over")


def _is_due(letter: CanaryLetter, provider: Provider, now: datetime) -> bool:
    """At once by a provider that took over: one that failed is what is waited for."""
    if letter.tries == 0 or letter.answered_at is None or letter.provider != provider.name:
        return True
    seconds = backoff(attempts=letter.tries, drill=letter.campaign.incident.is_drill)
    return letter.answered_at + timedelta(seconds=seconds) <= now


def _send(letter: CanaryLetter, provider: Provider) -> None:
    try:
        mail = canary_mail(canary=letter, fields=opened(staff=letter.staff))
        wrong = _wrong(letter, mail)
    except (CannotOpen, ValueError, TypeError, KeyError) as error:
        _answered(letter, FAILED, PLANNED, detail=f"its letter cannot be made: {type(error).__name__}")
        return
    if wrong:
        _answered(letter, FAILED, PLANNED, detail=wrong)
    elif (given := pacing.grant(provider=provider.name, wanted=1)).number:
        if not _begun(letter, provider):
            pacing.settle_up(grant=given, claimed=[])
        elif not _hand_over(letter, mail, provider):
            pacing.return_quota(provider=provider.name, number=1, day=given.day, pace=False)  # it used the pace, and no quota


def _wrong(letter: CanaryLetter, mail: OutgoingMail) -> str:
    """What the bytes hold that was not planned."""
    if mail.content_sha256 != letter.content_sha256:
        return "the letter is not the one that was planned at the release"
    return "; ".join(foreign_content(mail=mail))


def _begun(letter: CanaryLetter, provider: Provider) -> bool:
    """Commit that it is being sent: only whoever wrote this line may call the provider, and only once."""
    with transaction.atomic(durable=True):
        still = Campaign.objects.select_for_update(of=("self",), no_key=True).get(pk=letter.campaign_id)
        if still.state != CampaignState.DISPATCHING or still.canary != "waiting":
            return False
        mine = CanaryLetter.objects.filter(pk=letter.pk, state=PLANNED)
        return bool(mine.update(state=SENDING, provider=provider.name, sent_at=database_now(), tries=F("tries") + 1))


def _hand_over(letter: CanaryLetter, mail: OutgoingMail, provider: Provider) -> bool:
    """Send it; whether it may have left."""
    try:
        provider_id = provider.send(mail=mail, incident=letter.campaign.incident)
    except SendError as error:
        _answered(letter, _after(error, letter, provider), SENDING, detail=error.detail)
        said = Answer("", error.kind, error.detail, error.retry_after, error.throttled, error.unreached, error.spent)
        _tell(letter, mail, provider, said)
        return error.kind not in (SendErrorKind.NOT_SENT, SendErrorKind.ACCOUNT)
    except ValueError as error:
        # Raised while the mail is put into bytes, before anything was handed over.
        _answered(letter, FAILED, SENDING, detail=f"the mail cannot be written as bytes: {type(error).__name__}")
        return False
    _answered(letter, ACCEPTED, SENDING, provider_id=provider_id)
    _tell(letter, mail, provider, Answer(provider_id))
    return True


def _tell(letter: CanaryLetter, mail: OutgoingMail, provider: Provider, said: Answer) -> None:
    """So that its wish to wait holds here too, and another provider takes over from one that is not there."""
    key = domain_key(vault=Vault(incident=letter.campaign.incident, people=False), domain=mail.to.rpartition("@")[2])
    pacing.told(provider=provider.name, results=[(key, said)])


def _after(error: SendError, letter: CanaryLetter, provider: Provider) -> str:
    """Its state: planned again where it certainly did not leave and may go by another provider, or by this one later."""
    if error.kind == SendErrorKind.DOUBTFUL:
        return DOUBT
    refused = error.kind == SendErrorKind.ACCOUNT and another_may_take(instead_of=provider.name)
    again = error.kind == SendErrorKind.NOT_SENT or refused
    return PLANNED if again and database_now() - letter.planned_at < _wait() else FAILED


@transaction.atomic
def _answered(letter: CanaryLetter, state: str, before: str, *, detail: str = "", provider_id: str = "") -> None:
    """Write what became of a letter, unless an event was faster."""
    found = CanaryLetter.objects.filter(pk=letter.pk, state=before)
    moved = found.update(state=state, detail=detail[:200], provider_id=provider_id[:200], answered_at=database_now())
    if moved and state != PLANNED:
        _log(letter, state, detail)


def _log(letter: CanaryLetter, state: str, detail: str) -> None:
    data = {
        "campaign": letter.campaign.reference, "staff": letter.staff_id, "message": letter.message_ref, "state": state,
        "content_sha256": letter.content_sha256, "detail": detail,
    }  # fmt: skip
    record(incident=letter.campaign.incident, action=Action.CANARY_SENT, actor=DISPATCHER, data=data)


def _settle(letter: CanaryLetter, provider: Provider, now: datetime) -> None:
    """A doubt ends when the provider says that it has the letter, or with the wait."""
    if _has_it(letter, provider):
        _answered(letter, ACCEPTED, DOUBT, detail="the provider has it")
    elif letter.sent_at is None or now - letter.sent_at > _wait():
        _answered(letter, FAILED, DOUBT, detail=f"nobody knows whether it was sent: {letter.detail}")


def _has_it(letter: CanaryLetter, provider: Provider) -> bool | None:
    """Whether the one that was given it says that it has it; another one may have taken over since."""
    if provider.name == letter.provider:
        return provider.look_up(message_ref=letter.message_ref)
    try:
        with closing(provider_named(letter.provider)) as given:
            return given.look_up(message_ref=letter.message_ref)
    except UnknownProvider:
        return None


def note_event(*, message_ref: str, kind: str) -> bool:
    """What a provider told about a letter of the first wave; False when the name is not one of its letters.

    Delivered may come before our own outcome is written; a bounce stands whatever came before it.
    """
    letter = CanaryLetter.objects.filter(message_ref=message_ref).select_related("campaign__incident").first()
    if letter is None:
        return False
    state = PROVES.get(kind)
    if state is not None:
        late = state == FAILED and letter.campaign.canary == "passed"
        detail = f"the provider says: {kind}{AFTER_IT_PASSED if late else ''}"
        with transaction.atomic():
            found = CanaryLetter.objects.filter(pk=letter.pk, state__in=OPEN_TO_EVENTS[state])
            if found.update(state=state, detail=detail, answered_at=database_now()):
                _log(letter, state, detail)
                if late:
                    # Nobody is paused for it: it may be one full mailbox. The campaign's warnings name it.
                    logger.warning("a letter of the first wave of %s came back after it had passed", letter.campaign)
    return True


def end_stopped() -> None:
    """No wave waits, and no letter of one, for what a stopped campaign will not do any more."""
    Campaign.objects.filter(state=CampaignState.STOPPED, canary="waiting").update(canary="stopped")
    unknown = CanaryLetter.objects.filter(campaign__state=CampaignState.STOPPED, state__in=(PLANNED, SENDING, DOUBT))
    for letter in unknown.select_related("campaign__incident"):
        if letter.state == PLANNED:
            _answered(letter, FAILED, PLANNED, detail="not sent: the campaign was stopped")
        elif letter.sent_at is None or database_now() - letter.sent_at > _wait():
            _answered(letter, FAILED, letter.state, detail="nobody knows whether it was sent; the campaign was stopped")


def _decide(campaign: Campaign, provider: Provider) -> None:
    letters = _newest(campaign)
    states = {letter.state for letter in letters}
    if states & {PLANNED, SENDING, DOUBT}:
        return
    if FAILED in states or not letters:
        _stop_itself(campaign, [letter for letter in letters if letter.state == FAILED], len(letters))
    elif states <= {DELIVERED} or not provider.reports_delivery or _waited(letters):
        _pass(campaign, letters)


def _waited(letters: list[CanaryLetter]) -> bool:
    """Taken, and nothing bad was heard of it for long enough."""
    now = database_now()
    return all(letter.state == DELIVERED or (letter.answered_at or now) + _wait() <= now for letter in letters)


@transaction.atomic
def _pass(campaign: Campaign, letters: list[CanaryLetter]) -> None:
    if not _still_waits(campaign) or any(one.state == FAILED for one in _newest(campaign)):
        return  # a bounce that came just now: the next step decides about it
    Campaign.objects.filter(pk=campaign.pk).update(canary="passed")
    data = {
        "campaign": campaign.reference, "n": len(letters), "delivered": sum(one.state == DELIVERED for one in letters),
        "providers": sorted({one.provider for one in letters}),
    }  # fmt: skip
    record(incident=campaign.incident, action=Action.CANARY_PASSED, actor=DISPATCHER, data=data)


@transaction.atomic
def _stop_itself(campaign: Campaign, failed: list[CanaryLetter], of: int) -> None:
    if not _still_waits(campaign):
        return
    Campaign.objects.filter(pk=campaign.pk).update(canary="failed")
    why = [{"staff": letter.staff_id, "detail": letter.detail} for letter in failed]
    data = {"campaign": campaign.reference, "failed": why, "n": of}
    record(incident=campaign.incident, action=Action.CANARY_FAILED, actor=DISPATCHER, data=data)
    details = "; ".join(dict.fromkeys(letter.detail for letter in failed)) or "nobody of the staff is left"
    pause(campaign=campaign, author=None, reason=f"the first wave failed: {len(failed)} of {of} letters to staff ({details})")


def _still_waits(campaign: Campaign) -> bool:
    locked = Campaign.objects.select_for_update(of=("self",)).get(pk=campaign.pk)
    return locked.canary == "waiting" and locked.state == CampaignState.DISPATCHING


@transaction.atomic
def retry_wave(*, campaign: Campaign, reason: str, author: User) -> Campaign:
    """After a first wave that failed: one more letter each to those of the staff whose letter failed, and the campaign goes on.

    There is no way around the wave. Raises CanaryRefused.
    """
    locked = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=campaign.pk)
    if locked.canary != "failed":
        raise CanaryRefused("The first wave has not failed; there is nothing to send again.")
    if locked.state not in (CampaignState.DISPATCHING, CampaignState.PAUSED):
        raise CanaryRefused(f"The campaign is '{locked.get_state_display()}'; nothing is sent any more.")
    if not visible(reason):
        raise CanaryRefused("Sending the first wave again needs its reason in words: what was wrong, and is not any more.")
    locked.canary = plan_wave(campaign=locked, actor=author.username)
    if locked.canary != "waiting":
        raise CanaryRefused("Nobody of the staff is left to write to. Enter somebody for this brand first.")
    locked.save(update_fields=["canary"])
    if locked.state == CampaignState.PAUSED:
        return resume(campaign=locked, author=author, reason=f"first wave again: {reason.strip()}")
    return locked
