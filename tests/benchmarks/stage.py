"""A database to throw away: servers of its own in a folder of its own, migrated, used as the running role, gone afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg

from notifier import database, embedded
from notifier.privileges import ROLES, RUNTIME_ROLES

#: The installation's state folder; `bench.json` goes there as well.
VAR = Path(os.environ.get("BREACH_VAR") or Path(__file__).resolve().parents[2] / "var")


@contextlib.contextmanager
def throwaway_database() -> Iterator[None]:
    """Django on an empty, migrated PostgreSQL that writes as durably as an installation does; deleted with this block."""
    # In the state folder: a million people are a gigabyte, which the system's own folder for such things may not hold.
    VAR.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=VAR, ignore_cleanup_errors=True) as var, contextlib.ExitStack() as last:
        place, password = embedded.Place(var=Path(var)), embedded.new_password()
        last.callback(_forget, place)
        with embedded.servers(place, password=password, valkey=False):
            url = embedded.postgres_url(place, user="bootstrap", password=password, database="bench")
            roles = database.prepare_database(url, passwords={role: embedded.new_password() for role in ROLES})
            _start_django(url, roles, Path(var))
            try:
                yield
            finally:
                _disconnect()


def _forget(place: embedded.Place) -> None:
    """The folder of the sockets, and data that had to lie elsewhere (root where user namespaces are refused)."""
    data = place.var / "postgres"
    if data.is_symlink():
        shutil.rmtree(data.resolve().parent, ignore_errors=True)
    shutil.rmtree(place.runtime, ignore_errors=True)


def _start_django(admin: str, roles: dict[str, str], var: Path) -> None:
    os.environ.update(
        DJANGO_SETTINGS_MODULE="notifier.settings", BREACH_VAR=str(var), DATABASE_URL=roles["owner"],
        SECRET_KEY="only-for-benchmarks", MASTER_KEY=hashlib.sha256(b"benchmarks").hexdigest(), AUDIT_ORGANISATION="bench.example",
    )  # fmt: skip
    import django
    from django.core.management import call_command
    from django.db import connections

    django.setup()
    call_command("migrate", verbosity=0)
    database.grant_rights(roles["owner"])
    connections.close_all()
    from notifier.settings import database as settings_of

    connections["default"].settings_dict.update(settings_of(_all_hands(admin)))


def _all_hands(admin: str) -> str:
    """The address of a role with the rights of all running roles (a benchmark is desk, importer and worker), and none besides
    but to make its own users."""
    password = embedded.new_password()
    with psycopg.connect(admin) as server:
        database.ensure_role(server, "all_hands", password)
        server.execute(f"GRANT {', '.join(f'bench_{role}' for role in RUNTIME_ROLES)} TO all_hands")
        server.execute("GRANT INSERT ON auth_user TO all_hands")
    return database.with_user(admin, user="all_hands", password=password)


def _disconnect() -> None:
    from django.db import connections

    connections.close_all()
