"""By when each person's letter has to have left: it orders the sending, and says when a campaign will be late."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from incidents.models import Incident, Obligation
from incidents.models.messages import FINAL_STATES, MessageState

#: In the order of their keys, as everybody locks them. Those that are being sent are not waited for, whoever ends their chunk
#: locks them in another order: one that is written at this very moment keeps its deadline.
RENEW = """
WITH due AS (SELECT * FROM unnest(%s::bigint[], %s::timestamptz[]) AS d(cohort_id, due_at)),
  old AS (SELECT m.id, due.due_at FROM incidents_message m JOIN incidents_campaign c ON c.id = m.campaign_id
    JOIN incidents_registerentry e ON e.id = m.entry_id JOIN incidents_affectedperson p ON p.id = e.person_id
    LEFT JOIN due ON due.cohort_id = p.cohort_id
    WHERE c.incident_id = %s AND {which} AND m.due_at IS DISTINCT FROM due.due_at
    ORDER BY m.id FOR UPDATE OF m {wait})
UPDATE incidents_message m SET due_at = old.due_at FROM old WHERE m.id = old.id"""
#: What a provider has taken waits for nothing: only if it comes back is it sent once more (`renewed_of`).
SETTLED = sorted(FINAL_STATES | {MessageState.SENDING, MessageState.ACCEPTED})
WAYS = (("m.state <> ALL (%s::text[])", ""), ("m.state = ANY (%s::text[])", "SKIP LOCKED"))


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
    due, renewed = earliest_deadlines(incident=incident), 0
    with connection.cursor() as cursor:
        for (which, wait), states in zip(WAYS, (SETTLED, [MessageState.SENDING]), strict=True):
            cursor.execute(RENEW.format(which=which, wait=wait), [list(due), list(due.values()), incident.pk, list(states)])
            renewed += cursor.rowcount
    return renewed


RENEW_THESE = """
UPDATE incidents_message m SET due_at = due.at FROM (
  SELECT t.id, (SELECT min(o.due_at) FROM incidents_obligation o WHERE o.cohort_id = p.cohort_id AND o.addressee = 'person'
    AND o.owed = 'yes' AND NOT o.superseded) AS at
  FROM incidents_message t JOIN incidents_registerentry e ON e.id = t.entry_id
    JOIN incidents_affectedperson p ON p.id = e.person_id WHERE t.id = ANY (%s)) due
WHERE m.id = due.id AND m.due_at IS DISTINCT FROM due.at RETURNING m.id, m.due_at"""


def renewed_of(*, messages: list[int]) -> dict[int, datetime | None]:
    """Letters that come back from a provider follow the deadlines of today; returns those that changed. The caller has locked
    them."""
    with connection.cursor() as cursor:
        cursor.execute(RENEW_THESE, [messages])
        return dict(cursor.fetchall())
