"""The campaign's life: freeze, release, pause, stop, drain, close. Each move locks the campaign, checks, writes and logs."""

from __future__ import annotations

import logging
import secrets
from functools import cache
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit import log, witness
from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch import brake, refusing_us
from incidents.dispatch.channels.choose import UnknownProvider, provider_for, provider_named
from incidents.dispatch.channels.contract import SendError
from incidents.dispatch.conservation import changed_since_freeze, count_states
from incidents.dispatch.events import against_us
from incidents.dispatch.obstacles import closing_questions, freeze_obstacles
from incidents.dispatch.plan import write_register
from incidents.dispatch.preflight import gate_obstacle
from incidents.dispatch.prepare import campaign_headers, person_mail
from incidents.dispatch.staff import plan_wave, taken_on, wave_obstacle
from incidents.dispatch.sweeping import cancel_unsent, end_silent, make_ready
from incidents.dispatch.witnessing import anchor
from incidents.letters.approving import ApprovalRefused, refuse, sign
from incidents.letters.mail import OutgoingMail
from incidents.letters.standing import signing_obstacle
from incidents.models import (
    Amendment,
    Campaign,
    CampaignState,
    InboxMessage,
    Incident,
    Letter,
    Message,
    PersonStatus,
    PersonVersion,
    ProviderEvent,
)
from incidents.models import MessageState as S
from incidents.models.letters import ApprovalKind
from incidents.models.messages import MESSAGE_MOVES, in_states
from incidents.models.refusal import Refused
from incidents.people.addresses import check_address
from incidents.people.amending import current_amendment, people_of
from incidents.people.erasing import refuse_returned
from incidents.people.moving import move_all, standing_messages
from incidents.vault import Vault
from incidents.visible import visible

logger = logging.getLogger(__name__)
SENDABLE = (S.PLANNED, S.READY, S.SENDING, S.IN_DOUBT)


class CampaignRefused(Refused):
    """A move of the campaign was refused; nothing changed."""


def freeze(*, incident: Incident, author: User) -> Campaign:
    """Fix the next register and its letters by hash and plan the messages: of everybody, or of the open amendment's people.

    Raises Refused with everything that is missing, or when the database is an older one that was put back.
    """
    lost = witness.lost_head(incident=incident)
    if lost:
        newest = incident.campaigns.order_by("-id").first()
        raise CampaignRefused(witness.refusal(incident=incident, campaign=str(newest or incident.reference), lost=lost))
    refuse_returned(incident=incident)
    with transaction.atomic():
        # Imports and decisions take the same lock: what is checked here is what is frozen.
        Incident.objects.select_for_update().get(pk=incident.pk)
        obstacles = freeze_obstacles(incident=incident)
        if obstacles:
            raise CampaignRefused(*obstacles)
        campaign = _freeze(incident, author)
    log.sign_decision(incident=incident)
    return campaign


def _freeze(incident: Incident, author: User) -> Campaign:
    amendment = current_amendment(incident=incident)
    authors = {author.pk, *incident.letter_texts.values_list("author_id", flat=True)}
    authors |= set(incident.fact_versions.values_list("author_id", flat=True))
    authors |= _authors_of(amendment) if amendment else set()
    campaign = Campaign.objects.create(
        incident=incident, amendment=amendment, reference=f"{incident.reference}-c{incident.campaigns.count() + 1}",
        register_root="", letters_root="", people=0, author_ids=sorted(authors), facts=incident.facts,
        headers=campaign_headers(campaign_facts=incident.facts.facts), frozen_by=author, frozen_at=database_now(),
    )  # fmt: skip
    if amendment:
        _replace_unsent(campaign, amendment)
    roots = write_register(campaign=campaign)
    campaign.register_root, campaign.letters_root, campaign.people = roots.register, roots.letters, roots.people
    campaign.save(update_fields=["register_root", "letters_root", "people"])
    data: dict[str, Any] = {
        "campaign": campaign.reference, "n": roots.people, "register_root": roots.register, "letters_root": roots.letters,
        "states": roots.states, **({"amendment": amendment.number} if amendment else {}),
    }  # fmt: skip
    record(incident=incident, action=Action.REGISTER_FROZEN, actor=author.username, data=data)
    return campaign


def _authors_of(amendment: Amendment) -> set[int]:
    """Whoever opened the amendment, let people join it, or corrected their records: none of them may approve its content."""
    people = people_of(incident=amendment.incident, amendment=amendment)
    corrected = PersonVersion.objects.filter(person__in=people).values_list("author_id", flat=True)
    joined = amendment.joinings.values_list("author_id", flat=True)
    imported = amendment.imports.values_list("author_id", flat=True)
    return {amendment.author_id, *joined.distinct(), *corrected.distinct(), *imported.distinct()}


