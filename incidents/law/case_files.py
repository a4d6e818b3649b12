"""Reads law case files (the format is docs/law-cases.md) into facts, groups and expectations, strictly.

Whatever cannot be understood is an error with file, line and key: a case that is silently misread proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from incidents.law.competence import UNION
from incidents.law.facts import Addressee, Anchor, Findings, Group, IncidentFacts, Moment
from incidents.law.pack import PackSet
from incidents.law.strict_yaml import QUOTE_NORWAY, Lined, StrictYamlError, read_yaml

RISKS = {"unlikely", "risk", "high", "unknown"}
CAUSES = {"attack", "error", "loss", "insider", "unknown"}
ROLES = {"controller", "processor"}
DECIDED = {"yes", "no", "unknown"}
RELATIVES = {"before_individuals", "same_time_as_individuals", "no_later_than_individuals"}
_ANCHORS = {anchor.value for anchor in Anchor}
_MOMENTS = {"processor_aware_at", "law_enforcement_hold_until"}
_FLAGS = {"encrypted", "key_taken", "contained"}
_TEXTS = {"based_in", "established_in", "sector"}


class CaseFileError(ValueError):
    """A case file that cannot be run: file, line (from 1), key and what is wrong."""

    def __init__(self, *, file: str, line: int, key: str, problem: str) -> None:
        self.file, self.line, self.key, self.problem = file, line, key, problem
        super().__init__(f"{file}:{line}: {key}: {problem}")


@dataclass(frozen=True)
class Expected:
    """What one jurisdiction owes one addressee, as far as the case says: checks by name."""

    jurisdiction: str
    addressee: Addressee
    checks: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """One law case: a sentence, some facts, and what must follow."""

    file: str
    line: int
    name: str
    facts: IncidentFacts
    groups: tuple[Group, ...]
    expected: tuple[Expected, ...]
    #: `lead_authority` and `record`, where the case names them.
    whole: Mapping[str, Any]


def read_cases(*, path: Path, packs: PackSet) -> list[Case]:
    """All cases of one file; raises CaseFileError."""
    try:
        document = read_yaml(path=path)
    except StrictYamlError as error:
        raise CaseFileError(file=error.path, line=error.line, key=error.key, problem=error.problem) from None
    reader = _Reader(file=str(path), packs=packs)
    if not isinstance(document, Lined) or not isinstance(document.get("cases"), list):
        raise reader.error(1, "cases", "the file must hold a list named cases")
    return [reader.case(item) for item in document["cases"]]


@dataclass(frozen=True)
class _Reader:
    file: str
    packs: PackSet

    def error(self, line: int, key: str, problem: str) -> CaseFileError:
        return CaseFileError(file=self.file, line=line, key=key, problem=problem)

    def mapping(self, value: Any, line: int, key: str) -> Lined:
        if not isinstance(value, Lined):
            raise self.error(line, key, "must be a mapping")
        return value

    def only(self, found: Lined, allowed: set[str], where: str) -> None:
        for key in found:
            if key not in allowed:
                problem = f"not a key of {where}; known: {', '.join(sorted(allowed))}"
                raise self.error(found.line_of(key), key, problem)

    def case(self, item: Any) -> Case:
        found = self.mapping(item, 1, "cases")
        self.only(found, {"name", "incident", "people", "expect"}, "a case")
        for key in ("name", "expect"):
            if key not in found:
                raise self.error(found.line, key, "is missing")
        incident = found.get("incident") or Lined()
        expected, whole = self.expect(self.mapping(found["expect"], found.line_of("expect"), "expect"))
        return Case(
            file=self.file,
            line=found.line,
            name=str(found["name"]),
            facts=self.facts(self.mapping(incident, found.line_of("incident"), "incident")),
            groups=self.people(found),
            expected=expected,
            whole=whole,
        )

    # -- the incident

    def facts(self, found: Lined) -> IncidentFacts:
        known = {*_ANCHORS, *_MOMENTS, *_FLAGS, *_TEXTS, "role", "cause", "filed_at", "findings"}
        self.only(found, known, "incident")
        moments = {key: self.moment(found, key) for key in found if key in _ANCHORS | _MOMENTS}
        given = {key: value for key, value in moments.items() if value is not None}
        return IncidentFacts(
            anchors={Anchor(key): value for key, value in given.items() if key in _ANCHORS},
            processor_aware_at=given.get("processor_aware_at"),
            law_enforcement_hold_until=given.get("law_enforcement_hold_until"),
            filed_at=self.filings(found),
            based_in=self.text(found, "based_in"),
            established_in=self.established_in(found),
            sector=self.text(found, "sector") or "retail",
            findings=self.findings(found),
            role=self.word(found, "role", ROLES, absent="controller"),
            cause=self.word(found, "cause", CAUSES, absent="attack"),
            encrypted=self.flag(found, "encrypted"),
            key_taken=self.flag(found, "key_taken"),
            contained=self.flag(found, "contained"),
        )

    def established_in(self, found: Lined) -> str | None:
        """As written; where absent, the organisation's own country if that is in the EEA."""
        if "established_in" in found:
            return self.text(found, "established_in")
        based = self.text(found, "based_in")
        return based if based in self.packs.members(union=UNION) else None

    def filings(self, found: Lined) -> dict[str, Moment]:
        filed = self.mapping(found.get("filed_at") or Lined(), found.line_of("filed_at"), "filed_at")
        moments = {key: self.moment(filed, key) for key in filed}
        return {key: value for key, value in moments.items() if value is not None}

    def findings(self, found: Lined) -> Findings:
        given = self.mapping(found.get("findings") or Lined(), found.line_of("findings"), "findings")
        self.only(given, {"risk", "misuse_likely", "serious_harm_likely", "answers"}, "findings")
        answers = self.mapping(given.get("answers") or Lined(), given.line_of("answers"), "answers")
        return Findings(
            risk=self.word(given, "risk", RISKS, absent="unknown"),
            misuse_likely=self.word(given, "misuse_likely", DECIDED, absent="unknown"),
            serious_harm_likely=self.word(given, "serious_harm_likely", DECIDED, absent="unknown"),
            answers={key: self.word(answers, key, DECIDED, absent="unknown") for key in answers},
        )

    # -- the people

    def people(self, found: Lined) -> tuple[Group, ...]:
        listed = found.get("people") or []
        if not isinstance(listed, list):
            raise self.error(found.line_of("people"), "people", "must be a list of groups")
        return tuple(self.group(item, found.line_of("people")) for item in listed)

    def group(self, item: Any, line: int) -> Group:
        found = self.mapping(item, line, "people")
        self.only(found, {"residence", "elements", "maybe", "count", "minors"}, "a group of people")
        residence = self.text(found, "residence")
        if not residence:
            raise self.error(found.line_of("residence"), "residence", "is missing")
        count = found.get("count")
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise self.error(found.line_of("count"), "count", "must be a whole number, 0 or more")
        return Group(
            residence=residence,
            elements=frozenset(self.items(found, "elements")),
            count=count,
            maybe=frozenset(self.items(found, "maybe")),
            minors=self.flag(found, "minors"),
        )

    # -- what is expected

    def expect(self, found: Lined) -> tuple[tuple[Expected, ...], dict[str, Any]]:
        whole: dict[str, Any] = {}
        expected: list[Expected] = []
        for key, value in found.items():
            if key == "lead_authority":
                whole[key] = self.text(found, key)
            elif key == "record":
                whole[key] = self.flag(found, key)
            else:
                expected += self.jurisdiction(key, self.mapping(value, found.line_of(key), key))
        return tuple(expected), whole

    def jurisdiction(self, name: str, found: Lined) -> list[Expected]:
        self.only(found, {addressee.value for addressee in Addressee}, f"the expectations of {name}")
        return [
            Expected(name, Addressee(key), self.checks(self.mapping(value, found.line_of(key), key)))
            for key, value in found.items()
        ]

    def checks(self, found: Lined) -> dict[str, Any]:
        readers: dict[str, Callable[[Lined, str], Any]] = {
            "owed": lambda f, k: self.word(f, k, {"yes", "no", "ask"}),
            "by": self.by,
            "second_by": self.by,
            "no_fixed_date": self.flag,
            "relative": lambda f, k: self.word(f, k, RELATIVES),
            "to": self.items,
            "monitoring_months": self.number,
            "must_state": self.items,
            "must_not_state": self.items,
            "because": self.text,
        }
        self.only(found, set(readers), "an expectation")
        return {key: readers[key](found, key) for key in found}

    def by(self, found: Lined, key: str) -> tuple[Moment, Moment]:
        value = found[key]
        if isinstance(value, list) and len(value) != 2:
            raise self.error(found.line_of(key), key, "write one moment, or [earliest, latest]")
        ends = value if isinstance(value, list) else [value, value]
        first, last = (self.parsed(end, found.line_of(key), key) for end in ends)
        return first, last

    # -- single values

    def moment(self, found: Lined, key: str) -> Moment | None:
        return None if found[key] is None else self.parsed(found[key], found.line_of(key), key)

    def parsed(self, value: Any, line: int, key: str) -> Moment:
        text = str(value).strip()
        try:
            if len(text) == len("2026-05-11"):
                return date.fromisoformat(text)
            moment = datetime.fromisoformat(text)
        except ValueError:
            problem = f"{text!r} is no ISO 8601 date or timestamp, such as 2026-05-11 or 2026-05-11T09:00+02:00"
            raise self.error(line, key, problem) from None
        if moment.tzinfo is None:
            raise self.error(line, key, f"the timestamp {text} needs its offset, such as +02:00 or Z")
        return moment

    def text(self, found: Lined, key: str) -> str | None:
        value = found.get(key)
        if isinstance(value, bool):
            raise self.error(found.line_of(key), key, QUOTE_NORWAY)
        if value is not None and not isinstance(value, str):
            raise self.error(found.line_of(key), key, "must be text; write it in quotes")
        return value

    def flag(self, found: Lined, key: str) -> bool:
        value = found.get(key, False)
        if value in ("yes", "no"):
            return bool(value == "yes")
        if not isinstance(value, bool):
            raise self.error(found.line_of(key), key, "must be true or false")
        return value

    def number(self, found: Lined, key: str) -> int:
        value = found[key]
        if not isinstance(value, int) or isinstance(value, bool):
            raise self.error(found.line_of(key), key, "must be a whole number")
        return value

    def word(self, found: Lined, key: str, allowed: set[str], *, absent: str = "") -> str:
        value = found.get(key, absent)
        word = {True: "yes", False: "no", None: "unknown"}.get(value, value) if not isinstance(value, list) else ""
        if word not in allowed:
            raise self.error(found.line_of(key), key, f"{value!r} is not one of: {', '.join(sorted(allowed))}")
        return str(word)

    def items(self, found: Lined, key: str) -> list[str]:
        value = found.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(found.line_of(key), key, "must be a list of words")
        return value
