"""What the people in a drill find and decide, as its file tells it, and how it is recorded: with reasons, by the one who may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db.models import QuerySet

from incidents.audit import log
from incidents.models import Incident, QueueEntry
from incidents.models.people import QueueKind, QueueStatus
from incidents.people import deciding
from incidents.people.opening import newest_findings, record_finding
from incidents.scenarios.catalog import Scenario, read_data

HOLD_DAYS = 30
NOT_A_PERSON = "The row names nobody."


@dataclass(frozen=True)
class Cast:
    """Who acts: the officer writes and releases, counsel approves and answers what is counsel's."""

    officer: User
    counsel: User

    def called(self, name: str) -> User:
        """The officer, unless the file names counsel."""
        return self.counsel if name == "counsel" else self.officer


@dataclass(frozen=True)
class Decision:
    """One decision on a queue. `column` and `without` (an element) narrow it down; `to` is the residence or address set."""

    kind: str
    do: str
    reason: str
    by: str = "officer"
    to: str = ""
    column: str = ""
    without: str = ""


@dataclass(frozen=True)
class Wave:
    """A second letter to the people of the first: why, when it was learnt, what is found anew, and what readers do about it."""

    aware_at: str
    reason: str
    findings: tuple[Mapping[str, str], ...]
    #: The first action of the second letter, by language.
    first_action: Mapping[str, str]


@dataclass(frozen=True)
class Plot:
    """`ends`: `sent`, or `nothing_sent` where the right end is that no letter may leave."""

    ends: str
    findings: tuple[Mapping[str, str], ...]
    decisions: tuple[Decision, ...]
    second_wave: Wave | None = None


def decisions_of(*, scenario: Scenario) -> list[Mapping[str, Any]]:
    """The scenario's own decisions, and those that all of them share."""
    own = scenario.plot.get("decisions", ())
    return list(own) if scenario.plot.get("redirected") else [*own, *read_data(name="common/decisions.yaml")]


def plot_of(*, scenario: Scenario) -> Plot:
    """The plot of a scenario, with the decisions that all of them share."""
    raw: Mapping[str, Any] = scenario.plot
    decisions = decisions_of(scenario=scenario)
    wave = raw.get("second_wave")
    return Plot(
        ends=raw["ends"],
        findings=tuple(raw["findings"]),
        decisions=tuple(Decision(**each) for each in decisions),
        second_wave=Wave(**{**wave, "findings": tuple(wave["findings"])}) if wave else None,
    )


def record_findings(*, incident: Incident, findings: Sequence[Mapping[str, str]], cast: Cast) -> None:
    """Record what is not recorded yet with this value, each with its reason and by whom the file says."""
    known = newest_findings(incident=incident)
    for found in findings:
        before = known.get((found["key"], ""))
        if before is None or before.value != found["value"]:
            record_finding(
                incident=incident, key=found["key"], value=found["value"], reason=found["reason"],
                author=cast.called(found.get("by", "")),
            )  # fmt: skip


def decide(*, incident: Incident, plot: Plot, cast: Cast) -> None:
    """Decide every open entry of the queues; rows that are nobody are rejected by the two."""
    until = log.database_now().date() + timedelta(days=HOLD_DAYS)
    for decision in plot.decisions:
        _decide(incident, decision, until, cast)
    rows = incident.queue.filter(status=QueueStatus.OPEN, kind=QueueKind.ROW)
    deciding.propose_rejection(incident=incident, entries=rows, reason=NOT_A_PERSON, author=cast.officer)
    deciding.confirm_rejection(incident=incident, entries=incident.queue.all(), author=cast.counsel)


def _decide(incident: Incident, decision: Decision, until: date, cast: Cast) -> None:
    entries, author, reason = _entries(incident, decision), cast.called(decision.by), decision.reason
    if decision.do == "hold":
        deciding.hold(incident=incident, entries=entries, until=until, reason=reason, author=author)
    elif decision.do == "accept":
        deciding.accept(incident=incident, entries=entries, reason=reason, author=author)
    elif decision.do == "residence":
        deciding.correct_residence(incident=incident, entries=entries, residence=decision.to, reason=reason, author=author)
    else:
        first = entries.order_by("id").first()
        if first:
            deciding.correct_address(incident=incident, entry=first, address=decision.to, reason=reason, author=author)


def _entries(incident: Incident, decision: Decision) -> QuerySet[QueueEntry]:
    entries = incident.queue.filter(status=QueueStatus.OPEN, kind=decision.kind)
    if decision.column:
        entries = entries.filter(column=decision.column)
    return entries.exclude(person__elements__contains=[decision.without]) if decision.without else entries
