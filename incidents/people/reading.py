"""Reads a list of people as it comes from forensics: encoding, delimiter, header, rows. What cannot be read is refused whole,

with row, column and remedy. UTF-8 (with or without BOM) and UTF-16 with BOM are read; anything else is asked, never guessed.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from incidents.models.refusal import Refused

LARGEST_FILE = 2 * 1024**3
LARGEST_FIELD = 200_000
LONGEST_LINE = 4_000_000
MOST_COLUMNS = 200
LONGEST_COLUMN = 60
NAMES = frozenset({"full_name", "given_name", "family_name"})
SIGNATURES = {
    b"PK\x03\x04": "a ZIP or Excel file", b"\xd0\xcf\x11\xe0": "an old Excel file", b"\x1f\x8b": "a compressed file",
    b"%PDF": "a PDF", b"\x7fELF": "a program", b"\x89PNG": "a picture",
}  # fmt: skip
#: Python calls these encodings too; no export is ever written in them, and some let lone surrogates through.
NOT_OF_FILES = frozenset({"utf-7", "idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined"})
KNOWN_COLUMNS = (
    "person_id", "customer_number", "given_name", "family_name", "full_name", "email", "phone", "street", "city", "region",
    "postcode", "billing_country", "shipping_country", "stated_country", "phone_prefix", "loyalty_home_store", "ip_country",
    "language", "elements", "date_of_birth", "flags", "truth_residency", "truth_element_set",
)  # fmt: skip


class FileRefused(Refused):
    """The file cannot be imported; nothing was stored."""


@dataclass(frozen=True)
class ListFile:
    """A list that can be read: its fingerprint, encoding, delimiter and columns."""

    path: Path
    sha256: str
    encoding: str
    delimiter: str
    columns: tuple[str, ...]


def inspect(*, path: Path, encoding: str | None = None) -> ListFile:
    """Look at a file before anything is stored. Raises FileRefused with the remedy."""
    sha256 = _fingerprint(path)
    head = _head(path)
    chosen = _encoding(path, head, encoding)
    with path.open(encoding=chosen, newline="", errors="strict") as text:
        try:
            first = text.readline(LARGEST_FIELD)
        except UnicodeDecodeError as error:
            raise _not_encoded(chosen, 1, error) from None
    if first.lower().startswith("sep="):
        raise FileRefused("Row 1: 'sep=' is a hint for Excel, not a header. Remove this line and import again.")
    file = ListFile(path, sha256, chosen, _delimiter(first), ())
    # Read as the rows are: a quoted header may go over several lines.
    header = next(_all_rows(file=file), (1, []))[1]
    return replace(file, columns=_columns(header))


def _fingerprint(path: Path) -> str:
    try:
        found = path.stat()
        size = found.st_size
        if not stat.S_ISREG(found.st_mode):
            raise IsADirectoryError
        if size > LARGEST_FILE:
            raise FileRefused(f"The file is larger than {LARGEST_FILE // 1024**3} GiB. Split it and import the parts.")
        with path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except (IsADirectoryError, PermissionError):
        raise FileRefused("The file cannot be opened. Give a readable CSV file, not a folder.") from None
    except (OSError, ValueError):
        raise FileRefused("There is no such file. Give the path of the CSV file.") from None


def _head(path: Path) -> bytes:
    with path.open("rb") as raw:
        head = raw.read(4096)
    if not head.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n"):
        raise FileRefused("The file is empty. Export the list again; a header and at least one row are needed.")
    for signature, what in SIGNATURES.items():
        if head.startswith(signature):
            raise FileRefused(f"This is {what}, not a CSV file. Save the list as CSV in UTF-8 and import that.")
    return head


def _encoding(path: Path, head: bytes, asked: str | None) -> str:
    if asked:
        return _asked(head, asked)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head:
        raise FileRefused(
            "Row 1: the file holds NUL bytes: damaged, or UTF-16 without a byte-order mark. Save it as UTF-8, or say "
            "what it is with --encoding utf-16-le."
        )
    _all_utf8(path)
    return "utf-8-sig"


def _asked(head: bytes, asked: str) -> str:
    """The encoding somebody says, under its own name; a byte-order mark is always understood and never part of the text."""
    try:
        name = codecs.lookup(asked).name
        "".encode(name)  # hex, rot13 and the like turn no bytes into text
    except (LookupError, ValueError):
        name = ""
    if not name or name.replace("_", "-") in NOT_OF_FILES:
        raise FileRefused(f"The encoding '{asked}' is not known. Use utf-8, utf-16, cp1252, shift_jis, gb18030 ...")
    marked = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if name == "utf-16" and not marked:
        raise FileRefused("The file has no byte-order mark. Say which UTF-16 it is: --encoding utf-16-le or utf-16-be.")
    if name in {"utf-16-le", "utf-16-be"} and marked:
        return "utf-16"
    return "utf-8-sig" if name == "utf-8" else name


def _all_utf8(path: Path) -> None:
    decoder, number = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as raw:
        while True:
            part = raw.read(1024**2)
            try:
                text = decoder.decode(part, final=not part)
            except UnicodeDecodeError as error:
                raise _not_encoded("UTF-8", number + error.object[: error.start].count(b"\n"), error) from None
            if "\0" in text:
                number += text[: text.index("\0")].count("\n")
                raise FileRefused(f"Line {number}: a NUL byte. The file is damaged; export it again.")
            if not part:
                return
            number += text.count("\n")


def _not_encoded(name: str, line: int, error: UnicodeDecodeError) -> FileRefused:
    return FileRefused(
        f"Line {line}: byte 0x{error.object[error.start]:02x} is not {name}. Nothing was imported and nothing guessed. "
        "Save the file as UTF-8, or say its encoding, for example --encoding cp1252."
    )


def _delimiter(first: str) -> str:
    counts = {mark: first.count(mark) for mark in ",;\t|"}
    best = max(counts, key=lambda mark: counts[mark])
    if not counts[best]:
        raise FileRefused("Row 1: no comma, semicolon, tab or bar: this is not a table with a header line.")
    return best


def _columns(header: list[str]) -> tuple[str, ...]:
    columns = tuple("_".join(unicodedata.normalize("NFKC", name).lower().split()) for name in header)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise FileRefused(f"Row 1: the column '{twice[0]}' stands there twice. Rename or remove one.")
    if len(columns) > MOST_COLUMNS:
        raise FileRefused(f"Row 1: {len(columns)} columns; at most {MOST_COLUMNS} are read. Remove what is not needed.")
    if any(len(name) > LONGEST_COLUMN or not name.isprintable() for name in columns):
        raise FileRefused(
            f"Row 1: a column's name has to be plain text of at most {LONGEST_COLUMN} characters. Is this the header?"
        )
    known = set(columns)
    if not known & (NAMES | {"customer_number"}):
        raise FileRefused(
            f"Row 1: no column for a name or a customer number. Name one of: {', '.join(sorted(NAMES))}, customer_number."
        )
    if not known & {"email", "street"}:
        raise FileRefused("Row 1: no column for an e-mail or a postal address. Name one of: email, street.")
    return columns


@contextmanager
def _csv_limit() -> Iterator[None]:
    before = csv.field_size_limit(LARGEST_FIELD)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def rows(*, file: ListFile) -> Iterator[tuple[int, list[str]]]:
    """Row number (header = 1) and cells, streamed; empty lines are left out. Raises FileRefused naming the row."""
    for number, cells in _all_rows(file=file):
        if number > 1 and any(cell.strip() for cell in cells):
            yield number, cells


def _all_rows(*, file: ListFile) -> Iterator[tuple[int, list[str]]]:
    with _csv_limit(), file.path.open(encoding=file.encoding, newline="", errors="strict") as text:
        yield from _numbered(text, file)


def _lines(text: TextIO) -> Iterator[str]:
    """The lines, none of them without end: a file without line breaks must not fill the memory."""
    while line := text.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise csv.Error(f"a line of more than {LONGEST_LINE} characters")
        yield line


def _numbered(text: TextIO, file: ListFile) -> Iterator[tuple[int, list[str]]]:
    reader, number = csv.reader(_lines(text), delimiter=file.delimiter, strict=True), 0
    while True:
        number += 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise FileRefused(
                f"Row {number} (line {reader.line_num}): {error}. A quotation mark is probably not closed; correct it "
                "and import again. Nothing was imported."
            ) from None
        except UnicodeDecodeError as error:
            # The lines before this piece of the file are read; those inside it before the bad byte are not yet.
            inside = error.object[: error.start].decode(file.encoding, errors="ignore")
            raise _not_encoded(file.encoding, reader.line_num + 1 + inside.count("\n"), error) from None
        yield number, cells
