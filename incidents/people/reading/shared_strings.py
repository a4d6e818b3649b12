"""The texts of a workbook, which its cells name by number: read as far as they are asked for, held as bytes, bounded."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator

from incidents.people.reading.files import LARGEST_FIELD, FileRefused
from incidents.people.reading.markup import Attributes, Handlers, feed, in_sheets

#: All texts with their places, in memory; a list of a million people has about 100 MiB.
LARGEST_TEXTS = 128 * 1024**2
REMEMBERED = 20_000
FINISHED = object()
#: How a workbook writes what XML cannot hold: _x000D_ is a carriage return.
ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")


def unescape(text: str) -> str:
    """A text without the workbook's own escapes. Raises ValueError for what is no text."""
    if "_x" not in text:
        return text
    plain = ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


class SharedStrings:
    """text = strings[number]; strings beyond what was read are read first."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._texts, self._ends = bytearray(), array("I", [0])
        self._remembered: dict[int, str] = {}
        self._parts: list[str] = []
        self._wanted, self._aside, self._length = False, 0, 0
        starts = in_sheets(si=self._begin, t=self._want, rPh=self._step_aside)
        ends = in_sheets(si=self._keep, t=self._stop, rPh=self._step_back)
        self._reading = feed(pieces=pieces, handlers=Handlers(starts, ends, self._text))

    def __getitem__(self, number: int) -> str:
        text = self._remembered.get(number)
        if text is not None:
            return text
        while number >= len(self._ends) - 1:
            if next(self._reading, FINISHED) is FINISHED:
                raise IndexError(number)
        text = self._texts[self._ends[number] : self._ends[number + 1]].decode()
        if len(self._remembered) < REMEMBERED:
            self._remembered[number] = text
        return text

    def _begin(self, _: Attributes) -> None:
        self._parts, self._length = [], 0

    def _want(self, _: Attributes) -> None:
        self._wanted = not self._aside

    def _stop(self) -> None:
        self._wanted = False

    def _step_aside(self, _: Attributes) -> None:
        self._aside += 1  # how a Japanese name is spoken: not part of it

    def _step_back(self) -> None:
        self._aside -= 1

    def _text(self, text: str) -> None:
        if self._wanted:
            self._length += len(text)
            if self._length > LARGEST_FIELD:
                raise FileRefused(f"A cell of the workbook has more than {LARGEST_FIELD} characters. Shorten it, import again.")
            self._parts.append(text)

    def _keep(self) -> None:
        self._texts += unescape("".join(self._parts)).encode()
        self._ends.append(len(self._texts))
        if len(self._texts) + len(self._ends) * self._ends.itemsize > LARGEST_TEXTS:
            raise FileRefused(
                f"The workbook has more than {LARGEST_TEXTS // 1024**2} MiB of text. Save the list as CSV in UTF-8."
            )
