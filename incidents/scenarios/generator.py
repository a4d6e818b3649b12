"""Writes the invented customer table of a scenario: a CSV, equal to the byte for the same scenario, seed and size.

The columns and how they speak of residence are described in `docs/scenarios.md`. Draws use `random()` only.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import TextIO

from incidents.scenarios.catalog import Cell, Place, Scenario, load_places, size_label
from incidents.scenarios.names import (
    HARD_BOUNCE_DOMAIN,
    SOFT_BOUNCE_DOMAIN,
    Name,
    address_of,
    bouncing_address_of,
    draw_name,
    draw_name_beside,
    load_names,
    malformed_address_of,
    pick,
    second_address_of,
)
from incidents.scenarios.painting import Edge, Painting, paint, shuffle

COLUMNS = (
    "person_id",
    "customer_number",
    "given_name",
    "family_name",
    "full_name",
    "email",
    "phone",
    "street",
    "city",
    "region",
    "postcode",
    "billing_country",
    "shipping_country",
    "stated_country",
    "phone_prefix",
    "loyalty_home_store",
    "ip_country",
    "language",
    "elements",
    "date_of_birth",
    "flags",
    "truth_residency",
    "truth_element_set",
)

_FLAGS = {
    Edge.MINOR_UNDER_16: "minor_under_16",
    Edge.MINOR_16_17: "minor_16_17",
    Edge.DECEASED: "deceased",
    Edge.SAFE_ADDRESS: "safe_address",
    Edge.EMPLOYEE: "employee",
    Edge.OPTED_OUT: "opted_out",
    Edge.ERASURE_PENDING: "erasure_pending",
}
_UNKNOWN = "UNKNOWN"
# Prime to 10^8, so that no two people share a customer number.
_STRIDE = 48271


@dataclass(frozen=True)
class GeneratedCounts:
    """What was written. `edge_cases` counts people (pairs for a shared e-mail); `rows` leaves out the header."""

    people: int
    rows: int
    cells: Mapping[Cell, int]
    edge_cases: Mapping[Edge, int]


@dataclass(frozen=True)
class _Crowd:
    """Everything about the people that is decided before the first line is written."""

    scenario: Scenario
    size: str
    cells: tuple[Cell, ...]
    cell_of: array[int]
    painting: Painting
    countries: tuple[str, ...]


def allocate_cells(*, scenario: Scenario, people: int) -> dict[Cell, int]:
    """Exact number of people per cell: largest remainder twice (residence, then element set), then the pinned cells."""
    population = scenario.population
    cells: dict[Cell, int] = {}
    for residency, count in _largest_remainder(people, population.residency_shares).items():
        sets = {name: each.share for name, each in population.element_sets.items() if each.occurs_in(residency)}
        cells |= {(residency, name): part for name, part in _largest_remainder(count, sets).items()}
    for pinned in population.pinned_cells:
        if not cells[pinned]:
            cells[max(cells, key=lambda cell: cells[cell])] -= 1
            cells[pinned] = 1
    return cells


def write_people(*, scenario: Scenario, people: int, out: TextIO) -> GeneratedCounts:
    """Write the table of so many people, line by line; raises TooFewPeople. `out` must not translate newlines."""
    cells = allocate_cells(scenario=scenario, people=people)
    size = size_label(scenario=scenario, people=people)
    rng = Random(f"{scenario.seed}:{size}")  # noqa: S311 - invented people, not secrets
    crowd = _gather(scenario, size, cells, rng)
    lines = _order_of_lines(crowd.painting, rng)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        row = _row(crowd, line % people, second_address=line >= people)
        writer.writerow([row.get(column, "") for column in COLUMNS])
    return GeneratedCounts(people, len(lines), cells, crowd.painting.counts)


def _largest_remainder(total: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """Whole parts in proportion to the shares; what is left goes to the largest remainders, the earlier key on ties."""
    whole = sum(shares.values())
    quotas = {key: total * share / whole for key, share in shares.items()}
    parts = {key: int(quota) for key, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda key: parts[key] - quotas[key])
    for key in by_remainder[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def _gather(scenario: Scenario, size: str, cells: Mapping[Cell, int], rng: Random) -> _Crowd:
    keys = tuple(cells)
    cell_of = array("H")
    for index, cell in enumerate(keys):
        cell_of.extend(array("H", [index]) * cells[cell])
    shuffle(rng=rng, items=cell_of)
    painting = paint(rng=rng, population=scenario.population, cells=keys, cell_of=cell_of)
    countries = dict.fromkeys(residency[:2] for residency, _ in keys if residency != _UNKNOWN)
    return _Crowd(scenario, size, keys, cell_of, painting, tuple(countries))


def _order_of_lines(painting: Painting, rng: Random) -> array[int]:
    """People by number, shuffled: duplicates appear twice, and number + people stands for the second address."""
    people = len(painting.people)
    lines = array("I", range(people))
    lines.extend(painting.carriers(Edge.EXACT_DUPLICATE))
    lines.extend(person + people for person in painting.carriers(Edge.TWO_EMAILS))
    shuffle(rng=rng, items=lines)
    return lines


def _row(crowd: _Crowd, person: int, *, second_address: bool) -> dict[str, str]:
    """One line. Each person has a stream of draws of their own, so that a duplicate repeats it to the byte."""
    scenario, edges, number = crowd.scenario, crowd.painting.edges_of(person), person + 1
    residency, element_set = crowd.cells[crowd.cell_of[person]]
    rng = _stream(crowd, person)
    language, name = _language_and_name(crowd, person, rng)
    elements = scenario.population.element_sets[element_set].elements
    born = _birth_date(rng, scenario.aware_on, edges).isoformat() if "date_of_birth" in elements else ""
    return {
        "person_id": f"{scenario.id}-{crowd.size}-{number:07d}",
        "customer_number": f"C{(number * _STRIDE + scenario.seed) % 10**8:08d}",
        "given_name": name.given,
        "family_name": name.family,
        "full_name": name.full,
        "email": second_address_of(name=name, number=number) if second_address else _email(crowd, person, name),
        "language": language,
        "elements": ";".join(elements),
        "date_of_birth": born,
        "flags": ";".join(flag for edge, flag in _FLAGS.items() if edge in edges),
        "truth_residency": residency,
        "truth_element_set": element_set,
    } | _evidence(crowd, person, rng)


def _stream(crowd: _Crowd, person: int) -> Random:
    return Random(f"{crowd.scenario.seed}:{crowd.size}:{person}")  # noqa: S311 - invented people, not secrets


def _language_and_name(crowd: _Crowd, person: int, rng: Random) -> tuple[str, Name]:
    """The language of the residence decides in which script the name is written, whatever the person prefers."""
    residency = crowd.cells[crowd.cell_of[person]][0]
    edges = crowd.painting.edges_of(person)
    place, local = load_places()[residency], crowd.scenario.population.languages_of(residency)
    language = _by_weight(rng, local)
    names = load_names()[place.rtl_names if Edge.RTL_SCRIPT in edges else place.names[language]]
    neighbour = crowd.painting.neighbours.get(person)
    if neighbour is None:
        name = draw_name(rng=rng, names=names)
    else:
        _, other = _language_and_name(crowd, neighbour, _stream(crowd, neighbour))
        name = draw_name_beside(rng=rng, names=names, other=other)
    if Edge.OTHER_LANGUAGE in edges:
        language = _other_language(crowd.scenario, local, rng)
    return language, name


def _by_weight(rng: Random, weights: Mapping[str, float]) -> str:
    drawn = rng.random() * sum(weights.values())
    for word, weight in weights.items():
        drawn -= weight
        if drawn < 0:
            return word
    return next(iter(weights))


def _other_language(scenario: Scenario, local: Mapping[str, float], rng: Random) -> str:
    spoken = dict.fromkeys(word for words in scenario.population.languages.values() for word in words)
    return pick(rng=rng, items=[word for word in spoken if word not in local])


def _email(crowd: _Crowd, person: int, name: Name) -> str:
    edges, number = crowd.painting.edges_of(person), person + 1
    if Edge.NO_EMAIL in edges:
        return ""
    if Edge.MALFORMED in edges:
        return malformed_address_of(name=name, number=number, variant=number)
    if Edge.HARD_BOUNCE in edges:
        return bouncing_address_of(name=name, number=number, domain=HARD_BOUNCE_DOMAIN)
    if Edge.SOFT_BOUNCE in edges:
        return bouncing_address_of(name=name, number=number, domain=SOFT_BOUNCE_DOMAIN)
    if Edge.SAME_EMAIL in edges:
        neighbour = crowd.painting.neighbours[person]
        _, other = _language_and_name(crowd, neighbour, _stream(crowd, neighbour))
        return address_of(name=other, number=neighbour + 1)
    return address_of(name=name, number=number)


def _birth_date(rng: Random, today: date, edges: frozenset[Edge]) -> date:
    """A day of birth that agrees with the flags on the day of awareness."""
    youngest, oldest = 18, 85
    if Edge.MINOR_UNDER_16 in edges:
        youngest, oldest = 10, 15
    elif Edge.MINOR_16_17 in edges:
        youngest, oldest = 16, 17
    age = youngest + int(rng.random() * (oldest - youngest + 1))
    # 28 exists in every month: no birthday of this age falls outside the year that follows.
    eve = date(today.year - age - 1, today.month, min(today.day, 28))
    return eve + timedelta(days=3 + int(rng.random() * 360))


def _evidence(crowd: _Crowd, person: int, rng: Random) -> dict[str, str]:
    """The columns that speak for a residence; see `docs/scenarios.md` for their grammar."""
    residency = crowd.cells[crowd.cell_of[person]][0]
    if residency == _UNKNOWN:
        return {"ip_country": pick(rng=rng, items=crowd.countries)} if rng.random() < 0.5 else {}
    edges, country = crowd.painting.edges_of(person), residency[:2]
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


def _home_evidence(residency: str, place: Place, edges: frozenset[Edge], rng: Random) -> dict[str, str]:
    """Store and phone. Where only they tell the state or province, at least one is there, unless painted away."""
    phone = _phone_prefix(place, rng)
    store = f"{residency} {pick(rng=rng, items=place.stores)}"
    if Edge.STATE_UNKNOWN in edges:
        return {"phone_prefix": f"+{place.dial}"} if rng.random() < 0.5 else {}
    if Edge.RESIDENCY_CONFLICT in edges:
        return {"phone_prefix": phone, "loyalty_home_store": store}
    drawn = rng.random()
    has_phone = drawn < 0.7
    has_store = drawn >= 0.7 or drawn < 0.4 if place.areas else rng.random() < 0.4
    return ({"phone_prefix": phone} if has_phone else {}) | ({"loyalty_home_store": store} if has_store else {})


def _phone_prefix(place: Place, rng: Random) -> str:
    return f"+{place.dial}-{pick(rng=rng, items=place.areas)}" if place.areas else f"+{place.dial}"


def _ip_country(crowd: _Crowd, person: int, country: str, rng: Random) -> str:
    """Weak evidence: one person in twenty was seen abroad, never one of a pinned cell."""
    pinned = crowd.cells[crowd.cell_of[person]] in crowd.scenario.population.pinned_cells
    abroad = rng.random() < 0.05 and not pinned
    return pick(rng=rng, items=crowd.countries) if abroad else country


def _contradiction(crowd: _Crowd, residency: str, rng: Random) -> dict[str, str]:
    """Half the people state where they live and pay from elsewhere; the other half state elsewhere and pay at home."""
    home = residency[:2]
    elsewhere = pick(rng=rng, items=list(_elsewhere(crowd, home)))
    if rng.random() < 0.5:
        other = _phone_prefix(load_places()[elsewhere], rng)
        return {"billing_country": elsewhere[:2], "phone_prefix": other}
    return {"stated_country": elsewhere[:2], "billing_country": home}


def _elsewhere(crowd: _Crowd, home: str) -> Iterator[str]:
    """One residence for each other country."""
    seen = {home}
    for residency in crowd.scenario.population.residency_shares:
        if residency != _UNKNOWN and residency[:2] not in seen:
            seen.add(residency[:2])
            yield residency
