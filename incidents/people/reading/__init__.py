"""Lists of people as they come from forensics, row by row or in blocks: CSV and XLSX. Plain Python, no Django, no database.

What cannot be read is refused whole, naming row, column and remedy; what can be read in two ways is asked, never guessed.
A number that a spreadsheet has rounded comes as it is shown there (1.23E+15); whoever reads the rows has to ask about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain, islice
from typing import BinaryIO

from incidents.people.reading import container, csv_lists, encodings, sheets
from incidents.people.reading.columns import columns_of, dates_in, guess_mapping, header_of, require, with_dates, with_own_dates
from incidents.people.reading.csv_lists import delimiter_name
from incidents.people.reading.encodings import encoding_name
from incidents.people.reading.files import (
    GUESS_CELLS,
    GUESS_ROWS,
    LARGEST_FIELD,
    LARGEST_FILE,
    MOST_COLUMNS,
    SAMPLE_ROWS,
    FileAsked,
    FileRefused,
    ListFile,
    for_good,
    kind_of,
)
from incidents.people.reading.names import KNOWN_COLUMNS, REQUIRED, dates_of, plain_columns
from incidents.people.reading.tables import Block, Row, in_blocks
from incidents.people.reading.workbook import Workbook, open_workbook

__all__ = [
    "KNOWN_COLUMNS", "LARGEST_FIELD", "LARGEST_FILE", "MOST_COLUMNS", "REQUIRED", "Block", "FileAsked", "FileRefused", "ListFile",
    "blocks", "dates_of", "delimiter_name", "encoding_name", "guess_mapping", "in_blocks", "inspect",
    "plain_columns", "rows", "sample", "with_own_dates",
]  # fmt: skip


def inspect(
    *,
    raw: BinaryIO,
    size: int,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    mapping: Mapping[str, str] | None = None,
    before: Mapping[str, str] | None = None,
) -> ListFile:
    """Look at a file of `size` bytes before anything is stored: kind, encoding, delimiter or sheet, header and columns.

    A mapping that is said has to be possible; one that is guessed may lack columns (`file.lacking`) until somebody says them,
    and `rows` refuses until then. Raises FileRefused, or FileAsked where an answer would help.
    `before`: encoding, delimiter and sheet of the last list of the same source: for what this file does not tell otherwise.
    """
    with for_good():
        kind = kind_of(raw=raw, size=size)
    last = before or {}
    file = _csv(raw, size, (encoding, delimiter), last) if kind == "csv" else _xlsx(raw, size, sheet, last.get("sheet"))
    file = replace(file, header=header_of(_header(raw, file)))
    if mapping is None:
        samples = _first(raw, file)
        guessed, dates = guess_mapping(header=file.header, samples=samples), dates_in(header=file.header, samples=samples)
        return replace(file, columns=with_dates([guessed[name] for name in file.header], dates), dates=dates)
    return replace(file, columns=columns_of(header=file.header, mapping=mapping))


def _first(raw: BinaryIO, file: ListFile) -> list[list[str]]:
    """The rows by which columns are guessed. Where one below those that are shown is broken, its own turn will tell."""
    most = max(SAMPLE_ROWS, min(GUESS_ROWS, GUESS_CELLS // len(file.header)))
    found: list[list[str]] = []
    try:
        found.extend(cells for _, cells in islice(_each(raw, file), most))
    except FileRefused:
        if len(found) < SAMPLE_ROWS:
            raise
    return found


def _csv(raw: BinaryIO, size: int, said: tuple[str | None, str | None], before: Mapping[str, str]) -> ListFile:
    (encoding, delimiter), last = said, before.get("encoding")
    chosen, sha256 = _encoded_as_before(raw, size, last) if last and not encoding else _encoded(raw, size, encoding)
    mark = csv_lists.delimiter_of(raw=raw, encoding=chosen, asked=delimiter, before=before.get("delimiter"))
    return ListFile(sha256=sha256, size=size, kind="csv", encoding=chosen, delimiter=mark)


def _encoded(raw: BinaryIO, size: int, asked: str | None, *, remembered: bool = False) -> tuple[str, str]:
    chosen = encodings.choose(raw=raw, asked=asked)
    likely = csv_lists.likely_delimiter(raw=raw, encoding=chosen)
    return chosen, encodings.fingerprint(raw=raw, size=size, encoding=chosen, delimiter=likely, remembered=remembered)


def _encoded_as_before(raw: BinaryIO, size: int, last: str) -> tuple[str, str]:
    """In the encoding of the last list, unless this file is not written in it: then as if there had been none."""
    try:
        return _encoded(raw, size, last, remembered=True)
    except encodings.FitsTwo:
        raise
    except FileAsked:
        return _encoded(raw, size, None)


def _xlsx(raw: BinaryIO, size: int, asked: str | None, before: str | None) -> ListFile:
    with for_good():
        sha256 = container.fingerprint(raw=raw, size=size)
    # Of several sheets another one may still be said.
    with nullcontext() if asked or before else for_good():
        book = _as_before(raw, size, before) if before and not asked else open_workbook(raw=raw, size=size, sheet=asked)
        sheets.survey(book=book)
    return ListFile(
        sha256=sha256, size=size, kind="xlsx", sheet=book.sheet, sheet_at=f"#{book.place}", hidden_sheets=book.hidden_sheets
    )


def _as_before(raw: BinaryIO, size: int, before: str) -> Workbook:
    """With the sheet of the last list; where there is none of that name, or it is hidden now, as if there had been no list."""
    try:
        return open_workbook(raw=raw, size=size, sheet=before)
    except FileRefused:
        with for_good():
            return open_workbook(raw=raw, size=size, sheet=None)


def _header(raw: BinaryIO, file: ListFile) -> list[str]:
    if file.kind == "csv":
        return csv_lists.header(raw=raw, encoding=file.encoding, delimiter=file.delimiter)
    return sheets.header(book=_book(raw, file))


def _book(raw: BinaryIO, file: ListFile) -> Workbook:
    return open_workbook(raw=raw, size=file.size, sheet=file.sheet_at)


def blocks(*, raw: BinaryIO, file: ListFile) -> Iterator[Block]:
    """The rows some hundred at a time, streamed; empty ones are left out. Raises FileRefused naming the row."""
    require(file.columns)
    found = _blocks(raw, file)
    first = next(found, None)
    if first is None:
        raise FileRefused("Row 1 is a header, and no row follows. Export the list again.")
    return chain((first,), found)


def _blocks(raw: BinaryIO, file: ListFile) -> Iterator[Block]:
    if file.kind == "csv":
        return csv_lists.blocks(raw=raw, file=file)
    return in_blocks(sheets.rows(book=_book(raw, file), file=file), len(file.header))


def rows(*, raw: BinaryIO, file: ListFile) -> Iterator[Row]:
    """Row number (header = 1) and cells of the same."""
    return chain.from_iterable(block.rows() for block in blocks(raw=raw, file=file))


def sample(*, raw: BinaryIO, file: ListFile, most: int = SAMPLE_ROWS) -> list[Row]:
    """The first rows, to be shown before anything is imported."""
    return list(islice(_each(raw, file), most))


def _each(raw: BinaryIO, file: ListFile) -> Iterator[Row]:
    return chain.from_iterable(block.rows() for block in _blocks(raw, file))
