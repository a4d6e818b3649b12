"""Rows of a list some hundred at a time: their cells in one row after the other, so that a column is a slice."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

#: Rows in a block, and characters: enough that a block costs little, few enough that nobody waits for it.
ROWS, CHARACTERS = 500, 1_000_000

#: Number (header = 1) and cells.
Row = tuple[int, list[str]]


class Block(NamedTuple):
    """Rows as wide as the header, by numbers and cells, and `others`, which are wider or narrower; empty ones are left out."""

    width: int
    numbers: Sequence[int]
    cells: list[str]
    others: list[Row]

    def column(self, place: int) -> list[str]:
        """One cell of each row that is as wide as the header."""
        return self.cells[place :: self.width]

    def row(self, place: int) -> list[str]:
        """The cells of one of these rows, by its place in the block."""
        return self.cells[place * self.width : (place + 1) * self.width]

    def only(self, places: Sequence[int]) -> Block:
        """Some rows, without the others."""
        cells = list(chain.from_iterable(map(self.row, places)))
        return Block(self.width, [self.numbers[place] for place in places], cells, [])

    def rows(self) -> list[Row]:
        """All rows in their order."""
        wide = [(number, self.row(place)) for place, number in enumerate(self.numbers)]
        return sorted((*wide, *self.others)) if self.others else wide

    def after(self, number: int) -> Block:
        """The rows with higher numbers."""
        if not self.numbers or self.numbers[0] > number:
            return self._replace(others=[row for row in self.others if row[0] > number]) if self.others else self
        kept = self.only([place for place, own in enumerate(self.numbers) if own > number])
        return kept._replace(others=[row for row in self.others if row[0] > number])


class Builder:
    """Puts rows together into blocks."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._numbers, self._cells, self._others = list[int](), list[str](), list[Row]()

    def __len__(self) -> int:
        return len(self._numbers) + len(self._others)

    def add(self, number: int, cells: list[str]) -> None:
        """One row."""
        if len(cells) == self._width:
            # The first cell tells of most rows that they are not empty.
            if cells[0].strip() or any(map(str.strip, cells)):
                self._numbers.append(number)
                self._cells += cells
        elif any(map(str.strip, cells)):
            self._others.append((number, cells))

    def add_many(self, number: int, cells: list[str]) -> int:
        """The cells of many rows, the first of them with this number; returns the number that follows."""
        size = len(cells) // self._width
        if all(map(str.strip, cells[:: self._width])):
            self._numbers.extend(range(number, number + size))
            self._cells += cells
        else:
            for place in range(size):
                self.add(number + place, cells[place * self._width : (place + 1) * self._width])
        return number + size

    def take(self) -> Iterator[Block]:
        """What was put together since the last time, in order: whoever is stopped goes on after the last row of a block."""
        numbers, cells, others = self._numbers, self._cells, self._others
        self._numbers, self._cells, self._others = list[int](), list[str](), list[Row]()
        for at in range(0, len(numbers) or 1, ROWS):
            end = at + ROWS
            before = [row for row in others if row[0] < numbers[end]] if end < len(numbers) else others
            others = others[len(before) :]
            yield Block(self._width, numbers[at:end], cells[at * self._width : end * self._width], before)


def in_blocks(rows: Iterable[Row], width: int) -> Iterator[Block]:
    """Rows that come one by one."""
    builder, characters = Builder(width), 0
    for number, cells in rows:
        builder.add(number, cells)
        characters += sum(map(len, cells))
        if len(builder) >= ROWS or characters > CHARACTERS:
            yield from builder.take()
            characters = 0
    if len(builder):
        yield from builder.take()
