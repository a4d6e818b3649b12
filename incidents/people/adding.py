"""Rows of a later list are added to who is known: what is new is joined in, what is answered is closed, the rest is asked.

Whoever stands on a frozen register keeps the record that was signed: what a later list says otherwise becomes a question, and the
change is made by an amendment or not at all. A row of a reject file that comes back corrected replaces what it corrects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from incidents.audit.log import database_now
from incidents.models import AffectedPerson, ImportBatch, ImportRow, QueueEntry, RowOutcome
from incidents.models.people import QueueKind
from incidents.people import joining
from incidents.people.amending import on_standing_register
from incidents.people.decisions import FOLLOW, LATER, WAITING, note, question
from incidents.people.kept import KeptRow, open_row, seal_row
from incidents.people.matching import STAGED_ROW, WRITE_KEPT, StagedRow, copy_rows, pages, record_of, rows_of
from incidents.people.questions import DATA
from incidents.people.returned import CORRECTION
from incidents.people.staged import STAGED
from incidents.vault import CannotOpen, Vault

KNOWN = f"""
SELECT s.known_person, {STAGED_ROW} FROM {STAGED} s
WHERE s.known_person IS NOT NULL AND NOT s.rejected ORDER BY 1, (s.merge_tier <> 'correction'), s.number"""  # noqa: S608
ANYBODY = "SELECT EXISTS (SELECT FROM staging WHERE known_person IS NOT NULL)"
ADDED = """
DROP TABLE IF EXISTS pg_temp.added, pg_temp.own, pg_temp.asked, pg_temp.keep;
CREATE TEMP TABLE keep (number int, raw_sealed bytea) ON COMMIT DROP;
CREATE TEMP TABLE own (id bigint, sealed bytea) ON COMMIT DROP;
CREATE TEMP TABLE added (
  person bigint, number int, sealed bytea, wrapped_key bytea, key_version int, commitment text, residence text,
  residence_from text, confidence text, possible text[], elements text[], flags text[], language text, has_email boolean,
  has_post boolean, customer_index bytea, email_index bytea, name_index bytea, name_birth_index bytea, address_index bytea,
  others bytea[]
) ON COMMIT DROP;
CREATE TEMP TABLE asked (person bigint, questions jsonb, closed bigint[], frozen boolean) ON COMMIT DROP"""
WRITE = (
    *WRITE_KEPT,
    "UPDATE incidents_importrow r SET sealed = o.sealed FROM own o WHERE r.id = o.id",
    """
UPDATE incidents_affectedperson p SET sealed = a.sealed, wrapped_key = a.wrapped_key, key_version = a.key_version,
  residence = a.residence, residence_from = a.residence_from, confidence = a.confidence, possible_residences = a.possible,
  elements = a.elements, flags = a.flags, language = a.language, has_email = a.has_email, has_post = a.has_post,
  customer_index = a.customer_index, email_index = a.email_index, name_index = a.name_index,
  name_birth_index = a.name_birth_index, address_index = a.address_index, other_email_indexes = nullif(a.others, '{}')
FROM added a WHERE p.id = a.person""",
    "UPDATE staging s SET commitment = a.commitment FROM added a WHERE s.number = a.number",
    """
UPDATE incidents_queueentry q SET status = 'corrected', decision_reason = %(answered)s, decided_by_id = %(author)s,
  decided_at = %(now)s, held_until = NULL FROM asked a WHERE q.id = ANY(a.closed)""",
    """
