"""The encoding of a CSV file: UTF-8 (with or without BOM) and UTF-16 with BOM are read; anything else is asked, never guessed."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import BinaryIO

from incidents.people.reading.files import BLOCK, HINT, LONGEST_ROW, FileAsked, FileRefused

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: What a person may be offered, and where it is in use; others are read as well when they are said.
IN_USE: Mapping[str, str] = MappingProxyType(
    {
        "utf-8": "everywhere",
        "utf-16-le": "Excel's 'Unicode text'",
        "utf-16-be": "rare",
        "cp1252": "Western Europe, Windows",
        "iso-8859-1": "Western Europe, older systems",
        "iso-8859-15": "Western Europe with the euro sign",
        "mac-roman": "Western Europe, older Macs",
        "cp1250": "Central Europe, Windows",
        "iso-8859-2": "Central Europe, older systems",
        "cp1257": "the Baltic, Windows",
        "cp1251": "Cyrillic, Windows",
        "koi8-r": "Russian, older systems",
        "cp1253": "Greek, Windows",
        "cp1254": "Turkish, Windows",
        "cp1255": "Hebrew, Windows",
        "cp1256": "Arabic, Windows",
        "cp874": "Thai, Windows",
        "cp1258": "Vietnamese, Windows",
        "cp932": "Japanese, Windows (Shift_JIS)",
        "shift_jis": "Japanese, without Windows' own signs",
        "euc-jp": "Japanese, Unix",
        "iso2022_jp": "Japanese, old mails",
        "gb18030": "Chinese, simplified (also GBK, GB2312)",
        "big5": "Chinese, traditional",
        "cp950": "Chinese, traditional, Windows",
        "euc-kr": "Korean",
        "cp949": "Korean, Windows",
    }
)
OFFERED = tuple(IN_USE)
#: Python calls these encodings too; no export is ever written in them, and some let lone surrogates through.
NOT_OF_FILES = frozenset(
    {
        "utf-7",
        "utf-32",
        "utf-32-le",
        "utf-32-be",
        "idna",
        "punycode",
        "unicode-escape",
        "raw-unicode-escape",
        "charmap",
        "undefined",
    }
)
#: No list has these in its text: they tell of a damaged file, of UTF-16 without its mark, and of old Japanese mail encodings.
NEVER_IN_TEXT = {
    "\x00": "a NUL byte: the file is damaged, or UTF-16 without a byte-order mark. Export it again as UTF-8, or say what it is "
    "with --encoding utf-16-le",
    "\x1b": "an escape character: the file is damaged, or ISO-2022-JP. Export it again as UTF-8, or say what it is with "
    "--encoding iso2022_jp",
}


class FitsTwo(FileAsked):
    """The bytes fit the encoding of the last list and UTF-8 alike: nothing but a person decides."""


#: So many letters beyond ASCII are UTF-8 by no chance, nor is one of three bytes: those below have two.
ENOUGH, OF_TWO_BYTES = 4, "\u07ff"


@dataclass(frozen=True)
class Place:
    """Where in the file: the row (header = 1), the line of the text, and the column, counted from 1."""

    row: int
    line: int
    column: int

    def __str__(self) -> str:
        return f"Row {self.row} (line {self.line}), column {self.column}"


def encoding_name(encoding: str) -> str:
    """An encoding as it is named to people."""
    return "UTF-8" if encoding == "utf-8-sig" else encoding


def choose(*, raw: BinaryIO, asked: str | None) -> str:
    """The encoding to read with: what somebody says, or the byte-order mark, or UTF-8. Raises FileAsked."""
    raw.seek(0)
    head = raw.read(4096)
    if asked:
        return _asked(head, asked)
    if head.startswith(UTF16_MARKS) and not head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-16"
    # Further down a NUL byte is told with its own row, when the whole file is read.
    if b"\x00" in head.split(b"\n", maxsplit=1)[0]:
        raise FileAsked(
            "Row 1: the file holds NUL bytes: damaged, or UTF-16 without a byte-order mark. Save it as UTF-8, or say what it is "
            "with --encoding utf-16-le.",
            question="encoding", choices=("utf-16-le", "utf-16-be"),
        )  # fmt: skip
    return "utf-8-sig"


def _asked(head: bytes, asked: str) -> str:
    """The encoding somebody says, under its own name; a byte-order mark is always understood and never part of the text."""
    try:
        name = codecs.lookup(asked).name
        "".encode(name)  # hex, rot13 and the like turn no bytes into text
    except (LookupError, ValueError):
        name = ""
    if not name or name.replace("_", "-") in NOT_OF_FILES:
        raise FileAsked(
            "The encoding that was said is not known. Use utf-8, utf-16, cp1252, cp932, gb18030 ...",
            question="encoding", choices=OFFERED,
        )  # fmt: skip
    marked = head.startswith(UTF16_MARKS)
    if name == "utf-16" and not marked:
        raise FileAsked(
            "The file has no byte-order mark. Say which UTF-16 it is: --encoding utf-16-le or --encoding utf-16-be.",
            question="encoding", choices=("utf-16-le", "utf-16-be"),
        )  # fmt: skip
    if marked and name.startswith("utf-16"):
        return "utf-16"
    if marked or (head.startswith(codecs.BOM_UTF8) and not name.startswith("utf-8")):
        raise FileAsked(
            "The file begins with the mark of another Unicode encoding than the one that was said. Say none: the mark tells it.",
            question="encoding", choices=("utf-8", "utf-16"),
        )  # fmt: skip
    return "utf-8-sig" if name == "utf-8" else name


def fingerprint(*, raw: BinaryIO, size: int, encoding: str, delimiter: str, remembered: bool = False) -> str:
    """SHA-256 of the whole file, read once; every byte proved to be text in its encoding. Raises FileAsked with the place.

    `remembered`: nobody says the encoding of this file; it is that of the last list of its source.
    """
    digest, read, unicode = hashlib.sha256(), 0, _Utf8()
    # utf-8-sig would take the mark off before it counts.
    decoder = codecs.getincrementaldecoder("utf-8" if encoding == "utf-8-sig" else encoding)()
    raw.seek(0)
    while True:
        part = raw.read(BLOCK)
        digest.update(part)
        unicode.add(part)
        waiting = len(decoder.getstate()[0])
        try:
            text = decoder.decode(part, final=not part)
        except UnicodeDecodeError as error:
            unicode.add_rest(raw)
            unicode.refuse(encoding, remembered)
            place = _place(raw, encoding, delimiter, before=read - waiting + error.start)
            raise _not_encoded(encoding, place, error.object[error.start]) from None
        for mark, meaning in NEVER_IN_TEXT.items():
            if mark in text and not (mark == "\x1b" and "2022" in encoding):
                raise FileAsked(
                    f"{_place(raw, encoding, delimiter, mark=mark)}: {meaning}.", question="encoding", choices=OFFERED
                )
        read += len(part)
        if not part:
            break
    if read != size:
        raise FileRefused(f"The file is cut: {read} of {size} bytes are here. Send it again; nothing was imported.")
    unicode.refuse(encoding, remembered)
    return digest.hexdigest()


class _Utf8:
    """Whether a file is UTF-8, found out while it is read as something else."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._fits, self._letters, self._nul = True, 0, False

    def add(self, part: bytes) -> None:
        """Some more bytes; none at the end."""
        if not self._fits:
            return
        try:
            text = self._decoder.decode(part, final=not part)
        except UnicodeDecodeError:
            self._fits = False
            return
        self._nul = self._nul or "\0" in text
        if self._letters < ENOUGH and not text.isascii():
            self._letters += sum(ENOUGH if letter > OF_TWO_BYTES else 1 for letter in text if not letter.isascii())

    def add_rest(self, raw: BinaryIO) -> None:
        """All that was not read yet."""
        while self._fits and (part := raw.read(BLOCK)):
            self.add(part)
        self.add(b"")

    def refuse(self, encoding: str, remembered: bool) -> None:
        """Ask where the file is UTF-8 and is to be read as something that it cannot be then, or need not be."""
        if not self._fits or encoding.startswith("utf-8"):
            return
        # Letters of one byte are UTF-8 by a chance that no list has, and no line ends in UTF-16 without a NUL byte. Letters of
        # two bytes may be, where there are few of them; somebody who says such an encoding is believed.
        sure = bool(self._letters) if _of_one_byte(encoding) else remembered and self._letters >= ENOUGH
        if sure or (encoding.startswith("utf-16") and not self._nul):
            raise FileAsked(
                f"Every byte of the file is UTF-8; read as {encoding}, its letters would be others. Nothing was imported. Say "
                "--encoding utf-8.",
                question="encoding", choices=("utf-8",),
            )  # fmt: skip
        if self._letters and remembered:
            raise FitsTwo(
                f"The last list of this source was {encoding}; this file may be that, or UTF-8. Say which: --encoding utf-8 or "
                f"--encoding {encoding}. Nothing was imported and nothing guessed.",
                question="encoding", choices=("utf-8", encoding),
            )  # fmt: skip


