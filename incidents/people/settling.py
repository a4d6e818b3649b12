"""Staged rows -> people, merges, queue and log entries, in one transaction and set by set; or nothing at all.

The temporary tables of `staged` say what becomes of each row; what is sealed stays in `incidents_stagedrow`, joined by batch and
number. At the end the batch is done, and its parts and staged rows are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any

from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import Hole, database_now, record, record_set
from incidents.models import BatchState, ImportBatch
from incidents.people import matching
from incidents.people.accounting import Accounting, account, living_by
from incidents.people.adding import add_to_known
from incidents.people.cohorts import SAME, create_cohorts, refresh_cohorts
from incidents.people.doubted import say_what_differs
from incidents.people.likeness import PLACE
from incidents.people.milestones import Milestones
from incidents.people.reading import dates_of
from incidents.people.returned import REASON as CORRECTED
from incidents.people.staged import NEW, lay_out
from incidents.people.staging import forget_staged
from incidents.people.uploads import author_of, name_of
from incidents.vault import Vault

#: While people and their entries are written: whole pages are read and hashed, no row is looked up by itself. What was made a
#: moment ago has no statistics that would say so.
SWITCHES = ("enable_nestloop", "enable_indexscan", "enable_mergejoin")
BY_PAGES, ANY_WAY = ("; ".join(f"SET LOCAL {name} {to}" for name in SWITCHES) for to in ("= off", "TO DEFAULT"))
#: People, rows and entries are written some thousand at a time: what the triggers are handed then fits into memory.
CHUNK = 20_000
PART = "s.number > %(after)s AND s.number <= %(upto)s"
STORED = f"""incidents_stagedrow r JOIN staging s ON s.number = r.number AND {PART}
  AND r.batch_id = %(batch)s AND {PART.replace("s.", "r.")}"""
#: Somebody else has the reference already, in this list or in an earlier one.
TWINS = f"""
UPDATE incidents_stagedrow r SET reference = r.reference || '-' || right(r.subject, 8) FROM (
  SELECT number FROM (SELECT s.number, row_number() OVER (PARTITION BY r.reference ORDER BY s.number) AS twin
    FROM shared g JOIN staging s ON s.reference_key = g.key
    JOIN incidents_stagedrow r ON r.batch_id = %(batch)s AND r.number = s.number
    WHERE g.tier = {PLACE["reference"]} AND {NEW}) t WHERE twin > 1
  UNION SELECT s.number FROM staging s JOIN incidents_stagedrow r ON r.batch_id = %(batch)s AND r.number = s.number
    WHERE {NEW} AND (SELECT EXISTS (SELECT FROM incidents_affectedperson WHERE incident_id = %(incident)s))
      AND EXISTS (SELECT FROM incidents_affectedperson p
        WHERE p.incident_id = %(incident)s AND p.reference = r.reference OFFSET 0)) t
WHERE r.batch_id = %(batch)s AND r.number = t.number"""  # noqa: S608
#: People come with their cohort: writing a million of them a second time would cost as much as writing them.
INSERT_COHORTS = create_cohorts(rows=f"(SELECT k.* FROM kind k WHERE kind IN (SELECT s.kind FROM staging s WHERE {NEW}))")  # noqa: S608
COHORTS = f"UPDATE kind k SET cohort_id = c.id FROM incidents_cohort c WHERE {SAME.replace('f.', 'k.')}"  # noqa: S608
COUNT_NEW = f"""
UPDATE incidents_cohort c SET count = c.count + n.people FROM (
  SELECT k.cohort_id, count(*) AS people FROM staging s JOIN kind k USING (kind) WHERE {NEW} GROUP BY 1) n
WHERE c.id = n.cohort_id"""  # noqa: S608
INSERT_PEOPLE = f"""
INSERT INTO incidents_affectedperson (id, incident_id, reference, subject, sealed, wrapped_key, key_version, customer_index,
  email_index, name_index, name_birth_index, address_index, residence, residence_from, confidence, possible_residences, elements,
  flags, language, has_email, has_post, status, cohort_id, amendment_id, version)
