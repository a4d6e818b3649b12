"""People of a list who look like somebody whom two people rejected before: said in the list's report, so that somebody looks.

Whoever was rejected as nobody of the incident is nobody's match: a later row that fits them is a person of its own, is written to
and is not asked about. Whoever was excluded is asked about (see `knowing`) and not counted here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from django.db import connection

from incidents.models import ImportBatch
from incidents.people.decisions import EXCLUSIONS

#: How many are named.
NAMED = 20
#: SQL: somebody rejected whom {one} fits: one name, and one number, address, home or birth date. Few are ever rejected.
LIKE_REJECTED = f"""EXISTS (
  SELECT 1 FROM incidents_affectedperson x WHERE x.incident_id = %(incident)s AND x.status = 'rejected'
    AND x.id NOT IN ({EXCLUSIONS}) AND x.name_index = {{one}}.name_index
    AND (x.customer_index = {{one}}.customer_index OR x.email_index = {{one}}.email_index
      OR x.name_birth_index = {{one}}.name_birth_index OR x.address_index = {{one}}.address_index))"""  # noqa: S608
FIND = f"""
SELECT p.id, p.reference, count(*) OVER () FROM incidents_importrow i JOIN incidents_affectedperson p ON p.id = i.person_id
WHERE i.batch_id = %(batch)s AND i.outcome = 'person' AND p.status NOT IN ('rejected', 'merged')
  AND {LIKE_REJECTED.format(one="p")} ORDER BY p.id LIMIT {NAMED}"""  # noqa: S608


#: Asked first: nearly always there is nobody, and then a million people are not gone through.
ANYBODY = f"""
SELECT EXISTS (SELECT FROM incidents_affectedperson x WHERE x.incident_id = %s AND x.status = 'rejected'
  AND x.id NOT IN ({EXCLUSIONS}))"""  # noqa: S608


class Again(NamedTuple):
    """How many people of a list look like somebody rejected, and the first of them: key and reference."""

    number: int = 0
    people: tuple[tuple[int, str], ...] = ()


NOBODY = Again()


def rejected_again(*, batch: ImportBatch) -> Again:
    """Of a list that was imported."""
    with connection.cursor() as cursor:
        if not anybody(cursor, incident_id=batch.incident_id):
            return NOBODY
        cursor.execute(FIND, {"incident": batch.incident_id, "batch": batch.pk})
        found = cursor.fetchall()
    return Again(int(found[0][2]), tuple((int(pk), str(reference)) for pk, reference, _ in found)) if found else NOBODY


def anybody(cursor: Any, *, incident_id: int) -> bool:
    """Whether two people have rejected anybody of this incident as nobody of it."""
    cursor.execute(ANYBODY, [incident_id])
    return bool(cursor.fetchone()[0])
