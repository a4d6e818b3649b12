"""A list -> people: rows streamed by COPY into a staging table (sealed already), then set-based SQL; every row accounted for.

One transaction: a file is imported whole or not at all, and the same file (SHA-256) a second time changes nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import Entry, database_now, record, record_many
from incidents.law.pack import load_packs
from incidents.models import AffectedPerson, ImportBatch, ImportRow, Incident, PersonStatus, RowOutcome
from incidents.people import matching, reading
from incidents.people.cohorts import MINOR, SAME, create_cohorts, refresh_cohorts
from incidents.people.rows import Expected, Prepared, Problem, indexes, prepare
from incidents.vault import Vault

STAGING = """
DROP TABLE IF EXISTS pg_temp.staging;
CREATE TEMP TABLE staging (
  number int PRIMARY KEY, reference text, subject text, sealed bytea, wrapped_key bytea, commitment text,
  customer_index bytea, email_index bytea, name_index bytea, name_birth_index bytea,
  residence text, residence_from text, possible text[], elements text[], flags text[], language text, has_email boolean,
  problems jsonb, rejected jsonb, raw bytea, keeper int, known_person bigint, merge_reason text
) ON COMMIT DROP"""
COPY_COLUMNS = (
    "number, reference, subject, sealed, wrapped_key, commitment, customer_index, email_index, name_index, name_birth_index, "
    "residence, residence_from, possible, elements, flags, language, has_email, problems, rejected, raw"
)
#: People come with their cohort: writing a million of them a second time would cost as much as writing them.
INSERT_COHORTS = create_cohorts(
    rows=f"(SELECT residence, elements, {MINOR} AS minors FROM staging "  # noqa: S608
    "WHERE keeper IS NULL AND known_person IS NULL AND rejected IS NULL)"
)
INSERT_PEOPLE = f"""
INSERT INTO incidents_affectedperson (incident_id, reference, subject, sealed, wrapped_key, customer_index, email_index,
  name_index, name_birth_index, residence, residence_from, possible_residences, elements, flags, language, has_email, status,
  cohort_id)
SELECT %(incident)s, CASE WHEN twin > 1 OR EXISTS (SELECT 1 FROM incidents_affectedperson p
    WHERE p.incident_id = %(incident)s AND p.reference = s.reference)
  THEN s.reference || '-' || left(s.subject, 8) ELSE s.reference END,
  subject, sealed, wrapped_key, customer_index, email_index, name_index, name_birth_index, residence, residence_from, possible,
  elements, flags, language, has_email, CASE WHEN jsonb_array_length(problems) > 0 THEN 'attention' ELSE 'clear' END,
  (SELECT c.id FROM incidents_cohort c WHERE {SAME.replace("f.", "s.")})
FROM (SELECT *, {MINOR} AS minors, row_number() OVER (PARTITION BY reference ORDER BY number) AS twin FROM staging
      WHERE keeper IS NULL AND known_person IS NULL AND rejected IS NULL) s ORDER BY number"""  # noqa: S608
INSERT_ROWS = """
INSERT INTO incidents_importrow (batch_id, number, outcome, person_id, "column", reason, remedy, sealed)
SELECT %(batch)s, s.number,
  CASE WHEN s.rejected IS NOT NULL THEN 'rejection_pending' WHEN s.merge_reason IS NOT NULL THEN 'merged' ELSE 'person' END,
  coalesce(s.known_person, p.id), coalesce(s.rejected ->> 'column', ''),
  coalesce(s.rejected ->> 'reason', s.merge_reason, ''), coalesce(s.rejected ->> 'remedy', ''), s.raw
FROM staging s LEFT JOIN staging k ON k.number = s.keeper
LEFT JOIN incidents_affectedperson p ON p.subject = coalesce(k.subject, s.subject) ORDER BY s.number"""
INSERT_QUEUE = """
INSERT INTO incidents_queueentry (incident_id, person_id, row_id, kind, "column", reason, remedy, status, decision_reason)
SELECT %(incident)s, p.id, NULL, q ->> 'kind', q ->> 'column', q ->> 'reason', q ->> 'remedy', 'open', ''
FROM staging s JOIN incidents_affectedperson p ON p.subject = s.subject, jsonb_array_elements(s.problems) q
UNION ALL
SELECT %(incident)s, NULL, r.id, 'row', r."column", r.reason, r.remedy, 'open', ''
FROM incidents_importrow r WHERE r.batch_id = %(batch)s AND r.outcome = 'rejection_pending'"""


@dataclass(frozen=True)
class Accounting:
    """Rows in = people + merged + needs attention + rejection pending + rejected; `held` are part of needs attention."""

    rows_in: int
    people: int
    merged: int
    needs_attention: int
    rejection_pending: int
    rejected: int
    held: int

    @property
    def adds_up(self) -> bool:
        parts = self.people + self.merged + self.needs_attention + self.rejection_pending + self.rejected
        return self.rows_in == parts


@dataclass(frozen=True)
class ImportReport:
    """What became of one file."""

    already_known: bool
    rows: int
    accounting: Accounting


def import_people(
    *,
    incident: Incident,
    path: Path,
    author: User,
    encoding: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Import one list. Raises reading.FileRefused with row, column and remedy; then nothing was stored."""
    file = reading.inspect(path=path, encoding=encoding)
    with transaction.atomic(), connection.cursor() as cursor:
        # One import at a time, and none beside a freeze: what is looked up here must still hold at the end.
        Incident.objects.select_for_update(no_key=True).get(pk=incident.pk)
        if incident.imports.filter(sha256=file.sha256).exists():
            return ImportReport(True, 0, account(incident=incident))
        if incident.campaigns.exists():
            raise reading.FileRefused(
                "The register is frozen: late-found people join as an amendment of their own, which this version cannot make "
                "yet. Keep the file; nothing was imported."
            )
        batch = ImportBatch.objects.create(
            incident=incident, sha256=file.sha256, encoding=file.encoding, delimiter=file.delimiter,
            columns=list(file.columns), author=author, imported_at=database_now(),
        )  # fmt: skip
        batch.rows = _stage(cursor, incident, file, progress)
        if not batch.rows:
            raise reading.FileRefused("The file holds a header but no rows. Export the list again.")
        batch.save(update_fields=["rows"])
        _settle(cursor, incident, batch, author)
    return ImportReport(False, batch.rows, account(incident=incident))


