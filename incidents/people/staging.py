"""Rows on their way: sealed and copied into the permanent table `incidents_stagedrow`, slice by slice, each slice committed.

A process killed at any moment loses nothing: the next one goes on after the last row that is staged. The table is unlogged and
holds no personal data in clear; a crash of the database empties it, which is noticed, and the list is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from itertools import chain, repeat
from typing import Any

from django.db import connection, transaction

from incidents.audit.log import database_now
from incidents.law.pack import load_packs
from incidents.models import BatchState, ImportBatch, Incident
from incidents.models.refusal import Refused
from incidents.people import copying
from incidents.people.confined import Reader, ReaderBroken
from incidents.people.parsing import TEXTS
from incidents.people.reading import FileRefused, ListFile
from incidents.people.returned import countries_of, lists_of, without_elements
from incidents.people.rows import Expected
from incidents.vault import Vault

#: Rows in one slice, that is: in one commit.
SLICE = 20_000
#: Names whose blind index is remembered; then they are worked out anew.
MOST_NAMES = 20_000
#: Rows read so far; once all are, how many in a hundred of them are written as people.
Progress = Callable[[int, int], None]


class TakenOver(Refused):
    """Another process carries this import on, or it was cancelled."""


class FileNeeded(Refused):
    """The list was begun from a file on somebody's machine, which is not here any more."""


def expected_of(*, batch: ImportBatch) -> Expected:
    """What the newest facts, or the batch itself, say of the elements, for reading rows."""
    facts = Incident.objects.get(pk=batch.incident_id).facts.facts
    vocabulary, aware_at = frozenset(load_packs().vocabulary.elements), facts["anchors"].get("aware_at")
    came_back = "correction_of" in batch.columns
    return Expected(
        vocabulary=vocabulary, states=facts["elements"], elements=tuple(batch.elements) or None,
        lists=lists_of(batch=batch) if came_back else frozenset(), without=without_elements(batch=batch) if came_back else {},
        aware_on=datetime.fromisoformat(aware_at).date() if aware_at else None, seat=facts.get("based_in") or "",
        country=batch.list_country, countries=countries_of(batch=batch) if came_back else {},
    )  # fmt: skip


def read_with(*, batch: ImportBatch) -> str:
    """A fingerprint of everything that decides what the rows of a list become."""
    said = [batch.columns, batch.encoding, batch.delimiter, batch.sheet, _told(expected_of(batch=batch))]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _told(expected: Expected) -> dict[str, Any]:
    """What is expected, as it is told to the reader."""
    aware_on = expected.aware_on.isoformat() if expected.aware_on else None
    lists = {"vocabulary": sorted(expected.vocabulary), "elements": expected.elements, "lists": sorted(expected.lists)}
    states = {"states": dict(expected.states), "without": dict(expected.without)}
    states |= {"country": expected.country, "countries": dict(expected.countries)}
    return {**lists, **states, "aware_on": aware_on, "seat": expected.seat}


def stage_list(*, batch: ImportBatch, reader: Reader | None, file: ListFile | None, progress: Progress | None = None) -> None:
    """See to it that every row of the list is staged as it has to be read now. Raises FileRefused, FileNeeded, TakenOver."""
    wanted, (count, last) = read_with(batch=batch), _staged(batch)
    if count != batch.rows_staged or batch.read_with != wanted:
        _begin_anew(batch, wanted)
        count, last = 0, 0
    if batch.rows and batch.rows == count:
        _move(batch, BatchState.SETTLING)
        return
    if reader is None or file is None:
        raise FileNeeded("This list was begun from a file that is not kept. Give the same file again; the import goes on.")
    _move(batch, BatchState.READING)
    expected, today = expected_of(batch=batch), database_now().date().isoformat()
    messages = reader.ask(do="rows", file=asdict(file), expected=_told(expected), today=today, after=last)
    _Stager(batch, reader).stage(messages, progress)
    # A reject file of which no line was changed is read to its end, and changes nothing.
    if not batch.rows and "correction_of" not in batch.columns:
        raise FileRefused("The file holds a header but no rows. Export the list again.")


