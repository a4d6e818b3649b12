"""Paints the edge cases on people: exact numbers, never on pinned cells, never moving a person between cells."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from incidents.scenarios.catalog import Cell, Population, load_places


class Edge(StrEnum):
    """What makes a person hard to notify, by the name under which `edge-cases.yaml` counts it."""

    EXACT_DUPLICATE = "exact_duplicate_person"
    SAME_EMAIL = "same_email_two_people"
    TWO_EMAILS = "same_person_two_emails"
    NO_EMAIL = "no_email"
    MALFORMED = "email_malformed"
    HARD_BOUNCE = "email_hard_bounces"
    SOFT_BOUNCE = "email_soft_bounces_then_ok"
    RESIDENCY_CONFLICT = "residency_conflict"
    MINOR_UNDER_16 = "minor_under_16"
    MINOR_16_17 = "minor_16_17"
    DECEASED = "deceased_flag"
    SAFE_ADDRESS = "safe_address"
    OTHER_LANGUAGE = "language_preference_differs_from_country"
    RTL_SCRIPT = "rtl_script"
    OPTED_OUT = "opted_out_of_marketing"
    EMPLOYEE = "employee_of_controller"
    ERASURE_PENDING = "erasure_request_pending"
    STATE_UNKNOWN = "us_state_unknown"
    PREFIX_ONLY = "phone_prefix_only"
    FORCES = "APO_FPO_US"
    NO_POST = "no_postal_address"
    POST_RETURNED = "postal_undeliverable"


# Within a group a person carries one edge case at most, so that each can be counted in the file by itself.
_ABOUT_THE_ADDRESS = (
    Edge.EXACT_DUPLICATE,
    Edge.TWO_EMAILS,
    Edge.NO_EMAIL,
    Edge.MALFORMED,
    Edge.HARD_BOUNCE,
    Edge.SOFT_BOUNCE,
)
_ABOUT_THE_PERSON = (
    Edge.MINOR_UNDER_16,
    Edge.MINOR_16_17,
    Edge.DECEASED,
    Edge.EMPLOYEE,
    Edge.ERASURE_PENDING,
)
_BIT = {edge: 1 << place for place, edge in enumerate(Edge)}
_ADDRESS_BITS = sum(_BIT[edge] for edge in (*_ABOUT_THE_ADDRESS, Edge.SAME_EMAIL))


class TooFewPeople(ValueError):
    """The population is too small to carry an edge case as often as asked."""


@dataclass(frozen=True)
class Painting:
    """Who carries what. `people` holds one bit mask per person; `neighbours` whose e-mail a person shares."""

    people: array[int]
    neighbours: Mapping[int, int]
    counts: Mapping[Edge, int]
    of_mask: dict[int, frozenset[Edge]]

    def edges_of(self, person: int) -> frozenset[Edge]:
        """The edge cases of one person."""
        mask = self.people[person]
        if mask not in self.of_mask:
            self.of_mask[mask] = frozenset(edge for edge, bit in _BIT.items() if mask & bit)
        return self.of_mask[mask]

    def carriers(self, edge: Edge) -> list[int]:
        """All people with an edge case, in order."""
        bit = _BIT[edge]
        return [person for person, mask in enumerate(self.people) if mask & bit]


def share_of(*, per_10000: int, people: int) -> int:
    """Exact number of people, rounded half up."""
    return (per_10000 * people + 5000) // 10000


def shuffle(*, rng: Random, items: array[int]) -> None:
    """Shuffle in place. Fisher-Yates on `random()` alone, the only draw that Python keeps equal between versions."""
    for last in range(len(items) - 1, 0, -1):
        other = int(rng.random() * (last + 1))
        items[last], items[other] = items[other], items[last]


def paint(*, rng: Random, population: Population, cells: Sequence[Cell], cell_of: array[int]) -> Painting:
    """Choose who carries each edge case; raises TooFewPeople. `cell_of` holds the index of each person's cell."""
    painter = _Painter(rng, population, cells, cell_of)
    painter.paint_residence()
    painter.paint_person()
    painter.paint_address()
    painter.paint_households()
    painter.paint_post()
    return Painting(painter.people, painter.neighbours, painter.counts, {})


