"""Postal addresses and telephone numbers that nobody has, right in form and of the right place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from random import Random
from typing import Any

from incidents.scenarios.catalog import load_places, read_data
from incidents.scenarios.crowd import UNKNOWN, Crowd
from incidents.scenarios.names import pick
from incidents.scenarios.painting import Edge

#: Letters that stand anywhere in the postcodes of Canada, Ireland, the Netherlands and the British Isles.
LETTERS = "AEHNPRTWXY"
HIGHEST_HOUSE_NUMBER = 240


def post_and_phone(*, crowd: Crowd, person: int, rng: Random) -> dict[str, str]:
    """The postal columns and the telephone number, where the table holds them of this person."""
    residency, details, edges = crowd.residency_of(person), crowd.set_of(person), crowd.edges_of(person)
    if residency == UNKNOWN:
        return {}
    found: dict[str, str] = {}
    if details.holds("postal_address"):
        address = _address(residency, edges, rng)
        found |= {} if Edge.NO_POST in edges else address
    if details.holds("phone"):
        found["phone"] = _phone(residency, edges, rng)
    return found


@lru_cache(maxsize=1)
def _postal() -> Mapping[str, Any]:
    found: Mapping[str, Any] = read_data(name="common/postal.yaml")
    return found


def _address(residency: str, edges: frozenset[Edge], rng: Random) -> dict[str, str]:
    known = _postal()
    place, forces = known["places"][residency], known["forces"]
    region, town, postcode = pick(rng=rng, items=forces["areas"] if Edge.FORCES in edges else place["areas"])
    streets = known["streets"]["undeliverable" if Edge.POST_RETURNED in edges else place["style"]]
    street = forces["street"] if Edge.FORCES in edges else pick(rng=rng, items=streets)
    number = 1 + int(rng.random() * HIGHEST_HOUSE_NUMBER)
    return {"street": street.format(n=number), "city": town, "region": region, "postcode": _filled(postcode, rng)}


def _phone(residency: str, edges: frozenset[Edge], rng: Random) -> str:
    """A number kept for fiction; where a country keeps none, one that no exchange connects."""
    place, pattern = load_places()[residency], _postal()["phones"].get(residency[:2])
    if pattern is None or Edge.FORCES in edges:
        pattern = f"+{place.dial} 000 ######"
    area = pick(rng=rng, items=place.areas) if place.areas else ""
    return _filled(pattern.replace("@area", area), rng)


def _filled(pattern: str, rng: Random) -> str:
    return "".join(_one(sign, rng) for sign in pattern)


def _one(sign: str, rng: Random) -> str:
    choices: Sequence[str] = {"#": "0123456789", "%": "123456789", "@": LETTERS}.get(sign, "")
    return pick(rng=rng, items=choices) if choices else sign
