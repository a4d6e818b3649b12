"""Whether an incident's obligations, letters and signatures still stand on what is known, and what can be done where not.

Before the freeze everything can be mended. After it the law can be asked again; letters cannot be compiled again, so whoever
signs all the same does it knowingly, bound to the hash of what was shown.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.letters.staleness import Ground, LetterMark, stale_letters
from incidents.models import Approval, AuditEvent, Campaign, CampaignState, Incident, MessageState
from incidents.models.messages import in_states
from incidents.people.amending import current_amendment, people_of
from incidents.people.changes import Change
from incidents.people.later import undecided_of
from incidents.people.staleness import ASK_AGAIN, StaleDuties, stale_duties

MAKE_AGAIN = "Make the letters again: on the page Letters, or by the command freeze, which makes them first."
UNSIGNED = (CampaignState.FROZEN, CampaignState.CONTENT_APPROVED)
#: Something may still be sent.
SENDING = (CampaignState.DISPATCHING, CampaignState.PAUSED)
OVER = (CampaignState.STOPPED, CampaignState.CLOSED)
NOT_BEGUN = (MessageState.PLANNED, MessageState.READY, MessageState.HELD)
#: How many changes are named in one line, and how many obligations in lines of their own.
NAMED, LISTED = 4, 12


@dataclass(frozen=True)
class Standing:
    """The marks on one incident; with a campaign those on its register and under its signatures."""

    incident: Incident
    duties: StaleDuties
    letters: tuple[LetterMark, ...]
    campaign: Campaign | None = None
    signatures: tuple[Approval, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is stale."""
        return not self.duties.stale and not self.letters

    @property
    def firm(self) -> bool:
        """Whether what goes to people is not stale; duties towards authorities aside."""
        return not self.duties.towards_people and not self.letters

    @property
    def people(self) -> int:
        """How many people are touched, by a duty towards them or by their letter."""
        cohorts = {mark.cohort: mark.people for mark in self.duties.towards_people}
        return sum((cohorts | {mark.cohort: mark.people for mark in self.letters}).values())

    @property
    def because(self) -> tuple[Change, ...]:
        """Every change that made a mark, once."""
        return tuple(dict.fromkeys([*self.duties.because, *(change for mark in self.letters for change in mark.because)]))

    @property
    def undermined(self) -> tuple[Approval, ...]:
        """The signatures over a register and letters that no longer stand on what is known."""
        return () if self.firm else self.signatures

    @property
    def fingerprint(self) -> str:
        """The hash of what is shown about the letters; whoever signs knowingly names it."""
        shown = [[mark.ground.value, mark.cohort, mark.language, [one.words for one in mark.because]] for mark in self.letters]
        return hashlib.sha256(canonical_json(shown)).hexdigest()[:12] if shown else ""

    @property
    def counts(self) -> str:
        """How much is touched, in one line."""
        found = [
            _count(len(self.duties.stale), "obligation"),
            _count(len(self.letters), "letter"),
            _count(len(self.undermined), "signature"),
        ]
        return f"{', '.join(part for part in found if part)} ({self.people:,} people)"

    @property
    def titles(self) -> str:
        """What changed, without values: this line may stand in the log."""
        names = list(dict.fromkeys(change.title for change in self.because))
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return ", ".join(names[:NAMED]) + more

    @property
    def remedies(self) -> tuple[str, ...]:
        """What can be done, the first thing first."""
        ask = (ASK_AGAIN,) if self.duties.stale else ()
        return (*ask, *self._for_letters()) if self.letters else ask

    def _for_letters(self) -> tuple[str, ...]:
        state = self.campaign.state if self.campaign else ""
        if not self.campaign:
            return (MAKE_AGAIN,)
        if state in UNSIGNED:
            if all(mark.ground == Ground.DUTY for mark in self.letters):
                return ("The letters are frozen; once the law was asked again, you see whether their words still hold.",)
            return ("The letters are frozen and cannot be made again: sign knowing this, or stop the campaign before it sends.",)
        if state in SENDING:
            waiting = self.campaign.messages.filter(in_states(*NOT_BEGUN)).count()
            return (f"{waiting:,} letters have not begun: pause or stop holds them back.", _ONLY_MORE)
        return (_ONLY_MORE,)

    def lines(self) -> list[str]:
        """Everything in plain lines: how much, because of what, what to do."""
        if self.sound:
            return []
        stale = self.duties.stale
        duties = [f"{one.jurisdiction} {one.addressee}: {one.words}" for one in stale[:LISTED]]
        more = [f"and {len(stale) - LISTED} obligations more"] if len(stale) > LISTED else []
        return [f"stale: {self.counts}", *(f"because of {one.words}" for one in self.because), *duties, *more, *self.remedies]


