"""The staging table, the references of the tables that grow by a million rows, and what the database checks of an import."""

from __future__ import annotations

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

#: Rows of lists that are being read. Unlogged: they are sealed already, can be read again, and are deleted when the import ends.
STAGED = """
CREATE UNLOGGED TABLE incidents_stagedrow (
  batch_id bigint NOT NULL, number integer NOT NULL, subject text NOT NULL, reference text NOT NULL,
  sealed bytea, wrapped_key bytea, key_version smallint, commitment text, raw_sealed bytea,
  customer_index bytea, email_index bytea, name_index bytea, name_birth_index bytea, address_index bytea,
  residence text NOT NULL, residence_from text NOT NULL, confidence text NOT NULL, possible text[] NOT NULL,
  elements text[] NOT NULL, flags text[] NOT NULL, language text NOT NULL, has_email boolean NOT NULL, has_post boolean NOT NULL,
  problems jsonb NOT NULL, rejected jsonb, correction_of text NOT NULL DEFAULT '',
  PRIMARY KEY (batch_id, number)
);
"""
#: The planner has to know how many rows wait; only the table's owner may count them for it.
COUNTED = """
CREATE FUNCTION count_staged_rows() RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
  SET default_statistics_target = 20 AS 'ANALYZE incidents_stagedrow (batch_id, number, raw_sealed)';
"""
#: Where every row of every list of an incident stands. A row that was corrected is counted by the row that corrects it.
BALANCE = """
CREATE FUNCTION import_balance(of_incident bigint) RETURNS TABLE (
  rows_in bigint, people bigint, merged bigint, needs_attention bigint, rejection_pending bigint, rejected bigint, held bigint,
  corrected bigint
) LANGUAGE sql STABLE AS $$
  WITH outcomes AS (
    SELECT r.outcome, count(*) AS n FROM incidents_importrow r JOIN incidents_importbatch b ON b.id = r.batch_id
    WHERE b.incident_id = of_incident GROUP BY 1
  ), statuses AS (
    SELECT p.status, count(*) AS n FROM incidents_affectedperson p WHERE p.incident_id = of_incident GROUP BY 1
  ), o AS (
    SELECT coalesce(sum(n) FILTER (WHERE outcome <> 'corrected'), 0) AS counted,
      coalesce(sum(n) FILTER (WHERE outcome = 'merged'), 0) AS merged,
      coalesce(sum(n) FILTER (WHERE outcome = 'rejection_pending'), 0) AS pending,
      coalesce(sum(n) FILTER (WHERE outcome = 'rejected'), 0) AS rejected,
      coalesce(sum(n) FILTER (WHERE outcome = 'corrected'), 0) AS corrected FROM outcomes
  ), s AS (
    SELECT coalesce(sum(n) FILTER (WHERE status = 'clear'), 0) AS clear,
      coalesce(sum(n) FILTER (WHERE status IN ('attention', 'held')), 0) AS waiting,
      coalesce(sum(n) FILTER (WHERE status = 'held'), 0) AS held,
      coalesce(sum(n) FILTER (WHERE status = 'rejected'), 0) AS rejected FROM statuses
  )
  SELECT counted, clear, o.merged, waiting, pending, o.rejected + s.rejected, s.held, o.corrected FROM o, s
$$;
"""
#: Deferred: asked at the commit, when people, rows and outcomes all stand.
CHECK = """
CREATE FUNCTION check_import_adds_up() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE kept bigint; nobody bigint; b record;
BEGIN
  SELECT count(*), count(*) FILTER (WHERE outcome IN ('person', 'merged') AND person_id IS NULL) INTO kept, nobody
  FROM incidents_importrow WHERE batch_id = NEW.id;
  IF kept <> NEW.rows OR nobody > 0 THEN
    RAISE EXCEPTION 'list %: % rows were read, % are accounted for, % of them lead to nobody', NEW.id, NEW.rows, kept, nobody
      USING ERRCODE = 'check_violation';
  END IF;
  SELECT * INTO b FROM import_balance(NEW.incident_id);
  IF b.rows_in <> b.people + b.merged + b.needs_attention + b.rejection_pending + b.rejected THEN
    RAISE EXCEPTION 'rows in % = people % + merged % + needs attention % + rejection pending % + rejected % does not hold',
      b.rows_in, b.people, b.merged, b.needs_attention, b.rejection_pending, b.rejected USING ERRCODE = 'check_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER import_adds_up AFTER INSERT OR UPDATE OF state, rows ON incidents_importbatch
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.state = 'done') EXECUTE FUNCTION check_import_adds_up();
"""
#: What a foreign key checks row by row (five microseconds for each column of each row), asked once for all rows of a statement.
#: (table, column, parent, whether most rows have it); of these tables millions of rows are written at once. The entries of the
#: log have no other column than theirs.
REFERENCES = (
    ("affectedperson", "incident_id", "incident", True), ("affectedperson", "cohort_id", "cohort", True),
    ("affectedperson", "amendment_id", "amendment", True), ("affectedperson", "merged_into_id", "affectedperson", False),
    ("importrow", "batch_id", "importbatch", True), ("importrow", "person_id", "affectedperson", True),
    ("importrow", "merged_from_id", "affectedperson", False), ("importrow", "corrected_by_id", "importrow", False),
    ("auditevent", "log_id", "auditlog", True),
)  # fmt: skip


