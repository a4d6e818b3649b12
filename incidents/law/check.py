"""Checks the files of a set of packs in full: every problem with file, line, key and remedy, and how sure the packs are.

Loading stops at the first problem; this goes on to the last one. It runs when somebody asks for it, never at a normal start.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from incidents.law.check_rules import RULES, File, Forms, PackProblem, Whole
from incidents.law.check_schema import schema_problems
from incidents.law.overlay import Sources
from incidents.law.pack import DORMANT
from incidents.law.pack_files import CALENDARS, SCHEMA, VOCABULARY, PackError
from incidents.law.strict_yaml import Lined, StrictYamlError, parse_yaml

ERROR, WARNING = "error", "warning"


class UnreadablePack(PackError):
    """A file that is no YAML, so that nothing in it can be checked."""


@dataclass(frozen=True)
class PackReport:
    """Every problem of the files asked about, and the counts of what is not sure."""

    problems: tuple[PackProblem, ...]
    counts: Mapping[str, int]

    @property
    def errors(self) -> tuple[PackProblem, ...]:
        """What is refused."""
        return tuple(found for found in self.problems if found.level == ERROR)

    @property
    def warnings(self) -> tuple[PackProblem, ...]:
        """What somebody should look at."""
        return tuple(found for found in self.problems if found.level == WARNING)

    @property
    def exit_code(self) -> int:
        """1 where something is refused, else 0."""
        return 1 if self.errors else 0

    @property
    def summary(self) -> str:
        """The counts in one line."""
        return (
            "{packs} packs with {values} values: {values_from_memory} values and {packs_from_memory} whole packs from memory, "
            "{packs_partly_from_memory} packs with parts from memory, {packs_in_doubt} packs with {doubts} doubts, "
            "{not_law} values that are no law yet, {old} not checked for 180 days."
        ).format(**self.counts)

    def to_json(self) -> dict[str, Any]:
        """The report as data."""
        return {
            "errors": [found.to_json() for found in self.errors],
            "warnings": [found.to_json() for found in self.warnings],
            "counts": dict(self.counts),
        }


def check_packs(*, sources: Sources, forms: Forms, today: date) -> PackReport:
    """Everything that is wrong with the given files of a set; raises UnreadablePack for a file that is no YAML."""
    files = {name: _file(name, data, sources) for name, data in sources.content.items() if name != SCHEMA}
    asked = {name: file for name, file in files.items() if name in sources.given or {VOCABULARY, CALENDARS} & set(sources.given)}
    schema = json.loads(sources.content[SCHEMA])
    problems = [problem for file in asked.values() for problem in schema_problems(file=file, schema=schema)]
    broken = {problem.file for problem in problems}
    sound = {name: file for name, file in files.items() if file.place not in broken}
    if {VOCABULARY, CALENDARS} <= sound.keys():
        whole = Whole(sound, sound[VOCABULARY].document, sound[CALENDARS].document, forms, today)
        problems += [problem for name in asked if name in sound for rule in RULES for problem in rule(sound[name], whole)]
    return PackReport(tuple(problems), _counts([sound[name] for name in asked if name in sound], problems))


def _file(name: str, data: bytes, sources: Sources) -> File:
    place = sources.place(name=name)
    try:
        document = parse_yaml(data=data, path=place)
    except StrictYamlError as error:
        remedy = "correct the file; nothing of it was checked"
        raise UnreadablePack(file=place, line=error.line, key=error.key, problem=error.problem, remedy=remedy) from None
    if not isinstance(document, Lined):
        problem, remedy = "the file is not a mapping of keys", "start from another pack"
        raise UnreadablePack(file=place, line=1, key="-", problem=problem, remedy=remedy)
    return File(name, place, document, tuple(data.decode("utf-8-sig").splitlines()))


def _counts(files: list[File], problems: list[PackProblem]) -> dict[str, int]:
    packs = [file.document for file in files if file.is_pack]
    values = [value for pack in packs for value in _values(pack)]
    return {
        "packs": len(packs),
        "values": len(values),
        "values_from_memory": sum(bool(value.get("from_memory")) or value.get("verified") == "memory" for value in values),
        "packs_from_memory": sum(pack["verified"] == "memory" for pack in packs),
        "packs_partly_from_memory": sum(bool(pack.get("from_memory")) for pack in packs),
        "packs_in_doubt": sum(bool(pack.get("doubt")) for pack in packs),
        "doubts": sum(len(pack.get("doubt", ())) for pack in packs),
        "not_law": sum(value.get("status") in DORMANT for value in values),
        "old": sum(problem.rule == "old" for problem in problems),
        "errors": sum(problem.level == ERROR for problem in problems),
        "warnings": sum(problem.level == WARNING for problem in problems),
    }


def _values(pack: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for regime in pack["regimes"]:
        for group in regime.values():
            for versions in group.values() if isinstance(group, Mapping) else ():
                yield from versions