_ONLY_MORE = "What has left cannot be recalled: if it matters, tell these people again, and the authorities in a supplement."


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}" if number else ""


def standing(*, incident: Incident) -> Standing:
    """The marks on what is frozen next: the first register, or the open amendment's; without one, on the newest register."""
    campaign, amendment = incident.campaigns.order_by("-id").first(), current_amendment(incident=incident)
    if campaign and amendment is None:
        return standing_of(campaign=campaign)
    duties, letters = stale_duties(incident=incident), stale_letters(incident=incident, amendment=amendment)
    if amendment:
        people = people_of(incident=incident, amendment=amendment)
        duties = _towards(duties, people.values_list("cohort_id", flat=True))
    return Standing(incident, duties, letters)


def _towards(duties: StaleDuties, cohorts: QuerySet[Any, int | None]) -> StaleDuties:
    """The marks on duties towards authorities, and towards those people on whom a register rests."""
    if not duties.towards_people:
        return duties
    rests = set(cohorts.distinct().order_by())
    return StaleDuties(tuple(mark for mark in duties.marks if mark.cohort is None or mark.cohort in rests))


def standing_of(*, campaign: Campaign) -> Standing:
    """The marks on what a campaign rests on: duties, the letters of its register, its signatures."""
    incident = campaign.incident
    letters = stale_letters(incident=incident, amendment=campaign.amendment)
    if any(mark.letter for mark in letters):
        used = set(campaign.register.exclude(letter=None).values_list("letter_id", flat=True).distinct().order_by())
        letters = tuple(mark for mark in letters if mark.letter is None or mark.letter in used)
    signatures = tuple(campaign.approvals.select_related("author").order_by("id"))
    duties = _towards(stale_duties(incident=incident), campaign.register.values_list("cohort_id", flat=True))
    return Standing(incident, duties, letters, campaign, signatures)


def known_signed(*, campaign: Campaign) -> frozenset[str]:
    """The fingerprints that were signed knowingly."""
    wanted = (Action.CONTENT_APPROVED, Action.RELEASE_APPROVED)
    events = AuditEvent.objects.filter(log__incident=campaign.incident, subject="", action__in=wanted)
    found = [json.loads(line)["data"] for line in events.values_list("line", flat=True)]
    return frozenset(data["despite"] for data in found if data["campaign"] == campaign.reference and "despite" in data)


def rests_on_stale(*, now: Standing) -> bool:
    """Whether a signed campaign that is not over rests on stale law, or may still send letters that nobody signed knowingly."""
    if now.campaign is None or not now.signatures or now.campaign.state in OVER:
        return False
    unknown = now.letters and now.campaign.state in (*UNSIGNED, *SENDING)
    return bool(now.duties.towards_people or (unknown and now.fingerprint not in known_signed(campaign=now.campaign)))


def signing_obstacle(*, campaign: Campaign, despite: str) -> str:
    """Why nobody may sign now: stale duties, which can be mended; stale letters, unless the signer names what was shown."""
    now = standing_of(campaign=campaign)
    if now.duties.towards_people:
        return (
            f"Something changed after the law was asked ({now.titles}): {len(now.duties.towards_people)} duties towards "
            f"{now.duties.people} people would be different. {ASK_AGAIN} Then look at the letters once more."
        )
    if now.letters and despite != now.fingerprint:
        return (
            f"{len(now.letters)} letters no longer say what is known ({now.titles}), and frozen letters cannot be made again. "
            f"Read the marks and sign knowing them (tick the box, or add --despite {now.fingerprint}), or stop the campaign."
        )
    otherwise = undecided_of(campaign=campaign).count()
    if otherwise:
        return (
            f"A later list says more, or otherwise, of people of this register, and {otherwise} entries about it have no "
            "decision: look at the queues, correct whose letter is to change, and decide the rest."
        )
    return ""


def knowingly(*, campaign: Campaign, despite: str) -> dict[str, Any]:
    """What a knowing signature adds to its entry in the log; nothing where nothing is stale."""
    now = standing_of(campaign=campaign) if despite else None
    if now is None or not now.letters:
        return {}
    return {"despite": now.fingerprint, "stale_letters": len(now.letters), "changed": now.titles}
