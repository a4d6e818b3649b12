"""People of a list who look like somebody whom two people rejected before: asked about, with what was decided then.

Whoever was rejected as nobody of the incident is nobody's match: a later row that fits them is a person of its own, who waits
until somebody says that they are one after all, or two people reject them again; also where it fits somebody living as well,
by nothing that is theirs alone. For those excluded see `knowing`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any, NamedTuple

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import QuerySet

from incidents.audit.actions import Action
from incidents.models import ImportBatch, Incident, QueueEntry
from incidents.models.people import QueueStatus
from incidents.people.decisions import AGAIN, EXCLUSIONS, WAITING, DecisionRefused, log, take, write
from incidents.people.likeness import FREE, PLACE
from incidents.people.staged import STAGED

#: Somebody who is known may be whom the row means, beside whoever was rejected.
MAY_BE = "fits this person, and somebody whom two people rejected"
#: How many are named.
NAMED = 20
#: SQL: whoever two people rejected as nobody of the incident. Few are ever rejected.
REJECTED = f"""
SELECT * FROM incidents_affectedperson x WHERE x.incident_id = %(incident)s AND x.status = 'rejected'
  AND x.id NOT IN ({EXCLUSIONS})"""  # noqa: S608
#: Asked first: nearly always there is nobody, and then a million people are not gone through.
ANYBODY = f"SELECT EXISTS ({REJECTED})"
#: Rows that fit somebody rejected: one name (or none), and one number, reference, address, home or birth date.
FIT = f"""
INSERT INTO back SELECT s.number, x.id FROM ({REJECTED}) x
JOIN {STAGED} s ON coalesce(x.name_index, '') = coalesce(s.name_index, '') AND (x.customer_index = s.customer_index
  OR x.email_index = s.email_index OR s.email_index = ANY(x.other_email_indexes) OR x.name_birth_index = s.name_birth_index
  OR x.address_index = s.address_index OR x.reference = s.reference AND s.reference NOT LIKE 'p-____________')
WHERE {FREE}"""  # noqa: S608
#: Whoever was merged into somebody rejected stands for that one: their rows join nobody either.
FOLLOWED = f"""
INSERT INTO back SELECT number, person FROM (SELECT number, person FROM tie UNION SELECT number, person FROM doubt) t
JOIN ({REJECTED}) x ON x.id = t.person;
DELETE FROM tie USING ({REJECTED}) x WHERE x.id = person;
DELETE FROM doubt USING ({REJECTED}) x WHERE x.id = person"""  # noqa: S608
#: A row that fits a living person as well, by less than that one's own number or reference, may be either: it goes to nobody. It
#: does go to whoever was asked about for this very reason and accepted: a person after all.
EITHER = f"""
CREATE TEMP TABLE either ON COMMIT DROP AS
WITH torn AS (SELECT DISTINCT coalesce(s.keeper, s.number) AS root, b.person FROM back b JOIN staging s USING (number)),
  fits AS (SELECT s.number, g.root, g.person FROM torn g JOIN staging s ON coalesce(s.keeper, s.number) = g.root)
SELECT DISTINCT t.number, t.person FROM fits f JOIN tie t ON t.number = f.number
WHERE NOT EXISTS (SELECT FROM fits o JOIN tie u ON u.number = o.number WHERE o.root = f.root AND u.tier <= {PLACE["reference"]})
  AND NOT EXISTS (SELECT FROM incidents_queueentry q WHERE q.reason = '{AGAIN}' AND q.status = 'corrected'
    AND q.person_id = t.person AND q.other_id = f.person);
INSERT INTO doubt SELECT number, NULL, person, '{MAY_BE}' FROM either;
DELETE FROM tie t USING either e WHERE t.number = e.number AND t.person = e.person"""  # noqa: S608
#: Of a group that became nobody who is known; each once, beside whoever was rejected first.
ASK = f"""
INSERT INTO question SELECT DISTINCT ON (k.number) k.number, NULL::int, b.person, '{AGAIN}' FROM back b
JOIN staging s ON s.number = b.number JOIN staging k ON k.number = coalesce(s.keeper, s.number)
WHERE s.known_person IS NULL AND k.known_person IS NULL AND NOT k.rejected ORDER BY k.number, b.person"""  # noqa: S608
FIND = f"""
SELECT p.id, p.reference, count(*) OVER () FROM incidents_queueentry q JOIN incidents_affectedperson p ON p.id = q.person_id
WHERE q.reason = '{AGAIN}' AND q.status IN ('open', 'held', 'rejection_proposed') AND p.status NOT IN ('rejected', 'merged')
  AND EXISTS (SELECT FROM incidents_importrow i WHERE i.person_id = p.id AND i.batch_id = %(batch)s AND i.outcome = 'person')
  AND q.incident_id = %(incident)s AND q.kind = 'data' ORDER BY p.id LIMIT {NAMED}"""  # noqa: S608


class Again(NamedTuple):
    """How many people of a list wait because they look like somebody rejected, and the first of them: key and reference."""

    number: int = 0
    people: tuple[tuple[int, str], ...] = ()


NOBODY = Again()


def rejected_again(*, batch: ImportBatch) -> Again:
    """Of a list that was imported."""
    with connection.cursor() as cursor:
        if not anybody(cursor, incident_id=batch.incident_id):
            return NOBODY
        cursor.execute(FIND, {"incident": batch.incident_id, "batch": batch.pk})
        found = cursor.fetchall()
    return Again(int(found[0][2]), tuple((int(pk), str(reference)) for pk, reference, _ in found)) if found else NOBODY


def anybody(cursor: Any, *, incident_id: int) -> bool:
    """Whether two people have rejected anybody of this incident as nobody of it."""
    cursor.execute(ANYBODY, {"incident": incident_id})
    return bool(cursor.fetchone()[0])


def set_aside(cursor: Any, ids: dict[str, int]) -> None:
    """Note, in the temporary table `back`, which rows fit somebody rejected; to those goes no row."""
    if anybody(cursor, incident_id=ids["incident"]):
        for statement in (FOLLOWED, FIT, EITHER):
            cursor.execute(statement, ids)


def earlier_rejections(*, entries: Iterable[QueueEntry]) -> dict[int, QueueEntry]:
    """Of each of these entries, by its key: how the person whom it names as rejected before was rejected."""
    asked = {entry.pk: entry.other_id for entry in entries if entry.reason == AGAIN and entry.other_id}
    found = QueueEntry.objects.filter(person__in=set(asked.values()), status=QueueStatus.REJECTED)
    by_person = {one.person_id: one for one in found.select_related("decided_by", "second_by").order_by("-id")}
    return {pk: by_person[person] for pk, person in asked.items() if person in by_person}


@transaction.atomic
def propose_again(*, incident: Incident, entries: QuerySet[QueueEntry], author: User) -> int:
    """First of two: reject each again for the reason that was given before; returns how many. Raises DecisionRefused."""
    taken = take(incident, entries.filter(reason=AGAIN), *WAITING)
    before = earlier_rejections(entries=taken)
    if not before or len(before) < len(taken):
        raise DecisionRefused(
            "Of at least one of these entries no earlier rejection is known: propose it with its reason in words."
        )
    reasons = sorted(((before[entry.pk].decision_reason, entry.pk, entry) for entry in taken), key=lambda one: one[:2])
    for reason, group in groupby(reasons, key=lambda one: one[0]):
        same = [entry for _, _, entry in group]
        write(same, status=QueueStatus.REJECTION_PROPOSED, reason=reason, author=author)
        log(incident, author, Action.REJECTION_PROPOSED, same, reason=reason)
    return len(taken)
