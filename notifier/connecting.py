"""For how long a database's silence is waited for: the same for Django's connections and for those that set things up."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

#: A host that vanishes says nothing: without these a process waits for it as long as the system does, two hours. Silence is
#: looked into after 15 s and given up 15 s later; so is what was said and not acknowledged (milliseconds). A long query is no
#: silence: the other host's system answers. All of it is below LEASE_SECONDS, and matters to no socket of this machine.
VANISHED = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
TIMES = {"connect_timeout": 5, **VANISHED}


def connect(url: str, *, autocommit: bool = False) -> psycopg.Connection[Any]:
    """A connection of its own to the database of an address; what the address itself says of times counts."""
    given = conninfo_to_dict(url)
    times = {name: value for name, value in TIMES.items() if name not in given}
    return psycopg.connect(url, autocommit=autocommit, **times)  # type: ignore[arg-type]  # libpq's own options
