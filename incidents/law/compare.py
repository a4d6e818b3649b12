"""What changed: one pack between two days, one set of packs against another, the duties before and after.

Pure: packs and assessments go in, differences with their references come out. Law that is not law (proposed, not started)
never counts between two days; between two texts of a pack it does, because somebody wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime, timedelta
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from incidents.law.facts import Addressee, Assessment, Deadline, Duty, Owed
from incidents.law.pack import Pack, PackSet, Regime, Version

#: What a version says of itself; the law is the rest.
_ABOUT = frozenset({"from", "until", "status", "reference", "changed_by", "note", "from_memory", "checked_on", "verified"})
_HEAD_OF_LAW = ("scope", "sectors", "displaces", "judged_on")
#: The parts of a duty that people act on, in the order in which they are told.
_DUTY_PARTS = (
    "owed", "to", "copy_to", "content_required", "content_barred", "channels_allowed", "channels_barred", "monitoring_months",
    "substitute", "substitute_grounds", "assess_by", "on_no_harm", "reasons_for_delay_required",
)  # fmt: skip
_DEADLINE_PARTS = ("kind", "shown_at", "legal_end_at", "relative", "second_by", "final_by")


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same: its key, what it was and what it is (None: not there)."""

    key: str
    before: Any
    after: Any

    @property
    def words(self) -> str:
        """The difference in one line."""
        if _is_list(self.before) and _is_list(self.after) and set(map(str, self.before)) != set(map(str, self.after)):
            gone = [shown(one) for one in self.before if one not in self.after]
            new = [shown(one) for one in self.after if one not in self.before]
            parts = [f"{word} {', '.join(ones)}" for word, ones in (("no longer", gone), ("now also", new)) if ones]
            return f"{self.key}: {'; '.join(parts)}"
        return f"{self.key}: {shown(self.before)} -> {shown(self.after)}"


@dataclass(frozen=True)
class InForce:
    """One value that is law on a day: the regime, the path inside it, and its version."""

    regime: str
    path: str
    version: Version


@dataclass(frozen=True)
class ValueChange:
    """One value of one law: a version that follows another on a day (`on`), or that is written otherwise (`on` is None)."""

    jurisdiction: str
    regime: str
    path: str
    before: Version | None
    after: Version | None
    on: date | None = None
    differences: tuple[Difference, ...] = ()
    inherited_from: str = ""

    @property
    def references(self) -> tuple[str, ...]:
        """Where both versions are written, each once."""
        return tuple(dict.fromkeys(version.reference for version in (self.before, self.after) if version))


@dataclass(frozen=True)
class PackChange:
    """One pack (or a file that all packs share) that is not the same in two sets: `kind` is new, gone or changed."""

    jurisdiction: str
    name: str
    kind: str
    head: tuple[Difference, ...] = ()
    values: tuple[ValueChange, ...] = ()


@dataclass(frozen=True)
class DutyChange:
    """One duty that is not the same before and after; None where there is none on that side."""

    jurisdiction: str
    regime: str
    addressee: Addressee
    group: int | None
    before: Duty | None
    after: Duty | None
    differences: tuple[Difference, ...]

    @property
    def references(self) -> tuple[str, ...]:
        """Where both duties are written, each once."""
        return tuple(dict.fromkeys(one for duty in (self.before, self.after) if duty for one in duty.references))


@dataclass(frozen=True)
class AssessmentChange:
    """What is not the same between two assessments: the incident as a whole, and duty by duty."""

    whole: tuple[Difference, ...]
    duties: tuple[DutyChange, ...]


# -- one pack, two days --------------------------------------------------------------------------------------------


def values_on(*, pack: Pack, on: date) -> tuple[InForce, ...]:
    """Every value of every law of the pack that is in force on the local day `on`."""
    found = ((regime.id, path, regime.version(path=path, on=on)) for regime in pack.regimes for path in regime.paths)
    return tuple(InForce(regime, path, version) for regime, path, version in found if version is not None)


def between_days(*, pack: Pack, first: date, last: date) -> tuple[ValueChange, ...]:
    """Every step of every value between two local days, the later one included, in the order of the days."""
    found = [step for regime in pack.regimes for path in regime.paths for step in _steps(pack, regime, path, first, last)]
    return tuple(sorted(found, key=lambda step: (step.on or date.min, step.regime)))


