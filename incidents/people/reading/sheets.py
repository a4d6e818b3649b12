"""The rows of one sheet of a workbook, streamed: what cells hold is read, what they would calculate is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

from incidents.people.reading.cells import number_text
from incidents.people.reading.container import pieces
from incidents.people.reading.files import LARGEST_FIELD, LONGEST_ROW, FileRefused, ListFile
from incidents.people.reading.markup import Attributes, Handlers, feed, in_sheets
from incidents.people.reading.shared_strings import SharedStrings, unescape
from incidents.people.reading.tables import Row
from incidents.people.reading.workbook import Workbook

LAST_ROW, LAST_COLUMN = 1_048_576, 16_384
RANGE = re.compile(r"[A-Z]{1,3}[0-9]{1,7}:[A-Z]{1,3}[0-9]{1,7}")
#: What may be there before a sheet is read cell by cell; when it is seen, the sheet is read to say where.
SUSPECT = re.compile(rb"<(?:\w+:)?(?:f|mergeCell)[\s/>]")
OVERLAP = 16
#: What LibreOffice writes for a plain TRUE or FALSE: nothing is calculated, and the value beside it cannot be out of date.
CONSTANTS = frozenset({"TRUE()", "FALSE()"})
LONGEST_CONSTANT = 16
BOOLEANS = {"0": "FALSE", "1": "TRUE", "false": "FALSE", "true": "TRUE"}


def survey(*, book: Workbook) -> None:
    """Unpack what will be read, once, so that damage and formulas are found before anything is imported. Raises FileRefused."""
    suspect, before = False, b""
    for piece in pieces(container=book.container, name=book.part):
        suspect = suspect or SUSPECT.search(before + piece) is not None
        before = piece[-OVERLAP:]
    if book.strings:
        for _ in pieces(container=book.container, name=book.strings):
            pass
    if suspect:
        for _ in records(book=book):
            pass


def records(*, book: Workbook) -> Iterator[Row]:
    """Every row that is written, with its number in the sheet. Raises FileRefused naming sheet and cell."""
    strings = SharedStrings(pieces(container=book.container, name=book.strings) if book.strings else iter(()))
    reader = _Cells(book, strings)
    for _ in feed(pieces=pieces(container=book.container, name=book.part), handlers=reader.handlers()):
        yield from reader.rows
        reader.rows.clear()


def header(*, book: Workbook) -> list[str]:
    """The cells of row 1, which names the columns. Raises FileRefused when something else comes first."""
    number, cells = next((row for row in records(book=book) if any(map(str.strip, row[1]))), (1, []))
    if number > 1:
        raise FileRefused(
            f"The sheet begins in row {number}. The names of the columns belong in row 1: remove the empty rows above."
        )
    while cells and not cells[-1].strip():
        cells.pop()
    return cells


def rows(*, book: Workbook, file: ListFile) -> Iterator[Row]:
    """The rows below the header, as wide as it is at least; empty ones are left out."""
    width = len(file.header)
    for number, cells in records(book=book):
        if number > 1 and any(cell and not cell.isspace() for cell in cells):
            cells.extend([""] * (width - len(cells)))
            yield number, cells


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        if not "A" <= letter <= "Z":
            raise ValueError(letters)
        column = column * 26 + ord(letter) - 64
    return column


def _letters(column: int) -> str:
    letters = ""
    while column:
        column, letter = divmod(column - 1, 26)
        letters = chr(65 + letter) + letters
    return letters


def _index(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


def _range(attributes: Attributes) -> str:
    found = attributes.get("ref", "")
    return found if RANGE.fullmatch(found) else "of a range"


class _Cells:
    """Reads the elements of a sheet; finished rows wait in `rows`."""

    def __init__(self, book: Workbook, strings: SharedStrings) -> None:
        self.book, self.strings, self.formats = book, strings, book.formats
        self.rows: list[Row] = []
        self.number, self.written, self.cells = 0, "", list[str]()
        self.kind, self.style = "", ""
        self.parts: list[str] = []
        self.open, self.wanted, self.inside, self.aside, self.used, self.long = False, False, False, 0, 0, 0
        self.columns: dict[str, int] = {}
        #: What is read of a formula, while one is read.
        self.formula: str | None = None

    def handlers(self) -> Handlers:
        """What is done at each element of a sheet."""
        starts = in_sheets(
            row=self._row, c=self._cell, v=self._want_value, t=self._want_text, f=self._formula, rPh=self._step_aside,
            mergeCell=self._merged,
        )  # fmt: skip
        ends = in_sheets(
            row=self._end_row, c=self._end_cell, v=self._stop, t=self._stop, f=self._end_formula, rPh=self._step_back
        )
        return Handlers(starts, ends, self._text)

    def _want_value(self, _: Attributes) -> None:
        if self.parts:
            raise ValueError("a cell with two values")
        self.wanted = self.inside

    def _want_text(self, _: Attributes) -> None:
        self.wanted = self.inside and not self.aside

    def _stop(self) -> None:
        self.wanted = False

    def _step_aside(self, _: Attributes) -> None:
        self.aside += 1  # how a Japanese name is spoken: not part of it

    def _step_back(self) -> None:
        self.aside -= 1

    def _formula(self, attributes: Attributes) -> None:
        if self.kind != "b" or not self.inside or attributes.get("t", "normal") != "normal":
            self._refuse_formula()
        self.formula = ""

    def _end_formula(self) -> None:
        text = self.formula or ""
        if len(text) == LONGEST_CONSTANT or text.strip().upper() not in CONSTANTS:
            self._refuse_formula()
        self.formula = None

    def _refuse_formula(self) -> None:
        raise FileRefused(
            f"{self._place()}: a formula; what it shows may be out of date. Copy all, paste values, save, and import again."
        )

    def _merged(self, attributes: Attributes) -> None:
        raise FileRefused(
            f"Sheet {self.book.place}: the cells {_range(attributes)} are merged, so it is not clear to whom the value belongs. "
            "Unmerge them, fill each cell, save, and import again."
        )

    def _text(self, text: str) -> None:
        if self.formula is not None:
            self.formula = (self.formula + text)[:LONGEST_CONSTANT]
        elif self.wanted:
            self.parts.append(text)
            self.long += len(text)
            if self.long > LARGEST_FIELD:
                raise FileRefused(f"{self._place()}: more than {LARGEST_FIELD} characters. Shorten it, and import again.")

    def _end_row(self) -> None:
        self.rows.append((self.number, self.cells))
        self.open = False

    def _row(self, attributes: Attributes) -> None:
        number = _index(attributes["r"]) if "r" in attributes else self.number + 1
        if not self.number < number <= LAST_ROW or self.open:
            raise FileRefused(f"Sheet {self.book.place}, row {self.number + 1}: rows out of order. Save the workbook again.")
        self.number, self.written, self.cells, self.used, self.open = number, str(number), [], 0, True

    def _cell(self, attributes: Attributes) -> None:
        if self.inside or not self.open:
            raise ValueError("a cell in a cell, or in no row")
        place, next_ = attributes.get("r"), len(self.cells) + 1
        column = self._column_of(place) if place else next_
        if column != next_:
            if not next_ < column <= LAST_COLUMN:
                raise ValueError("cells out of order")
            self.cells.extend([""] * (column - next_))
        self.kind, self.style = attributes.get("t", "n"), attributes.get("s", "0")
        self.inside, self.parts, self.long = True, [], 0

    def _column_of(self, place: str) -> int:
        letters = place.removesuffix(self.written)
        column = self.columns.get(letters)
        if column is None:
            column = self.columns[letters] = _column(letters)
        return column

    def _end_cell(self) -> None:
        self.inside = False
        text = self.parts[0] if len(self.parts) == 1 else "".join(self.parts)
        try:
            value = self._value(text) if text else ""
        except (ValueError, LookupError, OverflowError):
            self.inside = True
            raise FileRefused(f"{self._place()}: no value that a spreadsheet writes. Correct it and save again.") from None
        self.cells.append(value)
        self.used += len(value)
        if self.used > LONGEST_ROW:
            raise FileRefused(f"{self._place()}: a row of more than {LONGEST_ROW} characters. Shorten it, and import again.")

    def _value(self, text: str) -> str:
        kind = self.kind
        if kind == "s":
            return self.strings[_index(text)]
        if kind == "n":
            shown = self.formats[_index(self.style)] if self.formats else None
            return number_text(value=text, shown=shown, since_1904=self.book.since_1904)
        if kind == "b":
            return BOOLEANS[text]
        return unescape(text)  # str, inlineStr, d (a date in ISO 8601), e (#N/A)

    def _place(self) -> str:
        column = max(len(self.cells) + self.inside, 1)
        return f"Sheet {self.book.place}, cell {_letters(column)}{self.number}"
