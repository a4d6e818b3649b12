"""The campaign's life: freeze, release, pause, stop, drain, close. Each move locks the campaign, checks, writes and logs."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.dispatch.conservation import changed_since_freeze, count_states
from incidents.dispatch.outbox import move
from incidents.dispatch.plan import write_register
from incidents.dispatch.providers import SendError, provider_for
from incidents.dispatch.send import campaign_headers, person_mail
from incidents.letters.approving import ApprovalRefused, refuse, sign
from incidents.letters.mail import OutgoingMail
from incidents.letters.standing import MAKE_AGAIN, Standing, signing_obstacle, standing
from incidents.models import (
    Campaign,
    CampaignState,
    InboxMessage,
    Incident,
    Letter,
    Message,
    PersonStatus,
    ProviderEvent,
)
from incidents.models import MessageState as S
from incidents.models.duties import Handling
from incidents.models.letters import ApprovalKind
from incidents.models.messages import FINAL_STATES
from incidents.models.refusal import Refused
from incidents.people.deciding import undecided
from incidents.people.importing import account
from incidents.people.opening import newest_findings
from incidents.people.staleness import ASK_AGAIN, stale_duties
from incidents.vault import Vault

SENDABLE = (S.PLANNED, S.READY, S.SENDING, S.IN_DOUBT)


class CampaignRefused(Refused):
    """A move of the campaign was refused; nothing changed."""


def freeze_obstacles(*, incident: Incident) -> list[str]:
    """Everything that has to be done before the register can be frozen; empty when nothing."""
    found = []
    numbers = account(incident=incident)
    if incident.campaigns.exists():
        found.append("The register of this incident is frozen already.")
    if not numbers.people:
        found.append("No people are ready for a letter: import the list and decide the queues.")
    waiting = undecided(incident=incident).count()
    if waiting:
        found.append(f"{waiting} queue entries have no decision: correct them, hold them until a date, or reject them by two.")
    if not numbers.adds_up:
        found.append(f"The rows do not add up: {numbers}. Do not go on; look for the missing ones.")
    duties = incident.obligations.filter(addressee="person", superseded=False, cohort__count__gt=0)
    if not duties.exists():
        found.append("The law has not been asked yet: run the assessment.")
    open_duties = sorted(set(duties.filter(handling=Handling.UNDECIDED).values_list("jurisdiction", flat=True)))
    if open_duties:
        found.append(f"Decisions are missing for {', '.join(open_duties)}: record a finding, or whether to write voluntarily.")
    if not incident.letters.exists():
        found.append("There are no letters yet: make them.")
    found += _stale(standing(incident=incident))
    return found + _count_difference(incident, numbers.rows_in - numbers.merged)


def _stale(now: Standing) -> list[str]:
    """What no longer stands on what is known: first the law is asked again, then the letters are made again."""
    found, duties = [], now.duties.towards_people
    if duties:
        found.append(f"{len(duties)} duties towards {now.duties.people} people would be different ({now.titles}). {ASK_AGAIN}")
    if now.letters:
        found.append(f"{len(now.letters)} letters no longer say what is known ({now.titles}). {MAKE_AGAIN}")
    return found


def _count_difference(incident: Incident, people: int) -> list[str]:
    expected = incident.facts.facts.get("expected_people")
    if not expected or expected == people or ("count_difference", "") in newest_findings(incident=incident):
        return []
    return [f"The facts speak of {expected} people, the lists of {people}: explain the difference (finding count_difference)."]


def freeze(*, incident: Incident, author: User) -> Campaign:
    """Fix register and letters by hash and plan the messages. Raises CampaignRefused with everything that is missing."""
    with transaction.atomic():
        # Imports and decisions take the same lock: what is checked here is what is frozen.
        Incident.objects.select_for_update().get(pk=incident.pk)
        obstacles = freeze_obstacles(incident=incident)
        if obstacles:
            raise CampaignRefused(*obstacles)
        campaign = _freeze(incident, author)
    log.checkpoint(incident=incident)
    return campaign


def _freeze(incident: Incident, author: User) -> Campaign:
    authors = {author.pk, *incident.letter_texts.values_list("author_id", flat=True)}
    authors |= set(incident.fact_versions.values_list("author_id", flat=True))
    campaign = Campaign.objects.create(
        incident=incident, reference=f"{incident.reference}-c{incident.campaigns.count() + 1}", register_root="",
        letters_root="", people=0, author_ids=sorted(authors), headers=campaign_headers(campaign_facts=incident.facts.facts),
        facts=incident.facts, frozen_by=author, frozen_at=database_now(),
    )  # fmt: skip
    roots = write_register(campaign=campaign)
    campaign.register_root, campaign.letters_root, campaign.people = roots.register, roots.letters, roots.people
    campaign.save(update_fields=["register_root", "letters_root", "people"])
    data = {
        "campaign": campaign.reference, "n": roots.people, "register_root": roots.register, "letters_root": roots.letters,
        "states": roots.states,
    }  # fmt: skip
    record(incident=incident, action=Action.REGISTER_FROZEN, actor=author.username, data=data)
    return campaign


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
    return stale if stale or reason.strip() else "A signature needs its reason in words."


def release(*, campaign: Campaign, author: User, reason: str, despite: str = "") -> Campaign:
    """Second signature; from its commit on workers may send. Raises ApprovalRefused. `despite`: marks signed knowingly."""
    obstacle = release_obstacle(campaign=campaign, author=author, reason=reason, despite=despite)
    if obstacle:
        raise refuse(campaign=campaign, author=author, kind=ApprovalKind.RELEASE, why=obstacle)
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().select_related("incident").get(pk=campaign.pk)
        if locked.state != CampaignState.CONTENT_APPROVED:
            raise ApprovalRefused("Somebody else has released the campaign in the meantime.")
        sign(campaign=locked, kind=ApprovalKind.RELEASE, author=author, reason=reason.strip(), despite=despite)
        locked.messages.filter(state=S.PLANNED).update(state=S.READY)
        locked.state, locked.released_at = CampaignState.DISPATCHING, database_now()
        locked.save(update_fields=["state", "released_at"])
    log.checkpoint(incident=locked.incident)
    return locked


def _switch(
    campaign: Campaign, to: str, action: Action, actor: str, reason: str, allowed: tuple[str, ...], **more: Any
) -> Campaign:
    locked = Campaign.objects.select_for_update().select_related("incident").get(pk=campaign.pk)
    if locked.state not in allowed:
        raise CampaignRefused(f"The campaign is '{locked.get_state_display()}'; this step does not fit.")
    if not reason.strip():
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
    """Go on after a pause."""
    return _switch(campaign, CampaignState.DISPATCHING, Action.CAMPAIGN_RESUMED, author.username, reason, (CampaignState.PAUSED,))


@transaction.atomic
def stop(*, campaign: Campaign, author: User, reason: str) -> Campaign:
    """End the campaign for good: nothing new starts, everything not begun is cancelled."""
    running = (
        CampaignState.FROZEN,
        CampaignState.CONTENT_APPROVED,
        CampaignState.DISPATCHING,
        CampaignState.PAUSED,
        CampaignState.DRAINED,
    )
    locked = _switch(campaign, CampaignState.STOPPED, Action.CAMPAIGN_STOPPED, author.username, reason, running)
    cancel_unsent(campaign=locked, actor=author.username)
    return locked


def cancel_unsent(*, campaign: Campaign, actor: str) -> int:
    """Cancel what a stopped campaign has not begun, in the caller's transaction."""
    waiting = campaign.messages.filter(state__in=[S.PLANNED, S.READY]).select_related("entry__person").order_by("id")
    return move(campaign=campaign, messages=waiting, to=S.CANCELLED, actor=actor, reason="the campaign was stopped")


