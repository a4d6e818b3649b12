"""Facts and findings as they would be: "encrypted=true" laid over what is known. Only read, never stored."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from typing import Any

from django.db.models import BooleanField, Count, ExpressionWrapper, Q

from incidents.law.case_values import EARLIEST_YEAR, LATEST_YEAR
from incidents.law.compare import Difference
from incidents.law.facts import Anchor, Group
from incidents.law.pack import PackSet
from incidents.law.questions import keys_of
from incidents.models import Finding, Incident, PersonStatus
from incidents.models.refusal import Refused
from incidents.people.amending import living
from incidents.people.assessing import Known, known
from incidents.people.opening import FINDING_VALUES, YES_OR_NO, check_facts

FLAGS = ("encrypted", "key_taken", "contained")
WORDS = ("cause", "sector", "role", "based_in", "established_in")
#: Moments that the engine knows and that stand beside the anchors.
MOMENTS = ("law_enforcement_hold_until", "processor_aware_at")
JUDGED = ("risk", "misuse_likely", "serious_harm_likely")
#: What the controller chooses where no law decides; may be chosen for one place: findings.voluntary_notice:US-CA.
CHOSEN = ("voluntary_notice", "law_unknown")
ANCHORS = tuple(anchor.value for anchor in Anchor)
UNKNOWN = "unknown"
#: Sectors of docs/law-cases.md; the packs name others.
SECTORS = ("retail", "health", "finance", "telecom", "public", "critical_infrastructure")
#: Every name that may stand before the "=", as shown to people.
NAMES = (
    *FLAGS, *WORDS, *MOMENTS, *(f"anchors.{name}" for name in ANCHORS), "elements.ELEMENT", "filed_at.JURISDICTION",
    *(f"findings.{name}" for name in (*JUDGED, *CHOSEN)), "findings.answers.KEY",
)  # fmt: skip
MINORS = ["minor_under_16", "minor_16_17"]


class SuppositionRefused(Refused):
    """What is to be supposed cannot be read; each line names it and the remedy."""


@dataclass(frozen=True)
class Supposed:
    """What would be known, the states of elements that would be others, and what differs from what is known."""

    known: Known
    elements: Mapping[str, str]
    changes: tuple[Difference, ...]


@dataclass(frozen=True)
class Crowd:
    """People whom the law cannot tell apart, with the languages of those to whom a letter can go."""

    group: Group
    languages: Mapping[str, int]


def suppose(*, incident: Incident, settings: Sequence[str], packs: PackSet, now: datetime) -> Supposed:
    """What is known, with each "FACT=VALUE" of `settings` laid over it. Raises SuppositionRefused or FactsRefused."""
    given = dict(_split(setting) for setting in settings)
    is_known, stored = known(incident=incident), incident.facts.facts
    _refuse_misspelt_sector(given.get("sector", ""), packs)
    facts = check_facts(_laid_over(stored, given), now=now) if given else stored
    would_be, changes = is_known, []
    for name, text in given.items():
        before = _seen(is_known, stored, name)
        would_be = _with(would_be, incident, facts, (name, text), packs)
        after = _seen(would_be, facts, name)
        changes += [Difference(name, before, after)] if before != after else []
    elements = {name.partition(".")[2]: text for name, text in given.items() if name.startswith("elements.")}
    return Supposed(would_be, elements, tuple(changes))


def _split(setting: str) -> tuple[str, str]:
    name, sign, value = (part.strip() for part in setting.partition("="))
    if not sign or not name:
        raise SuppositionRefused(f"'{setting}' is not FACT=VALUE, such as encrypted=true or findings.risk=high.")
    _refuse_unknown(name)
    return name, value


def _refuse_unknown(name: str) -> None:
    head, _, rest = name.partition(".")
    fits = {
        "anchors": rest in ANCHORS,
        "elements": bool(rest),
        "filed_at": bool(rest),
        "findings": rest in JUDGED or rest.partition(":")[0] in CHOSEN or rest.startswith("answers."),
    }.get(head, name in (*FLAGS, *WORDS, *MOMENTS))
    if not fits:
        near = get_close_matches(name, NAMES, n=1) or get_close_matches(f"findings.{name}", NAMES, n=1, cutoff=0.9)
        meant = f" Is '{near[0]}' meant?" if near else ""
        raise SuppositionRefused(f"'{name}' is nothing the law looks at.{meant} Known: {', '.join(NAMES)}.")


def _refuse_misspelt_sector(sector: str, packs: PackSet) -> None:
    """Any word may be a sector; one that looks like a sector of the packs and is none would change nothing, silently."""
    known_sectors = {*SECTORS, *(one for pack in packs for regime in pack.regimes for one in regime.sectors)}
    near = get_close_matches(sector, sorted(known_sectors), n=1, cutoff=0.8)
    if near and sector not in known_sectors:
        raise SuppositionRefused(f"sector: no pack names '{sector}'. Is '{near[0]}' meant?")


# -- facts -------------------------------------------------------------------------------------------------------------


def _laid_over(stored: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """The incident's facts in the shape of docs/facts.md, with what is given; they are checked as facts always are."""
    facts = {**stored, "anchors": dict(stored["anchors"]), "elements": dict(stored["elements"])}
    for name, text in given.items():
        head, _, rest = name.partition(".")
        if head in {"anchors", "elements"}:
            facts[head][rest] = _none(text)
        elif name in FLAGS:
            facts[name] = _flag(name, text)
        elif name in WORDS:
            facts[name] = _none(text)
    return facts


