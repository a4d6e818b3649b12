"""Where every row of every list stands: counted by the same function of the database that refuses an import that loses one."""

from __future__ import annotations

from dataclasses import dataclass, fields

from django.db import connection

from incidents.models import ImportBatch, Incident
from incidents.people.residence import OF_LIST

#: In the order of `import_balance` (a function of the database, see the migrations).
COUNTS = "rows_in, people, merged, needs_attention, rejection_pending, rejected, held, corrected"


@dataclass(frozen=True)
class Accounting:
    """Rows in = people + merged + needs attention + rejection pending + rejected; `held` are part of needs attention.

    A row that a later list corrects leaves `rows_in` (it is one of `corrected`): the row in its place is counted instead.
    """

    rows_in: int
    people: int
    merged: int
    needs_attention: int
    rejection_pending: int
    rejected: int
    held: int
    corrected: int = 0

    @property
    def adds_up(self) -> bool:
        """Whether nobody was lost."""
        parts = self.people + self.merged + self.needs_attention + self.rejection_pending + self.rejected
        return self.rows_in == parts

    @property
    def in_words(self) -> str:
        """Every number by its name."""
        return ", ".join(f"{getattr(self, one.name)} {one.name.replace('_', ' ')}" for one in fields(self))


def living_by(*, batch: ImportBatch) -> int:
    """How many rows of a list are of people who live where somebody said it of the whole list, and nothing says it better."""
    if not batch.list_country:
        return 0
    by_it = {"person__residence_from__startswith": OF_LIST, "person__residence__startswith": batch.list_country}
    return batch.import_rows.filter(**by_it).count()


def account(*, incident: Incident) -> Accounting:
    """Count where every row of every list of the incident stands."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {COUNTS} FROM import_balance(%s)", [incident.pk])  # noqa: S608
        return Accounting(*cursor.fetchone())
