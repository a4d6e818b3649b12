"""What the import of a million people waited for: indexes that nobody walks in order, and checks that grew with the table."""

import django.contrib.postgres.indexes
from django.db import migrations, models

SHARED = (
    "residence", "residence_from", "confidence", "possible", "elements", "flags", "language", "has_email", "has_post", "problems",
)  # fmt: skip
#: Asked once for every statement, of the few parents that its rows name. Each of them is looked up by its key: a list comes in
#: as many statements, and reading a whole table of a million people for each of them would cost more than the list.
PEOPLE = """
CREATE OR REPLACE FUNCTION check_new_affectedperson() RETURNS trigger LANGUAGE plpgsql
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE missing boolean;
BEGIN
  EXECUTE 'SELECT EXISTS (SELECT FROM (SELECT DISTINCT incident_id, cohort_id, amendment_id FROM added) a
    LEFT JOIN incidents_incident incident ON incident.id = a.incident_id
    LEFT JOIN incidents_cohort cohort ON cohort.id = a.cohort_id
    LEFT JOIN incidents_amendment amendment ON amendment.id = a.amendment_id
    WHERE a.incident_id IS NOT NULL AND incident.id IS NULL OR a.cohort_id IS NOT NULL AND cohort.id IS NULL
      OR a.amendment_id IS NOT NULL AND amendment.id IS NULL)' INTO missing;
  IF missing THEN
    RAISE EXCEPTION 'a row in affectedperson names something that is not there' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
"""
ROWS = """
CREATE OR REPLACE FUNCTION check_new_importrow() RETURNS trigger LANGUAGE plpgsql
  SET enable_hashjoin = off SET enable_mergejoin = off SET enable_seqscan = off AS $$
DECLARE missing boolean;
BEGIN
  EXECUTE 'SELECT EXISTS (SELECT FROM (SELECT DISTINCT batch_id FROM added) a
      WHERE NOT EXISTS (SELECT FROM incidents_importbatch b WHERE b.id = a.batch_id))
    OR EXISTS (SELECT FROM added a LEFT JOIN incidents_affectedperson p ON p.id = a.person_id
      WHERE a.person_id IS NOT NULL AND p.id IS NULL)' INTO missing;
  IF missing THEN
    RAISE EXCEPTION 'a row in importrow names something that is not there' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
"""
#: The entries of one statement name one log. With the rights of the owner, as since migration 0009.
PENDING = """
CREATE OR REPLACE FUNCTION audit_pending() RETURNS trigger LANGUAGE plpgsql
  SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM (SELECT DISTINCT log_id FROM added) a
      WHERE NOT EXISTS (SELECT FROM incidents_auditlog l WHERE l.id = a.log_id)) THEN
    RAISE EXCEPTION 'an entry names no log' USING ERRCODE = 'foreign_key_violation';
  END IF;
  INSERT INTO incidents_auditpending (event_id) SELECT id FROM added;
  RETURN NULL;
END $$;
"""
#: What rows have in common stands in the first of them; the others name that one.
LIKE_ROW = f"""
ALTER TABLE incidents_stagedrow ADD COLUMN like_row integer, {", ".join(f"ALTER {name} DROP NOT NULL" for name in SHARED)},
  ADD CONSTRAINT a_staged_row_is_whole CHECK (like_row IS NOT NULL OR num_nulls({", ".join(SHARED)}) = 0);
CREATE INDEX staged_first_of_a_kind ON incidents_stagedrow (batch_id, number) WHERE like_row IS NULL;
CREATE OR REPLACE FUNCTION count_staged_rows() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
  SET default_statistics_target = 20 AS 'ANALYZE incidents_stagedrow (batch_id, number, raw_sealed, like_row)';
"""
#: Whatever is staged is read again.
WHOLE_ROWS = f"""
DELETE FROM incidents_stagedrow;
DROP INDEX staged_first_of_a_kind;
CREATE OR REPLACE FUNCTION count_staged_rows() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
  SET default_statistics_target = 20 AS 'ANALYZE incidents_stagedrow (batch_id, number, raw_sealed)';
ALTER TABLE incidents_stagedrow DROP COLUMN like_row, {", ".join(f"ALTER {name} SET NOT NULL" for name in SHARED)};
"""  # noqa: S608


class Migration(migrations.Migration):
    dependencies = [("incidents", "0010_dispatch")]
    operations = [
        # Blind indexes are random: nobody asks for an order of them, and a hash index takes a new one at half the price.
        *(migrations.RemoveIndex("affectedperson", f"person_by_{name}") for name in ("customer", "email")),
        *(
            migrations.AddIndex(
                "affectedperson",
                django.contrib.postgres.indexes.HashIndex(fields=[f"{name}_index"], name=f"person_by_{name}"),
            )
            for name in ("customer", "email")
        ),
        migrations.AddIndex(
            "affectedperson",
            models.Index(
                fields=["incident"], name="person_asks_erasure", condition=models.Q(flags__contains=["erasure_pending"])
            ),
        ),
        migrations.RunSQL(PEOPLE, migrations.RunSQL.noop),
        migrations.RunSQL(ROWS, migrations.RunSQL.noop),
        migrations.RunSQL(PENDING, migrations.RunSQL.noop),
        migrations.RunSQL(LIKE_ROW, WHOLE_ROWS),
    ]
