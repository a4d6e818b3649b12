"""How far a campaign is: people in, the sum of the named states, the share that is through, the pace. Cheap to ask often."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from django.db import connection
from django.utils import timezone

from incidents.admin.moments import Shown, shown
from incidents.admin.pace import Way, ways
from incidents.dispatch.conservation import CampaignCheck, check_campaign, count_states
from incidents.dispatch.forecast import Deadline, Forecast, forecast, whole_minute
from incidents.models import Campaign, CampaignState, MessageState
from incidents.models.messages import FINAL_STATES

#: The bar's parts, from done to waiting; each state is in exactly one.
PARTS = (
    ("done", "arrived or taken", {MessageState.DELIVERED, MessageState.ACCEPTED_UNCONFIRMED, MessageState.ACCEPTED}),
    ("moving", "on the way", {MessageState.SENDING, MessageState.READY, MessageState.PLANNED}),
    ("person", "needs a person", {MessageState.NEEDS_OTHER_CHANNEL, MessageState.IN_DOUBT, MessageState.QUARANTINED}),
    ("held", "held", {MessageState.HELD}),
    (
        "none", "no letter",
        {
            MessageState.UNREACHABLE, MessageState.EXCLUDED, MessageState.CANCELLED, MessageState.NOT_OWED, MessageState.REPLACED,
        },
    ),
)  # fmt: skip
#: A forecast, or a check, that took longer than this is kept for so many times as long, so that those who look never keep a
#: server busy.
LONG_SECONDS, LONG_CHECK_SECONDS, SHARE, MOST_KEPT_SECONDS = 0.25, 1.0, 20, 30.0
#: What is said of letters that have not left, where none is on the way.
UNMOVED = {
    CampaignState.FROZEN: "ready, none released", CampaignState.CONTENT_APPROVED: "ready, none released",
    CampaignState.PAUSED: "not out yet, paused",
}  # fmt: skip
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
class DeadlineRow:
    """A deadline of the forecast, its moments as the desk shows them."""

    deadline: Deadline
    due: Shown | None
    ours: Shown | None
    end: Shown | None
    end_allowed: Shown | None


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
    def said(self) -> str:
        """How far it is, for those who listen to the page: in tenths, so that it is not said again every few seconds."""
        return (
            f"Campaign {self.campaign.get_state_display()}, {10 * (10 * self.final // max(self.total, 1))} % of the people final"
        )

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
                said = UNMOVED.get(CampaignState(self.campaign.state), label) if tone == "moving" else label
                found.append(Part(tone, said, people, round(start, 3), width))
            start += width
        return found

    @cached_property
    def forecast(self) -> Forecast:
        """The pace, and which deadline will be missed. Asked for only where it is shown."""
        return kept_forecast(self.campaign)

    @property
    def deadlines(self) -> list[DeadlineRow]:
        """What each law's letters wait for, the earliest first."""
        zone, now = self.campaign.facts.facts["zone"], self.forecast.as_of

        def at(moment: datetime | None) -> Shown | None:
            return shown(moment, zone=zone, now=now)

        def end(moment: datetime | None) -> Shown | None:
            # A forecast may be half a minute old: what waits still leaves no earlier than now.
            return at(whole_minute(max(moment, self.as_of)) if moment else None)

        return [
            DeadlineRow(one, at(one.due_at), at(one.ours_at), end(one.ends_at), end(one.ends_at_allowed))
            for one in self.forecast.deadlines
        ]

    @cached_property
    def ways(self) -> list[Way]:
        """The providers and the domains that are put aside."""
        return ways(campaign=self.campaign)


T = TypeVar("T")
#: Database, campaign and what was counted -> until when (monotonic) it is shown again, in which state the campaign was, and it.
_kept: dict[tuple[str, int, str], tuple[float, str, Any]] = {}


def shown_again(campaign: Campaign, what: str, count: Callable[[], T], *, long: float) -> T:
    """What takes long to count (of a million letters) is shown again for a while, or until the campaign is in another state."""
    key, began = (str(connection.settings_dict["NAME"]), campaign.pk, what), time.monotonic()
    until, state, last = _kept.get(key, (0.0, "", None))
    if began < until and state == campaign.state:
        found: T = last
        return found
    found = count()
    took = time.monotonic() - began
    _kept.pop(key, None)
    if took > long:
        _kept[key] = (time.monotonic() + min(SHARE * took, MOST_KEPT_SECONDS), campaign.state, found)
    return found


def kept_forecast(campaign: Campaign) -> Forecast:
    """The forecast, with its own moment."""
    return shown_again(campaign, "forecast", lambda: forecast(campaign=campaign), long=LONG_SECONDS)


def kept_check(campaign: Campaign) -> tuple[CampaignCheck, datetime]:
    """The conservation check, and when it was made."""
    return shown_again(campaign, "check", lambda: (check_campaign(campaign=campaign), timezone.now()), long=LONG_CHECK_SECONDS)


def progress_of(campaign: Campaign) -> Progress:
    """The numbers now."""
    return Progress(campaign, count_states(campaign=campaign), timezone.now())
