"""Evidence -> residence, or a question for a person. Stated beats postal beats billing ... beats the IP address, which is weak.

Residence is ISO 3166-1, or ISO 3166-2 for the United States, Canada and territories that live under their country's law
(`law/places.yaml`). 'US' means: United States, state unknown. 'ZZ': unknown. Codes are read in small letters too, and the
full name of a country where it is the name of one country alone; any other word is asked, with what it may mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from babel import Locale

from incidents.law.places import WITH_PARTS, country_named, known_parts, may_mean, own_part, part_named, plain, residence_of

UNKNOWN = "ZZ"
#: Countries whose law depends on the part: alone, they leave a question.
PART_UNKNOWN = {"US": "state_unknown", "CA": "province_unknown"}
#: In order of trust; the IP address alone never decides.
EVIDENCE = ("stated_country", "region", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store")
COUNTRY_COLUMNS = ("stated_country", "billing_country", "shipping_country")
#: In CLDR, but no code of ISO 3166-1: inventions, exceptional reservations, and 'UK'.
NOT_ISO = frozenset({"ZZ", "XA", "XB", "XK", "EU", "EZ", "UN", "QO", "UK", "AC", "CP", "CQ", "DG", "EA", "IC", "TA"})
#: The languages in which the name of a country is read.
NAME_LANGUAGES = (
    "en", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "el", "tr", "ru", "ja", "ko",
    "zh", "zh_Hant", "ar",
)  # fmt: skip
LONGEST_PLACE = 80


@dataclass(frozen=True)
class Residence:
    """Where the law is to find this person. `possible`: every residence the evidence allows, when it disagrees or is unclear."""

    place: str
    decided_by: str
    possible: tuple[str, ...] = ()
    question: str = ""  # "", state_unknown, province_unknown, residence_unknown, residence_conflict
    weak_hint: str = ""
    #: The deciding evidence was the name of a country, not its code.
    by_name: bool = False

    @property
    def recorded(self) -> str:
        """The evidence that decided, as it is kept beside the residence."""
        return f"{self.decided_by} (name)" if self.by_name else self.decided_by


@dataclass(frozen=True)
class _Read:
    """What one cell says: a place, or what it may mean where it is sure of none."""

    place: str = ""
    may_mean: tuple[str, ...] = ()
    by_name: bool = False


@lru_cache(maxsize=1)
def known_countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2 codes (CLDR's territories, without its own inventions)."""
    codes = {str(code) for code in Locale("en").territories if re.fullmatch(r"[A-Z]{2}", str(code))}
    return frozenset(codes - NOT_ISO)


@lru_cache(maxsize=1)
def _names() -> Mapping[str, str]:
    """Names of countries in all languages, without those that two countries share."""
    found: dict[str, set[str]] = {}
    for language in NAME_LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if code in known_countries():
                found.setdefault(plain(name), set()).add(str(code))
    return {name: codes.pop() for name, codes in found.items() if name and len(codes) == 1}


@lru_cache(maxsize=1)
def _prefixes() -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    found = yaml.safe_load((Path(__file__).parent / "prefixes.yaml").read_text())
    areas = {str(code): place for place, codes in found["north_america"].items() for code in codes}
    return found["countries"], areas, found["shared"]


def subdivisions() -> frozenset[str]:
    """The states, territories and provinces that evidence can name."""
    return known_parts()


def is_residence(text: str) -> bool:
    """Whether a text is a residence that a person may set: a country, or a US state or Canadian province."""
    return text in known_countries() or text in subdivisions()


def from_prefix(text: str) -> str:
    """The place of a telephone prefix such as '+33' or '+1-206'; '' when it tells nothing."""
    countries, areas, _ = _prefixes()
    match = re.fullmatch(r"\+(\d{1,3})(?:[- ]?(\d{3}))?.*", text.strip())
    if not match:
        return ""
    if match[1] == "1":
        return areas.get(match[2] or "", "")
    return residence_of(code=countries.get(match[1], ""))


@lru_cache(maxsize=20_000)
def _country(text: str) -> _Read:
    """A cell that should hold a country: its code, its full name, or a word that has to be asked about."""
    code = residence_of(code=text)
    if is_residence(code):
        return _Read(code)
    unclear = may_mean(word=text)
    named = residence_of(code=country_named(word=text) or _names().get(plain(text), ""))
    # 'Puerto Rico' names a part of the United States and a code of ISO 3166-1: the same place.
    sure = named and (not unclear or ("-" in named and unclear == (named,)))
    return _Read(named, by_name=True) if sure else _Read(may_mean=unclear)