INSERT INTO incidents_queueentry (incident_id, person_id, kind, "column", reason, remedy, status, decision_reason)
SELECT %(incident)s, a.person, q ->> 'kind', q ->> 'column', q ->> 'reason', q ->> 'remedy', 'open', ''
FROM asked a, jsonb_array_elements(a.questions) q""",
)
#: Those whose questions changed, but for people on a frozen register: their status is what the register says.
FOLLOWED = "SELECT person FROM asked WHERE NOT frozen"
UNREADABLE = {
    "kind": DATA, "column": "", "reason": "a later list names this person, whose record does not open",
    "remedy": "look at the key and the record; correct the person from the list",
}  # fmt: skip
#: The reason of a decision that nobody took: a row brought the answer. Undone with the row.
ANSWERED = "answered by another row"
#: How a residence that a person decided is marked.
DECISION = "decision"
#: The place of the questions in `matching.record_of`; they go to the queue, not to the person.
PROBLEMS = 13
#: Questions that the rows of a list raise, so that a corrected row can answer them.
RAISED = frozenset(QueueKind) - {QueueKind.MATCH_CONFLICT, QueueKind.ROW}


@dataclass
class _Page:
    """Some hundred known people, locked, with what is asked of them and which rows are theirs."""

    people: dict[int, AffectedPerson]
    frozen: set[int]
    queue: dict[int, list[QueueEntry]]
    own: dict[int, ImportRow]


@dataclass
class _Written:
    """What a page writes, in the rows of the temporary tables."""

    keep: list[tuple[object, ...]]
    own: list[tuple[object, ...]]
    added: list[tuple[object, ...]]
    asked: list[tuple[object, ...]]


def add_to_known(cursor: Any, vault: Vault, *, batch: ImportBatch) -> None:
    """Give people imported before what this list adds to them."""
    cursor.execute(ADDED)
    cursor.execute(ANYBODY)
    if not cursor.fetchone()[0]:
        return
    for page in pages(_groups(batch)):
        found, written = _look_up([person for person, _ in page]), _Written([], [], [], [])
        for person, rows in page:
            _add(found, person, rows, written, vault, batch)
        for table in ("keep", "own", "added", "asked"):
            copy_rows(cursor, table, getattr(written, table))
    ids: dict[str, object] = {"batch": batch.pk, "incident": batch.incident_id, "author": batch.author_id}
    ids |= {"now": database_now(), "answered": ANSWERED}
    for statement in WRITE:
        cursor.execute(statement, ids)
    cursor.execute(FOLLOW.replace("= ANY(%s)", f"IN ({FOLLOWED})"))


def _groups(batch: ImportBatch) -> Iterator[tuple[int, list[StagedRow]]]:
    for person, group in groupby(rows_of(KNOWN, batch), key=lambda row: row[0]):
        yield int(person), [StagedRow(*row[1:]) for row in group]


def _look_up(ids: list[int]) -> _Page:
    """The people of a page, locked in their order: decisions go on beside an import."""
    people = AffectedPerson.objects.filter(pk__in=ids).select_for_update(no_key=True, of=("self",)).order_by("pk")
    queue: dict[int, list[QueueEntry]] = {}
    for entry in QueueEntry.objects.filter(person__in=ids).order_by("pk"):
        queue.setdefault(entry.person_id or 0, []).append(entry)
    rows = ImportRow.objects.filter(person__in=ids, outcome=RowOutcome.PERSON).order_by("-pk")
    return _Page(
        people={person.pk: person for person in people},
        frozen=on_standing_register(ids),
        queue=queue,
        own={row.person_id or 0: row for row in rows},
    )


def _add(found: _Page, person_id: int, staged: list[StagedRow], written: _Written, vault: Vault, batch: ImportBatch) -> None:
    """One person's rows: what they change is written down, and every row is kept for the undo."""
    incident, person = batch.incident.reference, found.people[person_id]
    rows = [row.opened(vault, incident) for row in staged]
    written.keep += [
        (row.number, seal_row(row=own, vault=vault, incident=incident)) for row, own in zip(staged, rows, strict=True)
    ]
    queue = found.queue.get(person_id, [])
    try:
        before = replace(as_row(person=person, vault=vault), problems=[question(one) for one in queue if one.status in WAITING])
    except CannotOpen:
        written.asked.append(_asked(person_id, [UNREADABLE], [], queue, frozen=True))
        return
    decided = person.residence_from == DECISION
    base, others = _corrected(before, staged, rows, batch, decided=decided)
    whole = _newest_first(joining.join([base, *others], decided=decided), rows, batch)
    changed = _differs(before, whole)
    if person_id in found.frozen:
        asked = [note(LATER)] if changed else []
        written.asked.append(_asked(person_id, asked, [], queue, frozen=True))
        return
    if changed:
        record = record_of(whole, person.subject, vault)
        written.added.append((person_id, staged[-1].number, *record[:PROBLEMS], *record[PROBLEMS + 1 :]))
    own = found.own.get(person_id)
    if changed and own and not open_row(sealed=own.sealed, vault=vault, incident=incident).fields:
        cells = open_row(sealed=own.sealed, vault=vault, incident=incident).cells
        written.own.append((own.pk, seal_row(row=replace(before, cells=cells), vault=vault, incident=incident)))
    closed = _answered(queue, whole, corrected=base is not before)
    written.asked.append(_asked(person_id, whole.problems, closed, queue, frozen=False))


