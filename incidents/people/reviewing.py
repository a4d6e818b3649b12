"""A person as a row of a list again: to be checked anew after a correction, or to be written into the reject file.

What a list would ask about somebody, a correction asks too: a flag, an age or a missing representative is one whoever says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from django.contrib.auth.models import User

from incidents.audit.log import database_now
from incidents.models import AffectedPerson, ImportBatch, QueueEntry
from incidents.models.people import QueueStatus
from incidents.people.decisions import WAITING, follow, write
from incidents.people.person_facts import MINOR_OF_SOME_AGE, MINORS, Expected, minor_by_age, read_birth, read_flags
from incidents.people.questions import FLAG_QUESTIONS, GUARDIAN, Problem
from incidents.people.reading import KNOWN_COLUMNS
from incidents.people.rows import NO_ADDRESS, ONLY_POST, Prepared, prepare
from incidents.people.staging import expected_of
from incidents.record import PersonFields
from incidents.vault import Vault

Key = tuple[str, str, str]
#: The columns of a list, in our names; `correction_of` ties a row to another and is none of them.
COLUMNS = tuple(name for name in KNOWN_COLUMNS if name not in ("correction_of", "truth_residency", "truth_element_set"))
#: What a correction of these raises is asked as on a list.
RAISING = frozenset({"flags", "date_of_birth", "full_name", "representative_role", "representative_name", "representative_email"})
#: A minor is the same question by a flag, by the birth date, and without any.
BY_AGE = {minor_by_age(flag=flag).reason: FLAG_QUESTIONS[flag][1] for flag in MINORS} | {
    MINOR_OF_SOME_AGE: FLAG_QUESTIONS[MINORS[0]][1]
}
DECIDED = (QueueStatus.CORRECTED, QueueStatus.REJECTED)


def list_row(*, person: AffectedPerson, fields: PersonFields) -> dict[str, str]:
    """A person's record in the columns of a list."""
    row = {name: str(getattr(fields, name)) for name in COLUMNS if hasattr(fields, name)} | dict(fields.evidence)
    if fields.emails:
        row["email"] = fields.emails[0]
    return row | {
        "person_id": person.reference, "language": person.language, "elements": ";".join(person.elements),
        "flags": ";".join(person.flags),
    }  # fmt: skip


def key(question: Problem | QueueEntry) -> Key:
    """By what two questions are one (kind, column, reason)."""
    if question.kind == GUARDIAN and question.reason in BY_AGE:
        return question.kind, "flags", BY_AGE[question.reason]
    return question.kind, question.column, question.reason


def still_asked(*, person: AffectedPerson) -> set[Key]:
    """The questions that a person's record raises as it reads now, on the list that named them first."""
    prepared = _prepared(person, Vault(incident=person.incident).open(person=person))
    return {key(problem) for problem in ((*prepared.problems, prepared.rejected) if prepared.rejected else prepared.problems)}


def raised(*, person: AffectedPerson, fields: PersonFields) -> list[Problem]:
    """The questions about flags, age, name and representative that this record raises on the list that named the person first."""
    prepared = _prepared(person, fields)
    # A record that a list would refuse as a whole says all the same whom it would be dangerous to write to.
    found = read_flags(text=";".join(person.flags))[1] if prepared.rejected else prepared.problems
    return [problem for problem in found if problem.column in RAISING or problem.column == "email"]


def ask_anew(*, person: AffectedPerson, fields: PersonFields, before: Sequence[Problem]) -> None:
    """Open what a correction newly raises, in the caller's transaction; the person's status follows.

    What was decided once is asked again where the correction brings it back: that decision was about another record.
    """
    entries, was = list(person.queue.all()), {key(problem) for problem in before}
    waiting = {key(entry) for entry in entries if entry.status not in DECIDED}
    # An address that did not change was asked about, or set by a person, before.
    known = was & ({key(entry) for entry in entries} | {one for one in was if one[1] == "email"})
    new = [one for one in raised(person=person, fields=fields) if key(one) not in waiting | known]
    if new:
        QueueEntry.objects.bulk_create(
            [
                QueueEntry(
                    incident_id=person.incident_id, person=person, kind=one.kind, column=one.column, reason=one.reason,
                    remedy=one.remedy,
                )
                for one in new
            ]
        )  # fmt: skip
        follow([person.pk])
        person.refresh_from_db(fields=["status"])


def ask_for_other_way(*, person: AffectedPerson, reason: str, author: User) -> None:
    """Somebody who cannot be written to by post any more is not asked about post: that question becomes the one for a channel."""
    waiting = list(person.queue.filter(status__in=WAITING))
    by_post = [entry for entry in waiting if entry.reason == ONLY_POST.reason]
    if person.has_post or not by_post:
        return
    write(by_post, status=QueueStatus.CORRECTED, reason=reason, author=author)
    if not person.has_email and not any(key(entry) == key(NO_ADDRESS) for entry in waiting):
        QueueEntry.objects.create(incident_id=person.incident_id, person=person, **asdict(NO_ADDRESS))
        follow([person.pk])
    person.refresh_from_db(fields=["status"])


def flags_with_age(*, person: AffectedPerson, flags: Sequence[str], born: str, born_before: str) -> list[str]:
    """The flags with that of a minor by the birth date; without the one that only an earlier birth date had given."""
    today, aware_on = database_now().date(), _expected(person).aware_on
    kept = set(flags)
    if born != born_before:
        given = read_birth(born_before, today, aware_on)[1] if born_before else ""
        by_date = given and person.queue.filter(column="date_of_birth", reason=minor_by_age(flag=given).reason)
        kept -= {given} if by_date and by_date.exists() else set()
    age = read_birth(born, today, aware_on)[1] if born else ""
    return sorted(kept | {age} if age and not kept & set(MINORS) else kept)


def _prepared(person: AffectedPerson, fields: PersonFields) -> Prepared:
    row, expected, today = list_row(person=person, fields=fields), _expected(person), database_now().date()
    age = read_birth(fields.date_of_birth, today, expected.aware_on)[1] if fields.date_of_birth else ""
    row["flags"] = ";".join(flag for flag in person.flags if flag != age)
    # As a line of a reject file: its name is the record's, which somebody may have corrected.
    cells, columns = [*(row.get(name, "") for name in COLUMNS), ""], (*COLUMNS, "correction_of")
    return prepare(number=0, cells=cells, columns=columns, expected=expected, today=today)


def _expected(person: AffectedPerson) -> Expected:
    first = person.import_rows.order_by("id").select_related("batch").first()
    return expected_of(batch=first.batch if first else ImportBatch(incident=person.incident, columns=[], elements=[]))
