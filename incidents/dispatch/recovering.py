"""An older database was put back: nothing leaves before every letter that may have left since is on the list of doubts.

The last signed head outside of the database shows it (`audit/witness.py`). Which letters left is written nowhere any more: so all
that this database would send are in doubt, and end as doubts do. The log names the head that it lost, and goes on from there.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet

from incidents.acting import acting_as
from incidents.audit import log, witness
from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.audit.merkle import root as tree_root
from incidents.audit.witness import Head
from incidents.dispatch.campaign import CampaignRefused, pause
from incidents.dispatch.channels.choose import providers
from incidents.dispatch.outbox import take_over
from incidents.models import AuditCheckpoint, Campaign, CampaignState, Chunk, ChunkState, Doubt, Incident, Message
from incidents.models import MessageState as S
from incidents.models.messages import in_states
from incidents.models.refusal import Refused
from incidents.people.moving import move
from incidents.visible import visible

WORKER = "worker"
MAY_HAVE_LEFT = "the database is older than the log's last signed head; this letter may have left"
RENEWED = "the database was put back"
#: What this database would still send: it may have done so once already.
WOULD_LEAVE = (S.PLANNED, S.READY, S.IN_DOUBT)
OVER = (CampaignState.STOPPED, CampaignState.CLOSED)
BATCH = 1000


class DatabaseOlder(Refused):
    """The database is older than its log's last signed head. Nothing is sent until `recover` has listed what may have left."""


@dataclass(frozen=True)
class Recovered:
    """What was found and listed: the head that was lost, the last one that this database has, campaign -> its new doubts."""

    lost: Head
    kept: Head
    doubts: dict[str, int]


# -- noticing ----------------------------------------------------------------------------------------------------------


def refuse_older(*, campaign: Campaign) -> None:
    """Raises DatabaseOlder when the campaign's log was signed further than this database has it."""
    lost = witness.lost_head(incident=campaign.incident)
    if lost:
        raise DatabaseOlder(witness.refusal(incident=campaign.incident, campaign=campaign.reference, lost=lost))


def pause_older() -> int:
    """Pause whatever dispatches from an older database, before a worker or the house does anything; returns how many were."""
    paused = 0
    for campaign in Campaign.objects.filter(state=CampaignState.DISPATCHING).select_related("incident").order_by("id"):
        try:
            refuse_older(campaign=campaign)
        except DatabaseOlder as older:
            with suppress(CampaignRefused):  # somebody was faster
                pause(campaign=campaign, author=None, reason=str(older))
                paused += 1
    return paused


# -- recovering --------------------------------------------------------------------------------------------------------


def recover(*, campaign: Campaign, author: User, reason: str) -> Recovered:
    """List as a doubt whatever may have left since the backup, in all campaigns of the incident; name the lost head in the log.

    Raises CampaignRefused. Nothing is sent by it: doubts are settled as always, and each campaign is resumed by a person.
    """
    if not visible(reason):
        raise CampaignRefused("This step needs its reason in words: where does this database come from?")
    with acting_as(WORKER):
        take_over()  # what workers held when the backup was made
        found = _recover(campaign, author.username, reason.strip())
    log.sign_decision(incident=campaign.incident)
    return found


def recover_log(*, incident: Incident, author: User, reason: str) -> Recovered:
    """The same for an incident that never had a campaign: nothing can have left, and its log goes on. Raises CampaignRefused."""
    if not visible(reason):
        raise CampaignRefused("This step needs its reason in words: where does this database come from?")
    first = incident.campaigns.order_by("id").first()
    if first:
        raise CampaignRefused(f"Letters of {incident.reference} may have left: name its campaign, 'recover {first.reference}'.")
    lost = witness.lost_head(incident=incident)
    if lost is None:
        raise CampaignRefused(_nothing_lost(incident))
    with acting_as(WORKER), transaction.atomic():
        kept = _name(incident, lost, author.username, {"reason": reason.strip()})
        _name_of_nobody(author.username, reason.strip())
    log.sign_decision(incident=incident)
    return Recovered(lost, kept, {})


