"""Reads law case files (the format is docs/law-cases.md) into facts, groups and expectations, strictly.

Whatever cannot be understood is an error with file, line, key and what to write instead: a case that is silently misread,
or that checks nothing, proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from incidents.law.case_values import MOST_PEOPLE, CaseFileError, Values
from incidents.law.competence import UNION
from incidents.law.facts import Addressee, Anchor, Findings, Group, IncidentFacts, Moment
from incidents.law.pack import PackSet
from incidents.law.places import may_mean
from incidents.law.strict_yaml import Lined, StrictYamlError, read_yaml

__all__ = ["Case", "CaseFileError", "Expected", "read_cases"]

RISKS = {"unlikely", "risk", "high", "unknown"}
CAUSES = {"attack", "error", "loss", "insider", "unknown"}
ROLES = {"controller", "processor"}
DECIDED = {"yes", "no", "unknown"}
RELATIVES = {"before_individuals", "same_time_as_individuals", "no_later_than_individuals"}
_ANCHORS = {anchor.value for anchor in Anchor}
_MOMENTS = {"processor_aware_at", "law_enforcement_hold_until"}
_FLAGS = {"encrypted", "key_taken", "contained"}
_TEXTS = {"based_in", "established_in", "sector"}
LONGEST_PLACE = 60
_ONE = "- name: A sentence, with expect: below it"
_CASE = f"write {_ONE}"
_GROUP = "write - {residence: FR, elements: [name], count: 5}"
_EXPECT = "write FR: {person: {owed: yes}}"


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
    if not isinstance(document, Lined) or not isinstance(document.get("cases"), list) or not document["cases"]:
        line = document.line_of("cases") if isinstance(document, Lined) else 1
        raise reader.error(line, "cases", "the file must hold a list named cases", f"write cases: and below it {_ONE}")
    return [reader.case(item, document.line_of("cases", index)) for index, item in enumerate(document["cases"])]


class _Reader(Values):
    """Reads the cases of one file, part by part."""

    def case(self, item: Any, line: int) -> Case:
        found = self.mapping(item, line, "cases", instead=_CASE)
        self.only(found, {"name", "incident", "people", "expect"}, "a case")
        for key in ("name", "expect"):
            if key not in found:
                raise self.error(found.line, key, "is missing", _CASE)
        expected, whole = self.expect(self.filled(found["expect"], found.line_of("expect"), "expect"))
        return Case(
            file=self.file,
            line=found.line,
            name=self.name(found),
            facts=self.facts(self.inner(found, "incident", instead="write incident: {aware_at: 2026-05-11}")),
            groups=self.people(found),
            expected=expected,
            whole=whole,
        )

    def name(self, found: Lined) -> str:
        """The sentence, on one line."""
        value = found["name"]
        sentence = " ".join(str(value).split()) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
        if not sentence or not sentence.isprintable():
            raise self.error(found.line_of("name"), "name", "must be a sentence", "write what must follow, in words")
        return sentence

    def filled(self, value: Any, line: int, key: str) -> Lined:
        """A mapping of expectations, which must not be empty: a case that checks nothing always passes."""
        found = self.mapping(value, line, key, instead=_EXPECT)
        if not found:
            raise self.error(line, key, "is empty, so that nothing would be checked", _EXPECT)
        return found

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
            based_in=self.country(found, "based_in"),
            established_in=self.established_in(found),
            sector=self.sector(found),
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
            return self.country(found, "established_in")
        based = self.country(found, "based_in")
        return based if based in self.packs.members(union=UNION) else None

    def filings(self, found: Lined) -> dict[str, Moment]:
        filed = self.inner(found, "filed_at", instead="write filed_at: {FR: 2026-05-11}")
        for key in filed:
            if key not in self.packs.packs:
                meant = " or ".join(may_mean(word=key)) or "the id of a pack, such as FR or US-CA"
                raise self.error(filed.line_of(key), key, "there is no law pack of this name", f"write {meant}")
        moments = {key: self.moment(filed, key) for key in filed}
        return {key: value for key, value in moments.items() if value is not None}

    def findings(self, found: Lined) -> Findings:
        given = self.inner(found, "findings", instead="write findings: {risk: high}")
        self.only(given, {"risk", "misuse_likely", "serious_harm_likely", "answers"}, "findings")
        answers = self.inner(given, "answers", instead="write answers: {enough_for_identity_theft: yes}")
        return Findings(
            risk=self.word(given, "risk", RISKS, absent="unknown"),
            misuse_likely=self.word(given, "misuse_likely", DECIDED, absent="unknown"),
            serious_harm_likely=self.word(given, "serious_harm_likely", DECIDED, absent="unknown"),
            answers={key: self.word(answers, key, DECIDED, absent="unknown") for key in answers},
        )

    # -- the people

    def people(self, found: Lined) -> tuple[Group, ...]:
        listed = found.get("people")
        if listed is None:
            return ()
        if not isinstance(listed, list):
            raise self.error(found.line_of("people"), "people", "must be a list of groups", _GROUP)
        return tuple(self.group(item, found.line_of("people", index)) for index, item in enumerate(listed))

    def group(self, item: Any, line: int) -> Group:
        found = self.mapping(item, line, "people", instead=_GROUP)
        self.only(found, {"residence", "elements", "maybe", "count", "minors"}, "a group of people")
        for key in ("residence", "elements", "count"):
            if found.get(key) is None or found[key] == "":
                raise self.error(found.line_of(key), key, "is missing", _GROUP)
        residence = (self.text(found, "residence") or "").strip()
        if not residence.isprintable() or not 0 < len(residence) <= LONGEST_PLACE:
            raise self.error(found.line_of("residence"), "residence", "is no place", "write a code: FR, US-CA, CA-ON")
        return Group(
            residence=residence,
            elements=frozenset(self.items(found, "elements")),
            count=self.number(found, "count", most=MOST_PEOPLE),
            maybe=frozenset(self.items(found, "maybe") if "maybe" in found else ()),
            minors=self.flag(found, "minors"),
        )

    # -- what is expected

    def expect(self, found: Lined) -> tuple[tuple[Expected, ...], dict[str, Any]]:
        whole: dict[str, Any] = {}
        expected: list[Expected] = []
        for key, value in found.items():
            if key == "lead_authority":
                whole[key] = self.country(found, key)
            elif key == "record":
                whole[key] = self.flag(found, key)
            else:
                expected += self.jurisdiction(key, self.filled(value, found.line_of(key), key))
        return tuple(expected), whole

    def jurisdiction(self, name: str, found: Lined) -> list[Expected]:
        if not name.isprintable() or not 0 < len(name.strip()) <= LONGEST_PLACE:
            raise self.error(found.line, name, "is no jurisdiction", _EXPECT)
        self.only(found, {addressee.value for addressee in Addressee}, f"the expectations of {name}")
        return [
            Expected(name, Addressee(key), self.checks(self.filled(value, found.line_of(key), key)))
            for key, value in found.items()
        ]

    def checks(self, found: Lined) -> dict[str, Any]:
        readers: dict[str, Callable[[Lined, str], Any]] = {
            "owed": lambda f, k: self.word(f, k, {"yes", "no", "ask"}),
            "by": self.by,
            "second_by": self.by,
            "final_by": self.by,
            "no_fixed_date": self.flag,
            "relative": lambda f, k: self.word(f, k, RELATIVES),
            "to": self.items,
            "monitoring_months": self.number,
            "must_state": self.items,
            "must_not_state": self.items,
            "because": self.pinpoint,
        }
        self.only(found, set(readers), "an expectation")
        return {key: readers[key](found, key) for key in found}
