"""A reject file that comes back: which of its lines were changed, and what an empty cell of theirs means. No Django here.

The file holds everything that waits, and mostly a few lines of it are corrected. Each line carries a mark over its own cells: one
that still fits its mark was not touched, stands for no decision, and is left out as an empty row is. What waits goes on waiting.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from incidents.people.inert import restored
from incidents.people.person_facts import Expected
from incidents.people.reading import KNOWN_COLUMNS, ListFile, plain_columns
from incidents.people.rows import Preparer

#: The column of the mark; it is none of a person's, so it has no name among ours.
MARK = "as_written"
ELEMENTS = "elements"


def mark_of(*, cells: Mapping[str, str]) -> str:
    """The mark over the cells of a line, by our names of its columns; empty cells and space around a text count for nothing."""
    said = {name: cells.get(name, "").replace("\r\n", "\n").strip() for name in KNOWN_COLUMNS}
    plain = json.dumps({name: text for name, text in said.items() if text}, ensure_ascii=True, sort_keys=True)
    # Begins with a letter, so that no spreadsheet takes it for a number.
    return f"m{hashlib.sha256(plain.encode()).hexdigest()[:24]}"


class ComeBack:
    """The lines of one reject file that came back."""

    def __init__(self, *, file: ListFile, expected: Expected, today: date) -> None:
        self._columns, self._lists = plain_columns(file.columns), expected.lists
        self._mark = file.header.index(MARK) if MARK in file.header else -1
        self._corrects = file.columns.index("correction_of")
        self._elements = file.columns.index(ELEMENTS) if ELEMENTS in file.columns else -1
        self._read, self._expected, self._today = file.columns, expected, today
        self._readers = dict[tuple[bool, tuple[str, ...] | None, str], Preparer]()

    def changed(self, rows: Iterable[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
        """The lines that were changed, without the marks that kept their cells quiet in a spreadsheet."""
        found = ((number, [restored(cell) for cell in cells]) for number, cells in rows)
        return [(number, cells) for number, cells in found if not self._as_written(cells)]

    def _as_written(self, cells: list[str]) -> bool:
        if not 0 <= self._mark < len(cells) or len(cells) != len(self._columns):
            return False
        said = {name: cell for name, cell in zip(self._columns, cells, strict=True) if name}
        # A line of another incident's list is passed on, to be refused with its row.
        own = said["correction_of"].strip().partition("-")[0] in self._lists
        return own and cells[self._mark].strip() == mark_of(cells=said)

    def reader_of(self, cells: list[str]) -> Preparer:
        """Who reads this line: as its list was read, an empty cell of elements saying nothing where that had no such column."""
        expected = self._expected
        row = cells[self._corrects].strip() if self._corrects < len(cells) else ""
        places = (row, row.partition("-")[0])
        country = next((expected.countries[place] for place in places if place in expected.countries), "")
        empty = 0 <= self._elements < len(cells) and not cells[self._elements].strip()
        place = next((place for place in places if empty and place in expected.without), None)
        kind = (place is not None, expected.elements if place is None else expected.without[place], country)
        if kind not in self._readers:
            self._readers[kind] = self._reader(*kind)
        return self._readers[kind]

    def _reader(self, unread: bool, elements: tuple[str, ...] | None, country: str) -> Preparer:
        columns = tuple("" if unread and name == ELEMENTS else name for name in self._read)
        expected = replace(self._expected, elements=elements, country=country)
        return Preparer(columns=columns, expected=expected, today=self._today)
