"""Rows of a later list are added to who is known: what is new is joined in, what is answered is closed, the rest is asked.

Whoever stands on a frozen register keeps the record that was signed: what a later list says otherwise becomes a question, and the
change is made by an amendment or not at all. A row of a reject file that comes back corrected replaces what it corrects.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from typing import Any, NamedTuple

from incidents.audit.log import database_now
from incidents.models import AffectedPerson, ImportBatch, ImportRow, RowOutcome
from incidents.models.people import QueueKind
from incidents.people import joining
from incidents.people.amending import on_standing_register
from incidents.people.by_hand import OTHERWISE, corrected_by_hand, standing
from incidents.people.decisions import ABOUT_REJECTED, FOLLOW, LATER, WAITING, note
from incidents.people.kept import KeptRow, open_row, seal_row
from incidents.people.later import differences, is_grave, with_what_differs
from incidents.people.matching import copy_rows, record_of
from incidents.people.questions import DATA
from incidents.people.reading import plain_columns
from incidents.people.residence import UNKNOWN
from incidents.people.returned import CORRECTION
from incidents.people.staged import STAGED
from incidents.people.staged_rows import STAGED_ROW, OpenedRow, StagedRow, keep_rows, open_rows, pages, rows_of
from incidents.record import PersonFields
from incidents.vault import CannotOpen, Vault

KNOWN = f"""
SELECT s.known_person, {STAGED_ROW} FROM {STAGED} s
WHERE s.known_person IS NOT NULL AND NOT s.rejected ORDER BY 1, (s.merge_tier <> 'correction'), s.number"""  # noqa: S608
ANYBODY = "SELECT EXISTS (SELECT FROM staging WHERE known_person IS NOT NULL)"
ADDED = """
DROP TABLE IF EXISTS pg_temp.added, pg_temp.own, pg_temp.asked;
CREATE TEMP TABLE own (id bigint, sealed bytea) ON COMMIT DROP;
CREATE TEMP TABLE added (
  person bigint, number int, sealed bytea, wrapped_key bytea, key_version int, commitment text, residence text,
  residence_from text, confidence text, possible text[], elements text[], flags text[], language text, has_email boolean,
  has_post boolean, customer_index bytea, email_index bytea, name_index bytea, name_birth_index bytea, address_index bytea,
  others bytea[]
) ON COMMIT DROP;
CREATE TEMP TABLE asked (person bigint, questions jsonb, closed bigint[], frozen boolean) ON COMMIT DROP"""
WRITE = (
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
#: The people of a page, locked in their order: decisions, and erasures above all, go on beside an import.
PEOPLE = """
SELECT id, subject, sealed, wrapped_key, key_version, reference, residence, residence_from, confidence, possible_residences,
  elements, flags, language, has_post
