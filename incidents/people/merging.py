"""One person or two: a merge is decided, or taken back, by somebody, with a reason; nothing that either side said is lost.

A merge by the rules of the import is undone row by row: the row becomes a person of its own again, and whatever only it had said
leaves the one who stays. Two people are merged the same way: the later known into the earlier, who then says what both said.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import AffectedPerson, ImportRow, Incident, Merge, PersonStatus, QueueEntry, RowOutcome
from incidents.models.people import QueueKind, QueueStatus
from incidents.people import joining
from incidents.people.adding import ANSWERED, DECISION, as_row
from incidents.people.amending import beside_freezes, current_amendment
from incidents.people.cohorts import refresh_cohorts
from incidents.people.decisions import (
    LATER,
    LEFT,
    UNDECIDED,
    WAITING,
    DecisionRefused,
    follow,
    is_note,
    log,
    note,
    on_signed_register,
    question,
    reason_of,
    take,
    write,
)
from incidents.people.joining import Question, Whole
from incidents.people.kept import KeptRow, open_row, seal_row
from incidents.people.later import differences, is_grave, with_what_differs
from incidents.people.locking import lock_people, locked_people
from incidents.people.matching import INDEXES, blind_indexes
from incidents.vault import Vault

GONE = (PersonStatus.REJECTED, PersonStatus.MERGED)
BY_DECISION = "decision"


@dataclass(frozen=True)
class _Work:
    """What every step needs."""

    incident: Incident
    vault: Vault
    reason: str
    author: User
    now: datetime


#: Of two people whose merge was taken back: what their entry says, decided from the beginning.
WERE_MERGED = "were merged, and are two people"


def _work(incident: Incident, reason: str, author: User) -> _Work:
    return _Work(incident, Vault(incident=incident), reason_of(reason), author, database_now())


# -- two people ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def keep_apart(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Decide that these are two people each; returns how many entries. No later list asks about the same two again."""
    why = reason_of(reason)
    taken = take(incident, entries.filter(kind=QueueKind.MATCH_CONFLICT), *WAITING, as_signed=True)
    write(taken, status=QueueStatus.CORRECTED, reason=why, author=author)
    log(incident, author, Action.PEOPLE_KEPT_APART, taken, reason=why)
    return len(taken)


# -- one person ----------------------------------------------------------------------------------------------------------


@transaction.atomic
def merge_people(*, incident: Incident, entries: QuerySet[QueueEntry], reason: str, author: User) -> int:
    """Decide that the two of each entry are one person; returns how many were merged. Raises DecisionRefused."""
    work, merged = _work(incident, reason, author), 0
    beside_freezes(incident)
    for entry in _taken(entries.filter(incident=incident, kind=QueueKind.MATCH_CONFLICT, status__in=WAITING)):
        if entry.other_id is None or entry.person_id is None:
            raise DecisionRefused("The entry does not say with whom this person may be one: say 'two people', or reject one.")
        merged += _merge(work, _keeper_of(entry.person_id), _keeper_of(entry.other_id))
    refresh_cohorts(incident=incident)
    return merged


def _taken(asked: QuerySet[QueueEntry]) -> list[QueueEntry]:
    """The entries, with everybody whom a merge of them may touch locked at once, by id."""
    while True:
        point, people = transaction.savepoint(), _everybody(asked)
        lock_people(keys=people)
        found = list(asked.order_by("id"))
        if _everybody(found) <= people:
            transaction.savepoint_commit(point)
            return found
        transaction.savepoint_rollback(point)  # somebody was merged or asked about meanwhile: all of them anew, in their order


def _everybody(entries: Iterable[QueueEntry]) -> set[int]:
    """The two of each entry, and whoever stands for one who was merged before."""
    found = {one for entry in entries for one in (entry.person_id, entry.other_id) if one}
    merged = AffectedPerson.objects.exclude(merged_into=None)
    while more := set(merged.filter(pk__in=found).values_list("merged_into_id", flat=True)) - found:
        found |= {one for one in more if one}
    return found


def _keeper_of(person_id: int) -> int:
    """The one who stands for somebody who was merged before."""
    while keeper := AffectedPerson.objects.filter(pk=person_id).values_list("merged_into_id", flat=True).get():
        person_id = keeper
    return person_id


