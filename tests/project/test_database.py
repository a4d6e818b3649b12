"""Setting the roles up, what a process is given of them, and who is refused at the start."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections
from pytest_django import Settings

from incidents import checks
from incidents.acting import acting_as
from notifier import acts, connecting, database, schema
from notifier import environment as started
from notifier.embedded import ServiceDown
from notifier.privileges import ROLES, rights
from notifier.settings import database as settings_of_database
from tests.conftest import with_database

PASSWORDS = {role: f"{role}-password" for role in ROLES}


@pytest.fixture(scope="module")
def admin() -> Iterator[str]:
    """An administrator's address of a database that is not there yet; everything is taken away at the end."""
    settings, name = dict(connections["default"].settings_dict), f"own_{uuid.uuid4().hex[:8]}"
    yield with_database(settings, name)
    with psycopg.connect(with_database(settings, "postgres"), autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for (role,) in server.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"{name}_"]).fetchall():
            server.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


@pytest.fixture
def known(admin: str) -> dict[str, str]:
    """The addresses of the roles; set up by the first test that asks."""
    return database.prepare_database(admin, passwords=PASSWORDS)


def test_every_role_may_sign_in_and_none_has_power_over_the_server(known: dict[str, str]) -> None:
    assert set(known) == set(ROLES)
    for role, address in known.items():
        faults = schema.look(address).faults
        assert [fault.id for fault in faults] == (["incidents.E001"] if role == "owner" else []), role


def test_a_second_time_nothing_changes_and_new_passwords_are_set_where_others_are_known(
    known: dict[str, str], admin: str
) -> None:
    assert database.prepare_database(admin, passwords=PASSWORDS, again=True) == known
    other = database.prepare_database(admin, passwords={role: f"{role}-other" for role in ROLES})
    psycopg.connect(other["web"]).close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(known["web"])
    assert database.prepare_database(admin, passwords=PASSWORDS) == known
    psycopg.connect(known["web"]).close()