SELECT s.person_id, %(incident)s, r.reference, r.subject, r.sealed, r.wrapped_key, r.key_version, r.customer_index, r.email_index,
  r.name_index, r.name_birth_index, r.address_index, k.residence, k.residence_from, k.confidence, k.possible, k.elements, k.flags,
  k.language, k.has_email, k.has_post, CASE WHEN k.problems = '[]'::jsonb THEN 'clear' ELSE 'attention' END,
  k.cohort_id, %(amendment)s, 1
FROM {STORED} JOIN kind k ON k.kind = s.kind WHERE {NEW}"""  # noqa: S608
#: What is kept of rows that were merged is looked up by their number, and of few others what they were as they came.
KEPT = "ALTER TABLE keep ADD PRIMARY KEY (number)"
INSERT_ROWS = f"""
INSERT INTO incidents_importrow (batch_id, number, outcome, person_id, "column", reason, remedy, sealed)
SELECT %(batch)s, s.number,
  CASE WHEN s.rejected THEN 'rejection_pending' WHEN s.merge_reason IS NOT NULL THEN 'merged' ELSE 'person' END,
  CASE WHEN s.rejected THEN NULL WHEN s.keeper IS NOT NULL THEN (SELECT k.person_id FROM staging k WHERE k.number = s.keeper)
    ELSE coalesce(s.known_person, s.person_id) END,
  coalesce(s.refused ->> 'column', ''), coalesce(s.refused ->> 'reason', s.merge_reason, ''),
  coalesce(s.refused ->> 'remedy', ''),
  coalesce((SELECT k.raw_sealed FROM keep k WHERE k.number = s.number), CASE WHEN s.kept THEN (
    SELECT r.raw_sealed FROM incidents_stagedrow r WHERE r.batch_id = %(batch)s AND r.number = s.number) END)
FROM (SELECT s.*, CASE WHEN s.rejected THEN (
    SELECT r.rejected FROM incidents_stagedrow r WHERE r.batch_id = %(batch)s AND r.number = s.number) END AS refused
  FROM staging s WHERE {PART}) s"""  # noqa: S608
INSERT_QUEUE = f"""
INSERT INTO incidents_queueentry (incident_id, person_id, row_id, kind, "column", reason, remedy, status, decision_reason)
SELECT %(incident)s, s.person_id, NULL, q ->> 'kind', q ->> 'column', q ->> 'reason', q ->> 'remedy', 'open', ''
FROM (SELECT k.kind, q.value AS q FROM kind k, jsonb_array_elements(k.problems) q WHERE k.problems <> '[]'::jsonb) k
JOIN staging s USING (kind) WHERE {NEW}
UNION ALL
SELECT %(incident)s, NULL, r.id, 'row', r."column", r.reason, r.remedy, 'open', ''
FROM incidents_importrow r WHERE r.batch_id = %(batch)s AND r.outcome = 'rejection_pending'"""  # noqa: S608

ADDED = f"SELECT r.subject, r.commitment FROM {STORED} WHERE {NEW}"  # noqa: S608
#: Rows that joined somebody, by the reason; those that changed a person known before tell the new commitment as well.
MERGED = """
SELECT coalesce(p.subject, k.subject) AS subject, s.commitment FROM staging s
LEFT JOIN incidents_stagedrow k ON k.batch_id = %(batch)s AND k.number = s.keeper
LEFT JOIN incidents_affectedperson p ON p.id = s.known_person
WHERE NOT s.rejected AND s.merge_reason = %(reason)s
  AND (s.known_person IS NOT NULL AND coalesce(s.commitment, '') <> '') = %(changed)s ORDER BY s.number"""


def settle(*, batch: ImportBatch, told: Callable[[int], None] | None = None) -> Accounting:
    """Make people of the batch's staged rows; returns where all rows stand. The caller holds incident and transaction.

    `told` hears how many in a hundred are written.
    """
    incident = batch.incident
    ids = {"incident": incident.pk, "batch": batch.pk, "amendment": batch.amendment_id}
    with transaction.atomic(), connection.cursor() as cursor:
        match(cursor, batch)
        for statement in (TWINS, INSERT_COHORTS, COHORTS, "ANALYZE kind", KEPT, BY_PAGES):
            cursor.execute(statement, ids)
        parts = _parts(cursor)
        milestones = Milestones(batch=batch, parts=len(parts), times=3, told=told)
        for part in milestones.each(parts):
            cursor.execute(INSERT_PEOPLE, {**ids, **part})
        cursor.execute(ANY_WAY)
        for part in milestones.each(parts):
            cursor.execute(INSERT_ROWS, {**ids, **part})
        cursor.execute(INSERT_QUEUE, ids)
        matching.record_merges(cursor, batch=batch)
        say_what_differs(batch=batch)
        _count_cohorts(cursor, batch)
        counted = _tell(cursor, batch, milestones.each(parts))
        cursor.execute("DROP TABLE staging, kind, keep")
    forget_staged(batch=batch)
    batch.parts.all().delete()
    batch.state, batch.finished_at, batch.refusal = BatchState.DONE, database_now(), ""
    batch.save(update_fields=["state", "finished_at", "rows", "refusal", "country_rows"])
    return counted


def match(cursor: Any, batch: ImportBatch, *, marks_only: bool = False) -> None:
    """Make the table `staging` and mark who is whose second row; then, unless only that is wanted, put them together."""
    lay_out(cursor, batch.pk)
    matching.mark_merges(cursor, batch=batch)
    if not marks_only:
        vault = Vault(incident=batch.incident)
        matching.join_details(cursor, vault, batch=batch)
        add_to_known(cursor, vault, batch=batch)


def _parts(cursor: Any) -> list[dict[str, int]]:
    """The numbers after which and up to which each part of the list goes."""
    cursor.execute("SELECT coalesce(max(number), 0) FROM staging")
    (last,) = cursor.fetchone()
    return [{"after": after, "upto": after + CHUNK} for after in range(0, last, CHUNK)]


def _count_cohorts(cursor: Any, batch: ImportBatch) -> None:
    """New people are added to their cohorts' counts; where the list says more of people known before, all are counted anew."""
    cursor.execute("SELECT EXISTS (SELECT FROM staging WHERE known_person IS NOT NULL)")
    if cursor.fetchone()[0]:
        refresh_cohorts(incident=batch.incident)
    else:
        cursor.execute(COUNT_NEW)


