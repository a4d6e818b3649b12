"""Cohorts + facts -> law engine -> obligations. Run again on the same facts it gives the same rows and writes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.law.engine import assess
from incidents.law.facts import Addressee, Assessment, Duty, Group, IncidentFacts, Owed
from incidents.law.pack import load_packs
from incidents.models import Cohort, FactVersion, Filing, Finding, Incident, Obligation
from incidents.models.duties import Handling
from incidents.models.refusal import Refused
from incidents.people.cohorts import refresh_cohorts
from incidents.people.deadlines import renew_deadlines
from incidents.people.opening import law_facts, newest_findings
from incidents.visible import visible

SUMMARY_FIELDS = (
    "owed", "handling", "handling_reason", "deadline_kind", "due_at", "legal_end_at", "second_due_at", "final_due_at", "relative",
    "internal_target_at", "duty", "pack_sha256", "superseded",
)  # fmt: skip

LONGEST_REFERENCE = 120


class FilingRefused(Refused):
    """A filing cannot be recorded as given."""


@dataclass(frozen=True)
class AssessmentReport:
    """What an assessment found and how many obligations it changed."""

    cohorts: int
    obligations: int
    changed: int
    questions: tuple[str, ...]


def plain(value: Any) -> Any:
    """Dataclasses, dates and enums as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: plain(getattr(value, part.name)) for part in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in (sorted(value) if isinstance(value, set | frozenset) else value)]
    return value


@dataclass(frozen=True)
class Known:
    """What the law is asked about, beside the people: the facts as it sees them, and what persons have found."""

    facts: IncidentFacts
    findings: Mapping[tuple[str, str], Finding]


@dataclass(frozen=True)
class Answer:
    """What the law says, in memory: the assessment, and every obligation as it would be stored."""

    cohorts: int
    assessment: Assessment
    obligations: tuple[Obligation, ...]


def known(*, incident: Incident, until: datetime | None = None) -> Known:
    """What is known now; with `until` what was known at that moment."""
    return Known(law_facts(incident=incident, until=until), newest_findings(incident=incident, until=until))


def ask_law(*, incident: Incident, about: Known) -> Answer:
    """Ask the law engine about all cohorts of the incident, on whatever clock, as they are counted; nothing is written."""
    cohorts = _inhabited(incident)
    groups = [_group(cohort) for cohort in cohorts]
    assessment = assess(facts=about.facts, groups=groups, packs=load_packs())
    derived = [_obligation(incident, duty, cohorts, about.findings) for duty in assessment.duties]
    return Answer(len(cohorts), assessment, tuple(derived))


def groups_of(*, incident: Incident) -> list[Group]:
    """Everybody on the list as the law sees them, as they are counted."""
    return [_group(cohort) for cohort in _inhabited(incident)]


def _inhabited(incident: Incident) -> list[Cohort]:
    return list(incident.cohorts.filter(count__gt=0).select_related("amendment").order_by("id"))


def _group(cohort: Cohort) -> Group:
    return Group(
        residence=cohort.residence,
        elements=frozenset(cohort.elements),
        count=cohort.count,
        maybe=frozenset(cohort.maybe),
        minors=cohort.minors,
        aware_at=cohort.amendment.aware_at if cohort.amendment else None,
    )


def _obligation(incident: Incident, duty: Duty, cohorts: list[Cohort], findings: Mapping[tuple[str, str], Finding]) -> Obligation:
    obligation = Obligation(
        incident=incident,
        cohort=cohorts[duty.group] if duty.group is not None else None,
        jurisdiction=duty.jurisdiction,
        regime=duty.regime,
        addressee=duty.addressee.value,
    )
    _fill(obligation, duty, findings)
    return obligation


Key = tuple[str, str, str, int | None]


def key_of(obligation: Obligation) -> Key:
    """What names an obligation inside its incident."""
    return (obligation.jurisdiction, obligation.regime, obligation.addressee, obligation.cohort_id)