def _merge(work: _Work, one: int, two: int) -> bool:
    """Merge two people, unless earlier entries of the same bulk made them one already."""
    people = AffectedPerson.objects.filter(pk__in=[one, two]).select_for_update(of=("self",)).order_by("pk")
    pair = {person.pk: person for person in people}
    if one == two:
        return False
    keeper, other = _roles(pair)
    before, absorbed = _with_questions(work, keeper), _with_questions(work, other)
    whole = joining.join([before, absorbed], decided=keeper.residence_from == DECISION)
    other.status, other.merged_into = PersonStatus.MERGED, keeper
    other.save(update_fields=["status", "merged_into"])
    for row in other.import_rows.all():
        row.outcome, row.person, row.merged_from = RowOutcome.MERGED, keeper, other
        row.save(update_fields=["outcome", "person", "merged_from"])
    _close(work, other.queue.filter(status__in=[*WAITING, QueueStatus.REJECTION_PROPOSED]), f"merged: {work.reason}")
    asked = Q(kind=QueueKind.MATCH_CONFLICT, status__in=WAITING)
    _close(work, QueueEntry.objects.filter(asked & (Q(person=keeper, other=other) | Q(person=other, other=keeper))), work.reason)
    _keep_own_row(work, keeper, before)
    commitment = _become(work, keeper, before, whole, joined=absorbed)
    Merge.objects.create(
        incident=work.incident, person=keeper, other=other, tier=BY_DECISION, reason=work.reason, author=work.author,
        merged_at=work.now,
    )  # fmt: skip
    _record(work, Action.PERSON_MERGED, keeper, other=other.subject, commitment=commitment)
    return True


def _roles(pair: dict[int, AffectedPerson]) -> tuple[AffectedPerson, AffectedPerson]:
    """Who stays (the one on a signed register, else the earlier known) and who is merged. Raises DecisionRefused."""
    signed = on_signed_register(pair)
    if len(signed) == 2:
        raise DecisionRefused(
            "Both people are on a frozen register with a letter of their own. Exclude one of them, by two, if it is one person."
        )
    gone = [person for person in pair.values() if person.status in GONE or person.erased_at]
    if gone:
        raise DecisionRefused(f"{gone[0].reference} is '{gone[0].get_status_display()}' or erased and cannot be merged.")
    first, second = sorted(pair.values(), key=lambda person: (person.pk not in signed, person.pk))
    return first, second


# -- what two or more say together ---------------------------------------------------------------------------------------


def _with_questions(work: _Work, person: AffectedPerson) -> KeptRow:
    # A rejection that was only proposed ends with the merge; what it would have answered is asked of who stays.
    waiting = person.queue.filter(status__in=[*UNDECIDED, QueueStatus.HELD]).exclude(kind=QueueKind.MATCH_CONFLICT)
    return replace(as_row(person=person, vault=work.vault), problems=[question(entry) for entry in waiting])


def _keep_own_row(work: _Work, keeper: AffectedPerson, before: KeptRow) -> None:
    """Before the first merge that changes somebody, their own row is kept as they were."""
    own = keeper.import_rows.filter(outcome=RowOutcome.PERSON).order_by("id").first()
    kept = open_row(sealed=own.sealed, vault=work.vault, incident=work.incident.reference) if own else KeptRow()
    if own and kept.fields is None:
        row = replace(before, cells=kept.cells)
        own.sealed = seal_row(row=row, vault=work.vault, incident=work.incident.reference)
        own.save(update_fields=["sealed"])


def _become(
    work: _Work, person: AffectedPerson, before: KeptRow, whole: Whole, stop: Sequence[Question] | None = None,
    joined: KeptRow | None = None,
) -> str:  # fmt: skip
    """Write what somebody is from now on; returns the new commitment, '' where the record did not change.

    `stop`: what is asked no longer. `joined`: who was merged into them.
    """
    if person.pk in on_signed_register([person.pk]):
        _ask_of_signed(work, person, before, whole, stop, joined)
        return ""
    commitment = ""
    if _differs(before, whole):
        sealed = work.vault.seal(fields=whole.fields, subject=person.subject)
        person.sealed, person.wrapped_key, person.key_version = sealed.sealed, sealed.wrapped_key, sealed.key_version
        commitment, columns = sealed.commitment, _columns(whole, work.vault)
        for name, value in columns.items():
            setattr(person, name, value)
        person.save(update_fields=["sealed", "wrapped_key", "key_version", *columns])
    answered = joining.answered_kinds(whole.fields, whole.residence)
    gone = [
        entry.pk
        for entry in person.queue.filter(status__in=WAITING)
        if entry.kind in answered
        or question(entry) in (stop or ())
        or joining.replaced_question(reason=entry.reason, has_post=whole.has_post)
    ]
    _close(work, person.queue.filter(pk__in=gone), ANSWERED)
    _ask(work, person, whole.problems)
    follow([person.pk])
    return commitment


