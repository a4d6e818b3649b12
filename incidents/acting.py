"""Single steps of a process in another database role than its own: only where the process was given that role's address.

A process knows its own role as Django's `default` connection. Further ones stand beside it under the role's name; the web
server and the workers have none, so that they cannot leave their role.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import DEFAULT_DB_ALIAS, connections

#: May do everything in the database: nobody stays signed in as it longer than its step takes.
OWNER = "owner"


def can_act_as(role: str) -> bool:
    """Whether this process was given the address of this role."""
    return role in connections.settings


@contextmanager
def acting_as(role: str) -> Iterator[None]:
    """In this thread everything inside the block goes through the role's own connection; without one nothing changes."""
    if not can_act_as(role):
        yield
        return
    own = connections[DEFAULT_DB_ALIAS]
    if own.in_atomic_block:
        raise RuntimeError(f"A step as {role} cannot see what the open transaction has written; end that first.")
    theirs = connections[DEFAULT_DB_ALIAS] = connections[role]
    try:
        yield
    finally:
        connections[DEFAULT_DB_ALIAS] = own
        if role == OWNER and theirs is not own and not theirs.in_atomic_block:
            theirs.close()