def test_what_sets_up_gives_a_silent_server_up_as_soon_as_everything_else_does(
    admin: str, known: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []
    real = psycopg.connect
    monkeypatch.setattr(psycopg, "connect", lambda url, **options: said.append(options) or real(url, **options))
    database.prepare_database(admin, passwords=PASSWORDS, again=True)
    database.grant_rights(known["owner"], prefix=database.database_name(known["owner"]))
    schema.look(known["web"])
    started.wait_for_database(known["web"], seconds=1)
    expected = settings_of_database(known["web"])["OPTIONS"]
    assert len(said) >= 5
    for options in said:
        assert {name: options.get(name) for name in connecting.TIMES} == {name: expected[name] for name in connecting.TIMES}
    said.clear()
    connecting.connect(f"{known['web']}{'&' if '?' in known['web'] else '?'}tcp_user_timeout=7000").close()
    assert "tcp_user_timeout" not in said[0] and "keepalives_idle" in said[0]


def test_the_server_is_never_told_a_password(admin: str, known: dict[str, str]) -> None:
    with psycopg.connect(admin) as server:
        kept = server.execute("SELECT rolpassword FROM pg_authid WHERE rolname LIKE %s", [f"{database.database_name(admin)}_%"])
        assert all(word.startswith("SCRAM-SHA-256$") for (word,) in kept.fetchall())


@pytest.mark.parametrize("owns", [False, True])
def test_the_former_running_role_loses_every_right_and_goes_where_it_owns_nothing(
    admin: str, known: dict[str, str], owns: bool
) -> None:
    former = f"{database.database_name(admin)}_app"
    with psycopg.connect(admin) as server:
        server.execute("CREATE TABLE kept (a int)")
        server.execute(f"CREATE ROLE {former} LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO {former}")
        if owns:
            server.execute(f"CREATE TABLE own_of_it (a int); ALTER TABLE own_of_it OWNER TO {former}")
    database.prepare_database(admin, passwords=PASSWORDS)
    with psycopg.connect(admin) as server:
        left = server.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", [former]).fetchone()
        assert left == ((False,) if owns else None)
        if owns:
            assert server.execute("SELECT has_table_privilege(%s, 'kept', 'SELECT')", [former]).fetchone() == (False,)
        server.execute("DROP TABLE kept, own_of_it" if owns else "DROP TABLE kept")


POWERS = {
    "SUPERUSER": ("incidents.E003", "has SUPERUSER"),
    "BYPASSRLS": ("incidents.E003", "has BYPASSRLS"),
    "CREATEROLE": ("incidents.E003", "has CREATEROLE"),
    "CREATEDB": ("incidents.E003", "has CREATEDB"),
    "REPLICATION": ("incidents.E003", "has REPLICATION"),
}


@pytest.mark.parametrize("power", POWERS)
def test_a_role_with_power_over_the_server_is_refused(power: str, admin: str, known: dict[str, str]) -> None:
    web = f"{database.database_name(admin)}_web"
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute(f"ALTER ROLE {web} {power}")
        try:
            seen = schema.look(known["web"])
        finally:
            server.execute(f"ALTER ROLE {web} NO{power}")
    id_, says = POWERS[power]
    assert [fault.id for fault in seen.faults] == [id_]
    with pytest.raises(ServiceDown, match=f"{says}. Run as one of the roles"):
        schema.refuse_wrong_role(seen)


def test_a_role_that_may_act_as_the_owner_is_refused(admin: str, known: dict[str, str]) -> None:
    name = database.database_name(admin)
    with psycopg.connect(admin, autocommit=True) as server:
        server.execute(f"GRANT {name}_owner TO {name}_web")
        seen = schema.look(known["web"])
        server.execute(f"REVOKE {name}_owner FROM {name}_web")
    with pytest.raises(ServiceDown, match=f"may act as {name}_owner. Take that away: REVOKE"):
        schema.refuse_wrong_role(seen)


def test_the_owner_and_a_superuser_are_refused_by_what_serves(admin: str, known: dict[str, str], db: None) -> None:
    with pytest.raises(ServiceDown, match=r"owns the tables.*manage.py roles"):
        schema.refuse_wrong_role(schema.look(known["owner"]))
    # The ordinary tests run as the superuser of their server: web server and workers would not start like that.
    assert "incidents.E003" in [message.id for message in checks.check_database(databases=["default"])]


@pytest.mark.parametrize(
    ("name", "value", "id_"),
    [
        ("DEBUG", True, "incidents.E005"),
        ("SECRET_KEY", "short", "incidents.E006"),
        ("SECRET_KEY", "a" * 60, "incidents.E006"),
        ("SECRET_KEY", "django-insecure-" + "x8Hq2" * 10, "incidents.E006"),
        ("MASTER_KEY", bytes(32), "incidents.E007"),
        ("MASTER_KEY", b"\x07" * 32, "incidents.E007"),
    ],
)
def test_settings_of_a_developers_machine_are_refused_by_what_serves(
    name: str, value: object, id_: str, settings: Settings
) -> None:
    settings.DEBUG = False
    assert checks.faults_of_settings() == []
    setattr(settings, name, value)
    [fault] = checks.faults_of_settings()
    assert fault.id == id_ and fault.remedy.endswith(".")


@pytest.mark.committed("web")
def test_what_serves_starts_in_a_running_role_and_says_every_fault_at_once(committed: str, settings: Settings) -> None:
    settings.DEBUG, settings.SECRET_KEY = True, "short"
    with pytest.raises(ImproperlyConfigured, match=r"(?s)DEBUG is on.*SECRET_KEY is short"):
        checks.refuse_to_serve()
    settings.DEBUG, settings.SECRET_KEY = False, "only-for-tests " * 4
    checks.refuse_to_serve()


# What a command and a child are given


def addresses() -> dict[str, str]:
    return {role: f"postgresql://acme_{role}:word@127.0.0.1/acme" for role in ROLES}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Addresses of this test only."""
    for name in ("DATABASE_URL", *map(acts.variable, ROLES)):
        monkeypatch.setenv(name, "")
    yield


@pytest.mark.parametrize(
    ("command", "role", "further"),
    [
        ("assess", "web", set()),
        ("approve", "web", set()),
        ("freeze", "web", {"sequencer"}),
        ("dispatch", "worker", {"sequencer"}),
        ("import_people", "importer", set()),
        ("migrate", "owner", set()),
        ("sign_in", "owner", set()),
        ("demo", "web", set(ROLES)),
    ],
)
def test_a_command_is_given_its_own_address_and_those_of_its_single_steps(
    command: str, role: str, further: set[str], environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    acts.put_on(command, addresses())
    assert acts.os.environ["DATABASE_URL"] == addresses()[role]
    assert set(acts.given_addresses()) == further


def test_a_child_is_given_one_address_only(environment: None) -> None:
    acts.put_on("up", addresses())
    child = acts.environment_of("worker")
    assert child["DATABASE_URL"] == addresses()["worker"]
    assert not [name for name in child if name.startswith("DATABASE_") and name != "DATABASE_URL"]


def test_a_role_whose_address_is_not_known_is_named_with_the_variable(environment: None) -> None:
    with pytest.raises(ServiceDown, match="'dispatch' works in the database as the role 'worker'.*DATABASE_WORKER_URL"):
        acts.put_on("dispatch", {"web": addresses()["web"]})


def test_every_command_of_the_table_runs_as_a_role_that_there_is() -> None:
    assert {role for roles in acts.ROLES_OF_COMMANDS.values() for role in roles} <= set(ROLES)
    assert {right.role for right in rights()} | {"owner", "door"} == set(ROLES)


@pytest.mark.parametrize(("role", "stays"), [("owner", False), ("sequencer", True)])
def test_nobody_stays_signed_in_as_the_owner_when_the_step_is_done(
    committed: str, monkeypatch: pytest.MonkeyPatch, role: str, stays: bool
) -> None:
    monkeypatch.setitem(connections.settings, role, connections.settings["default"])
    with contextlib.suppress(AttributeError):
        del connections[role]
    with acting_as(role), connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        pid = cursor.fetchone()[0]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        assert cursor.fetchone()[0] != pid
    assert (connections[role].connection is not None) == stays
    connections[role].close()
    del connections[role]


def test_a_step_in_another_role_is_refused_inside_an_open_transaction(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings, "sequencer", connections.settings["default"])
    with pytest.raises(RuntimeError, match="cannot see what the open transaction has written"), acting_as("sequencer"):
        pytest.fail("the block is not entered")