def whole(table: str) -> str:
    """The check of all rows that a statement adds; planned anew each time, for one row or for a million."""
    named = [(column, parent) for child, column, parent, usual in REFERENCES if child == table and usual]
    joins = " ".join(f"LEFT JOIN incidents_{parent} {parent} ON {parent}.id = a.{column}" for column, parent in named)
    missing = " OR ".join(f"a.{column} IS NOT NULL AND {parent}.id IS NULL" for column, parent in named)
    return f"""
CREATE FUNCTION check_new_{table}() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE missing boolean;
BEGIN
  EXECUTE 'SELECT EXISTS (SELECT FROM added a {joins} WHERE {missing})' INTO missing;
  IF missing THEN
    RAISE EXCEPTION 'a row in {table} names something that is not there' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER {table}_parents AFTER INSERT ON incidents_{table} REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION check_new_{table}();
"""  # noqa: S608


#: Parent side: the lock waits for everybody who writes children and lets nobody begin, so none can be overlooked. Only the owner
#: of the tables may delete any of these rows.
PARENTS = """
CREATE FUNCTION check_children() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE left_behind boolean;
BEGIN
  EXECUTE format('LOCK TABLE %I IN SHARE ROW EXCLUSIVE MODE', TG_ARGV[0]);
  EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1)', TG_ARGV[0], TG_ARGV[1]) INTO left_behind USING OLD.id;
  IF left_behind THEN
    RAISE EXCEPTION 'a row of % is still named in %', TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
"""


def single(table: str, column: str, parent: str, usual: bool) -> str:
    """The checks of one reference: of a row that comes to name another parent, and of a parent that goes."""
    name = f"{table}_{column}"
    added = f"""
CREATE TRIGGER {name}_new AFTER INSERT ON incidents_{table} FOR EACH ROW
  WHEN (NEW.{column} IS NOT NULL) EXECUTE FUNCTION check_{name}();
"""
    checks = f"""
CREATE FUNCTION check_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM incidents_{parent} WHERE id = NEW.{column}) THEN
    RAISE EXCEPTION '{column} of a row in {table} names nothing in {parent}' USING ERRCODE = 'foreign_key_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER {name} AFTER UPDATE OF {column} ON incidents_{table} FOR EACH ROW
  WHEN (NEW.{column} IS NOT NULL AND NEW.{column} IS DISTINCT FROM OLD.{column}) EXECUTE FUNCTION check_{name}();
CREATE TRIGGER {name}_deleted AFTER DELETE ON incidents_{parent} FOR EACH ROW
  EXECUTE FUNCTION check_children('incidents_{table}', '{column}');
CREATE TRIGGER {name}_renamed AFTER UPDATE OF id ON incidents_{parent} FOR EACH ROW
  WHEN (OLD.id <> NEW.id) EXECUTE FUNCTION check_children('incidents_{table}', '{column}');
"""  # noqa: S608
    return checks if usual else checks + added


