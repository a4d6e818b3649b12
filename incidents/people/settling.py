"""Staged rows -> people, merges, queue and log entries, in one transaction and set by set; or nothing at all.

The temporary table `staging` holds the small columns of one list; what is sealed stays in `incidents_stagedrow`, joined by batch
and number. At the end the batch is done, and its parts and staged rows are gone.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import Hole, database_now, record, record_set
from incidents.models import BatchState, ImportBatch
from incidents.people import matching
from incidents.people.accounting import Accounting, account
from incidents.people.adding import add_to_known
from incidents.people.cohorts import MINOR, SAME, create_cohorts, refresh_cohorts
from incidents.people.returned import REASON as CORRECTED
from incidents.people.staging import forget_staged
from incidents.people.uploads import author_of
from incidents.vault import Vault

#: `person_id` is the number that the row's person will have if it becomes one: no need to look people up afterwards.
STAGING = """
CREATE TEMP TABLE staging ON COMMIT DROP AS
SELECT s.batch_id, s.number, s.subject, s.reference, s.customer_index, s.email_index, s.name_index, s.name_birth_index,
  s.address_index, f.residence, f.residence_from, f.confidence, f.possible, f.elements, f.flags, f.language, f.has_email,
  f.has_post, f.problems, s.rejected, s.commitment, s.correction_of, NULL::int AS keeper, NULL::bigint AS known_person,
  NULL::text AS merge_reason, NULL::text AS merge_tier, nextval('incidents_affectedperson_id_seq') AS person_id
FROM (SELECT * FROM incidents_stagedrow WHERE batch_id = %(batch)s ORDER BY number) s
JOIN incidents_stagedrow f ON f.batch_id = %(batch)s AND f.like_row IS NULL AND f.number = coalesce(s.like_row, s.number)"""
INDEXES = "ALTER TABLE staging ADD PRIMARY KEY (number); SET LOCAL default_statistics_target = 20; ANALYZE staging"
#: For sorting and hashing a million rows; of this transaction only.
ROOM = "SET LOCAL work_mem = '64MB'; SET LOCAL maintenance_work_mem = '128MB'; SELECT count_staged_rows()"
#: Cohorts that were made a moment ago are no statistics yet: a nested loop would hold each person against every cohort.
NO_LOOPS, LOOPS = "SET LOCAL enable_nestloop = off", "SET LOCAL enable_nestloop TO DEFAULT"
NEW = "s.keeper IS NULL AND s.known_person IS NULL AND s.rejected IS NULL"
#: People, rows and entries are written some thousand at a time: what the triggers are handed then fits into memory.
CHUNK = 20_000
CHUNKS = """
SELECT number FROM (SELECT number, row_number() OVER (ORDER BY number) AS place FROM staging) s WHERE place %% %(chunk)s = 0
ORDER BY 1"""
LAST = 2**31 - 1
PART = "s.number > %(after)s AND s.number <= %(upto)s"
#: Somebody else has the reference already, in this list or in an earlier one.
TWINS = f"""
UPDATE staging s SET reference = s.reference || '-' || right(s.subject, 8)
WHERE {NEW} AND (EXISTS (SELECT 1 FROM incidents_affectedperson p WHERE p.incident_id = %(incident)s
    AND p.reference = s.reference)
  OR s.number IN (SELECT number FROM (SELECT s.number, row_number() OVER (PARTITION BY reference ORDER BY s.number) AS twin
    FROM staging s JOIN (SELECT reference FROM staging s WHERE {NEW} GROUP BY 1 HAVING count(*) > 1) g USING (reference)
    WHERE {NEW}) t WHERE twin > 1))"""  # noqa: S608
#: People come with their cohort: writing a million of them a second time would cost as much as writing them.
INSERT_COHORTS = create_cohorts(rows=f"(SELECT residence, elements, {MINOR} AS minors FROM staging s WHERE {NEW})")  # noqa: S608
INSERT_PEOPLE = f"""
INSERT INTO incidents_affectedperson (id, incident_id, reference, subject, sealed, wrapped_key, key_version, customer_index,
  email_index, name_index, name_birth_index, address_index, residence, residence_from, confidence, possible_residences, elements,
  flags, language, has_email, has_post, status, cohort_id, amendment_id, version)
SELECT s.person_id, %(incident)s, s.reference, s.subject, r.sealed, r.wrapped_key, r.key_version, s.customer_index, s.email_index,
  s.name_index, s.name_birth_index, s.address_index, s.residence, s.residence_from, s.confidence, s.possible, s.elements, s.flags,
  s.language, s.has_email, s.has_post, CASE WHEN s.problems = '[]'::jsonb THEN 'clear' ELSE 'attention' END,
  c.id, %(amendment)s, 1
FROM (SELECT s.*, {MINOR} AS minors FROM staging s WHERE {NEW} AND {PART}) s
JOIN incidents_stagedrow r ON r.batch_id = %(batch)s AND r.number = s.number AND {PART.replace("s.", "r.")}
LEFT JOIN incidents_cohort c ON {SAME.replace("f.", "s.")} ORDER BY s.number"""  # noqa: S608
INSERT_ROWS = f"""
INSERT INTO incidents_importrow (batch_id, number, outcome, person_id, "column", reason, remedy, sealed)
SELECT %(batch)s, s.number,
  CASE WHEN s.rejected IS NOT NULL THEN 'rejection_pending' WHEN s.merge_reason IS NOT NULL THEN 'merged' ELSE 'person' END,
  CASE WHEN s.rejected IS NULL THEN coalesce(s.known_person, k.person_id, s.person_id) END,
  coalesce(s.rejected ->> 'column', ''), coalesce(s.rejected ->> 'reason', s.merge_reason, ''),
  coalesce(s.rejected ->> 'remedy', ''), r.raw_sealed
