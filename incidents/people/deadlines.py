"""By when each person's letter has to have left: it orders the sending, and says when a campaign will be late."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

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


@dataclass(frozen=True)
class Earliest:
    """By when the letters of a cohort have to have left, and whose date that is."""

    #: The law's; None: no law that asks for these letters gives a date.
    due_at: datetime | None = None
    #: Our own target, where the law gives no date. Never the law's.
    ours_at: datetime | None = None
    #: The laws whose date, or for which our target, it is, by jurisdiction.
    laws: tuple[str, ...] = ()
    #: Where the day of that date ends; empty: the incident's own place.
    zone: str = ""
    #: All dates of the cohort with their laws, what was superseded too: letters on their way keep the date that they left with.
    known: Mapping[datetime, tuple[str, ...]] = field(default_factory=dict)

    def laws_of(self, due_at: datetime | None) -> tuple[str, ...]:
        """Whose date this is, for a letter of the cohort."""
        return self.laws if due_at == self.due_at else self.known.get(due_at, ()) if due_at else ()


def earliest_of(*, cohorts: Collection[int]) -> dict[int, Earliest]:
    """The earliest legal deadline of each of these cohorts' letters, or our own target; one query for all."""
    asked = Obligation.objects.filter(cohort__in=cohorts, addressee="person", owed="yes").order_by("jurisdiction", "id")
    standing: dict[int, list[_Duty]] = {}
    known: dict[int, dict[datetime, tuple[str, ...]]] = {}
    for cohort_id, superseded, *date in asked.values_list(
        "cohort_id", "superseded", "jurisdiction", "due_at", "internal_target_at", "duty__deadline__zone"
    ):
        duty, pk = _Duty(*date), cohort_id or 0
        dates = known.setdefault(pk, {})
        if duty.due_at:
            dates[duty.due_at] = tuple(sorted({*dates.get(duty.due_at, ()), duty.law}))
        if not superseded:
            standing.setdefault(pk, []).append(duty)
    return {pk: _earliest(standing.get(pk, []), dates) for pk, dates in known.items()}


class _Duty(NamedTuple):
    law: str
    due_at: datetime | None
    ours_at: datetime | None
    zone: str | None


def _earliest(duties: list[_Duty], known: Mapping[datetime, tuple[str, ...]]) -> Earliest:
    due_at = min((duty.due_at for duty in duties if duty.due_at), default=None)
    ours_at = None if due_at else min((duty.ours_at for duty in duties if duty.ours_at), default=None)
    first = [duty for duty in duties if (duty.due_at == due_at if due_at else ours_at and duty.ours_at == ours_at)]
    zone = first[0].zone if first else None
    return Earliest(due_at, ours_at, tuple(sorted({duty.law for duty in first})), zone or "", known)


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
