"""What is refused in a pack beside its shape: words, days, references, places, letters; and what is too old.

Each rule looks at one file and yields problems; a file whose shape is wrong is looked at by no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.law.pack import DORMANT
from incidents.law.pack_files import CALENDARS, VOCABULARY, line_of
from incidents.law.pack_words import unknown_words
from incidents.law.places import known_parts
from incidents.law.strict_yaml import Lined
from incidents.law.working_days import working_days_of

#: After so many days without a check an entry is pointed at.
OLD = timedelta(days=180)
ENGLISH = "en"
Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class PackProblem:
    """One problem: `level` is error or warning; file, line (from 1), key, what is wrong, and what to do about it."""

    level: str
    rule: str
    file: str
    line: int
    key: str
    problem: str
    remedy: str

    @property
    def words(self) -> str:
        """The problem in one line."""
        return f"{self.file}:{self.line}: {self.key}: {self.problem}; {self.remedy}"

    def to_json(self) -> dict[str, Any]:
        """The problem as data."""
        return asdict(self)


@dataclass(frozen=True)
class File:
    """One file of a set: its name there, the place to show, what it holds, and its lines as written."""

    name: str
    place: str
    document: Lined
    lines: tuple[str, ...]

    @property
    def is_pack(self) -> bool:
        """Whether it is the law of a jurisdiction, and not what all packs share."""
        return self.name not in {VOCABULARY, CALENDARS}

    def problem(
        self, *, keys: Keys, rule: str, problem: str, remedy: str, level: str = "error", word: str = ""
    ) -> PackProblem:  # fmt: skip
        """A problem at these keys; with `word` at its first mention from there on."""
        first = line_of(document=self.document, keys=keys) or 1
        mentions = (number for number, text in enumerate(self.lines[first - 1 :], first) if word in text)
        line = next(mentions, first) if word else first
        key = ".".join(map(str, keys)) or "(the file)"
        return PackProblem(level, rule, self.place, line, key, problem, remedy)


@dataclass(frozen=True)
class Forms:
    """The letters there are: forms that a jurisdiction has of its own, forms for everybody, and the languages of each."""

    own: Mapping[str, str]
    #: The languages in which each form for everybody has to exist.
    general: Mapping[str, frozenset[str]]
    #: The languages in which each form does exist.
    languages: Mapping[str, frozenset[str]]


@dataclass(frozen=True)
class Whole:
    """What a rule may look at beside its file."""

    files: Mapping[str, File]
    vocabulary: Mapping[str, Any]
    calendars: Mapping[str, Any]
    forms: Forms
    today: date

    @property
    def kinds(self) -> dict[str, str]:
        """The kind of every pack by its id."""
        return {str(file.document["id"]): str(file.document["kind"]) for file in self.files.values() if file.is_pack}


def _versions(file: File) -> Iterator[tuple[Keys, list[Any]]]:
    """The keys and the versions of every value of a pack."""
    for number, regime in enumerate(file.document["regimes"] if file.is_pack else ()):
        for group, values in regime.items():
            for key, versions in values.items() if isinstance(values, Mapping) else ():
                yield ("regimes", number, group, key), versions


def _nodes(node: Any, keys: Keys) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Every mapping below a node, with its keys."""
    if isinstance(node, Mapping):
        yield keys, node
    for key, inner in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        yield from _nodes(inner, (*keys, key))


# -- words -------------------------------------------------------------------------------------------------------------


def unknown(file: File, whole: Whole) -> Iterator[PackProblem]:
    """Words that the vocabulary or the calendars do not know: elements, content items, calendars, starting points, ways."""
    if not file.is_pack:
        return
    for found in unknown_words(document=file.document, vocabulary=whole.vocabulary, calendars=whole.calendars):
        keys = tuple(int(part) if part.isdigit() else part for part in found.key.split("."))
        yield _unknown(file, keys, found.word, found.kind, _known(found.kind, file, whole))
    for keys, node in _nodes(file.document, ()):
        lapses = node.get("lapses_if_later")
        if lapses is not None and lapses not in whole.vocabulary["starting_points"]:
            yield _unknown(file, (*keys, "lapses_if_later"), lapses, "starting point", whole.vocabulary["starting_points"])
        for word in node.get("allowed", ()) if isinstance(node.get("allowed"), list) else ():
            if word not in whole.vocabulary.get("methods", {word}):
                yield _unknown(file, (*keys, "allowed"), word, "way of telling people", whole.vocabulary["methods"])


