"""Erases people: the key, the record and everything else that could name them go; what proves that they were told stays.

What goes: the sealed record with its key (addresses, representative and birth date among it), earlier versions, blind indexes,
the rows of the list that became or joined this person, letters in the local inbox, what providers wrote about them, the words of
their queue entries, their flags, and the reference (a customer's number, if the file gave it). What stays names nobody: the
random subject, residence, language, leaked elements and whether a minor (the counts of the law rest on them), the register's
line, the log. Reasons that officers wrote stay too, as written: they are the record of a decision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import Entry, record_many
from incidents.models import Incident
from incidents.people import erased_list

#: Whoever was merged into somebody is the same human being, and goes with them.
WITH_MERGED = """
WITH RECURSIVE whole AS (
  SELECT id FROM incidents_affectedperson WHERE incident_id = %(incident)s AND id = ANY(%(people)s)
  UNION SELECT p.id FROM incidents_affectedperson p JOIN whole w ON p.merged_into_id = w.id
)
SELECT p.id, p.subject FROM incidents_affectedperson p JOIN whole w ON w.id = p.id
WHERE p.erased_at IS NULL ORDER BY p.id FOR UPDATE OF p"""
PERSON = """
UPDATE incidents_affectedperson SET sealed = NULL, wrapped_key = NULL, customer_index = NULL, email_index = NULL,
  name_index = NULL, name_birth_index = NULL, address_index = NULL, other_email_indexes = NULL,
  erased_at = clock_timestamp(),
  reference = 'erased-' || replace(gen_random_uuid()::text, '-', ''),
  flags = ARRAY(SELECT f FROM unnest(flags) f WHERE f IN ('minor_under_16', 'minor_16_17'))
WHERE id = ANY(%(people)s)"""
#: The mails of these people; test letters were filled with somebody's name, nobody wrote down whose.
MAILS = """
SELECT m.message_ref FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
WHERE e.person_id = ANY(%(people)s)"""
#: SQL: everything else that goes, table by table.
REST = (
    "UPDATE incidents_personversion SET sealed = NULL, wrapped_key = NULL WHERE person_id = ANY(%(people)s)",
    "UPDATE incidents_importrow SET sealed = NULL WHERE sealed IS NOT NULL "
    "AND (person_id = ANY(%(people)s) OR merged_from_id = ANY(%(people)s))",
    "UPDATE incidents_queueentry SET reason = '(erased)', remedy = '' "
    "WHERE person_id = ANY(%(people)s) OR other_id = ANY(%(people)s)",
    f"UPDATE incidents_inboxmessage SET sealed = '' WHERE sealed <> '' AND message_ref IN ({MAILS})",  # noqa: S608
    "UPDATE incidents_inboxmessage SET sealed = '' WHERE sealed <> '' AND incident_id = %(incident)s AND is_test",
    "UPDATE incidents_providerevent SET detail = '', recipient_hash = '' "  # noqa: S608
    f"WHERE (detail <> '' OR recipient_hash <> '') AND message_ref IN ({MAILS})",
    "UPDATE incidents_erasure SET state = 'done', done_at = clock_timestamp(), waits_for = '' "
    "WHERE person_id = ANY(%(people)s) AND state = 'waiting'",
)


@transaction.atomic
def shred(*, incident: Incident, people: Sequence[int], basis: str, actor: str, replayed: bool = False) -> int:
    """Erase these people (keys) and whoever was merged into them, with an entry each; returns how many.

    The database refuses it while a legal hold stands. `replayed`: they are on the list outside the database already.
    """
    found = lock_whole(incident=incident, people=people)
    if found:
        with connection.cursor() as cursor:
            _erase(cursor, incident, [pk for pk, _ in found])
    subjects = [row[1] for row in found]
    entries = [Entry(Action.PERSON_ERASED, {"basis": basis}, subject) for subject in subjects]
    if entries:
        record_many(incident=incident, actor=actor, entries=entries)
    if subjects and not replayed:
        # The last step: from here to the commit nothing is done that could fail for a reason of its own.
        erased_list.append(incident=incident, subjects=subjects)
    return len(subjects)


def lock_whole(*, incident: Incident, people: Sequence[int]) -> list[tuple[int, str]]:
    """Lock the incident, then these people and whoever was merged into them, by id; who of them is not erased, with subjects."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lock_incident(%s)", [incident.pk])  # as the database will when it is erased from
        cursor.execute(WITH_MERGED, {"incident": incident.pk, "people": list(people)})
        return list(cursor.fetchall())


def _erase(cursor: Any, incident: Incident, people: list[int]) -> None:
    for statement in (PERSON, *REST):
        cursor.execute(statement, {"incident": incident.pk, "people": people})
