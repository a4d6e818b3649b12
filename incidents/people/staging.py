"""Rows on their way: sealed and copied into the permanent table `incidents_stagedrow`, slice by slice, each slice committed.

A process killed at any moment loses nothing: the next one goes on after the last row that is staged. The table is unlogged and
holds no personal data in clear; a crash of the database empties it, which is noticed, and the list is read again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from incidents.audit.log import database_now
from incidents.law.pack import load_packs
from incidents.models import BatchState, ImportBatch, Incident
from incidents.models.refusal import Refused
from incidents.people.confined import Reader, ReaderBroken
from incidents.people.parsing import TEXTS
from incidents.people.reading import FileRefused, ListFile
from incidents.people.rows import Expected
from incidents.vault import Vault

#: Rows in one slice, that is: in one commit.
SLICE = 20_000
COPY = (
    "COPY incidents_stagedrow (batch_id, number, subject, reference, correction_of, sealed, wrapped_key, key_version, "
    "commitment, raw_sealed, customer_index, email_index, name_index, name_birth_index, address_index, residence, "
    "residence_from, confidence, possible, elements, flags, language, has_email, has_post, problems, rejected) FROM STDIN"
)
#: What the text format of COPY writes otherwise.
ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})
NULL = r"\N"
#: Columns of a row that became nobody: neither indexes nor profile.
NOBODY = "\t".join([NULL] * 5 + [""] * 3 + ["{}"] * 3 + ["", "f", "f", "[]"])
Progress = Callable[[int], None]


class TakenOver(Refused):
    """Another process carries this import on, or it was cancelled."""


class FileNeeded(Refused):
    """The list was begun from a file on somebody's machine, which is not here any more."""


def expected_of(*, batch: ImportBatch) -> Expected:
    """What the newest facts, or the batch itself, say of the elements, for reading rows."""
    facts = Incident.objects.get(pk=batch.incident_id).facts.facts
    vocabulary, aware_at = frozenset(load_packs().vocabulary.elements), facts["anchors"].get("aware_at")
    return Expected(
        vocabulary=vocabulary, states=facts["elements"], elements=tuple(batch.elements) or None,
        aware_on=datetime.fromisoformat(aware_at).date() if aware_at else None, seat=facts.get("based_in") or "",
    )  # fmt: skip


