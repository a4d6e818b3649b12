"""The database roles of the tests: made once for all databases of a run, and taken on by `SET ROLE`, which costs nothing.

Whoever signs in as the tester has no right of its own; it may become each role. `staff` is the desk, the worker and the sequencer
in one hand, without the owner's: for stories in which all of them act.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from django.db import connection, connections

from notifier.database import ensure_role
from notifier.privileges import ROLES, TEMPORARY

PASSWORD = "tester"
STAFF = ("web", "worker", "sequencer", "importer")


@dataclass(frozen=True)
class Cast:
    """The roles of one run: `t1a2b3c_web` and so on."""

    prefix: str

    def name(self, role: str) -> str:
        return f"{self.prefix}_{role}"

    @property
    def tester(self) -> str:
        return self.name("tester")


def make_roles(admin_url: str) -> Cast:
    """All roles, the tester who may become each, and the staff."""
    cast = Cast(f"t{uuid.uuid4().hex[:8]}")
    with psycopg.connect(admin_url) as server:
        for role in (*ROLES, "tester", "staff"):
            ensure_role(server, cast.name(role), PASSWORD)
        server.execute(f"ALTER ROLE {cast.tester} NOINHERIT")
        for role in (*ROLES, "staff"):
            server.execute(f"GRANT {cast.name(role)} TO {cast.tester}")
        for role in STAFF:
            server.execute(f"GRANT {cast.name(role)} TO {cast.name('staff')}")
    return cast


def drop_roles(admin_url: str, cast: Cast) -> None:
    """Take them away again; their databases are gone by now."""
    with psycopg.connect(admin_url) as server:
        for role in (*ROLES, "tester", "staff"):
            server.execute(f"DROP ROLE {cast.name(role)}")


def narrow(url: str, cast: Cast) -> None:
    """What a copy does not take over: who may connect to it, and make temporary tables there."""
    with psycopg.connect(url) as server:
        row = server.execute("SELECT current_database()").fetchone()
        assert row
        server.execute(f"REVOKE ALL ON DATABASE {row[0]} FROM PUBLIC")
        everybody = ", ".join(cast.name(role) for role in (*ROLES, "tester"))
        server.execute(f"GRANT CONNECT ON DATABASE {row[0]} TO {everybody}")
        server.execute(f"GRANT ALL ON DATABASE {row[0]} TO {cast.name('owner')}")
        server.execute(f"GRANT TEMPORARY ON DATABASE {row[0]} TO {', '.join(cast.name(role) for role in TEMPORARY)}")


def sign_in(name: str, cast: Cast, role: str) -> dict[str, Any]:
    """The settings of a connection to a database that acts as the role from its first statement on."""
    before = connections["default"].settings_dict
    options = {**before["OPTIONS"], "options": f"-c role={cast.name(role)}"}
    return {"NAME": name, "USER": cast.tester, "PASSWORD": PASSWORD, "OPTIONS": options}


def address_of(role: str) -> str:
    """The address of the test's own database for a process that signs in as the very role."""
    at = connections["default"].settings_dict
    own = {**at, "USER": str(at["USER"]).removesuffix("tester") + role, "PASSWORD": PASSWORD}
    place = f"{own['USER']}:{own['PASSWORD']}@"
    if str(own["HOST"]).startswith("/"):
        return f"postgresql://{place}/{own['NAME']}?host={own['HOST']}"
    return f"postgresql://{place}{own['HOST']}:{own['PORT'] or 5432}/{own['NAME']}"


@contextmanager
def acting(role: str) -> Iterator[None]:
    """Inside the block this thread's connection acts as another role; where tests run as the superuser nothing changes."""
    name = str(connections["default"].settings_dict["USER"])
    if not name.endswith("_tester"):
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_user")
        before = cursor.fetchone()[0]
        cursor.execute(f"SET ROLE {name.removesuffix('tester')}{role}")
    try:
        yield
    finally:
        if connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute(f"SET ROLE {before}")
