"""Opens an incident and keeps its facts in versions: anchors with zones, elements marked exposed or not, findings signed.

The facts' shape is that of `docs/facts.md`. What the law needs of them goes to `law.facts`; nothing is guessed.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import yaml
from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import database_now, record
from incidents.law.facts import Anchor, Findings, IncidentFacts
from incidents.law.pack import load_packs
from incidents.models import FactVersion, Filing, Finding, Incident
from incidents.models.refusal import Refused
from incidents.vault import new_incident_key

CONTROLLER = {
    "brand": True, "legal_entity": True, "legal_address": False, "website": True, "website_page": False, "phone": True,
    "phone_hours": False, "sender_name": True, "sender_email": True, "reply_to": False, "dpo_name": True, "dpo_email": True,
}  # fmt: skip
#: What readers see in their own language may be given per language, such as phone_hours_fr; the plain field is English.
IN_WORDS = re.compile(r"(phone_hours|dpo_name|website_page)_[a-z]{2}")
FLAGS = (
    "encrypted", "key_taken", "contained", "experts_engaged", "authorities_informed", "occurred_known",
)  # fmt: skip
LONGEST_TITLE = 200
#: What cannot have come before what.
ORDERS = ((Anchor.OCCURRED, Anchor.FIRST_HINT, Anchor.AWARE), (Anchor.OCCURRED, Anchor.DISCOVERED))
ELEMENT_STATES = frozenset({"exposed", "exposed_for_some", "not_involved", "unknown"})
CAUSES = frozenset({"attack", "error", "loss", "insider", "unknown"})
FINDING_VALUES: dict[str, frozenset[str]] = {
    "risk": frozenset({"unlikely", "risk", "high"}),
    "misuse_likely": frozenset({"yes", "no"}),
    "serious_harm_likely": frozenset({"yes", "no"}),
    "voluntary_notice": frozenset({"yes", "no"}),
    "law_unknown": frozenset({"courtesy", "no"}),
    "count_difference": frozenset({"explained"}),
}


class FactsRefused(Refused):
    """The facts of an incident do not hold together; each line names the field and the remedy."""


def read_facts(raw: str | bytes) -> dict[str, Any]:
    """Parse and check a facts file (YAML, UTF-8). Raises FactsRefused."""
    try:
        found = yaml.safe_load(raw)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise FactsRefused(f"The facts file is not readable YAML in UTF-8: {str(error).splitlines()[0]}") from None
    if not isinstance(found, dict):
        raise FactsRefused("The facts file must be a YAML mapping; see docs/facts.md for its fields.")
    return check_facts(found, now=datetime.now(UTC))


def check_facts(found: Mapping[str, Any], *, now: datetime) -> dict[str, Any]:
    """The facts in their stored shape (moments as ISO 8601 text with offset). Raises FactsRefused naming every field."""
    problems: list[str] = []
    controller = _controller(found.get("controller"), problems)
    facts = {
        "reference": _reference(found.get("reference"), problems),
        "title": _title(found.get("title") or found.get("reference"), problems),
        "controller": controller,
        "based_in": _country("based_in", found.get("based_in"), problems),
        "established_in": _country("established_in", found.get("established_in"), problems),
        "sector": str(found.get("sector") or "retail"),
        "role": _one_of("role", found.get("role") or "controller", {"controller", "processor"}, problems),
        "cause": _one_of("cause", found.get("cause") or "unknown", CAUSES, problems),
        "zone": _one_of("zone", found.get("zone") or "UTC", available_timezones(), problems),
        "anchors": _anchors(found.get("anchors"), now, problems),
        "elements": _elements(found.get("elements"), problems),
        "expected_people": _count("expected_people", found.get("expected_people"), problems),
        **{flag: _yes_or_no(flag, found.get(flag), problems) for flag in FLAGS},
    }
    if problems:
        raise FactsRefused(*problems)
    return facts


def _reference(value: object, problems: list[str]) -> str:
    text = str(value or "")
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,58}", text):
        problems.append("reference: give 2 to 59 lower-case letters, digits and hyphens, such as 'acme-2026'.")
    return text


def _title(value: object, problems: list[str]) -> str:
    text = " ".join(str(value or "").split())
    if len(text) > LONGEST_TITLE:
        problems.append(f"title: {len(text)} characters; at most {LONGEST_TITLE} are kept. Shorten it.")
    return text


def _count(name: str, value: object, problems: list[str]) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    problems.append(f"{name}: '{value}' is not a whole number of people; leave it out if it is not known.")
    return None


def _yes_or_no(name: str, value: object, problems: list[str]) -> bool:
    # 'false' in quotes is a text, and every text would count as yes.
    if value is not None and not isinstance(value, bool):
        problems.append(f"{name}: '{value}' is neither yes nor no; write true or false, without quotes.")
    return value is True


def _one_of(name: str, value: object, allowed: frozenset[str] | set[str], problems: list[str]) -> str:
    if str(value) not in allowed:
        shown = ", ".join(sorted(allowed)) if len(allowed) < 20 else "an IANA zone such as Europe/Paris"
        problems.append(f"{name}: '{value}' is not known; use one of: {shown}.")
    return str(value)


def _country(name: str, value: object, problems: list[str]) -> str | None:
    if value in (None, ""):
        return None
    if not re.fullmatch(r"[A-Z]{2}", str(value)):
        problems.append(f"{name}: '{value}' is not an ISO 3166 country code of two capitals, such as FR (write 'NO' quoted).")
    return str(value)


def _controller(value: object, problems: list[str]) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else {}
    worded = [name for name in map(str, given) if IN_WORDS.fullmatch(name)]
    cleaned = {name: " ".join(str(given.get(name) or "").split()) for name in (*CONTROLLER, *worded)}
    missing = [name for name, needed in CONTROLLER.items() if needed and not cleaned[name]]
    if missing:
        problems.append(f"controller: {', '.join(missing)} missing; the letter needs them.")
    for name in ("sender_email", "dpo_email", "reply_to"):
        if cleaned[name] and not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+", cleaned[name]):
            problems.append(f"controller.{name}: '{cleaned[name]}' is not one e-mail address.")
    return cleaned


def _elements(value: object, problems: list[str]) -> dict[str, str]:
    vocabulary = load_packs().vocabulary.elements
    given = {str(name): str(state) for name, state in value.items()} if isinstance(value, Mapping) else {}
    if not any(state.startswith("exposed") for state in given.values()):
        problems.append("elements: mark at least one data element as exposed or exposed_for_some.")
    for name, state in given.items():
        if name not in vocabulary:
            problems.append(f"elements.{name}: not a word of the law pack's vocabulary (docs/packs.md lists it).")
        if state not in ELEMENT_STATES:
            problems.append(f"elements.{name}: '{state}' must be one of {', '.join(sorted(ELEMENT_STATES))}.")
    return given


def _anchors(value: object, now: datetime, problems: list[str]) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else {}
    moments = {name: m for name in given if (m := _moment(str(name), given[name], problems)) is not None}
    if given.get(Anchor.AWARE.value) is None:
        problems.append(
            "anchors.aware_at: missing. Every clock runs from it: give the moment of reasonable certainty that personal "
            "data are affected, with its offset, such as 2026-03-02T14:30+01:00."
        )
    for name, moment in moments.items():
        if moment > now:
            problems.append(f"anchors.{name}: {moment.isoformat()} lies in the future.")
    for order in ORDERS:
        known = [(anchor.value, moments[anchor.value]) for anchor in order if anchor.value in moments]
        for (early, first), (late, second) in itertools.pairwise(known):
            if second < first:
                problems.append(f"anchors.{late}: {second.isoformat()} is before {early} ({first.isoformat()}).")
    return {name: moment.isoformat() for name, moment in moments.items()}


def _moment(name: str, value: object, problems: list[str]) -> datetime | None:
    if value is None:
        return None
    if name not in set(Anchor):
        problems.append(f"anchors.{name}: unknown; use {', '.join(anchor.value for anchor in Anchor)}.")
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        problems.append(f"anchors.{name}: '{value}' is not an ISO 8601 moment such as 2026-03-02T14:30+01:00.")
        return None
    if moment.tzinfo is None:
        problems.append(f"anchors.{name}: {value} has no zone; add its offset, such as +01:00.")
        return None
    return moment


def local_moment(*, text: str, zone: str) -> datetime:
    """A wall-clock moment of a zone ('2026-03-29T02:30' in Europe/Paris). Raises FactsRefused in a daylight-saving gap."""
    try:
        naive = datetime.fromisoformat(text)
        moment = naive.replace(tzinfo=ZoneInfo(zone)) if naive.tzinfo is None else naive
        back = moment.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    except (ValueError, KeyError, OSError, OverflowError):
        raise FactsRefused(f"'{text}' is not a date and time, or '{zone}' is not a known zone.") from None
    if naive.tzinfo is None and back != naive:
        raise FactsRefused(f"{text} does not exist in {zone}: the clocks were put forward over it. Give the right hour.")
    return moment


@transaction.atomic
def open_incident(*, facts: Mapping[str, Any], author: User, drill: bool = False) -> Incident:
    """Create the incident with its first version of facts. Raises FactsRefused when the reference is taken."""
    reference = str(facts["reference"])
    if Incident.objects.filter(reference=reference).exists():
        raise FactsRefused(f"An incident '{reference}' exists already. Choose another reference, or amend its facts.")
    incident = Incident.objects.create(
        reference=reference, title=facts["title"], is_drill=drill, created_by=author, created_at=database_now(),
        wrapped_key=new_incident_key(reference=reference),
    )  # fmt: skip
    record(incident=incident, action=Action.INCIDENT_OPENED, actor=author.username, data={"drill": drill})
    _add_version(incident, facts, author, "opened")
    return incident


@transaction.atomic
def amend_facts(*, incident: Incident, facts: Mapping[str, Any], author: User, reason: str) -> FactVersion:
    """Add a version of the facts; unchanged facts add none. Raises FactsRefused without a reason."""
    if not reason.strip():
        raise FactsRefused("Say why the facts change; the reason is kept beside the new version.")
    if facts["reference"] != incident.reference:
        raise FactsRefused(f"reference: the reference cannot be changed; this incident is '{incident.reference}'.")
    current = incident.facts
    if digest(facts) == current.sha256:
        return current
    return _add_version(incident, facts, author, reason)


def digest(facts: Mapping[str, Any]) -> str:
    """SHA-256 of the facts' canonical JSON."""
    return hashlib.sha256(canonical_json(dict(facts))).hexdigest()