def expected_elements(*, incident: Incident) -> Expected:
    """What the newest facts say of the elements, for reading rows."""
    states = incident.facts.facts["elements"]
    return Expected(vocabulary=frozenset(load_packs().vocabulary.elements), states=states)


def _stage(cursor: Any, incident: Incident, file: reading.ListFile, progress: Callable[[int], None] | None) -> int:
    vault, expected, count = Vault(incident=incident), expected_elements(incident=incident), 0
    cursor.execute(STAGING)
    with cursor.copy(f"COPY staging ({COPY_COLUMNS}) FROM STDIN") as out:
        for number, cells in reading.rows(file=file):
            prepared = prepare(number=number, cells=cells, columns=file.columns, expected=expected)
            out.write_row(_staged(prepared, cells, vault, incident.reference))
            count += 1
            if progress and count % 1000 == 0:
                progress(count)
    return count


def _staged(row: Prepared, cells: list[str], vault: Vault, incident: str) -> tuple[object, ...]:
    if row.rejected:
        raw = vault.seal_blob(plain=json.dumps(cells, ensure_ascii=False).encode(), bound_to=f"import_row|{incident}")
        return (
            row.number,
            None,
            row.subject,
            *[None] * 7,
            None,
            None,
            [],
            [],
            [],
            None,
            False,
            "[]",
            _json(row.rejected),
            raw,
        )
    sealed, index = vault.seal(fields=row.fields, subject=row.subject), indexes(fields=row.fields, vault=vault)
    return (
        row.number, row.reference, row.subject, sealed.sealed, sealed.wrapped_key, sealed.commitment, index["customer"],
        index["email"], index["name"], index["name_birth"], row.place.place, row.place.recorded, list(row.place.possible),
        list(row.elements), list(row.flags), row.language, bool(row.fields.emails),
        json.dumps([asdict(problem) for problem in row.problems]), None, None,
    )  # fmt: skip


def _json(problem: Problem) -> str:
    return json.dumps(asdict(problem))


def _settle(cursor: Any, incident: Incident, batch: ImportBatch, author: User) -> None:
    vault = Vault(incident=incident)
    cursor.execute("CREATE INDEX ON staging (customer_index, name_index); CREATE INDEX ON staging (subject); ANALYZE staging")
    matching.mark_merges(cursor, incident.pk)
    matching.join_details(cursor, vault)
    matching.add_to_known(cursor, vault)
    ids = {"incident": incident.pk, "batch": batch.pk}
    for statement in (INSERT_COHORTS, INSERT_PEOPLE, INSERT_ROWS, INSERT_QUEUE):
        cursor.execute(statement, ids)
    refresh_cohorts(incident=incident)
    counts = asdict(account(incident=incident))
    data = {"file_sha256": batch.sha256, "rows": batch.rows, "list_after": counts}
    record(incident=incident, action=Action.SOURCE_IMPORTED, actor=author.username, data=data)
    record_many(incident=incident, actor=author.username, entries=_entries(cursor))


def _entries(cursor: Any) -> Iterator[Entry]:
    cursor.execute(
        "SELECT s.subject, s.commitment, s.merge_reason, coalesce(p.subject, k.subject), p.id FROM staging s "
        "LEFT JOIN staging k ON k.number = s.keeper LEFT JOIN incidents_affectedperson p ON p.id = s.known_person "
        "WHERE s.rejected IS NULL ORDER BY s.number"
    )
    found = cursor.fetchall()
    for subject, commitment, merge_reason, into, known in found:
        if merge_reason:
            again = {"commitment": commitment} if known and commitment else {}
            yield Entry(Action.PERSON_MERGED, {"reason": merge_reason, **again}, into)
        else:
            yield Entry(Action.PERSON_ADDED, {"commitment": commitment}, subject)


def account(*, incident: Incident) -> Accounting:
    """Count where every row of every file of the incident stands."""
    rows = ImportRow.objects.filter(batch__incident=incident)
    people = AffectedPerson.objects.filter(incident=incident)
    held = people.filter(status=PersonStatus.HELD).count()
    waiting = people.filter(status=PersonStatus.ATTENTION).count()
    rejected_rows = rows.filter(outcome=RowOutcome.REJECTED).count()
    return Accounting(
        rows_in=rows.count(),
        people=people.filter(status=PersonStatus.CLEAR).count(),
        merged=rows.filter(outcome=RowOutcome.MERGED).count(),
        needs_attention=waiting + held,
        rejection_pending=rows.filter(outcome=RowOutcome.REJECTION_PENDING).count(),
        rejected=rejected_rows + people.filter(status=PersonStatus.REJECTED).count(),
        held=held,
    )
