"""What an officer sees first: what is due next, what is stuck, what is theirs to decide, and where the way stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.db.models import Count, Sum
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify

from incidents.admin.items import Item, Step, cut, is_late, time_left
from incidents.admin.moments import shown
from incidents.admin.needed import facts_due
from incidents.admin.reports import ADDRESSEES, stage_of
from incidents.admin.running import Running
from incidents.admin.shell import count
from incidents.admin.two_people import proposals
from incidents.dispatch.obstacles import Difference, count_difference
from incidents.dispatch.untold import untold_cohorts
from incidents.letters.standing import Standing, standing
from incidents.models import Approval, AuditCheckpoint, Campaign, CampaignState, Doubt, Incident, MessageState
from incidents.models.duties import Handling
from incidents.models.letters import ApprovalKind
from incidents.models.people import QueueStatus
from incidents.people.importing import waiting_lists

SHOWN_ITEMS, LATE_SHOWN = 6, 4
UNSURE = " (if the finding asks for it)"
EXCEPTIONS = (
    MessageState.IN_DOUBT,
    MessageState.NEEDS_OTHER_CHANNEL,
    MessageState.QUARANTINED,
    MessageState.HELD,
)
SENT = frozenset({MessageState.ACCEPTED, MessageState.ACCEPTED_UNCONFIRMED, MessageState.DELIVERED})


@dataclass
class Overview:
    """One incident as one officer sees it. Every number is asked for once."""

    incident: Incident
    user: User
    now: datetime = field(default_factory=timezone.now)

    def _url(self, name: str, *more: object) -> str:
        return reverse(f"admin:{name}", args=[self.incident.pk, *more])

    @cached_property
    def facts(self) -> dict[str, Any]:
        """The newest facts."""
        found: dict[str, Any] = self.incident.facts.facts
        return found

    @cached_property
    def running(self) -> Running:
        """Every campaign, and the open amendment."""
        return Running(incident=self.incident, user=self.user)

    @property
    def campaign(self) -> Campaign | None:
        """The newest campaign."""
        return self.running.campaigns[-1] if self.running.campaigns else None

    @cached_property
    def people(self) -> int:
        """People of the incident, from the cohorts."""
        return self.incident.cohorts.aggregate(n=Sum("count"))["n"] or 0

    @cached_property
    def uploaded(self) -> list[str]:
        """What is to be done about lists that arrived and wait for somebody."""
        return waiting_lists(incident=self.incident)

    @cached_property
    def queue(self) -> dict[str, int]:
        """Queue entries by status."""
        return dict(self.incident.queue.order_by().values_list("status").annotate(n=Count("id")))

    @cached_property
    def duties(self) -> list[dict[str, Any]]:
        """Every duty that stands, without its reasons."""
        names = (
            "pk", "cohort_id", "jurisdiction", "addressee", "owed", "handling", "due_at", "second_due_at", "final_due_at",
            "internal_target_at", "duty__questions", "duty__deadline__zone",
        )  # fmt: skip
        standing = self.incident.obligations.filter(superseded=False).exclude(cohort__count=0)
        return list(standing.annotate(filed=Count("filings")).values(*names, "filed"))

    @cached_property
    def letters(self) -> dict[str, int]:
        """How many letters there are and how many are blocked."""
        made = self.incident.letters
        return {"all": made.count(), "blocked": made.filter(findings__contains=[{"level": "block"}]).count()}

    @cached_property
    def standing(self) -> Standing:
        """Whether obligations, letters and signatures still stand on what is known."""
        return standing(incident=self.incident)

    @property
    def first_asked(self) -> bool:
        """Whether there are people of whom the law was never asked: what it said of authorities before is not stale for that."""
        return bool(self.people) and not any(duty["addressee"] == "person" for duty in self.duties)

    @property
    def stale(self) -> bool:
        """Whether something that was said or made no longer follows from what is known."""
        return not self.standing.sound and not self.first_asked

    @property
    def stale_link(self) -> str:
        """Where the stale marks are shown with what made them."""
        return self._url("law" if self.standing.duties.stale or not self.campaign else "campaigns") + "#stale"

    @property
    def states(self) -> dict[str, int]:
        """People of the newest campaign by state."""
        return self.running.states[self.campaign.pk] if self.campaign else {}

    @property
    def signatures(self) -> dict[str, Approval]:
        """The newest campaign's signatures by kind."""
        return self.running.signatures[self.campaign.pk] if self.campaign else {}

    @cached_property
    def doubts_open(self) -> int:
        """Sends of which nobody knows yet."""
        open_ones = Doubt.objects.filter(settled_at=None, message__campaign=self.campaign)
        return open_ones.count() if self.campaign else 0

    @property
    def open_entries(self) -> int:
        """Queue entries that still stop a freeze."""
        return self.queue.get(QueueStatus.OPEN, 0) + self.queue.get(QueueStatus.REJECTION_PROPOSED, 0)

    @cached_property
    def questions(self) -> dict[str, list[str]]:
        """The law's open questions: finding key -> jurisdictions that ask. Unknown laws under one key."""
        asked: dict[str, list[str]] = {}
        for duty in self.duties:
            if duty["owed"] == "ask" and duty["handling"] == Handling.UNDECIDED:
                for question in duty["duty__questions"] or []:
                    key = question["finding"]
                    _add(asked, "law_unknown" if key.startswith("law:") else key, duty["jurisdiction"])
                    self.asked_in_words.setdefault(key, question["text"])
        return asked

    @cached_property
    def asked_in_words(self) -> dict[str, str]:
        """The words of the law's questions, by finding key."""
        return {}

    @cached_property
    def choices_open(self) -> list[str]:
        """Jurisdictions whose people need no letter by law and about whom nobody has decided."""
        waiting = {
            duty["jurisdiction"]
            for duty in self.duties
            if duty["addressee"] == "person" and duty["owed"] == "no" and duty["handling"] == Handling.UNDECIDED
        }
        return sorted(waiting)

    @cached_property
    def difference(self) -> Difference | None:
        """That the lists do not hold as many people as were expected, until somebody says why; only the first freeze asks."""
        return None if self.campaign else count_difference(incident=self.incident)

    # -- the three boxes -------------------------------------------------------------------------------------------

    @cached_property
    def due(self) -> list[Item]:
        """What is due next, the earliest first: authorities not told yet, letters not sent yet, held people."""
        authorities = [item for item in self._authorities_due if not is_late(item)]
        found = [*authorities, *self._letters_due(), *self._held_due()]
        return cut(sorted(found, key=time_left), SHOWN_ITEMS, self._url("law"))

    @cached_property
    def _authorities_due(self) -> list[Item]:
        return list(self._reports_due())

    @property
    def overdue(self) -> list[Item]:
        """Reports to authorities whose date is over and that are not filed, the longest first."""
        return sorted((item for item in self._authorities_due if is_late(item)), key=time_left)

    def _reports_due(self) -> Iterable[Item]:
        for duty in self.duties:
            stage = stage_of(duty)
            if duty["addressee"] != "person" and duty["owed"] != "no" and stage:
                # The clock of a question runs too: the finding may come on the last day.
                unsure = UNSURE if duty["owed"] == "ask" else ""
                text = f"{duty['jurisdiction']}: {stage[0]} the {ADDRESSEES[duty['addressee']]}{unsure}"
                yield self._due_item({**duty, "due_at": stage[1]}, text, "desk")

    def _letters_due(self) -> Iterable[Item]:
        """A law's date stays for as long as it covers anybody of whom no letter arrived."""
        untold, by_law = untold_cohorts(incident=self.incident), dict[str, Item]()
        for duty in self.duties:
            covers = untold is None or duty["cohort_id"] in untold
            if covers and duty["handling"] == Handling.STATUTORY and duty["addressee"] == "person":
                item = self._due_item(duty, f"{duty['jurisdiction']}: letters to people", "campaigns")
                by_law[duty["jurisdiction"]] = min(by_law.get(duty["jurisdiction"], item), item, key=time_left)
        return by_law.values()

    def _due_item(self, duty: dict[str, Any], text: str, link: str) -> Item:
        at = duty["due_at"] or duty["internal_target_at"]
        note = "" if duty["due_at"] or not at else "our target"
        zone = duty["duty__deadline__zone"] or self.facts["zone"]
        return Item(text, self._url(link), shown(at, zone=zone, now=self.now), note)

    def _held_due(self) -> Iterable[Item]:
        held = self.incident.queue.filter(status=QueueStatus.HELD)
        for until, number in held.order_by("held_until").values_list("held_until").annotate(n=Count("id")):
            yield Item(f"{count(number, 'held entry', 'held entries')}: look again on {until:%-d %B %Y}", self._url("queues"))

    @cached_property
    def stuck(self) -> list[Item]:
        """What does not move by itself."""
        late = [replace(item, text=f"Overdue, {item.text}") for item in self.overdue]
        shown_late = cut(late, LATE_SHOWN, self._authorities_link)
        return [item for item in (self._stale(), self._blocked(), *shown_late, *self.running.stuck()) if item]

    @property
    def _authorities_link(self) -> str:
        return self._url("desk") + "#authorities-h"

    def _overdue_due(self) -> Iterable[Item]:
        # What only a finding may ask for is asked as that finding, and is not to be handed in before.
        if owed := [item for item in self.overdue if not item.text.endswith(UNSURE)]:
            number = count(len(owed), "report to an authority is", "reports to authorities are")
            yield Item(f"{number} overdue: hand in, and record the filing with the reasons for the delay", self._authorities_link)

    def _stale(self) -> Item | None:
        return None if not self.stale else Item(f"Stale: {self.standing.counts}", self.stale_link)

    def _blocked(self) -> Item | None:
        number = self.letters["blocked"]
        return Item(f"{count(number, 'letter')} with findings that block", self._url("letters")) if number else None

    @cached_property
    def decide(self) -> list[Item]:
        """What waits for a person: the reader, or (marked) somebody else."""
        found = [*self._stale_due(), *self._findings_due(), *self._queue_due(), *self.running.to_sign()]
        # What was proposed about somebody stops nothing else; only a proposed rejection keeps a register from its freeze.
        next_act = self._next_act() if not self.people or not (found or self.open_entries) else None
        found = [*self._overdue_due(), *found]
        proposed = proposals(incident=self.incident, user=self.user)
        return [*found, *proposed, *(item for item in (next_act, self.running.to_freeze()) if item)]

    def _stale_due(self) -> Iterable[Item]:
        """What mends stale marks, while something does."""
        if self.first_asked and self.duties:
            yield Item("Ask what the law wants of the people", self._url("law"))
        elif self.standing.duties.stale:
            yield Item(f"Ask the law again: {self.standing.titles} changed", self._url("law"))
        elif self.standing.letters and (self.campaign is None or self.running.pending):
            yield Item(f"Make the letters again: {self.standing.titles} changed", self._url("letters"))

    def _next_act(self) -> Item | None:
        """With no question open: the next thing to do before the freeze."""
        if self.campaign:
            return None
        if not self.people:
            return None if self.uploaded else Item("Import the list of people", self._url("lists"))
        if not self.duties:
            return Item("Ask what the law wants", self._url("law"))
        if not self.letters["all"]:
            return Item("Make and check the letters", self._url("letters"))
        return None if self.letters["blocked"] else Item("Freeze register and letters", self._url("campaigns"))

    def _findings_due(self) -> Iterable[Item]:
        yield from facts_due(self.incident)
        link = self._url("findings")
        for key, places in self.questions.items():
            text = f"{QUESTIONS.get(key) or self.asked_in_words.get(key, key)} ({count(len(places), 'law')})"
            yield Item(text, f"{link}#{slugify(key)}")
        if self.choices_open:
            text = f"Write to people to whom no law owes a letter? ({count(len(self.choices_open), 'law')})"
            yield Item(text, f"{link}#voluntary_notice")
        if self.difference:
            text = f"{self.difference.expected:,} people expected, {self.difference.imported:,} on the lists: why?"
            yield Item(text, f"{link}#count_difference")

    def _queue_due(self) -> Iterable[Item]:
        yield from (Item(text, self._url("people") + "#import-h") for text in self.uploaded)
        if number := self.queue.get(QueueStatus.OPEN, 0):
            yield Item(f"{count(number, 'queue entry', 'queue entries')} without a decision", self._url("queues"))

    # -- the way ---------------------------------------------------------------------------------------------------

    @cached_property
    def steps(self) -> list[Step]:
        """The ten steps from the facts to the proof."""
        return [*self._steps_before_freeze(), *self._steps_of_campaign()]

    def _steps_before_freeze(self) -> list[Step]:
        asked, blocked = len(self.questions) + bool(self.choices_open), self.letters["blocked"]
        decided, law = asked + bool(self.difference), bool(self.duties and self.people) and not self.first_asked
        made, pending, stale = self.letters["all"], self.running.pending, len(self.standing.letters)
        if pending:
            made, blocked = self.running.letters
        return [
            self._step("Facts", "done", f"version {self.incident.facts.number}", "facts"),
            self._step("People", "done" if self.people else "now", f"{self.people:,} people", "people"),
            self._law_step(),
            self._step(
                "Decisions",
                _state(law and not decided and not self.open_entries, law),
                f"{self.open_entries:,} in queues, {count(decided, 'question')}",
                "queues" if self.open_entries else "findings",
            ),
            self._step(
                "Letters",
                "stuck" if blocked or stale else _state(bool(made), law and not asked),
                f"{pending}: " * bool(pending) + _letters_line(made, blocked, stale),
                "letters",
            ),
            self._freeze_step(bool(made) and not self.open_entries and not self.difference),
        ]

    def _law_step(self) -> Step:
        stale, all_of_them = len(self.standing.duties.stale) * self.stale, len(self.duties)
        state = "stuck" if stale else _state(bool(all_of_them and self.people) and not self.first_asked, bool(self.people))
        return self._step("Law", state, f"{all_of_them:,} obligations" + (f", {stale:,} stale" if stale else ""), "law")

    def _freeze_step(self, now: bool) -> Step:
        pending, campaign = self.running.pending, self.campaign
        line = f"{pending} is not frozen" if pending else campaign.reference if campaign else "register and letters"
        return self._step("Freeze", _state(campaign is not None and not pending, now), line, "campaigns")

    def _steps_of_campaign(self) -> list[Step]:
        live, pending = self.running.live, self.running.pending
        states = {one.state for one in live}
        people = [self.running.states[one.pk] for one in live]
        sent = sum(number for counts in people for name, number in counts.items() if name in SENT)
        line = f"{sent:,} of {sum(one.people for one in live):,} sent" + (f"; {pending} waits" if pending else "")
        proof = bool(live) and states == {CampaignState.CLOSED} and not pending
        return [
            self._signed_step("Content signature", ApprovalKind.CONTENT, CampaignState.FROZEN),
            self._signed_step("Release", ApprovalKind.RELEASE, CampaignState.CONTENT_APPROVED),
            self._step("Sending", _sending(states, bool(pending)), line, "campaigns"),
            self._step("Proof", _state(proof, CampaignState.DRAINED in states), self._proof(), "log"),
        ]

    def _signed_step(self, name: str, kind: ApprovalKind, waits_in: CampaignState) -> Step:
        """Done when nothing waits for this signature: no campaign that is not over, and nobody who is still to be frozen."""
        live, pending = self.running.live, self.running.pending
        missing = [one for one in live if kind not in self.running.signatures[one.pk]]
        state = _state(bool(live) and not missing and not pending, any(one.state == waits_in for one in missing))
        if missing or not live:
            line = self.running.named(missing[0], "not signed") if missing else "not signed"
        else:
            # The newest campaign of all may be one that was stopped before anybody signed it.
            by = self.running.signatures[live[-1].pk][kind].author.username if not pending else ""
            line = f"by {by}" if by else f"{pending}: not signed"
        return self._step(name, state, line, "campaigns")

    def _proof(self) -> str:
        last = AuditCheckpoint.objects.filter(log__incident=self.incident).order_by("-id").first()
        return f"{last.size:,} entries sealed" if last else "no checkpoint yet"

    def _step(self, name: str, state: str, line: str, link: str) -> Step:
        return Step(name, state, line, self._url(link))


QUESTIONS = {
    "risk": "How high is the risk?",
    "misuse_likely": "Is misuse likely?",
    "serious_harm_likely": "Is serious harm likely?",
    "law_unknown": "Which law applies? No pack for these places",
}


def _add(groups: dict[str, list[str]], key: str, value: str) -> None:
    known = groups.setdefault(key, [])
    if value not in known:
        known.append(value)


def _state(done: bool, now: bool) -> str:
    return "done" if done else "now" if now else "todo"


def _letters_line(made: int, blocked: int, stale: int) -> str:
    return count(made, "letter") + (f", {blocked} blocked" if blocked else "") + (f", {stale} stale" if stale else "")


def _sending(states: set[str], pending: bool) -> str:
    if states & {CampaignState.PAUSED, CampaignState.STOPPED}:
        return "stuck"
    done = bool(states) and states <= {CampaignState.DRAINED, CampaignState.CLOSED}
    return _state(done and not pending, CampaignState.DISPATCHING in states)
