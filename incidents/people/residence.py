"""Evidence -> residence, or a question for a person. Stated beats postal beats billing ... beats the IP address, which is weak.

Residence is ISO 3166-1, or ISO 3166-2 for the United States and Canada. 'US' means: United States, state unknown. 'ZZ': unknown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml
from babel import Locale

UNKNOWN, US_STATE_UNKNOWN = "ZZ", "US"
#: In order of trust; the IP address alone never decides.
EVIDENCE = ("stated_country", "region", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store")
TERRITORIES = {"PR": "US-PR", "GU": "US-GU", "VI": "US-VI", "AS": "US-AS", "MP": "US-MP"}
#: They share an area code with a neighbour, so that only a region or a person can name them.
WITHOUT_OWN_CODE = frozenset({*TERRITORIES.values(), "CA-NS", "CA-PE", "CA-NT", "CA-NU", "CA-YT"})
#: In CLDR, but no code of ISO 3166-1: inventions, exceptional reservations, and 'UK'.
NOT_ISO = frozenset({"ZZ", "XA", "XB", "XK", "EU", "EZ", "UN", "QO", "UK", "AC", "CP", "CQ", "DG", "EA", "IC", "TA"})


@dataclass(frozen=True)
class Residence:
    """Where the law is to find this person. `possible`: every residence the evidence allows, when it disagrees."""

    place: str
    decided_by: str
    possible: tuple[str, ...] = ()
    question: str = ""  # "", state_unknown, residence_unknown, residence_conflict
    weak_hint: str = ""


@lru_cache(maxsize=1)
def known_countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2 codes (CLDR's territories, without its own inventions)."""
    codes = {str(code) for code in Locale("en").territories if re.fullmatch(r"[A-Z]{2}", str(code))}
    return frozenset(codes - NOT_ISO)


@lru_cache(maxsize=1)
def _prefixes() -> tuple[dict[str, str], dict[str, str]]:
    found = yaml.safe_load((Path(__file__).parent / "prefixes.yaml").read_text())
    areas = {str(code): place for place, codes in found["north_america"].items() for code in codes}
    return found["countries"], areas


@lru_cache(maxsize=1)
def subdivisions() -> frozenset[str]:
    """The states, territories and provinces that evidence can name."""
    return frozenset(_prefixes()[1].values()) | WITHOUT_OWN_CODE


def is_residence(text: str) -> bool:
    """Whether a text is a residence that a person may set: a country, or a US state or Canadian province."""
    return text in known_countries() or text in subdivisions()


def from_prefix(text: str) -> str:
    """The place of a telephone prefix such as '+33' or '+1-206'; '' when it tells nothing."""
    countries, areas = _prefixes()
    match = re.fullmatch(r"\+(\d{1,3})(?:[- ]?(\d{3}))?.*", text.strip())
    if not match:
        return ""
    if match[1] == "1":
        return areas.get(match[2] or "", "")
    return countries.get(match[1], "")


def _place(column: str, text: str, country: str) -> str:
    text = text.strip()
    if column == "phone_prefix":
        return from_prefix(text)
    if column == "loyalty_home_store":
        text = text.split(" ")[0]
    if column == "region":
        text = text if "-" in text else f"{country}-{text}"
        return text.upper() if text.upper() in subdivisions() else ""
    text = TERRITORIES.get(text.upper(), text.upper())
    return text if is_residence(text) else ""


def unreadable_country(row: Mapping[str, str]) -> str:
    """The first country column whose text is no ISO code ('England', 'UK'): a question, never a silent default."""
    for column in ("stated_country", "billing_country", "shipping_country"):
        text = row.get(column, "").strip()
        if text and not _place(column, text, ""):
            return column
    return ""


def decide(row: Mapping[str, str]) -> Residence:
    """Weigh one row's evidence."""
    # 'WA' is Washington or Western Australia: without a country beside it a region says nothing.
    named = (row.get(column, "").strip().upper() for column in ("stated_country", "billing_country", "shipping_country"))
    country = next((text for text in named if is_residence(text)), "")
    found = [(column, place) for column in EVIDENCE if (place := _place(column, row.get(column, ""), country))]
    hint = _place("ip_country", row.get("ip_country", ""), "")
    if not found:
        return Residence(UNKNOWN, "", (hint,) if hint else (), "residence_unknown", hint)
    country = found[0][1][:2]
    if any(place[:2] != country for _, place in found):
        return _conflict(found, hint)
    finer = list(dict.fromkeys(place for _, place in found if "-" in place))
    if len(finer) > 1:
        return _conflict([(column, place) for column, place in found if "-" in place], hint)
    if finer:
        return Residence(finer[0], next(column for column, place in found if place == finer[0]))
    if country == "US":
        return Residence(US_STATE_UNKNOWN, found[0][0], (), "state_unknown", hint)
    return Residence(country, found[0][0])


def _conflict(found: list[tuple[str, str]], hint: str) -> Residence:
    places = tuple(dict.fromkeys(place for _, place in found))
    return Residence(places[0], found[0][0], places, "residence_conflict", hint)
