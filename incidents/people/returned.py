"""Rows of a reject file that come back corrected: each is tied to the row that it corrects, and stands in its place.

`correction_of` is "<list>-<row>", as the reject file wrote it. A reference that fits nothing that waits refuses the whole file:
a correction that went to the wrong person would be worse than none.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import connection

from incidents.audit.log import database_now
from incidents.models import ImportBatch
from incidents.people.decisions import on_signed_register
from incidents.people.reading import FileRefused

Said = TypeVar("Said")
CORRECTION, REASON = "correction", "corrected row of the reject file"
#: Lines of a refusal; the rest are counted.
MOST = 20
TABLE = """
DROP TABLE IF EXISTS pg_temp.correction;
CREATE TEMP TABLE correction (number int, twin int, row_id bigint, outcome text, person bigint, waits boolean) ON COMMIT DROP"""
FIND = """
INSERT INTO correction SELECT c.number, c.twin, r.id, r.outcome, r.person_id, EXISTS (
    SELECT 1 FROM incidents_queueentry q WHERE (q.row_id = r.id OR q.person_id = r.person_id) AND q.status IN ('open', 'held'))
FROM (SELECT number, min(number) OVER (PARTITION BY correction_of) AS twin,
    CASE WHEN correction_of ~ '^[0-9]{1,15}-[0-9]{1,9}$' THEN string_to_array(correction_of, '-')::bigint[] END AS place
  FROM incidents_stagedrow WHERE batch_id = %(batch)s AND correction_of <> '') c
LEFT JOIN (incidents_importrow r JOIN incidents_importbatch b ON b.id = r.batch_id AND b.incident_id = %(incident)s)
  ON r.batch_id = c.place[1] AND r.number = c.place[2]"""
WRONG = """
SELECT number, twin, outcome, waits FROM correction
WHERE outcome IS NULL OR outcome NOT IN ('person', 'rejection_pending') OR NOT waits OR twin <> number ORDER BY number"""
#: Of each row that corrects another: the list of the first row of them all. A reject file always has a column of elements.
FIRST_OF = """
WITH RECURSIVE back AS (
  SELECT n.batch_id AS list, n.number AS row, o.id, o.batch_id FROM incidents_importrow o
  JOIN incidents_importrow n ON n.id = o.corrected_by_id
  JOIN incidents_importbatch b ON b.id = n.batch_id AND b.incident_id = %(incident)s WHERE n.outcome <> 'corrected'
  UNION ALL SELECT k.list, k.row, o.id, o.batch_id FROM back k JOIN incidents_importrow o ON o.corrected_by_id = k.id)
SELECT list, row, batch_id FROM back k WHERE NOT EXISTS (SELECT 1 FROM incidents_importrow o WHERE o.corrected_by_id = k.id)"""
TIE = f"""
UPDATE staging s SET known_person = c.person, merge_tier = '{CORRECTION}', merge_reason = '{REASON}' FROM correction c
WHERE s.number = c.number AND c.person IS NOT NULL AND NOT s.rejected"""  # noqa: S608
#: The corrected row takes the place of the one it corrects, which leaves the count; what was asked of a row is answered.
REPLACE = (
    f"""
UPDATE incidents_importrow n SET outcome = 'person' FROM correction c JOIN staging s USING (number)
WHERE n.batch_id = %(batch)s AND n.number = c.number AND s.merge_tier = '{CORRECTION}'""",  # noqa: S608
    """
UPDATE incidents_importrow o SET outcome = 'corrected', corrected_by_id = n.id, person_id = n.person_id
FROM correction c JOIN staging s USING (number) JOIN incidents_importrow n ON n.batch_id = %(batch)s AND n.number = c.number
WHERE o.id = c.row_id AND (NOT s.rejected OR c.person IS NULL)""",
    """
UPDATE incidents_queueentry q SET status = 'corrected', decision_reason = %(reason)s, decided_by_id = %(author)s,
  decided_at = %(now)s, held_until = NULL FROM correction c WHERE q.row_id = c.row_id AND q.status IN ('open', 'held')""",
)


def lists_of(*, batch: ImportBatch) -> frozenset[str]:
    """The numbers of the incident's lists, as a reject file writes them."""
    return frozenset(str(pk) for pk in batch.incident.imports.values_list("pk", flat=True))


def without_elements(*, batch: ImportBatch) -> dict[str, tuple[str, ...] | None]:
    """For a reject file: the lists and corrected rows of the incident that had no column of elements; see `Expected.without`."""
    lists = batch.incident.imports.values_list("pk", "columns", "elements")
    return _with_corrected(batch, {pk: tuple(elements) or None for pk, columns, elements in lists if "elements" not in columns})


def countries_of(*, batch: ImportBatch) -> dict[str, str]:
    """For a reject file: the lists and corrected rows of the incident of which a country was said, with that country."""
    lists = batch.incident.imports.exclude(list_country="").values_list("pk", "list_country")
    return _with_corrected(batch, dict(lists))


def _with_corrected(batch: ImportBatch, said: dict[int, Said]) -> dict[str, Said]:
    """What was said of lists, by their numbers, and the same of rows that correct theirs, as a reject file writes both."""
    if not said:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(FIRST_OF, {"incident": batch.incident_id})
        again = {f"{place}-{row}": said[first] for place, row, first in cursor.fetchall() if first in said}
    return {str(pk): one for pk, one in said.items()} | again


def take_corrections(cursor: Any, *, batch: ImportBatch) -> None:
    """Tie the rows that come back to what they correct, before anything is matched. Raises FileRefused naming the rows."""
    cursor.execute(TABLE)
    if "correction_of" not in batch.columns:
        return
    cursor.execute(FIND, {"incident": batch.incident_id, "batch": batch.pk})
    cursor.execute(WRONG)
    _refuse([_problem(*found) for found in cursor.fetchall()])
    cursor.execute("SELECT person, number FROM correction WHERE person IS NOT NULL")
    numbers: dict[int, int] = dict(cursor.fetchall())
    signed = sorted(numbers[person] for person in on_signed_register(numbers))
    _refuse([f"Row {number}: this person is on a frozen register. Correct them on their page." for number in signed])
    cursor.execute(TIE)


def _problem(number: int, twin: int, outcome: str | None, waits: bool) -> str:
    if outcome is None:
        return f"Row {number}: correction_of names no row of this incident's lists. Leave the column as the reject file has it."
    if twin != number:
        return f"Row {number}: corrects the same row as row {twin}. Keep one of them."
    if outcome == "corrected":
        return f"Row {number}: the row that it corrects was corrected before. Take the line out, or fetch a new reject file."
    return f"Row {number}: nothing is asked any more of the row that it corrects. Take the line out, or fetch a new reject file."


def _refuse(lines: list[str]) -> None:
    """Raises FileRefused if there is anything to refuse."""
    if lines:
        more = [f"... and {len(lines) - MOST} rows more."] if len(lines) > MOST else []
        raise FileRefused(*lines[:MOST], *more)


def replace_corrected(cursor: Any, *, batch: ImportBatch) -> None:
    """After people and rows are written: the rows that were corrected leave the count."""
    told = {"batch": batch.pk, "author": batch.author_id, "now": database_now(), "reason": REASON}
    for statement in REPLACE:
        cursor.execute(statement, told)
