"""Lists as CSV: which delimiter, and the rows, streamed in constant memory; what breaks the table is refused with its row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import BinaryIO

from incidents.people.reading.files import HINT, LARGEST_FIELD, LONGEST_ROW, SAMPLE_ROWS, FileAsked, FileRefused, ListFile

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|", "space": " "}
ENDLESS_ROW = f"a row of more than {LONGEST_ROW} characters"

Row = tuple[int, list[str]]


def likely_delimiter(*, raw: BinaryIO, encoding: str) -> str:
    """A first idea of the delimiter, also for a file whose bytes are not text yet."""
    raw.seek(0)
    line = raw.readline(LARGEST_FIELD).decode(encoding, errors="replace")
    hint = HINT.fullmatch(line)
    return hint.group(1) if hint else max(DELIMITERS, key=line.count)


def delimiter_of(*, raw: BinaryIO, encoding: str, asked: str | None) -> str:
    """The delimiter: what somebody says, or Excel's hint, or what the first rows agree on. Raises FileAsked."""
    with _Text(raw, encoding) as text:
        lines = [text.readline(LARGEST_FIELD) for _ in range(SAMPLE_ROWS)]
    hint = HINT.fullmatch(lines[0])
    lines = [line for line in lines[1 if hint else 0 :] if line]
    if asked:
        return _said(asked, lines)
    if hint:
        return hint.group(1)
    fits = _fits(lines)
    best = max(fits.values(), default=(0, 0))
    chosen = [mark for mark, fit in fits.items() if fit == best]
    if len(chosen) == 1:
        return chosen[0]
    found = ", ".join(DELIMITERS[mark] for mark in chosen)
    why = f"it may be divided by {found}" if chosen else "no comma, semicolon, tab or bar"
    raise FileAsked(
        f"Row 1: {why}: this is not a table with a header line, or its delimiter has to be said, for example --delimiter ';'.",
        question="delimiter", choices=tuple(chosen or DELIMITERS),
    )  # fmt: skip


def _said(asked: str, lines: list[str]) -> str:
    mark = WORDS.get(asked.strip().lower(), asked) if asked.strip() else asked
    if len(mark) != 1 or mark.isalnum() or mark in '"\r\n\0':
        raise FileAsked(
            "A delimiter is one mark: comma, semicolon, tab, bar ... Say it again, for example --delimiter ';'.",
            question="delimiter", choices=tuple(DELIMITERS),
        )  # fmt: skip
    if not any(mark in line for line in lines[:1]):
        raise FileAsked(
            "Row 1: the delimiter that was said is not in the header. Look at row 1, and say the mark between its names.",
            question="delimiter", choices=tuple(DELIMITERS),
        )  # fmt: skip
    return mark


def _fits(lines: list[str]) -> dict[str, tuple[int, int]]:
    """For each mark of the header: how many of the first rows are as wide as it is, and how wide that is."""
    found = {}
    for mark in DELIMITERS:
        widths: list[int] = []
        with suppress(csv.Error):  # told when the rows are read, with its place
            widths.extend(map(len, csv.reader(lines, delimiter=mark)))
        if widths and widths[0] > 1:
            found[mark] = (Counter(widths)[widths[0]], widths[0])
    return found


class _Text:
    """The file as text, from its beginning; the file itself stays open."""

    def __init__(self, raw: BinaryIO, encoding: str) -> None:
        raw.seek(0)
        self.text = io.TextIOWrapper(raw, encoding=encoding, errors="strict", newline="")

    def __enter__(self) -> io.TextIOWrapper:
        return self.text

    def __exit__(self, *error: object) -> None:
        if not self.text.closed:
            self.text.detach()


class _Lines:
    """The lines for csv.reader; neither a line nor a row may be without end, whatever the quotes say."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.readline, self.used = text.readline, 0

    def __iter__(self) -> Iterator[str]:
        readline = self.readline
        while line := readline(LONGEST_ROW):
            self.used += len(line)
            if self.used >= LONGEST_ROW:
                raise csv.Error(ENDLESS_ROW)
            yield line


def records(*, raw: BinaryIO, encoding: str, delimiter: str) -> Iterator[Row]:
    """Every row with its number, the header as row 1. Raises FileRefused naming the row."""
    number = 1
    with _Text(raw, encoding) as text:
        lines = _Lines(text)
        reader = csv.reader(_after_hint(lines), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                lines.used = 0
                yield number, cells
                number += 1
            return
        except csv.Error as error:
            reason = str(error)
        except UnicodeDecodeError:
            raise FileRefused(f"Row {number} or below: a byte is not {encoding}. The file changed; import it again.") from None
    raise _broken(raw, encoding, delimiter, number, reason)


def _after_hint(lines: _Lines) -> Iterator[str]:
    found = iter(lines)
    for line in found:
        if not HINT.fullmatch(line):
            yield line
        break
    yield from found


def rows(*, raw: BinaryIO, file: ListFile) -> Iterator[Row]:
    """The rows below the header; empty ones are left out and keep their number."""
    strip = str.strip
    for row in records(raw=raw, encoding=file.encoding, delimiter=file.delimiter):
        cells = row[1]
        if cells and (cells[0].strip() or any(map(strip, cells))) and row[0] > 1:
            yield row


def _broken(raw: BinaryIO, encoding: str, delimiter: str, number: int, reason: str) -> FileRefused:
    """The refusal for a row that is no row, with the line and column where it goes wrong: read again up to there."""
    with _Text(raw, encoding) as text:
        hinted = HINT.fullmatch(text.readline(LARGEST_FIELD)) is not None
    with _Text(raw, encoding) as text:
        reader = csv.reader(_after_hint(_Lines(text)), delimiter=delimiter, strict=True)
        for _ in islice(reader, number - 1):
            pass
        line = reader.line_num + 1 + hinted
        first = text.readline(LARGEST_FIELD) if number > 1 or not hinted else ""
    column = 0 if reason == ENDLESS_ROW else _open_quote(first, delimiter)
    if column:
        return FileRefused(
            f"Row {number} (line {line}), column {column}: a quotation mark is opened and not closed in its place. "
            "Correct it, or export the list again with quotation marks doubled inside fields. Nothing was imported."
        )
    return FileRefused(
        f"Row {number} (line {line}): {reason}. A field has at most {LARGEST_FIELD} characters and a row at most "
        f"{LONGEST_ROW}; look for a quotation mark or a line end that is missing. Nothing was imported."
    )


def _open_quote(line: str, delimiter: str) -> int:
    """The column of the first field that begins with a quotation mark and is no quoted field on this line; 0 = none."""
    field = re.compile(rf'(?:"(?:[^"]|"")*"|(?!")[^{re.escape(delimiter)}]*)(?:{re.escape(delimiter)}|[\r\n]*$)')
    column, at = 1, 0
    while at < len(line):
        found = field.match(line, at)
        if not found or found.end() == at:
            return 0 if found else column
        column, at = column + 1, found.end()
    return 0
