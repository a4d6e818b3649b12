"""Rows that are one person become one person: marked in `staging`, joined, added to who is known, each merge with its reason.

Works inside the transaction that settles a list, set by set; what is sealed is opened a page at a time, and only of rows that
are merged. `likeness` and `knowing` decide who is who, `joining` what their rows say together; `merging` undoes it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby, islice
from typing import Any

from incidents.models import ImportBatch
from incidents.people import joining
from incidents.people.compared import match_addresses, match_values
from incidents.people.decisions import AGAIN
from incidents.people.knowing import tie_to_people
from incidents.people.likeness import TIERS, link_rows
from incidents.people.reading.names import NAMES
from incidents.people.returned import replace_corrected, take_corrections
from incidents.people.staged import MINOR, OF_KIND, STAGED
from incidents.people.staged_rows import STAGED_ROW, StagedRow, keep_rows, open_rows, pages, rows_of
from incidents.record import PersonFields
from incidents.vault import Vault

INDEXES = ("customer", "email", "name", "name_birth", "address")
#: What the tiers say, for people: 'reason' in the rows and the log.
REASONS = f"""
UPDATE staging s SET merge_reason = CASE s.merge_tier {" ".join(f"WHEN '{tier.name}' THEN '{tier.reason}'" for tier in TIERS)}
  ELSE s.merge_reason END WHERE s.merge_tier IS NOT NULL"""  # noqa: S608
#: Of a list on which nobody has a name.
NAMELESS = """
UPDATE staging SET merge_reason = replace(merge_reason, ' and name', '; the list has no names')
WHERE merge_tier IS NOT NULL AND merge_tier <> 'correction'"""
GROUPS = f"""
SELECT g.root, {STAGED_ROW} FROM (
  SELECT number, keeper AS root FROM staging WHERE keeper IS NOT NULL
  UNION SELECT keeper, keeper FROM staging WHERE keeper IS NOT NULL) g
JOIN {STAGED} s USING (number) WHERE s.known_person IS NULL AND NOT s.rejected ORDER BY 1, s.number"""  # noqa: S608
JOINED = """
DROP TABLE IF EXISTS pg_temp.joined, pg_temp.keep;
CREATE TEMP TABLE joined (
  number int, sealed bytea, wrapped_key bytea, key_version int, commitment text, residence text, residence_from text,
  confidence text, possible text[], elements text[], flags text[], language text, has_email boolean, has_post boolean,
  problems jsonb, customer_index bytea, email_index bytea, name_index bytea, name_birth_index bytea, address_index bytea,
  others bytea[]
) ON COMMIT DROP;
CREATE TEMP TABLE keep (number int, raw_sealed bytea) ON COMMIT DROP"""
#: Whoever is joined is a kind of their own.
WRITE_JOINED = (
    "DELETE FROM kind WHERE kind IN (SELECT -number FROM joined)",
    f"""
INSERT INTO kind (kind, minors, {", ".join(OF_KIND)}) SELECT -number, {MINOR}, {", ".join(OF_KIND)} FROM joined""",  # noqa: S608
    "UPDATE staging s SET kind = -s.number FROM joined j WHERE s.number = j.number",
    """
UPDATE incidents_stagedrow r SET sealed = j.sealed, wrapped_key = j.wrapped_key, key_version = j.key_version,
  commitment = j.commitment, customer_index = j.customer_index, email_index = j.email_index, name_index = j.name_index,
  name_birth_index = j.name_birth_index, address_index = j.address_index
FROM joined j WHERE r.batch_id = %(batch)s AND r.number = j.number""",
)
#: Few rows, whose people and rows are looked up by their key: what was written a moment ago has no statistics to say so.
BY_KEY = "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off"
ANY_WAY = "SET LOCAL enable_hashjoin TO DEFAULT; SET LOCAL enable_mergejoin TO DEFAULT"
#: After people and rows are written: each merge with its evidence, and further addresses; each where there is any.
RECORD = (
    ("staging WHERE merge_tier IS NOT NULL", """
INSERT INTO incidents_merge (incident_id, person_id, row_id, tier, reason, merged_at, undo_reason)
SELECT %(incident)s, r.person_id, r.id, s.merge_tier, s.merge_reason, clock_timestamp(), ''
FROM staging s CROSS JOIN LATERAL (
  SELECT r.id, r.person_id FROM incidents_importrow r WHERE r.batch_id = %(batch)s AND r.number = s.number OFFSET 0) r
WHERE s.merge_tier IS NOT NULL AND s.merge_tier <> 'correction' AND NOT s.rejected ORDER BY s.number"""),
    ("joined WHERE others <> '{}'", """
