"""One worker's identity: a connection of its own that holds an advisory lock for life and writes the markers.

A killed process loses the lock at once, so that it is taken over at once. A crash of the database server takes the locks of the
living too, and the last markers, which are not waited for; the table of owners is UNLOGGED, so that the same crash empties it:
whose owner is not in it, of that chunk nobody but its worker knows how far it came.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import django.db
import psycopg
from django.db import connection
from psycopg.pq import ConnStatus, ExecStatus
from psycopg.pq.abc import PGconn, PGresult

logger = logging.getLogger(__name__)
#: The database cannot be asked now: it restarts, is full, or hung up. What was asked last may have happened or not.
AWAY = (psycopg.OperationalError, psycopg.InterfaceError, django.db.OperationalError, django.db.InterfaceError)


class Place(NamedTuple):
    """The last message of a claim in the order of urgency, and when the beginning was last looked at (monotonic seconds)."""

    due_at: datetime | None
    id: int
    since: float


@dataclass
class Owner:
    """Whoever enters it owns what is claimed under `lock`, until the process or the connection ends."""

    lock: int = 0
    connection: psycopg.Connection | None = None
    #: Locks under which it owned before its connection was lost: its strays may be claimed under any of them.
    former: list[int] = field(default_factory=list)
    #: Chunks that a claim told it of and that it has not ended. Some of their letters may have left, so they are never given
    #: back as not begun; whatever else stands under its locks was claimed by a commit whose answer was lost, and is.
    heard: set[int] = field(default_factory=set)
    #: (campaign, domains that were left out) -> where its last such claim ended.
    places: dict[tuple[int, frozenset[str]], Place] = field(default_factory=dict)
    #: Provider -> letters a second on one connection, in the last slice of work that was full.
    paces: dict[str, float] = field(default_factory=dict)
    #: (campaign, provider) -> addresses refused since the last letter that was taken, and not counted with those of others yet.
    refused: dict[tuple[int, str], int] = field(default_factory=dict)
    #: Statements that this connection knows, and their names there.
    _prepared: dict[str, bytes] = field(default_factory=dict)

    def __enter__(self) -> Owner:
        self.stand()
        return self

    def stand(self) -> None:
        """Take a new connection and a new lock. Raises one of AWAY."""
        self.leave()
        parameters = {**connection.get_connection_params(), "autocommit": True}
        for name in ("cursor_factory", "context", "prepare_threshold"):
            parameters.pop(name, None)
        mine = psycopg.connect(**parameters)
        # A marker that is lost with the server only widens the doubt, which is listed like any other.
        mine.execute("SET synchronous_commit = off")
        mine.execute("SET plan_cache_mode = force_generic_plan")  # the markers' plan does not depend on which chunks they are of
        lock = secrets.randbits(62)
        mine.execute("SELECT pg_advisory_lock(%s)", [lock])
        mine.execute("INSERT INTO incidents_presence (owner_lock) VALUES (%s)", [lock])
        self.former += [self.lock] if self.lock else []
        self.connection, self.lock, self._prepared = mine, lock, {}

    def execute(self, query: str, values: list[Any]) -> list[Any]:
        """Run one statement on the owner's connection; its rows. Raises one of AWAY."""
        if self.connection is None:
            raise psycopg.InterfaceError("the owner stands on no connection")
        return self.connection.execute(query, values).fetchall()

    def execute_again(self, query: str, values: Sequence[str]) -> list[tuple[str, ...]]:
        """Run a statement of `$1`, `$2`... that is run after every answer: parsed and planned once, texts in, texts out. Raises
        one of AWAY."""
        if self.connection is None:
            raise psycopg.InterfaceError("the owner stands on no connection")
        server = self.connection.pgconn
        if query not in self._prepared:
            name = f"again_{len(self._prepared)}".encode()
            _look_at(server, server.prepare(name, query.encode()))
            self._prepared[query] = name
        found = server.exec_prepared(self._prepared[query], [value.encode() for value in values])
        _look_at(server, found)
        width = range(found.nfields)
        return [tuple(_text(found.get_value(row, column)) for column in width) for row in range(found.ntuples)]

    def alive(self) -> bool:
        """Whether the connection, and so the lock, still stands: a restarted server has forgotten both."""
        try:
            return bool(self.execute("SELECT 1", []))
        except psycopg.Error:
            return False

    def leave(self) -> None:
        """Give the lock back, if it can be."""
        if self.connection is not None:
            with suppress(psycopg.Error):
                # The server notices a closed connection only after a while; whoever leaves in order frees the lock at once.
                self.connection.execute("SELECT pg_advisory_unlock(%s)", [self.lock])
            with suppress(psycopg.Error):
                self.connection.close()
            self.connection = None

    def __exit__(self, *_: object) -> None:
        self.leave()


def _look_at(server: PGconn, found: PGresult) -> None:
    """Raise what went wrong; a connection that broke is one of AWAY."""
    if found.status in (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK):
        return
    if server.status != ConnStatus.OK:
        raise psycopg.OperationalError("the owner's connection broke")
    raise psycopg.errors.error_from_result(found)


def _text(value: bytes | None) -> str:
    return (value or b"").decode()


#: Who has left or died and owns nothing; a lock that is free is nobody's.
FORGET = """
DELETE FROM incidents_presence WHERE owner_lock IN (
  SELECT p.owner_lock FROM incidents_presence p WHERE NOT EXISTS
    (SELECT 1 FROM incidents_chunk c WHERE c.state = 'claimed' AND c.owner_lock = p.owner_lock)
  OFFSET 0) AND pg_try_advisory_xact_lock(owner_lock)"""


def forget_the_dead() -> None:
    """Take former owners from the table of owners."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET)