def _steps(pack: Pack, regime: Regime, path: str, first: date, last: date) -> Iterator[ValueChange]:
    living = [version for version in regime.paths[path] if not version.dormant]
    days = {day for version in living for day in (version.from_on, version.until_on) if day and first < day <= last}
    for day in sorted(days):
        before, after = (regime.version(path=path, on=on) for on in (day - timedelta(days=1), day))
        if before is not after:
            found = tuple(_between_versions(before, after, leave_out=_ABOUT))
            origin = inherited_from(pack=pack, regime=regime.id, path=path)
            yield ValueChange(pack.id, regime.id, path, before, after, day, found, origin)


def inherited_from(*, pack: Pack, regime: str, path: str) -> str:
    """The union in whose pack a value is written, or nothing where it stands in the pack itself."""
    return "" if path in _own_paths(pack).get(regime, ()) or not pack.inherits else pack.inherits


def _own_paths(pack: Pack) -> dict[str, set[str]]:
    """The paths written in the pack itself, by regime."""
    regimes = pack.document.get("regimes", ())
    return {str(regime["id"]): set(_written(regime)) for regime in regimes}


def _written(regime: Mapping[str, Any]) -> Iterator[str]:
    for group, values in regime.items():
        if isinstance(values, Mapping):
            yield from (f"{group}.{key}" for key in values)


# -- two sets of packs ---------------------------------------------------------------------------------------------


def between_sets(*, before: PackSet, after: PackSet) -> tuple[PackChange, ...]:
    """What was written otherwise, pack by pack; what a pack inherits is told of its union alone."""
    ids = sorted({*before.packs, *after.packs})
    found = [_between_packs(before.packs.get(id_), after.packs.get(id_)) for id_ in ids]
    return (*_shared(before, after), *(change for change in found if change))


def _between_packs(before: Pack | None, after: Pack | None) -> PackChange | None:
    one = after or before
    assert one is not None
    if before is None or after is None:
        values = tuple(_values(before, after))
        return PackChange(one.id, one.name, "new" if before is None else "gone", values=values)
    head, values = tuple(_heads(before, after)), tuple(_values(before, after))
    return PackChange(one.id, one.name, "changed", head, values) if head or values else None


def _heads(before: Pack, after: Pack) -> Iterator[Difference]:
    yield from differences(before=before.document, after=after.document, leave_out={"regimes"})
    old, new = (_laws(pack) for pack in (before, after))
    for law in old.keys() & new.keys():
        heads = ({key: one.get(key) for key in _HEAD_OF_LAW} for one in (old[law], new[law]))
        yield from differences(before=next(heads), after=next(heads), key=law)


def _laws(pack: Pack) -> dict[str, Mapping[str, Any]]:
    return {str(regime["id"]): regime for regime in pack.document["regimes"]}


def _values(before: Pack | None, after: Pack | None) -> Iterator[ValueChange]:
    old, new = _own_values(before), _own_values(after)
    one = after or before
    assert one is not None
    for regime, path in dict.fromkeys([*old, *new]):
        for was, now in _paired(old.get((regime, path), ()), new.get((regime, path), ())):
            found = tuple(_between_versions(was, now))
            yield ValueChange(one.id, regime, path, was, now, differences=found)


def _own_values(pack: Pack | None) -> dict[tuple[str, str], tuple[Version, ...]]:
    if pack is None:
        return {}
    own = _own_paths(pack)
    return {
        (regime.id, path): versions
        for regime in pack.regimes
        for path, versions in regime.paths.items()
        if path in own.get(regime.id, ())
    }


def _paired(before: Sequence[Version], after: Sequence[Version]) -> Iterator[tuple[Version | None, Version | None]]:
    """Versions that belong together: those with the same first day, the rest in their order; equal ones are left out."""
    old = [version for version in before if version.value not in [other.value for other in after]]
    new = [version for version in after if version.value not in [other.value for other in before]]
    for version in list(old):
        same = next((other for other in new if (other.from_on, other.dormant) == (version.from_on, version.dormant)), None)
        if same:
            old.remove(version)
            new.remove(same)
            yield version, same
    yield from zip_longest(old, new)


