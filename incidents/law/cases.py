"""Runs law cases: a sentence, some facts, and what the engine must conclude (the format is docs/law-cases.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from incidents.law.case_files import Case, CaseFileError, Expected, read_cases
from incidents.law.competence import UNION
from incidents.law.deadlines import earliest, local_day
from incidents.law.engine import assess
from incidents.law.facts import Assessment, Duty, Moment, Owed, Reason
from incidents.law.pack import PackSet
from incidents.law.places import is_no_part, residence_of

__all__ = ["CaseFailure", "CaseFileError", "CaseReport", "Difference", "run_case", "run_case_files"]


@dataclass(frozen=True)
class Difference:
    """One expectation that was not met: where, what was expected, what came, and the reference of the rule."""

    jurisdiction: str
    addressee: str
    expected: str
    got: str
    reference: str

    def __str__(self) -> str:
        where = f"{self.jurisdiction} {self.addressee}".strip()
        return f"{where}: expected {self.expected}, got {self.got} [{self.reference}]"


@dataclass(frozen=True)
class CaseFailure:
    """One case that failed, with every difference found. Printed, it is one line."""

    file: str
    line: int
    name: str
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        return f"{self.name}: " + "; ".join(map(str, self.differences))


@dataclass(frozen=True)
class CaseReport:
    """How a run went; `lines` is what is printed, `exit_code` 0 or 1."""

    passed: int
    failed: tuple[CaseFailure, ...]

    @property
    def lines(self) -> list[str]:
        """One line for each failed case, then the sum."""
        return [*map(str, self.failed), f"{self.passed} passed, {len(self.failed)} failed"]

    @property
    def exit_code(self) -> int:
        """0 when all passed, 1 when one failed. A malformed file raises CaseFileError: exit code 2."""
        return 1 if self.failed else 0

    def as_dict(self) -> dict[str, Any]:
        """The report for --json."""
        return {"passed": self.passed, "failed": len(self.failed), "failures": [asdict(f) for f in self.failed]}


def run_case_files(*, paths: Sequence[Path], packs: PackSet) -> CaseReport:
    """Runs every case of every file; raises CaseFileError for a malformed one before any case is judged."""
    cases = [case for path in paths for case in read_cases(path=path, packs=packs)]
    failures = [failure for case in cases if (failure := run_case(case=case, packs=packs))]
    return CaseReport(passed=len(cases) - len(failures), failed=tuple(failures))


def run_case(*, case: Case, packs: PackSet) -> CaseFailure | None:
    """The differences between a case and the engine, joined in one failure; None where there are none."""
    found = assess(facts=case.facts, groups=case.groups, packs=packs)
    differences = [*_whole(case, found), *(d for item in case.expected for d in _differences(item, found, packs))]
    if not differences:
        return None
    return CaseFailure(file=case.file, line=case.line, name=case.name, differences=tuple(differences))


def _whole(case: Case, found: Assessment) -> Iterator[Difference]:
    got = {"lead_authority": found.lead_authority, "record": found.record_due}
    for key, wanted in case.whole.items():
        if got[key] != wanted:
            yield Difference(key, "", str(wanted), str(got[key]), "-")


@dataclass(frozen=True)
class _Found:
    """The duties one expectation speaks of, seen as one: yes if owed to any group, else ask, else no."""

    duties: Sequence[Duty]
    known: bool

    @property
    def owed(self) -> str:
        states = {duty.owed for duty in self.duties}
        if not self.duties:
            return "no" if self.known else "unknown (no law pack)"
        return next(state.value for state in (Owed.YES, Owed.ASK, Owed.NO) if state in states)

    @property
    def telling(self) -> list[Duty]:
        return [duty for duty in self.duties if duty.owed.value == self.owed]

    @property
    def reference(self) -> str:
        references = dict.fromkeys(reference for duty in self.telling for reference in duty.references)
        return "; ".join(references) or ("no duty of this kind there" if self.known else "no pack")

    def values(self, name: str) -> list[Any]:
        return [value for duty in self.telling if duty.deadline and (value := getattr(duty.deadline, name)) is not None]

    def items(self, name: str) -> set[str]:
        return {item for duty in self.telling for item in getattr(duty, name)}


def _differences(expected: Expected, found: Assessment, packs: PackSet) -> Iterator[Difference]:
    ids = _jurisdictions(expected.jurisdiction, packs)
    duties = [d for d in found.duties if d.jurisdiction in ids and d.addressee is expected.addressee]
    seen = _Found(duties, known=any(id_ in packs.packs for id_ in ids))
    for key, wanted in expected.checks.items():
        # Without a pack and without a question the engine has said nothing: no check is met by that.
        got = _CHECKS[key](wanted, seen) if seen.known or duties else seen.owed
        if got is not None:
            text = f"{key} {_text(wanted)}"
            yield Difference(expected.jurisdiction, expected.addressee.value, text, got, seen.reference)


def _jurisdictions(name: str, packs: PackSet) -> set[str]:
    if name == UNION:
        return set(packs.members(union=UNION))
    place = residence_of(code=name)
    pack = None if is_no_part(residence=place) else packs.find(residence=place)
    return {name, name.upper(), place, pack.id} if pack else {name, name.upper(), place}


# Each check gives None where it is met, else what was got.


def _owed(wanted: str, seen: _Found) -> str | None:
    return None if seen.owed == wanted else seen.owed


def _by(name: str) -> Callable[[tuple[Moment, Moment], _Found], str | None]:
    def check(wanted: tuple[Moment, Moment], seen: _Found) -> str | None:
        shown = seen.values(name)
        if not shown:
            return "no date"
        zone = ZoneInfo(seen.values("zone")[0])
        first = earliest(moments=shown, zone=zone)
        return None if first is not None and _within(first, wanted, zone) else _text(first)

    return check


def _within(shown: Moment, wanted: tuple[Moment, Moment], zone: ZoneInfo) -> bool:
    first, last = wanted
    return _not_before(shown, first, zone) and _not_before(last, shown, zone)


def _not_before(later: Moment, earlier: Moment, zone: ZoneInfo) -> bool:
    """Instants are compared as instants; where one side is a date, local days are."""
    if isinstance(later, datetime) and isinstance(earlier, datetime):
        return later >= earlier
    return local_day(moment=later, zone=zone) >= local_day(moment=earlier, zone=zone)


def _no_fixed_date(wanted: bool, seen: _Found) -> str | None:
    shown = seen.values("shown_at")
    if bool(shown) != wanted:
        return None
    return _text(shown[0]) if shown else "no date"


def _relative(wanted: str, seen: _Found) -> str | None:
    got = seen.values("relative")
    return None if got and set(got) == {wanted} else ", ".join(dict.fromkeys(got)) or "not relative"


def _to(wanted: list[str], seen: _Found) -> str | None:
    """Every regulator named, no other; bodies that get a copy may be named."""
    named = [_parts(name) for name in wanted]
    told, copied = ([_parts(name) for name in seen.items(key)] for key in ("to", "copy_to"))
    all_known = all(any(part & other for other in told + copied) for part in named)
    none_left = all(any(part & other for other in named) for part in told)
    return None if all_known and none_left else ", ".join(sorted(seen.items("to"))) or "no one"


def _parts(name: str) -> set[str]:
    """A regulator's name without case and remarks; "one; the other" and "one, its division" are known by either part."""
    return {_plain(part) for part in name.replace("; ", ", ").split(", ")}


