"""The countries of ISO 3166-1 with their codes and names, as CLDR has them. No Django here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from babel import Locale
from babel.core import get_global

from incidents.law.places import plain

#: In CLDR, but no code of ISO 3166-1: inventions, exceptional reservations, and 'UK'.
NOT_ISO = frozenset({"ZZ", "XA", "XB", "XK", "EU", "EZ", "UN", "QO", "UK", "AC", "CP", "CQ", "DG", "EA", "IC", "TA"})
#: The languages in which the name of a country is read.
NAME_LANGUAGES = (
    "en", "fr", "de", "es", "it", "pt", "nl", "sv", "da", "nb", "fi", "pl", "cs", "hu", "ro", "el", "tr", "ru", "ja", "ko",
    "zh", "zh_Hant", "ar",
)  # fmt: skip


@lru_cache(maxsize=1)
def known_countries() -> frozenset[str]:
    """ISO 3166-1 alpha-2 codes (CLDR's territories, without its own inventions)."""
    codes = {str(code) for code in Locale("en").territories if re.fullmatch(r"[A-Z]{2}", str(code))}
    return frozenset(codes - NOT_ISO)


@lru_cache(maxsize=1)
def names_of_countries() -> Mapping[str, str]:
    """Names of countries in all languages, without those that two countries share."""
    found: dict[str, set[str]] = {}
    for language in NAME_LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if code in known_countries():
                found.setdefault(plain(name), set()).add(str(code))
    return {name: codes.pop() for name, codes in found.items() if name and len(codes) == 1}


@lru_cache(maxsize=1)
def three_letters() -> Mapping[str, str]:
    """ISO 3166-1 alpha-3 -> alpha-2, as CLDR has them: those that are one country's."""
    found = {code: to for code, to in get_global("territory_aliases").items() if re.fullmatch(r"[A-Z]{3}", code)}
    return {code: to[0] for code, to in found.items() if len(to) == 1 and to[0] in known_countries()}
