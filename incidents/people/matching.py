"""Finds rows that are the same person, inside the staging table. Tiers: customer number and name; without a number, e-mail and

name; without a number, name and birth date. One e-mail with two names stays two people; one number with two names is asked.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from incidents.models import AffectedPerson, PersonStatus, QueueEntry
from incidents.models.people import QueueKind
from incidents.people.addresses import normal_address
from incidents.people.residence import PART_UNKNOWN, UNKNOWN
from incidents.people.rows import RESIDENCE_QUESTIONS, Problem
from incidents.vault import Vault

#: Tier -> (columns that must agree, condition, reason shown). The first that applies wins.
TIERS = (
    ("customer_index, name_index", "customer_index IS NOT NULL", "same customer number and name"),
    ("email_index, name_index", "customer_index IS NULL AND email_index IS NOT NULL", "same e-mail address and name"),
    ("name_birth_index", "customer_index IS NULL AND name_birth_index IS NOT NULL", "same name and birth date"),
)
CONFLICT = json.dumps(
    [{
        "kind": QueueKind.MATCH_CONFLICT, "column": "customer_number",
        "reason": "the same customer number stands beside another name", "remedy": "say whether they are one person",
    }]
)  # fmt: skip

#: A row merged into a row that a later tier merged as well belongs where that one went.
FLATTEN = (
    "UPDATE staging s SET keeper = k.keeper FROM staging k WHERE s.keeper = k.number AND k.keeper IS NOT NULL",
    "UPDATE staging s SET known_person = k.known_person FROM staging k "
    "WHERE s.keeper = k.number AND k.known_person IS NOT NULL AND s.known_person IS NULL",
)
ASK_CONFLICT = """
UPDATE staging s SET problems = problems || %(question)s::jsonb
WHERE s.customer_index IS NOT NULL AND s.keeper IS NULL AND s.known_person IS NULL AND s.rejected IS NULL AND (
  EXISTS (SELECT 1 FROM staging f WHERE f.customer_index = s.customer_index AND f.name_index <> s.name_index
          AND f.number < s.number AND f.keeper IS NULL AND f.rejected IS NULL)
  OR EXISTS (SELECT 1 FROM incidents_affectedperson p WHERE p.incident_id = %(incident)s
             AND p.customer_index = s.customer_index AND p.name_index <> s.name_index AND p.status <> 'rejected'))"""


def mark_merges(cursor: Any, incident_id: int) -> None:
    """Set `keeper` (a row) or `known_person` (imported before) on every row that is somebody's second row."""
    for columns, condition, reason in TIERS:
        cursor.execute(_merge_in_file(columns, condition), [reason])
        cursor.execute(_merge_with_known(columns, condition), [reason, incident_id])
    for statement in FLATTEN:
        cursor.execute(statement)
    cursor.execute(ASK_CONFLICT, {"question": CONFLICT, "incident": incident_id})


def _merge_in_file(columns: str, condition: str) -> str:
    return f"""
        UPDATE staging s SET keeper = k.first, merge_reason = %s
        FROM (SELECT number, min(number) OVER (PARTITION BY {columns}) AS first FROM staging
              WHERE {condition} AND keeper IS NULL AND known_person IS NULL AND rejected IS NULL) k
        WHERE s.number = k.number AND k.first <> s.number"""  # noqa: S608  (columns come from TIERS)


def _merge_with_known(columns: str, condition: str) -> str:
    same = " AND ".join(f"p.{name.strip()} = s.{name.strip()}" for name in columns.split(","))
    return f"""
        UPDATE staging s SET known_person = p.id, merge_reason = %s FROM incidents_affectedperson p
        WHERE p.incident_id = %s AND p.status <> 'rejected' AND s.rejected IS NULL AND s.known_person IS NULL
          AND {same} AND {
        condition.replace("customer_index", "s.customer_index")
        .replace("email_index IS", "s.email_index IS")
        .replace("name_birth_index IS", "s.name_birth_index IS")
    }"""  # noqa: S608


GROUPS = """
SELECT coalesce(keeper, number), number, subject, sealed, wrapped_key, elements, flags, problems, residence FROM staging
WHERE known_person IS NULL AND (keeper IS NOT NULL OR number IN (SELECT keeper FROM staging WHERE keeper IS NOT NULL))
ORDER BY 1, 2"""
KNOWN = """
SELECT known_person, number, subject, sealed, wrapped_key, elements, flags, problems, residence FROM staging
WHERE known_person IS NOT NULL ORDER BY 1, 2"""


@dataclass(frozen=True)
class _Joined:
    """What several rows of one person say together."""

    emails: tuple[str, ...]
    elements: list[str]
    flags: list[str]
    problems: list[dict[str, str]]
    homes: list[str]