@transaction.atomic
def assess_incident(*, incident: Incident, author: User) -> AssessmentReport:
    """Derive every obligation from the newest facts, findings and cohorts."""
    refresh_cohorts(incident=incident)
    answer = ask_law(incident=incident, about=known(incident=incident))
    changed, duties = _store(incident, answer, author), answer.assessment.duties
    questions = sorted({question.text for duty in duties if duty.owed == Owed.ASK for question in duty.questions})
    return AssessmentReport(answer.cohorts, len(duties), changed, tuple(questions))


def _store(incident: Incident, answer: Answer, author: User) -> int:
    stored, facts, entries = {key_of(o): o for o in incident.obligations.all()}, incident.facts, []
    for fresh in answer.obligations:
        found = stored.pop(key_of(fresh), None)
        if found is None or _digest(found) != _digest(fresh):
            entries.append(_entry(_renewed(found or fresh, fresh, facts)))
    for gone in stored.values():
        if not gone.superseded:
            gone.superseded = True
            gone.save(update_fields=["superseded"])
            entries.append(_entry(gone))
    if entries:
        data = _rules(dict(answer.assessment.packs))
        record(incident=incident, action=Action.RULES_LOADED, actor=author.username, data=data)
        record_many(incident=incident, actor=author.username, entries=entries)
        renew_deadlines(incident=incident)
    return len(entries)


def _rules(packs: dict[str, str]) -> dict[str, Any]:
    """The packs asked, by hash and version, and the unions whose law they inherit: later it can be said what changed."""
    loaded, versions = load_packs(), {name: pack_version(name=name) for name in packs}
    parents = {loaded.packs[name].inherits or "" for name in packs if name in loaded.packs} - {""}
    unions = {name: loaded.packs[name].sha256 for name in sorted(parents)}
    return {"packs": packs, "versions": versions, "unions": unions, "set_sha256": loaded.sha256}


def _renewed(obligation: Obligation, fresh: Obligation, facts: FactVersion) -> Obligation:
    for name in SUMMARY_FIELDS:
        setattr(obligation, name, getattr(fresh, name))
    obligation.facts = facts
    obligation.save()
    return obligation


def pack_version(*, name: str) -> str:
    """The version of a loaded pack, with that of the union it inherits from; empty where there is no such pack."""
    packs = load_packs().packs
    pack = packs.get(name)
    parent = packs.get(pack.inherits or "") if pack else None
    return "" if pack is None else f"{pack.version} on {parent.id} {parent.version}" if parent else pack.version


def _digest(obligation: Obligation) -> str:
    # Compared as stored: moments in UTC, JSON in one order of keys, whatever the database gave back.
    shown = {name: _in_utc(getattr(obligation, name)) for name in SUMMARY_FIELDS}
    return hashlib.sha256(json.dumps(plain(shown), sort_keys=True).encode()).hexdigest()


def _in_utc(value: Any) -> Any:
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _entry(obligation: Obligation) -> Entry:
    data = {
        "jurisdiction": obligation.jurisdiction, "addressee": obligation.addressee, "cohort": obligation.cohort_id or 0,
        "owed": obligation.owed, "handling": obligation.handling, "superseded": obligation.superseded,
        "due_at": obligation.due_at.isoformat() if obligation.due_at else "", "pack_sha256": obligation.pack_sha256,
        "duty_sha256": hashlib.sha256(canonical_json(obligation.duty)).hexdigest(),
    }  # fmt: skip
    return Entry(Action.OBLIGATION_DERIVED, data)


def _fill(obligation: Obligation, duty: Duty, findings: Mapping[tuple[str, str], Finding]) -> None:
    deadline = duty.deadline
    obligation.owed, obligation.superseded = duty.owed.value, False
    obligation.handling, obligation.handling_reason = handling_of(duty=duty, findings=findings)
    obligation.duty = plain(duty)
    obligation.pack_sha256 = duty.pack_sha256
    zone = deadline.zone if deadline else "UTC"
    obligation.deadline_kind = deadline.kind if deadline else ""
    obligation.due_at = end_of(deadline.shown_at, zone) if deadline else None
    obligation.legal_end_at = deadline.legal_end_at if deadline else None
    obligation.second_due_at = end_of(deadline.second_by, zone) if deadline else None
    obligation.final_due_at = end_of(deadline.final_by, zone) if deadline else None
    obligation.relative = (deadline.relative or "") if deadline else ""
    obligation.internal_target_at = _internal_target(duty, zone)


