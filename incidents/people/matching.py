"""Finds rows that are the same person, inside the staging table. Tiers: customer number and name; without a number, e-mail and

name; without a number, name and birth date. One e-mail with two names stays two people; one number with two names is asked.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby
from typing import Any

from incidents.models import AffectedPerson
from incidents.models.people import QueueKind
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


def mark_merges(cursor: Any, incident_id: int) -> None:
    """Set `keeper` (a row) or `known_person` (imported before) on every row that is somebody's second row."""
    for columns, condition, reason in TIERS:
        cursor.execute(_merge_in_file(columns, condition), [reason])
        cursor.execute(_merge_with_known(columns, condition), [reason, incident_id])
    cursor.execute(
        "UPDATE staging s SET problems = problems || %s::jsonb FROM ("
        "  SELECT customer_index, min(number) AS first FROM staging WHERE customer_index IS NOT NULL AND keeper IS NULL"
        "  AND rejected IS NULL GROUP BY customer_index HAVING count(DISTINCT name_index) > 1) c"
        " WHERE s.customer_index = c.customer_index AND s.number > c.first AND s.keeper IS NULL AND s.rejected IS NULL",
        [CONFLICT],
    )


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
        WHERE p.incident_id = %s AND s.rejected IS NULL AND s.known_person IS NULL
          AND {same} AND {
        condition.replace("customer_index", "s.customer_index")
        .replace("email_index IS", "s.email_index IS")
        .replace("name_birth_index IS", "s.name_birth_index IS")
    }"""  # noqa: S608


GROUPS = """
SELECT number, subject, sealed, wrapped_key, elements, flags, problems, coalesce(keeper, number) FROM staging
WHERE keeper IS NOT NULL OR number IN (SELECT keeper FROM staging WHERE keeper IS NOT NULL) ORDER BY 8, 1"""


def join_details(cursor: Any, vault: Vault) -> None:
    """Give each keeper what its merged rows add: further addresses, elements, flags. Few rows, so one by one."""
    cursor.execute(GROUPS)
    for keeper, group in groupby(cursor.fetchall(), key=lambda row: row[7]):
        _join_group(cursor, vault, keeper, list(group))


def _join_group(cursor: Any, vault: Vault, keeper: int, group: list[Any]) -> None:
    people = [AffectedPerson(subject=row[1], sealed=row[2], wrapped_key=row[3]) for row in group]
    opened = [vault.open(person=person) for person in people]
    emails = tuple(dict.fromkeys(address for fields in opened for address in fields.emails))
    joined = replace(opened[0], emails=emails)
    sealed = vault.seal(fields=joined, subject=group[0][1])
    problems = [problem for row in group for problem in json.loads(row[6]) if _still(problem, bool(emails))]
    unique = list({json.dumps(problem, sort_keys=True): problem for problem in problems}.values())
    cursor.execute(
        "UPDATE staging SET sealed = %s, wrapped_key = %s, commitment = %s, elements = %s, flags = %s, problems = %s, "
        "has_email = %s WHERE number = %s",
        [
            sealed.sealed, sealed.wrapped_key, sealed.commitment, sorted({e for row in group for e in row[4]}),
            sorted({f for row in group for f in row[5]}), json.dumps(unique), bool(emails), keeper,
        ],
    )  # fmt: skip


def _still(problem: dict[str, str], has_address: bool) -> bool:
    """A second row with a good address answers the question about a bad or missing one."""
    return not (has_address and problem["kind"] in {QueueKind.ADDRESS, QueueKind.NO_CHANNEL})


def add_to_known(cursor: Any, vault: Vault) -> list[int]:
    """People imported before who get a further address from this file; returns their ids."""
    cursor.execute(
        "SELECT known_person, subject, sealed, wrapped_key FROM staging WHERE known_person IS NOT NULL ORDER BY number"
    )
    changed = []
    for person_id, subject, sealed, wrapped in cursor.fetchall():
        more = vault.open(person=AffectedPerson(subject=subject, sealed=sealed, wrapped_key=wrapped)).emails
        person = AffectedPerson.objects.select_for_update().get(pk=person_id)
        fields = vault.open(person=person)
        emails = tuple(dict.fromkeys((*fields.emails, *more)))
        if emails != fields.emails:
            again = vault.seal(fields=replace(fields, emails=emails), subject=person.subject)
            person.sealed, person.wrapped_key, person.has_email = again.sealed, again.wrapped_key, True
            person.save(update_fields=["sealed", "wrapped_key", "has_email"])
            changed.append(person_id)
    return changed