def drain_if_done(*, campaign: Campaign) -> bool:
    """Mark a campaign as drained when nothing is left to send and every event that came is applied."""
    reports = provider_for().reports_delivery
    with transaction.atomic():
        locked = Campaign.objects.select_for_update().select_related("incident").get(pk=campaign.pk)
        if locked.state != CampaignState.DISPATCHING or _unfinished(locked):
            return False
        if not reports:
            silent = locked.messages.filter(state=S.ACCEPTED).select_related("entry__person").order_by("id")
            move(
                campaign=locked,
                messages=silent,
                to=S.ACCEPTED_UNCONFIRMED,
                actor="dispatcher",
                reason="no event can come by plain SMTP",
            )
        locked.state, locked.drained_at = CampaignState.DRAINED, database_now()
        locked.save(update_fields=["state", "drained_at"])
        data = {"campaign": locked.reference, "states": count_states(campaign=locked)}
        record(incident=locked.incident, action=Action.CAMPAIGN_DRAINED, actor="dispatcher", data=data)
    anchor(campaign=locked)
    return True


def _unfinished(campaign: Campaign) -> bool:
    refs = Message.objects.filter(campaign=campaign).values("message_ref")
    return (
        campaign.messages.filter(state__in=SENDABLE).exists()
        or InboxMessage.objects.filter(incident=campaign.incident).exclude(pending_event="").exists()
        or ProviderEvent.objects.filter(applied_at__isnull=True, message_ref__in=refs).exists()
    )


