"""Reads single values of a law case strictly: moments, words, lists, numbers; what is wrong ends with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from difflib import get_close_matches
from typing import Any

from incidents.law.facts import Moment
from incidents.law.pack import PackSet
from incidents.law.places import CODE, may_mean, residence_of
from incidents.law.questions import sectors_of
from incidents.law.strict_yaml import QUOTE_NORWAY, Lined

MOST_PEOPLE = 10_000_000_000
MOST_MONTHS = 1_200
EARLIEST_YEAR, LATEST_YEAR = 1970, 2199
#: No place on Earth is further from UTC; a larger offset is a slip of the pen that would move a clock.
WEST, EAST = timedelta(hours=-12), timedelta(hours=14)
WRITE_MOMENT = "write 2026-05-11 or 2026-05-11T09:00+02:00"
_COUNTRY = re.compile(r"[A-Z]{2}")
#: Left free by ISO 3166-1 for private use.
_NEVER = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_SECTOR = re.compile(r"[a-z][a-z_]{0,39}")
_SHOWN = 60


class CaseFileError(ValueError):
    """A case file that cannot be run: file, line (from 1), key, what is wrong, and what to write instead."""

    def __init__(self, *, file: str, line: int, key: str, problem: str) -> None:
        self.file, self.line, self.key, self.problem = file, line, key, problem
        super().__init__(f"{file}:{line}: {key}: {problem}")


def shown(value: Any) -> str:
    """A value as a message quotes it: short, and never a whole list or mapping."""
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    text = {True: "true", False: "false", None: "nothing"}[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def known(words: Iterable[str]) -> str:
    """The words that may stand in a place, in one order."""
    return ", ".join(sorted(words))


def sector_meant(*, word: str, packs: PackSet) -> str | None:
    """None where a word can stand for a sector; else the sector that is meant, or '' where none is near."""
    sectors = sectors_of(packs=packs)
    tidy = "_".join(word.lower().split())
    if word in sectors:
        return None
    begun = [sector for sector in sorted(sectors) if len(sector) > 3 and tidy.startswith(sector)]
    near = begun or get_close_matches(tidy, sectors, n=1, cutoff=0.8)
    return near[0] if near else None if _SECTOR.fullmatch(word) else ""


@dataclass(frozen=True)
class Values:
    """Reads values out of the mappings of one file."""

    file: str
    packs: PackSet

    def error(self, line: int, key: str, problem: str, instead: str) -> CaseFileError:
        """The error of one key: what is wrong, then what to write instead."""
        name = " ".join(key.split())[:_SHOWN] or "''"
        return CaseFileError(file=self.file, line=line, key=name, problem=f"{problem}; {instead}")

    def mapping(self, value: Any, line: int, key: str, *, instead: str) -> Lined:
        """The value, which must be a mapping."""
        if not isinstance(value, Lined):
            raise self.error(line, key, f"must be a mapping, not {shown(value)}", instead)
        return value

    def inner(self, found: Lined, key: str, *, instead: str) -> Lined:
        """The mapping under a key; absent or empty counts as none."""
        value = found.get(key)
        return Lined() if value is None else self.mapping(value, found.line_of(key), key, instead=instead)

    def only(self, found: Lined, allowed: set[str], where: str) -> None:
        """Every key is one of those allowed."""
        for key in found:
            if key not in allowed:
                close = get_close_matches(key, allowed, n=1, cutoff=0.75)
                instead = f"write {close[0]}, if that is meant; known: {known(allowed)}" if close else f"known: {known(allowed)}"
                raise self.error(found.line_of(key), key, f"not a key of {where}", instead)

    # -- moments

    def moment(self, found: Lined, key: str) -> Moment | None:
        """A date or a timestamp with its offset; empty means not known."""
        return None if found[key] is None else self.parsed(found[key], found.line_of(key), key)

    def parsed(self, value: Any, line: int, key: str) -> Moment:
        """One moment, past or to come, that the calendar and the clocks of the world can hold."""
        text = value.strip() if isinstance(value, str) else ""
        try:
            moment = date.fromisoformat(text) if _DAY.fullmatch(text) else datetime.fromisoformat(text)
        except ValueError:
            raise self.error(line, key, f"{shown(value)} is no ISO 8601 date or timestamp", WRITE_MOMENT) from None
        if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
            between = f"a year from {EARLIEST_YEAR} to {LATEST_YEAR}"
            raise self.error(line, key, f"{text} cannot be counted with", f"write {between}")
        if isinstance(moment, datetime):
            self._offset(moment, text, line, key)
        return moment

    def _offset(self, moment: datetime, text: str, line: int, key: str) -> None:
        offset = moment.utcoffset()
        if offset is None:
            raise self.error(line, key, f"the timestamp {text} has no offset", "add it, such as +02:00, or Z for UTC")
        if not WEST <= offset <= EAST:
            problem = f"no place has the offset of {text}"
            raise self.error(line, key, problem, "write an offset from -12:00 to +14:00, such as +02:00, or Z for UTC")

    def by(self, found: Lined, key: str) -> tuple[Moment, Moment]:
        """One moment twice, or the earliest and the latest."""
        value, line = found[key], found.line_of(key)
        if isinstance(value, list) and len(value) != 2:
            raise self.error(line, key, "must be a moment or two", "write one moment, or [earliest, latest]")
        ends = value if isinstance(value, list) else [value, value]
        first, last = (self.parsed(end, line, key) for end in ends)
        if isinstance(first, datetime) == isinstance(last, datetime) and last < first:
            raise self.error(line, key, "the first moment lies after the second", "write [earliest, latest]")
        return first, last

    # -- words and numbers

    def text(self, found: Lined, key: str) -> str | None:
        """A text; empty means none."""
        value = found.get(key)
        if isinstance(value, bool):
            raise self.error(found.line_of(key), key, f"{shown(value)} is no text", QUOTE_NORWAY)
        if value is not None and not isinstance(value, str):
            raise self.error(found.line_of(key), key, f"must be text, not {shown(value)}", "write it in quotes")
        return value

    def sector(self, found: Lined) -> str:
        """A word for the branch. Any word is one: a case may speak of a branch that no law names."""
        word = self.text(found, "sector") or "retail"
        return "_".join(word.lower().split())

    def country(self, found: Lined, key: str) -> str | None:
        """A country by its code; a word that only resembles one would silently change which law applies."""
        word = self.text(found, key)
        if word is None:
            return None
        if _COUNTRY.fullmatch(word) and not self._no_country(word):
            return word
        code = residence_of(code=word)
        possible = (code,) if CODE.fullmatch(code) and code != word else may_mean(word=word)
        places = sorted({place[:2] for place in possible})
        instead = f"write {' or '.join(places)}" if places else "write two capitals of ISO 3166-1, such as FR ('NO' in quotes)"
        raise self.error(found.line_of(key), key, f"{shown(word)} is no code of a country", instead)

    def _no_country(self, code: str) -> bool:
        """Codes that ISO 3166-1 never gives to a country, the Union, and usual mistakes ('UK', 'EL')."""
        pack = self.packs.packs.get(code)
        if pack is not None:
            return pack.kind in {"union", "sector"}
        return bool(_NEVER.fullmatch(code)) or any(len(place) == 2 for place in may_mean(word=code))

    def pinpoint(self, found: Lined, key: str) -> str:
        """A part of a reference. A section may look like a number: 407.1500 is text all the same."""
        value = found.get(key)
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        text = str(value) if plain else self.text(found, key)
        if not (text or "").strip():
            raise self.error(found.line_of(key), key, "is empty", "write a part of the reference, such as 1798.82(a)")
        return str(text)

    def flag(self, found: Lined, key: str) -> bool:
        """True or false; yes and no are read too."""
        value = found.get(key, False)
        if isinstance(value, str) and value in {"yes", "no"}:
            return value == "yes"
        if not isinstance(value, bool):
            problem = f"must be true or false, not {shown(value)}"
            raise self.error(found.line_of(key), key, problem, "write true or false, without quotes")
        return value

    def number(self, found: Lined, key: str, *, most: int = MOST_MONTHS) -> int:
        """A whole number that can be counted, 0 or more."""
        value = found.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self.error(found.line_of(key), key, f"must be a whole number, not {shown(value)}", "write digits: 0 or more")
        if value > most:
            raise self.error(found.line_of(key), key, f"{shown(value)} is more than there can be", f"write at most {most}")
        return value

    def word(self, found: Lined, key: str, allowed: set[str], *, absent: str = "") -> str:
        """One of a few words; a bare yes or no is the word, and empty is unknown."""
        value = found.get(key, absent)
        word = "unknown" if value is None else {True: "yes", False: "no"}[value] if isinstance(value, bool) else value
        if not isinstance(word, str) or word not in allowed:
            raise self.error(found.line_of(key), key, f"{shown(value)} is not one of: {known(allowed)}", "write one of these")
        return word

    def items(self, found: Lined, key: str) -> list[str]:
        """A list of words; it may be empty, but not left blank."""
        value, line = found[key], found.line_of(key)
        if not isinstance(value, list):
            raise self.error(line, key, f"must be a list of words, not {shown(value)}", f"write {key}: [a, b], or [] for none")
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                instead = QUOTE_NORWAY if isinstance(item, bool) else "write words, in quotes if they look like numbers"
                raise self.error(found.line_of(key, index), key, f"{shown(item)} in the list of words", instead)
        return value