class _Painter:
    """The order of the steps is part of the output: a step moved changes every file."""

    def __init__(self, rng: Random, population: Population, cells: Sequence[Cell], cell_of: array[int]) -> None:
        self.rng = rng
        self.cells = cells
        self.sets = population.element_sets
        self.rtl_anywhere = population.rtl_anywhere
        self.cell_of = cell_of
        self.pinned = frozenset(population.pinned_cells)
        self.people = array("I", bytes(4 * len(cell_of)))
        self.neighbours: dict[int, int] = {}
        self.counts = {
            Edge(name): share_of(per_10000=per_10000, people=len(cell_of)) for name, per_10000 in population.edge_cases.items()
        }
        in_us = sum(cells[cell][0].startswith("US-") for cell in cell_of)
        self.counts[Edge.STATE_UNKNOWN] = share_of(per_10000=population.state_unknown_per_10000_us, people=in_us)

    def paint_residence(self) -> None:
        """Evidence and language; the queues of conflict and unknown state stay apart, so that each can be counted."""
        places = load_places()
        known = self._living_where(lambda residency: residency != "UNKNOWN")
        at_home = self._living_where(lambda residency: bool(places[residency].rtl_names))
        self._mark(Edge.RTL_SCRIPT, known if self.rtl_anywhere else at_home)
        self._mark(Edge.STATE_UNKNOWN, self._living_where(lambda residency: residency.startswith("US-")))
        state_unknown = _BIT[Edge.STATE_UNKNOWN]
        settled = array("I", (person for person in known if not self.people[person] & state_unknown))
        self._mark(Edge.RESIDENCY_CONFLICT, settled)
        self._mark(Edge.OTHER_LANGUAGE, known)
        if self.counts.get(Edge.PREFIX_ONLY):
            told = _BIT[Edge.RESIDENCY_CONFLICT] | state_unknown
            self._mark(Edge.PREFIX_ONLY, self._without(told, self._not_holding("postal_address", known)))

    def paint_person(self) -> None:
        """Flags: age, death and employment exclude each other; wishes may come on top."""
        anybody = self._living_where(lambda residency: True)
        self._mark_apart(_ABOUT_THE_PERSON, anybody)
        self._mark(Edge.OPTED_OUT, anybody)
        self._mark(Edge.SAFE_ADDRESS, anybody)

    def paint_address(self) -> None:
        """What is wrong with the e-mail address, or with the rows that carry it."""
        self._mark_apart(_ABOUT_THE_ADDRESS, self._holding("email", lambda residency: True))

    def paint_households(self) -> None:
        """Pairs of the same residence and script, both with an otherwise plain address; one takes the other's."""
        wanted = self.counts.get(Edge.SAME_EMAIL, 0)
        waiting: dict[tuple[str, int], int] = {}
        for person in self._shuffled(self._holding("email", lambda residency: True)):
            if len(self.neighbours) == wanted:
                return
            if self.people[person] & _ADDRESS_BITS:
                continue
            alike = (self.cells[self.cell_of[person]][0], self.people[person] & _BIT[Edge.RTL_SCRIPT])
            if alike in waiting:
                self.neighbours[person] = waiting.pop(alike)
                self.people[person] |= _BIT[Edge.SAME_EMAIL]
            else:
                waiting[alike] = person
        if len(self.neighbours) < wanted:
            raise TooFewPeople(f"{Edge.SAME_EMAIL}: {wanted} pairs wanted, {len(self.neighbours)} found")

    def paint_post(self) -> None:
        """Military post, which names no state; then no address, or one where nobody is found. Nothing where nobody has one."""
        if self.counts.get(Edge.FORCES):
            at_home = _BIT[Edge.RESIDENCY_CONFLICT] | _BIT[Edge.STATE_UNKNOWN] | _BIT[Edge.PREFIX_ONLY]
            self._mark(Edge.FORCES, self._without(at_home, self._holding("postal_address", lambda r: r.startswith("US-"))))
        if self.counts.get(Edge.NO_POST) or self.counts.get(Edge.POST_RETURNED):
            anybody = self._holding("postal_address", lambda residency: residency != "UNKNOWN")
            self._mark_apart((Edge.NO_POST, Edge.POST_RETURNED), self._without(_BIT[Edge.FORCES], anybody))

    def _holding(self, detail: str, wanted: Callable[[str], bool]) -> array[int]:
        """People of whom the table has the detail, outside of the pinned cells."""
        fit = {i for i, cell in enumerate(self.cells) if cell not in self.pinned and self.sets[cell[1]].holds(detail)}
        return array("I", (person for person in self._living_where(wanted) if self.cell_of[person] in fit))

    def _not_holding(self, detail: str, pool: array[int]) -> array[int]:
        unfit = {i for i, cell in enumerate(self.cells) if self.sets[cell[1]].holds(detail)}
        return array("I", (person for person in pool if self.cell_of[person] not in unfit))

    def _without(self, bits: int, pool: array[int]) -> array[int]:
        return array("I", (person for person in pool if not self.people[person] & bits))

    def _living_where(self, wanted: Callable[[str], bool]) -> array[int]:
        fit = {i for i, cell in enumerate(self.cells) if cell not in self.pinned and wanted(cell[0])}
        return array("I", (person for person, cell in enumerate(self.cell_of) if cell in fit))

    def _mark_apart(self, edges: Iterable[Edge], pool: array[int]) -> None:
        shuffled = self._shuffled(pool)
        start = 0
        for edge in edges:
            end = start + self.counts.get(edge, 0)
            self._set(edge, shuffled[start:end])
            start = end

    def _mark(self, edge: Edge, pool: array[int]) -> None:
        self._mark_apart((edge,), pool)

    def _set(self, edge: Edge, chosen: array[int]) -> None:
        if len(chosen) < self.counts.get(edge, 0):
            raise TooFewPeople(f"{edge}: {self.counts[edge]} people wanted, {len(chosen)} can carry it")
        for person in chosen:
            self.people[person] |= _BIT[edge]

    def _shuffled(self, pool: array[int]) -> array[int]:
        copy = array("I", pool)
        shuffle(rng=self.rng, items=copy)
        return copy
