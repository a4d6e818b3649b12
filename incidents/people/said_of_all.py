"""A country that somebody says of everybody on a list: an assumption about all of its rows, and the last evidence of any of them.

It stands in for a column of countries in rows that name no country of their own: their postcode and region are read beside it. It
never contradicts a row. What rests on it is weak evidence, whatever else agrees, and is recorded as such. No Django here.
"""

from __future__ import annotations

from dataclasses import replace

from incidents.law.places import residence_of
from incidents.people.calling import prefixes
from incidents.people.country_codes import known_countries
from incidents.people.fillers import half_width
from incidents.people.reading import FileRefused
from incidents.people.residence import (
    NONE,
    OF_LIST,
    UNKNOWN,
    WEAK,
    Residence,
    country_of_row,
    decide,
    gather,
    subdivisions,
    weigh,
)

#: Said where nothing holds for all, also of a newer version of a list of which something was said.
NOBODY_SAYS = "none"
LONGEST_SAID = 20
#: The cells of a row that tell where somebody lives, as `gather` takes them.
Cells = tuple[str, str, str, str, str, str, str, str, str, str]


def rests_on_it(residence_from: str) -> bool:
    """Whether a residence is known by what was said of the whole list; `residence_from` as it is kept beside the residence."""
    return residence_from.startswith(OF_LIST)


def evidence_in_words(residence_from: str) -> str:
    """The evidence that decided a residence, for whoever reads it."""
    if not rests_on_it(residence_from):
        return residence_from.replace("_", " ")
    piece = residence_from.removeprefix(OF_LIST).removeprefix("+")
    return f"the {piece}, in the country that was said of the whole list" if piece else "what was said of the whole list"


def country_behind(residence_from: str, place: str) -> str:
    """The country that was said of the list of somebody who lives by it; empty of anybody else."""
    if not rests_on_it(residence_from):
        return ""
    return place if residence_from == OF_LIST else place[:2]


def country_said(text: str) -> str:
    """The code of a country, or of a state or province, that is said of a whole list. Raises FileRefused."""
    tidy = half_width(text).strip()
    if tidy.upper() == "EU":
        raise FileRefused(
            "EU is no country, and its members have laws of their own. Say the one country where everybody on this list lives; "
            "where there are several, leave it out: each row then speaks for itself, or is asked."
        )
    code = residence_of(code=tidy.upper())
    if code in known_countries() or code in subdivisions():
        return code
    found = decide({"stated_country": tidy})
    meant = found.unclear if found.place == UNKNOWN else (found.place,)
    asked = f" Is {' or '.join(meant)} meant?" if meant else ""
    raise FileRefused(
        f"'{tidy[:LONGEST_SAID]}' is no code of a country.{asked} Say the two letters of ISO 3166 (DE, HK), or the code of a "
        "state or province (US-CA)."
    )


def weigh_beside(cells: Cells, country: str) -> Residence:
    """The residence of a row on a list of which a country is said; '' = none is. Raises nothing and asks nothing of its own."""
    evidence = gather(*cells)
    own = weigh(evidence)
    # A number that names no place surely is asked, whatever was said of the list.
    asked = evidence.phone.may_mean and not evidence.phone.place
    if not country or asked or country_of_row(*cells[:3]) or not _has_room(own, country):
        return own
    # Read as if the column of countries said so; where the row says the same by itself, that counts and keeps its confidence.
    beside = weigh(gather(country, *cells[1:]))
    if own.place == beside.place and own.question == beside.question:
        return replace(own, possible=beside.possible, unclear=beside.unclear, postcode_problem=beside.postcode_problem)
    by = OF_LIST if beside.decided_by == "stated_country" else beside.decided_by
    return replace(beside, decided_by=by, of_list=True, confidence=NONE if beside.confidence == NONE else WEAK)


def _has_room(own: Residence, country: str) -> bool:
    """Whether a row leaves open what the list says: it names no place, or this one with less or more detail."""
    if own.unreadable:
        return False
    if own.place == UNKNOWN:
        return not own.weak_hint or _same(own.weak_hint, country)
    if own.question == "residence_conflict":
        # Several places share a calling code, and nothing contradicts it: the list says which of them is meant.
        shared = list(own.possible) == prefixes()[2].get(own.place)
        return country in own.possible and (shared or (country == own.place and own.decided_by == "phone_prefix"))
    return _same(own.place, country)


def _same(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}-") or other.startswith(f"{one}-")
