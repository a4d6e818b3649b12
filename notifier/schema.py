"""Looks at the database before a command runs: the role is one that may run, the schema and the rights are the code's.

A glance at the file names, one connection; `migrate` as the owner only where a migration is new.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import psycopg

from incidents.checks import ROLE, Fault, faults_of_role
from notifier import acts, database
from notifier.connecting import connect
from notifier.embedded import Place, ServiceDown
from notifier.privileges import ROLES, fingerprint

ROOT = Path(__file__).resolve().parent.parent
#: The exit code of a command whose database went away (`manage.py`).
SERVICE_IS_DOWN = 3
APPS = (
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "incidents",
)


@dataclass(frozen=True)
class Sight:
    """What one look at the database shows."""

    faults: list[Fault]
    applied: set[tuple[str, str]]
    rights: str

    @property
    def current(self) -> bool:
        """Whether schema and rights are the code's."""
        return not known_migrations() - self.applied and self.rights == fingerprint()


def known_migrations() -> set[tuple[str, str]]:
    """(app, name) of every migration file of the installed apps."""
    found = set()
    for app in APPS:
        spec = find_spec(app)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent / "migrations"
        found |= {(app.rsplit(".", 1)[-1], file.stem) for file in folder.glob("[0-9]*.py")}
    return found


def look(url: str) -> Sight:
    """See who we are there, and how far the schema is. Raises ServiceDown with the remedy."""
    try:
        with connect(url, autocommit=True) as connection:
            role = connection.execute(ROLE).fetchone()
            rights = connection.execute("SELECT obj_description('public'::regnamespace)").fetchone()
            assert role is not None and rights is not None
            return Sight(faults_of_role(role), _applied(connection), rights[0] or "")
    except psycopg.OperationalError as error:
        raise database.unreachable(url, error) from None


def _applied(connection: psycopg.Connection) -> set[tuple[str, str]]:
    try:
        return set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return set()


def refuse_wrong_role(seen: Sight) -> None:
    """Raises ServiceDown with what is wrong and the remedy."""
    if seen.faults:
        raise ServiceDown("\n".join(map(str, seen.faults)))


def bring_up_to_date(here: Place, *, owner: str | None) -> None:
    """Migrate as the owner when a migration is missing, then grant. Raises ServiceDown with the remedy."""
    if owner is None:
        raise ServiceDown(
            "The database lacks migrations or rights of this version, and only its owner can make them. Set DATABASE_OWNER_URL "
            "to the owner's address once and run: manage.py migrate."
        )
    here.var.mkdir(parents=True, exist_ok=True)
    with (here.var / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen = look(owner)
        if known_migrations() - seen.applied:
            migrate(owner)
        elif not seen.current:
            database.grant_rights(owner)


def migrate(owner: str) -> None:
    """Run `migrate` in a process of its own that has the owner's address; it also gives the roles their rights."""
    others = {acts.variable(role) for role in ROLES}
    environment = {name: value for name, value in os.environ.items() if name not in others}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--no-input", "-v", "0"]
    done = subprocess.run(
        command, env={**environment, "DATABASE_URL": owner}, capture_output=True, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        what = database.DatabaseAway if done.returncode == SERVICE_IS_DOWN else ServiceDown
        raise what(f"The database could not be migrated: {done.stderr.strip()[-600:]}")
