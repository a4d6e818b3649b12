"""One wave of letters in a drill: signed by two, sent by the workers; and a second one to the same people, where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime

from django.conf import settings

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.dispatch import campaign as campaigns
from incidents.dispatch.conservation import count_states
from incidents.letters.approving import approve_content
from incidents.letters.render import make_letters, newest_texts, save_text
from incidents.models import AffectedPerson, AuditEvent, Campaign, CampaignState, Doubt, Incident, Message, PersonStatus
from incidents.models.messages import MessageState
from incidents.models.refusal import Refused
from incidents.people import amending
from incidents.people.assessing import assess_incident
from incidents.scenarios.plot import Cast, Wave, record_findings
from incidents.tasks import wake_campaign

#: step, done so far, of how many (0 = unknown).
Progress = Callable[[str, int, int], None]
#: Without any letter that moves: said so after these seconds, given up after those. Who kills everything beside a drill may stop
#: it for minutes.
TOLD_SECONDS, SILENCE_SECONDS = 60, 600
#: Letters that arrived: who got none the first time is not written to a second time without a new address.
ARRIVED = (MessageState.ACCEPTED, MessageState.DELIVERED)
_NOT_SENT = (MessageState.HELD, MessageState.NOT_OWED)
_WAITING = (MessageState.PLANNED, MessageState.READY, MessageState.SENDING, MessageState.IN_DOUBT)
#: Where in a text the actions begin that all readers share.
_ACTIONS = "\n[[says what_you_can_do]]\n"
_ENDS = (Action.CAMPAIGN_DRAINED, Action.ANCHOR_SENT, Action.CHECK_FAILED)


class StoryStuck(Refused):
    """The campaign does not move any more."""


def sign_and_send(*, campaign: Campaign, cast: Cast, progress: Progress) -> None:
    """Both signatures where they are missing, then wait for the workers."""
    _signed(campaign, cast)
    _sent(campaign, progress)


def second_campaign(*, incident: Incident, wave: Wave, cast: Cast, progress: Progress) -> Campaign:
    """What was found anew, the law asked again, and a second register of those whom the first letter reached."""
    if incident.campaigns.count() > 1:
        return incident.campaigns.order_by("id")[1]
    progress("find the risk anew, ask the law again", 0, 0)
    record_findings(incident=incident, findings=wave.findings, cast=cast)
    assess_incident(incident=incident, author=cast.officer)
    moment = datetime.fromisoformat(wave.aware_at)
    amendment = amending.current_amendment(incident=incident) or amending.open_amendment(
        incident=incident, reason=wave.reason, aware_at=moment, author=cast.officer
    )
    arrived = Message.objects.filter(campaign__incident=incident, state__in=ARRIVED).values("entry__person")
    reached = AffectedPerson.objects.filter(incident=incident, status=PersonStatus.CLEAR, pk__in=arrived)
    amending.join(amendment=amendment, people=reached, reason=wave.reason, author=cast.officer)
    _edit_texts(incident, wave, cast)
    make_letters(incident=incident, author=cast.officer)
    progress("freeze the second register", 0, 0)
    return campaigns.freeze(incident=incident, author=cast.officer)


def _edit_texts(incident: Incident, wave: Wave, cast: Cast) -> None:
    """What readers are to do about what was found anew stands in the texts, once, whatever is killed meanwhile."""
    for (form, language), text in newest_texts(incident=incident).items():
        action = wave.first_action.get(language, "")
        if action and action not in text.source:
            source = with_first_action(source=text.source, action=action)
            save_text(incident=incident, form=form, language=language, source=source, author=cast.officer)


def with_first_action(*, source: str, action: str) -> str:
    """A letter's text with one more action, before those that all readers share."""
    return source.replace(_ACTIONS, f"{_ACTIONS}1. {action}\n", 1)


def _signed(campaign: Campaign, cast: Cast) -> None:
    campaign.refresh_from_db()
    if campaign.state == CampaignState.FROZEN:
        approve_content(
            campaign=campaign,
            author=cast.counsel,
            reason="Letters read in every language and form; the register's numbers are those of the accounting.",
        )
        campaign.refresh_from_db()
    if campaign.state == CampaignState.CONTENT_APPROVED:
        campaigns.release(
            campaign=campaign, author=cast.officer, reason="Approved by counsel; the call centre is briefed and open."
        )


def _sent(campaign: Campaign, progress: Progress) -> None:
    """Wait for the workers; they find the work in the database, the wake-up only saves a moment."""
    wake_campaign(campaign.pk)
    seen, since = (-1, -1), time.monotonic()
    while True:
        campaign.refresh_from_db()
        states = count_states(campaign=campaign)
        settled = sum(n for state, n in states.items() if state not in (*_WAITING, *_NOT_SENT))
        paused = pause_in_words(campaign)
        silent = int(time.monotonic() - since)
        quiet = f"nothing moved for {silent // 30 * 30} s (var/log may say why)" if silent >= TOLD_SECONDS else ""
        witness = _waits_for_witness(campaign)
        placed = log.log_of(campaign.incident).size if witness else 0
        signing = f"wait for the log to be signed; {placed:,} entries have their place" if witness else ""
        step = paused or doubts_left(campaign, states) or quiet or signing or "send the letters"
        progress(step, settled, campaign.people - sum(states.get(state, 0) for state in _NOT_SENT))
        if campaign.state != CampaignState.DISPATCHING and not paused and not witness:
            return
        if (settled, placed) != seen or paused:  # a pause is no silence
            seen, since = (settled, placed), time.monotonic()
        # A doubt that nobody can be asked about ends with its wait; until then silence is no standstill.
        patience = SILENCE_SECONDS + (settings.SETTLE_AFTER_SECONDS if states.get(MessageState.IN_DOUBT) else 0)
        if time.monotonic() - since > patience:
            raise StoryStuck(
                f"No letter moved for {patience} seconds; the campaign stands at {states}. Look at var/log, or "
                f"send without workers: manage.py dispatch {campaign.reference}"
            )
        time.sleep(0.5)


def doubts_left(campaign: Campaign, states: Mapping[str, int]) -> str:
    """What is waited for when nothing but doubts is left; else empty."""
    waiting = sum(states.get(state, 0) for state in _WAITING)
    doubts = Doubt.objects.filter(message__campaign=campaign, settled_at=None).order_by("opened_at")
    first = doubts.first() if waiting and waiting == states.get(MessageState.IN_DOUBT) else None
    return f"wait for {waiting} in doubt, the first until {first.ends_by_itself:%H:%M:%S} UTC" if first else ""


def pause_in_words(campaign: Campaign) -> str:
    """Who paused the campaign, as a step that is waited for; else empty. What the system paused does not go on by itself."""
    if campaign.state != CampaignState.PAUSED:
        return ""
    pauses = AuditEvent.objects.filter(log=log.log_of(campaign.incident), action=Action.CAMPAIGN_PAUSED).order_by("-id")
    by = pauses.values_list("actor", flat=True).first()
    return f"paused by {by}; goes on when it is resumed" if by and by != "system" else ""


def _waits_for_witness(campaign: Campaign) -> bool:
    """Whether the head over the drained campaign is still being signed and mailed; the evidence is to tell of that, too."""
    ends = AuditEvent.objects.filter(log=log.log_of(campaign.incident), action__in=_ENDS).order_by("-id")
    newest = ends.values_list("action", flat=True).first()
    return campaign.state == CampaignState.DRAINED and newest == Action.CAMPAIGN_DRAINED