FROM incidents_affectedperson WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE"""
QUEUE = """
SELECT person_id, id, kind, "column", reason, remedy, status, decision_reason FROM incidents_queueentry
WHERE person_id = ANY(%s) ORDER BY id"""
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
#: How those begin that weighing two sources raised: only the queue answers them.
WEIGHED = (*ABOUT_REJECTED, OTHERWISE, joining.TWO_READERS["reason"])


class _Person(NamedTuple):
    """Somebody who is known: the columns that a row can change."""

    pk: int
    subject: str
    sealed: bytes | None
    wrapped_key: bytes | None
    key_version: int
    reference: str
    residence: str
    residence_from: str
    confidence: str
    possible_residences: list[str]
    elements: list[str]
    flags: list[str]
    language: str
    has_post: bool


class _Entry(NamedTuple):
    """What is or was asked of somebody who is known."""

    pk: int
    kind: str
    column: str
    reason: str
    remedy: str
    status: str
    decision_reason: str

    def question(self) -> joining.Question:
        """The entry as the question that a row raised."""
        return {"kind": self.kind, "column": self.column, "reason": self.reason, "remedy": self.remedy}


@dataclass
class _Known:
    """One of a page: locked, their record opened, with what is asked of them and the rows that are theirs."""

    person: _Person
    record: bytes | CannotOpen
    queue: list[_Entry]
    rows: list[OpenedRow]

    @property
    def decided(self) -> bool:
        """Whether somebody has set the residence."""
        return self.person.residence_from == DECISION

    def read(self) -> KeptRow:
        """The person as they stand, in clear, with the questions that wait. Raises CannotOpen."""
        if isinstance(self.record, CannotOpen):
            raise self.record
        waiting = [entry.question() for entry in self.queue if entry.status in WAITING]
        return replace(_row_of(self.person, PersonFields.decode(self.record)), problems=waiting)

    def of_this_list(self, questions: list[joining.Question]) -> list[joining.Question]:
        """Without doubts about two people that wait from before: asked again, they would not even say who the other one is."""
        raised = [problem for row in self.rows for problem in row.words["problems"]]
        return [one for one in questions if one["kind"] != QueueKind.MATCH_CONFLICT or one in raised]


@dataclass
class _Work:
    """What every step needs."""

    cursor: Any
    vault: Vault
    batch: ImportBatch
    #: Whether any register of the incident is frozen; none is while a list is settled.
    signed: bool


@dataclass
class _Written:
    """What a page writes, in the rows of the temporary tables; and whoever changes, as they were."""

    frozen: set[int]
    #: What somebody corrected, by name.
    by_hand: dict[int, frozenset[str]]
    #: Whose record the earlier version of this very list made.
    of_source: set[int]
    changed: dict[int, KeptRow] = field(default_factory=dict)
    own: list[tuple[object, ...]] = field(default_factory=list)
    added: list[tuple[object, ...]] = field(default_factory=list)
    asked: list[tuple[object, ...]] = field(default_factory=list)


def add_to_known(cursor: Any, vault: Vault, *, batch: ImportBatch) -> None:
    """Give people imported before what this list adds to them."""
    cursor.execute(ADDED)
    cursor.execute(ANYBODY)
    if not cursor.fetchone()[0]:
        return
    work = _Work(cursor, vault, batch, signed=batch.incident.campaigns.exists())
    for page in pages(_groups(batch)):
        _add_page(work, page)
    ids: dict[str, object] = {"batch": batch.pk, "incident": batch.incident_id, "author": batch.author_id}
    ids |= {"now": database_now(), "answered": ANSWERED}
    for statement in WRITE:
        cursor.execute(statement, ids)
    cursor.execute(FOLLOW.replace("= ANY(%s)", f"IN ({FOLLOWED})"))


def _groups(batch: ImportBatch) -> Iterator[tuple[int, list[StagedRow]]]:
    for person, group in groupby(rows_of(KNOWN, batch), key=lambda row: row[0]):
        yield int(person), [StagedRow(*row[1:]) for row in group]


def _add_page(work: _Work, page: list[tuple[int, list[StagedRow]]]) -> None:
    """Some hundred people. Every row is kept for the undo; whoever it says nothing new of is left as they are."""
    incident = work.batch.incident.reference
    opened = open_rows([row for _, staged in page for row in staged], vault=work.vault, incident=incident)
    keep_rows(work.cursor, opened, vault=work.vault, incident=incident)
    rows = iter(opened)
    known = _look_up(work, [(person, list(islice(rows, len(staged)))) for person, staged in page])
    told = [(one, _says_the_same(one)) for one in known]
    some = [(one, same) for one, same in told if one.queue or not same or any(row.words["problems"] for row in one.rows)]
    ids = [one.person.pk for one, _ in some]
    frozen = on_standing_register(ids) if work.signed and some else set()
    written = _Written(frozen, corrected_by_hand(ids) if some else {}, _of_source(ids, work.batch))
    for one, same in some:
        (_ask if same else _add)(one, written, work)
    _keep_own_rows(written, work)
    for table in ("own", "added", "asked"):
        copy_rows(work.cursor, table, getattr(written, table))


def _look_up(work: _Work, page: list[tuple[int, list[OpenedRow]]]) -> list[_Known]:
    """The people of a page with what is asked of them: both are read once for all of them, and only what is needed."""
    ids = [person for person, _ in page]
    work.cursor.execute(PEOPLE, [ids])
    people = {row[0]: _Person(*row) for row in work.cursor.fetchall()}
    queue: dict[int, list[_Entry]] = {}
    work.cursor.execute(QUEUE, [ids])
    for person, *entry in work.cursor.fetchall():
        queue.setdefault(person, []).append(_Entry(*entry))
    found = [people[pk] for pk in ids]
    records = work.vault.open_encoded([(one.subject, one.sealed, one.wrapped_key, one.key_version) for one in found])
    return [_Known(one, record, queue.get(one.pk, []), rows) for one, record, (_, rows) in zip(found, records, page, strict=True)]


def _says_the_same(one: _Known) -> bool:
    """Whether joining the rows would leave the person as they are, told without reading any: so it is with nearly everybody."""
    return all(row.record == one.record and row.row.merge_tier != CORRECTION and _is_seen(one, row.row) for row in one.rows)


def _is_seen(one: _Known, row: StagedRow) -> bool:
    """Whether what the law sees stays as it is beside this row; see `joining.join`."""
    person = one.person
    return (
        (one.decided or row.residence in {person.residence, UNKNOWN})
        and sorted({*person.elements, *row.elements}) == person.elements
        and sorted({*person.flags, *row.flags}) == person.flags
        and bool(person.language or not row.language)
        and (person.has_post or not row.has_post)
    )


def _ask(one: _Known, written: _Written, work: _Work) -> None:
    """Somebody whom the rows do not change: only what is asked of them, or was asked before, is looked at."""
    before, pk = one.read(), one.person.pk
    problems = [*before.problems, *(problem for row in one.rows for problem in row.words["problems"])]
    whole = joining.join([replace(before, problems=problems)], decided=one.decided)
    if pk not in written.frozen:
        closed = _answered(one.queue, whole, corrected=False)
        written.asked.append(_asked(pk, one.of_this_list(whole.problems), closed, one.queue, frozen=False))


def _add(one: _Known, written: _Written, work: _Work) -> None:
    """What one person's rows change is written down."""
    pk, queue, batch = one.person.pk, one.queue, work.batch
    try:
        before = one.read()
    except CannotOpen:
        written.asked.append(_asked(pk, [UNREADABLE], [], queue, frozen=True))
        return
    rows = [row.read() for row in one.rows]
    base, others = _corrected(before, one, rows, batch)
    whole = joining.join([base, *others], decided=one.decided)
    if batch.replaces_id is not None:
        whole = joining.newest_first(whole, rows, moves=pk in written.of_source)
    if pk in written.frozen:
        written.asked.append(_asked(pk, _of_signed(before, whole, rows, decided=one.decided), [], queue, frozen=True))
        return
    whole = standing(before=base, whole=whole, corrected=written.by_hand.get(pk, frozenset()))
    if _differs(before, whole):
        record = record_of(whole, one.person.subject, work.vault)
        written.added.append((pk, one.rows[-1].row.number, *record[:PROBLEMS], *record[PROBLEMS + 1 :]))
        written.changed[pk] = before
    corrected = base is not before
    closed = _answered(queue, whole, corrected=corrected)
    # What only a row had answered, no person, a corrected row can ask again: nobody gets clear without a place.
    known = [entry for entry in queue if not corrected or entry.decision_reason != ANSWERED]
    written.asked.append(_asked(pk, one.of_this_list(whole.problems), closed, known, frozen=False))


