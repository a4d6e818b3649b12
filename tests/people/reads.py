"""How the tests of the reader read: bytes in, rows or the words of a refusal out."""

from __future__ import annotations

import io

import pytest

from incidents.people import reading
from incidents.people.reading import FileRefused, ListFile

Rows = list[tuple[int, list[str]]]


def read(raw: bytes, **said: object) -> tuple[ListFile, Rows]:
    """A list as the importer reads it: looked at, then row by row."""
    source = io.BytesIO(raw)
    file = reading.inspect(raw=source, size=len(raw), **said)  # type: ignore[arg-type]
    return file, list(reading.rows(raw=source, file=file))


def refused(raw: bytes, **said: object) -> FileRefused:
    """The refusal of a list: never another exception."""
    with pytest.raises(FileRefused) as caught:
        read(raw, **said)
    return caught.value


def refusal(raw: bytes, **said: object) -> str:
    return str(refused(raw, **said))
