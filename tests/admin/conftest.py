"""A case for the desk: Claire, Carl and Yuki, Sam whose state is unknown, and Nora whose address leads nowhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from incidents.dispatch.campaign import freeze
from incidents.letters.render import make_letters
from incidents.models import Campaign, Incident
from incidents.people.assessing import assess_incident
from incidents.people.deciding import hold
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident, record_finding
from tests.admin.case import A_MONTH_ON, NORA, SAM, TITLE, signed_in
from tests.conftest import CAST, NOW

FINDINGS = (
    ("risk", "risk"),
    ("misuse_likely", "yes"),
    ("serious_harm_likely", "no"),
    ("voluntary_notice", "yes"),
    ("law_unknown", "courtesy"),
)


@pytest.fixture(autouse=True)
def own_folder(settings: Settings, tmp_path: Path) -> None:
    """Exports of a test lie in its own folder."""
    settings.VAR = tmp_path


@pytest.fixture
def desk(officer: User) -> Client:
    """The officer's browser."""
    return signed_in(officer)


@pytest.fixture
def list_file(write_list: Callable[..., Path]) -> Path:
    return write_list(*CAST, SAM, NORA)


@pytest.fixture
def opened(officer: User, facts: dict[str, Any]) -> Incident:
    """An incident with facts and nobody in it."""
    return open_incident(facts=check_facts({**facts, "title": TITLE}, now=NOW), author=officer)


@pytest.fixture
def case(opened: Incident, officer: User, list_file: Path) -> Incident:
    """The list is in, the law was asked, two entries wait in the queues."""
    import_people(incident=opened, path=list_file, author=officer)
    for key, value in FINDINGS:
        record_finding(incident=opened, key=key, value=value, reason="as the case file says", author=officer)
    assess_incident(incident=opened, author=officer)
    return opened


@pytest.fixture
def campaign(case: Incident, officer: User) -> Campaign:
    """Both entries held, letters made, register frozen by the officer."""
    hold(incident=case, entries=case.queue.all(), until=A_MONTH_ON, reason="the shop asks", author=officer)
    make_letters(incident=case, author=officer)
    return freeze(incident=case, author=officer)
