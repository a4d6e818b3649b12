"""The command that imports a list: what it shows, what it asks, and how it ends."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.models import ImportBatch, Incident
from incidents.people.accounting import account
from tests.conftest import CARL, CAST, CLAIRE


def run(*arguments: object, code: int = 0) -> str:
    """Both streams of the command, and its exit code."""
    out = io.StringIO()
    try:
        call_command("import_people", *map(str, arguments), "--as", "officer", stdout=out, stderr=out)
        ended = 0
    except SystemExit as end:
        ended = int(end.code or 0)
    assert ended == code, out.getvalue()
    return out.getvalue()


def test_a_list_is_imported_and_accounted_for(incident: Incident, write_list: Callable[..., Path]) -> None:
    path = write_list(*CAST)
    assert "Rows in 3 = people 3 + merged 0" in run(incident.reference, path)
    assert "imported before; nothing was changed" in run(incident.reference, path)


def test_a_dry_run_shows_columns_and_masked_rows_and_stores_nothing(incident: Incident, write_list: Callable[..., Path]) -> None:
    said = run(incident.reference, write_list(*CAST), "--dry-run", "--source", "shop")
    assert "full_name = full_name" in said and "row 2: " in said and "c•••@e•••" in said
    assert CLAIRE["full_name"] not in said and CLAIRE["email"] not in said
    assert not ImportBatch.objects.exists() and not incident.sources.exists()


def test_hidden_sheets_are_counted_before_and_after_the_import_and_not_named(incident: Incident, tmp_path: Path) -> None:
    book, path = openpyxl.Workbook(), tmp_path / "list.xlsx"
    for row in (["full_name", "email", "stated_country"], ["Anna Berg", "anna@example.org", "FR"]):
        book.active.append(row)
    for state in ("hidden", "veryHidden"):
        book.create_sheet(f"Claire {state}").sheet_state = state
    book.save(path)
    for options in (["--dry-run"], []):
        said = run(incident.reference, path, *options)
        assert "The workbook has 2 hidden sheets: not read." in said and "Claire" not in said


def test_a_list_that_is_written_otherwise_than_the_last_of_its_source_is_read_as_it_is_and_that_is_said(
    incident: Incident, tmp_path: Path
) -> None:
    path, rows = tmp_path / "list.csv", "full_name;email;stated_country\nJürgen Groß;j@example.org;DE\n"
    path.write_bytes(rows.encode("cp1252"))
    run(incident.reference, path, "--encoding", "cp1252", "--source", "shop")
    path.write_bytes(f"{rows}Zoë Noël;zoe@example.org;FR\n".encode())
    unlike = "The last list of this source was cp1252; this one is read as UTF-8."
    assert unlike in run(incident.reference, path, "--source", "shop", "--dry-run")
    said = run(incident.reference, path, "--source", "shop", "--newer")
    assert unlike in said and "1 people new" in said and "merged 1" in said
    path.write_bytes(f"{rows}Zoë Noël;z@example.org;FR\n".encode("cp1252"))
    asked = run(incident.reference, path, "--source", "shop", "--encoding", "cp1252", code=2)
    assert "The last list of this source was UTF-8; this one is read as cp1252." in asked and "Nothing was imported" in asked
    path.write_bytes(rows.encode())
    assert "is UTF-8; read as cp1252" in run(incident.reference, path, "--encoding", "cp1252", code=2)


def test_a_column_is_said(incident: Incident, officer: User, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("xx,email,stated_country\nAnna Muster,anna@example.org,DE\n")
    run(incident.reference, path, "--map", "xx=full_name")
    assert incident.people.get().name_index is not None
    said = run(incident.reference, path, "--map", "yy=full_name", code=2)
    assert "no column 'yy'. The columns are: xx, email, stated_country" in said


def test_a_newer_version_shows_its_difference_and_waits(incident: Incident, write_list: Callable[..., Path]) -> None:
    run(incident.reference, write_list(*CAST), "--source", "shop")
    newer = write_list(CLAIRE, {**CARL, "stated_country": "CA", "loyalty_home_store": ""})
    said = run(incident.reference, newer, "--source", "shop", code=2)
    assert (
        "2 rows in all, 0 people new, 1 people known with other data" in said
        and "1 people of the earlier list not on" in said
        and "--newer" in said
    )
    assert incident.people.count() == 3 and "Rows in 5" in run(incident.reference, newer, "--source", "shop", "--newer")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batch", "999999"], "no list 999999"), (["nowhere.csv"], "no such file"), ([], "Name the file"),
        (["{list}", "--amendment", "7"], "no amendment 7"), (["{list}", "--elements", "soul"], "'soul' is no element"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_the_way_out(
    incident: Incident, write_list: Callable[..., Path], options: list[str], says: str
) -> None:
    path = str(write_list(*CAST))
    assert says in run(incident.reference, *[option.format(list=path) for option in options], code=2)
    assert not incident.people.exists()


def test_with_nothing_begun_there_is_nothing_to_resume(incident: Incident) -> None:
    assert run(incident.reference, "--resume") == ""


NAMELESS = "Number,Customer ID,Who,email,stated_country\n1,C1,Anna Muster,anna@example.org,DE\n"


def test_a_list_without_a_name_is_imported_only_by_somebody_who_knows_it(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(NAMELESS)
    assert "nobody on this list will have a name" in run(incident.reference, path, "--dry-run")
    said = run(incident.reference, path, code=2)
    assert "nobody on this list will have a name" in said and "--no-names" in said and not incident.people.exists()
    assert "people 1" in run(incident.reference, path, "--no-names")
    assert incident.people.count() == 1
    assert "imported before; nothing was changed" in run(incident.reference, path)


NEWSLETTER = (
    "Email Address,Country\nanna@example.org,DE\nbert@example.org,FR\nAnna@example.org,DE\nnot an address,FR\ncleo@example.org,\n"
)


def test_a_list_of_e_mail_addresses_alone_is_imported_and_asks_nobody_for_a_name(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "newsletter.csv"
    path.write_text(NEWSLETTER)
    said = run(incident.reference, path, code=2)
    assert "nobody on this list will have a name" in said and "An e-mail address will be all that tells one from another" in said
    run(incident.reference, path, "--no-names")
    counted = account(incident=incident)
    assert (counted.rows_in, counted.people, counted.merged, counted.needs_attention, counted.rejection_pending) == (
        5,
        2,
        1,
        2,
        0,
    )
    assert sorted(incident.people.values_list("residence", "status")) == [
        ("DE", "clear"), ("FR", "attention"), ("FR", "clear"), ("ZZ", "attention"),
    ]  # fmt: skip
    merged = incident.merges.get()
    assert merged.reason == "same e-mail address (capitals apart); the list has no names"
    assert not incident.queue.filter(reason="no name").exists()


def test_one_row_without_a_name_among_names_is_asked(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("Name,Email,Country\nAnna Muster,anna@example.org,DE\n,bert@example.org,FR\n")
    run(incident.reference, path)
    assert incident.queue.get().reason == "no name"


def test_a_name_that_is_said_needs_no_more(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(NAMELESS)
    run(incident.reference, path, "--map", "who=full_name")
    assert incident.people.get().name_index is not None


def test_an_imported_file_with_other_columns_is_refused_and_the_columns_are_named(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(NAMELESS)
    run(incident.reference, path, "--no-names")
    said = run(incident.reference, path, "--map", "who=full_name", "--map", "number=person_id", code=2)
    assert "was imported before, as list" in said and "nothing was changed" in said
    assert "Column 1 was not read, now person_id; column 3 was not read, now full_name" in said and "another incident" in said
    assert "imported before; nothing was changed" in run(incident.reference, path, "--map", "who=")
    assert incident.people.count() == 1 and "Anna" not in said
