"""People grouped by what the law can see: residence, exposed elements, minor or not. Kept by set-based SQL.

One pass over the people gives their profiles, a few hundred rows; everything else is done on those. People are written to
only where their profile stands in another cohort than it should: asked again, nothing is written.
"""

from __future__ import annotations

from django.db import connection, transaction

from incidents.models import Cohort, Incident
from incidents.people.staged import MINOR

#: SQL: the cohorts of some rows with residence, elements and minors, where they are missing.
CREATE = """
INSERT INTO incidents_cohort (incident_id, residence, elements, maybe, minors, amendment_id, count)
SELECT DISTINCT %(incident)s::bigint, residence, elements::varchar[], '{{}}'::varchar[], minors, {clock}, 0 FROM {rows} f
WHERE NOT EXISTS (SELECT 1 FROM incidents_cohort c WHERE {same})
ON CONFLICT DO NOTHING"""
_ALIKE = (
    "c.incident_id = %(incident)s AND c.residence = f.residence AND c.elements = f.elements::varchar[] "
    "AND c.maybe = '{}' AND c.minors = f.minors AND c.amendment_id IS NOT DISTINCT FROM "
)
#: SQL: the clock of everybody on a list that is being imported: its amendment's, or none for the incident's own.
OF_THE_LIST = "%(amendment)s::bigint"
#: SQL: whether the cohort c is that of the row f of a list.
SAME = _ALIKE + OF_THE_LIST
#: The clock is a part of the profile: people first known in an amendment are cohorts of their own.
PROFILES = f"""
CREATE TEMP TABLE profile ON COMMIT DROP AS
SELECT residence, elements, {MINOR} AS minors, amendment_id, cohort_id AS now, NULL::bigint AS wanted,
  count(*) FILTER (WHERE status NOT IN ('rejected', 'merged')) AS living
FROM incidents_affectedperson WHERE incident_id = %(incident)s GROUP BY 1, 2, 3, 4, 5"""  # noqa: S608
WANTED = f"UPDATE profile f SET wanted = c.id FROM incidents_cohort c WHERE {_ALIKE} f.amendment_id"  # noqa: S608
WRONG = "SELECT EXISTS (SELECT 1 FROM profile WHERE wanted <> now OR wanted IS NOT NULL AND now IS NULL)"
ASSIGN = f"""
UPDATE incidents_affectedperson p SET cohort_id = f.wanted FROM profile f
WHERE p.incident_id = %(incident)s AND p.residence = f.residence AND p.elements = f.elements
  AND {MINOR.replace("flags", "p.flags")} = f.minors AND p.amendment_id IS NOT DISTINCT FROM f.amendment_id
  AND p.cohort_id IS NOT DISTINCT FROM f.now AND f.wanted IS NOT NULL AND f.wanted IS DISTINCT FROM f.now"""  # noqa: S608
COUNT = """
UPDATE incidents_cohort c SET count = coalesce(n.people, 0) FROM incidents_cohort d
LEFT JOIN (SELECT coalesce(wanted, now) AS id, sum(living) AS people FROM profile GROUP BY 1) n ON n.id = d.id
WHERE c.id = d.id AND c.incident_id = %(incident)s AND c.count IS DISTINCT FROM coalesce(n.people, 0)"""


@transaction.atomic
def refresh_cohorts(*, incident: Incident) -> int:
    """Put every person of the incident into exactly one cohort and count them; returns the number of inhabited cohorts."""
    ids = {"incident": incident.pk}
    missing = create_cohorts(rows="(SELECT * FROM profile WHERE living > 0)", clock="f.amendment_id")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS pg_temp.profile")
        for statement in (PROFILES, missing, WANTED):
            cursor.execute(statement, ids)
        cursor.execute(WRONG)
        if cursor.fetchone()[0]:
            # The statistics of a list that was just imported say "a few rows": a nested loop would compare each person with
            # every profile.
            cursor.execute("ANALYZE profile; SET LOCAL enable_nestloop = off")
            cursor.execute(ASSIGN, ids)
            cursor.execute("SET LOCAL enable_nestloop TO DEFAULT")
        cursor.execute(COUNT, ids)
    return Cohort.objects.filter(incident=incident, count__gt=0).count()


def create_cohorts(*, rows: str, clock: str = OF_THE_LIST) -> str:
    """SQL that makes the cohorts missing for `rows` (residence, elements, minors) of %(incident)s, with their clock."""
    return CREATE.format(rows=rows, clock=clock, same=_ALIKE + clock)