def anchor(*, campaign: Campaign) -> None:
    """Mail the signed checkpoint to the DPO: the outside witness of the log so far. A failure is logged, not hidden."""
    incident, head = campaign.incident, log.checkpoint(incident=campaign.incident)
    controller = incident.facts.facts["controller"]
    mail = OutgoingMail(
        message_ref=secrets.token_hex(16), to=controller["dpo_email"], sender=controller["sender_email"],
        sender_name=controller["sender_name"], reply_to="", language="en",
        subject=f"Checkpoint of the log of {incident.reference}: {head.size} entries",
        text="Keep this mail: it witnesses the log up to this point.\n\n" + head.note
        + f"\nKey fingerprint (SHA-256): {log.fingerprint_of_key()}\n",
        html=f"<p>Keep this mail: it witnesses the log up to this point.</p><pre>{head.note}</pre>"
        f"<p>Key fingerprint (SHA-256): {log.fingerprint_of_key()}</p>",
    )  # fmt: skip
    try:
        answer = provider_for().send(mail=mail, incident=incident, test=True)
    except SendError as error:
        answer = f"not sent: {error.detail}"
    data: dict[str, Any] = {"kind": "mail to the DPO", "size": head.size, "root": head.root, "answer": answer}
    action = Action.CHECK_FAILED if answer.startswith("not sent") else Action.ANCHOR_SENT
    record(incident=incident, action=action, actor="system", data=data)
    log.sequence()


def closing_questions(*, campaign: Campaign) -> list[str]:
    """Everything that keeps the campaign from closing, in words; empty when it may be closed."""
    incident, states = campaign.incident, count_states(campaign=campaign)
    found = [f"{n} people are '{S(state).label}'" for state, n in states.items() if state not in FINAL_STATES]
    unknown = incident.obligations.filter(owed="ask", superseded=False, cohort__count__gt=0)
    places = sorted(set(unknown.values_list("jurisdiction", flat=True)))
    if places:
        found.append(f"law to be checked for {len(places)} residences: {', '.join(places)}")
    authorities = incident.obligations.filter(owed="yes", superseded=False, cohort=None, filings=None)
    found += [f"{duty.jurisdiction}: the {duty.addressee} has not been notified" for duty in authorities]
    stale = stale_duties(incident=incident).stale
    found += [f"{len(stale)} obligations no longer follow from what is known. {ASK_AGAIN}"] if stale else []
    held = incident.people.filter(status=PersonStatus.HELD).count()
    return [
        *found,
        *([f"{held} people are held until a date by a recorded decision"] if held and S.HELD not in states else []),
    ]


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
    person = letter.cohort.people.filter(has_email=True, status=PersonStatus.CLEAR).order_by("id").first()
    if person is None:
        raise CampaignRefused("Nobody in this cohort has an address to preview with.")
    incident = letter.incident
    mail = person_mail(
        fields=Vault(incident=incident).open(person=person), letter_sha256=letter.sha256, body=letter.compiled,
        message_ref="0" * 32, headers=campaign_headers(campaign_facts=incident.facts.facts),
    )  # fmt: skip
    own = OutgoingMail(**{**mail.__dict__, "to": to, "subject": f"[Test] {mail.subject}", "message_ref": secrets.token_hex(16)})
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
