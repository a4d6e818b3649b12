"""Staged rows that are somebody's second row, read whole: opened a page at a time, joined, and kept as they were for the undo.

A row's record is opened to its bytes and no further: most rows say what is known already, and two equal records need no reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, NamedTuple

from django.db import connection

from incidents.models import ImportBatch
from incidents.people import copying
from incidents.people.kept import KeptRow, Seen, open_row, seal_words
from incidents.record import PersonFields
from incidents.vault import CannotOpen, Vault

#: People opened and written at a time.
PAGE = 1000
#: A row and what is kept of it from now on.
COPY_KEPT = "COPY keep (number, raw_sealed) FROM STDIN (FORMAT binary)"


@dataclass(frozen=True)
class StagedRow(Seen):
    """A row as it is staged, with what is sealed of it."""

    number: int
    subject: str
    reference: str
    problems: Any
    merge_tier: str | None
    sealed: bytes
    wrapped_key: bytes
    key_version: int
    raw_sealed: bytes | None


#: SQL: the columns of a StagedRow, in its order.
STAGED_ROW = ", ".join(f"s.{one.name}" for one in fields(StagedRow))
SEEN = tuple(one.name for one in fields(Seen))


class OpenedRow(NamedTuple):
    """A staged row with its record opened: encoded PersonFields."""

    row: StagedRow
    record: bytes
    words: dict[str, Any]

    def read(self) -> KeptRow:
        """The row in clear, for joining."""
        return KeptRow(fields=PersonFields.decode(self.record), **self.words)


def open_rows(rows: Sequence[StagedRow], *, vault: Vault, incident: str) -> list[OpenedRow]:
    """The rows in their order. Raises CannotOpen: a row that does not open ends the import."""
    records = vault.open_encoded([(row.subject, row.sealed, row.wrapped_key, row.key_version) for row in rows])
    return [OpenedRow(row, _opened(record), _words(row, vault, incident)) for row, record in zip(rows, records, strict=True)]


def _opened(record: bytes | CannotOpen) -> bytes:
    if isinstance(record, CannotOpen):
        raise record
    return record


def _words(row: StagedRow, vault: Vault, incident: str) -> dict[str, Any]:
    """All of a KeptRow but its fields."""
    return {name: getattr(row, name) for name in SEEN} | {
        "reference": row.reference,
        "problems": json.loads(row.problems) if isinstance(row.problems, str) else row.problems,
        "cells": open_row(sealed=row.raw_sealed, vault=vault, incident=incident).cells if row.raw_sealed else [],
    }


def keep_rows(cursor: Any, rows: Iterable[OpenedRow], *, vault: Vault, incident: str) -> None:
    """Every row that is joined to somebody is kept, sealed, for the undo; in the table `keep`."""
    with cursor.copy(COPY_KEPT) as out:
        out.write(copying.BEGIN)
        for one in rows:
            kept = seal_words(words=one.words, fields=one.record, vault=vault, incident=incident)
            out.write(copying.TWO_FIELDS + copying.integer(one.row.number) + copying.field(kept))
        out.write(copying.END)


def rows_of(query: str, batch: ImportBatch) -> Iterator[Sequence[Any]]:
    """The rows of a query of a list, read through a cursor of the server's: never all of them in memory."""
    with connection.chunked_cursor() as rows:
        rows.execute(query, {"batch": batch.pk})
        while page := rows.fetchmany(2 * PAGE):
            yield from page


def pages(items: Iterable[Any]) -> Iterator[list[Any]]:
    """A few at a time, so that a million cost no more memory than a thousand."""
    them = iter(items)
    while page := list(islice(them, PAGE)):
        yield page
