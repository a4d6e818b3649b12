"""The outside witness: the signed head of the log, mailed to the data protection officer when a campaign has ended.

A mail that was not taken is tried again, by the fallback in turn, until it is; whoever looks at the campaign is told until then.
"""

from __future__ import annotations

import logging
import secrets
import time
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.channels.choose import provider_named, providers
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.owner import AWAY
from incidents.letters.in_their_place import DRILL_MARK
from incidents.letters.mail import OutgoingMail
from incidents.models import Approval, AuditCheckpoint, Campaign, CampaignState
from incidents.models.letters import ApprovalKind

logger = logging.getLogger(__name__)
#: Seconds until a failed mail is tried again: the first time, and at most, as it doubles.
FIRST_WAIT: Final = 60.0
LONGEST_WAIT: Final = 86_400.0
#: A mail that was perhaps taken is sent so often; each may be the one that is kept.
DOUBTFUL_TRIES: Final = 3
NOT_YET = (
    "the signed head of the log was not mailed to the data protection officer yet; it is tried again by itself (see check.failed)"
)


class Tried(NamedTuple):
    """How often this process tried, and when it may again (monotonic seconds). Another one begins anew: that harms nothing."""

    times: int = 0
    again: float = 0.0


_TRIED: dict[int, Tried] = {}


def without_witness() -> QuerySet[Campaign]:
    """Campaigns that ended, drained or stopped after their release, and whose head nobody outside has yet."""
    released = Approval.objects.filter(campaign=OuterRef("pk"), kind=ApprovalKind.RELEASE)
    ended = Q(drained_at__isnull=False) | Q(Exists(released), state=CampaignState.STOPPED)
    return Campaign.objects.filter(ended, witnessed_at=None)


def witness_missing(*, campaign: Campaign) -> str:
    """What is said of a campaign that ended without its witness; empty when it has one, or still runs."""
    return NOT_YET if without_witness().filter(pk=campaign.pk).exists() else ""


def anchor_the_ended() -> int:
    """Mail the heads that were not mailed yet, for whatever reason, and whose time has come; returns how many were tried."""
    due = [
        one
        for one in without_witness().select_related("incident").order_by("id")
        if time.monotonic() >= _TRIED.get(one.pk, Tried()).again
    ]
    for campaign in due:
        anchor(campaign=campaign)
    return len(due)


def anchor(*, campaign: Campaign) -> None:
    """Mail the signed checkpoint to the DPO: the outside witness of the log so far. A failure is logged, not hidden."""
    tried = _TRIED.get(campaign.pk, Tried())
    try:
        head = log.checkpoint(incident=campaign.incident)
    except log.NobodySigns as error:
        _failed(campaign, tried, f"not sent: {error}", size=0, root="")
        return
    signed = {"size": head.size, "root": head.root}
    try:
        names = providers()
        answer = provider_named(names[tried.times % len(names)]).send(
            mail=_mail(campaign, head), incident=campaign.incident, test=True
        )
    except SendError as error:
        doubtful = error.kind == SendErrorKind.DOUBTFUL
        _failed(campaign, tried, f"{'in doubt' if doubtful else 'not sent'}: {error.detail}", **signed)
    except AWAY:
        raise
    except Exception as error:
        # Whatever it is, housekeeping goes on with what is due beside it; its words could hold the address.
        logger.error("the head of %s could not be mailed: %s", campaign, type(error).__name__)
        _failed(campaign, tried, f"not sent: {type(error).__name__}", **signed)
    else:
        _tell(campaign, Action.ANCHOR_SENT, answer, ended=True, **signed)


def _mail(campaign: Campaign, head: AuditCheckpoint) -> OutgoingMail:
    incident, key = campaign.incident, log.fingerprint_of_key()
    controller = incident.facts.facts["controller"]
    return OutgoingMail(
        message_ref=secrets.token_hex(16), to=controller["dpo_email"], sender=controller["sender_email"],
        sender_name=controller["sender_name"], reply_to="", language="en",
        subject=f"{DRILL_MARK if incident.is_drill else ''}Checkpoint of the log of {incident.reference}: {head.size} entries",
        text=f"Keep this mail: it witnesses the log up to this point.\n\n{head.note}\nKey fingerprint (SHA-256): {key}\n",
        html=f"<p>Keep this mail: it witnesses the log up to this point.</p><pre>{head.note}</pre>"
        f"<p>Key fingerprint (SHA-256): {key}</p>",
    )  # fmt: skip


def _failed(campaign: Campaign, tried: Tried, answer: str, **signed: object) -> None:
    """It is tried again later; one that was perhaps taken each time is left at that."""
    times = tried.times + 1
    wait = min(FIRST_WAIT * 2.0 ** min(tried.times, 20), LONGEST_WAIT)
    _TRIED[campaign.pk] = Tried(times, time.monotonic() + wait)
    ended = answer.startswith("in doubt") and times >= DOUBTFUL_TRIES
    _tell(campaign, Action.CHECK_FAILED, answer, ended=ended, **signed)


@transaction.atomic
def _tell(campaign: Campaign, action: Action, answer: str, *, ended: bool, **signed: object) -> None:
    data = {"kind": "mail to the DPO", "campaign": campaign.reference, "answer": answer, **signed}
    record(incident=campaign.incident, action=action, actor="system", data=data)
    if ended:
        _TRIED.pop(campaign.pk, None)
        Campaign.objects.filter(pk=campaign.pk).update(witnessed_at=database_now())
