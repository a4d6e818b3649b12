"""People grouped by what the law can see: residence, exposed elements, minor or not. Kept by set-based SQL."""

from __future__ import annotations

from django.db import connection, transaction

from incidents.models import Cohort, Incident

MINOR = "(flags && ARRAY['minor_under_16', 'minor_16_17']::varchar[])"
CREATE = f"""
INSERT INTO incidents_cohort (incident_id, residence, elements, maybe, minors, count)
SELECT incident_id, residence, elements, '{{}}', {MINOR}, 0 FROM incidents_affectedperson
WHERE incident_id = %(incident)s AND status <> 'rejected' GROUP BY 1, 2, 3, 5
ON CONFLICT DO NOTHING"""  # noqa: S608
ASSIGN = f"""
UPDATE incidents_affectedperson p SET cohort_id = c.id FROM incidents_cohort c
WHERE p.incident_id = %(incident)s AND c.incident_id = p.incident_id AND c.residence = p.residence
  AND c.elements = p.elements AND c.maybe = '{{}}' AND c.minors = {MINOR.replace("flags", "p.flags")}
  AND p.cohort_id IS DISTINCT FROM c.id"""  # noqa: S608
COUNT = """
UPDATE incidents_cohort c SET count = coalesce(n.people, 0) FROM incidents_cohort d
LEFT JOIN (SELECT cohort_id, count(*) AS people FROM incidents_affectedperson
           WHERE incident_id = %(incident)s AND status <> 'rejected' GROUP BY 1) n ON n.cohort_id = d.id
WHERE c.id = d.id AND c.incident_id = %(incident)s AND c.count IS DISTINCT FROM coalesce(n.people, 0)"""


@transaction.atomic
def refresh_cohorts(*, incident: Incident) -> int:
    """Put every person of the incident into exactly one cohort and count them; returns the number of inhabited cohorts."""
    with connection.cursor() as cursor:
        for statement in (CREATE, ASSIGN, COUNT):
            cursor.execute(statement, {"incident": incident.pk})
    return Cohort.objects.filter(incident=incident, count__gt=0).count()