def _ask_of_signed(
    work: _Work, person: AffectedPerson, before: KeptRow, whole: Whole, stop: Sequence[Question] | None, joined: KeptRow | None
) -> None:
    """What was signed stays. What a merge says otherwise is named, and what was asked of the other one is asked of who stays."""
    rows, decided = [joined] if joined else [], person.residence_from == DECISION
    said = differences(before=before, whole=whole, rows=rows, decided=decided)
    if _differs(before, whole) or joining.TWO_READERS in whole.problems or any(map(is_grave, said)):
        _ask(work, person, [note(with_what_differs(LATER, said) if joined else LEFT)])
    _ask(work, person, [one for one in (joined.problems if joined else []) if one in whole.problems])
    _close(work, _waiting(person, [one for one in stop or () if not is_note(one["reason"])]), ANSWERED)
    follow([person.pk])


def _waiting(person: AffectedPerson, questions: Sequence[Question]) -> QuerySet[QueueEntry]:
    found = person.queue.filter(status__in=WAITING)
    return found.filter(pk__in=[entry.pk for entry in found if question(entry) in questions])


def _differs(before: KeptRow, whole: Whole) -> bool:
    names = ("fields", "residence", "possible", "elements", "flags", "language", "has_post")
    return any(getattr(before, name) != getattr(whole, name) for name in names)


def _columns(whole: Whole, vault: Vault) -> dict[str, Any]:
    *found, others = blind_indexes(whole.fields, vault)
    return {
        "residence": whole.residence, "residence_from": whole.residence_from, "confidence": whole.confidence,
        "possible_residences": whole.possible, "elements": whole.elements, "flags": whole.flags, "language": whole.language,
        "has_email": bool(whole.fields.emails), "has_post": whole.has_post, "other_email_indexes": others or None,
        **{f"{kind}_index": value for kind, value in zip(INDEXES, found, strict=True)},
    }  # fmt: skip


def _ask(work: _Work, person: AffectedPerson, questions: Sequence[Question]) -> None:
    """Ask what was not asked before; what only another row had answered is asked again."""
    asked = [question(entry) for entry in person.queue.all() if entry.decision_reason != ANSWERED]
    known = {(one["kind"], one["column"], one["reason"]) for one in asked}
    new = [one for one in questions if (one["kind"], one["column"], one["reason"]) not in known]
    QueueEntry.objects.bulk_create([QueueEntry(incident=work.incident, person=person, **one) for one in new])


def _close(work: _Work, entries: QuerySet[QueueEntry], reason: str) -> None:
    entries.update(
        status=QueueStatus.CORRECTED, decision_reason=reason, decided_by=work.author, decided_at=work.now, held_until=None
    )


def _record(work: _Work, action: Action, person: AffectedPerson, **data: object) -> None:
    told = {"reason": work.reason, **{name: value for name, value in data.items() if value}}
    record(incident=work.incident, action=action, actor=work.author.username, data=told, subject=person.subject)


# -- undoing -------------------------------------------------------------------------------------------------------------


@transaction.atomic
def undo_merge(*, merge: Merge, reason: str, author: User) -> AffectedPerson:
    """Take a merge back; returns the person who is one of their own again. Raises DecisionRefused with what stands in the way."""
    beside_freezes(merge.incident)
    work = _work(merge.incident, reason, author)
    found = Merge.objects.select_for_update(of=("self",)).select_related("row").get(pk=merge.pk)
    if found.undone_at:
        raise DecisionRefused("This merge was undone before.")
    both = [one for one in (found.person_id, found.other_id) if one]
    keeper = next(one for one in locked_people(keys=both) if one.pk == found.person_id)
    _refuse_undo(work.incident, keeper)
    rest = _parts(work, keeper, without=found)
    one, leaves = _split_person(work, found) if found.other_id else _split_row(work, found, keeper)
    _leave(work, keeper, rest, leaves)
    found.undone_at, found.undone_by, found.undo_reason = work.now, author, work.reason
    found.save(update_fields=["undone_at", "undone_by", "undo_reason"])
    QueueEntry.objects.create(
        incident=work.incident, person=one, other=keeper, kind=QueueKind.MATCH_CONFLICT, reason=WERE_MERGED,
        remedy="nothing", status=QueueStatus.CORRECTED, decision_reason=work.reason, decided_by=author, decided_at=work.now,
    )  # fmt: skip
    follow([one.pk])
    refresh_cohorts(incident=work.incident)
    _record(work, Action.MERGE_UNDONE, keeper, other=one.subject)
    return one


