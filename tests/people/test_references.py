"""What people, rows and entries of the log refer to is there: asked once for all rows of a statement instead of row by row."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Model

from incidents.models import AffectedPerson, AuditEvent, ImportRow, Incident
from incidents.people.importing import import_people

NOBODY = 999_999_999
#: Every reference that no foreign key checks.
REFERENCES: list[tuple[type[Model], str]] = [
    (model, field.attname)
    for model in (AffectedPerson, ImportRow, AuditEvent)
    for field in model._meta.concrete_fields
    if field.is_relation and not field.db_constraint  # type: ignore[attr-defined]
]


@pytest.fixture(autouse=True)
def people(incident: Incident, officer: User, cartier_list: Path) -> None:
    import_people(incident=incident, path=cartier_list, author=officer)


def copied(model: type[Model], **changed: Any) -> None:
    """Some rows once more, written by one statement, the last of them changed."""
    rows = list(model._default_manager.order_by("pk")[:3])
    for place, row in enumerate(rows):
        row.pk = None
        for name, value in {"reference": f"copy-{place}", "subject": f"{place:032x}", "number": 5000 + place}.items():
            if hasattr(row, name):
                setattr(row, name, value)
    for name, value in changed.items():
        setattr(rows[-1], name, value)
    model._default_manager.bulk_create(rows)


def test_these_are_all_references_of_the_three_large_tables() -> None:
    assert {f"{model.__name__}.{name}" for model, name in REFERENCES} == {
        "AffectedPerson.incident_id", "AffectedPerson.cohort_id", "AffectedPerson.amendment_id", "AffectedPerson.merged_into_id",
        "ImportRow.batch_id", "ImportRow.person_id", "ImportRow.merged_from_id", "ImportRow.corrected_by_id", "AuditEvent.log_id",
    }  # fmt: skip


@pytest.mark.parametrize("model", [AffectedPerson, ImportRow, AuditEvent])
def test_rows_that_name_what_is_there_are_written(model: type[Model]) -> None:
    before = model._default_manager.count()
    with transaction.atomic():
        copied(model)
        assert model._default_manager.count() == before + 3
        transaction.set_rollback(True)  # the list would not add up with them


@pytest.mark.parametrize(("model", "name"), REFERENCES)
def test_one_row_that_names_nothing_refuses_the_whole_statement(model: type[Model], name: str) -> None:
    status = {"status": "merged"} if name == "merged_into_id" else {}
    before = model._default_manager.count()
    # A merged person without a keeper is refused by an older check, which comes first.
    match = "merged into somebody" if name == "merged_into_id" else "not there|names nothing|names no log"
    with pytest.raises(IntegrityError, match=match), transaction.atomic():
        copied(model, **{name: NOBODY}, **status)
    assert model._default_manager.count() == before


@pytest.mark.parametrize(("model", "name"), [one for one in REFERENCES if one[0] is not AuditEvent])
def test_no_row_comes_to_name_what_is_not_there(model: type[Model], name: str) -> None:
    status = {"status": "merged"} if name == "merged_into_id" else {}
    match = "merged into somebody" if name == "merged_into_id" else "names nothing"
    row = model._default_manager.order_by("pk").first()
    assert row is not None
    with pytest.raises(IntegrityError, match=match), transaction.atomic():
        model._default_manager.filter(pk=row.pk).update(**{name: NOBODY}, **status)


@pytest.mark.parametrize(
    ("table", "where"),
    [
        ("incidents_affectedperson", "id = (SELECT min(person_id) FROM incidents_importrow)"),
        ("incidents_cohort", "id = (SELECT min(cohort_id) FROM incidents_affectedperson)"),
        ("incidents_importbatch", "id = (SELECT min(batch_id) FROM incidents_importrow)"),
        ("incidents_auditlog", "id = (SELECT min(log_id) FROM incidents_auditevent)"),
        ("incidents_incident", "id = (SELECT min(incident_id) FROM incidents_affectedperson)"),
    ],
)
def test_what_is_named_cannot_be_deleted_nor_renamed(table: str, where: str) -> None:
    changes = (f"DELETE FROM {table} WHERE {where}", f"UPDATE {table} SET id = {NOBODY} WHERE {where}")
    for change in changes:
        with pytest.raises(IntegrityError, match="is still named in"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(change)
