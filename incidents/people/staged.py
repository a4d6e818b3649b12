"""The rows of a list while they are settled: what becomes of each, in a narrow temporary table, and the kinds of people they are.

What is wide or sealed stays in `incidents_stagedrow`; what many rows have in common stands once, in the temporary table `kind`.
`STAGED` puts them together for the few rows that are looked at whole; whatever looks at all rows reads a hundred bytes of each.
"""

from __future__ import annotations

from typing import Any

#: SQL: whether a person is marked as a minor.
MINOR = "(flags::varchar[] && ARRAY['minor_under_16', 'minor_16_17']::varchar[])"
OF_KIND = (
    "residence", "residence_from", "confidence", "possible", "elements", "flags", "language", "has_email", "has_post", "problems",
)  # fmt: skip
#: Rows with one key may have the same identifier; those are compared whole.
KEYS = ", ".join(
    f"CASE WHEN {name}_index IS NOT NULL THEN hash_record_extended(row({name}_index), 0) END AS {name}_key"
    for name in ("customer", "email", "address", "name_birth")
)
#: For sorting and hashing a million rows, and for looking a few of them up by number; of this transaction only.
ROOM = """
SET LOCAL work_mem = '64MB'; SET LOCAL maintenance_work_mem = '128MB'; SET LOCAL random_page_cost = 1.1; SET LOCAL jit = off;
SET LOCAL default_statistics_target = 20; SELECT count_staged_rows()"""
#: `person_id` is the number that the row's person will have if it becomes one: no need to look people up afterwards.
TABLES = (
    "DROP TABLE IF EXISTS pg_temp.staging, pg_temp.kind",
    f"""
CREATE TEMP TABLE staging ON COMMIT DROP AS
SELECT number, coalesce(like_row, number) AS kind, nextval('incidents_affectedperson_id_seq') AS person_id, {KEYS},
  hashtextextended(nullif(reference, ''), 0) AS reference_key, rejected IS NOT NULL AS rejected, raw_sealed IS NOT NULL AS kept,
  NULL::int AS keeper, NULL::bigint AS known_person, NULL AS merge_tier, NULL AS merge_reason, NULL AS commitment
FROM (SELECT * FROM incidents_stagedrow WHERE batch_id = %(batch)s ORDER BY number) s""",  # noqa: S608
    f"""
CREATE TEMP TABLE kind ON COMMIT DROP AS SELECT number AS kind, NULL::bigint AS cohort_id, {MINOR} AS minors, {", ".join(OF_KIND)}
FROM incidents_stagedrow WHERE batch_id = %(batch)s AND like_row IS NULL""",  # noqa: S608
    "ALTER TABLE staging ADD PRIMARY KEY (number); ALTER TABLE kind ADD PRIMARY KEY (kind); ANALYZE staging; ANALYZE kind",
)
#: SQL: rows of the list %(batch)s, whole.
STAGED = f"""(
  SELECT t.*, {", ".join(f"k.{name}" for name in OF_KIND)}, r.subject, r.reference, r.customer_index, r.email_index, r.name_index,
    r.name_birth_index, r.address_index, r.sealed, r.wrapped_key, r.key_version, r.raw_sealed
  FROM staging t JOIN kind k USING (kind) JOIN incidents_stagedrow r ON r.batch_id = %(batch)s AND r.number = t.number)"""  # noqa: S608
#: SQL: rows that become people of their own.
NEW = "s.keeper IS NULL AND s.known_person IS NULL AND NOT s.rejected"


def lay_out(cursor: Any, batch_id: int) -> None:
    """Make the tables `staging` and `kind` of a list that is staged to its end."""
    cursor.execute(ROOM)
    for statement in TABLES:
        cursor.execute(statement, {"batch": batch_id})
