"""What workers do, and the same without a broker: send what is most urgent, and keep house (take-over, events, doubts, drain)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Exists, OuterRef

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.log import record
from incidents.dispatch import canary, pacing, receive
from incidents.dispatch.aside import switch_channel
from incidents.dispatch.campaign import CampaignRefused, drain_if_done, end_unheard, pause
from incidents.dispatch.channels.choose import provider_for, provider_named, providers
from incidents.dispatch.channels.contract import Provider
from incidents.dispatch.channels.inbox import simulated_events
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.doubts import settle_doubts
from incidents.dispatch.events import against_us
from incidents.dispatch.order import proven_first
from incidents.dispatch.outbox import take_over
from incidents.dispatch.owner import AWAY, Owner, forget_the_dead
from incidents.dispatch.picking import BY_INDEX
from incidents.dispatch.recovering import DatabaseOlder, pause_older, refuse_older
from incidents.dispatch.refusing_us import another_may_take
from incidents.dispatch.shift import Shift, Slice
from incidents.dispatch.sweeping import cancel_unsent, end_quiet, make_ready
from incidents.dispatch.witnessing import anchor_the_ended
from incidents.models import Campaign, CampaignState, Message
from incidents.models import MessageState as S
from incidents.models.messages import in_states
from incidents.people.erasing import NotReplayed, refuse_returned
from incidents.vault import KeyAway, MasterKeyUnreachable, Vault

logger = logging.getLogger(__name__)
HOUSE_LOCK = 0x62_6E_5F_68_6F_75  # "bn_hou"

#: Campaigns that have something to send now, the one with the most urgent letter first.
URGENT = """
SELECT c.id FROM incidents_campaign c CROSS JOIN LATERAL (
  SELECT m.due_at FROM incidents_message m WHERE m.campaign_id = c.id AND m.phase = 'waiting' AND m.state = 'ready'
    AND (m.not_before IS NULL OR m.not_before <= clock_timestamp())
  ORDER BY m.due_at NULLS LAST, m.id LIMIT 1) most
WHERE c.state = 'dispatching' AND c.canary NOT IN ('waiting', 'failed') ORDER BY most.due_at NULLS LAST, c.id"""


def urgent_first() -> list[int]:
    """The campaigns that have something to send now, in the order in which workers serve them."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BY_INDEX)
        cursor.execute(URGENT)
        return [row[0] for row in cursor.fetchall()]


def send_due(*, owner: Owner, seconds: float) -> Slice:
    """Send whatever is most urgent, of whichever campaign, for at most `seconds`."""
    end, answered = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        for campaign_id in urgent_first():
            name = pacing.choose(providers=proven_first(campaign_id=campaign_id, providers=providers()))
            if name is None:
                return Slice(answered, False)  # every circuit is open; the next tick looks again
            with closing(provider_named(name)) as provider:
                done = send_ready(campaign_id=campaign_id, owner=owner, provider=provider, seconds=left)
            answered += done.answered
            if done.answered:
                break  # another campaign may be the most urgent one by now
        else:
            return Slice(answered, False)
    return Slice(answered, True)


def send_ready(*, campaign_id: int, owner: Owner, provider: Provider, seconds: float) -> Slice:
    """Send what is ready in one campaign by one provider, for at most `seconds`."""
    campaign = Campaign.objects.select_related("incident").filter(pk=campaign_id, state=CampaignState.DISPATCHING).first()
    if campaign is None or not _may_send(campaign):
        return Slice(0, False)
    try:
        with closing(provider.lanes(incident=campaign.incident, number=settings.LANES)) as lanes:
            done = Shift(campaign=campaign, owner=owner, provider=provider, lanes=lanes, seconds=seconds).run()
    except KeyAway as away:  # of a version that came meanwhile; what was claimed is given back
        _without_key(campaign, away)
        return Slice(0, False)
    said = done.account_refused or done.braked
    if done.braked or (done.account_refused and not another_may_take(instead_of=provider.name)):
        _pause(campaign, f"the provider refuses us: {said}")
    return done


def _may_send(campaign: Campaign) -> bool:
    """Before anything is claimed: the database is no older one, our master key opens the incident, and nobody who was erased is
    back."""
    try:
        refuse_older(campaign=campaign)
        refuse_returned(incident=campaign.incident)
        Vault(incident=campaign.incident)
    except KeyAway as away:
        _without_key(campaign, away)
    except (DatabaseOlder, NotReplayed) as refused:
        _pause(campaign, str(refused))
    else:
        return True
    return False


def _without_key(campaign: Campaign, away: KeyAway) -> None:
    """A KMS that does not answer may come back: the next tick asks again. A wrong key has to be put right by somebody."""
    if isinstance(away, MasterKeyUnreachable):
        logger.error("%s waits: %s", campaign, away)
    else:
        _pause(campaign, str(away))


def _pause(campaign: Campaign, reason: str) -> None:
    """The system's own pause; a campaign that somebody paused or stopped in the meantime needs none."""
    with suppress(CampaignRefused):
        pause(campaign=campaign, author=None, reason=reason)


# -- keeping house -----------------------------------------------------------------------------------------------------