def _of_signed(before: KeptRow, whole: joining.Whole, rows: list[KeptRow], *, decided: bool) -> list[joining.Question]:
    """The note about somebody whose record was signed: also where, of two answers, joining keeps the first."""
    said = differences(before=before, whole=whole, rows=rows, decided=decided)
    differs = _differs(before, whole) or joining.TWO_READERS in whole.problems or any(map(is_grave, said))
    return [note(with_what_differs(LATER, said))] if differs else []


def _keep_own_rows(written: _Written, work: _Work) -> None:
    """Before the first row that changes somebody, the row that was theirs first is kept as they were."""
    if not written.changed:
        return
    incident = work.batch.incident.reference
    rows = ImportRow.objects.filter(person__in=[*written.changed], outcome=RowOutcome.PERSON).order_by("-pk")
    first = {person: (pk, sealed) for person, pk, sealed in rows.values_list("person", "pk", "sealed")}
    for person, before in written.changed.items():
        pk, sealed = first.get(person, (0, None))
        kept = open_row(sealed=sealed, vault=work.vault, incident=incident) if pk else KeptRow()
        if pk and not kept.fields:
            row = replace(before, cells=kept.cells)
            written.own.append((pk, seal_row(row=row, vault=work.vault, incident=incident)))


def _of_source(ids: list[int], batch: ImportBatch) -> set[int]:
    """Who of these came with an earlier version of the list."""
    if batch.replaces_id is None or not ids:
        return set()
    rows = ImportRow.objects.filter(person__in=ids, outcome=RowOutcome.PERSON, batch__source=batch.source_id)
    return {person for person in rows.values_list("person_id", flat=True) if person}


