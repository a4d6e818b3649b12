"""A row as it was before it was merged, sealed under the incident's key: what the undo of a merge and the reject file need."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from incidents.record import PersonFields
from incidents.vault import Vault


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


def _bound_to(incident: str) -> str:
    return f"import_row|{incident}"


def seal_row(*, row: KeptRow, vault: Vault, incident: str) -> bytes:
    """The row, sealed as the rows that became nobody are. `incident`: its reference."""
    plain = vars(row) | {"fields": row.fields.encode().decode() if row.fields else ""}
    text = json.dumps({name: value for name, value in plain.items() if value}, ensure_ascii=False)
    return vault.seal_blob(plain=text.encode(), bound_to=_bound_to(incident))


def open_row(*, sealed: bytes | memoryview | None, vault: Vault, incident: str) -> KeptRow:
    """What is kept of a row; a row that became nobody was kept as its bare cells. Raises CannotOpen."""
    if not sealed:
        return KeptRow()
    found = json.loads(vault.open_blob(sealed=sealed, bound_to=_bound_to(incident)))
    if isinstance(found, list):
        return KeptRow(cells=[str(cell) for cell in found])
    fields = found.pop("fields", "")
    return KeptRow(fields=PersonFields.decode(fields.encode()) if fields else None, **found)