UPDATE incidents_affectedperson p SET other_email_indexes = j.others FROM joined j JOIN staging s USING (number)
WHERE p.id = s.person_id AND j.others <> '{}'"""),
)  # fmt: skip
#: The other side of each question. Questions may be many: no nested loop may hold each against every entry of the queue.
BY_HASH, BY_ANY = "SET LOCAL enable_nestloop = off", "SET LOCAL enable_nestloop TO DEFAULT"
OTHER_SIDE = f"""
UPDATE incidents_queueentry q SET other_id = coalesce(d.person, o.known_person, o.person_id)
FROM question d JOIN staging s ON s.number = d.number LEFT JOIN staging o ON o.number = d.other
WHERE q.person_id = coalesce(s.known_person, s.person_id) AND (q.kind = 'match_conflict' OR q.reason = '{AGAIN}')
  AND q.reason = d.reason AND q.status = 'open' AND q.other_id IS NULL"""  # noqa: S608


def mark_merges(cursor: Any, *, batch: ImportBatch) -> None:
    """Set `keeper` (a row) or `known_person` (imported before) on every row that is somebody's second row; ask where unsure."""
    ids = {"incident": batch.incident_id, "batch": batch.pk}
    take_corrections(cursor, batch=batch)
    link_rows(cursor, ids)
    tie_to_people(cursor, ids)
    cursor.execute(REASONS)
    if set(NAMES).isdisjoint(batch.columns):
        cursor.execute(NAMELESS)


def join_details(cursor: Any, vault: Vault, *, batch: ImportBatch) -> None:
    """Give each keeper what its merged rows add, and keep the rows for the undo."""
    cursor.execute(JOINED)
    incident = batch.incident.reference
    groups = ([StagedRow(*row[1:]) for row in group] for _, group in groupby(rows_of(GROUPS, batch), key=lambda row: row[0]))
    for page in pages(groups):
        opened = open_rows([row for staged in page for row in staged], vault=vault, incident=incident)
        rows, joined = iter(opened), []
        for staged in page:
            whole = joining.join([one.read() for one in islice(rows, len(staged))])
            joined.append((staged[0].number, *record_of(whole, staged[0].subject, vault)))
        copy_rows(cursor, "joined", joined)
        keep_rows(cursor, opened, vault=vault, incident=incident)
    cursor.execute("ANALYZE joined")
    for statement in WRITE_JOINED:
        cursor.execute(statement, {"batch": batch.pk})


def record_merges(cursor: Any, *, batch: ImportBatch) -> None:
    """Write what was merged and why, once people and rows are there; the queue learns who the other person is."""
    ids = {"incident": batch.incident_id, "batch": batch.pk}
    cursor.execute(BY_KEY)
    for wanted, statement in RECORD:
        if _any(cursor, wanted):
            cursor.execute(statement, ids)
    cursor.execute(ANY_WAY)
    if _any(cursor, "question"):
        for statement in (BY_HASH, OTHER_SIDE, BY_ANY):
            cursor.execute(statement)
    if _any(cursor, "correction"):
        replace_corrected(cursor, batch=batch)


def _any(cursor: Any, rows: str) -> bool:
    """Whether there is anything to do: most lists correct nobody, and a million rows are long to look through for nothing."""
    cursor.execute(f"SELECT EXISTS (SELECT FROM {rows})")  # noqa: S608
    return bool(cursor.fetchone()[0])


def copy_rows(cursor: Any, table: str, rows: Sequence[Sequence[object]]) -> None:
    """Rows into a temporary table."""
    with cursor.copy(f"COPY {table} FROM STDIN") as out:
        for row in rows:
            out.write_row(row)


def record_of(whole: joining.Whole, subject: str, vault: Vault) -> tuple[object, ...]:
    """A joined person in the order of the table `joined`, sealed anew."""
    sealed = vault.seal(fields=whole.fields, subject=subject)
    return (
        sealed.sealed, sealed.wrapped_key, sealed.key_version, sealed.commitment, whole.residence, whole.residence_from,
        whole.confidence, whole.possible, whole.elements, whole.flags, whole.language, bool(whole.fields.emails), whole.has_post,
        json.dumps(whole.problems), *blind_indexes(whole.fields, vault),
    )  # fmt: skip


def blind_indexes(fields: PersonFields, vault: Vault) -> tuple[bytes | list[bytes] | None, ...]:
    """Customer, e-mail, name, name and birth date, address; and a list of the further e-mail addresses."""
    match = match_values(fields)
    found = tuple(vault.blind(kind=kind, value=match[kind]) if match[kind] else None for kind in INDEXES)
    return (*found, [vault.blind(kind="email", value=address) for address in match_addresses(fields)[1:]])
