"""Lists as CSV: which delimiter, and the rows, streamed in constant memory; what breaks the table is refused with its row."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, BinaryIO

from incidents.people.reading.files import HINT, LARGEST_FIELD, LONGEST_ROW, SAMPLE_ROWS, FileAsked, FileRefused, ListFile
from incidents.people.reading.names import is_known
from incidents.people.reading.tables import CHARACTERS, Block, Builder

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
WORDS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|", "space": " "}
ENDLESS_ROW = f"a row of more than {LONGEST_ROW} characters"

#: Characters that are read at once, and a line's end; of a carriage return only what follows it tells that it is one.
PIECE = LARGEST_FIELD // 2
LINE_END = re.compile(r"\r\n|\n|\r(?=.)", re.DOTALL)
#: Fewer rows make no block, unless there are many characters in them.
LEAST = 200
#: A header of one name, and one address: no mark by which something else may be divided stands in them.
ONE_NAME, ONE_ADDRESS = re.compile(r"[\w\s.'()/-]+"), re.compile(r"\s*[\w.+'%-]+@[\w-]+(\.[\w-]+)+\s*")


def delimiter_name(mark: str) -> str:
    """A delimiter as it is named to people: a tab is not seen."""
    return DELIMITERS.get(mark) or (f"'{mark}'" if mark else "")


def likely_delimiter(*, raw: BinaryIO, encoding: str) -> str:
    """A first idea of the delimiter, also for a file whose bytes are not text yet."""
    raw.seek(0)
    line = raw.readline(LARGEST_FIELD).decode(encoding, errors="replace")
    hint = HINT.fullmatch(line)
    return hint.group(1) if hint else max(DELIMITERS, key=line.count)


def delimiter_of(*, raw: BinaryIO, encoding: str, asked: str | None, before: str | None = None) -> str:
    """The delimiter: what somebody says, or Excel's hint, or what the first rows agree on. Raises FileAsked.

    A list of one column has none: any mark will do that is not in it.
    `before`: that of the last list of the same source, which is taken where the rows agree on it as well as on any other.
    """
    with _Text(raw, encoding) as text:
        lines = [text.readline(LARGEST_FIELD) for _ in range(SAMPLE_ROWS)]
    hint = HINT.fullmatch(lines[0])
    lines = [line for line in lines[1 if hint else 0 :] if line]
    if asked:
        return _said(asked, lines)
    if hint:
        return hint.group(1)
    fits = _fits(lines, DELIMITERS)
    best = max(fits.values(), default=(0, 0))
    if before and (as_before := _fits(lines, [before]).get(before)) and as_before[0] >= best[0]:
        return before
    chosen = [mark for mark, fit in fits.items() if fit == best]
    if len(chosen) == 1:
        return chosen[0]
    if _of_one_column(lines):
        return next(iter(DELIMITERS))
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
    if not any(mark in line for line in lines[:1]) and (any(mark in line for line in lines) or not _of_one_column(lines)):
        raise FileAsked(
            "Row 1: the delimiter that was said is not in the header. Look at row 1, and say the mark between its names.",
            question="delimiter", choices=tuple(DELIMITERS),
        )  # fmt: skip
    return mark


def _of_one_column(lines: list[str]) -> bool:
    """Whether nothing divides the lines, and their header is the name of a column or everything below it an e-mail address."""
    if any(mark in line for line in lines for mark in DELIMITERS):
        return False
    cells = list[str]()
    with suppress(csv.Error):  # told when the rows are read, with its place
        cells.extend(row[0] for row in csv.reader(lines) if row)
    header, *values = cells or [""]
    addresses = bool(values) and all(map(ONE_ADDRESS.fullmatch, values))
    # An address in place of the header is refused as such.
    return bool((ONE_NAME.fullmatch(header) and (addresses or is_known(header))) or ONE_ADDRESS.fullmatch(header))


def _fits(lines: list[str], marks: Iterable[str]) -> dict[str, tuple[int, int]]:
    """For each mark of the header: how many of the first rows are as wide as it is, and how wide that is."""
    found = {}
    for mark in marks:
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
    """The lines for csv.reader, or many at once; neither a line nor a row may be without end, whatever the quotes say."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._read, self._ahead, self._at = text.read, "", 0
        #: How long the row is that is read line by line.
        self.used = 0
        if not HINT.fullmatch(next(self, "")):
            self._at = 0

    def _more(self) -> str:
        """Read on; returns what is not used yet."""
        self._ahead, self._at = self._ahead[self._at :] + self._read(PIECE), 0
        return self._ahead

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while not (found := LINE_END.search(self._ahead, self._at)):
            known = len(self._ahead) - self._at
            if known >= LONGEST_ROW:
                raise csv.Error(ENDLESS_ROW)
            if len(self._more()) == known:
                break
        line = self._ahead[self._at : found.end() if found else None]
        self.used += len(line)
        if self.used >= LONGEST_ROW:
            raise csv.Error(ENDLESS_ROW)
        self._at += len(line)
        if not line:
            raise StopIteration
        return line

    def many(self) -> str:
        """Whole lines, together shorter than the longest field; none at the end, and where a line is longer."""
        known = self._ahead[self._at :]
        if len(known) > PIECE:
            return ""
        known = self._more()
        self._at = known.rfind("\n") + 1
        return known[: self._at]

    def give_back(self, unused: int) -> None:
        """The last characters of what was taken."""
        self._at -= unused