def _none(text: str) -> str | None:
    return None if text.lower() in {"", "null", "none"} else text


def _flag(name: str, text: str) -> bool:
    found = {"true": True, "yes": True, "false": False, "no": False}.get(text.lower())
    if found is None:
        raise SuppositionRefused(f"{name}: '{text}' is neither yes nor no; write {name}=true or {name}=false.")
    return found


def _with(about: Known, incident: Incident, facts: Mapping[str, Any], given: tuple[str, str], packs: PackSet) -> Known:
    """What is known, with one thing more supposed."""
    name, text = given
    head, _, rest = name.partition(".")
    if head == "findings":
        return _with_finding(about, incident, rest, text, packs)
    seen = about.facts
    if name in (*FLAGS, *WORDS):
        seen = replace(seen, **{name: facts[name]})
    elif head == "anchors":
        kept = {key: datetime.fromisoformat(at) for key, at in facts["anchors"].items() if key in ANCHORS}
        seen = replace(seen, anchors={Anchor(key): at for key, at in kept.items()})
    elif head == "filed_at":
        at = _moment(name, text)
        rest_filed = {place: moment for place, moment in seen.filed_at.items() if place != rest}
        seen = replace(seen, filed_at={**rest_filed, **({rest: at} if at else {})})
    elif name in MOMENTS:
        moments: dict[str, Any] = {name: _moment(name, text)}
        seen = replace(seen, **moments)
    return replace(about, facts=seen)


def _moment(name: str, text: str) -> datetime | None:
    if _none(text) is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise SuppositionRefused(f"{name}: '{text}' is not an ISO 8601 moment such as 2026-03-02T14:30+01:00.") from None
    if moment.tzinfo is None:
        raise SuppositionRefused(f"{name}: {text} has no zone; add its offset, such as +01:00.")
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise SuppositionRefused(f"{name}: {text} cannot be counted with; give a year from {EARLIEST_YEAR} to {LATEST_YEAR}.")
    return moment


# -- findings ----------------------------------------------------------------------------------------------------------


def _with_finding(about: Known, incident: Incident, rest: str, value: str, packs: PackSet) -> Known:
    key, _, scope = rest.partition(":")
    if key in CHOSEN:
        _refuse_value(rest, value, FINDING_VALUES[key])
        supposed = Finding(incident=incident, key=key, scope=scope, value=value, reason="only supposed")
        others = {other: found for other, found in about.findings.items() if other != (key, scope)}
        return replace(about, findings=others if value == UNKNOWN else {**others, (key, scope): supposed})
    findings, question = about.facts.findings, rest.removeprefix("answers.")
    if rest not in JUDGED:
        _refuse_question(question, packs)
    _refuse_value(rest, value, FINDING_VALUES.get(rest, YES_OR_NO))
    answer: dict[str, Any] = {rest: value} if rest in JUDGED else {"answers": {**findings.answers, question: value}}
    return replace(about, facts=replace(about.facts, findings=replace(findings, **answer)))


