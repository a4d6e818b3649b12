"""The list of the Cartier drill, and rows of a test's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import Incident, QueueEntry
from incidents.people.importing import ImportReport, import_people
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.generator import write_people

Row = dict[str, str]
Importer = Callable[..., ImportReport]


@pytest.fixture(scope="session")
def cartier_list(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cartier small as the generator writes it."""
    path = tmp_path_factory.mktemp("cartier") / "people.csv"
    with path.open("w", encoding="utf-8", newline="") as out:
        write_people(scenario=load_scenario(scenario_id="cartier-2025"), people=200, out=out)
    return path


@pytest.fixture
def bring(incident: Incident, officer: User, write_list: Callable[..., Path]) -> Importer:
    """Import rows, given as mappings, as a file of their own."""

    def run(*rows: Row, **options: object) -> ImportReport:
        return import_people(incident=incident, path=write_list(*rows, **options), author=officer)

    return run


def kinds(incident: Incident, **found: object) -> list[str]:
    """The kinds of the queue's entries, in their order."""
    return list(QueueEntry.objects.filter(incident=incident, **found).order_by("id").values_list("kind", flat=True))