def _unknown(file: File, keys: Keys, word: str, kind: str, known: Iterable[str]) -> PackProblem:
    near = get_close_matches(word, list(known), n=1)
    table = CALENDARS if kind == "calendar rule" else VOCABULARY
    remedy = f"is {near[0]!r} meant? Else add it to {table}" if near else f"correct the word, or add it to {table}"
    return file.problem(keys=keys, rule="word", problem=f"{word!r} is no known {kind}", remedy=remedy, word=word)


def _known(kind: str, file: File, whole: Whole) -> Iterable[str]:
    if kind == "content item":
        own = file.document["content_vocabulary"]
        return [*whole.vocabulary["content_items"][own], *whole.vocabulary["content_items"][f"{own}_regulator"]]
    tables = {"data element": "elements", "starting point": "starting_points", "kind of deadline": "deadline_kinds"}
    known: Iterable[str] = (
        whole.calendars["rules"] if kind == "calendar rule" else whole.vocabulary[tables.get(kind, "exemptions")]
    )
    return known


# -- days and references -----------------------------------------------------------------------------------------------


def days(file: File, whole: Whole) -> Iterator[PackProblem]:
    """Days that the calendar does not have."""
    for keys, node in _nodes(file.document, ()):
        for name in ("from", "until", "checked_on"):
            text = node.get(name)
            if isinstance(text, str) and _day(text) is None:
                remedy = "write a day such as 2026-01-31"
                yield file.problem(keys=(*keys, name), rule="day", problem=f"{text!r} is no day of the calendar", remedy=remedy)


def order(file: File, whole: Whole) -> Iterator[PackProblem]:
    """A version that ends before it starts, and two versions that are in force at once."""
    for keys, versions in _versions(file):
        living = []
        for number, version in enumerate(versions):
            first, last = _day(version["from"]) or date.min, _day(version["until"]) or date.max
            if last <= first:
                problem = f"the version ends on {version['until']}, and starts on {version['from']}"
                remedy = "'until' is the first day on which it no longer holds: after 'from'"
                yield file.problem(keys=(*keys, number, "until"), rule="order", problem=problem, remedy=remedy)
            elif version.get("status") not in DORMANT:
                living.append((first, last, number, version))
        living.sort(key=lambda one: one[0])
        for (_, end, _, _), (start, _, number, version) in pairwise(living):
            if start < end:
                problem = f"two versions are in force on {version['from'] or 'the first day'}"
                remedy = "end the one on the day on which the other starts"
                yield file.problem(keys=(*keys, number, "from"), rule="overlap", problem=problem, remedy=remedy)


def references(file: File, whole: Whole) -> Iterator[PackProblem]:
    """References that name nothing. (That there is one at all is a matter of the schema.)"""
    for keys, versions in _versions(file):
        for number, version in enumerate(versions):
            if not version["reference"]["title"].strip():
                where = (*keys, number, "reference", "title")
                remedy = "name the statute: where is it written?"
                yield file.problem(keys=where, rule="reference", problem="a reference without a title", remedy=remedy)


def old(file: File, whole: Whole) -> Iterator[PackProblem]:
    """Entries whose last check is long ago: the file's head, and values that were checked by themselves."""
    for keys, node in _nodes(file.document, ()):
        checked = _day(node.get("checked_on"))
        if checked is not None and whole.today - checked > OLD:
            problem = f"not checked for {(whole.today - checked).days} days (last on {checked})"
            remedy = "compare it with its source, then set checked_on"
            where = (*keys, "checked_on")
            yield file.problem(keys=where, rule="old", problem=problem, remedy=remedy, level="warning")


def _day(text: Any) -> date | None:
    try:
        return date.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None


# -- places ------------------------------------------------------------------------------------------------------------


