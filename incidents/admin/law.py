"""What the law asks, one jurisdiction after the other: owed or not, why, by when, how well it was checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from incidents.admin.moments import Shown, shown
from incidents.admin.shell import incident_of, page
from incidents.dispatch.untold import untold_cohorts
from incidents.law.severity import RISK_WORDS
from incidents.letters.standing import standing
from incidents.models import Finding, Incident, Obligation
from incidents.models.duties import Handling
from incidents.people.duty_details import SECOND_REPORT, duty_details
from incidents.people.opening import newest_findings
from incidents.people.staleness import DutyMark, Level, stale_duties

WEIGHT = {"yes": 0, "ask": 1, "no": 2}
OWED = {"yes": "owed", "no": "not owed", "ask": "a person must say"}
ADDRESSEES = {
    "person": "people",
    "regulator": "authority",
    "bureaus": "consumer reporting agencies",
    "media": "media",
    "controller": "controller, by its processor",
    "clients": "clients",
}
VERIFIED = {"true": "checked", "partly": "partly checked", "memory": "from memory, not checked"}
GROUPS = {
    "yes": "A letter is owed by law",
    "ask": "A person must say, or the law is not known",
    "no": "No law owes a letter",
}
RELATIVE = {
    "before_individuals": "before people are told",
    "same_time_as_individuals": "at the same time as people",
    "no_later_than_individuals": "no later than people",
}


@dataclass(frozen=True)
class Duty:
    """One obligation, ready for a page."""

    row: Obligation
    zone: str
    #: Whether its clock still runs: not filed, or somebody has no letter that arrived.
    open: bool = True
    #: What would be different, were the law asked again.
    mark: DutyMark | None = None

    @property
    def place(self) -> str:
        """The zone in which the deadline ends: the authority's, else the incident's."""
        return str((self.row.duty.get("deadline") or {}).get("zone") or self.zone)

    @property
    def owed(self) -> str:
        """Owed, not owed, or a question."""
        return OWED[self.row.owed]

    @property
    def handling(self) -> str:
        """What we do about it."""
        return str(Handling(self.row.handling).label) if self.row.cohort_id else ""

    @property
    def due(self) -> Shown | None:
        """The safe target."""
        return shown(self.row.due_at, zone=self.place)

    @property
    def legal_end(self) -> Shown | None:
        """The end under Regulation 1182/71, where it differs."""
        return shown(self.row.legal_end_at, zone=self.place)

    @property
    def ours(self) -> Shown | None:
        """Our own target where the law gives no number."""
        return shown(self.row.internal_target_at, zone=self.place)

    @property
    def second(self) -> Shown | None:
        """The second report, where there is one."""
        return shown(self.row.second_due_at, zone=self.place)

    @property
    def relative(self) -> str:
        """A deadline that hangs on the letters to people."""
        return RELATIVE.get(self.row.relative, "")

    @property
    def clock(self) -> str:
        """The pack's own word for the deadline."""
        return self.row.deadline_kind.replace("_", " ")

    @property
    def why(self) -> dict[str, Any]:
        """The first reason: condition, fact, reference."""
        reasons = self.row.duty.get("reasons") or [{}]
        first: dict[str, Any] = reasons[0]
        return first

    @property
    def addressee(self) -> str:
        """Who is to be told."""
        return ADDRESSEES[self.row.addressee]

    @property
    def verified(self) -> str:
        """How well the pack was checked against its sources."""
        return VERIFIED.get(str(self.row.duty.get("verified")), "no pack")

    @property
    def details(self) -> list[tuple[str, list[str]]]:
        """What else the duty asks; the second report stands with the deadline."""
        return [(title, lines) for title, lines in duty_details(duty=self.row.duty) if title != SECOND_REPORT]

    @property
    def tone(self) -> str:
        """The pill's colour: an owed duty stands out, a question more so."""
        return {"yes": "owed", "ask": "ask"}.get(self.row.owed, "quiet")