FROM staging s
LEFT JOIN LATERAL (SELECT k.person_id FROM staging k WHERE k.number = s.keeper OFFSET 0) k ON s.keeper IS NOT NULL
LEFT JOIN incidents_stagedrow r ON r.batch_id = %(batch)s AND r.number = s.number AND r.raw_sealed IS NOT NULL
  AND {PART.replace("s.", "r.")}
WHERE {PART} ORDER BY s.number"""  # noqa: S608
INSERT_QUEUE = """
INSERT INTO incidents_queueentry (incident_id, person_id, row_id, kind, "column", reason, remedy, status, decision_reason)
SELECT %(incident)s, s.person_id, NULL, q ->> 'kind', q ->> 'column', q ->> 'reason', q ->> 'remedy', 'open', ''
FROM staging s, jsonb_array_elements(s.problems) q
WHERE s.keeper IS NULL AND s.known_person IS NULL AND s.rejected IS NULL AND s.problems <> '[]'::jsonb
UNION ALL
SELECT %(incident)s, NULL, r.id, 'row', r."column", r.reason, r.remedy, 'open', ''
FROM incidents_importrow r WHERE r.batch_id = %(batch)s AND r.outcome = 'rejection_pending'"""

ADDED = f"SELECT s.subject, s.commitment FROM staging s WHERE {NEW} AND {PART} ORDER BY s.number"  # noqa: S608
#: Rows that joined somebody, by the reason; those that changed a person known before tell the new commitment as well.
MERGED = """
SELECT coalesce(p.subject, k.subject) AS subject, s.commitment FROM staging s LEFT JOIN staging k ON k.number = s.keeper
LEFT JOIN incidents_affectedperson p ON p.id = s.known_person
WHERE s.rejected IS NULL AND s.merge_reason = %(reason)s
  AND (s.known_person IS NOT NULL AND coalesce(s.commitment, '') <> '') = %(changed)s ORDER BY s.number"""


def settle(*, batch: ImportBatch) -> Accounting:
    """Make people of the batch's staged rows; returns where all rows stand. The caller holds incident and transaction."""
    incident = batch.incident
    ids = {"incident": incident.pk, "batch": batch.pk, "amendment": batch.amendment_id}
    with transaction.atomic(), connection.cursor() as cursor:
        match(cursor, batch)
        for statement in (TWINS, INSERT_COHORTS, NO_LOOPS):
            cursor.execute(statement, ids)
        parts = _parts(cursor)
        for statement in (INSERT_PEOPLE, INSERT_ROWS):
            for part in parts:
                cursor.execute(statement, {**ids, **part})
        for statement in (LOOPS, INSERT_QUEUE):
            cursor.execute(statement, ids)
        matching.record_merges(cursor, batch=batch)
        refresh_cohorts(incident=incident)
        counted = _tell(cursor, batch, parts)
        cursor.execute("DROP TABLE staging")
    forget_staged(batch=batch)
    batch.parts.all().delete()
    batch.state, batch.finished_at = BatchState.DONE, database_now()
    batch.save(update_fields=["state", "finished_at", "rows"])
    return counted


def match(cursor: Any, batch: ImportBatch, *, marks_only: bool = False) -> None:
    """Make the table `staging` and mark who is whose second row; then, unless only that is wanted, put them together."""
    cursor.execute("DROP TABLE IF EXISTS pg_temp.staging")
    cursor.execute(ROOM)
    cursor.execute(STAGING, {"batch": batch.pk})
    cursor.execute(INDEXES)
    matching.mark_merges(cursor, batch=batch)
    if not marks_only:
        vault = Vault(incident=batch.incident)
        matching.join_details(cursor, vault, batch=batch)
        add_to_known(cursor, vault, batch=batch)


def _parts(cursor: Any) -> list[dict[str, int]]:
    """The numbers after which and up to which each part of the list goes."""
    cursor.execute(CHUNKS, {"chunk": CHUNK})
    ends = [number for (number,) in cursor.fetchall()]
    return [{"after": after, "upto": upto} for after, upto in zip([0, *ends], [*ends, LAST], strict=True)]


def _tell(cursor: Any, batch: ImportBatch, parts: list[dict[str, int]]) -> Accounting:
    """The entries of the log: one of the list, one of each row that became or joined somebody. Returns what was counted."""
    incident, author, counted = batch.incident, author_of(batch=batch), account(incident=batch.incident)
    data = {"file_sha256": batch.sha256, "rows": batch.rows, "list_after": asdict(counted)}
    record(incident=incident, action=Action.SOURCE_IMPORTED, actor=author, data=data)
    for part in parts:
        record_set(
            incident=incident, action=Action.PERSON_ADDED, actor=author, data={"commitment": Hole("commitment")}, query=ADDED,
            parameters=part,
        )  # fmt: skip
    cursor.execute("SELECT DISTINCT merge_reason FROM staging WHERE merge_reason IS NOT NULL AND rejected IS NULL ORDER BY 1")
    for (reason,) in cursor.fetchall():
        joined = Action.PERSON_CORRECTED if reason == CORRECTED else Action.PERSON_MERGED
        for data, changed in (({"reason": reason}, False), ({"reason": reason, "commitment": Hole("commitment")}, True)):
            record_set(
                incident=incident, action=joined, actor=author, data=data, query=MERGED,
                parameters={"reason": reason, "changed": changed},
            )  # fmt: skip
    return counted
