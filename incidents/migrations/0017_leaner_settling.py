"""What a list of a million people waits for at its end: indexes that are filled for nobody, and counts that read every column."""

from typing import Any

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

PROTECT = django.db.models.deletion.PROTECT
#: Where every row of every list of an incident stands, as in migration 0005. Nearly all rows are people and nearly all people are
#: clear: those are what is left of all, which are counted page by page and not looked into; partial indexes find the others.
BALANCE = """
CREATE OR REPLACE FUNCTION import_balance(of_incident bigint) RETURNS TABLE (
  rows_in bigint, people bigint, merged bigint, needs_attention bigint, rejection_pending bigint, rejected bigint, held bigint,
  corrected bigint
) LANGUAGE sql STABLE SET enable_indexscan = off SET enable_indexonlyscan = off AS $$
  WITH lists AS (SELECT id FROM incidents_importbatch WHERE incident_id = of_incident
  ), outcomes AS (
    SELECT outcome, count(*) AS n FROM incidents_importrow WHERE outcome <> 'person' AND batch_id IN (SELECT id FROM lists)
    GROUP BY 1
  ), statuses AS (
    SELECT status, count(*) AS n FROM incidents_affectedperson WHERE incident_id = of_incident AND status <> 'clear' GROUP BY 1
  ), o AS (
    SELECT (SELECT count(*) FROM incidents_importrow WHERE batch_id IN (SELECT id FROM lists)) AS kept,
      coalesce(sum(n) FILTER (WHERE outcome = 'merged'), 0) AS merged,
      coalesce(sum(n) FILTER (WHERE outcome = 'rejection_pending'), 0) AS pending,
      coalesce(sum(n) FILTER (WHERE outcome = 'rejected'), 0) AS rejected,
      coalesce(sum(n) FILTER (WHERE outcome = 'corrected'), 0) AS corrected FROM outcomes
  ), s AS (
    SELECT (SELECT count(*) FROM incidents_affectedperson WHERE incident_id = of_incident) - coalesce(sum(n), 0) AS clear,
      coalesce(sum(n) FILTER (WHERE status IN ('attention', 'held')), 0) AS waiting,
      coalesce(sum(n) FILTER (WHERE status = 'held'), 0) AS held,
      coalesce(sum(n) FILTER (WHERE status = 'rejected'), 0) AS rejected FROM statuses
  )
  SELECT kept - o.corrected, clear, o.merged, waiting, pending, o.rejected + s.rejected, s.held, o.corrected FROM o, s
$$;
"""
BALANCE_BACK = """
CREATE OR REPLACE FUNCTION import_balance(of_incident bigint) RETURNS TABLE (
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


def queue(name: str, to: str, related: str = "+", *, null: bool = True) -> migrations.AlterField:
    """A reference of the queue without an index of its own."""
    field: models.ForeignKey[Any] = models.ForeignKey(to, on_delete=PROTECT, null=null, related_name=related, db_index=False)
    return migrations.AlterField("queueentry", name, field)


class Migration(migrations.Migration):
    dependencies = [("incidents", "0016_cheap_letters"), migrations.swappable_dependency(settings.AUTH_USER_MODEL)]
    operations = [
        # Asked only by later lists, which read the incident's people for their addresses and birth dates anyway.
        migrations.RemoveIndex("affectedperson", "person_by_customer"),
        # Few people have flags, and an empty list is seen at once; to look for a word in it took longer than to store the person.
        migrations.RemoveIndex("affectedperson", "person_asks_erasure"),
        migrations.AddIndex(
            "affectedperson", models.Index(fields=["incident"], name="person_with_flags", condition=~models.Q(flags=[]))
        ),
        queue("incident", "incidents.incident", "queue", null=False),
        queue("row", "incidents.importrow", "queue"),
        queue("other", "incidents.affectedperson"),
        queue("decided_by", settings.AUTH_USER_MODEL),
        queue("second_by", settings.AUTH_USER_MODEL),
        *(
            migrations.AddIndex(
                "queueentry",
                models.Index(fields=[name], name=f"queue_by_{name}", condition=models.Q(**{f"{name}__isnull": False})),
            )
            for name in ("row", "other", "decided_by", "second_by")
        ),
        migrations.RunSQL(BALANCE, BALANCE_BACK),
    ]
