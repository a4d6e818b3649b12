"""The one order in which rows about people are locked. Whoever takes them in another one can deadlock with a second desk.

1. the incident: shared (`amending.beside_freezes`), or for itself (a freeze, an import);
2. campaigns, by id;
3. people, by id;
4. their messages, by id;
5. what is decided about them: proposals, and entries of the queue, by id.

A step that is not needed is left out; none is gone back to. A row that points to a person (a proposal, somebody who joins) makes
the database take a share of that person when it is written, which counts as step 3. Workers, events and sweeps pass over messages
that somebody else has locked, so that they wait for nobody here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from incidents.models import AffectedPerson, Message


def share_campaign(*, key: int) -> None:
    """Nobody pauses, stops or closes this campaign until the transaction ends; claims and events go on beside it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM incidents_campaign WHERE id = %s FOR SHARE", [key])


def lock_people(*, keys: Iterable[int] | QuerySet[Any, Any]) -> None:
    """Lock these people until the transaction ends, without reading them."""
    list(AffectedPerson.objects.filter(pk__in=keys).select_for_update().order_by("id").values_list("pk", flat=True))


def locked_people(*, keys: Iterable[int]) -> list[AffectedPerson]:
    """These people as they are now, kept so until the transaction ends."""
    found = AffectedPerson.objects.filter(pk__in=keys).select_for_update(of=("self",))
    return list(found.select_related("incident").order_by("id"))


def locked_messages(*, of: QuerySet[Message]) -> list[Message]:
    """These messages likewise, with what a move of them needs."""
    return list(of.select_for_update(of=("self",)).select_related("campaign__incident", "entry__person").order_by("id"))