def _refuse_undo(incident: Incident, keeper: AffectedPerson) -> None:
    if keeper.status in GONE or keeper.erased_at:
        raise DecisionRefused(
            f"{keeper.reference}, into whom this was merged, is '{keeper.get_status_display()}' or erased. Undo that merge first."
        )
    if incident.campaigns.exists() and current_amendment(incident=incident) is None:
        raise DecisionRefused(
            "The register is frozen: whoever is split off now needs a letter of their own. Open an amendment first, then undo "
            "the merge and let the person join it."
        )


def _parts(work: _Work, keeper: AffectedPerson, *, without: Merge) -> list[KeptRow]:
    """What somebody's own row and all other merged rows and people said, as far as it is kept; empty when nothing was added."""
    name = work.incident.reference
    own = keeper.import_rows.filter(outcome=RowOutcome.PERSON).order_by("id").first()
    kept = open_row(sealed=own.sealed, vault=work.vault, incident=name) if own else KeptRow()
    if kept.fields is None:
        return []
    parts = [kept]
    for merge in keeper.merges.filter(undone_at=None).exclude(pk=without.pk).select_related("row", "other").order_by("id"):
        if merge.other:
            parts.append(as_row(person=merge.other, vault=work.vault))
        elif merge.row:
            parts.append(open_row(sealed=merge.row.sealed, vault=work.vault, incident=name))
    return [part for part in parts if part.fields]


def _split_row(work: _Work, merge: Merge, keeper: AffectedPerson) -> tuple[AffectedPerson, KeptRow]:
    """The row as a person of its own."""
    row = merge.row
    kept = open_row(sealed=row.sealed if row else None, vault=work.vault, incident=work.incident.reference)
    if row is None or kept.fields is None or row.person_id != keeper.pk:
        raise DecisionRefused("Of this row nothing is kept any more, or it belongs to somebody else by now. Import it again.")
    subject = secrets.token_hex(16)
    sealed = work.vault.seal(fields=kept.fields, subject=subject)
    taken = work.incident.people.filter(reference=kept.reference).exists()
    one = AffectedPerson.objects.create(
        incident=work.incident, subject=subject, reference=f"{kept.reference}-{subject[:8]}" if taken else kept.reference,
        sealed=sealed.sealed, wrapped_key=sealed.wrapped_key, key_version=sealed.key_version,
        status=PersonStatus.ATTENTION if kept.problems else PersonStatus.CLEAR, **_columns(joining.join([kept]), work.vault),
    )  # fmt: skip
    _ask(work, one, [problem for problem in kept.problems if problem["kind"] != QueueKind.MATCH_CONFLICT])
    row.outcome, row.person, row.reason = RowOutcome.PERSON, one, ""
    row.save(update_fields=["outcome", "person", "reason"])
    _record(work, Action.PERSON_ADDED, one, commitment=sealed.commitment)
    return one, kept


def _split_person(work: _Work, merge: Merge) -> tuple[AffectedPerson, KeptRow]:
    """The person as they were before a decision merged them, with the questions that were theirs."""
    one = AffectedPerson.objects.get(pk=merge.other_id or 0)  # locked with the keeper
    questions = [question(entry) for entry in one.queue.filter(decided_at=merge.merged_at)]
    one.status, one.merged_into = PersonStatus.CLEAR, None
    one.save(update_fields=["status", "merged_into"])
    one.queue.filter(decided_at=merge.merged_at).exclude(kind=QueueKind.MATCH_CONFLICT).update(
        status=QueueStatus.OPEN, decision_reason="", decided_by=None, decided_at=None
    )
    joined = set(one.merges.filter(undone_at=None).exclude(row=None).values_list("row_id", flat=True))
    for row in ImportRow.objects.filter(merged_from=one):
        row.outcome = RowOutcome.MERGED if row.pk in joined else RowOutcome.PERSON
        row.person, row.merged_from = one, None
        row.save(update_fields=["outcome", "person", "merged_from"])
    return one, replace(as_row(person=one, vault=work.vault), problems=questions)


def _leave(work: _Work, keeper: AffectedPerson, rest: list[KeptRow], leaves: KeptRow) -> None:
    """Take from somebody what only the part that leaves had said; what was decided since stays."""
    if not rest:
        return
    decided = keeper.residence_from == DECISION
    now = as_row(person=keeper, vault=work.vault)
    with_it, without_it = joining.join([*rest, leaves], decided=decided), joining.join(rest, decided=decided)
    with_it = joining.as_it_moved(with_it, now=now, leaves=leaves, rest=rest)
    stop = [one for one in leaves.problems if one not in without_it.problems]
    stop += [one for one in with_it.problems if one not in without_it.problems]
    _become(work, keeper, now, joining.taken_out(now, with_it, without_it), stop)