def _add_version(incident: Incident, facts: Mapping[str, Any], author: User, reason: str) -> FactVersion:
    version = FactVersion.objects.create(
        incident=incident, number=incident.fact_versions.count() + 1, facts=dict(facts), sha256=digest(facts),
        reason=reason, author=author, recorded_at=database_now(),
    )  # fmt: skip
    data = {"version": version.number, "facts_sha256": version.sha256}
    record(incident=incident, action=Action.INCIDENT_AMENDED, actor=author.username, data=data)
    return version


@transaction.atomic
def record_finding(*, incident: Incident, key: str, value: str, reason: str, author: User, scope: str = "") -> Finding:
    """Store what a person found, why, and who. The newest finding of a key and scope counts. Raises FactsRefused."""
    if value not in FINDING_VALUES.get(key, frozenset()):
        raise FactsRefused(f"'{value}' is no answer to '{key}'; use one of {sorted(FINDING_VALUES.get(key, ()))}.")
    if not reason.strip():
        raise FactsRefused("A finding needs its reason in words; it is what a regulator will read.")
    data = {"key": key, "scope": scope, "value": value, "reason": reason}
    record(incident=incident, action=Action.FINDING_RECORDED, actor=author.username, data=data)
    return Finding.objects.create(
        incident=incident, key=key, scope=scope, value=value, reason=reason, author=author, recorded_at=database_now()
    )


