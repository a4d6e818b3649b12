"""A person as a row of a list again: to be checked anew after a correction, or to be written into the reject file."""

from __future__ import annotations

from incidents.audit.log import database_now
from incidents.models import AffectedPerson
from incidents.people.reading import KNOWN_COLUMNS
from incidents.people.rows import prepare
from incidents.people.staging import expected_of
from incidents.record import PersonFields
from incidents.vault import Vault

#: The columns of a list, in our names; `correction_of` ties a row to another and is none of them.
COLUMNS = tuple(name for name in KNOWN_COLUMNS if name not in ("correction_of", "truth_residency", "truth_element_set"))


def list_row(*, person: AffectedPerson, fields: PersonFields) -> dict[str, str]:
    """A person's record in the columns of a list."""
    row = {name: str(getattr(fields, name)) for name in COLUMNS if hasattr(fields, name)} | dict(fields.evidence)
    if fields.emails:
        row["email"] = fields.emails[0]
    return row | {
        "person_id": person.reference, "language": person.language, "elements": ";".join(person.elements),
        "flags": ";".join(person.flags),
    }  # fmt: skip


def still_asked(*, person: AffectedPerson) -> set[tuple[str, str, str]]:
    """The questions (kind, column, reason) that a person's record raises as it reads now, on the list that named them first."""
    list_of = person.import_rows.order_by("id").select_related("batch")[0].batch
    row = list_row(person=person, fields=Vault(incident=person.incident).open(person=person))
    prepared = prepare(
        number=0, cells=[row.get(name, "") for name in COLUMNS], columns=COLUMNS, expected=expected_of(batch=list_of),
        today=database_now().date(),
    )  # fmt: skip
    problems = (*prepared.problems, prepared.rejected) if prepared.rejected else prepared.problems
    return {(problem.kind, problem.column, problem.reason) for problem in problems}
