"""Reads a list of people as it comes from forensics: encoding, delimiter, header, rows. What cannot be read is refused whole,

with row, column and remedy. UTF-8 (with or without BOM) and UTF-16 with BOM are read; anything else is asked, never guessed.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from incidents.models.refusal import Refused

LARGEST_FILE = 2 * 1024**3
LARGEST_FIELD = 200_000
MOST_COLUMNS = 200
NAMES = frozenset({"full_name", "given_name", "family_name"})
SIGNATURES = {b"PK\x03\x04": "a ZIP or Excel file", b"%PDF": "a PDF", b"\x7fELF": "a program", b"\x89PNG": "a picture"}
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
    delimiter = _delimiter(first)
    columns = _columns(next(csv.reader([first], delimiter=delimiter), []))
    return ListFile(path, sha256, chosen, delimiter, columns)


def _fingerprint(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > LARGEST_FILE:
            raise FileRefused(f"The file is larger than {LARGEST_FILE // 1024**3} GiB. Split it and import the parts.")
        with path.open("rb") as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()
    except FileNotFoundError:
        raise FileRefused("There is no such file. Give the path of the CSV file.") from None
    except (IsADirectoryError, PermissionError):
        raise FileRefused("The file cannot be opened. Give a readable CSV file, not a folder.") from None


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
        try:
            return codecs.lookup(asked).name
        except LookupError:
            raise FileRefused(f"The encoding '{asked}' is not known. Use utf-8, utf-16, cp1252, shift_jis, gb18030 ...") from None
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\x00" in head:
        raise FileRefused(
            "Row 1: the file holds NUL bytes: damaged, or UTF-16 without a byte-order mark. Save it as UTF-8, or say "
            "what it is with --encoding utf-16-le."
        )
    _all_utf8(path)
    return "utf-8-sig"


def _all_utf8(path: Path) -> None:
    with path.open("rb") as raw:
        for number, line in enumerate(raw, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise _not_encoded("UTF-8", number, error) from None
            if b"\x00" in line:
                raise FileRefused(f"Line {number}: a NUL byte. The file is damaged; export it again.")


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
    columns = tuple("_".join(name.replace("\xa0", " ").strip().lower().split()) for name in header)
    twice = sorted({name for name in columns if name and columns.count(name) > 1})
    if twice:
        raise FileRefused(f"Row 1: the column '{twice[0]}' stands there twice. Rename or remove one.")
    if len(columns) > MOST_COLUMNS:
        raise FileRefused(f"Row 1: {len(columns)} columns; at most {MOST_COLUMNS} are read. Remove what is not needed.")
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
    with _csv_limit(), file.path.open(encoding=file.encoding, newline="", errors="strict") as text:
        yield from _numbered(text, file)


def _numbered(text: TextIO, file: ListFile) -> Iterator[tuple[int, list[str]]]:
    reader, number = csv.reader(text, delimiter=file.delimiter, strict=True), 0
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
            raise _not_encoded(file.encoding, reader.line_num, error) from None
        if number > 1 and any(cell.strip() for cell in cells):
            yield number, cells
