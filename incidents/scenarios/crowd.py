"""The invented people before the first line is written: who is in which cell, who carries what."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from incidents.scenarios.catalog import Cell, ElementSet, Scenario
from incidents.scenarios.painting import Edge, Painting, paint, shuffle

UNKNOWN = "UNKNOWN"


@dataclass(frozen=True)
class Crowd:
    """The people of one scenario in one size; a person is a number from 0."""

    scenario: Scenario
    size: str
    cells: tuple[Cell, ...]
    cell_of: array[int]
    painting: Painting
    countries: tuple[str, ...]

    def residency_of(self, person: int) -> str:
        """Where the person lives in truth."""
        return self.cells[self.cell_of[person]][0]

    def set_of(self, person: int) -> ElementSet:
        """What leaked of the person."""
        return self.scenario.population.element_sets[self.cells[self.cell_of[person]][1]]

    def edges_of(self, person: int) -> frozenset[Edge]:
        """What makes the person hard to notify."""
        return self.painting.edges_of(person)

    def stream(self, person: int) -> Random:
        """The person's own draws, so that a duplicate repeats a line to the byte."""
        return Random(f"{self.scenario.seed}:{self.size}:{person}")  # noqa: S311 - invented people, not secrets


def gather(*, scenario: Scenario, size: str, cells: Mapping[Cell, int], rng: Random) -> Crowd:
    """Deal so many people to the cells and paint the edge cases on them; raises TooFewPeople."""
    keys = tuple(cells)
    cell_of = array("H")
    for index, cell in enumerate(keys):
        cell_of.extend(array("H", [index]) * cells[cell])
    shuffle(rng=rng, items=cell_of)
    painting = paint(rng=rng, population=scenario.population, cells=keys, cell_of=cell_of)
    countries = dict.fromkeys(residency[:2] for residency, _ in keys if residency != UNKNOWN)
    return Crowd(scenario, size, keys, cell_of, painting, tuple(countries))
