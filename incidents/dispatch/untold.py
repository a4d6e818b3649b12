"""Whom a law's date for letters still covers: everybody on the list of whom no letter arrived and no outcome is final."""

from __future__ import annotations

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from incidents.models import AffectedPerson, Campaign, CampaignState, Incident, Message, RegisterEntry
from incidents.models import MessageState as S
from incidents.models.messages import FINAL_STATES, LEFT_STATES, in_states
from incidents.people.amending import GONE, living

#: A line in one of these speaks for its person for good; one that was replaced or cancelled leaves the person to a later one.
SETTLED = FINAL_STATES - LEFT_STATES
#: How many of the living stand on no register, from what cohorts and registers hold: whoever stands on several counts once, and
#: whoever is gone not at all. Few rows are looked at, where to compare a million people with their registers takes seconds.
ON_NONE = """
SELECT (SELECT coalesce(sum(count), 0) FROM incidents_cohort WHERE incident_id = %(incident)s)
  - (SELECT coalesce(sum(people), 0) FROM incidents_campaign WHERE incident_id = %(incident)s)
  + (SELECT count(*) FROM incidents_registerentry e JOIN incidents_campaign c ON c.id = e.campaign_id
     WHERE c.incident_id = %(incident)s AND c.id <> %(first)s
       AND EXISTS (SELECT 1 FROM incidents_registerentry f WHERE f.person_id = e.person_id AND f.id < e.id))
  + (SELECT count(*) FROM incidents_affectedperson p WHERE p.incident_id = %(incident)s AND p.status IN ('rejected', 'merged')
       AND EXISTS (SELECT 1 FROM incidents_registerentry e WHERE e.person_id = p.id))"""


def untold_cohorts(*, incident: Incident) -> set[int] | None:
    """The cohorts in which somebody still waits for a letter that arrives; None = all, the first register is not through yet.

    Found from the letters that are not settled, which are few once a register is through, or was stopped and is made up for.
    """
    first = incident.campaigns.order_by("id").first()
    if first is None or (first.drained_at is None and first.state != CampaignState.STOPPED):
        return None
    lines = Message.objects.filter(campaign__incident=incident).exclude(entry__person__status__in=GONE)
    waiting = lines.filter(in_states(*(state for state in S if state not in FINAL_STATES)))
    later = Message.objects.filter(entry__person=OuterRef("entry__person"), pk__gt=OuterRef("pk"))
    left = lines.filter(in_states(*LEFT_STATES)).filter(~Exists(later))
    found = {*waiting.values_list("entry__person__cohort_id", flat=True).distinct().order_by()}
    found |= {*left.values_list("entry__person__cohort_id", flat=True).distinct().order_by()}
    never = _on_no_register(first)
    return {pk for pk in found | {*never.values_list("cohort_id", flat=True).distinct().order_by()} if pk is not None}


def _on_no_register(first: Campaign) -> QuerySet[AffectedPerson]:
    """The living on no register: those first known in an amendment have an index, the rest is looked for where there is any."""
    never = living(incident=first.incident).filter(~Exists(RegisterEntry.objects.filter(person=OuterRef("pk"))))
    late = never.filter(amendment__isnull=False)
    with connection.cursor() as cursor:
        cursor.execute(ON_NONE, {"incident": first.incident_id, "first": first.pk})
        on_none = int(cursor.fetchone()[0])
    return late if on_none == late.count() else never