def _staged(batch: ImportBatch) -> tuple[int, int]:
    """How many rows of the batch are staged, and the number of the last one."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*), coalesce(max(number), 0) FROM incidents_stagedrow WHERE batch_id = %s", [batch.pk])
        found: tuple[int, int] = cursor.fetchone()
    return found


def _begin_anew(batch: ImportBatch, wanted: str) -> None:
    with transaction.atomic():
        forget_staged(batch=batch)
        batch.rows, batch.rows_staged, batch.read_with = 0, 0, wanted
        batch.save(update_fields=["rows", "rows_staged", "read_with"])


def forget_staged(*, batch: ImportBatch) -> None:
    """Take the staged rows of a batch away."""
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM incidents_stagedrow WHERE batch_id = %s", [batch.pk])


def _move(batch: ImportBatch, state: BatchState) -> None:
    """A list that is only compared stays where it is; one that is imported moves on."""
    if batch.state not in (BatchState.UPLOADED, state):
        if not ImportBatch.objects.filter(pk=batch.pk, state=batch.state).update(state=state):
            raise TakenOver("This import is carried on by another process, or was cancelled.")
        batch.state = state


class _Stager:
    """Seals messages of rows and copies them, slice by slice."""

    def __init__(self, batch: ImportBatch, reader: Reader) -> None:
        self._batch, self._reader, self._vault = batch, reader, Vault(incident=batch.incident)
        self._blob, self._begin = f"import_row|{batch.incident.reference}", copying.begin_of(batch.pk)
        #: What rows share, and once a row was written with it, where it stands.
        self._profiles: list[tuple[bytes, list[bytes]]] = []
        self._names: dict[bytes, bytes] = {}
        self._vault.seal_many([])  # looks up the newest key now: COPY will own the connection

    def stage(self, messages: Iterator[dict[str, Any]], progress: Progress | None) -> None:
        """Write all messages; the last slice says how many rows the list has."""
        more = True
        while more:
            more = self._slice(messages, progress)

    def _slice(self, messages: Iterator[dict[str, Any]], progress: Progress | None) -> bool:
        """One slice, committed. Returns whether there may be another."""
        count, more = 0, False
        with transaction.atomic(), _Copying(self._reader) as out:
            for message in messages:
                out.write(self._rows(message))
                count += len(message["rows"]) + len(message["rejected"])
                if progress:
                    progress(self._batch.rows_staged + count, 0)
                if more := count >= SLICE:
                    break
            out.pause()
            self._count(count, more)
        return more

    def _count(self, count: int, more: bool) -> None:
        batch, done = self._batch, self._batch.rows_staged + count
        rows = 0 if more else done
        state = BatchState.SETTLING if batch.state == BatchState.READING and not more else batch.state
        mine = ImportBatch.objects.filter(pk=batch.pk, rows_staged=batch.rows_staged, state=batch.state)
        if not mine.update(rows_staged=done, rows=rows, state=state):
            raise TakenOver("This import is carried on by another process, or was cancelled.")
        batch.rows_staged, batch.rows, batch.state = done, rows, state

    def _rows(self, message: dict[str, Any]) -> bytes:
        if message["anew"]:
            self._profiles.clear()
        self._profiles += [(copying.shared(*profile), list[bytes]()) for profile in message["profiles"]]
        found = self._people(message) if message["rows"] else b""
        return b"".join((found, *(self._nobody(*row) for row in message["rejected"])))

    def _people(self, message: dict[str, Any]) -> bytes:
        numbers, texts = message["rows"], message["texts"]
        rows = len(numbers)
        if len(texts) != len(TEXTS) or any(len(column) not in {0, rows} for column in texts):
            raise ReaderBroken("more or fewer texts than rows")
        references, corrections, plains, *values = texts
        subjects, kept, blank = new_subjects(rows), self._kept(message["kept"]), repeat(copying.EMPTY)
        sealed, wrapped, commitments, version = self._vault.seal_columns(subjects, plains)
        columns = (
            repeat(self._begin), [number.to_bytes(4) for number in numbers], repeat(copying.OF_32), subjects,
            _references(references, subjects), copying.fields(corrections) if corrections else blank, copying.fields(sealed),
            copying.fields(wrapped), repeat(copying.small(version) + copying.OF_64), [one.encode() for one in commitments],
            [kept.get(number, copying.NULL) for number in numbers] if kept else repeat(copying.NULL),
            *map(self._index, TEXTS[-len(values) :], values), self._shared(numbers, message["known"]), repeat(copying.NULL),
        )  # fmt: skip
        return b"".join(chain.from_iterable(zip(*columns, strict=False)))

    def _index(self, kind: str, values: list[bytes]) -> Iterable[bytes]:
        """The fields with the blind indexes of one kind; no values where all are empty."""
        if kind != "name" or not values:
            return copying.indexes(self._vault.blind_encoded(kind, values)) if values else repeat(copying.NULL)
        # Many people bear the same name.
        known = self._names
        if len(known) > MOST_NAMES:
            known.clear()
        new = list({name for name in values if name not in known})
        known.update(zip(new, copying.indexes(self._vault.blind_encoded(kind, new)), strict=True))
        return map(known.__getitem__, values)

    def _shared(self, numbers: list[int], known: list[int]) -> list[bytes]:
        """What the rows share with others: where it stands already, or it itself."""
        found, profiles = list[bytes](), self._profiles
        for number, profile in zip(numbers, known, strict=True):
            fields, place = profiles[profile]
            if place:
                found.append(place[0])
            else:
                place.append(copying.integer(number) + copying.LIKE_ANOTHER)
                found.append(copying.NULL + fields)
        return found

    def _kept(self, rows: list[tuple[int, list[str]]]) -> dict[int, bytes]:
        """Rows of people as they came, sealed: only those with a value that could not be taken."""
        return {int(number): copying.field(self._raw(cells)) for number, cells in rows}

    def _raw(self, cells: list[str]) -> bytes:
        return self._vault.seal_blob(plain=json.dumps(cells, ensure_ascii=False).encode(), bound_to=self._blob)

    def _nobody(self, number: int, correction: str, problem: dict[str, str], cells: list[str]) -> bytes:
        (subject,) = new_subjects(1)
        words = (copying.EMPTY, copying.field(correction.encode()), copying.NULL * 4, copying.field(self._raw(cells)))
        rest = (copying.NULL * 6, copying.NOBODY, copying.document(problem))
        return b"".join((self._begin, int(number).to_bytes(4), copying.OF_32, subject, *words, *rest))


class _Copying:
    """COPY into the staging table; let go when the reader asks for a piece of the list: it comes over the same connection."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._open = reader, list[tuple[Any, Any]]()

    def __enter__(self) -> _Copying:
        self._reader.before_piece = self.pause
        return self

    def write(self, rows: bytes) -> None:
        """Some rows."""
        if not self._open:
            cursor = connection.cursor()
            manager = cursor.copy(copying.COPY)
            self._open.append((cursor, manager))
            self._out = manager.__enter__()
            self._out.write(copying.BEGIN)
        self._out.write(rows)

    def pause(self) -> None:
        """End the COPY that is open; the next row begins another."""
        while self._open:
            cursor, manager = self._open.pop()
            self._out.write(copying.END)
            manager.__exit__(None, None, None)
            cursor.close()

    def __exit__(self, *failure: Any) -> None:
        self._reader.before_piece = None
        while self._open:
            cursor, manager = self._open.pop()
            manager.__exit__(*failure)
            cursor.close()


def new_subjects(many: int) -> list[bytes]:
    """Random names for people, in rising order: the time in milliseconds, then ten random bytes, as in UUIDs of version 7.

    The log has the people of a list in their order anyway; and where every next name is the largest, a name is stored quickly.
    """
    noise, now = os.urandom(10 * many).hex(), f"{time.time_ns() // 1_000_000:012x}"
    return sorted(f"{now}{noise[at : at + 20]}".encode() for at in range(0, len(noise), 20))


def _references(given: list[bytes], subjects: list[bytes]) -> list[bytes]:
    """The references that the file gives; where it gives none, one of ours."""
    given = given or [b""] * len(subjects)
    return copying.fields(reference or b"p-" + subject[-12:] for reference, subject in zip(given, subjects, strict=True))
