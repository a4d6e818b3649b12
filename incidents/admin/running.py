"""Every campaign of an incident at once, and the amendment whose people are on no register yet: a later one ends no other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from django.contrib.auth.models import User
from django.urls import reverse

from incidents.admin.items import Item, cut
from incidents.admin.progress import LONG_SECONDS, shown_again
from incidents.admin.shell import count
from incidents.dispatch.conservation import count_states
from incidents.dispatch.obstacles import campaign_questions, incident_questions
from incidents.dispatch.witnessing import witness_missing
from incidents.letters.standing import OVER
from incidents.models import Amendment, Approval, Campaign, CampaignState, Doubt, Incident, MessageState
from incidents.models.letters import ApprovalKind
from incidents.people.amending import count_inside, current_amendment, people_are
from incidents.people.taken_back import taken_back_lines

REASONS_SHOWN = 4
#: Of these each has a page of its own where it is decided.
DECIDED_AT = {MessageState.NEEDS_OTHER_CHANNEL: "another-channel", MessageState.QUARANTINED: "quarantine"}


@dataclass
class Running:
    """The campaigns of one incident as one officer sees them."""

    incident: Incident
    user: User

    @cached_property
    def campaigns(self) -> list[Campaign]:
        """All of them, the newest last."""
        return list(self.incident.campaigns.select_related("incident", "amendment").order_by("id"))

    @cached_property
    def live(self) -> list[Campaign]:
        """Those that are not over; when all are, the newest."""
        return [one for one in self.campaigns if one.state not in OVER] or self.campaigns[-1:]

    @cached_property
    def amendment(self) -> Amendment | None:
        """The open amendment, whose register is not frozen."""
        return current_amendment(incident=self.incident) if self.campaigns else None

    @cached_property
    def inside(self) -> int:
        """How many people wait in the open amendment."""
        return count_inside(amendment=self.amendment) if self.amendment else 0

    @property
    def pending(self) -> str:
        """The amendment whose people have no register yet, by its name; empty when there is none."""
        return f"amendment {self.amendment.number}" if self.amendment and self.inside else ""

    @cached_property
    def letters(self) -> tuple[int, int]:
        """How many letters of the open amendment there are, and how many are blocked."""
        made = self.incident.letters.filter(amendment=self.amendment)
        return made.count(), made.filter(findings__contains=[{"level": "block"}]).count()

    @cached_property
    def states(self) -> dict[int, dict[str, int]]:
        """People by state, for each campaign that may have somebody open, and for the newest."""
        return {
            one.pk: count_states(campaign=one)
            for one in self.campaigns
            if one.state != CampaignState.CLOSED or one is self.campaigns[-1]
        }

    @cached_property
    def signatures(self) -> dict[int, dict[str, Approval]]:
        """The signatures by campaign and kind."""
        found: dict[int, dict[str, Approval]] = {one.pk: {} for one in self.campaigns}
        for one in Approval.objects.filter(campaign__incident=self.incident).select_related("author"):
            found[one.campaign_id][one.kind] = one
        return found

    def named(self, campaign: Campaign, text: str) -> str:
        """The line with its campaign's name, where there are several."""
        return f"{campaign.reference}: {text}" if len(self.campaigns) > 1 else text

    def _page(self, campaign: Campaign) -> str:
        return reverse("admin:campaign", args=[self.incident.pk, campaign.pk])

    def stuck(self) -> Iterator[Item]:
        """What does not move by itself, of every campaign; the newest first."""
        for campaign in reversed(self.campaigns):
            if campaign.pk in self.states and campaign.state != CampaignState.CLOSED:
                for item in self._stuck(campaign):
                    yield Item(self.named(campaign, item.text), item.link)
        drained = [one for one in self.campaigns if one.state == CampaignState.DRAINED]
        if self.campaigns and not drained:
            page = reverse("admin:amendments", args=[self.incident.pk])
            yield from (Item(line, page) for line in taken_back_lines(incident=self.incident))
        if drained:
            what = "the incident" if len(self.campaigns) > 1 else "it"
            link = self._page(drained[-1])
            yield from self._open(what, self._of_incident(drained[-1]), link, "#qi-h")

    def _of_incident(self, campaign: Campaign) -> list[str]:
        """Asked of everybody on the list, which takes long with a million: then as it was a moment ago. The closing asks anew."""
        return shown_again(campaign, "questions", lambda: incident_questions(incident=self.incident), long=LONG_SECONDS)

    def _stuck(self, campaign: Campaign) -> Iterator[Item]:
        link, said = self._page(campaign), set()
        if campaign.state == CampaignState.PAUSED:
            yield Item(f"Paused: {campaign.pause_reason or 'no reason given'}", link)
        if doubts := Doubt.objects.filter(settled_at=None, message__campaign=campaign).count():
            yield Item(f"{count(doubts, 'doubtful send')} not settled", f"{link}#doubts")
        for state, page in DECIDED_AT.items():
            if number := self.states[campaign.pk].get(state):
                said.add(f"{people_are(number)} '{state.label}'")
                where = reverse("admin:waiting_letters", args=[self.incident.pk, campaign.pk, page])
                yield Item(f"{count(number, 'person', 'people')}: {state.label}", where)
        if missing := witness_missing(campaign=campaign):
            yield Item(missing.partition(";")[0].capitalize(), reverse("admin:log", args=[self.incident.pk]))
        if campaign.state == CampaignState.DRAINED:
            reasons = [line for line in campaign_questions(campaign=campaign) if line not in said]
            yield from self._open("it", reasons, link, "#q-h")

    def _open(self, what: str, reasons: Iterable[str], link: str, place: str) -> list[Item]:
        return cut([Item(f"Keeps {what} open: {line}", link + place) for line in reasons], REASONS_SHOWN, link + place)

    def to_sign(self) -> Iterator[Item]:
        """The signature that is due, of every campaign that waits for one."""
        for one in self.live:
            link, given = self._page(one), self.signatures[one.pk].get(ApprovalKind.CONTENT)
            if one.state == CampaignState.FROZEN:
                text, barred, who = "Sign the content", self.user.pk in one.author_ids, "one who wrote none of it"
            elif one.state == CampaignState.CONTENT_APPROVED:
                text, who = "Release the campaign", "somebody else than the content's approver"
                barred = given is not None and given.author_id == self.user.pk
            else:
                continue
            line = self.named(one, text)
            yield Item(f"{line}: waits for {who}", link, other=True) if barred else Item(line, link)

    def to_freeze(self) -> Item | None:
        """What comes next for the people of the open amendment, who have no letter."""
        if self.amendment is None:
            return None
        name, (made, blocked) = f"amendment {self.amendment.number}", self.letters
        if not self.inside:
            page = reverse("admin:amendments", args=[self.incident.pk])
            return Item(f"Nobody is in {name} yet: import the late list, or let people join", page)
        people = count(self.inside, "person", "people")
        if not made:
            return Item(f"Make and check the letters of {name} ({people})", reverse("admin:letters", args=[self.incident.pk]))
        page = reverse("admin:campaigns", args=[self.incident.pk]) + "?next=1"
        return None if blocked else Item(f"Freeze {name} ({people})", page)