BULKY = ("affectedperson", "importrow")
GUARDS = PARENTS + "".join(map(whole, BULKY)) + "".join(single(*one) for one in REFERENCES)
UNGUARD = "DROP FUNCTION check_children() CASCADE;" + "".join(
    f"DROP FUNCTION check_{name}() CASCADE;"
    for name in (*(f"new_{table}" for table in BULKY), *(f"{table}_{column}" for table, column, _, _ in REFERENCES))
)
#: The trigger that makes entries pending looks at their log as well: single entries are written all the time.
PENDING = """
CREATE OR REPLACE FUNCTION audit_pending() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM added a WHERE NOT EXISTS (SELECT FROM incidents_auditlog l WHERE l.id = a.log_id)) THEN
    RAISE EXCEPTION 'an entry names no log' USING ERRCODE = 'foreign_key_violation';
  END IF;
  INSERT INTO incidents_auditpending (event_id) SELECT id FROM added;
  RETURN NULL;
END $$;
"""
PROTECT = django.db.models.deletion.PROTECT


def lean(
    model: str, name: str, to: str, related: str, *, null: bool = False, index: bool = False
) -> tuple[str, str, models.Field[Any, Any]]:
    """A reference that the triggers above check; without an index where another index covers it, or nobody asks."""
    field = models.ForeignKey(
        f"incidents.{to}", db_constraint=False, db_index=index, null=null, on_delete=PROTECT, related_name=related
    )
    return model, name, field


LEANER = (
    lean("affectedperson", "incident", "incident", "people"),
    lean("affectedperson", "cohort", "cohort", "people", null=True, index=True),
    lean("affectedperson", "amendment", "amendment", "people", null=True),
    lean("affectedperson", "merged_into", "affectedperson", "merged", null=True),
    lean("importrow", "batch", "importbatch", "import_rows"),
    lean("importrow", "person", "affectedperson", "import_rows", null=True, index=True),
    lean("importrow", "merged_from", "affectedperson", "+", null=True),
    lean("auditevent", "log", "auditlog", "events"),
    ("affectedperson", "subject", models.CharField(max_length=32)),
)
PARTIAL = (
    (
        "affectedperson",
        models.Index(fields=["incident", "status"], name="person_by_status", condition=~models.Q(status="clear")),
    ),
    ("importrow", models.Index(fields=["batch", "outcome"], name="row_by_outcome", condition=~models.Q(outcome="person"))),
    ("importrow", models.Index(fields=["merged_from"], name="row_by_merged", condition=models.Q(merged_from__isnull=False))),
)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0004_people_at_scale")]
    operations = [
        migrations.AddField("importbatch", "read_with", models.CharField(max_length=64, blank=True, default="")),
        migrations.AlterField(
            "importrow",
            "outcome",
            models.CharField(
                max_length=20,
                choices=[
                    ("person", "became a person"),
                    ("merged", "merged into a person"),
                    ("rejection_pending", "cannot be a person; waits for two to reject it"),
                    ("rejected", "rejected by two"),
                    ("corrected", "corrected by a row of a later list"),
                ],
            ),
        ),
        migrations.AddField(
            "importrow",
            "corrected_by",
            models.ForeignKey(
                "incidents.importrow",
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="corrected",
                db_index=False,
                db_constraint=False,
            ),
        ),
        # Every index costs a list of a million people seconds: those that another index covers, or nobody asks, go.
        *(migrations.AlterField(model, name, field) for model, name, field in LEANER),
        migrations.AddConstraint(
            "affectedperson", models.UniqueConstraint(fields=["subject"], name="a_subject_names_one_person")
        ),
        *(migrations.RemoveIndex(model, index.name) for model, index in PARTIAL[:2]),
        *(migrations.AddIndex(model, index) for model, index in PARTIAL),
        # A blind index is an incident's own already.
        *(migrations.RemoveIndex("affectedperson", f"person_by_{name}") for name in ("customer", "email")),
        *(
            migrations.AddIndex("affectedperson", models.Index(fields=[f"{name}_index"], name=f"person_by_{name}"))
            for name in ("customer", "email")
        ),
        migrations.RunSQL(GUARDS, UNGUARD),
        migrations.RunSQL(PENDING, migrations.RunSQL.noop),
        migrations.RunSQL(STAGED, "DROP TABLE incidents_stagedrow"),
        migrations.RunSQL(COUNTED, "DROP FUNCTION count_staged_rows()"),
        migrations.RunSQL(BALANCE, "DROP FUNCTION import_balance(bigint)"),
        migrations.RunSQL(CHECK, "DROP FUNCTION check_import_adds_up() CASCADE"),
    ]
