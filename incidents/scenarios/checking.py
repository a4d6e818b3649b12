"""Cells counted two ways after a drill's list was imported: by the truth behind the list, and by the product's own reading.

The first must equal the allocation exactly: nobody lost, nobody twice. The second must equal it less the people in the queues
about residence, whom nobody may place by guessing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from incidents.models import AffectedPerson, Incident, QueueEntry
from incidents.models.people import QueueKind
from incidents.models.refusal import Refused
from incidents.scenarios.catalog import Cell, Scenario, UnknownScenario, load_scenario, people_in
from incidents.scenarios.crowd import UNKNOWN, Crowd
from incidents.scenarios.generator import crowd_of

QUEUES = (QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_UNKNOWN, QueueKind.RESIDENCE_CONFLICT)
#: What a person is taken to have lost while the question which document it was is open, or once it is answered.
DOCUMENTS = frozenset({"passport", "national_id", "other_government_id", "passport_or_government_id"})
CREDENTIALS = frozenset({"online_credentials", "password_valid_at_attack"})
_REFERENCE = re.compile(r"(?P<scenario>[a-z0-9-]+)-(?P<size>small|medium|large|n\d+)-(?P<number>\d{7})")


class NoDrill(Refused):
    """The incident's people do not come from a drill's list."""


@dataclass
class CellCheck:
    """The allocation and both counts. `queued`: people in the queues, by their true cell."""

    scenario: str
    size: str
    allocated: Mapping[Cell, int]
    by_truth: Counter[Cell] = field(default_factory=Counter)
    by_reading: Counter[Cell] = field(default_factory=Counter)
    queued: Counter[Cell] = field(default_factory=Counter)
    #: True cell -> cell as read, of people in no queue.
    misread: Counter[tuple[Cell, Cell]] = field(default_factory=Counter)
    #: People whose reference is not of this list, or stands there twice.
    strangers: int = 0

    @property
    def truth_holds(self) -> bool:
        """Whether everybody of the list is there once."""
        return not self.strangers and self.by_truth == Counter({cell: n for cell, n in self.allocated.items() if n})

    @property
    def reading_holds(self) -> bool:
        """Whether the product read everybody outside the queues as they are."""
        return self.by_reading == self.by_truth - self.queued and not self.misread

    def lines(self) -> list[str]:
        """The result in words, the differences by cell."""
        people = sum(self.allocated.values())
        queued, read = sum(self.queued.values()), sum(self.by_reading.values())
        return [
            f"{self.scenario} {self.size}: {people} people in {sum(n > 0 for n in self.allocated.values())} cells.",
            f"By the truth of the list: {'equal' if self.truth_holds else 'DIFFERENT'}; {self.strangers} strangers.",
            *(
                f"  {residency} {name}: {self.by_truth[residency, name]} instead of {self.allocated.get((residency, name), 0)}"
                for residency, name in sorted({*self.allocated, *self.by_truth})
                if self.by_truth[residency, name] != self.allocated.get((residency, name), 0)
            ),
            f"By the product's reading: {'equal' if self.reading_holds else 'DIFFERENT'}; {read} read, {queued} in the queues.",
            *(f"  {n} of {' '.join(true)} read as {' '.join(as_read)}" for (true, as_read), n in sorted(self.misread.items())),
        ]


def check_cells(*, incident: Incident) -> CellCheck:
    """Count the people of a drill's incident both ways. Raises NoDrill."""
    scenario, size = _list_of(incident)
    crowd = crowd_of(scenario=scenario, people=people_in(scenario=scenario, size=size.removeprefix("n")))
    check = CellCheck(scenario.id, size, dict.fromkeys(crowd.cells, 0))
    check.allocated = Counter(crowd.cells[index] for index in crowd.cell_of)
    queued = frozenset(
        QueueEntry.objects.filter(incident=incident, kind__in=QUEUES, person__isnull=False).values_list("person_id", flat=True)
    )
    names = {canonical(each.elements): name for name, each in scenario.population.element_sets.items()}
    seen = bytearray(len(crowd.cell_of))
    people = AffectedPerson.objects.filter(incident=incident, merged_into=None)
    for key, reference, residence, elements in people.values_list("pk", "reference", "residence", "elements").iterator(10_000):
        true = _true_cell(crowd, reference, seen)
        if true is None:
            check.strangers += 1
            continue
        check.by_truth[true] += 1
        if key in queued:
            check.queued[true] += 1
            continue
        read = (UNKNOWN if residence == "ZZ" else residence, names.get(canonical(tuple(elements)), "?"))
        check.by_reading[read] += 1
        if read != true:
            check.misread[true, read] += 1
    return check


def canonical(elements: tuple[str, ...]) -> frozenset[str]:
    """What leaked, whichever document it was and wherever the credentials came from."""
    words = {"document" if element in DOCUMENTS else element for element in elements}
    return frozenset("credentials" if word in CREDENTIALS else word for word in words)


def _list_of(incident: Incident) -> tuple[Scenario, str]:
    reference = incident.people.order_by("id").values_list("reference", flat=True).first() or ""
    match = _REFERENCE.match(reference)
    try:
        if match:
            return load_scenario(scenario_id=match["scenario"]), match["size"]
    except UnknownScenario:
        pass
    raise NoDrill(f"The people of '{incident.reference}' do not come from a scenario's list. Import one: manage.py scenario.")


def _true_cell(crowd: Crowd, reference: str, seen: bytearray) -> Cell | None:
    match = _REFERENCE.fullmatch(reference)
    number = int(match["number"]) - 1 if match and match["scenario"] == crowd.scenario.id else -1
    if not 0 <= number < len(seen) or seen[number]:
        return None
    seen[number] = 1
    return crowd.cells[crowd.cell_of[number]]