def as_row(*, person: AffectedPerson, vault: Vault) -> KeptRow:
    """A person as they stand, in the shape of a row. Raises CannotOpen."""
    return _row_of(person, vault.open(person=person))


def _row_of(person: AffectedPerson | _Person, fields: PersonFields) -> KeptRow:
    return KeptRow(
        fields=fields, reference=person.reference, residence=person.residence,
        residence_from=person.residence_from, confidence=person.confidence, possible=person.possible_residences,
        elements=person.elements, flags=person.flags, language=person.language, has_post=person.has_post,
    )  # fmt: skip


def _corrected(before: KeptRow, one: _Known, rows: list[KeptRow], batch: ImportBatch) -> tuple[KeptRow, list[KeptRow]]:
    """The person with the corrected row in place of what it corrects, and the rows that are merely added."""
    base, others = before, []
    for opened, row in zip(one.rows, rows, strict=True):
        if opened.row.merge_tier == CORRECTION:
            base = joining.replaced(base, row, columns=plain_columns(batch.columns), decided=one.decided)
        else:
            others.append(row)
    return base, others


def _differs(before: KeptRow, whole: joining.Whole) -> bool:
    names = ("fields", "residence", "possible", "elements", "flags", "language", "has_post")
    return any(getattr(before, name) != getattr(whole, name) for name in names)


def _answered(queue: list[_Entry], whole: joining.Whole, *, corrected: bool) -> list[_Entry]:
    """The waiting questions that the rows answer: by what they bring, or by being the corrected row itself."""
    waiting = [entry for entry in queue if entry.status in WAITING]
    raised = RAISED if corrected else frozenset()
    still = {(one["kind"], one["column"], one["reason"]) for one in whole.problems}
    answered = joining.answered_kinds(whole.fields, whole.residence)
    return [
        entry
        for entry in waiting
        if entry.kind in answered
        or joining.replaced_question(reason=entry.reason, has_post=whole.has_post)
        or (
            entry.kind in raised
            and not entry.reason.startswith(WEIGHED)
            and (entry.kind, entry.column, entry.reason) not in still
        )
    ]


def _asked(
    person_id: int, questions: list[joining.Question], closed: list[_Entry], queue: list[_Entry], *, frozen: bool
) -> tuple[object, ...]:
    """What is new to ask: a question is asked once, but two people may be doubted more than once."""
    known = {(entry.kind, entry.column, entry.reason) for entry in queue if entry.kind != QueueKind.MATCH_CONFLICT}
    new = [one for one in questions if (one["kind"], one["column"], one["reason"]) not in known]
    return person_id, json.dumps(new), [entry.pk for entry in closed], frozen
