"""The columns of the invented table that speak for a residence; `docs/scenarios.md` has their grammar."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from incidents.scenarios.catalog import Place, load_places
from incidents.scenarios.crowd import UNKNOWN, Crowd
from incidents.scenarios.names import pick
from incidents.scenarios.painting import Edge


def evidence(*, crowd: Crowd, person: int, rng: Random) -> dict[str, str]:
    """What the table knows of where a person lives, beside a postal address."""
    residency = crowd.residency_of(person)
    if residency == UNKNOWN:
        return {"ip_country": pick(rng=rng, items=crowd.countries)} if rng.random() < 0.5 else {}
    edges, country = crowd.edges_of(person), residency[:2]
    if Edge.PREFIX_ONLY in edges:
        return {"phone_prefix": phone_prefix(place=load_places()[residency], rng=rng)}
    found = {"stated_country": country}
    if rng.random() < 0.8:
        found["billing_country"] = country
    if rng.random() < 0.6:
        found["shipping_country"] = country
    found |= _home_evidence(residency, load_places()[residency], edges, rng)
    if rng.random() < 0.5:
        found["ip_country"] = _ip_country(crowd, person, country, rng)
    if Edge.RESIDENCY_CONFLICT in edges:
        found |= _contradiction(crowd, residency, rng)
    return found


def phone_prefix(*, place: Place, rng: Random) -> str:
    """The calling code, with an area code where only that tells the state or province."""
    return f"+{place.dial}-{pick(rng=rng, items=place.areas)}" if place.areas else f"+{place.dial}"


def _home_evidence(residency: str, place: Place, edges: frozenset[Edge], rng: Random) -> dict[str, str]:
    """Store and phone. Where only they tell the state or province, at least one is there, unless painted away."""
    phone = phone_prefix(place=place, rng=rng)
    store = f"{residency} {pick(rng=rng, items=place.stores)}"
    if edges & {Edge.STATE_UNKNOWN, Edge.FORCES}:
        return {"phone_prefix": f"+{place.dial}"} if rng.random() < 0.5 else {}
    if Edge.RESIDENCY_CONFLICT in edges:
        return {"phone_prefix": phone, "loyalty_home_store": store}
    drawn = rng.random()
    has_phone = drawn < 0.7
    has_store = drawn >= 0.7 or drawn < 0.4 if place.areas else rng.random() < 0.4
    return ({"phone_prefix": phone} if has_phone else {}) | ({"loyalty_home_store": store} if has_store else {})


def _ip_country(crowd: Crowd, person: int, country: str, rng: Random) -> str:
    """Weak evidence: one person in twenty was seen abroad, never one of a pinned cell."""
    pinned = crowd.cells[crowd.cell_of[person]] in crowd.scenario.population.pinned_cells
    abroad = rng.random() < 0.05 and not pinned
    return pick(rng=rng, items=crowd.countries) if abroad else country


def _contradiction(crowd: Crowd, residency: str, rng: Random) -> dict[str, str]:
    """Half the people state where they live and pay from elsewhere; the other half state elsewhere and pay at home."""
    home = residency[:2]
    elsewhere = pick(rng=rng, items=list(_elsewhere(crowd, home)))
    if rng.random() < 0.5:
        other = phone_prefix(place=load_places()[elsewhere], rng=rng)
        return {"billing_country": elsewhere[:2], "phone_prefix": other}
    return {"stated_country": elsewhere[:2], "billing_country": home}


def _elsewhere(crowd: Crowd, home: str) -> Iterator[str]:
    """One residence for each other country."""
    seen = {home}
    for residency in crowd.scenario.population.residency_shares:
        if residency != UNKNOWN and residency[:2] not in seen:
            seen.add(residency[:2])
            yield residency