def places(file: File, whole: Whole) -> Iterator[PackProblem]:
    """A residence, a union, a covered place, a zone or a place of holidays that does not exist; an id that is taken."""
    if not file.is_pack:
        return
    document, kinds = file.document, whole.kinds
    if not _is_place(document["id"], document["kind"]):
        remedy = f"write the ISO 3166 code of the {document['kind'].replace('_', ' ')}, such as FR, US-CA or CA-QC"
        yield file.problem(keys=("id",), rule="place", problem=f"there is no residence {document['id']!r}", remedy=remedy)
    for other in whole.files.values():
        if other.is_pack and other is not file and other.document["id"] == document["id"]:
            problem, remedy = f"{document['id']!r} is the id of {other.name} too", "give each pack an id of its own"
            yield file.problem(keys=("id",), rule="place", problem=problem, remedy=remedy)
    union = document.get("inherits")
    if union is not None and kinds.get(union) != "union":
        remedy = f"write a union ({', '.join(sorted(id_ for id_, kind in kinds.items() if kind == 'union'))}), or remove the key"
        yield file.problem(keys=("inherits",), rule="place", problem=f"there is no union {union!r}", remedy=remedy)
    for number, place in enumerate(document.get("covers", ())):
        if place not in kinds and not any(id_.startswith(f"{place}-") for id_ in kinds):
            problem, remedy = f"there is no pack of {place!r} or of a part of it", "write a country, a state or a union"
            yield file.problem(keys=("covers", number), rule="place", problem=problem, remedy=remedy, word=place)
    yield from _zone_and_holidays(file)


def _zone_and_holidays(file: File) -> Iterator[PackProblem]:
    try:
        ZoneInfo(file.document["zone"])
    except (ValueError, OSError, ZoneInfoNotFoundError):
        problem, remedy = f"there is no time zone {file.document['zone']!r}", "write an IANA zone such as Europe/Paris"
        yield file.problem(keys=("zone",), rule="place", problem=problem, remedy=remedy)
    place = str(file.document.get("holidays_of") or "")
    found = working_days_of(place=place) if place else None
    if found is not None and (not found.known or ("-" in place and found.subdivision is None)):
        problem, remedy = f"the public holidays of {place!r} are not known", "write a country (BR) or a part of it (US-VT)"
        yield file.problem(keys=("holidays_of",), rule="place", problem=problem, remedy=remedy)


def _is_place(id_: str, kind: str) -> bool:
    if kind in {"union", "sector"}:
        return True
    country, _, part = id_.partition("-")
    if kind == "country":
        return id_ in countries()
    listed = country not in {"US", "CA"} or id_ in known_parts()
    return country in countries() and bool(part) and listed and (kind != "us_state" or country == "US")


@cache
def countries() -> frozenset[str]:
    """The codes of ISO 3166-1, as the time-zone data list them."""
    table = (files("tzdata") / "zoneinfo" / "iso3166.tab").read_text(encoding="utf-8")
    return frozenset(line.split("\t")[0] for line in table.splitlines() if line and not line.startswith("#"))


# -- letters -----------------------------------------------------------------------------------------------------------


def letters(file: File, whole: Whole) -> Iterator[PackProblem]:
    """A letter form that does not exist, or not in the languages in which the jurisdiction needs it."""
    forms = whole.forms
    if file.name == VOCABULARY:
        for form, wanted in forms.general.items():
            yield from _missing_texts(file, form, wanted, forms)
        for id_ in sorted(set(forms.own) - set(whole.kinds)):
            problem = f"the letter form {forms.own[id_]!r} is kept for {id_}, which has no pack"
            yield file.problem(keys=(), rule="form", problem=problem, remedy="add the pack, or drop the form")
    own = forms.own.get(str(file.document.get("id", "")))
    if own is not None:
        yield from _missing_texts(file, own, frozenset({ENGLISH, *file.document.get("languages", ())}), forms)


def _missing_texts(file: File, form: str, wanted: frozenset[str], forms: Forms) -> Iterator[PackProblem]:
    keys: Keys = ("id",) if file.is_pack else ()
    if form not in forms.languages:
        remedy = f"write templates/letters/{form}/{ENGLISH}.txt, or name a form that exists: {', '.join(sorted(forms.languages))}"
        yield file.problem(keys=keys, rule="form", problem=f"there is no letter form {form!r}", remedy=remedy)
        return
    for language in sorted(wanted - forms.languages[form]):
        problem = f"the letter form {form!r} has no text in {language!r}"
        remedy = f"write templates/letters/{form}/{language}.txt"
        yield file.problem(keys=keys, rule="form", problem=problem, remedy=remedy)


Rule = Callable[[File, Whole], Iterator[PackProblem]]
RULES: tuple[Rule, ...] = (unknown, days, order, references, old, places, letters)
