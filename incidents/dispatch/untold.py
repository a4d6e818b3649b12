"""Whom a law's date for letters still covers: everybody on the list of whom no letter arrived and no outcome is final."""

from __future__ import annotations

from django.db.models import Exists, OuterRef

from incidents.models import CampaignState, Incident, Message, RegisterEntry
from incidents.models import MessageState as S
from incidents.models.messages import FINAL_STATES, LEFT_STATES, in_states
from incidents.people.amending import GONE, living

#: A line in one of these speaks for its person for good; one that was replaced or cancelled leaves the person to a later one.
SETTLED = FINAL_STATES - LEFT_STATES


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
    never = living(incident=incident).filter(~Exists(RegisterEntry.objects.filter(person=OuterRef("pk"))))
    found = {*waiting.values_list("entry__person__cohort_id", flat=True).distinct().order_by()}
    found |= {*left.values_list("entry__person__cohort_id", flat=True).distinct().order_by()}
    return {pk for pk in found | {*never.values_list("cohort_id", flat=True).distinct().order_by()} if pk is not None}