def _shared(before: PackSet, after: PackSet) -> Iterator[PackChange]:
    """Calendars and words, which every pack uses."""
    words = [{part.name: getattr(one.vocabulary, part.name) for part in fields(one.vocabulary)} for one in (before, after)]
    files: dict[str, tuple[Any, Any]] = {
        "calendars.yaml": (before.calendars, after.calendars),
        "vocabulary.yaml": (words[0], words[1]),
    }
    for file, (was, now) in files.items():
        found = tuple(differences(before=was, after=now))
        if found:
            yield PackChange(file, "shared by all packs", "changed", found)


# -- two assessments -----------------------------------------------------------------------------------------------


def between_assessments(*, before: Assessment, after: Assessment) -> AssessmentChange:
    """What was owed and is owed, duty by duty. The groups of both must be the same people in the same order."""
    old, new = ({_key(duty): duty for duty in one.duties} for one in (before, after))
    found = (_between_duties(old.get(key), new.get(key)) for key in dict.fromkeys([*old, *new]))
    whole = (
        Difference(name, getattr(before, name), getattr(after, name))
        for name in ("lead_authority", "record_due", "law_unknown")
        if getattr(before, name) != getattr(after, name)
    )
    return AssessmentChange(tuple(whole), tuple(change for change in found if change))


def _key(duty: Duty) -> tuple[str, str, Addressee, int | None]:
    return (duty.jurisdiction, duty.regime, duty.addressee, duty.group)


def _between_duties(before: Duty | None, after: Duty | None) -> DutyChange | None:
    one = after or before
    assert one is not None
    found = tuple(differences(before=_asked(before), after=_asked(after)))
    return DutyChange(one.jurisdiction, one.regime, one.addressee, one.group, before, after, found) if found else None


def _asked(duty: Duty | None) -> dict[str, Any]:
    """What a duty asks, part by part. A duty that is not owed and one that the law does not know ask the same: nothing."""
    if duty is None:
        return {"owed": Owed.NO, "deadline": {}}
    parts = {name: getattr(duty, name) for name in _DUTY_PARTS}
    parts = {name: list(value) if isinstance(value, tuple) else value for name, value in parts.items()}
    asked = {name: value for name, value in parts.items() if value not in ([], None, 0, False)}
    asked["deadline"] = _deadline(duty.deadline) if duty.deadline else {}
    if duty.questions:
        asked["questions"] = [question.text for question in duty.questions]
    return asked if duty.owed is Owed.NO else {**asked, "references": list(duty.references)}


def _deadline(deadline: Deadline) -> dict[str, Any]:
    """The parts of a deadline, its moments as the clock on the wall of the authority shows them."""
    parts = {name: getattr(deadline, name) for name in _DEADLINE_PARTS}
    zone = ZoneInfo(deadline.zone)
    return {name: part.astimezone(zone) if isinstance(part, datetime) else part for name, part in parts.items()}


# -- any two values ------------------------------------------------------------------------------------------------


def differences(
    *, before: Any, after: Any, key: str = "", leave_out: frozenset[str] | set[str] = frozenset()
) -> Iterator[Difference]:
    """What is not the same in two values, by dotted key. Lists of words are one value; `leave_out` holds keys of the top."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in dict.fromkeys([*before, *after]):
            if name not in leave_out:
                inner = f"{key}.{name}" if key else str(name)
                yield from differences(before=before.get(name), after=after.get(name), key=inner)
    elif _alike(before, after):
        for number, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from differences(before=old, after=new, key=f"{key}[{number}]")
    elif before != after:
        yield Difference(key, before, after)


def _between_versions(
    before: Version | None, after: Version | None, *, leave_out: frozenset[str] = frozenset()
) -> Iterator[Difference]:
    if before and after:
        yield from differences(before=before.value, after=after.value, leave_out=leave_out)


def _alike(before: Any, after: Any) -> bool:
    """Whether two lists hold as many mappings each, so that one can be held against the other."""
    both = _is_list(before) and _is_list(after) and len(before) == len(after)
    return both and any(isinstance(one, Mapping) for one in [*before, *after])


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def shown(value: Any) -> str:
    """A value as a piece of one line."""
    if value is None or value in ("", [], (), {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(timespec="minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {shown(inner)}" for name, inner in value.items())
    return ", ".join(shown(one) for one in value) if isinstance(value, list | tuple | set | frozenset) else str(value)
