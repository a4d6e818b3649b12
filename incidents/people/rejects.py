"""The reject file: every row and person that waits or was refused, with row, column, reason and remedy; safe in a spreadsheet."""

from __future__ import annotations

import csv
import json
import re
from typing import TextIO

from incidents.models import Incident, QueueEntry
from incidents.vault import Vault

HEADER = ("row", "queue", "column", "reason", "remedy", "status", "person", "row_as_it_came")
#: The start of a formula: at the start of the cell, or after anything that a reader may take for a delimiter or a quote.
FORMULA = re.compile(r"""(^|[,;|\t\r\n\0])([\s"]*)(?=[=+\-@＝＋－＠])""")


def inert(text: str) -> str:
    """A cell that no spreadsheet takes for a formula, whatever delimiter it assumes (OWASP ASVS 5.0, 1.2.10)."""
    return FORMULA.sub(r"\1\2'", text.lstrip("\t\r\n\0"))


def write_reject_file(*, incident: Incident, out: TextIO) -> int:
    """Write the queue as CSV for correction; returns how many lines. Rows that became nobody stand there whole."""
    writer, vault, count = csv.writer(out), Vault(incident=incident), 0
    writer.writerow(HEADER)
    entries = incident.queue.select_related("person", "row").order_by("id")
    for entry in entries.iterator(chunk_size=2000):
        writer.writerow([inert(str(cell)) for cell in _cells(entry, vault, incident.reference)])
        count += 1
    return count


def _cells(entry: QueueEntry, vault: Vault, incident: str) -> list[object]:
    row = entry.row or (entry.person.import_rows.order_by("id").first() if entry.person else None)
    raw = ""
    if entry.row and entry.row.sealed:
        cells = json.loads(vault.open_blob(sealed=entry.row.sealed, bound_to=f"import_row|{incident}"))
        raw = " | ".join(" ".join(str(cell).split()) for cell in cells)
    person = entry.person.reference if entry.person else ""
    return [
        row.number if row else "",
        entry.get_kind_display(),
        entry.column,
        entry.reason,
        entry.remedy,
        entry.get_status_display(),
        person,
        raw,
    ]
