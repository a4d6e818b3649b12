"""A list is uploaded in sealed parts, looked at, confirmed, imported or given up; a newer version shows what it changes first."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from importlib import import_module

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.db import connection

from incidents.models import AuditEvent, ImportBatch, ImportPart, Incident
from incidents.models.refusal import Refused
from incidents.people import uploads
from incidents.people.importing import cancel, carry_on, confirm, difference, look, look_and_keep, unfinished
from incidents.people.looking import remembered_columns, remembered_sheet
from incidents.people.reading import FileAsked, FileRefused
from incidents.people.uploads import PART, SealedParts, receive
from tests.conftest import CARL, CAST, CLAIRE, COLUMNS, YUKI
from tests.people.test_importing import everything_stored
from tests.people.workbooks import saved, workbook

Row = dict[str, str]


def as_csv(*rows: Row, columns: tuple[str, ...] = COLUMNS) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def in_chunks(raw: bytes, size: int = 70_001) -> Iterator[bytes]:
    return (raw[at : at + size] for at in range(0, len(raw), size))


@pytest.fixture
def uploaded(incident: Incident, officer: User) -> ImportBatch:
    return receive(incident=incident, chunks=[as_csv(*CAST)], author=officer, source="shop")


def brought(incident: Incident, officer: User, *rows: Row, source: str = "shop") -> ImportBatch:
    """Uploaded, confirmed as guessed, and imported."""
    batch = receive(incident=incident, chunks=[as_csv(*rows)], author=officer, source=source)
    confirm(batch=batch, mapping=look(batch=batch).mapping, author=officer)
    carry_on(batch=batch)
    return ImportBatch.objects.get(pk=batch.pk)


def test_an_uploaded_list_lies_in_sealed_parts_of_one_size_and_comes_out_as_it_was(incident: Incident, officer: User) -> None:
    raw = b"full_name,email\n" + b"".join(b"Person %d,p%d@example.org\n" % (n, n) for n in range(80_000))
    batch = receive(incident=incident, chunks=in_chunks(raw), author=officer)
    assert (batch.state, batch.size, batch.sha256) == ("uploaded", len(raw), hashlib.sha256(raw).hexdigest())
    assert batch.parts.count() == -(-len(raw) // PART) > 2
    source = SealedParts(batch=batch)
    assert b"".join(source.piece(offset=at, size=300_000) for at in range(0, len(raw), 300_000)) == raw
    assert source.piece(offset=len(raw) - 3, size=10) == raw[-3:]
    assert not any(b"Person" in bytes(sealed) for sealed in batch.parts.values_list("sealed", flat=True))


def test_an_uploaded_list_is_looked_at_confirmed_and_imported(uploaded: ImportBatch, officer: User) -> None:
    seen = look(batch=uploaded)
    assert seen.guessed and seen.mapping == {name: name for name in COLUMNS}
    assert [(number, cells[2]) for number, cells in seen.samples] == [(n, row["full_name"]) for n, row in enumerate(CAST, 2)]
    assert list(unfinished()) == []
    confirm(batch=uploaded, mapping=seen.mapping, author=officer)
    assert list(unfinished()) == [uploaded]
    report = carry_on(batch=uploaded)
    assert (report.rows, report.accounting.people, report.accounting.adds_up) == (3, 3, True)
    uploaded.refresh_from_db()
    assert uploaded.state == "done" and not ImportPart.objects.exists() and list(unfinished()) == []
    assert carry_on(batch=uploaded).already_known


def test_a_list_in_many_parts_is_read_piece_by_piece(incident: Incident, officer: User) -> None:
    header = b"full_name,email,stated_country\n"
    raw = header + b"".join(b"Person %d,p%d@example.org,FR\n" % (n, n) for n in range(45_000))
    batch = receive(incident=incident, chunks=in_chunks(raw), author=officer)
    assert batch.parts.count() > 1
    confirm(batch=batch, mapping=look(batch=batch).mapping, author=officer)
    assert carry_on(batch=batch).accounting.people == 45_000


def test_the_columns_and_elements_that_somebody_confirmed_are_those_that_are_read(incident: Incident, officer: User) -> None:
    rows = ({"id": "1", "wer": "Anna Muster", "wo": "anna@example.org", "land": "DE"},)
    batch = receive(incident=incident, chunks=[as_csv(*rows, columns=("id", "wer", "wo", "land"))], author=officer, source="crm")
    mapping = {"id": "", "wer": "full_name", "wo": "email", "land": "stated_country"}
    confirm(batch=batch, mapping=mapping, elements=["phone", "email"], author=officer)
    assert carry_on(batch=batch).accounting.people == 1
    person = incident.people.get()
    # What the facts say leaked of everybody leaked of them too.
    assert (person.residence, person.elements) == ("DE", ["country", "email", "name", "phone"])
    source = incident.sources.get()
    assert (source.name, remembered_columns(source=source), source.elements) == ("crm", mapping, ["email", "phone"])
    again = receive(
        incident=incident, chunks=[as_csv(*rows, *rows, columns=("id", "wer", "wo", "land"))], author=officer, source="crm"
    )
    seen = look(batch=again)
    assert seen.mapping == mapping and not seen.guessed


def test_the_same_file_uploaded_again_is_the_list_that_it_was(uploaded: ImportBatch, incident: Incident, officer: User) -> None:
    again = receive(incident=incident, chunks=[as_csv(*CAST)], author=officer)
    assert again.pk == uploaded.pk and ImportPart.objects.count() == 1
    confirm(batch=uploaded, mapping=look(batch=uploaded).mapping, author=officer)
    carry_on(batch=uploaded)
    assert receive(incident=incident, chunks=[as_csv(*CAST)], author=officer).state == "done"


def test_an_upload_that_is_cut_leaves_no_part(incident: Incident, officer: User) -> None:
    def cut() -> Iterator[bytes]:
        yield b"x" * (10 * PART)
        raise ConnectionError

    with pytest.raises(ConnectionError):
        receive(incident=incident, chunks=cut(), author=officer)
    assert not ImportPart.objects.exists() and ImportBatch.objects.get().state == "cancelled"


def test_an_empty_upload_and_one_that_is_too_large_are_refused(
    incident: Incident, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileRefused, match="empty"):
        receive(incident=incident, chunks=[b""], author=officer)
    monkeypatch.setattr(uploads, "LARGEST_FILE", 2 * PART)
    with pytest.raises(FileRefused, match="larger than"):
        receive(incident=incident, chunks=[b"x" * PART] * 3, author=officer)
    assert not ImportPart.objects.exists()


def test_a_list_that_is_refused_while_it_is_read_says_why_and_may_come_again(incident: Incident, officer: User) -> None:
    good = as_csv(*CAST)
    bad = good + b"".join(b"p%d,C%d,Name\n" % (n, n) for n in range(100, 200)) + b'x,C9,"never closed\n'
    batch = receive(incident=incident, chunks=[bad], author=officer)
    confirm(batch=batch, mapping=look(batch=batch).mapping, author=officer)
    with pytest.raises(FileRefused, match="Row 105"):
        carry_on(batch=batch)
    batch.refresh_from_db()
    assert batch.state == "refused" and "Row 105" in batch.refusal and not ImportPart.objects.exists()
    assert not incident.people.exists()
    with pytest.raises(FileRefused, match="Row 105"):
        carry_on(batch=batch)
    assert receive(incident=incident, chunks=[bad], author=officer).state == "uploaded"


def test_a_list_can_be_given_up_until_it_is_imported(uploaded: ImportBatch, incident: Incident, officer: User) -> None:
    cancel(batch=uploaded, author=officer)
    uploaded.refresh_from_db()
    assert uploaded.state == "cancelled" and not ImportPart.objects.exists()
    with pytest.raises(Refused, match="cancelled"):
        carry_on(batch=uploaded)
    with pytest.raises(Refused, match="nothing to cancel"):
        cancel(batch=brought(incident, officer, *CAST), author=officer)


def test_a_list_is_confirmed_once(uploaded: ImportBatch, officer: User) -> None:
    mapping = look(batch=uploaded).mapping
    confirm(batch=uploaded, mapping=mapping, author=officer)
    with pytest.raises(Refused, match="can no longer be confirmed"):
        confirm(batch=uploaded, mapping=mapping, author=officer)


@pytest.mark.parametrize(
    ("mapping", "says"),
    [({"full_name": "full_name", "email": "full_name"}, "full_name"), ({"full_name": "full_name"}, "e-mail or a street")],
)
def test_a_mapping_that_cannot_be_is_refused_with_the_way_out(
    uploaded: ImportBatch, officer: User, mapping: dict[str, str], says: str
) -> None:
    with pytest.raises(FileRefused, match=says):
        confirm(batch=uploaded, mapping={name: mapping.get(name, "") for name in COLUMNS}, author=officer)
    uploaded.refresh_from_db()
    assert uploaded.state == "uploaded"


def test_an_element_that_is_none_is_refused(uploaded: ImportBatch, officer: User) -> None:
    with pytest.raises(FileRefused, match="'shoe size' is no element"):
        confirm(batch=uploaded, mapping=look(batch=uploaded).mapping, elements=["shoe size"], author=officer)


def test_every_step_of_a_list_is_in_the_log_without_naming_anybody(incident: Incident, officer: User) -> None:
    brought(incident, officer, *CAST)
    cancel(batch=receive(incident=incident, chunks=[as_csv(CARL)], author=officer), author=officer)
    actions = [
        action for action in AuditEvent.objects.order_by("id").values_list("action", flat=True) if action.startswith("source.")
    ]
    assert actions == ["source.uploaded", "source.confirmed", "source.imported", "source.uploaded", "source.cancelled"]
    lines = "\n".join(AuditEvent.objects.values_list("line", flat=True))
    assert not [row for row in CAST if row["full_name"] in lines or row["email"] in lines]


# -- newer versions ------------------------------------------------------------------------------------------------


def test_a_newer_version_shows_what_it_changes_and_stores_nobody(incident: Incident, officer: User) -> None:
    first = brought(incident, officer, *CAST)
    moved, new = {**CARL, "stated_country": "CA", "loyalty_home_store": ""}, {**YUKI, "person_id": "n", "customer_number": "C9"}
    newer = receive(
        incident=incident, chunks=[as_csv(CLAIRE, moved, {**new, "full_name": "New", "email": "n@example.org"})], author=officer,
        source="shop",
    )  # fmt: skip
    look_and_keep(batch=newer)
    before = list(incident.people.order_by("id").values())
    assert difference(batch=newer) == {
        "rows": 3, "new": 1, "unchanged": 1, "changed": 1, "language": 0, "missing": 1, "rejected": 0,
    }  # fmt: skip
    newer.refresh_from_db()
    assert (newer.state, newer.replaces, newer.difference["new"]) == ("uploaded", first, 1)
    assert list(incident.people.order_by("id").values()) == before and list(unfinished()) == []
    confirm(batch=newer, mapping=look(batch=newer).mapping, author=officer)
    report = carry_on(batch=newer)
    assert (report.accounting.rows_in, report.accounting.merged, report.accounting.adds_up) == (6, 2, True)


def test_a_newer_version_counts_people_once_and_a_language_that_stays_by_itself(incident: Incident, officer: User) -> None:
    brought(incident, officer, *CAST)
    moved = {**CARL, "stated_country": "CA", "loyalty_home_store": ""}
    silent = {**YUKI, "language": "", "stated_country": ""}
    rows = [{**CLAIRE, "language": "de"}, {**CLAIRE, "language": "de"}, moved, moved, CARL, silent, {"person_id": "x"}]
    newer = receive(incident=incident, chunks=[as_csv(*rows)], author=officer, source="shop")
    look_and_keep(batch=newer)
    found = difference(batch=newer)
    assert found == {"rows": 7, "new": 0, "unchanged": 1, "changed": 1, "language": 1, "missing": 0, "rejected": 1}
    confirm(batch=newer, mapping=look(batch=newer).mapping, author=officer)
    carry_on(batch=newer)
    assert dict(incident.people.values_list("reference", "language")) == {"claire": "fr", "carl": "en", "yuki": "ja"}


def test_a_person_who_stands_where_the_header_should_be_is_in_no_table_in_clear(incident: Incident, officer: User) -> None:
    raw = b"Petra Planted,Planted Lane 7,full_name,email\nx,y,Anna,anna@example.org\n"
    batch = receive(incident=incident, chunks=[raw], author=officer, source="crm")
    confirm(batch=batch, mapping=look(batch=batch).mapping, author=officer)
    carry_on(batch=batch)
    source = incident.sources.get()
    assert "petra" in " ".join(remembered_columns(source=source) or {}).lower()
    stored = everything_stored().lower()
    assert "planted" not in stored and b"planted".hex() not in stored


def of_sheets(*names: str) -> bytes:
    """A workbook with these sheets, the people on the last of them."""
    book = openpyxl.load_workbook(io.BytesIO(workbook()))
    for place, name in enumerate(names[:-1]):
        book.create_sheet(name, place)["A1"] = "x"
    book.worksheets[-1].title = names[-1]
    return saved(book)


def test_a_sheet_that_is_called_after_somebody_is_in_no_table_in_clear_and_read_again(incident: Incident, officer: User) -> None:
    first, later = of_sheets("Notes", "Petra Planted"), of_sheets("Notes", "More", "Petra Planted")
    batch = receive(incident=incident, chunks=[first], author=officer, source="crm")
    with pytest.raises(FileAsked):
        look(batch=batch)
    confirm(batch=batch, mapping=look(batch=batch, sheet="Petra Planted").mapping, author=officer, sheet="Petra Planted")
    carry_on(batch=batch)
    source = incident.sources.get()
    assert (batch.sheet, remembered_sheet(source=source), incident.people.count()) == ("#2", "Petra Planted", 2)
    newer = receive(incident=incident, chunks=[later], author=officer, source="crm")
    seen = look_and_keep(batch=newer)
    assert (seen.file.sheet, seen.guessed, newer.sheet) == ("Petra Planted", False, "#3")
    stored = everything_stored().lower()
    assert "planted" not in stored and b"planted".hex() not in stored and "petra" not in stored


def test_a_refused_list_does_not_keep_the_name_of_its_sheet(incident: Incident, officer: User) -> None:
    book = openpyxl.load_workbook(io.BytesIO(of_sheets("Petra Planted")))
    book.active["B3"] = "=1+1"
    batch = receive(incident=incident, chunks=[saved(book)], author=officer, source="crm")
    with pytest.raises(FileRefused):
        look_and_keep(batch=batch)
    assert batch.refusal.startswith("Sheet 1, cell B3: a formula") and "planted" not in everything_stored().lower()


def test_names_of_sheets_that_were_kept_in_clear_are_forgotten_and_their_lists_wait_again(
    incident: Incident, officer: User, uploaded: ImportBatch
) -> None:
    forget = import_module("incidents.migrations.0026_no_plain_sheets")
    refused = receive(incident=incident, chunks=[as_csv(CLAIRE)], author=officer, source="crm")
    incident.sources.update(sheet="Petra Planted")
    said = "Sheet 'Petra's, cell Planted', cell B3: a formula; correct it."
    ImportBatch.objects.filter(pk=uploaded.pk).update(sheet="Petra Planted", state="waiting")
    ImportBatch.objects.filter(pk=refused.pk).update(sheet="Petra Planted", state="refused", refusal=said)
    with connection.cursor() as cursor:
        for statement in (forget.FORGET, forget.FORGET_OF_LISTS, forget.FORGET_OF_REFUSALS):
            cursor.execute(statement)
    assert "planted" not in everything_stored().lower()
    assert list(ImportBatch.objects.order_by("id").values_list("state", "sheet", "refusal")) == [
        ("uploaded", "", ""),
        ("refused", "", "Sheet, cell B3: a formula; correct it."),
    ]


def test_what_a_source_remembers_and_cannot_be_opened_is_guessed_anew(incident: Incident, officer: User) -> None:
    brought(incident, officer, CLAIRE)
    for unreadable in ({}, {"full_name": "email"}, {"sealed": "AAAA"}, {"sealed": "?"}):
        incident.sources.update(mapping=unreadable)
        newer = receive(incident=incident, chunks=[as_csv(CARL)], author=officer, source="shop")
        seen = look(batch=newer)
        assert seen.guessed and seen.mapping["email"] == "email"


def test_the_first_list_of_a_source_has_no_difference(uploaded: ImportBatch, incident: Incident, officer: User) -> None:
    assert difference(batch=uploaded) == {}
    brought(incident, officer, CARL, source="warehouse")
    assert difference(batch=uploaded) == {}


def test_what_was_staged_for_the_difference_is_not_shown_in_clear(incident: Incident, officer: User) -> None:
    brought(incident, officer, *CAST)
    planted = {**CARL, "person_id": "p", "full_name": "Planted Name", "email": "planted@example.org", "customer_number": "PLANT9"}
    newer = receive(incident=incident, chunks=[as_csv(planted)], author=officer, source="shop")
    look_and_keep(batch=newer)
    assert difference(batch=newer)["new"] == 1
    stored = everything_stored().lower()
    assert "plant" not in stored and b"plant".hex() not in stored


def test_a_list_that_somebody_cancels_while_another_confirms_it_is_refused_in_words(
    incident: Incident, officer: User, uploaded: ImportBatch
) -> None:
    mapping = look(batch=uploaded).mapping
    cancel(batch=ImportBatch.objects.get(pk=uploaded.pk), author=officer)
    with pytest.raises(Refused, match="cancelled meanwhile"):
        confirm(batch=uploaded, mapping=mapping, author=officer)
    assert ImportBatch.objects.get(pk=uploaded.pk).state == "cancelled"
