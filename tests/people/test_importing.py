"""A file is imported whole or not at all; every row is accounted for; nothing personal lies open in any table."""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection, connections

from incidents.models import AffectedPerson, AuditEvent, Campaign, ImportBatch, ImportRow, Incident, QueueEntry
from incidents.people import settling
from incidents.people.deciding import confirm_rejection, propose_rejection
from incidents.people.importing import Accounting, ImportReport, account, carry_on, import_people
from incidents.people.milestones import percent_made
from incidents.people.reading import FileRefused
from incidents.vault import Vault
from tests.conftest import CARL, CAST, CLAIRE, YUKI
from tests.people.conftest import Importer, Row

BROKEN: Row = {**CARL, "full_name": "Carl\r\nBcc: spy@example.net"}


@pytest.fixture
def cartier(incident: Incident, officer: User, cartier_list: Path) -> ImportReport:
    return import_people(incident=incident, path=cartier_list, author=officer)


def everything_stored() -> str:
    """Every row of every table of the database as text, bytes as they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
        )
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f"SELECT t::text FROM {table} t")
            found += [row for (row,) in cursor.fetchall()]
    return "\n".join(found)


# -- the Cartier list ----------------------------------------------------------------------------------------------


def test_every_row_of_the_cartier_list_is_accounted_for(cartier: ImportReport, incident: Incident) -> None:
    numbers = cartier.accounting
    # 200 people in 202 rows: one doubled row, one person with a second address.
    assert (cartier.rows, numbers.rows_in, numbers.merged) == (202, 202, 2)
    assert numbers.people + numbers.needs_attention == 200 == AffectedPerson.objects.count()
    assert (numbers.rejection_pending, numbers.rejected, numbers.held) == (0, 0, 0) and numbers.adds_up
    assert incident.people.exclude(cohort=None).count() == 200
    assert sum(incident.cohorts.values_list("count", flat=True)) == 200


def test_the_queues_of_the_cartier_list_hold_what_was_painted(cartier: ImportReport, incident: Incident) -> None:
    counts = {kind: incident.queue.filter(kind=kind).count() for kind in ("address", "no_channel", "residence_conflict", "row")}
    assert counts == {"address": 4, "no_channel": 10, "residence_conflict": 3, "row": 0}
    assert incident.queue.filter(kind="residence_unknown").count() == 2
    assert incident.queue.filter(kind="next_of_kin").count() == 1


def test_the_drills_bouncing_addresses_can_be_written_to(cartier: ImportReport, incident: Incident, cartier_list: Path) -> None:
    with cartier_list.open(encoding="utf-8") as text:
        bouncing = [row["person_id"] for row in csv.DictReader(text) if row["email"].endswith("-bounce.test")]
    assert len(bouncing) == 8 == incident.people.filter(reference__in=bouncing, has_email=True).count()


def test_two_people_of_the_cartier_list_with_one_address_stay_two(cartier: ImportReport, incident: Incident) -> None:
    indexes = list(incident.people.exclude(email_index=None).values_list("email_index", flat=True))
    assert len(indexes) - len({bytes(index) for index in indexes}) == 2


def test_nothing_personal_of_the_cartier_list_lies_open(cartier: ImportReport, cartier_list: Path) -> None:
    with cartier_list.open(encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    wanted = {row[name] for row in rows for name in ("full_name", "email", "customer_number", "date_of_birth") if row[name]}
    stored = everything_stored()
    assert len(wanted) > 500 and not [value for value in wanted if value in stored]


def test_planted_markers_are_in_no_table_in_any_form(bring: Importer, incident: Incident) -> None:
    columns = ("full_name", "given_name", "family_name", "email", "phone", "street", "city", "region", "postcode")
    columns += ("customer_number", "date_of_birth")
    good = {name: f"marker{n}x{name}" for n, name in enumerate(columns)} | {"email": "marker3x@example.org"}
    broken = {name: f"marker{n}y{name}\n" for n, name in enumerate(columns)}
    bad = {**good, "full_name": "marker22z", "customer_number": "marker23z", "email": "marker24z@@example.org"}
    bring(good, broken, bad, columns=columns)
    stored = everything_stored().lower()
    assert ImportRow.objects.count() == 3
    assert "marker" not in stored and b"marker".hex() not in stored


# -- rows ----------------------------------------------------------------------------------------------------------


def test_a_row_with_a_line_break_is_kept_as_nobody_and_its_neighbours_are_untouched(bring: Importer, incident: Incident) -> None:
    report = bring(CLAIRE, BROKEN, YUKI)
    assert (report.accounting.people, report.accounting.rejection_pending, report.accounting.adds_up) == (2, 1, True)
    row = ImportRow.objects.get(outcome="rejection_pending")
    assert (row.number, row.column, row.person) == (3, "full_name", None) and "line break" in row.reason and row.remedy
    vault = Vault(incident=incident)
    people = incident.people.order_by("id")
    assert [vault.open(person=person).full_name for person in people] == [CLAIRE["full_name"], YUKI["full_name"]]
    entry = QueueEntry.objects.get()
    assert (entry.kind, entry.row, entry.status) == ("row", row, "open")


def test_the_row_as_it_came_is_kept_sealed(bring: Importer, incident: Incident) -> None:
    bring(BROKEN)
    row = ImportRow.objects.get()
    assert row.sealed is not None
    raw = Vault(incident=incident).open_blob(sealed=row.sealed, bound_to=f"import_row|{incident.reference}")
    assert "Carl\\r\\nBcc: spy@example.net" in raw.decode()


def test_a_corrected_row_is_accepted_alone(bring: Importer, incident: Incident, officer: User, counsel: User) -> None:
    bring(CLAIRE, BROKEN, YUKI)
    report = bring(CARL)
    assert (report.rows, report.accounting.people, report.accounting.merged) == (1, 3, 0)
    propose_rejection(incident=incident, entries=incident.queue.all(), reason="corrected row imported", author=officer)
    confirm_rejection(incident=incident, entries=incident.queue.all(), author=counsel)
    assert account(incident=incident) == Accounting(4, 3, 0, 0, 0, 1, 0)


@pytest.mark.parametrize("cells", [["Anna"], ["Anna", "anna@example.org", "more", "and more"]])
def test_a_row_of_another_length_needs_attention(incident: Incident, officer: User, tmp_path: Path, cells: list[str]) -> None:
    path = tmp_path / "odd.csv"
    path.write_text("full_name,email\n" + ",".join(cells) + "\nBen,ben@example.org\n")
    numbers = import_people(incident=incident, path=path, author=officer).accounting
    assert numbers.needs_attention == 2 and numbers.adds_up  # Ben has no residence


# -- whole or not at all -------------------------------------------------------------------------------------------


def test_the_same_file_twice_changes_nothing(incident: Incident, officer: User, write_list: Callable[..., Path]) -> None:
    path = write_list(*CAST)
    first = import_people(incident=incident, path=path, author=officer)
    before = everything_stored()
    second = import_people(incident=incident, path=path, author=officer)
    assert second.already_known and second.accounting == first.accounting and everything_stored() == before


def test_the_same_people_in_another_file_are_merged_and_unchanged(bring: Importer, incident: Incident) -> None:
    bring(*CAST)
    before = list(AffectedPerson.objects.order_by("id").values())
    report = bring(*reversed(CAST))
    assert (report.accounting.people, report.accounting.merged) == (3, 3) and report.accounting.adds_up
    assert list(AffectedPerson.objects.order_by("id").values()) == before


@pytest.mark.parametrize(
    "raw",
    [
        b"full_name,email\n",
        b'full_name,email\nAnna,a@example.org\n"Ben,b@example.org\n',
        b"full_name,email\nAnna,a@example.org\nZo\xeb,b@example.org\n",
        b"%PDF-1.7\n",
    ],
    ids=["header-only", "open-quote", "bad-byte", "pdf"],
)
def test_a_file_that_is_refused_leaves_nothing(imported: Incident, officer: User, tmp_path: Path, raw: bytes) -> None:
    before = everything_stored()
    path = tmp_path / "bad.csv"
    path.write_bytes(raw)
    with pytest.raises(FileRefused):
        import_people(incident=imported, path=path, author=officer)
    assert everything_stored() == before


def test_an_import_that_breaks_at_its_end_makes_nobody_and_is_carried_on(
    imported: Incident, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    people, entries = list(AffectedPerson.objects.values()), AuditEvent.objects.count()
    path = write_list({**CARL, "person_id": "dora", "full_name": "Dora Late", "customer_number": "C77", "email": "d@example.org"})

    def breaks(**_: object) -> None:
        raise RuntimeError("the machine fails here")

    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="fails here"):
        patched.setattr(settling, "record", breaks)
        import_people(incident=imported, path=path, author=officer)
    assert (list(AffectedPerson.objects.values()), AuditEvent.objects.count()) == (people, entries)
    batch = ImportBatch.objects.get(state="settling")
    assert (batch.rows, batch.rows_staged) == (1, 1)
    report = carry_on(batch=batch)
    assert (report.rows, report.accounting.people, report.accounting.adds_up) == (1, 4, True)


def test_after_the_freeze_a_list_is_refused_and_the_way_is_said(
    frozen: Campaign, officer: User, write_list: Callable[..., Path]
) -> None:
    rows = ImportRow.objects.count()
    with pytest.raises(FileRefused, match="register is frozen.*Keep the file"):
        import_people(incident=frozen.incident, path=write_list({**CARL, "customer_number": "C77"}), author=officer)
    assert ImportRow.objects.count() == rows


@pytest.mark.committed
def test_one_file_brought_by_two_at_once_is_imported_once(
    incident: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    path, reports, failures = write_list(*CAST), [], []

    def run() -> None:
        try:
            reports.append(import_people(incident=incident, path=path, author=officer))
        except Exception as error:
            failures.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures and sorted(report.already_known for report in reports) == [False, True, True, True]
    assert (ImportBatch.objects.count(), AffectedPerson.objects.count()) == (1, 3)


# -- the log -------------------------------------------------------------------------------------------------------


def test_the_log_tells_of_the_file_and_of_each_person_without_naming_anybody(imported: Incident) -> None:
    actions = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert actions[2:] == ["source.imported", *["person.added"] * 3]
    lines = "\n".join(AuditEvent.objects.values_list("line", flat=True))
    assert not [
        value for person in CAST for name in ("full_name", "email", "customer_number") if (value := person[name]) in lines
    ]
    assert set(imported.people.values_list("subject", flat=True)) <= set(AuditEvent.objects.values_list("subject", flat=True))


def test_progress_is_told_as_rows_are_staged(incident: Incident, officer: User, tmp_path: Path) -> None:
    path, seen = tmp_path / "long.csv", []
    lines = (f"P{n},p{n}@example.org,FR" for n in range(2100))
    path.write_text("\n".join(["full_name,email,stated_country", *lines]))
    import_people(incident=incident, path=path, author=officer, progress=lambda rows, percent: seen.append((rows, percent)))
    assert seen[:5] == [(500, 0), (1000, 0), (1500, 0), (2000, 0), (2100, 0)]
    assert seen[5:] == [(2100, 33), (2100, 66), (2100, 100)]


@pytest.mark.committed
def test_the_page_sees_how_far_the_people_are_before_they_are_committed(
    incident: Incident, officer: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, seen = tmp_path / "long.csv", []
    path.write_text("\n".join(["full_name,email,stated_country", *(f"P{n},p{n}@example.org,FR" for n in range(100))]))
    monkeypatch.setattr(settling, "CHUNK", 10)

    def look(_rows: int, percent: int) -> None:
        if percent:
            with ThreadPoolExecutor(1) as elsewhere:  # a connection of its own
                seen.append((percent, *elsewhere.submit(_seen_elsewhere).result()))

    import_people(incident=incident, path=path, author=officer, progress=look)
    assert len(seen) >= 30 and all(percent == shown and not people for percent, shown, people in seen)
    assert (seen[-1][0], *_seen_elsewhere()) == (100, 0, 100)


def _seen_elsewhere() -> tuple[int, int]:
    try:
        return percent_made(batch=ImportBatch.objects.get()), AffectedPerson.objects.count()
    finally:
        if threading.current_thread() is not threading.main_thread():
            connection.close()