@transaction.atomic
def _recover(campaign: Campaign, actor: str, reason: str) -> Recovered:
    incident = campaign.incident
    all_of_it = Campaign.objects.select_for_update(of=("self",)).select_related("incident")
    running = [one for one in all_of_it.filter(incident=incident).order_by("id") if one.state not in OVER]
    lost = _what_was_lost(campaign, running)
    for one in running:
        if one.state == CampaignState.DISPATCHING:
            pause(campaign=one, author=None, reason=f"{RENEWED}; 'resume' it when its doubts are looked at")
    doubts = {one.reference: _list_doubts(one, actor) for one in running}
    kept = _name(incident, lost, actor, {"campaign": campaign.reference, "doubts": doubts, "reason": reason})
    _name_of_nobody(actor, reason)
    return Recovered(lost, kept, doubts)


def _name_of_nobody(actor: str, reason: str) -> None:
    """Nobody sends for these, so nobody else would ever answer for them: their logs go on as well."""
    for other in (None, *Incident.objects.filter(campaigns=None).order_by("id")):
        if also := witness.lost_head(incident=other):
            _name(other, also, actor, {"reason": reason})


def _what_was_lost(campaign: Campaign, running: list[Campaign]) -> Head:
    """The lost head of a campaign that may be recovered. Raises CampaignRefused."""
    state = next((one.state for one in running if one.pk == campaign.pk), campaign.state)
    if state == CampaignState.DISPATCHING:
        raise CampaignRefused(f"The campaign is '{CampaignState(state).label}'; pause it first.")
    lost = witness.lost_head(incident=campaign.incident)
    if lost is None:
        raise CampaignRefused(_nothing_lost(campaign.incident))
    if Chunk.objects.filter(campaign__in=running, state=ChunkState.CLAIMED).exists():
        raise CampaignRefused("A worker may still hold letters of this database. Ask again in LEASE_SECONDS.")
    return lost


def _nothing_lost(incident: Incident) -> str:
    file = witness.head_file(log.log_of(incident))
    return (
        f"Nothing is to be recovered: the database reaches the last signed head of {incident.reference}, or that was answered "
        f"for, or it is not kept on this host ({file})."
    )


def _list_doubts(campaign: Campaign, actor: str) -> int:
    """Put every letter that would still leave into doubt; one that was in doubt already gets a new doubt, with its time."""
    # With two ways out nobody knows by which one it went: then no look-up at one of them can settle it.
    names = providers()
    provider, listed, last = names[0] if len(names) == 1 else "", 0, 0
    while page := list(_would_leave(campaign).filter(pk__gt=last)[:BATCH]):
        last, ids = page[-1].pk, [message.pk for message in page]
        now = database_now()
        Message.objects.filter(pk__in=ids, state=S.PLANNED).update(state=S.READY)
        before = Doubt.objects.filter(message__in=ids, settled_at=None)
        before.update(settled_at=now, settled_how=RENEWED, settled_by=actor)
        listed += move(campaign=campaign, messages=page, to=S.IN_DOUBT, actor=actor, reason=MAY_HAVE_LEFT)
        Doubt.objects.bulk_create(
            Doubt(message_id=pk, reason=MAY_HAVE_LEFT, provider=provider, opened_at=now) for pk in ids
        )  # fmt: skip
    return listed


def _would_leave(campaign: Campaign) -> QuerySet[Message]:
    found = campaign.messages.filter(in_states(*WOULD_LEAVE)).select_related("entry__person").defer("entry__person__sealed")
    return found.select_for_update(of=("self",)).order_by("id")


def _name(incident: Incident | None, lost: Head, actor: str, more: dict[str, Any]) -> Head:
    """Name the lost head in the log, and the last signed one from which it goes on; returns that."""
    last = AuditCheckpoint.objects.filter(log=log.log_of(incident)).order_by("-id").first()
    kept = Head(last.size, last.root) if last else Head(0, tree_root([]).hex())
    data = {"lost_size": lost.size, "lost_root": lost.root, "size": kept.size, "root": kept.root, **more}
    record(incident=incident, action=Action.DATABASE_RESTORED, actor=actor, data=data)
    return kept
