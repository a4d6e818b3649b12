"""How far a list is while it becomes people, told out of the one transaction that makes them.

What a transaction has written nobody else sees before its end, but the locks that it holds everybody sees: each hundredth of the
work takes an advisory lock of its own, which nobody waits for, and which goes with the transaction, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from django.db import connection

from incidents.models import ImportBatch

Part = TypeVar("Part")

#: "bm" above the batch's number (32 bits) and the hundredths (16 bits).
SIGN = 0x626D << 48
HELD = """
SELECT coalesce(max(objid::bigint & 65535), 0) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND classid::bigint = %s AND (objid::bigint >> 16) = %s"""


def _key(batch: ImportBatch) -> int:
    return SIGN | (batch.pk & 0xFFFF_FFFF) << 16


def percent_made(*, batch: ImportBatch) -> int:
    """How many in a hundred of a list's people and entries are written at this moment; 0 while nothing of it is."""
    key = _key(batch)
    with connection.cursor() as cursor:
        cursor.execute(HELD, [key >> 32, (key >> 16) & 0xFFFF])
        return int(cursor.fetchone()[0])


class Milestones:
    """Tells of the parts of a list as they are done; each part is gone through `times` over."""

    def __init__(self, *, batch: ImportBatch, parts: int, times: int, told: Callable[[int], None] | None = None) -> None:
        self._batch, self._of, self._told = batch, max(1, parts * times), told
        self._done, self._percent = 0, 0

    def each(self, parts: Iterable[Part]) -> Iterator[Part]:
        """The parts one after another; who asks for the next has done the one before."""
        for part in parts:
            yield part
            self._done += 1
            self._tell(min(100, self._done * 100 // self._of))

    def _tell(self, percent: int) -> None:
        if percent == self._percent:
            return
        self._percent = percent
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_key(self._batch) | percent])
        if self._told:
            self._told(percent)
