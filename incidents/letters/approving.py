"""The first signature: the content, by somebody who wrote none of it, bound to the hashes of register and letters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.letters.standing import knowingly, signing_obstacle
from incidents.models import Approval, Campaign, CampaignState, Letter
from incidents.models.letters import ApprovalKind
from incidents.models.refusal import Refused
from incidents.visible import visible

NOTHING: Mapping[str, str] = MappingProxyType({})


class ApprovalRefused(Refused):
    """A signature was refused; the refusal itself is in the log."""


def sign(
    *, campaign: Campaign, kind: ApprovalKind, author: User, reason: str, despite: str = "", more: Mapping[str, str] = NOTHING
) -> Approval:
    """Write a signature over what was frozen, with its entry, in the caller's transaction. `despite`: marks signed knowingly.

    `more`: what else the signer took on, for the entry.
    """
    roots = {"register_root": campaign.register_root, "letters_root": campaign.letters_root}
    action = Action.CONTENT_APPROVED if kind == ApprovalKind.CONTENT else Action.RELEASE_APPROVED
    data = {"campaign": campaign.reference, "reason": reason, **roots, **knowingly(campaign=campaign, despite=despite)}
    data |= more
    record(incident=campaign.incident, action=action, actor=author.username, data=data)
    return Approval.objects.create(
        campaign=campaign, kind=kind, author=author, reason=reason, approved_at=database_now(), **roots
    )


def refuse(*, campaign: Campaign, author: User, kind: ApprovalKind, why: str) -> ApprovalRefused:
    """Put a refused signature into the log and return the refusal to raise."""
    data = {"campaign": campaign.reference, "kind": kind.value, "why": why}
    record(incident=campaign.incident, action=Action.APPROVAL_REFUSED, actor=author.username, data=data)
    return ApprovalRefused(why)


def approve_content(*, campaign: Campaign, author: User, reason: str, despite: str = "") -> Approval:
    """First signature. Raises ApprovalRefused: an author, no reason, a letter that the check blocks, a wrong state, stale law.

    `despite` names the marks on letters that cannot be mended any more, and that the author has read.
    """
    obstacle = content_obstacle(campaign=campaign, author=author, reason=reason, despite=despite)
    if obstacle:
        raise refuse(campaign=campaign, author=author, kind=ApprovalKind.CONTENT, why=obstacle)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().get(pk=campaign.pk)
        if locked.state != CampaignState.FROZEN:
            raise ApprovalRefused("Somebody else has signed the content in the meantime; look at the campaign again.")
        approval = sign(campaign=locked, kind=ApprovalKind.CONTENT, author=author, reason=reason.strip(), despite=despite)
        locked.state = CampaignState.CONTENT_APPROVED
        locked.save(update_fields=["state"])
    return approval


def content_obstacle(*, campaign: Campaign, author: User, reason: str, despite: str = "") -> str:
    """Why this person cannot sign the content now; empty when they can."""
    if campaign.state != CampaignState.FROZEN:
        return f"The campaign is '{campaign.get_state_display()}'; only a frozen one waits for the content signature."
    if author.pk in campaign.author_ids:
        return (
            f"{author.username} wrote or froze part of this campaign. Its content must be approved by somebody who edited "
            "none of it."
        )
    if not visible(reason):
        return "A signature needs its reason in words."
    used = campaign.register.exclude(letter=None).values_list("letter_id", flat=True).distinct()
    blocked = [letter for letter in Letter.objects.filter(pk__in=list(used)).select_related("cohort") if letter.blocked]
    if blocked:
        return f"{len(blocked)} letters have blocking findings, the first: {blocked[0]}. They can not be approved as they are."
    return signing_obstacle(campaign=campaign, despite=despite)
