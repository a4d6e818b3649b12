"""Brings the schema up to the code's before a command runs: a glance at the file names, and `migrate` as owner if one is new."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import psycopg

from notifier import database
from notifier.embedded import Place, ServiceDown

ROOT = Path(__file__).resolve().parent.parent
APPS = (
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "incidents",
)


def known_migrations() -> set[tuple[str, str]]:
    """(app, name) of every migration file of the installed apps."""
    found = set()
    for app in APPS:
        spec = find_spec(app)
        assert spec is not None and spec.origin is not None
        folder = Path(spec.origin).parent / "migrations"
        found |= {(app.rsplit(".", 1)[-1], file.stem) for file in folder.glob("[0-9]*.py")}
    return found


def _applied(url: str) -> set[tuple[str, str]]:
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            return set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InsufficientPrivilege):
        return set()
    except psycopg.OperationalError as error:
        raise database.unreachable(url, error) from None


def bring_up_to_date(here: Place) -> None:
    """Migrate as the owner when a migration is missing, then grant. Raises ServiceDown with the remedy."""
    owner = os.environ.get("DATABASE_OWNER_URL")
    if not known_migrations() - _applied(owner or os.environ["DATABASE_URL"]):
        return
    if owner is None:
        raise ServiceDown(
            "The database lacks migrations and DATABASE_URL is the running role, which may not make them. Set "
            "DATABASE_OWNER_URL to the owner's address once and run: manage.py migrate."
        )
    here.var.mkdir(parents=True, exist_ok=True)
    with (here.var / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        migrate(owner)


def migrate(owner: str) -> None:
    """Run `migrate` as the owner in a process of its own and let the running role use the tables."""
    environment = {**os.environ, "DATABASE_URL": owner}
    command = [sys.executable, str(ROOT / "manage.py"), "migrate", "--no-input", "-v", "0"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceDown(f"The database could not be migrated: {done.stderr.strip()[-600:]}")
