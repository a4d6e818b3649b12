"""The reject file: every row and person that waits, with row, column, reason and remedy, and the list's own columns to correct.

Safe to open in any spreadsheet, and no cell that nobody touched comes out of one changed. Corrected there, it is imported alone:
`correction_of` ties each line to its row (`returned`), and the marks that keep formulas, numbers and dates quiet are taken away.
Of somebody who was erased and came back with a backup it has nothing that the list said.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import islice
from typing import TextIO

from django.db.models import QuerySet

from incidents.models import AffectedPerson, ImportRow, Incident, PersonStatus, QueueEntry, RowOutcome
from incidents.models.people import QueueKind, QueueStatus
from incidents.people import erased_list
from incidents.people.adding import WEIGHED
from incidents.people.come_back import MARK, mark_of
from incidents.people.decisions import LATER, LEFT
from incidents.people.inert import as_text
from incidents.people.joining import EVIDENCE, POSTAL, SINGLE
from incidents.people.kept import KeptRow, open_row
from incidents.people.person_facts import MINORS, minor_by_age
from incidents.people.questions import FLAG_QUESTIONS, GUARDIAN
from incidents.people.reading import plain_columns
from incidents.people.reviewing import COLUMNS, list_row
from incidents.vault import CannotOpen, Vault

ABOUT = ("correction_of", "row", "queue", "column", "reason", "remedy", "status", "person")
#: Questions about a value that could not be taken.
UNTAKEN = (QueueKind.ADDRESS, QueueKind.DATA)
#: What stood in columns that are not read, or beyond the last one.
REST = "other_cells"
HEADER = (*ABOUT, *COLUMNS, REST, MARK)
WAITING = (QueueStatus.OPEN, QueueStatus.HELD, QueueStatus.REJECTION_PROPOSED)
#: Marks that no spreadsheet can show and some trip over; a line break inside a cell is left to be seen and removed.
UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f\x85\u2028\u2029]")
PAGE = 500
ERASED = "This person was erased and is here again: the database was put back from a backup. Run 'manage.py erase --replay'."


def write_reject_file(*, incident: Incident, out: TextIO) -> int:
    """Write what waits as CSV, one line for each row or person; returns how many lines."""
    writer, count = csv.writer(out), 0
    writer.writerow(HEADER)
    for line in _lines(incident, Vault(incident=incident)):
        shown = {name: UNSHOWN.sub("\ufffd", line.get(name, "").replace("\r\n", "\n")) for name in HEADER}
        shown[MARK] = mark_of(cells=shown)
        writer.writerow([as_text(shown[name]) for name in HEADER])
        count += 1
    return count


def _lines(incident: Incident, vault: Vault) -> Iterator[dict[str, str]]:
    waiting, erased = incident.queue.filter(status__in=WAITING), frozenset(erased_list.not_replayed(incident=incident))
    for keys in _pages(waiting, "row_id"):
        asked = _by(waiting.filter(row__in=keys), "row_id")
        rows = ImportRow.objects.filter(pk__in=asked).select_related("batch").order_by("pk")
        yield from ({**_about(asked[row.pk], row, ""), **_row_cells(row, vault, incident.reference)} for row in rows)
    gone, about = (PersonStatus.REJECTED, PersonStatus.MERGED), waiting.exclude(reason=LEFT).exclude(reason__startswith=LATER)
    for keys in _pages(about.exclude(person__status__in=gone), "person_id"):
        asked = _by(about.filter(person__in=keys), "person_id")
        people_page = list(incident.people.filter(pk__in=asked).exclude(status__in=gone).order_by("pk"))
        own = ImportRow.objects.filter(person__in=people_page, outcome=RowOutcome.PERSON).select_related("batch").order_by("-id")
        rows_of = {row.person_id: row for row in own}
        for person in people_page:
            row = rows_of.get(person.pk)
            if person.pk in erased:
                # A question may quote what the list said.
                yield _about(asked[person.pk], row, "") | {"reason": "", "remedy": ERASED}
                continue
            said = _without_age(_person_cells(person, vault), asked[person.pk])
            cells = _as_it_came(asked[person.pk], row, said, vault, incident.reference)
            yield {**_about(asked[person.pk], row, person.reference), **cells}


def _pages(entries: QuerySet[QueueEntry], name: str) -> Iterator[list[int]]:
    """The keys of those whom the entries are about, once each and in order: numbers alone are sorted, once, and no wide row.

    What is decided while the file is written is left out: each page looks at its entries again.
    """
    keys = entries.exclude(**{name: None}).order_by(name).values_list(name, flat=True).distinct().iterator(chunk_size=20 * PAGE)
    while page := list(islice(keys, PAGE)):
        yield page


def _by(entries: QuerySet[QueueEntry], name: str) -> dict[int, list[QueueEntry]]:
    found: dict[int, list[QueueEntry]] = {}
    for entry in entries.order_by("pk"):
        found.setdefault(getattr(entry, name), []).append(entry)
    return found


def _about(entries: list[QueueEntry], row: ImportRow | None, person: str) -> dict[str, str]:
    """What is asked; several questions stand side by side."""

    def joined(texts: Iterator[str]) -> str:
        return " / ".join(dict.fromkeys(text for text in texts if text))

    return {
        "correction_of": f"{row.batch_id}-{row.number}" if row else "", "row": str(row.number) if row else "", "person": person,
        "queue": joined(entry.get_kind_display() for entry in entries), "column": joined(entry.column for entry in entries),
        "reason": joined(entry.reason for entry in entries), "remedy": joined(entry.remedy for entry in entries),
        "status": joined(entry.get_status_display() for entry in entries),
    }  # fmt: skip


def _row_cells(row: ImportRow, vault: Vault, incident: str) -> dict[str, str]:
    """A row that became nobody, as it came."""
    columns, found, rest = plain_columns(row.batch.columns), dict[str, str](), list[str]()
    for place, cell in enumerate(open_row(sealed=row.sealed, vault=vault, incident=incident).cells):
        name = columns[place] if place < len(columns) else ""
        if name in COLUMNS:
            found[name] = cell
        elif cell and name != "correction_of":
            rest.append(cell)
    return found | {REST: " | ".join(rest)}


def _as_it_came(
    entries: list[QueueEntry], row: ImportRow | None, person: dict[str, str], vault: Vault, incident: str
) -> dict[str, str]:
    """The cells that are asked about, as the list had them: what could not be taken stands in no record; else the person's.

    A cell that is asked about and was not kept was empty, and stays so: an answer that nobody gave would be taken for one.
    """
    asked = {entry.column for entry in entries if entry.kind in UNTAKEN and not entry.reason.startswith(WEIGHED)}
    if row is None or not asked:
        return person
    kept = _row_cells(row, vault, incident) if row.sealed else {}
    if "" not in asked or not kept:
        kept = {name: kept.get(name, "") for name in asked if name in COLUMNS}
    return person | kept | _of_others(kept, person, open_row(sealed=row.sealed, vault=vault, incident=incident))


def _of_others(cells: dict[str, str], person: dict[str, str], own: KeptRow) -> dict[str, str]:
    """What other rows of the person said, in the cells of their own row: the line that comes back stands for the whole person."""
    if own.fields is None:
        return {}
    said_here = {name: getattr(own.fields, name) for name in (*SINGLE, *POSTAL)} | dict(own.fields.evidence)
    # Where the person says something else by now, another row said it; what nobody could take stands in no record.
    names = [name for name in (*SINGLE, *POSTAL, *EVIDENCE) if name in cells]
    found = {name: person.get(name, "") for name in names if person.get(name, "") != said_here.get(name, "")}
    for name, said in (("elements", own.elements), ("flags", own.flags)):
        others = [word for word in person.get(name, "").split(";") if word and word not in said]
        if others and name in cells:
            found[name] = ";".join([cells[name], *others]) if cells[name].strip() else person[name]
    return found


def _without_age(person: dict[str, str], entries: list[QueueEntry]) -> dict[str, str]:
    """A person's cells without the flag that the birth date alone gave: the date that comes back gives it anew, or not."""
    reasons = {entry.reason for entry in entries if entry.kind == GUARDIAN}
    by_age = {flag for flag in MINORS if minor_by_age(flag=flag).reason in reasons and FLAG_QUESTIONS[flag][1] not in reasons}
    return person | {"flags": ";".join(word for word in person.get("flags", "").split(";") if word not in by_age)}


def _person_cells(person: AffectedPerson, vault: Vault) -> dict[str, str]:
    try:
        return list_row(person=person, fields=vault.open(person=person))
    except CannotOpen:
        return {"person_id": person.reference}
