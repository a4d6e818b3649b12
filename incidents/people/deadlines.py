"""By when each person's letter has to have left: it orders the sending, and says when a campaign will be late."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from incidents.models import Incident, Obligation
from incidents.models.messages import FINAL_STATES, MessageState

#: In the order of their keys, as everybody locks them. One that is being sent right now keeps its deadline for this try.
RENEW = """
WITH due AS (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]) AS d(cohort_id, due_at)),
  old AS (SELECT m.id, due.due_at FROM incidents_message m JOIN incidents_campaign c ON c.id = m.campaign_id
    JOIN incidents_registerentry e ON e.id = m.entry_id JOIN incidents_affectedperson p ON p.id = e.person_id
    LEFT JOIN due ON due.cohort_id = p.cohort_id
    WHERE c.incident_id = %s AND m.state <> ALL (%s::text[]) AND m.due_at IS DISTINCT FROM due.due_at
    ORDER BY m.id FOR UPDATE OF m)
UPDATE incidents_message m SET due_at = old.due_at FROM old WHERE m.id = old.id"""
SETTLED = sorted(FINAL_STATES | {MessageState.SENDING})


def earliest_deadlines(*, incident: Incident) -> dict[int, datetime]:
    """The earliest legal deadline of each cohort's letters; cohorts without one come last."""
    duties = Obligation.objects.filter(incident=incident, addressee="person", superseded=False, owed="yes")
    found: dict[int, datetime] = {}
    for cohort_id, due_at in duties.exclude(due_at=None).values_list("cohort_id", "due_at"):
        if cohort_id and due_at:
            found[cohort_id] = min(due_at, found.get(cohort_id, due_at))
    return found


def renew_deadlines(*, incident: Incident) -> int:
    """Letters planned before the duties changed follow the new deadlines; returns how many. In the caller's transaction."""
    due = earliest_deadlines(incident=incident)
    with connection.cursor() as cursor:
        cursor.execute(RENEW, [list(due), list(due.values()), incident.pk, SETTLED])
        return int(cursor.rowcount)