def _newest_first(whole: joining.Whole, rows: list[KeptRow], batch: ImportBatch) -> joining.Whole:
    """A newer version of a list says where the person is written to now; the address of the earlier one stays beside it."""
    if batch.replaces_id is None:
        return whole
    said = [address for row in rows if row.fields for address in row.fields.emails]
    emails = tuple(dict.fromkeys((*said, *whole.fields.emails)))
    return replace(whole, fields=replace(whole.fields, emails=emails))


def as_row(*, person: AffectedPerson, vault: Vault) -> KeptRow:
    """A person as they stand, in the shape of a row. Raises CannotOpen."""
    return KeptRow(
        fields=vault.open(person=person), reference=person.reference, residence=person.residence,
        residence_from=person.residence_from, confidence=person.confidence, possible=person.possible_residences,
        elements=person.elements, flags=person.flags, language=person.language, has_post=person.has_post,
    )  # fmt: skip


def _corrected(
    before: KeptRow, staged: list[StagedRow], rows: list[KeptRow], batch: ImportBatch, *, decided: bool
) -> tuple[KeptRow, list[KeptRow]]:
    """The person with the corrected row in place of what it corrects, and the rows that are merely added."""
    base, others = before, []
    for staged_row, row in zip(staged, rows, strict=True):
        if staged_row.merge_tier == CORRECTION:
            base = joining.replaced(base, row, columns=batch.columns, decided=decided)
        else:
            others.append(row)
    return base, others


def _differs(before: KeptRow, whole: joining.Whole) -> bool:
    names = ("fields", "residence", "possible", "elements", "flags", "language", "has_post")
    return any(getattr(before, name) != getattr(whole, name) for name in names)


def _answered(queue: list[QueueEntry], whole: joining.Whole, *, corrected: bool) -> list[QueueEntry]:
    """The waiting questions that the rows answer: by what they bring, or by being the corrected row itself."""
    waiting = [entry for entry in queue if entry.status in WAITING]
    still = {(one["kind"], one["column"], one["reason"]) for one in whole.problems}
    answered = joining.answered_kinds(whole.fields, whole.residence)
    return [
        entry
        for entry in waiting
        if entry.kind in answered
        or (corrected and entry.kind in RAISED and (entry.kind, entry.column, entry.reason) not in still)
    ]  # fmt: skip


def _asked(
    person_id: int, questions: list[joining.Question], closed: list[QueueEntry], queue: list[QueueEntry], *, frozen: bool
) -> tuple[object, ...]:
    """What is new to ask: a question is asked once, but two people may be doubted more than once."""
    known = {(entry.kind, entry.column, entry.reason) for entry in queue if entry.kind != QueueKind.MATCH_CONFLICT}
    new = [one for one in questions if (one["kind"], one["column"], one["reason"]) not in known]
    return person_id, json.dumps(new), [entry.pk for entry in closed], frozen
