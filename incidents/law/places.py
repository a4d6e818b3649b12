"""Which place a code or a word means to the law: territories, parts with a law of their own, words that must be asked about.

The table is `places.yaml`, with its reference per line. ISO 3166-1 and 3166-2 name places; the Treaties and the statutes
say whose law applies there. What is not certain is never mapped: it is a question that names what may be meant.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from incidents.law.strict_yaml import read_yaml

#: ISO 3166-1 alpha-2, or ISO 3166-2 (and the free zones of the Emirates).
CODE = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,4})?")
#: Countries whose parts have laws of their own: a part of them that does not exist is no part with their law.
WITH_PARTS = ("US", "CA")


@dataclass(frozen=True)
class _Table:
    """`places.yaml`: codes to codes, who says so, and plain words to codes."""

    codes: Mapping[str, str]
    says: Mapping[str, str]
    words: Mapping[str, tuple[str, ...]]
    names: Mapping[str, str]
    parts: Mapping[str, str]


@cache
def _table() -> _Table:
    found: Mapping[str, Any] = read_yaml(path=Path(__file__).with_name("places.yaml"))
    lines = {**found["parts"], **found["of_their_own"]}
    words: dict[str, tuple[str, ...]] = {}
    for code, listed in found["may_mean"].items():
        for word in listed:
            words[plain(word)] = (*words.get(plain(word), ()), code)
    return _Table(
        codes={code: line["code"] for code, line in lines.items()},
        says={code: line["says"] for key, line in lines.items() for code in (key, line["code"])},
        words=words,
        names={plain(name): code for code, names in found["names"].items() for name in names},
        parts={plain(name): code for code, names in found["named_parts"].items() for name in names},
    )


def plain(word: str) -> str:
    """A word without case, accents and punctuation: 'Côte-d’Ivoire' and 'cote d ivoire' are one."""
    letters = unicodedata.normalize("NFKD", word).casefold()
    return " ".join(re.findall(r"\w+", "".join(sign for sign in letters if not unicodedata.combining(sign))))


def residence_of(*, code: str) -> str:
    """The code under which the law knows a place ('re' -> 'FR-974', 'FR-NC' -> 'NC'); what is no code stays as written."""
    tidy = code.strip().upper() if code.isascii() else code
    return _table().codes.get(tidy, tidy) if CODE.fullmatch(tidy) else code


def country_of(*, code: str) -> str:
    """The country whose law applies at a place: 'RE' -> 'FR', 'NC' -> 'NC'."""
    found = residence_of(code=code)
    return found[:2] if CODE.fullmatch(found) else found


def says(*, code: str) -> str:
    """Who says whose law applies at a place, for places that are mapped; else empty."""
    return _table().says.get(code.strip().upper(), "")


def known_parts() -> frozenset[str]:
    """The states, territories and provinces that a residence can name, and the territories of other countries."""
    table = _table()
    return frozenset(table.parts.values()) | {code for code in table.codes.values() if "-" in code}


def is_no_part(*, residence: str) -> bool:
    """Whether a code names a part of the United States or of Canada that does not exist."""
    return residence[:2] in WITH_PARTS and residence[2:3] == "-" and residence not in known_parts()


def may_mean(*, word: str) -> tuple[str, ...]:
    """The codes that a word may mean, where it is certain of none: 'Georgia', 'UK', 'California', 'NY'."""
    table, key, code = _table(), plain(word), word.strip().upper()
    named = (table.parts[key],) if key in table.parts else ()
    abbreviated = tuple(f"{country}-{code}" for country in WITH_PARTS if f"{country}-{code}" in known_parts())
    return tuple(dict.fromkeys((*table.words.get(key, ()), *named, *abbreviated)))


def part_named(*, country: str, word: str) -> str:
    """The state or province of a country by its code or its name ('WA', 'US-WA', 'Québec'); empty where it is not sure."""
    tidy = word.strip().upper()
    code = tidy if tidy.startswith(f"{country}-") else f"{country}-{tidy}"
    if code in known_parts():
        return code
    named = _table().parts.get(plain(word), "")
    return named if named.startswith(f"{country}-") else ""


def own_part(*, country: str, code: str) -> str:
    """The place with a law of its own that is written as a part of a country (FR and 'NC' -> 'NC'); else empty."""
    return _table().codes.get(f"{country}-{code}", "")


def country_named(*, word: str) -> str:
    """The country of a name beside those of the locale data; empty for any other word."""
    return _table().names.get(plain(word), "")
