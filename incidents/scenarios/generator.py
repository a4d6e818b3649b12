"""Writes the invented customer table of a scenario: a CSV, equal to the byte for the same scenario, seed and size.

The columns and how they speak of residence are described in `docs/scenarios.md`. Draws use `random()` only.
"""

from __future__ import annotations

import csv
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from random import Random
from typing import Protocol

from incidents.scenarios.catalog import Cell, Scenario, load_places, size_label
from incidents.scenarios.crowd import Crowd, gather
from incidents.scenarios.evidence import evidence
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
from incidents.scenarios.painting import Edge, Painting, shuffle
from incidents.scenarios.postal import post_and_phone

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
# Prime to 10^8, so that no two people share a customer number.
_STRIDE = 48271


class Table(Protocol):
    """Where the lines go."""

    def write(self, text: str, /) -> int:
        """One line."""
        ...


@dataclass(frozen=True)
class GeneratedCounts:
    """What was written. `edge_cases` counts people (pairs for a shared e-mail); `rows` leaves out the header."""

    people: int
    rows: int
    cells: Mapping[Cell, int]
    edge_cases: Mapping[Edge, int]


def allocate_cells(*, scenario: Scenario, people: int) -> dict[Cell, int]:
    """Exact number of people per cell: largest remainder twice (residence, then element set), then the pinned cells."""
    population = scenario.population
    cells: dict[Cell, int] = {}
    for residency, count in _whole(people, _normalised(population.residency_shares)).items():
        sets = {name: each.share for name, each in population.element_sets.items() if each.occurs_in(residency)}
        # In binary, as the allocation on record was computed: an exact half may fall just below it.
        binary = {name: float(share) for name, share in _normalised(sets).items()}
        cells |= {(residency, name): part for name, part in _whole(count, binary).items()}
    for pinned in population.pinned_cells:
        if not cells[pinned]:
            cells[max(cells, key=lambda cell: cells[cell])] -= 1
            cells[pinned] = 1
    return cells


def write_people(*, scenario: Scenario, people: int, out: Table) -> GeneratedCounts:
    """Write the table of so many people, line by line; raises TooFewPeople. `out` must not translate newlines."""
    rng = _placement(scenario, people)
    crowd = _crowd(scenario, people, rng)
    lines = _order_of_lines(crowd.painting, rng)
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in lines:
        row = _row(crowd, line % people, second_address=line >= people)
        writer.writerow([row.get(column, "") for column in COLUMNS])
    cells = allocate_cells(scenario=scenario, people=people)
    return GeneratedCounts(people, len(lines), cells, crowd.painting.counts)


def crowd_of(*, scenario: Scenario, people: int) -> Crowd:
    """The people behind the table, each in their true cell; raises TooFewPeople."""
    return _crowd(scenario, people, _placement(scenario, people))


def _placement(scenario: Scenario, people: int) -> Random:
    return Random(f"{scenario.seed}:{size_label(scenario=scenario, people=people)}")  # noqa: S311 - invented people, not secrets


def _crowd(scenario: Scenario, people: int, rng: Random) -> Crowd:
    cells, size = allocate_cells(scenario=scenario, people=people), size_label(scenario=scenario, people=people)
    return gather(scenario=scenario, size=size, cells=cells, rng=rng)


def _normalised(shares: Mapping[str, Fraction]) -> dict[str, Fraction]:
    whole = sum(shares.values())
    return {key: share / whole for key, share in shares.items()}


def _whole(total: int, shares: Mapping[str, Fraction] | Mapping[str, float]) -> dict[str, int]:
    """Whole parts in proportion to the shares; what is left goes to the largest remainders, the earlier key on ties."""
    quotas = {key: total * share for key, share in shares.items()}
    parts = {key: int(quota) for key, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda key: parts[key] - quotas[key])
    for key in by_remainder[: total - sum(parts.values())]:
        parts[key] += 1
    return parts


def _order_of_lines(painting: Painting, rng: Random) -> array[int]:
    """People by number, shuffled: duplicates appear twice, and number + people stands for the second address."""
    people = len(painting.people)
    lines = array("I", range(people))
    lines.extend(painting.carriers(Edge.EXACT_DUPLICATE))
    lines.extend(person + people for person in painting.carriers(Edge.TWO_EMAILS))
    shuffle(rng=rng, items=lines)
    return lines


def _row(crowd: Crowd, person: int, *, second_address: bool) -> dict[str, str]:
    """One line. Each person has a stream of draws of their own, so that a duplicate repeats it to the byte."""
    scenario, edges, number = crowd.scenario, crowd.edges_of(person), person + 1
    residency, element_set = crowd.cells[crowd.cell_of[person]]
    details, rng = crowd.set_of(person), crowd.stream(person)
    language, name = _language_and_name(crowd, person, rng)
    born = _birth_date(rng, scenario.aware_on, edges).isoformat() if details.holds("date_of_birth") else ""
    known = evidence(crowd=crowd, person=person, rng=rng)
    return {
        "person_id": f"{scenario.id}-{crowd.size}-{number:07d}",
        "customer_number": f"C{(number * _STRIDE + scenario.seed) % 10**8:08d}",
        "given_name": name.given,
        "family_name": name.family,
        "full_name": name.full,
        "email": second_address_of(name=name, number=number) if second_address else _email(crowd, person, name),
        "language": language,
        "elements": ";".join(details.elements),
        "date_of_birth": born,
        "flags": ";".join(flag for edge, flag in _FLAGS.items() if edge in edges),
        "truth_residency": residency,
        "truth_element_set": element_set,
        **known,
        **post_and_phone(crowd=crowd, person=person, rng=rng),
    }


def _language_and_name(crowd: Crowd, person: int, rng: Random) -> tuple[str, Name]:
    """The language of the residence decides in which script the name is written, whatever the person prefers."""
    residency = crowd.residency_of(person)
    edges = crowd.edges_of(person)
    place, local = load_places()[residency], crowd.scenario.population.languages_of(residency)
    language = _by_weight(rng, local)
    names = load_names()[(place.rtl_names or "ar") if Edge.RTL_SCRIPT in edges else place.names[language]]
    neighbour = crowd.painting.neighbours.get(person)
    if neighbour is None:
        name = draw_name(rng=rng, names=names)
    else:
        _, other = _language_and_name(crowd, neighbour, crowd.stream(neighbour))
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
    population = scenario.population
    spoken = dict.fromkeys(word for words in population.languages.values() for word in words)
    spoken |= dict.fromkeys(population.other_languages)
    return pick(rng=rng, items=[word for word in spoken if word not in local])


def _email(crowd: Crowd, person: int, name: Name) -> str:
    edges, number = crowd.edges_of(person), person + 1
    if Edge.NO_EMAIL in edges or not crowd.set_of(person).holds("email"):
        return ""
    if Edge.MALFORMED in edges:
        return malformed_address_of(name=name, number=number, variant=number)
    if Edge.HARD_BOUNCE in edges:
        return bouncing_address_of(name=name, number=number, domain=HARD_BOUNCE_DOMAIN)
    if Edge.SOFT_BOUNCE in edges:
        return bouncing_address_of(name=name, number=number, domain=SOFT_BOUNCE_DOMAIN)
    if Edge.SAME_EMAIL in edges:
        neighbour = crowd.painting.neighbours[person]
        _, other = _language_and_name(crowd, neighbour, crowd.stream(neighbour))
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
