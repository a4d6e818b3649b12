"""A row as it was before it was merged, sealed under the incident's key: what the undo of a merge and the reject file need."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from incidents.record import PersonFields
from incidents.vault import Vault


@dataclass(frozen=True)
class Seen:
    """What is known of a row, or of the rows of one person together, beside the record: what the law sees, and the way there."""

    residence: str
    residence_from: str
    confidence: str
    possible: list[str]
    elements: list[str]
    flags: list[str]
    language: str
    has_post: bool


@dataclass(frozen=True)
class KeptRow:
    """One row's person as read, with the questions it raised; `cells` are the row as it came, where they are known."""

    fields: PersonFields | None = None
    reference: str = ""
    residence: str = ""
    residence_from: str = ""
    confidence: str = ""
    possible: list[str] = field(default_factory=list)
    elements: list[str] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)
    language: str = ""
    has_post: bool = False
    problems: list[dict[str, str]] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)


#: What json.dumps(..., ensure_ascii=False) makes anew for each of a million rows.
_WRITE = json.JSONEncoder(ensure_ascii=False).encode


def _bound_to(incident: str) -> str:
    return f"import_row|{incident}"


def seal_row(*, row: KeptRow, vault: Vault, incident: str) -> bytes:
    """The row, sealed as the rows that became nobody are. `incident`: its reference."""
    return seal_words(words=vars(row), fields=row.fields.encode() if row.fields else b"", vault=vault, incident=incident)


def seal_words(*, words: dict[str, Any], fields: bytes, vault: Vault, incident: str) -> bytes:
    """The same of a row that is not read: its fields as they are encoded, all else of a KeptRow by name."""
    plain = {name: value for name, value in (words | {"fields": fields.decode()}).items() if value}
    return vault.seal_blob(plain=_WRITE(plain).encode(), bound_to=_bound_to(incident))


def open_row(*, sealed: bytes | memoryview | None, vault: Vault, incident: str) -> KeptRow:
    """What is kept of a row; a row that became nobody was kept as its bare cells. Raises CannotOpen."""
    if not sealed:
        return KeptRow()
    found = json.loads(vault.open_blob(sealed=sealed, bound_to=_bound_to(incident)))
    if isinstance(found, list):
        return KeptRow(cells=[str(cell) for cell in found])
    fields = found.pop("fields", "")
    return KeptRow(fields=PersonFields.decode(fields.encode()) if fields else None, **found)