def header(*, raw: BinaryIO, encoding: str, delimiter: str) -> list[str]:
    """The cells of the first row; none where there is none. Raises FileRefused."""
    with _Text(raw, encoding) as text:
        try:
            return next(_reader(_Lines(text), delimiter), [])
        except csv.Error as error:
            reason = str(error)
    raise _broken(raw, encoding, delimiter, 1, reason)


def _reader(lines: Iterable[str], delimiter: str) -> Any:
    return csv.reader(lines, delimiter=delimiter, strict=True)


def blocks(*, raw: BinaryIO, file: ListFile) -> Iterator[Block]:
    """The rows below the header; empty ones are left out and keep their number. Raises FileRefused naming the row."""
    found, reason = _Found(file), ""
    with _Text(raw, file.encoding) as text:
        try:
            yield from found.blocks(_Lines(text))
        except csv.Error as error:
            reason = str(error)
        except UnicodeDecodeError:
            raise FileRefused(
                f"Row {found.number} or below: a byte is not {file.encoding}. The file changed; import it again."
            ) from None
    if len(found.builder):
        yield from found.builder.take()
    if reason:
        raise _broken(raw, file.encoding, file.delimiter, found.number, reason)


class _Found:
    """The rows of a file. Lines without a quotation mark are divided all at once; csv.reader reads the others."""

    def __init__(self, file: ListFile) -> None:
        self._delimiter, self._width, self.number = file.delimiter, len(file.header), 1
        self.builder = Builder(self._width)

    def blocks(self, lines: _Lines) -> Iterator[Block]:
        """Everything below the header; the last rows stay in `builder`."""
        reader, characters = _reader(lines, self._delimiter), 0
        more = next(reader, None)
        while more is not None:
            self.number += 1
            text = lines.many()
            lines.give_back(len(text) - self._take(text))
            # What follows is longer than a piece, not closed where it ends, or no row at all: csv.reader says what.
            lines.used = 0
            if (more := next(reader, None)) is not None:
                self.builder.add(self.number, more)
            characters += len(text) + lines.used
            if len(self.builder) >= LEAST or characters > CHARACTERS:
                yield from self.builder.take()
                characters = 0

    def _take(self, text: str) -> int:
        """Read whole lines; returns how many characters were used: all, unless a row goes on behind them or is none."""
        at = 0
        while (quote := text.find('"', at)) >= 0:
            start, end = text.rfind("\n", at, quote) + 1 or at, text.find("\n", quote) + 1
            while (quote := text.find('"', end)) >= 0 and text.find("\n", end, quote) < 0:
                end = text.find("\n", quote) + 1
            for read, first, last in ((self._plain, at, start), (self._quoted, start, end)):
                if (used := read(text[first:last])) < last - first:
                    return first + used
            at = end
        return at + self._plain(text[at:])

    def _plain(self, text: str) -> int:
        """Lines without a quotation mark: every delimiter divides two cells."""
        if not text:
            return 0
        lines, mark = text.replace("\r\n", "\n") if "\r" in text else text, self._delimiter
        cells = lines[:-1].replace("\n", f"{mark}\n").split(mark)
        rows = lines.count("\n")
        # Of rows as wide as the header every cell with a line's end before it is a first one.
        firsts = "".join(cells[:: self._width]).split("\n")
        if "\r" in lines or len(cells) != rows * self._width or len(firsts) != rows:
            return self._quoted(text)
        cells[:: self._width] = firsts
        self.number = self.builder.add_many(self.number, cells)
        return len(text)

    def _quoted(self, text: str) -> int:
        lines, used = io.StringIO(text, newline="").readlines(), 0
        reader = _reader(lines, self._delimiter)
        with suppress(csv.Error):
            for cells in reader:
                self.builder.add(self.number, cells)
                self.number += 1
                used = reader.line_num
        return sum(map(len, lines[:used]))


def _broken(raw: BinaryIO, encoding: str, delimiter: str, number: int, reason: str) -> FileRefused:
    """The refusal for a row that is no row, with the line and column where it goes wrong: read again up to there."""
    with _Text(raw, encoding) as text:
        hinted = HINT.fullmatch(text.readline(LARGEST_FIELD)) is not None
    with _Text(raw, encoding) as text:
        lines = _Lines(text)
        reader = _reader(lines, delimiter)
        for _ in islice(reader, number - 1):
            lines.used = 0
        line = reader.line_num + 1 + hinted
        lines.used = 0
        first = next(lines, "") if (number > 1 or not hinted) and reason != ENDLESS_ROW else ""
    if column := _open_quote(first, delimiter):
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