def _plain(name: str) -> str:
    """A regulator's name without case, quote style and the abbreviation or remark in brackets behind it."""
    return name.replace("’", "'").partition(" (")[0].casefold().strip()


def _monitoring(wanted: int, seen: _Found) -> str | None:
    got = max((duty.monitoring_months for duty in seen.telling), default=0)
    return None if got == wanted else str(got)


def _stated(name: str) -> Callable[[list[str], _Found], str | None]:
    def check(wanted: list[str], seen: _Found) -> str | None:
        got = seen.items(name)
        return None if set(wanted) <= got else ", ".join(sorted(got)) or "nothing"

    return check


def _because(wanted: str, seen: _Found) -> str | None:
    references = [reference for duty in seen.telling for reference in [*duty.references, *_cited(duty.reasons)]]
    return None if any(_squeezed(wanted) in _squeezed(r) for r in references) else seen.reference


def _cited(reasons: Sequence[Reason]) -> Iterator[str]:
    for reason in reasons:
        yield reason.reference
        yield from _cited(reason.parts)


def _squeezed(text: str) -> str:
    return "".join(text.split()).casefold()


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return _text(value[0]) if value[0] == value[1] else f"{_text(value[0])} to {_text(value[1])}"
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


_CHECKS: dict[str, Callable[[Any, _Found], str | None]] = {
    "owed": _owed,
    "by": _by("shown_at"),
    "second_by": _by("second_by"),
    "final_by": _by("final_by"),
    "no_fixed_date": _no_fixed_date,
    "relative": _relative,
    "to": _to,
    "monitoring_months": _monitoring,
    "must_state": _stated("content_required"),
    "must_not_state": _stated("content_barred"),
    "because": _because,
}