def _join(rows: list[Any], vault: Vault) -> _Joined:
    opened = [vault.open(person=AffectedPerson(subject=row[2], sealed=row[3], wrapped_key=row[4])) for row in rows]
    problems = [problem for row in rows for problem in (row[7] if isinstance(row[7], list) else json.loads(row[7]))]
    return _Joined(
        emails=tuple(dict.fromkeys(address for fields in opened for address in fields.emails)),
        elements=sorted({element for row in rows for element in row[5]}),
        flags=sorted({flag for row in rows for flag in row[6]}),
        problems=list({json.dumps(problem, sort_keys=True): problem for problem in problems}.values()),
        homes=[row[8] for row in rows],
    )


def _homes(places: list[str]) -> list[str]:
    """The different places among several; 'US' beside 'US-CA' is not another place, and unknown is none."""
    named = [place for place in dict.fromkeys(places) if place != UNKNOWN]
    return [place for place in named if not any(other.startswith(f"{place}-") for other in named)]


def _questions(joined: _Joined, place: str, has_address: bool) -> list[dict[str, str]]:
    """The questions that are still open for one person of all rows; two homes are a question of their own."""
    answered = {QueueKind.ADDRESS, QueueKind.NO_CHANNEL} if has_address else set()
    answered |= {QueueKind.RESIDENCE_UNKNOWN} if place != UNKNOWN else set()
    answered |= {QueueKind.STATE_UNKNOWN} if place not in {UNKNOWN, *PART_UNKNOWN} else set()
    found = [problem for problem in joined.problems if problem["kind"] not in answered]
    kind, reason, remedy = RESIDENCE_QUESTIONS["residence_conflict"]
    if len(_homes([place, *joined.homes])) > 1 and not any(problem["kind"] == kind for problem in found):
        found.append(asdict(Problem(kind, "", reason, remedy)))
    return found


def join_details(cursor: Any, vault: Vault) -> None:
    """Give each keeper what its merged rows add: addresses, elements, flags, questions. Few rows, so one by one."""
    cursor.execute(GROUPS)
    for keeper, group in groupby(cursor.fetchall(), key=lambda row: row[0]):
        _join_group(cursor, vault, keeper, list(group))


def _join_group(cursor: Any, vault: Vault, keeper: int, group: list[Any]) -> None:
    _, _, subject, sealed_before, key, *_, place = group[0]
    joined = _join(group, vault)
    first = vault.open(person=AffectedPerson(subject=subject, sealed=sealed_before, wrapped_key=key))
    sealed = vault.seal(fields=replace(first, emails=joined.emails), subject=subject)
    homes = _homes(joined.homes)
    cursor.execute(
        "UPDATE staging SET sealed = %s, wrapped_key = %s, commitment = %s, elements = %s, flags = %s, problems = %s, "
        "has_email = %s, possible = CASE WHEN %s THEN %s ELSE possible END WHERE number = %s",
        [
            sealed.sealed, sealed.wrapped_key, sealed.commitment, joined.elements, joined.flags,
            json.dumps(_questions(joined, place, bool(joined.emails))), bool(joined.emails), len(homes) > 1, homes, keeper,
        ],
    )  # fmt: skip


def add_to_known(cursor: Any, vault: Vault) -> None:
    """Give people imported before what this file adds to them; what was asked of them already is not asked again."""
    cursor.execute(KNOWN)
    found = cursor.fetchall()
    cursor.execute("UPDATE staging SET commitment = '' WHERE known_person IS NOT NULL")
    for person_id, group in groupby(found, key=lambda row: row[0]):
        rows = list(group)
        person = AffectedPerson.objects.select_for_update().get(pk=person_id)
        commitment = _add(person, _join(rows, vault), vault)
        if commitment:
            cursor.execute("UPDATE staging SET commitment = %s WHERE number = %s", [commitment, rows[-1][1]])


def _add(person: AffectedPerson, joined: _Joined, vault: Vault) -> str:
    """Returns the new commitment when the person's sealed record changed."""
    fields, commitment = vault.open(person=person), ""
    emails = tuple(dict.fromkeys((*fields.emails, *joined.emails)))
    if emails != fields.emails:
        again = vault.seal(fields=replace(fields, emails=emails), subject=person.subject)
        person.sealed, person.wrapped_key, person.has_email = again.sealed, again.wrapped_key, True
        person.email_index = vault.blind(kind="email", value=normal_address(emails[0]))
        commitment = again.commitment
    before = (person.elements, person.flags)
    person.elements = sorted({*person.elements, *joined.elements})
    person.flags = sorted({*person.flags, *joined.flags})
    asked = set(person.queue.values_list("kind", "column", "reason"))
    decided = person.residence_from == "decision"
    questions = [
        QueueEntry(incident=person.incident, person=person, **question)
        for question in _questions(joined, person.residence, person.has_email)
        if (question["kind"], question["column"], question["reason"]) not in asked
        and not (decided and question["kind"] == QueueKind.RESIDENCE_CONFLICT)
    ]
    if any(question.kind == QueueKind.RESIDENCE_CONFLICT for question in questions):
        person.possible_residences = _homes([*person.possible_residences, person.residence, *joined.homes])
    if questions:
        QueueEntry.objects.bulk_create(questions)
        person.status = PersonStatus.ATTENTION
    if commitment or questions or before != (person.elements, person.flags):
        person.save()
    return commitment