def newest_findings(*, incident: Incident) -> dict[tuple[str, str], Finding]:
    """The finding that counts for each key and scope."""
    return {(found.key, found.scope): found for found in incident.findings.order_by("id").select_related("author")}


def law_facts(*, incident: Incident) -> IncidentFacts:
    """What the law engine sees of the newest facts, the findings and the filings."""
    facts, findings = incident.facts.facts, newest_findings(incident=incident)
    said = {key: findings[(key, "")].value for key in ("risk", "misuse_likely", "serious_harm_likely") if (key, "") in findings}
    filed = Filing.objects.filter(obligation__incident=incident).order_by("-filed_at")
    return IncidentFacts(
        anchors={Anchor(name): datetime.fromisoformat(text) for name, text in facts["anchors"].items()},
        filed_at={filing.obligation.jurisdiction: filing.filed_at for filing in filed.select_related("obligation")},
        role=facts["role"], based_in=facts["based_in"], established_in=facts["established_in"], sector=facts["sector"],
        cause=facts["cause"], encrypted=facts["encrypted"], key_taken=facts["key_taken"], contained=facts["contained"],
        findings=_findings(said),
    )  # fmt: skip


def _findings(said: Mapping[str, str]) -> Findings:
    risk, misuse, harm = (said.get(key, "unknown") for key in ("risk", "misuse_likely", "serious_harm_likely"))
    return Findings(risk=risk, misuse_likely=misuse, serious_harm_likely=harm)
