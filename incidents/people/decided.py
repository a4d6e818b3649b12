"""What was really done where a question of the queue is decided: one stored status stands for several answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from incidents.audit.actions import Action
from incidents.models import AuditEvent, QueueEntry
from incidents.models.people import PersonStatus, QueueKind, QueueStatus
from incidents.people.adding import ANSWERED
from incidents.people.merging import WERE_MERGED
from incidents.people.returned import REASON as BY_CORRECTED_ROW

ONE, TWO = "decided: one person", "decided: two people"
#: What the log says of a decision -> what was done, in words.
DONE = {
    "accepted as it stands": "accepted as it stands",
    "residence": "corrected: the residence is set",
    "fields": "corrected",
    "e-mail is safe": "accepted: e-mail is safe",
}
NAMED, REPRESENTED = "decided: a representative is named", "represented: "
GONE, MERGED = "decided: merged into another person", "merged: "
#: Action, subject, kind of the question and reason of a decision -> when it was written, and what was done.
Told = dict[tuple[str, str, str, str], list[tuple[datetime, str]]]


def done_in_words(*, entries: Sequence[QueueEntry]) -> dict[int, str]:
    """By their keys: what was done with these entries; with those that wait, are held or rejected, as their status says."""
    decided = [entry for entry in entries if entry.status == QueueStatus.CORRECTED]
    told = _told(decided)
    return {entry.pk: QueueStatus(entry.status).words for entry in entries} | {entry.pk: _done(entry, told) for entry in decided}


def _told(entries: Sequence[QueueEntry]) -> Told:
    """What the log tells of decisions about these people."""
    found: Told = {}
    for incident in {entry.incident_id for entry in entries}:
        subjects = {entry.person.subject for entry in entries if entry.person and entry.incident_id == incident}
        events = AuditEvent.objects.filter(
            log__incident=incident, subject__in=subjects, action__in=(Action.PERSON_CORRECTED, Action.PEOPLE_KEPT_APART)
        )
        for event in events.order_by("id"):
            data = json.loads(event.line)["data"]
            key = (event.action, event.subject, data.get("kind", ""), data.get("reason", ""))
            found.setdefault(key, []).append((event.happened_at, data.get("what", "")))
    return found


def _done(entry: QueueEntry, told: Told) -> str:
    if entry.decision_reason in (ANSWERED, BY_CORRECTED_ROW):
        return "answered by another row" if entry.decision_reason == ANSWERED else "corrected by a row of the reject file"
    about = (entry.person.subject if entry.person else "", entry.kind, entry.decision_reason)
    if entry.kind == QueueKind.MATCH_CONFLICT:
        if entry.reason == WERE_MERGED or (Action.PEOPLE_KEPT_APART, *about) in told:
            return TWO
        merged = (one.status == PersonStatus.MERGED for one in (entry.person, entry.other) if one)
        return ONE if any(merged) else QueueStatus.CORRECTED.words
    if entry.decision_reason.startswith(MERGED) and entry.person and entry.person.status == PersonStatus.MERGED:
        return GONE
    decided_at = entry.decided_at
    # The log is written behind the decision, in one transaction.
    after = [what for at, what in told.get((Action.PERSON_CORRECTED, *about), ()) if decided_at and at >= decided_at]
    what = after[0] if after else ""
    return NAMED if what.startswith(REPRESENTED) else DONE.get(what, QueueStatus.CORRECTED.words)
