"""What a newer version of a list changes, in counts, before it is imported: matched as an import would, and rolled back."""

from __future__ import annotations

from django.db import connection, transaction

from incidents.models import BatchState, ImportBatch
from incidents.people.decisions import AGAIN, EXCLUDED
from incidents.people.residence import OF_LIST, UNKNOWN
from incidents.people.settling import match
from incidents.people.staged import NEW, STAGED

#: What each count is of, for whoever decides about the list.
WORDS = {
    "rows": "rows in all", "new": "people new", "changed": "people known with other data",
    "language": "people known with another language (the one they have stays)", "unchanged": "people known and unchanged",
    "missing": "people of the earlier list not on this one", "rejected": "rows that cannot be people",
    "excluded": "people who seem to be somebody excluded by two",
    "rejected_again": "people new who seem to be somebody rejected by two (each is asked about)",
}  # fmt: skip

#: What is compared: a change of these changes who is told, where, by which law or of what. An empty cell changes nothing.
CHANGED = (
    "p.email_index IS DISTINCT FROM s.email_index AND s.email_index IS NOT NULL "
    "OR p.name_index IS DISTINCT FROM s.name_index AND s.name_index IS NOT NULL "
    "OR p.address_index IS DISTINCT FROM s.address_index AND s.address_index IS NOT NULL "
    "OR p.customer_index IS DISTINCT FROM s.customer_index AND s.customer_index IS NOT NULL "
    # What was said of the whole list changes nobody of whom more is known (`joining`).
    f"OR p.residence <> s.residence AND s.residence <> '{UNKNOWN}' AND (s.residence_from NOT LIKE '{OF_LIST}%%' "
    f"OR p.residence_from LIKE '{OF_LIST}%%' OR p.residence = '{UNKNOWN}' OR s.residence LIKE p.residence || '-%%') "
    "OR NOT p.elements::text[] @> s.elements OR NOT p.flags::text[] @> s.flags OR p.language = '' AND s.language <> ''"
)
#: Where somebody has a language, a list does not change it: that is counted by itself.
SPOKEN = "p.language <> s.language AND s.language <> ''"
#: People, each once however many rows they have; and rows.
COUNTS = f"""
SELECT sum(o.rows), sum(o.new),
  count(*) FILTER (WHERE o.person IS NOT NULL AND NOT o.changed AND NOT o.spoken),
  count(*) FILTER (WHERE o.changed), count(*) FILTER (WHERE o.spoken AND NOT o.changed), sum(o.rejected)
FROM (
  SELECT s.known_person AS person, count(*) AS rows, count(*) FILTER (WHERE {NEW}) AS new,
    coalesce(bool_or(p.id IS NOT NULL AND ({CHANGED})), false) AS changed,
    coalesce(bool_or(p.id IS NOT NULL AND {SPOKEN}), false) AS spoken, count(*) FILTER (WHERE s.rejected) AS rejected
  FROM {STAGED} s LEFT JOIN incidents_affectedperson p ON p.id = s.known_person GROUP BY 1) o"""  # noqa: S608
MISSING = """
SELECT count(DISTINCT r.person_id) FROM incidents_importrow r WHERE r.batch_id = %(earlier)s AND r.person_id IS NOT NULL
AND NOT EXISTS (SELECT 1 FROM staging s WHERE s.known_person = r.person_id)"""
ASKED = "SELECT count(*) FILTER (WHERE reason = %s), count(*) FILTER (WHERE reason = %s) FROM question"


def earlier_version(*, batch: ImportBatch, but_for: str = "") -> ImportBatch | None:
    """The list of the same source that was imported last; `but_for`: a column that it does not have."""
    if batch.source_id is None:
        return None
    known = ImportBatch.objects.filter(incident=batch.incident_id, source=batch.source_id, state=BatchState.DONE)
    known = known.exclude(columns__contains=[but_for]) if but_for else known
    return known.exclude(pk=batch.pk).order_by("-id").first()


def compare(*, batch: ImportBatch, earlier: ImportBatch) -> dict[str, int]:
    """People new, unchanged, changed, with another language, and missing; rows in all and those that cannot be people.

    And, where there are any, those who seem to be somebody excluded, or rejected.

    Of a list that is staged to its end.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        match(cursor, batch, marks_only=True)
        cursor.execute(COUNTS, {"batch": batch.pk})
        counts = [int(number or 0) for number in cursor.fetchone()]
        cursor.execute(MISSING, {"earlier": earlier.pk})
        (missing,) = cursor.fetchone()
        cursor.execute(ASKED, [EXCLUDED, AGAIN])
        excluded, rejected_again = cursor.fetchone()
        transaction.set_rollback(True)
    found = dict(zip(("rows", "new", "unchanged", "changed", "language", "rejected"), counts, strict=True)) | {"missing": missing}
    # Said only where there are any: nearly no list names one.
    found |= {"excluded": excluded} if excluded else {}
    return found | ({"rejected_again": rejected_again} if rejected_again else {})
