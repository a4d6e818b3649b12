"""Which place the calling code of a telephone number tells, as `prefixes.yaml` has them. No Django here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import yaml

from incidents.law.places import residence_of

FILE = Path(__file__).parent / "prefixes.yaml"
#: So much of a number is looked at, with its spaces: its calling code and what tells a part of the country.
LONGEST = 14
LONGEST_BEGINNING = 8


class Phone(NamedTuple):
    """What a telephone number says: a place, and every place that it may be where nothing else is known."""

    place: str = ""
    may_mean: tuple[str, ...] = ()


SILENT = Phone()


@lru_cache(maxsize=1)
def prefixes() -> tuple[dict[str, str], dict[str, str], dict[str, list[str]]]:
    """Calling codes and North American area codes with their places, and the places that share a code."""
    found = yaml.safe_load(FILE.read_text())
    areas = {str(code): place for place, codes in found["north_america"].items() for code in codes}
    return {code: residence_of(code=country) for code, country in found["countries"].items()}, areas, found["shared"]


@lru_cache(maxsize=1)
def _finer() -> dict[str, Phone]:
    """The beginnings of numbers that say another place than their calling code, or only what may be meant."""
    found = yaml.safe_load(FILE.read_text())
    countries, _, shared = prefixes()
    told = {number: Phone("", tuple(line["means"])) for line in found["asked"] for number in line["numbers"]}
    for place, numbers in found["within"].items():
        for number in numbers:
            country = _country_of(number, countries)
            told[number] = Phone(place, tuple(dict.fromkeys((place, *shared.get(country, (country,))))))
    return told


@lru_cache(maxsize=4096)
def read_phone(text: str) -> Phone:
    """What a telephone prefix such as '+33', '0033' or '+1-206' says, or a whole number; nothing when it tells none."""
    if text.startswith("00"):
        text = f"+{text[2:]}"
    if not (text.startswith("+") and text.isascii()):
        return SILENT
    countries, areas, shared = prefixes()
    # '+44 (0)1534': the nought is dialled inside the country alone.
    digits = "".join([sign for sign in text[1:].replace("(0)", "")[:LONGEST] if sign.isdecimal()])
    if digits.startswith("1"):
        return Phone(areas.get(digits[1:4], ""))
    finer, place = _finer(), _country_of(digits, countries)
    found = (finer[digits[:size]] for size in range(LONGEST_BEGINNING, 2, -1) if digits[:size] in finer)
    return next(found, Phone(place, tuple(shared.get(place, ()))))


def _country_of(digits: str, countries: dict[str, str]) -> str:
    # No calling code is the beginning of another.
    return countries.get(digits[:3]) or countries.get(digits[:2], "")