def _of_one_byte(encoding: str) -> bool:
    """Whether every byte beyond ASCII is a letter by itself: then any bytes fit, and fitting tells nothing."""
    return len(bytes(range(128, 256)).decode(encoding, errors="replace")) == 128


def _not_encoded(encoding: str, place: Place, byte: int) -> FileAsked:
    return FileAsked(
        f"{place}: byte 0x{byte:02x} is not {encoding_name(encoding)}. Nothing was imported and nothing guessed. Save the file "
        "as UTF-8, or say its encoding, for example --encoding cp1252.",
        question="encoding", choices=OFFERED,
    )  # fmt: skip


class _Beginning(io.RawIOBase):
    """The bytes of a file before a place."""

    def __init__(self, raw: BinaryIO, before: int) -> None:
        self.raw, self.left = raw, before
        raw.seek(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        part = self.raw.read(min(len(view), self.left))
        view[: len(part)] = part
        self.left -= len(part)
        return len(part)


def _place(raw: BinaryIO, encoding: str, delimiter: str, *, before: int = -1, mark: str = "") -> Place:
    """Which row, line and column a byte or a mark stands in, found by reading the table up to it."""
    end = before if before >= 0 else raw.seek(0, io.SEEK_END)
    text = io.TextIOWrapper(io.BufferedReader(_Beginning(raw, end)), encoding=encoding, errors="replace", newline="")
    # Not strict: a file with a bad byte may have other faults as well; this one is told.
    lines = _up_to(text, mark)
    reader, row, cells, hinted = csv.reader(lines, delimiter=delimiter), 0, [""], 0
    try:
        for row, cells in enumerate(reader, 1):
            if row == 1 and len(cells) <= 2 and HINT.fullmatch(delimiter.join(cells)):
                hinted = 1
    except csv.Error:
        return Place(row + 1 - hinted, reader.line_num, 1)
    return Place(row - hinted, reader.line_num, len(cells))


def _up_to(text: io.TextIOWrapper, mark: str) -> Iterator[str]:
    """The lines before a mark or the end; then one letter, which stands where the bad byte stands."""
    line = ""
    while following := text.readline(LONGEST_ROW):
        if line:
            yield line
        line = following
        if mark and mark in line:
            line = line[: line.index(mark)]
            break
    if not line.endswith(("\n", "\r")):
        yield line + "x"
        return
    yield line
    yield "x"
