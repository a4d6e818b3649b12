"""How far a campaign is: people in, the sum of the named states, the share that is through. Cheap to ask often."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from incidents.dispatch.conservation import count_states
from incidents.models import Campaign, CampaignState, MessageState
from incidents.models.messages import FINAL_STATES

#: The bar's parts, from done to waiting; each state is in exactly one.
PARTS = (
    ("done", "arrived or taken", {MessageState.DELIVERED, MessageState.ACCEPTED_UNCONFIRMED, MessageState.ACCEPTED}),
    ("moving", "on the way", {MessageState.SENDING, MessageState.READY, MessageState.PLANNED}),
    ("person", "needs a person", {MessageState.NEEDS_OTHER_CHANNEL, MessageState.IN_DOUBT, MessageState.QUARANTINED}),
    ("held", "held", {MessageState.HELD}),
    ("none", "no letter", {MessageState.UNREACHABLE, MessageState.EXCLUDED, MessageState.CANCELLED}),
)
MOVING = frozenset({CampaignState.DISPATCHING, CampaignState.PAUSED})


@dataclass(frozen=True)
class Part:
    """One part of the bar, in per cent of the register."""

    tone: str
    label: str
    people: int
    start: float
    width: float


@dataclass(frozen=True)
class Progress:
    """A campaign's numbers at one moment."""

    campaign: Campaign
    states: dict[str, int]
    as_of: datetime

    @property
    def people(self) -> int:
        """People on the frozen register."""
        return self.campaign.people

    @property
    def total(self) -> int:
        """The sum of all states."""
        return sum(self.states.values())

    @property
    def adds_up(self) -> bool:
        """Whether nobody is missing and nobody is counted twice."""
        return self.total == self.people

    @property
    def moving(self) -> bool:
        """Whether the numbers may still change by themselves."""
        return self.campaign.state in MOVING

    @property
    def final(self) -> int:
        """People in a final state."""
        return sum(number for name, number in self.states.items() if name in FINAL_STATES)

    @property
    def named(self) -> list[tuple[str, str, int, bool]]:
        """Every state that holds somebody: name, label, people, final or not."""
        return [
            (state.value, str(state.label), self.states[state], state in FINAL_STATES)
            for state in MessageState
            if self.states.get(state)
        ]

    @property
    def parts(self) -> list[Part]:
        """The bar."""
        found, start = [], 0.0
        for tone, label, states in PARTS:
            people = sum(self.states.get(state, 0) for state in states)
            width = round(100 * people / max(self.total, 1), 3)
            if people:
                found.append(Part(tone, label, people, round(start, 3), width))
            start += width
        return found


def progress_of(campaign: Campaign) -> Progress:
    """The numbers now."""
    return Progress(campaign, count_states(campaign=campaign), timezone.now())
