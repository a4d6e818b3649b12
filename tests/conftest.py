"""One cast: a Cartier incident; Claire in Paris, Carl in California, Yuki in Tokyo; the officer writes, counsel approves."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connections
from django.test import override_settings

from incidents.dispatch.campaign import freeze, release
from incidents.letters.approving import approve_content
from incidents.letters.render import make_letters
from incidents.models import Campaign, Incident
from incidents.people.assessing import assess_incident
from incidents.people.importing import import_people
from incidents.people.opening import check_facts, open_incident, record_finding
from incidents.scenarios.catalog import load_scenario
from notifier.database import grant_rights
from tests import roles as roles_of_tests
from tests.installation import Installation

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
COLUMNS = (
    "person_id",
    "customer_number",
    "full_name",
    "email",
    "stated_country",
    "loyalty_home_store",
    "language",
    "elements",
    "date_of_birth",
    "flags",
)
CLAIRE = {"person_id": "claire", "customer_number": "C1", "full_name": "Claire Dubois", "email": "claire@example.org",
          "stated_country": "FR", "language": "fr", "elements": "name;email;country"}  # fmt: skip
CARL = {"person_id": "carl", "customer_number": "C2", "full_name": "Carl O'Brien", "email": "carl@example.com",
        "stated_country": "US", "loyalty_home_store": "US-CA Beverly Hills", "language": "en", "elements": "name;email;country"}  # fmt: skip
YUKI = {"person_id": "yuki", "customer_number": "C3", "full_name": "佐藤 由紀", "email": "yuki@example.net",
        "stated_country": "JP", "language": "ja", "elements": "name;email;country"}  # fmt: skip
CAST = (CLAIRE, CARL, YUKI)


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Officer and counsel are made anew in each test; the product's hash takes a quarter of a second for each."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(scope="session")
def roles() -> roles_of_tests.Cast:
    """The database roles of this run."""
    return roles_of_tests.make_roles(with_database(dict(connections["default"].settings_dict), "postgres"))


@pytest.fixture(scope="session")
def migrated_template(roles: roles_of_tests.Cast, django_db_blocker: Any) -> str:
    """A migrated database of which `committed` makes copies; the roles have their rights in it."""
    settings, name = connections["default"].settings_dict, f"template_{uuid.uuid4().hex[:12]}"
    before = dict(settings)
    with psycopg.connect(with_database(before, "postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name}")
    with psycopg.connect(with_database(before, name)) as server:
        server.execute(f"ALTER SCHEMA public OWNER TO {roles.name('owner')}")
    with django_db_blocker.unblock():
        connections.close_all()
        settings.update(roles_of_tests.sign_in(name, roles, "owner"))
        call_command("migrate", verbosity=0)
        connections.close_all()
    settings.update(before)
    grant_rights(with_database(before, name), prefix=roles.prefix)
    return name


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, migrated_template: str) -> None:
    """The database of the tests that are rolled back is a copy too, so that a process migrates once and not twice."""
    connections["default"].settings_dict["TEST"]["TEMPLATE"] = migrated_template


@pytest.fixture
def committed(
    request: pytest.FixtureRequest, roles: roles_of_tests.Cast, migrated_template: str, django_db_blocker: Any
) -> Iterator[str]:
    """A database of its own where things are really committed; dropped at the end. Gives its address for a superuser.

    It is used as the staff (`tests/roles.py`), or as the role that the mark names: @pytest.mark.committed("web").
    The append-only triggers refuse the flush by which such tests usually clean up.
    """
    settings, mark = connections["default"].settings_dict, request.node.get_closest_marker("committed")
    before, name = dict(settings), f"case_{uuid.uuid4().hex[:12]}"
    admin = with_database(before, "postgres")
    with psycopg.connect(admin, autocommit=True) as server:
        connections.close_all()
        copy_database(server, name, of=migrated_template)
    own = with_database(before, name)
    settings.update(roles_of_tests.sign_in(name, roles, mark.args[0] if mark and mark.args else "staff"))
    try:
        with django_db_blocker.unblock():
            yield own
    finally:
        connections.close_all()
        settings.update(before)
        with psycopg.connect(admin, autocommit=True) as server:
            server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def copy_database(server: psycopg.Connection[Any], name: str, *, of: str) -> None:
    """Make a database as a copy of another one's files, which takes a third of the time of logging it page by page."""
    server.execute(f"CREATE DATABASE {name} TEMPLATE {of} STRATEGY FILE_COPY")