def _replace_unsent(campaign: Campaign, amendment: Amendment) -> None:
    """Nobody waits for a letter on two registers: what an earlier one still had for these people goes with this one."""
    people = people_of(incident=campaign.incident, amendment=amendment)
    earlier = standing_messages(people=people).exclude(campaign=campaign).select_for_update(of=("self",))
    unsent = [message for message in earlier if S.REPLACED in MESSAGE_MOVES[message.state]]
    reason = f"goes with amendment {amendment.number}, {campaign.reference}"
    move_all(messages=unsent, to=S.REPLACED, actor=campaign.frozen_by.username, reason=reason)


def release_obstacle(*, campaign: Campaign, author: User, reason: str, despite: str = "") -> str:
    """Why this person cannot release the campaign now; empty when they can."""
    first = campaign.approvals.filter(kind=ApprovalKind.CONTENT).select_related("author").first()
    if campaign.state == CampaignState.FROZEN or first is None:
        return "The content is not approved yet: a second person signs the letters and the register first (approve)."
    if campaign.state != CampaignState.CONTENT_APPROVED:
        return f"The campaign is '{campaign.get_state_display()}' and cannot be released again."
    if first.author_id == author.pk:
        return f"{author.username} approved the content; somebody else has to release it."
    changed = changed_since_freeze(campaign=campaign)
    if changed:
        return f"Something was changed behind the signature ({'; '.join(changed)}). Stop this campaign and look into it."
    stale = signing_obstacle(campaign=campaign, despite=despite)
    return stale if stale or visible(reason) else "A signature needs its reason in words."


def release(*, campaign: Campaign, author: User, reason: str, despite: str = "", without_wave: str = "") -> Campaign:
    """Second signature; from its commit on workers may send: to the staff first. `despite`: marks signed knowingly.

    `without_wave`: why people are written to at once where nobody of the staff is entered. Raises ApprovalRefused, also when
    the gate (`preflight`) is shut.
    """
    obstacle = release_obstacle(campaign=campaign, author=author, reason=reason, despite=despite)
    obstacle = obstacle or wave_obstacle(campaign=campaign, without=without_wave)
    obstacle = obstacle or gate_obstacle(campaign=campaign, author=author)
    if obstacle:
        raise refuse(campaign=campaign, author=author, kind=ApprovalKind.RELEASE, why=obstacle)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=campaign.pk)
        if locked.state != CampaignState.CONTENT_APPROVED:
            raise ApprovalRefused("Somebody else has released the campaign in the meantime.")
        more = taken_on(campaign=locked, without=without_wave)
        sign(campaign=locked, kind=ApprovalKind.RELEASE, author=author, reason=reason.strip(), despite=despite, more=more)
        locked.canary = plan_wave(campaign=locked, actor=author.username)
        locked.state, locked.released_at = CampaignState.DISPATCHING, database_now()
        locked.save(update_fields=["state", "released_at", "canary"])
    make_ready(campaign=locked)  # if this process dies now, housekeeping goes on with it
    log.sign_decision(incident=locked.incident)
    return locked


def _switch(
    campaign: Campaign, to: str, action: Action, actor: str, reason: str, allowed: tuple[str, ...], **more: Any
) -> Campaign:
    locked = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=campaign.pk)
    if locked.state not in allowed:
        raise CampaignRefused(f"The campaign is '{locked.get_state_display()}'; this step does not fit.")
    if not visible(reason):
        raise CampaignRefused("This step needs its reason in words.")
    locked.state, locked.pause_reason = to, reason.strip() if to == CampaignState.PAUSED else ""
    locked.save(update_fields=["state", "pause_reason"])
    record(
        incident=locked.incident,
        action=action,
        actor=actor,
        data={"campaign": locked.reference, "reason": reason.strip(), **more},
    )
    return locked


@transaction.atomic
def pause(*, campaign: Campaign, author: User | None, reason: str) -> Campaign:
    """Start no further message until resumed; what is in flight finishes. `author` None: the system, after a mismatch."""
    actor = author.username if author else "system"
    return _switch(campaign, CampaignState.PAUSED, Action.CAMPAIGN_PAUSED, actor, reason, (CampaignState.DISPATCHING,))


@transaction.atomic
def resume(*, campaign: Campaign, author: User, reason: str) -> Campaign:
    """Go on after a pause; not past a first wave that failed, nor with an older database that was put back."""
    lost = witness.lost_head(incident=campaign.incident)
    if lost:
        raise CampaignRefused(witness.refusal(incident=campaign.incident, campaign=campaign.reference, lost=lost))
    if Campaign.objects.filter(pk=campaign.pk, canary="failed").exists():
        raise CampaignRefused("The first wave, to the staff, failed. Mend what was wrong, then send it again.")
    refusing_us.ask_again()
    brake.let_further(campaign=campaign)
    against_us.let_further(campaign=campaign, at=database_now())
    return _switch(campaign, CampaignState.DISPATCHING, Action.CAMPAIGN_RESUMED, author.username, reason, (CampaignState.PAUSED,))