def keep_house() -> list[int]:
    """Everything that is due but is nobody's message: returns the campaigns that have something to send, most urgent first.

    Two at once are harmless: the second finds the lock taken and only reports.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [HOUSE_LOCK])
        if cursor.fetchone()[0]:
            try:
                _tidy()
            finally:
                with suppress(*AWAY):  # with the connection the lock is gone too
                    cursor.execute("SELECT pg_advisory_unlock(%s)", [HOUSE_LOCK])
    return urgent_first()


def _tidy() -> None:
    pause_older()
    for step in (
        take_over, forget_the_dead, _hear_events, settle_doubts, _end_the_stopped, canary.end_stopped, _make_ready, _end_quiet,
        _look_after_running, anchor_the_ended,
    ):  # fmt: skip
        try:
            step()
        except AWAY:
            raise
        except Exception:
            # What fails for one campaign may not hold up what is due for all others: above all the take-over, and the waking.
            logger.exception("housekeeping: %s failed; the rest goes on", step.__name__)


def _hear_events() -> None:
    with transaction.atomic():
        receive.store_events(provider="inbox", events=simulated_events())
    if receive.apply_events():
        _heed_refusals()


def _end_the_stopped() -> None:
    for campaign in _with([S.PLANNED, S.READY], CampaignState.STOPPED):
        cancel_unsent(campaign=campaign, actor="dispatcher")


def _make_ready() -> None:
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING, let_go_at=None).order_by("id"):
        make_ready(campaign=campaign)


def _end_quiet() -> None:
    for campaign in _with([S.ACCEPTED], CampaignState.STOPPED):
        end_unheard(campaign=campaign)  # one that is stopped never drains
    after = (CampaignState.DISPATCHING, CampaignState.PAUSED, CampaignState.DRAINED, CampaignState.STOPPED)
    for campaign in _with([S.ACCEPTED], *after):
        end_quiet(campaign=campaign, hours=settings.QUIET_HOURS)


def _look_after_running() -> None:
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).select_related("incident").order_by("id"):
        _first_wave(campaign)
        switch_channel(campaign=campaign, providers=providers())
        drain_if_done(campaign=campaign)


def _heed_refusals() -> None:
    """A provider that tells of letter after letter that the refusal is about us: the campaign waits for a person."""
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).order_by("id"):
        if said := against_us.too_much(campaign=campaign):
            _pause(campaign, said)


def _first_wave(campaign: Campaign) -> None:
    """To the staff by the way that people's letters would take now; where there is none, what was sent is looked after."""
    if campaign.canary != "waiting":
        return
    name = pacing.choose(providers=proven_first(campaign_id=campaign.pk, providers=providers()))
    with closing(provider_named(name) if name else provider_for()) as provider:
        try:
            canary.step(campaign=campaign, provider=provider)
        except KeyAway as away:  # the other campaigns go on
            _without_key(campaign, away)


def _with(states: list[str], *of: str) -> list[Campaign]:
    """Campaigns in a state that have messages in one of these."""
    some = Message.objects.filter(in_states(*states), campaign=OuterRef("pk"))
    return list(Campaign.objects.filter(Exists(some), state__in=of).select_related("incident").order_by("id"))


def check_running_campaigns() -> int:
    """The minute's conservation check: a campaign whose numbers do not add up is paused. Returns how many were."""
    paused = 0
    _heed_refusals()  # what a process was to see that died with it
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).select_related("incident"):
        check = check_campaign(campaign=campaign)
        if not check.holds:
            data = {"campaign": campaign.reference, "violations": check.violations, "sum_ok": check.sum_ok}
            record(incident=campaign.incident, action=Action.CHECK_FAILED, actor="system", data=data)
            _pause(campaign, "the conservation check failed: " + "; ".join(check.violations or ["sum"]))
            paused += 1
    return paused


# -- without a broker --------------------------------------------------------------------------------------------------


def dispatch(*, campaign: Campaign, progress: Callable[[dict[str, int]], None] | None = None) -> None:
    """Do the workers' work here, without a broker, until nothing is left to do. A database that restarts is waited for."""
    with Owner() as owner:
        while True:
            try:
                goes_on = _round(campaign, owner, progress or (lambda _: None))
            except AWAY as error:
                logger.warning("the database is away (%s); trying again", type(error).__name__)
                connection.close()
                time.sleep(1)
                continue
            if not goes_on:
                return


def _round(campaign: Campaign, owner: Owner, progress: Callable[[dict[str, int]], None]) -> bool:
    """One round of everything; whether there is another."""
    if not owner.alive():
        owner.stand()
    keep_house()
    seal_if_we_may()
    name = pacing.choose(providers=proven_first(campaign_id=campaign.pk, providers=providers()))
    answered = 0
    if name is not None:
        with closing(provider_named(name)) as provider:
            answered = send_ready(campaign_id=campaign.pk, owner=owner, provider=provider, seconds=5).answered
    campaign.refresh_from_db()
    progress({"answered": answered})
    if campaign.state == CampaignState.DISPATCHING:
        time.sleep(0 if answered else 0.5)
        return True
    if campaign.state == CampaignState.STOPPED:
        keep_house()  # what a chunk gave back after the stop is cancelled now, not at somebody's next tick
    seal_if_we_may()
    return False


def seal_if_we_may() -> None:
    """Without workers nobody else orders and signs the log."""
    if log.may_sign():
        log.seal()
