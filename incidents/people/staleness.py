"""Which obligations no longer follow from what is known: the law is asked in memory, and its answer held against what is stored.

Nothing of this is stored. A mark says what would be different (by the pack's own paths), which change made it so, and for whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from incidents.law.facts import Owed
from incidents.law.pack import load_packs
from incidents.models import Incident, Obligation
from incidents.models.duties import Handling
from incidents.people.assessing import Key, Known, ask_law, key_of, known
from incidents.people.changes import (
    NOTHING,
    Asked,
    Candidate,
    Change,
    candidates,
    flat,
    last_asked,
    pack_changes,
    people_change,
    shared_change,
    shown,
)

#: Everything on which marks depend. A row of obligations has no version of its own: its place and its transaction stand for one.
STAMP = """
SELECT md5(concat_ws('|',
  (SELECT concat(count(*), '.', max(id)) FROM incidents_factversion WHERE incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(id)) FROM incidents_finding WHERE incident_id = %(incident)s),
  (SELECT concat(count(*), '.', max(f.id)) FROM incidents_filing f JOIN incidents_obligation o ON o.id = f.obligation_id
   WHERE o.incident_id = %(incident)s),
  (SELECT string_agg(concat(id, ':', count), ',' ORDER BY id) FROM incidents_cohort WHERE incident_id = %(incident)s),
  (SELECT string_agg(concat(id, ':', xmin, ctid), ',' ORDER BY id) FROM incidents_obligation
   WHERE incident_id = %(incident)s)))"""
#: Parts of a duty that tell how it was found, and not what it asks.
GROUNDS = frozenset(
    {"jurisdiction", "addressee", "regime", "group", "reasons", "references", "pack", "pack_sha256", "verified", "doubt"}
)
DEADLINE_GROUNDS = frozenset({"reference", "notes", "left_out", "other_readings", "zone"})
#: Parts that the packs call by another name, below the addressee.
PATHS = {
    "content_required": "content.required", "content_barred": "content.barred", "channels_allowed": "channels.allowed",
    "channels_barred": "channels.barred", "monitoring_months": "monitoring.months", "reasons_for_delay_required": "late",
    "deadline.second_by": "second", "deadline.final_by": "second.final", "questions": "owed.questions",
    "substitute_grounds": "substitute.grounds",
}  # fmt: skip
HEAD = ("owed", "questions", "deadline.shown_at", "what we do", "our own target")
WHAT_WE_DO, OUR_TARGET = "what we do", "our own target"
ASK_AGAIN = "Ask the law again: on the page Law, or by the command assess."


class Level(StrEnum):
    """How an obligation stands to what is known now."""

    CHANGED = "changed"  # asked again, the law would say something else
    NEW = "new"  # the law was never asked about it
    GONE = "gone"  # asked again, the law would not name it
    TOUCHED = "touched"  # its grounds are older, and asked again the duty would be the same


@dataclass(frozen=True)
class Difference:
    """One part of a duty that would be different, by the path of its value in the pack."""

    path: str
    was: str
    now: str

    @property
    def words(self) -> str:
        """The difference in one line."""
        return f"{self.path}: {self.was} -> {self.now}"


@dataclass(frozen=True)
class DutyMark:
    """One obligation that would be different (or rests on older grounds), what of it, and because of what."""

    level: Level
    jurisdiction: str
    regime: str
    addressee: str
    cohort: int | None
    people: int
    obligation: int | None = None
    differences: tuple[Difference, ...] = ()
    because: tuple[Change, ...] = ()
    packs: tuple[str, str, str] = ("", "", "")

    @property
    def stale(self) -> bool:
        """Whether the duty itself would be another."""
        return self.level != Level.TOUCHED

    @property
    def key(self) -> Key:
        """The obligation's name inside its incident."""
        return (self.jurisdiction, self.regime, self.addressee, self.cohort)

    @property
    def words(self) -> str:
        """What would be different, in one line."""
        return "; ".join(one.words for one in self.differences)

    @property
    def reasons(self) -> tuple[str, ...]:
        """The changes that made it, in words."""
        return tuple(one.words for one in self.because)

    def to_json(self) -> dict[str, Any]:
        """The mark as data."""
        return {
            "level": self.level.value,
            "differences": [{"path": one.path, "was": one.was, "now": one.now} for one in self.differences],
            "because": list(self.reasons),
        }