@lru_cache(maxsize=20_000)
def _region(text: str, country: str) -> _Read:
    """A state or province beside its country. 'WA' alone is Washington or Western Australia, and says nothing."""
    if re.match(r"(US|CA)-", text.upper()):
        return _Read(part_named(country=text[:2].upper(), word=text))
    if country in WITH_PARTS:
        return _Read(part_named(country=country, word=text), may_mean(word=text))
    if not country:
        return _Read(may_mean=may_mean(word=text))
    named = _country(text).place
    own = own_part(country=country, code=named or text.upper())
    return _Read(own or (named if named.startswith(f"{country}-") else ""))


def _read(column: str, text: str, country: str) -> _Read:
    text = text.strip()
    if not text or len(text) > LONGEST_PLACE:
        return _Read()
    if column == "phone_prefix":
        return _Read(from_prefix(text))
    if column == "region":
        return _region(text, country)
    if column == "loyalty_home_store":
        # A code and a town; a name would run into the town.
        store = _country(text.split(" ")[0])
        return _Read() if store.by_name else store
    return _country(text)


def unreadable_country(row: Mapping[str, str]) -> str:
    """The first country column whose text is neither a code nor one country's name ('England', 'UK'): a question."""
    return next((name for name in COUNTRY_COLUMNS if row.get(name, "").strip() and not _read(name, row[name], "").place), "")


def unclear_places(row: Mapping[str, str]) -> tuple[str, ...]:
    """What the words of a row may mean that name no place for certain: to be shown beside the question."""
    found = [place for column in COUNTRY_COLUMNS for place in _read(column, row.get(column, ""), "").may_mean]
    return tuple(dict.fromkeys(found))


def decide(row: Mapping[str, str]) -> Residence:
    """Weigh one row's evidence."""
    named = (_read(column, row.get(column, ""), "").place for column in COUNTRY_COLUMNS)
    country = next((place[:2] for place in named if place), "")
    read = {column: _read(column, row.get(column, ""), country) for column in EVIDENCE}
    found = _without_confirmation([(column, read[column].place) for column in EVIDENCE if read[column].place])
    hint = _read("ip_country", row.get("ip_country", ""), "").place
    if not found:
        unclear = dict.fromkeys(place for column in EVIDENCE for place in read[column].may_mean)
        return Residence(UNKNOWN, "", tuple(unclear) or ((hint,) if hint else ()), "residence_unknown", hint)
    if any(place[:2] != found[0][1][:2] for _, place in found):
        return _conflict(found, hint)
    shared = _prefixes()[2].get(found[0][1], []) if [column for column, _ in found] == ["phone_prefix"] else []
    return (
        Residence(found[0][1], "phone_prefix", tuple(shared), "residence_conflict", hint)
        if shared
        else _finest(found, read, hint)
    )


def _without_confirmation(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without a telephone code that the named place shares with another: '+44' beside Jersey is no other evidence."""
    phone = next((place for column, place in found if column == "phone_prefix"), "")
    shared = _prefixes()[2].get(phone, [])
    if any(place in shared for column, place in found if column != "phone_prefix"):
        return [(column, place) for column, place in found if column != "phone_prefix"]
    return found


def _finest(found: list[tuple[str, str]], read: Mapping[str, _Read], hint: str) -> Residence:
    """The evidence agrees on the country: the state or province that it names, or that question."""
    finer = list(dict.fromkeys(place for _, place in found if "-" in place))
    if len(finer) > 1:
        return _conflict([(column, place) for column, place in found if "-" in place], hint)
    if finer:
        column = next(column for column, place in found if place == finer[0])
        return Residence(finer[0], column, by_name=read[column].by_name)
    column, country = found[0]
    question = PART_UNKNOWN.get(country, "")
    possible = tuple(place for place in read["region"].may_mean if place.startswith(f"{country}-")) if question else ()
    return Residence(country, column, possible, question, hint if question else "", read[column].by_name)


def _conflict(found: list[tuple[str, str]], hint: str) -> Residence:
    places = tuple(dict.fromkeys(place for _, place in found))
    return Residence(places[0], found[0][0], places, "residence_conflict", hint)