def _refuse_value(key: str, value: str, allowed: frozenset[str]) -> None:
    if value not in allowed | {UNKNOWN}:
        raise SuppositionRefused(f"findings.{key}: '{value}' is no answer; use one of: {', '.join(sorted(allowed))}, {UNKNOWN}.")


def _refuse_question(question: str, packs: PackSet) -> None:
    asked = {*keys_of(packs=packs), *(f"element:{element}" for element in packs.vocabulary.elements)}
    if question not in asked:
        near = get_close_matches(question, sorted(asked), n=1)
        meant = f" Is '{near[0]}' meant?" if near else " The command assess and the findings page show the open questions."
        raise SuppositionRefused(f"findings.answers.{question}: no law pack asks this question.{meant}")


def _seen(about: Known, facts: Mapping[str, Any], name: str) -> Any:
    """What is known under a name, for the list of what differs."""
    head, _, rest = name.partition(".")
    readers: dict[str, Callable[[], Any]] = {
        "anchors": lambda: about.facts.anchors.get(Anchor(rest)),
        "elements": lambda: facts["elements"].get(rest),
        "filed_at": lambda: about.facts.filed_at.get(rest),
        "findings": lambda: _finding(about, rest),
    }
    return readers.get(head, lambda: getattr(about.facts, name))()


def _finding(about: Known, rest: str) -> str:
    key, _, scope = rest.partition(":")
    if key in CHOSEN:
        found = about.findings.get((key, scope))
        return found.value if found else UNKNOWN
    if rest in JUDGED:
        return str(getattr(about.facts.findings, rest))
    return about.facts.findings.answers.get(rest.removeprefix("answers."), UNKNOWN)


# -- people ------------------------------------------------------------------------------------------------------------


def crowds(*, incident: Incident) -> tuple[Crowd, ...]:
    """Everybody on the list who is neither rejected nor merged, by what the law sees and by their clock, counted as of now."""
    minors = ExpressionWrapper(Q(flags__overlap=MINORS), output_field=BooleanField())
    people = living(incident=incident).annotate(minors=minors)
    rows = people.values("residence", "elements", "minors", "language", "status", "amendment__aware_at")
    counts: dict[Alike, int] = {}
    languages: dict[Alike, dict[str, int]] = {}
    for row in rows.annotate(living=Count("id")).order_by():
        key = (row["residence"], tuple(sorted(row["elements"])), row["minors"], row["amendment__aware_at"])
        counts[key] = counts.get(key, 0) + row["living"]
        spoken = languages.setdefault(key, {})
        if row["status"] == PersonStatus.CLEAR:
            spoken[row["language"]] = spoken.get(row["language"], 0) + row["living"]
    ordered = sorted(counts, key=lambda key: (*key[:3], str(key[3] or "")))
    return tuple(Crowd(_group(key, counts[key]), languages[key]) for key in ordered)


#: Residence, elements, minors, and for people found late the moment from which their clocks run.
Alike = tuple[str, tuple[str, ...], bool, datetime | None]


def _group(key: Alike, count: int) -> Group:
    residence, elements, minors, aware_at = key
    return Group(residence=residence, elements=frozenset(elements), count=count, minors=minors, aware_at=aware_at)


def exposed_as(*, group: Group, elements: Mapping[str, str]) -> Group:
    """The group, if these elements were exposed, not involved, or not known to be: of everybody in it."""
    sure, maybe = set(group.elements), set(group.maybe)
    for element, state in elements.items():
        for_some = state == "exposed_for_some" and element in group.elements
        sure.discard(element)
        maybe.discard(element)
        if state == "exposed" or for_some:
            sure.add(element)
        elif state != "not_involved":  # unknown, or exposed for some of whom nothing says which
            maybe.add(element)
    return replace(group, elements=frozenset(sure), maybe=frozenset(maybe))