@dataclass
class Law:
    """All duties of one jurisdiction."""

    name: str
    people: int = 0
    duties: list[Duty] = field(default_factory=list)
    #: Duties about which the law was never asked: new people, or a new law.
    not_asked: list[DutyMark] = field(default_factory=list)

    @property
    def to_people(self) -> Duty | None:
        """The weightiest duty towards people."""
        return self._weightiest("person")

    @property
    def to_authority(self) -> Duty | None:
        """The duty towards the authority."""
        return self._weightiest("regulator")

    @property
    def stale(self) -> int:
        """How many duties would be different, were the law asked again."""
        return len(self.not_asked) + sum(duty.mark is not None and duty.mark.stale for duty in self.duties)

    def _weightiest(self, addressee: str) -> Duty | None:
        towards = [duty for duty in self.duties if duty.row.addressee == addressee]
        # Of several groups of people the one whose clock still runs.
        return min(towards, key=lambda duty: (WEIGHT[duty.row.owed], not duty.open), default=None)

    @property
    def handlings(self) -> list[tuple[str, int]]:
        """What we do, with the number of people."""
        found: dict[str, int] = {}
        for duty in self.duties:
            if duty.row.cohort:
                found[duty.handling] = found.get(duty.handling, 0) + duty.row.cohort.count
        return sorted(found.items(), key=lambda pair: -pair[1])


def laws(*, incident: Incident, zone: str, only: str = "") -> list[Law]:
    """The standing duties by jurisdiction."""
    found: dict[str, Law] = {}
    standing = incident.obligations.filter(superseded=False).exclude(cohort__count=0).select_related("cohort", "facts")
    chosen = standing.filter(jurisdiction=only) if only else standing
    untold = untold_cohorts(incident=incident)
    stale = stale_duties(incident=incident)
    marks = {mark.obligation: mark for mark in stale.marks}
    for row in chosen.prefetch_related("filings").order_by("jurisdiction", "addressee", "id"):
        law = found.setdefault(row.jurisdiction, Law(row.jurisdiction))
        open_ = (untold is None or row.cohort_id in untold) if row.cohort_id else not row.filings.all()
        law.duties.append(Duty(row, zone, open=open_, mark=marks.get(row.pk)))
        law.people += row.cohort.count if row.cohort else 0
    for mark in stale.stale:
        if mark.level == Level.NEW and mark.jurisdiction in found:
            found[mark.jurisdiction].not_asked.append(mark)
    return list(found.values())


def grouped(found: list[Law]) -> list[tuple[str, list[Law], int]]:
    """The laws by what they ask for people: title, laws, people."""
    groups: dict[str, list[Law]] = {title: [] for title in GROUPS.values()}
    for law in found:
        if law.to_people:
            groups[GROUPS[law.to_people.row.owed]].append(law)
    return [(title, members, sum(law.people for law in members)) for title, members in groups.items() if members]


def authorities(*, incident: Incident, zone: str) -> list[Duty]:
    """Duties towards authorities and agencies that are owed or asked, the earliest first, with what was filed."""
    rows = incident.obligations.filter(superseded=False, cohort=None, owed__in=["yes", "ask"])
    ordered = rows.prefetch_related("filings__author").order_by("due_at", "jurisdiction")
    return [Duty(row, zone, open=not row.filings.all()) for row in ordered]


def risk_found(incident: Incident) -> tuple[str, Finding] | None:
    """The risk finding that counts, in words, with what was suggested beside it."""
    found = newest_findings(incident=incident).get(("risk", ""))
    return (RISK_WORDS[found.value], found) if found else None


@require_GET
def law(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Every jurisdiction of the incident."""
    incident = incident_of(incident_id)
    found = laws(incident=incident, zone=incident.facts.facts["zone"])
    return page(
        request,
        "law",
        title="What the law asks",
        incident=incident,
        tab="law",
        laws=grouped(found),
        # Asked before anybody is on the list, the law answers about authorities alone.
        without_people=[duty for law in found if not law.to_people for duty in law.duties],
        listed=incident.people.exists(),
        risk=risk_found(incident),
        standing=standing(incident=incident),
    )


@require_GET
def jurisdiction(request: HttpRequest, incident_id: int, name: str) -> HttpResponse:
    """One jurisdiction with the whole tree of reasons of each duty."""
    incident = incident_of(incident_id)
    found = laws(incident=incident, zone=incident.facts.facts["zone"], only=name)
    if not found:
        raise Http404
    title, risk = f"{name}: what the law asks", risk_found(incident)
    return page(request, "jurisdiction", title=title, incident=incident, tab="law", law=found[0], risk=risk)