def with_database(settings: dict[str, Any], name: str) -> str:
    """The libpq address of a database on the test server."""
    place = f"{settings['USER']}:{settings['PASSWORD']}@"
    if str(settings["HOST"]).startswith("/"):
        return f"postgresql://{place}/{name}?host={settings['HOST']}"
    return f"postgresql://{place}{settings['HOST']}:{settings['PORT'] or 5432}/{name}"


#: Stories that take a minute each: begun first, so that no process is left with one when the other is done.
LONG = ("journeys", "faults")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that use the cast use the test database, which pytest-django makes only for those that say so."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)
    for item in items:
        if "database" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("committed"):
            item.add_marker(pytest.mark.django_db)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> None:
    """A transaction that is rolled back, or with @pytest.mark.committed a database of its own."""
    request.getfixturevalue("committed" if request.node.get_closest_marker("committed") else "db")


@pytest.fixture
def officer(database: None) -> User:
    with roles_of_tests.acting("owner"):
        return User.objects.create_user("officer", password="officer-password-1", is_staff=True)


@pytest.fixture
def counsel(database: None) -> User:
    with roles_of_tests.acting("owner"):
        return User.objects.create_user("counsel", password="counsel-password-1", is_staff=True)


@pytest.fixture
def facts() -> dict[str, Any]:
    """Cartier's facts as a file would give them; change them before opening an incident."""
    return dict(load_scenario(scenario_id="cartier-2025").facts)


@pytest.fixture
def incident(officer: User, facts: dict[str, Any]) -> Incident:
    return open_incident(facts=check_facts(facts, now=NOW), author=officer, drill=True)


@pytest.fixture
def write_list(tmp_path: Path) -> Callable[..., Path]:
    """Write people as a CSV file; cells that a person does not have stay empty."""
    numbers = iter(range(1000))

    def write(*people: dict[str, str], columns: tuple[str, ...] = COLUMNS, encoding: str = "utf-8") -> Path:
        path = tmp_path / f"list-{next(numbers)}.csv"
        with path.open("w", newline="", encoding=encoding) as out:
            writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
            writer.writeheader()
            writer.writerows(people)
        return path

    return write


@pytest.fixture
def imported(incident: Incident, officer: User, write_list: Callable[..., Path]) -> Incident:
    """The incident with its three people."""
    import_people(incident=incident, path=write_list(*CAST), author=officer)
    return incident


@pytest.fixture
def assessed(imported: Incident, officer: User) -> Incident:
    """Findings recorded, the law asked, letters made."""
    for key, value in (
        ("risk", "risk"),
        ("misuse_likely", "yes"),
        ("serious_harm_likely", "no"),
        ("voluntary_notice", "yes"),
        ("law_unknown", "courtesy"),
    ):
        record_finding(incident=imported, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=imported, author=officer)
    make_letters(incident=imported, author=officer)
    return imported


@pytest.fixture
def frozen(assessed: Incident, officer: User) -> Campaign:
    return freeze(incident=assessed, author=officer)


@pytest.fixture
def released(frozen: Campaign, officer: User, counsel: User) -> Campaign:
    approve_content(campaign=frozen, author=counsel, reason="read")
    frozen.refresh_from_db()
    return release(campaign=frozen, author=officer, reason="go")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A machine of its own, stopped at the end."""
    var = tmp_path / "var"
    var.mkdir()
    here = Installation(var)
    try:
        yield here
    finally:
        here.stop()
