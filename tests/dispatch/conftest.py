"""Each test gets its own copy of a database in which a campaign is frozen or released already."""

from __future__ import annotations

import csv
import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connections
from pytest_django import Settings

from incidents.dispatch.owner import Owner
from incidents.models import Campaign
from tests import roles as roles_of_tests
from tests.conftest import COLUMNS, copy_database, with_database
from tests.dispatch.campaigns import CROWD, FIVE, let_go, prepare

SORTS = {"frozen": (FIVE, False), "released": (FIVE, True), "crowd": (CROWD, True)}


@pytest.fixture(scope="session")
def prepared_in(migrated_template: str, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """The name of a database that holds such a campaign; made at first use."""
    made: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("prepared")

    def write(*people: dict[str, str]) -> Path:
        path = folder / f"{uuid.uuid4().hex}.csv"
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(people)
        return path

    def make(sort: str) -> str:
        if sort in made:
            return made[sort]
        settings, name = connections["default"].settings_dict, f"ready_{uuid.uuid4().hex[:12]}"
        before = dict(settings)
        with psycopg.connect(with_database(before, "postgres"), autocommit=True) as server:
            connections.close_all()
            copy_database(server, name, of=migrated_template)
        with django_db_blocker.unblock():
            settings.update(NAME=name)
            people, released = SORTS[sort]
            campaign, _, _ = prepare(people=people, write_list=write)
            if released:
                let_go(campaign)
            connections.close_all()
        settings.update(before)
        made[sort] = name
        return name

    return make


@pytest.fixture
def own_key(settings: Settings, tmp_path: Path) -> None:
    """The key's folder keeps the last signed head of a log: copies of one database must not share it."""
    kept = settings.AUDIT_KEY_FILE
    settings.AUDIT_KEY_FILE = tmp_path / "keys" / "audit.pem"
    settings.AUDIT_KEY_FILE.parent.mkdir()
    if kept.exists():
        shutil.copy(kept, settings.AUDIT_KEY_FILE)


@pytest.fixture
def copy(
    roles: roles_of_tests.Cast, prepared_in: Callable[[str], str], own_key: None, django_db_blocker: Any
) -> Iterator[Callable[[str], str]]:
    """Go into a copy of a prepared database, as the staff (`tests/roles.py`); returns its address for a superuser."""
    settings = connections["default"].settings_dict
    before, name = dict(settings), f"case_{uuid.uuid4().hex[:12]}"
    admin = with_database(before, "postgres")

    def enter(sort: str) -> str:
        template = prepared_in(sort)
        connections.close_all()
        with psycopg.connect(admin, autocommit=True) as server:
            copy_database(server, name, of=template)
        own = with_database(before, name)
        settings.update(roles_of_tests.sign_in(name, roles, "staff"))
        return own

    try:
        with django_db_blocker.unblock():
            yield enter
    finally:
        connections.close_all()
        settings.update(before)
        with psycopg.connect(admin, autocommit=True) as server:
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
def five_frozen(copy: Callable[[str], str]) -> Campaign:
    """Claire, Carl, Yuki, Hanna (hard bounce) and Sven (soft bounce), frozen."""
    copy("frozen")
    return Campaign.objects.select_related("incident").get()


@pytest.fixture
def admin_url(copy: Callable[[str], str]) -> str:
    """The same, released, for a test that also acts as the superuser: the address."""
    return copy("released")


@pytest.fixture
def five(admin_url: str) -> Campaign:
    """Claire, Carl, Yuki, Hanna (hard bounce) and Sven (soft bounce), released."""
    return Campaign.objects.select_related("incident").get()


@pytest.fixture
def crowd_url(copy: Callable[[str], str]) -> str:
    """Two hundred people, released, for a test that also acts as the superuser: the address."""
    return copy("crowd")


@pytest.fixture
def crowd(crowd_url: str) -> Campaign:
    """Two hundred people, released."""
    return Campaign.objects.select_related("incident").get()


@pytest.fixture
def owner(request: pytest.FixtureRequest) -> Iterator[Owner]:
    """A worker's identity; ask for it after the campaign."""
    with Owner() as alive:
        yield alive
