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
    "blocks", "dates_of", "guess_mapping", "in_blocks", "inspect", "plain_columns", "rows", "sample",
    "with_own_dates",
]  # fmt: skip


def inspect(
    *,
    raw: BinaryIO,
    size: int,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> ListFile:
    """Look at a file of `size` bytes before anything is stored: kind, encoding, delimiter or sheet, header and columns.

    A mapping that is said has to be possible; one that is guessed may lack columns (`file.lacking`) until somebody says them,
    and `rows` refuses until then. Raises FileRefused, or FileAsked where an answer would help.
    """
    with for_good():
        kind = kind_of(raw=raw, size=size)
    file = _csv(raw, size, encoding, delimiter) if kind == "csv" else _xlsx(raw, size, sheet)
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


def _csv(raw: BinaryIO, size: int, encoding: str | None, delimiter: str | None) -> ListFile:
    chosen = encodings.choose(raw=raw, asked=encoding)
    likely = csv_lists.likely_delimiter(raw=raw, encoding=chosen)
    sha256 = encodings.fingerprint(raw=raw, size=size, encoding=chosen, delimiter=likely)
    mark = csv_lists.delimiter_of(raw=raw, encoding=chosen, asked=delimiter)
    return ListFile(sha256=sha256, size=size, kind="csv", encoding=chosen, delimiter=mark)


def _xlsx(raw: BinaryIO, size: int, asked: str | None) -> ListFile:
    with for_good():
        sha256 = container.fingerprint(raw=raw, size=size)
    # Of several sheets another one may still be said.
    with nullcontext() if asked else for_good():
        book = open_workbook(raw=raw, size=size, sheet=asked)
        sheets.survey(book=book)
    return ListFile(
        sha256=sha256, size=size, kind="xlsx", sheet=book.sheet, sheet_at=f"#{book.place}", hidden_sheets=book.hidden_sheets
    )


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