def stop(*, campaign: Campaign, author: User, reason: str) -> Campaign:
    """End the campaign for good: nothing new starts from the commit of this state on; then what was not begun is cancelled."""
    running = (
        CampaignState.FROZEN,
        CampaignState.CONTENT_APPROVED,
        CampaignState.DISPATCHING,
        CampaignState.PAUSED,
        CampaignState.DRAINED,
    )
    with transaction.atomic():
        locked = _switch(campaign, CampaignState.STOPPED, Action.CAMPAIGN_STOPPED, author.username, reason, running)
        if locked.canary == "waiting":
            locked.canary = "stopped"  # its letters to staff are ended by housekeeping
            locked.save(update_fields=["canary"])
    cancel_unsent(campaign=locked, actor=author.username)
    return locked


def drain_if_done(*, campaign: Campaign) -> bool:
    """Mark a campaign as drained when nothing is left to send and every event that came is applied."""
    if _unfinished(campaign):
        return False
    end_unheard(campaign=campaign)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update(of=("self",)).select_related("incident").get(pk=campaign.pk)
        # Without the lock a worker may have sent once more: then housekeeping comes again.
        if locked.state != CampaignState.DISPATCHING or _unfinished(locked):
            return False
        locked.state, locked.drained_at, locked.witnessed_at = CampaignState.DRAINED, database_now(), None
        locked.save(update_fields=["state", "drained_at", "witnessed_at"])
        data = {"campaign": locked.reference, "states": count_states(campaign=locked)}
        record(incident=locked.incident, action=Action.CAMPAIGN_DRAINED, actor="dispatcher", data=data)
    anchor(campaign=locked)
    return True


def end_unheard(*, campaign: Campaign) -> int:
    """Letters that went by providers of which no event can come have their end; returns how many."""
    silent = _silent_providers(campaign)
    return end_silent(campaign=campaign, providers=silent) if silent else 0


def _silent_providers(campaign: Campaign) -> list[str]:
    """Of those by whom the campaign's letters went: of which no event can come."""
    silent = []
    for name in campaign.chunks.exclude(provider="").order_by().values_list("provider", flat=True).distinct():
        try:
            silent += [] if provider_named(name).reports_delivery else [name]
        except UnknownProvider:
            _say_unknown(str(campaign), name)
    return silent


@cache
def _say_unknown(campaign: str, provider: str) -> None:
    """Once a process: housekeeping asks every other second."""
    logger.warning("%s was sent by %s, which no setting names any more", campaign, provider)


def _unfinished(campaign: Campaign) -> bool:
    refs = Message.objects.filter(campaign=campaign).values("message_ref")
    return (
        campaign.messages.filter(in_states(*SENDABLE)).exists()
        or InboxMessage.objects.filter(incident=campaign.incident).exclude(pending_event="").exists()
        or ProviderEvent.objects.filter(applied_at__isnull=True, message_ref__in=refs).exists()
    )


@transaction.atomic
def close(*, campaign: Campaign, author: User, reason: str) -> Campaign:
    """Close a drained campaign. Raises CampaignRefused with every open question."""
    Campaign.objects.select_for_update().get(pk=campaign.pk)
    questions = closing_questions(campaign=campaign)
    if questions:
        raise CampaignRefused("The campaign cannot be closed yet:", *questions)
    drained, states = (CampaignState.DRAINED,), count_states(campaign=campaign)
    return _switch(campaign, CampaignState.CLOSED, Action.CAMPAIGN_CLOSED, author.username, reason, drained, states=states)


def send_test(*, letter: Letter, author: User, to: str) -> str:
    """Send one letter to oneself, as a person of its cohort would read it, marked as a test and counted nowhere."""
    address, problem = check_address(to)
    if not address:
        why = f" ({problem.reason})" if problem else ""
        raise CampaignRefused(
            f"The test was not sent: this is no address that mail can be sent to{why}. Give your own e-mail address."
        )
    person = letter.cohort.people.filter(has_email=True, status=PersonStatus.CLEAR).order_by("id").first()
    if person is None:
        raise CampaignRefused("Nobody in this cohort has an address to preview with.")
    incident = letter.incident
    mail = person_mail(
        fields=Vault(incident=incident).open(person=person), letter_sha256=letter.sha256, body=letter.compiled,
        message_ref="0" * 32, headers=campaign_headers(campaign_facts=incident.facts.facts),
    )  # fmt: skip
    own = OutgoingMail(
        **{**mail.__dict__, "to": address, "subject": f"[Test] {mail.subject}", "message_ref": secrets.token_hex(16)}
    )
    record(
        incident=incident,
        action=Action.ACCESS_VIEWED,
        actor=author.username,
        data={"purpose": "test letter to oneself", "letter": letter.sha256},
        subject=person.subject,
    )
    try:
        return provider_for().send(mail=own, incident=incident, test=True)
    except SendError as error:
        raise CampaignRefused(f"The test was not sent: {error.detail}. Check MAIL.") from None