@dataclass(frozen=True)
class StaleDuties:
    """All marks on an incident's obligations."""

    marks: tuple[DutyMark, ...] = ()

    @property
    def stale(self) -> tuple[DutyMark, ...]:
        """Duties that would be different."""
        return tuple(mark for mark in self.marks if mark.stale)

    @property
    def touched(self) -> tuple[DutyMark, ...]:
        """Duties that rest on older grounds and would be the same."""
        return tuple(mark for mark in self.marks if not mark.stale)

    @property
    def towards_people(self) -> tuple[DutyMark, ...]:
        """Those on which letters and register rest."""
        return tuple(mark for mark in self.stale if mark.cohort is not None)

    @property
    def people(self) -> int:
        """How many people live under a duty towards them that would be different."""
        return sum({mark.cohort: mark.people for mark in self.towards_people}.values())

    @property
    def because(self) -> tuple[Change, ...]:
        """Every change that made a mark, once."""
        return tuple(dict.fromkeys(change for mark in self.stale for change in mark.because))

    def of(self, *, obligation: int) -> DutyMark | None:
        """The mark of a stored obligation."""
        return next((mark for mark in self.marks if mark.obligation == obligation), None)

    def towards(self, *, cohort: int | None) -> tuple[DutyMark, ...]:
        """The marks of a cohort's duties that would be different, or that nobody asked about yet."""
        return tuple(mark for mark in self.towards_people if mark.cohort == cohort)


def stale_duties(*, incident: Incident) -> StaleDuties:
    """The marks on an incident's obligations; computed when something changed, and kept in memory until then."""
    return _marked(law_stamp(incident=incident), incident)


def law_stamp(*, incident: Incident) -> str:
    """What the marks depend on, as one word: facts, findings, filings, cohorts, obligations, packs."""
    with connection.cursor() as cursor:
        cursor.execute(STAMP, {"incident": incident.pk})
        rows = str(cursor.fetchone()[0])
    return f"{connection.settings_dict['NAME']} {load_packs().sha256} {settings.INTERNAL_TARGET_DAYS} {rows}"


@lru_cache(maxsize=64)
def _marked(stamp: str, incident: Incident) -> StaleDuties:
    asked = last_asked(incident=incident)
    if asked is None:
        return StaleDuties()
    now = known(incident=incident)
    stored = {key_of(one): one for one in incident.obligations.filter(superseded=False).select_related("cohort")}
    fresh = _answers(incident, now)
    found = [_mark(stored.get(key), fresh.get(key)) for key in sorted({*stored, *fresh}, key=str)]
    marks = [mark for mark in found if mark]
    if any(mark.stale for mark in marks):
        marks = _Why(incident, asked, now, stored, fresh).explained(marks)
    return StaleDuties(tuple(marks))


Obligations = Mapping[Key, Obligation]


def _answers(incident: Incident, about: Known) -> Obligations:
    return {key_of(one): one for one in ask_law(incident=incident, about=about).obligations}


def _mark(stored: Obligation | None, fresh: Obligation | None) -> DutyMark | None:
    one = fresh or stored
    assert one is not None
    differences = tuple(_differences(stored, fresh))
    if not differences and stored and fresh and _grounds(stored) == _grounds(fresh):
        return None
    packs = (one.duty.get("pack", ""), stored.pack_sha256 if stored else "", fresh.pack_sha256 if fresh else "")
    return DutyMark(
        _level(stored, fresh, differences), one.jurisdiction, one.regime, one.addressee, one.cohort_id,
        one.cohort.count if one.cohort else 0, stored.pk if stored else None, differences, packs=packs,
    )  # fmt: skip


def _level(stored: Obligation | None, fresh: Obligation | None, differences: tuple[Difference, ...]) -> Level:
    if stored and fresh:
        return Level.CHANGED if differences else Level.TOUCHED
    one = stored or fresh
    empty = one is stored and one is not None and one.cohort is not None and not one.cohort.count
    of_no_weight = one is not None and one.cohort is None and one.owed == Owed.NO
    return Level.TOUCHED if empty or of_no_weight else Level.GONE if stored else Level.NEW


def _grounds(obligation: Obligation) -> dict[str, Any]:
    """The whole duty, however it was found; only the number of the group means nothing."""
    whole = {**obligation.duty, "group": None, "handled because": obligation.handling_reason}
    return {name: value for name, value in whole.items() if value}


# -- what of a duty would be different -----------------------------------------------------------------------------


