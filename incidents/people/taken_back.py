"""People whose letter a correction took back, and who stand in no amendment: each is owed one, and none of them is forgotten.

Once nothing is asked of them any more they join the open amendment by themselves; as long as that is not so they are named.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.db.models import Count, Exists, OuterRef, QuerySet

from incidents.models import AffectedPerson, Incident, Message, MessageState, PersonStatus
from incidents.models.messages import in_states
from incidents.people.amending import current_amendment, inside, living, put_in

NAMED = {
    PersonStatus.CLEAR: "let them join the open amendment (page Amendments, or amend join), or exclude them, by two",
    PersonStatus.ATTENTION: "decide their entries (or hold them until a date); they join the open amendment by themselves",
    PersonStatus.HELD: "held until a date; once that is decided they join the open amendment by themselves",
}


def taken_back(*, incident: Incident) -> QuerySet[AffectedPerson]:
    """Everybody, decided or not, whose newest message was replaced and who are in no amendment that is open."""
    later = Message.objects.filter(entry__person=OuterRef("entry__person"), pk__gt=OuterRef("pk"))
    left = Message.objects.filter(in_states(MessageState.REPLACED), campaign__incident=incident).exclude(Exists(later))
    found, current = living(incident=incident).filter(pk__in=left.values("entry__person")), current_amendment(incident=incident)
    return found.filter(~inside(current)) if current else found


def taken_back_lines(*, incident: Incident, but_for: Iterable[str] = ()) -> list[str]:
    """How many there are, by what keeps them, in words with the remedy; empty when nobody is left behind."""
    found = taken_back(incident=incident).exclude(status__in=[*but_for])
    counts = dict(found.order_by().values_list("status").annotate(Count("pk")))
    return [
        f"{counts[status]} people whose letter was taken back by a correction are in no campaign: {remedy}"
        for status, remedy in NAMED.items()
        if counts.get(status)
    ]


def go_along(*, people: Iterable[int | None], reason: str, author: User) -> int:
    """Those of these of whom nothing is asked any more join the open amendment, in the caller's transaction; returns how many.

    The caller holds the people, and the incident against a freeze.
    """
    keys = [person for person in people if person]
    first = AffectedPerson.objects.filter(pk__in=keys[:1]).select_related("incident").first()
    amendment = current_amendment(incident=first.incident) if first else None
    if first is None or amendment is None:
        return 0
    found = list(taken_back(incident=first.incident).filter(pk__in=keys, status=PersonStatus.CLEAR).order_by("id"))
    if found:
        put_in(amendment=amendment, people=found, messages=[], reason=reason, author=author)
    return len(found)
