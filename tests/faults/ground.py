"""Servers of one's own, and the campaigns that were made ready on them once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from notifier import database, embedded
from notifier.privileges import ROLES
from tests import room

ROOT = Path(__file__).resolve().parents[2]
NAME, CAMPAIGN, INCIDENT = "breach", "cartier-2025-c1", "cartier-2025"
#: Everything is waited for so many times longer, on machines that do much else meanwhile.
PATIENCE = float(os.environ.get("BREACH_FAULTS_PATIENCE", "1"))
OURS = ("DATABASE_URL", "REDIS_URL", "MAIL", "BREACH_FAILPOINTS", "TEST_MAIL", "TESTS_PROVIDED", "PYTEST_CURRENT_TEST")


class TooLate(AssertionError):
    """Something that had to happen did not."""


def until(what: Callable[[], Any], *, seconds: float, why: str | Callable[[], str] = "") -> Any:
    """Wait for something true; returns it. Raises TooLate, with what `why` finds then."""
    end = time.monotonic() + seconds * PATIENCE
    while not (found := what()):
        if time.monotonic() > end:
            raise TooLate((why() if callable(why) else why) or f"did not happen within {seconds:.0f} s: {what}")
        time.sleep(0.05)
    return found


def ready_django() -> None:
    """For programs that are not run by pytest: settings and apps, with the tests' secrets and no database."""
    os.environ.update(SECRET_KEY="only-for-tests " * 4, MASTER_KEY=hashlib.sha256(b"tests").hexdigest(), MAIL="inbox:")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
    import django

    django.setup()


@dataclass
class Ground:
    """Servers in a folder, and databases in which a campaign is ready."""

    folder: Path
    durable: bool = False
    password: str = field(default_factory=embedded.new_password)
    ready: dict[str, Path] = field(default_factory=dict)
    #: Where the servers keep their data, when that is another disk than the runs'.
    disk: Path | None = None

    def __post_init__(self) -> None:
        self.place = embedded.Place(var=(self.disk or self.folder) / "var", durable=self.durable)
        self.passwords = {role: embedded.new_password() for role in ROLES}

    @contextlib.contextmanager
    def running(self) -> Iterator[Ground]:
        """Servers, started again when they die, for the time of the block."""
        kept = embedded.kept_alive(self.place, password=self.password, postgres=True, valkey=True)
        with embedded.servers(self.place, password=self.password), kept:
            yield self

    @property
    def admin(self) -> str:
        return embedded.postgres_url(self.place, user="bootstrap", password=self.password, database=NAME)

    def server(self, name: str = NAME) -> psycopg.Connection[Any]:
        """A superuser's session."""
        url = embedded.postgres_url(self.place, user="bootstrap", password=self.password, database=name)
        return psycopg.connect(url, autocommit=True, connect_timeout=5)

    def secrets(self, var: Path) -> dict[str, str]:
        """The environment that every process of the product needs, without addresses."""
        plain = {name: value for name, value in os.environ.items() if name not in OURS and not name.startswith("DATABASE_")}
        return {
            **plain, "BREACH_VAR": str(var), "SECRET_KEY": "only-for-tests " * 4, "AUDIT_ORGANISATION": "tests.example",
            "MASTER_KEY": hashlib.sha256(b"tests").hexdigest(), "DJANGO_SETTINGS_MODULE": "notifier.settings",
            "AUDIT_KEY_FILE": str(var / "keys" / "audit.pem"), "PYTHONPATH": str(ROOT), "BREACH_EMBEDDED_DURABLE": "0",
            "REDIS_URL": embedded.valkey_url(self.place), "PYTHONDONTWRITEBYTECODE": "1",
        }  # fmt: skip

    def prepare(self, people: int, state: str = "released") -> str:
        """The name of a database with such a campaign; made at first use."""
        name = f"{state}_{people}"
        if name in self.ready:
            return name
        self._fresh("template0")
        keys = self.folder / name
        addresses = database.prepare_database(self.admin, passwords=self.passwords, again=True)
        environment = {**self.secrets(keys), "MAIL": "inbox:"}
        _run([sys.executable, "manage.py", "migrate", "-v0"], {**environment, "DATABASE_OWNER_URL": addresses["owner"]})
        command = [sys.executable, "-m", "tests.faults.campaign", "--people", str(people), "--until", state]
        _run(command, {**environment, "DATABASE_URL": self.admin}, seconds=1800)
        with self.server("postgres") as server:
            server.execute(f"CREATE DATABASE {name} TEMPLATE {NAME}")
        self.ready[name] = keys
        return name

    def _fresh(self, template: str) -> None:
        with self.server("postgres") as server:
            server.execute(f"DROP DATABASE IF EXISTS {NAME} WITH (FORCE)")
            server.execute(f"CREATE DATABASE {NAME} TEMPLATE {template}")

    def copy(self, name: str) -> dict[str, str]:
        """Make the product's database a copy of a ready one; returns role -> address. The broker is emptied."""
        self._fresh(name)
        flush(self.place)
        return database.prepare_database(self.admin, passwords=self.passwords, again=True)

    def pid(self, key: str) -> int:
        """The process of `postgres` or `valkey`."""
        return int(embedded.read_run(self.place)[f"{key}_pid"])


def _run(command: list[str], environment: dict[str, str], *, seconds: float = 600) -> None:
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def flush(place: embedded.Place) -> None:
    """Empty the broker, as an operator's FLUSHALL does."""
    import redis

    with contextlib.suppress(redis.RedisError):
        redis.Redis(unix_socket_path=str(place.runtime / "valkey.sock"), socket_timeout=5).flushall()


@contextlib.contextmanager
def ground(*, durable: bool = False) -> Iterator[Ground]:
    """Servers in a folder of their own, gone at the end; `durable`: on the disk."""
    place = None if durable else room.for_servers()
    with tempfile.TemporaryDirectory(prefix="bn-faults-", dir=place, ignore_cleanup_errors=True) as folder:
        Path(folder, "var").mkdir()
        made = Ground(Path(folder), durable=durable)
        try:
            with made.running():
                yield made
        finally:
            data = made.place.var / "postgres"
            if data.is_symlink():
                shutil.rmtree(data.resolve().parent, ignore_errors=True)
