"""The import under the importer's own database role: what a role may not read is found here and not on the worst day."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import BatchState, ErasureState, ImportBatch, Incident
from incidents.people import importing, uploads
from incidents.people.importing import account, carry_on, import_people
from incidents.people.rejects import write_reject_file
from incidents.tasks import import_difference, import_list
from incidents.vault import Vault
from tests.conftest import CAST, COLUMNS
from tests.roles import acting

pytestmark = pytest.mark.committed


@pytest.fixture
def operator(committed: None, officer: User) -> User:
    """The author as the importer knows them: by name, without what only the desk may read."""
    return User.objects.defer("password").get(pk=officer.pk)


def test_a_second_list_adds_to_people_who_are_known(
    committed: None, incident: Incident, operator: User, write_list: Callable[..., Path]
) -> None:
    newcomer = {**CAST[1], "person_id": "dora", "customer_number": "C77", "full_name": "Dora Deux", "email": "dora@example.org"}
    again = {**CAST[0], "email": "claire.two@example.org", "flags": "erasure_pending"}
    with acting("importer"):
        import_people(incident=incident, path=write_list(*CAST), author=operator)
        report = import_people(incident=incident, path=write_list(again, newcomer), author=operator)
    assert (report.rows, report.accounting.merged, report.accounting.adds_up) == (2, 1, True)
    assert incident.people.count() == len(CAST) + 1
    erasure = incident.erasures.get()
    assert (erasure.person.reference, erasure.state) == ("claire", ErasureState.WAITING)


def test_an_uploaded_list_is_compared_and_carried_on_to_its_end(
    committed: None, incident: Incident, operator: User, officer: User, write_list: Callable[..., Path]
) -> None:
    first, newer = (
        write_list(*CAST),
        write_list(*CAST, {**CAST[0], "person_id": "n", "customer_number": "C8", "full_name": "N N"}),
    )
    batches: list[ImportBatch] = []
    for path in (first, newer):
        with acting("web"):
            batch = uploads.receive(incident=incident, chunks=[path.read_bytes()], author=officer, source="shop")
            mapping = importing.look_and_keep(batch=batch).mapping
        if batches:
            with acting("importer"):
                import_difference(batch.pk)
            batch.refresh_from_db()
            assert batch.difference["new"] == 1
        with acting("web"):
            importing.confirm(batch=batch, mapping=mapping, author=officer)
        with acting("importer"):
            import_list(batch.pk)
            assert carry_on(batch=ImportBatch.objects.select_related("incident").get(pk=batch.pk)).already_known
        batches.append(batch)
    assert {ImportBatch.objects.get(pk=batch.pk).state for batch in batches} == {BatchState.DONE}
    assert account(incident=incident).adds_up


def test_a_country_that_the_desk_says_of_a_list_and_of_the_newer_version_is_carried_through(
    committed: None, incident: Incident, operator: User, officer: User, write_list: Callable[..., Path]
) -> None:
    nowhere = {**CAST[0], "stated_country": ""}
    with acting("web"):
        chunks = [write_list(nowhere).read_bytes()]
        batch = uploads.receive(incident=incident, chunks=chunks, author=officer, source="shop")
        mapping = importing.look_and_keep(batch=batch).mapping
        importing.confirm(batch=batch, mapping=mapping, author=officer, country="DE")
    with acting("importer"):
        import_list(batch.pk)
        newer = write_list(nowhere, {**nowhere, "person_id": "n", "customer_number": "C8", "full_name": "N N"})
        report = import_people(incident=incident, path=newer, author=operator, source="shop", judge=bool)
    assert (report.country, report.country_by, report.living_by) == ("DE", "officer", 2)
    assert ImportBatch.objects.get(pk=batch.pk).country_rows == 1


def test_a_reject_file_that_comes_back_as_it_was_answers_nothing(
    committed: None, incident: Incident, operator: User, write_list: Callable[..., Path], tmp_path: Path
) -> None:
    """What could not be taken stands in the file as the list had it, and an empty cell stays empty: nobody has answered."""
    strange = [
        {**CAST[0], "person_id": "s1", "customer_number": "S1", "full_name": "Sara Safe", "flags": "victim of stalking"},
        {**CAST[0], "person_id": "s2", "customer_number": "S2", "full_name": "Sam Safe", "elements": "credit card and cvv"},
        {**CAST[0], "person_id": "s3", "customer_number": "S3", "full_name": "Sue Safe", "elements": ""},
    ]
    columns = tuple(dict.fromkeys((*COLUMNS, "flags")))
    with acting("importer"):
        import_people(incident=incident, path=write_list(*CAST, *strange, columns=columns), author=operator)
    open_before = set(incident.queue.filter(status="open").values_list("person__reference", "column", "reason"))
    assert {reference for reference, _, _ in open_before} == {"s1", "s2", "s3"}
    out = io.StringIO()
    with acting("web"):
        write_reject_file(incident=incident, out=out)
    assert "victim of stalking" in out.getvalue()
    assert "credit card and cvv" in out.getvalue()
    back = tmp_path / "back.csv"
    back.write_text(out.getvalue(), encoding="utf-8")
    with acting("importer"):
        import_people(incident=incident, path=back, author=operator)
    assert set(incident.queue.filter(status="open").values_list("person__reference", "column", "reason")) == open_before
    assert account(incident=incident).adds_up


def test_a_newer_version_of_a_list_says_where_somebody_is_written_to_now(
    committed: None, incident: Incident, operator: User, write_list: Callable[..., Path]
) -> None:
    moved = {**CAST[0], "email": "claire.new@example.org"}
    with acting("importer"):
        import_people(incident=incident, path=write_list(*CAST), author=operator, source="shop")
        import_people(incident=incident, path=write_list(moved, *CAST[1:]), author=operator, source="shop", judge=lambda _: True)
    claire = incident.people.get(reference="claire")
    assert Vault(incident=incident).open(person=claire).emails == ("claire.new@example.org", CAST[0]["email"])