def _tell(cursor: Any, batch: ImportBatch, parts: Iterable[dict[str, int]]) -> Accounting:
    """The entries of the log: one of the list, one of each row that became or joined somebody. Returns what was counted."""
    incident, author, counted = batch.incident, author_of(batch=batch), account(incident=batch.incident)
    data = {"file_sha256": batch.sha256, "rows": batch.rows, "list_after": asdict(counted)}
    if form := dates_of(batch.columns):
        data["dates_of_birth"] = f"{form} first"
    if batch.list_country and batch.country_by_id:
        batch.country_rows = living_by(batch=batch)
        said_by = name_of(user=batch.country_by_id)
        data["list_country"] = {"country": batch.list_country, "said_by": said_by, "rows": batch.country_rows}
    record(incident=incident, action=Action.SOURCE_IMPORTED, actor=author, data=data)
    cursor.execute(BY_PAGES)
    for part in parts:
        record_set(
            incident=incident, action=Action.PERSON_ADDED, actor=author, data={"commitment": Hole("commitment")}, query=ADDED,
            parameters={**part, "batch": batch.pk},
        )  # fmt: skip
    cursor.execute(ANY_WAY)
    cursor.execute("SELECT DISTINCT merge_reason FROM staging WHERE merge_reason IS NOT NULL AND NOT rejected ORDER BY 1")
    for (reason,) in cursor.fetchall():
        joined = Action.PERSON_CORRECTED if reason == CORRECTED else Action.PERSON_MERGED
        for data, changed in (({"reason": reason}, False), ({"reason": reason, "commitment": Hole("commitment")}, True)):
            record_set(
                incident=incident, action=joined, actor=author, data=data, query=MERGED,
                parameters={"batch": batch.pk, "reason": reason, "changed": changed},
            )  # fmt: skip
    return counted