def _differences(stored: Obligation | None, fresh: Obligation | None) -> Iterator[Difference]:
    if stored is None or fresh is None:
        head = _head(stored or fresh)
        yield Difference(f"{head}owed", stored.owed if stored else NOTHING, fresh.owed if fresh else NOTHING)
        return
    old, new = _outcome(stored), _outcome(fresh)
    # With a duty that comes or goes, all its parts come and go; the head says enough.
    names = dict.fromkeys([*old, *new]) if stored.owed == fresh.owed else HEAD
    for name in names:
        # A part that an older program did not know is no difference of the law.
        unknown_then = name not in old and name.partition(".")[0] not in stored.duty
        if not unknown_then and (old.get(name) or None) != (new.get(name) or None):
            yield Difference(_path(stored, name), *_both(old.get(name), new.get(name)))


def _outcome(obligation: Obligation) -> dict[str, Any]:
    """What a duty asks, part by part, and what we do about it."""
    deadline = obligation.duty.get("deadline") or {}
    counted = {name: _local(value, deadline) for name, value in deadline.items() if name not in DEADLINE_GROUNDS}
    parts = {name: value for name, value in obligation.duty.items() if name not in GROUNDS} | {"deadline": counted}
    questions = [question["finding"] for question in obligation.duty.get("questions") or ()]
    ours = obligation.internal_target_at
    return {
        **dict(flat({**parts, "questions": questions})),
        WHAT_WE_DO: str(Handling(obligation.handling).label),
        OUR_TARGET: ours.astimezone(UTC) if ours else None,
    }


def _local(value: Any, deadline: Mapping[str, Any]) -> Any:
    """A moment of a deadline at its place: the same instant written in another way is no difference."""
    is_moment = isinstance(value, str) and "T" in value and value[:4].isdigit()
    return datetime.fromisoformat(value).astimezone(ZoneInfo(deadline["zone"])) if is_moment else value


def _path(obligation: Obligation, name: str) -> str:
    return name if name in {WHAT_WE_DO, OUR_TARGET} else _head(obligation) + PATHS.get(name, name)


def _head(obligation: Obligation | None) -> str:
    return f"{obligation.regime}.{obligation.addressee}." if obligation else ""


def _both(was: Any, now: Any) -> tuple[str, str]:
    """Old and new value as text; of two lists only what left and what came."""
    if isinstance(was, list) and isinstance(now, list):
        return shown([one for one in was if one not in now]), shown([one for one in now if one not in was])
    return shown(was), shown(now)


# -- because of what -----------------------------------------------------------------------------------------------


class _Why:
    """Finds what made each mark, by asking the law once more without each change."""

    def __init__(self, incident: Incident, asked: Asked, now: Known, stored: Obligations, fresh: Obligations) -> None:
        self.stored, self.fresh, self.asked = stored, fresh, asked
        self.tried = [(one, _answers(incident, one.without)) for one in candidates(incident=incident, asked=asked, now=now)]
        #: The law of today, asked about what was known then: where this differs too, the law itself is another.
        self.before = _answers(incident, known(incident=incident, until=asked.at)) if self.tried else fresh
        self.people = people_change(incident=incident, asked=asked)

    def explained(self, marks: Iterable[DutyMark]) -> list[DutyMark]:
        """The marks with their reasons."""
        return [replace(mark, because=tuple(self._because(mark))) if mark.stale else mark for mark in marks]

    def _because(self, mark: DutyMark) -> Iterator[Change]:
        found = [one.change for one, without in self.tried if self._differs(without.get(mark.key), self.fresh.get(mark.key))]
        if self._differs(self.stored.get(mark.key), self.before.get(mark.key)):
            found += self._of_the_pack(mark)
        yield from found or self._fallback([one for one, _ in self.tried])

    def _of_the_pack(self, mark: DutyMark) -> list[Change]:
        name, was, now = mark.packs
        loaded = load_packs().packs.get(name)
        was, now = was or self.asked.packs.get(name, ""), now or (loaded.sha256 if loaded else "")
        if not was and self.people:
            return []  # the law of a place where nobody lived then
        if was != now:
            return pack_changes(name=name, asked=self.asked, was=was, now=now)
        return [shared_change()] if self.asked.other_set and not self.people else []

    def _fallback(self, tried: list[Candidate]) -> Iterator[Change]:
        """No single change explains it: the people, else all changes together, else the program itself."""
        if self.people:
            yield self.people
        elif tried:
            yield from (one.change for one in tried)
        else:
            yield Change("program", "or its settings")

    def _differs(self, one: Obligation | None, other: Obligation | None) -> bool:
        return one is not other and (one is None or other is None or any(_differences(one, other)))
