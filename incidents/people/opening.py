"""Opens an incident and keeps its facts in versions: anchors with zones, elements marked exposed or not, findings signed.

The facts' shape is that of `docs/facts.md`. What the law needs of them goes to `law.facts`; nothing is guessed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import database_now, record
from incidents.law import severity
from incidents.law.case_values import MOST_PEOPLE, sector_meant
from incidents.law.facts import Anchor, Findings, IncidentFacts
from incidents.law.pack import load_packs
from incidents.law.places import may_mean
from incidents.law.questions import is_asked
from incidents.law.severity import Suggestion
from incidents.law.strict_yaml import StrictYamlError, parse_yaml
from incidents.models import FactVersion, Filing, Finding, Incident
from incidents.models.refusal import Refused
from incidents.people.anchors import HOLD_UNTIL, PROCESSOR_AWARE, read_anchors
from incidents.people.country_codes import known_countries
from incidents.people.statements import statement_facts
from incidents.vault import new_incident_key
from incidents.visible import visible

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
ELEMENT_STATES = frozenset({"exposed", "exposed_for_some", "not_involved", "unknown"})
CAUSES = frozenset({"attack", "error", "loss", "insider", "unknown"})
YES_OR_NO = frozenset({"yes", "no"})
#: What people decide, by key. The other questions of the law packs are answered with yes or no.
FINDING_VALUES: dict[str, frozenset[str]] = {
    "risk": frozenset({"unlikely", "risk", "high"}),
    "misuse_likely": YES_OR_NO,
    "serious_harm_likely": YES_OR_NO,
    "voluntary_notice": YES_OR_NO,
    "law_unknown": frozenset({"courtesy", "no"}),
    "count_difference": frozenset({"explained"}),
}


class FactsRefused(Refused):
    """The facts of an incident do not hold together; each line names the field and the remedy."""


class FactsMoved(FactsRefused):
    """Somebody saved a newer version after the one that this change was made on; nothing was saved."""

    def __init__(self, *, newer: FactVersion, shown: int) -> None:
        self.newer = newer
        said = f"on version {shown}" if shown else "on a page that names no version"
        super().__init__(
            f"Version {newer.number} of the facts was saved by {newer.author.username} in the meantime; your change was made "
            f"{said}, and nothing of it was saved. Look at both, then save once more."
        )


class _Asked(Mapping[str, Any]):
    """A mapping that remembers what was read of it: whatever nobody asked for is a slip of the pen, not a fact."""

    def __init__(self, held: Mapping[str, Any]) -> None:
        self.held = {key: _Asked(value) if isinstance(value, Mapping) else value for key, value in held.items()}
        self.asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.asked.add(key)
        return self.held[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.held)

    def __len__(self) -> int:
        return len(self.held)

    def unasked(self, above: str = "") -> Iterator[str]:
        """The names that nobody read, with those above them."""
        for key, value in self.held.items():
            if key not in self.asked:
                yield f"{above}{key}"
            elif isinstance(value, _Asked):
                yield from value.unasked(f"{above}{key}.")


def read_facts(raw: str | bytes) -> dict[str, Any]:
    """Parse and check a facts file (YAML, UTF-8). Raises FactsRefused."""
    try:
        found = parse_yaml(data=raw.encode() if isinstance(raw, str) else raw, path="facts")
    except StrictYamlError as error:
        where = f"line {error.line}, {error.key}: {error.problem}"
        raise FactsRefused(f"The facts file is not readable YAML in UTF-8: {where}.") from None
    if not isinstance(found, dict):
        raise FactsRefused("The facts file must be a YAML mapping; see docs/facts.md for its fields.")
    given, problems = _Asked(found), []
    try:
        facts = check_facts(given, now=datetime.now(UTC))
    except FactsRefused as refusal:
        problems = list(refusal.lines)
    problems += [
        f"{name}: no fact of this name; correct it, or leave it out (docs/facts.md has all)." for name in given.unasked()
    ]
    if problems:
        raise FactsRefused(*problems)
    return facts


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
        "sector": _sector(found.get("sector") or "retail", problems),
        "role": _one_of("role", found.get("role") or "controller", {"controller", "processor"}, problems),
        "cause": _one_of("cause", found.get("cause") or "unknown", CAUSES, problems),
        "zone": _one_of("zone", found.get("zone") or "UTC", available_timezones(), problems),
        "anchors": read_anchors(value=found.get("anchors"), zone=str(found.get("zone") or "UTC"), now=now, problems=problems),
        "elements": _elements(found.get("elements"), problems),
        "expected_people": _count("expected_people", found.get("expected_people"), problems),
        **{flag: _yes_or_no(flag, found.get(flag), problems) for flag in FLAGS},
        **statement_facts(found=found, problems=problems),
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
    text = " ".join(_plain("title", value, problems).split())
    if len(text) > LONGEST_TITLE:
        problems.append(f"title: {len(text)} characters; at most {LONGEST_TITLE} are kept. Shorten it.")
    return text


def _plain(name: str, value: object, problems: list[str]) -> str:
    """A value that readers see, as text: a list, a mapping, or an unquoted yes or no would be printed as code."""
    if isinstance(value, list | Mapping | bool):
        problems.append(f"{name}: must be a text; write it in quotes.")
        return "?"
    return str(value or "")


def _sector(value: object, problems: list[str]) -> str:
    """A word for the branch. One that almost names a sector law ('Finance') would silently leave that law out."""
    near = sector_meant(word=str(value), packs=load_packs())
    if near is not None:
        instead = f"write {near}, if that is meant" if near else "write one word in small letters, such as retail or health"
        problems.append(f"sector: '{str(value)[:60]}' is no sector; {instead}.")
    return str(value)


def _count(name: str, value: object, problems: list[str]) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_PEOPLE):
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
    # 'EL' or 'UK' look like codes, and would silently leave out the lead authority or the country's own rules.
    if str(value) not in known_countries():
        meant = " or ".join(sorted({code[:2] for code in may_mean(word=str(value))}))
        instead = f"is {meant} meant?" if meant else "write one such as FR (write 'NO' quoted)."
        problems.append(f"{name}: '{str(value)[:60]}' is not an ISO 3166 country code of two capitals; {instead}")
    return str(value)


def _controller(value: object, problems: list[str]) -> dict[str, str]:
    given = value if isinstance(value, Mapping) else {}
    worded = [name for name in map(str, given) if IN_WORDS.fullmatch(name)]
    said = {name: _plain(f"controller.{name}", given.get(name), problems) for name in (*CONTROLLER, *worded)}
    cleaned = {name: " ".join(text.split()) for name, text in said.items()}
    for name, needed in CONTROLLER.items():
        if needed and not cleaned[name]:
            problems.append(f"controller.{name}: missing; the letter needs it.")
    for name in ("sender_email", "dpo_email", "reply_to"):
        if cleaned[name] and not re.fullmatch(r"[^@\s,;<>]+@[^@\s,;<>]+\.[^@\s,;<>]+", cleaned[name]):
            problems.append(f"controller.{name}: '{cleaned[name]}' is not one e-mail address.")
    return cleaned


def _elements(value: object, problems: list[str]) -> dict[str, str]:
    vocabulary = load_packs().vocabulary.elements
    given = {str(name): str(state) for name, state in value.items()} if isinstance(value, Mapping) else {}
    # While nobody knows whether personal data were taken, the elements in question are `unknown`: nothing is sent before that.
    if not any(state.startswith("exposed") or state == "unknown" for state in given.values()):
        problems.append("elements: mark at least one data element as exposed, exposed_for_some, or unknown while nobody knows.")
    for name, state in given.items():
        if name not in vocabulary:
            problems.append(f"elements.{name}: not a word of the law pack's vocabulary (docs/packs.md lists it).")
        if state not in ELEMENT_STATES:
            problems.append(f"elements.{name}: '{state}' must be one of {', '.join(sorted(ELEMENT_STATES))}.")
    return given


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
def amend_facts(
    *, incident: Incident, facts: Mapping[str, Any], author: User, reason: str, shown: int | None = None
) -> FactVersion:
    """Add a version of the facts; unchanged facts add none. Raises FactsRefused without a reason.

    `shown`: the version that the author had before their eyes. Raises FactsMoved when another one came after it: the facts are
    saved as a whole, and would take back what they never saw.
    """
    if not visible(reason):
        raise FactsRefused("Say why the facts change; the reason is kept beside the new version.")
    if facts["reference"] != incident.reference:
        raise FactsRefused(f"reference: the reference cannot be changed; this incident is '{incident.reference}'.")
    # Of two who save at one moment the second sees the version of the first.
    Incident.objects.select_for_update(no_key=True).get(pk=incident.pk)
    current = incident.facts
    if digest(facts) == current.sha256:
        return current
    if shown is not None and shown != current.number:
        raise FactsMoved(newer=current, shown=shown)
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
def record_finding(
    *, incident: Incident, key: str, value: str, reason: str, author: User, scope: str = "",
    suggestion: Suggestion | None = None, why_different: str = "",
) -> Finding:  # fmt: skip
    """Store what a person found, why, and who, beside what a method suggested. The newest counts. Raises FactsRefused."""
    allowed = FINDING_VALUES.get(key) or (YES_OR_NO if is_asked(key=key) else frozenset())
    if value not in allowed:
        known = f"use one of {sorted(allowed)}" if allowed else "no law pack asks this question"
        raise FactsRefused(f"'{value}' is no answer to '{key}'; {known}.")
    if not visible(reason):
        raise FactsRefused("A finding needs its reason in words; it is what a regulator will read.")
    data: dict[str, Any] = {"key": key, "scope": scope, "value": value, "reason": reason}
    kept = None if suggestion is None else _suggested(incident, suggestion, value, why_different)
    if kept:
        data["suggestion"] = {**severity.summary(kept=kept), "sha256": digest(kept)}
    record(incident=incident, action=Action.FINDING_RECORDED, actor=author.username, data=data)
    return Finding.objects.create(
        incident=incident, key=key, scope=scope, value=value, suggestion=kept, reason=reason, author=author,
        recorded_at=database_now(),
    )  # fmt: skip


def _suggested(incident: Incident, suggestion: Suggestion, value: str, why_different: str) -> dict[str, Any]:
    """The suggestion as it is kept. A step without its ground, or another finding without its reason, is refused."""
    kept = severity.document(suggestion=suggestion, found=value, why_different=why_different)
    if suggestion.ungrounded:
        raise FactsRefused("An answer about the kind of data was changed; say in words what speaks for it.")
    if kept["differs"] and not kept["why_different"]:
        raise FactsRefused(f"The suggestion is: {kept['says']}. Say why you find otherwise; it is kept with the finding.")
    return {"facts_version": incident.facts.number, **kept}


def newest_findings(*, incident: Incident, until: datetime | None = None) -> dict[tuple[str, str], Finding]:
    """The finding that counts for each key and scope; with `until` as it was known at that moment."""
    rows = incident.findings.order_by("id").select_related("author")
    return {(found.key, found.scope): found for found in (rows.filter(recorded_at__lte=until) if until else rows)}


def facts_at(*, incident: Incident, until: datetime | None = None) -> FactVersion:
    """The newest version of the facts; with `until` the one that counted at that moment."""
    versions = incident.fact_versions.order_by("-number")
    return (versions.filter(recorded_at__lte=until) if until else versions)[0]


def law_facts(*, incident: Incident, until: datetime | None = None) -> IncidentFacts:
    """What the law engine sees of the facts, the findings and the filings; with `until` as they stood at that moment."""
    facts, findings = facts_at(incident=incident, until=until).facts, newest_findings(incident=incident, until=until)
    said = {key: found.value for (key, scope), found in findings.items() if not scope and key not in _OUR_CHOICES}
    # The first filing with the regulator counts; it is read last.
    filed = Filing.objects.filter(obligation__incident=incident, obligation__addressee="regulator").order_by("-filed_at")
    filed = filed.filter(recorded_at__lte=until) if until else filed
    moments = {name: datetime.fromisoformat(text) for name, text in facts["anchors"].items()}
    return IncidentFacts(
        anchors={Anchor(name): moment for name, moment in moments.items() if name in set(Anchor)},
        processor_aware_at=moments.get(PROCESSOR_AWARE), law_enforcement_hold_until=moments.get(HOLD_UNTIL),
        filed_at={filing.obligation.jurisdiction: filing.filed_at for filing in filed.select_related("obligation")},
        role=facts["role"], based_in=facts["based_in"], established_in=facts["established_in"], sector=facts["sector"],
        cause=facts["cause"], encrypted=facts["encrypted"], key_taken=facts["key_taken"], contained=facts["contained"],
        findings=_findings(said),
    )  # fmt: skip


#: Findings that the law engine does not see: what the controller chooses, and what explains a count.
_OUR_CHOICES = {"voluntary_notice", "law_unknown", "count_difference"}


def _findings(said: Mapping[str, str]) -> Findings:
    own = {key: said.get(key, "unknown") for key in ("risk", "misuse_likely", "serious_harm_likely")}
    return Findings(**own, answers={key: value for key, value in said.items() if key not in own})
