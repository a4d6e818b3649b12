"""The words that change with the language: names of data elements, dates, wording that is refused, and which language.

One YAML file per language in `wording/`; dates come from Babel (CLDR).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

import yaml
from babel import Locale
from babel.dates import format_date

_FOLDER = Path(__file__).with_name("wording")

#: Languages in which letters exist.
SUPPORTED: frozenset[str] = frozenset({"en", "fr", "de", "ja", "it", "es", "ko", "tr", "pt"})

#: CLDR writes `1 juin`; these languages write the first of a month, and only the first, as an ordinal.
_FIRST_OF_MONTH = {"fr": "1er", "it": "1º"}

RULE_STATED = "stated"
RULE_ENGLISH = "English"


@dataclass(frozen=True)
class Wording:
    """One language: element labels in their stable order, refused wording by code, a name for those without one."""

    language: str
    elements: Mapping[str, str]
    phrases: Mapping[str, tuple[re.Pattern[str], ...]]
    subject_urgency: tuple[re.Pattern[str], ...]
    neutral_name: str
    #: The lines above a letter that somebody reads in the person's place: subject, greeting, about, you, one for each role.
    in_their_place: Mapping[str, str]


@dataclass(frozen=True)
class LanguageChoice:
    """The language of a person's letter, what she wanted, and the rule that decided."""

    language: str
    wanted: str
    rule: str


@cache
def wording(*, language: str) -> Wording:
    """The wording of a supported language; KeyError for another one."""
    if language not in SUPPORTED:
        raise KeyError(f"no wording for the language {language}")
    data = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text("utf-8"))
    return Wording(
        language=language,
        elements=data["elements"],
        phrases={code: _patterns(lines) for code, lines in data["phrases"].items()},
        subject_urgency=_patterns(data["subject_urgency"]),
        neutral_name=data["neutral_name"],
        in_their_place=data["in_their_place"],
    )


def _patterns(lines: Iterable[str]) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(line, re.IGNORECASE) for line in lines)


#: The data elements that letters can name, in the order in which they name them.
ELEMENTS: tuple[str, ...] = tuple(wording(language="en").elements)


def element_label(*, element: str, language: str) -> str:
    """How one data element is named to its owner; KeyError for an unknown element or language."""
    return wording(language=language).elements[element]


def element_labels(*, elements: Iterable[str], language: str) -> tuple[str, ...]:
    """The reader's data in her language, in the order of `ELEMENTS` (name, email, ...); KeyError if unknown."""
    labels = wording(language=language).elements
    wanted = frozenset(elements)
    if unknown := wanted - frozenset(ELEMENTS):
        raise KeyError(f"no wording for the data elements {sorted(unknown)}")
    return tuple(labels[element] for element in ELEMENTS if element in wanted)


def neutral_name(*, language: str) -> str:
    """What stands in the place of a name that we do not have, so that the salutation still reads well."""
    return wording(language=language).neutral_name


def in_their_place(*, language: str) -> Mapping[str, str]:
    """The subject of a letter that a representative reads, and the lines above it; KeyError for an unknown language."""
    return wording(language=language).in_their_place


def long_date(*, moment: date | datetime, zone: str, language: str) -> str:
    """The local day in words (`3 juin 2025`); a datetime must be aware. `en` writes `June 3, 2025`, `en-GB` not."""
    text = format_date(_local_day(moment=moment, zone=zone), format="long", locale=_locale(language))
    first = _FIRST_OF_MONTH.get(language.split("-", maxsplit=1)[0])
    return re.sub(r"^1 ", f"{first} ", text) if first else text


def long_period(*, start: date | datetime, end: date | datetime, zone: str, language: str) -> str:
    """A period of local days in words (`1 juin 2025 – 3 juin 2025`); a single day as a day."""
    first, last = _local_day(moment=start, zone=zone), _local_day(moment=end, zone=zone)
    if first > last:
        raise ValueError("the period ends before it starts")
    days = [long_date(moment=day, zone=zone, language=language) for day in (first, last)]
    # CLDR's full interval formats abbreviate English months, and its dash stands between thin spaces.
    joined = str(_locale(language).interval_formats[None]).replace("\u2009", " ").format(*days)
    return days[0] if first == last else joined


def _local_day(*, moment: date | datetime, zone: str) -> date:
    if not isinstance(moment, datetime):
        return moment
    if moment.utcoffset() is None:
        raise ValueError("a moment without a zone has no day")
    return moment.astimezone(ZoneInfo(zone)).date()


@cache
def _locale(language: str) -> Locale:
    return Locale.parse(language, sep="-")


@cache
def _official_languages() -> Mapping[str, tuple[str, ...]]:
    data = yaml.safe_load((_FOLDER / "languages.yaml").read_text("utf-8"))
    return {residence: tuple(languages) for residence, languages in data.items()}


def official_languages(*, residence: str) -> tuple[str, ...]:
    """The official languages of a country or part of one (`CA-QC`), the first one first; empty if not recorded."""
    table = _official_languages()
    return table.get(residence) or table.get(residence.split("-", maxsplit=1)[0], ())


def choose_language(*, wanted: str, residence: str, available: frozenset[str]) -> LanguageChoice:
    """The person's own language, else an official one of her residence, else English; ValueError without English."""
    stated = _best(wanted, available)
    if stated:
        return LanguageChoice(stated, wanted, RULE_STATED)
    for official in official_languages(residence=residence):
        found = _best(official, available)
        if found:
            return LanguageChoice(found, wanted, f"official language of {residence}")
    if "en" not in available:
        raise ValueError("there is no English text to fall back on")
    return LanguageChoice("en", wanted, RULE_ENGLISH)


def _best(tag: str, available: frozenset[str]) -> str | None:
    """The longest part of a language tag in which a text exists; Chinese never crosses from one script to the other."""
    by_key = {language.lower(): language for language in available}
    parts = tag.strip().replace("_", "-").lower().split("-")
    for length in range(len(parts), 0, -1):
        found = by_key.get("-".join(parts[:length]))
        if found:
            return found
    return None
