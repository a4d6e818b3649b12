"""What all decisions about people share: a reason, locked entries, statuses that follow, a line of the log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record_many
from incidents.models import Incident, Message, MessageState, QueueEntry
from incidents.models.messages import LEFT_STATES, TOLD_STATES
from incidents.models.people import QueueKind, QueueStatus
from incidents.models.refusal import Refused
from incidents.people.amending import beside_freezes
from incidents.people.locking import lock_people
from incidents.people.questions import FLAG_QUESTIONS
from incidents.people.taken_back import go_along
from incidents.visible import visible

UNDECIDED = (QueueStatus.OPEN, QueueStatus.REJECTION_PROPOSED)
NOTHING_DECIDED = (
    "Nothing was decided: of these entries none waits for this answer any more, or none can have it. Look at the queue again."
)
WAITING = (QueueStatus.OPEN, QueueStatus.HELD)
#: Notes beside people of a frozen register, of what came too late for it; answering one changes nothing that was signed.
LATER = "a later list says more, or otherwise, than the record that was signed"
LEFT = "a merge was undone after the register was frozen"
#: What a correction asks of somebody who was told already: no answer changes that letter, it stands before a further one.
OF_FLAGS = frozenset(kind for kind, _, _ in FLAG_QUESTIONS.values())
#: Questions about where somebody lives.
RESIDENCE_KINDS = (QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_UNKNOWN, QueueKind.RESIDENCE_CONFLICT)
#: Somebody of a list who would be written to although two people excluded them.
EXCLUDED = "seems to be somebody whom two people excluded"
#: Somebody of a list who would be written to although two people rejected them as nobody of the incident.
AGAIN = "seems to be somebody whom two people rejected"
#: Both are answered by somebody's word alone: no correction of the record takes back what two people said.
ABOUT_REJECTED = (EXCLUDED, AGAIN)
#: SQL: the exclusions that stand.
EXCLUSIONS = "SELECT person_id FROM incidents_exclusion WHERE confirmed_at IS NOT NULL AND withdrawn_at IS NULL"
#: A person's status follows from their entries, in this order of weight. Who was merged stays with their keeper, and whoever two
#: people excluded stays excluded.
FOLLOW = f"""
UPDATE incidents_affectedperson p SET status = s.status FROM (
  SELECT q.person_id, CASE WHEN bool_or(q.status = 'rejected') THEN 'rejected'
      WHEN bool_or(q.status IN ('open', 'rejection_proposed')) THEN 'attention'
      WHEN bool_or(q.status = 'held') THEN 'held' ELSE 'clear' END AS status
  FROM incidents_queueentry q WHERE q.person_id = ANY(%s) GROUP BY q.person_id) s
WHERE p.id = s.person_id AND p.status <> s.status AND p.status <> 'merged' AND p.id NOT IN ({EXCLUSIONS})"""  # noqa: S608


class DecisionRefused(Refused):
    """A decision on a queue entry was refused; nothing changed."""


def question(entry: QueueEntry) -> dict[str, str]:
    """An entry as the question that a row raised."""
    return {"kind": entry.kind, "column": entry.column, "reason": entry.reason, "remedy": entry.remedy}


def is_note(reason: str) -> bool:
    """Whether an entry with this reason is a note; what a later list says may be named behind it."""
    return reason == LEFT or reason.startswith(LATER)


def note(reason: str) -> dict[str, str]:
    """A note as a question."""
    remedy = "correct the person in an amendment if the letter is to change; then accept this entry"
    return {"kind": QueueKind.DATA, "column": "", "reason": reason, "remedy": remedy}


def reason_of(text: str) -> str:
    """The reason in words. Raises DecisionRefused without one."""
    if not visible(text):
        raise DecisionRefused("A decision needs its reason in words.")
    return text.strip()


def on_signed_register(people: Iterable[int], *, but_for: Iterable[str] = ()) -> set[int]:
    """Who of these people has a letter on a frozen register. The line of somebody held waits for a decision."""
    left = [*LEFT_STATES, MessageState.HELD, *but_for]
    lines = Message.objects.filter(entry__person__in=list(people)).exclude(state__in=left)
    return set(lines.values_list("entry__person_id", flat=True))


def take(
    incident: Incident, entries: QuerySet[QueueEntry], *statuses: str, told: bool = False, as_signed: bool = False
) -> list[QueueEntry]:
    """The entries of the incident in these states, locked. Raises DecisionRefused for people whose register was signed.

    `told`: the decision may be about flags of people whose letter went out. `as_signed`: it lets everything signed stand.
    """
    beside_freezes(incident)
    own = entries.filter(incident=incident, status__in=statuses)
    lock_people(keys=own.values("person"))  # whose status follows from the entries
    taken = list(own.select_related("person", "decided_by").select_for_update(of=("self",)).order_by("id"))
    if as_signed:
        return taken
    flags = [entry for entry in taken if told and entry.kind in OF_FLAGS]
    signed = on_signed_register([entry.person_id for entry in taken if entry.person_id and entry not in flags])
    over = (*TOLD_STATES, MessageState.UNREACHABLE)
    _may_change(signed | on_signed_register([entry.person_id for entry in flags if entry.person_id], but_for=over))
    return taken


def _may_change(signed: set[int]) -> None:
    if signed:
        raise DecisionRefused(
            f"The register is frozen, and {len(signed)} of these people are on it: what was signed cannot change. Correct them "
            "one by one on their pages, which takes back a letter that has not left and puts them into the open amendment; or "
            "exclude them, by two."
        )


def follow(people: Iterable[int | None]) -> None:
    """Let the statuses of these people follow from their entries."""
    with connection.cursor() as cursor:
        cursor.execute(FOLLOW, [[person for person in people if person]])


def write(entries: Iterable[QueueEntry], *, status: str, reason: str, author: User, until: date | None = None) -> None:
    """Write one decision to these entries, and let their people's statuses follow; whose letter was taken back goes along."""
    taken = list(entries)
    QueueEntry.objects.filter(pk__in=[entry.pk for entry in taken]).update(
        status=status, decision_reason=reason, decided_by=author, decided_at=database_now(), held_until=until
    )
    follow(entry.person_id for entry in taken)
    go_along(people=dict.fromkeys(entry.person_id for entry in taken), reason=f"decided: {reason}", author=author)


def log(incident: Incident, author: User, action: Action, entries: Iterable[QueueEntry], **data: object) -> None:
    """One line for each entry, without personal data."""
    record_many(
        incident=incident,
        actor=author.username,
        entries=[Entry(action, {"kind": entry.kind, **data}, entry.person.subject if entry.person else "") for entry in entries],
    )
