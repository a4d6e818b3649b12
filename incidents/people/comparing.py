"""What a newer version of a list changes, in counts, before it is imported: matched as an import would, and rolled back."""

from __future__ import annotations

from django.db import connection, transaction

from incidents.models import BatchState, ImportBatch
from incidents.people.decisions import EXCLUDED
from incidents.people.settling import match
from incidents.people.staged import STAGED

#: What is compared: a change of these changes who is told, where, by which law or of what.
CHANGED = (
    "p.email_index IS DISTINCT FROM s.email_index AND s.email_index IS NOT NULL OR p.name_index IS DISTINCT FROM s.name_index "
    "OR p.address_index IS DISTINCT FROM s.address_index AND s.address_index IS NOT NULL "
    "OR p.customer_index IS DISTINCT FROM s.customer_index AND s.customer_index IS NOT NULL OR p.residence <> s.residence "
    "OR NOT p.elements::text[] @> s.elements OR NOT p.flags::text[] @> s.flags OR p.language <> s.language"
)
COUNTS = f"""
SELECT count(*) FILTER (WHERE NOT s.rejected AND s.keeper IS NULL AND s.known_person IS NULL) AS new,
  count(*) FILTER (WHERE s.known_person IS NOT NULL AND NOT coalesce({CHANGED}, false)) AS unchanged,
  count(*) FILTER (WHERE s.known_person IS NOT NULL AND coalesce({CHANGED}, false)) AS changed,
  count(*) FILTER (WHERE s.rejected) AS rejected
FROM {STAGED} s LEFT JOIN incidents_affectedperson p ON p.id = s.known_person"""  # noqa: S608
MISSING = """
SELECT count(DISTINCT r.person_id) FROM incidents_importrow r WHERE r.batch_id = %(earlier)s AND r.person_id IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM staging s WHERE s.known_person = r.person_id)"""
EXCLUDED_AGAIN = f"SELECT count(*) FROM question WHERE reason = '{EXCLUDED}'"  # noqa: S608


def earlier_version(*, batch: ImportBatch) -> ImportBatch | None:
    """The list of the same source that was imported last."""
    if batch.source_id is None:
        return None
    known = ImportBatch.objects.filter(incident=batch.incident_id, source=batch.source_id, state=BatchState.DONE)
    return known.exclude(pk=batch.pk).order_by("-id").first()


def compare(*, batch: ImportBatch, earlier: ImportBatch) -> dict[str, int]:
    """People new, unchanged, changed and missing, rows that cannot be people, and those who seem to be somebody excluded.

    Of a list that is staged to its end.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        match(cursor, batch, marks_only=True)
        cursor.execute(COUNTS, {"batch": batch.pk})
        new, unchanged, changed, rejected = cursor.fetchone()
        cursor.execute(MISSING, {"earlier": earlier.pk})
        (missing,) = cursor.fetchone()
        cursor.execute(EXCLUDED_AGAIN)
        (excluded,) = cursor.fetchone()
        transaction.set_rollback(True)
    found = {"new": new, "unchanged": unchanged, "changed": changed, "missing": missing, "rejected": rejected}
    # Said only where there are any: nearly no list names one.
    return found | ({"excluded": excluded} if excluded else {})