def end_of(moment: date | datetime | None, zone: str) -> datetime | None:
    """A moment as an instant: a plain date ends with its last second at the place."""
    if moment is None or isinstance(moment, datetime):
        return moment
    return datetime.combine(moment, time(23, 59, 59), tzinfo=ZoneInfo(zone))


def _internal_target(duty: Duty, zone: str) -> datetime | None:
    deadline = duty.deadline
    if duty.owed == Owed.NO or deadline is None or deadline.shown_at is not None:
        return None
    anchor = end_of(deadline.anchor_at, zone)
    return anchor + timedelta(days=settings.INTERNAL_TARGET_DAYS) if anchor else None


def handling_of(*, duty: Duty, findings: Mapping[tuple[str, str], Finding]) -> tuple[str, str]:
    """What we do about a duty, and the reason: the law's where it is owed, a person's recorded decision where it is not."""
    if duty.owed == Owed.YES:
        return Handling.STATUTORY, ""
    if duty.addressee != Addressee.PERSON:
        return (Handling.UNDECIDED if duty.owed == Owed.ASK else Handling.NONE), ""
    if duty.owed == Owed.NO:
        chosen = findings.get(("voluntary_notice", duty.jurisdiction)) or findings.get(("voluntary_notice", ""))
        if chosen is None:
            return Handling.UNDECIDED, ""
        return (Handling.VOLUNTARY if chosen.value == "yes" else Handling.NONE), chosen.reason
    if any(question.finding.startswith("law:") for question in duty.questions):
        chosen = findings.get(("law_unknown", duty.jurisdiction)) or findings.get(("law_unknown", ""))
        if chosen and chosen.value == "courtesy":
            return Handling.LAW_UNKNOWN, chosen.reason
    return Handling.UNDECIDED, ""


def _end_of_stage(obligation: Obligation) -> datetime | None:
    """The end of the report that is filed next: a first report is late after its legal end, where that is later."""
    first = obligation.legal_end_at or obligation.due_at
    later = [end for end in (obligation.second_due_at, obligation.final_due_at) if end is not None]
    filed = obligation.filings.count()
    return first if filed == 0 else later[filed - 1] if filed <= len(later) else None


@transaction.atomic
def record_filing(
    *, obligation: Obligation, filed_at: datetime, reference: str, author: User, reason_for_delay: str = ""
) -> Filing:
    """Mark a notice to an authority as filed, in order: first, second, final. Raises FilingRefused: in the future, no
    reference, or late without reasons."""
    if filed_at.tzinfo is None:
        raise FilingRefused("The moment of the filing has no zone. Give it with its offset.")
    end = _end_of_stage(obligation)
    late = end is not None and filed_at > end
    if filed_at > database_now():
        raise FilingRefused("The filing lies in the future. Give the moment at which it was handed in.")
    if not reference.strip():
        raise FilingRefused("Give the reference of the filing (the receipt's number).")
    if len(reference.strip()) > LONGEST_REFERENCE:
        raise FilingRefused(f"The reference of the filing is too long: at most {LONGEST_REFERENCE} characters.")
    if late and not visible(reason_for_delay):
        raise FilingRefused("The filing is later than the deadline: the reasons for the delay are needed with it.")
    data = {
        "jurisdiction": obligation.jurisdiction,
        "reference": reference,
        "filed_at": filed_at.isoformat(),
        "late": late,
    }
    record(incident=obligation.incident, action=Action.AUTHORITY_NOTIFIED, actor=author.username, data=data)
    return Filing.objects.create(
        obligation=obligation, filed_at=filed_at, reference=reference.strip(), reason_for_delay=reason_for_delay.strip(),
        author=author, recorded_at=database_now(),
    )  # fmt: skip