def read_with(*, batch: ImportBatch) -> str:
    """A fingerprint of everything that decides what the rows of a list become."""
    said = [batch.columns, batch.encoding, batch.delimiter, batch.sheet, _told(expected_of(batch=batch))]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _told(expected: Expected) -> dict[str, Any]:
    """What is expected, as it is told to the reader."""
    aware_on = expected.aware_on.isoformat() if expected.aware_on else None
    lists = {"vocabulary": sorted(expected.vocabulary), "elements": expected.elements}
    return {**lists, "states": dict(expected.states), "aware_on": aware_on, "seat": expected.seat}


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
    if not batch.rows:
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
        self._blob, self._profiles = f"import_row|{batch.incident.reference}", list[str]()
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
                lines = self._lines(message)
                out.write(lines)
                count += len(lines)
                if progress:
                    progress(self._batch.rows_staged + count)
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

    def _lines(self, message: dict[str, Any]) -> list[str]:
        if message["anew"]:
            self._profiles.clear()
        self._profiles += [_profile(*profile) for profile in message["profiles"]]
        found = self._people(message) if message["rows"] else []
        return found + [self._nobody(*row) for row in message["rejected"]]

    def _people(self, message: dict[str, Any]) -> list[str]:
        numbers, profiles, texts = message["rows"], message["known"], message["texts"]
        rows = len(numbers)
        if len(texts) != rows * len(TEXTS):
            raise ReaderBroken("more or fewer texts than rows")
        references, corrections, plains, *values = (texts[at : at + rows] for at in range(0, len(texts), rows))
        noise = os.urandom(16 * rows).hex()
        subjects = [noise[at : at + 32] for at in range(0, len(noise), 32)]
        sealed = self._vault.seal_many([(subject, plain.encode()) for subject, plain in zip(subjects, plains, strict=True)])
        kinds = zip(TEXTS[-len(values) :], values, strict=True)
        indexes = (_hexes(self._vault.blind_many(kind, found)) for kind, found in kinds)
        start, known, kept = f"{self._batch.pk}\t", self._profiles, self._kept(message["kept"])
        return [
            f"{start}{number:d}\t{subject}\t{_text(reference) or 'p-' + subject[:12]}\t{_text(correction)}"
            f"\t\\\\x{person.sealed.hex()}\t\\\\x{person.wrapped_key.hex()}\t{person.key_version}\t{person.commitment}"
            f"\t{kept.get(number, NULL)}\t{customer}\t{email}\t{name}"
            f"\t{birth}\t{address}\t{known[profile]}\t\\N\n"
            for number, subject, reference, correction, person, profile, customer, email, name, birth, address in zip(
                numbers, subjects, references, corrections, sealed, profiles, *indexes, strict=True
            )
        ]

    def _kept(self, rows: list[tuple[int, list[str]]]) -> dict[int, str]:
        """Rows of people as they came, sealed: only those with a value that could not be taken."""
        return {int(number): f"\\\\x{self._raw(cells).hex()}" for number, cells in rows}

    def _raw(self, cells: list[str]) -> bytes:
        return self._vault.seal_blob(plain=json.dumps(cells, ensure_ascii=False).encode(), bound_to=self._blob)

    def _nobody(self, number: int, correction: str, problem: dict[str, str], cells: list[str]) -> str:
        raw, keys = self._raw(cells), "\t".join([NULL] * 4)
        return (
            f"{self._batch.pk}\t{int(number)}\t{os.urandom(16).hex()}\t\t{_text(correction)}\t{keys}\t\\\\x{raw.hex()}\t{NOBODY}\t"
            f"{_text(json.dumps(problem))}\n"
        )


class _Copying:
    """COPY into the staging table; let go when the reader asks for a piece of the list: it comes over the same connection."""

    def __init__(self, reader: Reader) -> None:
        self._reader, self._open = reader, list[tuple[Any, Any]]()

    def __enter__(self) -> _Copying:
        self._reader.before_piece = self.pause
        return self

    def write(self, lines: Iterable[str]) -> None:
        """Some lines."""
        if not self._open:
            cursor = connection.cursor()
            manager = cursor.copy(COPY)
            self._open.append((cursor, manager))
            self._out = manager.__enter__()
        self._out.write("".join(lines))

    def pause(self) -> None:
        """End the COPY that is open; the next line begins another."""
        while self._open:
            cursor, manager = self._open.pop()
            manager.__exit__(None, None, None)
            cursor.close()

    def __exit__(self, *failure: Any) -> None:
        self._reader.before_piece = None
        while self._open:
            cursor, manager = self._open.pop()
            manager.__exit__(*failure)
            cursor.close()


def _hexes(values: Iterable[bytes | None]) -> list[str]:
    return [f"\\\\x{value.hex()}" if value else NULL for value in values]


def _text(value: str) -> str:
    return value.translate(ESCAPES) if value else ""


def _array(values: Iterable[str]) -> str:
    quoted = ('"' + value.replace("\\", r"\\").replace('"', r"\"") + '"' for value in values)
    return _text("{" + ",".join(quoted) + "}")


def _profile(
    place: str, decided_by: str, confidence: str, possible: Sequence[str], elements: Sequence[str], flags: Sequence[str],
    language: str, has_email: bool, has_post: bool, problems: Sequence[dict[str, str]],
) -> str:  # fmt: skip
    """What many rows share, as COPY writes it; made once."""
    lists = (_array(possible), _array(elements), _array(flags))
    words = (_text(place), _text(decided_by), _text(confidence), *lists, _text(language))
    return "\t".join((*words, "t" if has_email else "f", "t" if has_post else "f", _text(json.dumps(problems))))
