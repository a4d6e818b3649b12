"""What workers do, and the same without a broker: send what is ready, and keep house (take-over, events, doubts, drain)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch import receive
from incidents.dispatch.campaign import CampaignRefused, cancel_unsent, drain_if_done, pause
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.outbox import Fenced, Owner, claim, take_over
from incidents.dispatch.providers import Provider, provider_for, simulated_events
from incidents.dispatch.send import send_chunk
from incidents.models import Campaign, CampaignState, Doubt, Message
from incidents.models import MessageState as S
from incidents.people.erasing import NotReplayed, refuse_returned
from incidents.people.moving import move
from incidents.vault import MasterKeyUnreachable, MasterKeyWrong, Vault

logger = logging.getLogger(__name__)
HOUSE_LOCK = 0x62_6E_5F_68_6F_75  # "bn_hou"


@dataclass(frozen=True)
class Slice:
    """What one slice of work did."""

    answered: int
    more: bool


def send_ready(*, campaign_id: int, owner: Owner, provider: Provider, seconds: float) -> Slice:
    """Claim and send chunk after chunk for at most `seconds`; `more` says that something may be left."""
    end, answered = time.monotonic() + seconds, 0
    if not _may_send(campaign_id):
        return Slice(0, False)
    while time.monotonic() < end:
        claimed = claim(campaign_id=campaign_id, owner=owner)
        if claimed is None:
            return Slice(answered, False)
        try:
            report = send_chunk(claimed=claimed, owner=owner, provider=provider)
        except Fenced:
            continue
        answered += report.answered
        if report.account_refused:
            _pause(claimed.campaign, f"the provider refuses us: {report.account_refused}")
            return Slice(answered, False)
    return Slice(answered, True)


def _may_send(campaign_id: int) -> bool:
    """Before anything is claimed: our master key opens the incident, and nobody who was erased is back in the database."""
    campaign = Campaign.objects.select_related("incident").filter(pk=campaign_id).first()
    if campaign is None:
        return False
    try:
        refuse_returned(incident=campaign.incident)
        Vault(incident=campaign.incident)
    except MasterKeyUnreachable as down:
        logger.error("%s", down)  # it may come back: the next tick asks again
    except (NotReplayed, MasterKeyWrong) as refused:
        _pause(campaign, str(refused))
    else:
        return True
    return False


def _pause(campaign: Campaign, reason: str) -> None:
    """The system's own pause; a campaign that somebody paused or stopped in the meantime needs none."""
    with suppress(CampaignRefused):
        pause(campaign=campaign, author=None, reason=reason)


def keep_house() -> list[int]:
    """Everything that is due but is nobody's message: returns the campaigns that have something to send.

    Two at once are harmless: the second finds the lock taken and only reports.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [HOUSE_LOCK])
        if cursor.fetchone()[0]:
            try:
                _tidy()
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [HOUSE_LOCK])
    due = Q(not_before=None) | Q(not_before__lte=Now())
    ready = Message.objects.filter(due, campaign=OuterRef("pk"), state=S.READY)
    return list(Campaign.objects.filter(Exists(ready), state=CampaignState.DISPATCHING).values_list("id", flat=True))


def _tidy() -> None:
    provider = provider_for()
    take_over(provider=provider.name)
    with transaction.atomic():
        receive.store_events(provider="inbox", events=simulated_events())
    receive.apply_events()
    settle_doubts(provider=provider)
    unsent = Message.objects.filter(campaign=OuterRef("pk"), state__in=[S.PLANNED, S.READY])
    for campaign in Campaign.objects.filter(Exists(unsent), state=CampaignState.STOPPED):
        with transaction.atomic():
            cancel_unsent(campaign=campaign, actor="dispatcher")
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).order_by("id"):
        drain_if_done(campaign=campaign)


def settle_doubts(*, provider: Provider) -> int:
    """Ask the provider about each open doubt; where it cannot tell, send again after `SETTLE_AFTER_SECONDS`.

    A second letter harms less than none; the same Message-ID lets a mailbox recognise it. Returns how many were settled.
    """
    settled = 0
    overdue = database_now() - timedelta(seconds=settings.SETTLE_AFTER_SECONDS)
    for doubt in Doubt.objects.filter(settled_at__isnull=True).select_related("message").order_by("id")[:500]:
        if doubt.message.state != S.IN_DOUBT:
            settled += _settle(doubt, "", "provider event", "provider")
            continue
        known = provider.look_up(message_ref=doubt.message.message_ref)
        if known is not None:
            settled += _settle(doubt, S.ACCEPTED if known else S.READY, "provider look-up", "dispatcher")
        elif doubt.opened_at < overdue:
            settled += _settle(doubt, S.READY, "deadline policy: sent again", "dispatcher")
    return settled


def settle_by_hand(*, doubt: Doubt, arrived: bool, by: str) -> None:
    """A person's answer to a doubt."""
    _settle(doubt, S.ACCEPTED if arrived else S.READY, "a person's decision", by)


def _settle(doubt: Doubt, to: str, how: str, by: str) -> int:
    with transaction.atomic():
        message = (
            Message.objects.select_for_update(of=("self",))
            .select_related("campaign__incident", "entry__person")
            .get(pk=doubt.message_id)
        )
        if (
            Doubt.objects.filter(pk=doubt.pk, settled_at__isnull=True).update(
                settled_at=database_now(), settled_how=how, settled_by=by
            )
            == 0
        ):
            return 0
        if to and message.state == S.IN_DOUBT:
            move(campaign=message.campaign, messages=[message], to=to, actor=by, reason=how, action=Action.DOUBT_RESOLVED)
        else:
            data = {"campaign": message.campaign.reference, "message": message.message_ref, "state": "", "reason": how}
            record(
                incident=message.campaign.incident,
                action=Action.DOUBT_RESOLVED,
                actor=by,
                data=data,
                subject=message.entry.person.subject,
            )
    return 1


def check_running_campaigns() -> int:
    """The minute's conservation check: a campaign whose numbers do not add up is paused. Returns how many were."""
    paused = 0
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).select_related("incident"):
        check = check_campaign(campaign=campaign)
        if not check.holds:
            data = {"campaign": campaign.reference, "violations": check.violations, "sum_ok": check.sum_ok}
            record(incident=campaign.incident, action=Action.CHECK_FAILED, actor="system", data=data)
            _pause(campaign, "the conservation check failed: " + "; ".join(check.violations or ["sum"]))
            paused += 1
    return paused


def dispatch(*, campaign: Campaign, progress: Callable[[dict[str, int]], None] | None = None) -> None:
    """Do the workers' work here, without a broker, until nothing is left to do."""
    with closing(provider_for()) as provider, Owner() as owner:
        while True:
            keep_house()
            seal_if_we_may()
            work = send_ready(campaign_id=campaign.pk, owner=owner, provider=provider, seconds=5)
            campaign.refresh_from_db()
            if progress:
                progress({"answered": work.answered})
            if campaign.state != CampaignState.DISPATCHING:
                break
            if not work.answered:
                time.sleep(0.5)
    if campaign.state == CampaignState.STOPPED:
        keep_house()  # what a chunk gave back after the stop is cancelled now, not at somebody's next tick
    seal_if_we_may()


def seal_if_we_may() -> None:
    """Without workers nobody else orders and signs the log."""
    if log.may_sign():
        log.seal()
