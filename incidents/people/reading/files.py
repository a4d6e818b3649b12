"""What a list of people may be: its limits, what a file is by its first bytes, and how a file is refused or asked about.

No message repeats a cell of the file: refusals are shown, stored and logged, and the list is personal data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from incidents.people.reading.names import NAMES, lacking
from incidents.refusal import Refused

LARGEST_FILE = 2 * 1024**3
#: Python's csv reader knows this limit by itself: no setting of the process has to be changed for it.
LARGEST_FIELD = 131_072
LONGEST_ROW = 4_000_000
MOST_COLUMNS = 1_000
LONGEST_COLUMN = 200
SAMPLE_ROWS = 20
#: What columns hold is guessed by more rows than are shown, of a very wide list by fewer: both are read in a moment.
GUESS_ROWS, GUESS_CELLS = 5_000, 250_000
BLOCK = 1024**2
SIGNATURES = {
    b"\x1f\x8b": "a compressed file (gzip)", b"BZh": "a compressed file (bzip2)", b"\xfd7zXZ\x00": "a compressed file (xz)",
    b"7z\xbc\xaf\x27\x1c": "a compressed file (7z)", b"Rar!": "a compressed file (RAR)",
    b"%PDF": "a PDF", b"%!PS": "a PostScript file", b"{\\rtf": "a text document (RTF)",
    b"\x7fELF": "a program", b"MZ\x90\x00": "a program", b"SQLite format 3\x00": "a database", b"PAR1": "a Parquet file",
    b"\x89PNG": "a picture", b"\xff\xd8\xff": "a picture", b"GIF8": "a picture", b"RIFF": "a picture or a film",
}  # fmt: skip
OLD_EXCEL = b"\xd0\xcf\x11\xe0"
#: Excel's own hint at the delimiter of a CSV file: a first line that is no row of the table and is not counted.
HINT = re.compile(r'"?sep=([^\w"\r\n])"?[\r\n]*', re.IGNORECASE)
AS_LIST = "Open it where it was made, save the list as CSV in UTF-8 or as .xlsx, and import that."


class FileRefused(Refused):
    """The file cannot be imported; nothing was stored. `for_good`: no other way to read this very file would help."""

    for_good = False


class FileAsked(FileRefused):
    """The file can be read once somebody says how: `question` is encoding, delimiter or sheet; `choices` what may be said."""

    def __init__(self, *lines: str, question: str = "", choices: Sequence[str] = ()) -> None:
        super().__init__(*lines)
        self.question = question
        self.choices = tuple(choices)


@contextmanager
def for_good() -> Iterator[None]:
    """Here a refusal is final: another encoding, delimiter or sheet would not help. What is asked is no refusal."""
    try:
        yield
    except FileRefused as refused:
        refused.for_good = not isinstance(refused, FileAsked)
        raise


@dataclass(frozen=True)
class ListFile:
    """A list that can be read: its fingerprint, how it is read, its header and what its columns are to us."""

    sha256: str
    size: int
    kind: str  # csv or xlsx
    encoding: str = ""  # csv
    delimiter: str = ""  # csv
    sheet: str = ""  # xlsx
    #: Its place, as '#2': what is stored of it, for a sheet may be called after a person.
    sheet_at: str = ""
    #: How many sheets of the workbook nobody sees; they are not read.
    hidden_sheets: int = 0
    #: The names of the columns as the file has them, normalised.
    header: tuple[str, ...] = ()
    #: Our name of each column; "" = not read.
    columns: tuple[str, ...] = ()
    #: Of each column what stands first in its dates, day or month, as its first rows say; not known once the columns are said.
    dates: tuple[str, ...] = ()

    @property
    def unread(self) -> tuple[str, ...]:
        """The columns of the file that are not read."""
        return tuple(name for name, ours in zip(self.header, self.columns, strict=True) if name and not ours)

    @property
    def hidden(self) -> str:
        """What is said of the hidden sheets; empty where there are none."""
        if not self.hidden_sheets:
            return ""
        sheets = "1 hidden sheet" if self.hidden_sheets == 1 else f"{self.hidden_sheets} hidden sheets"
        return f"The workbook has {sheets}: not read. Show what is hidden; people who stand there alone need a list of their own."

    @property
    def nameless(self) -> str:
        """What is said where no name is read; empty where one is. The lines of a reject file have the names of its people."""
        if not self.columns or self.lacking or {*NAMES, "correction_of"} & {*self.columns}:
            return ""
        only = "" if "customer_number" in self.columns else " An e-mail address will be all that tells one from another."
        return f"No column of a name is read: nobody on this list will have a name, and no letter can be addressed to one.{only}"

    @property
    def lacking(self) -> str:
        """What the columns lack before rows can be read, with the remedy; empty when they are enough."""
        return lacking(self.columns)


def kind_of(*, raw: BinaryIO, size: int) -> str:
    """csv or xlsx, by the first bytes alone; the file's name plays no part. Raises FileRefused saying what it is instead."""
    if size > LARGEST_FILE:
        raise FileRefused(f"The file is larger than {LARGEST_FILE // 1024**3} GiB. Split it and import the parts.")
    raw.seek(0)
    head = raw.read(4096)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return "xlsx"
    bare = head.strip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
    if not bare:
        raise FileRefused("The file is empty. Export the list again; a header and at least one row are needed.")
    if head.startswith(OLD_EXCEL):
        raise FileRefused(
            "This is an old Excel file (.xls), or a workbook with a password. Save it as .xlsx without a password, or as CSV "
            "in UTF-8, and import that."
        )
    what = next((what for signature, what in SIGNATURES.items() if head.startswith(signature)), "") or _markup(bare)
    if what:
        raise FileRefused(f"This is {what}, not a CSV file and no Excel workbook. {AS_LIST}")
    return "csv"


def _markup(head: bytes) -> str:
    """Some systems write a web page and call it .xls or .csv; a header never begins with one of these marks."""
    start = head.lower().replace(b"\x00", b"")[:200]
    if start.startswith((b"<!doctype html", b"<html", b"<table", b"<head")):
        return "a web page"
    if start.startswith(b"<"):
        return "an XML file or a web page"
    return "a JSON file" if start.startswith((b"{", b"[{")) else ""
