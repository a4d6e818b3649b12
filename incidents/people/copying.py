"""Rows of the staging table as COPY's binary format has them: no value is escaped by us or read digit by digit by the database.

A field is its length in four bytes and its bytes; a row the number of its fields and these. docs of PostgreSQL, "COPY", say more.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence

#: The columns of a row in the order of their fields: its own, then what many rows share, then why it is nobody's.
OWN = (
    "batch_id", "number", "subject", "reference", "correction_of", "sealed", "wrapped_key", "key_version", "commitment",
    "raw_sealed", "customer_index", "email_index", "name_index", "name_birth_index", "address_index", "like_row",
)  # fmt: skip
SHARED = (
    "residence", "residence_from", "confidence", "possible", "elements", "flags", "language", "has_email", "has_post", "problems",
)  # fmt: skip
COPY = f"COPY incidents_stagedrow ({', '.join((*OWN, *SHARED, 'rejected'))}) FROM STDIN (FORMAT binary)"
BEGIN, END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
NULL = b"\xff\xff\xff\xff"
EMPTY = bytes(4)
#: What begins a row of two fields.
TWO_FIELDS = b"\0\x02"
#: What begins the fields of fixed length.
OF_16, OF_32, OF_64 = (struct.pack(">i", size) for size in (16, 32, 64))
#: The number of PostgreSQL's type text.
TEXT = 25
#: A row whose shared fields stand in another one.
LIKE_ANOTHER = NULL * len(SHARED)


def field(value: bytes) -> bytes:
    """A text or bytes."""
    return struct.pack(">i", len(value)) + value


def fields(values: Iterable[bytes]) -> list[bytes]:
    """Texts or bytes; an empty one is an empty text."""
    return [len(value).to_bytes(4) + value if value else EMPTY for value in values]


def indexes(values: Iterable[bytes | None]) -> list[bytes]:
    """Blind indexes of 32 bytes each, or none."""
    return [OF_32 + value if value else NULL for value in values]


def integer(value: int) -> bytes:
    """A number of four bytes."""
    return struct.pack(">ii", 4, value)


def small(value: int) -> bytes:
    """A number of two bytes."""
    return struct.pack(">ih", 2, value)


def begin_of(batch: int) -> bytes:
    """What every row of a batch begins with; its number follows, in four bytes."""
    return struct.pack(">hiqi", len(OWN) + len(SHARED) + 1, 8, batch, 4)


def document(value: object) -> bytes:
    """A value of type jsonb."""
    return field(b"\x01" + json.dumps(value).encode())


def texts(values: Sequence[str]) -> bytes:
    """An array of texts."""
    if not values:
        return field(struct.pack(">iii", 0, 0, TEXT))
    return field(struct.pack(">iiiii", 1, 0, TEXT, len(values), 1) + b"".join(field(value.encode()) for value in values))


def shared(
    place: str, decided_by: str, confidence: str, possible: Sequence[str], elements: Sequence[str], flags: Sequence[str],
    language: str, has_email: bool, has_post: bool, problems: Sequence[dict[str, str]],
) -> bytes:  # fmt: skip
    """What many rows share; written with the first of them."""
    words = [field(word.encode()) for word in (place, decided_by, confidence)]
    lists = [texts(words) for words in (possible, elements, flags)]
    marks = [field(b"\x01" if mark else b"\0") for mark in (has_email, has_post)]
    return b"".join((*words, *lists, field(language.encode()), *marks, document(problems)))


#: The shared fields of a row that became nobody.
NOBODY = shared("", "", "", (), (), (), "", False, False, ())
