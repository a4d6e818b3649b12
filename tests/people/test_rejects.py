"""The reject file can be opened in any spreadsheet and comes back corrected: nothing in it is a formula, nothing is lost in it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from incidents.models import AffectedPerson, Incident, QueueEntry
from incidents.people import deciding, erased_list, joining, rejects
from incidents.people.adding import ANSWERED
from incidents.people.come_back import MARK
from incidents.people.importing import ImportReport, account, import_people
from incidents.people.inert import as_text, inert, restored
from incidents.people.merging import merge_people
from incidents.people.possible_laws import waits
from incidents.people.reading import FileRefused
from incidents.people.rejects import HEADER, write_reject_file
from incidents.vault import Vault
from tests.conftest import CLAIRE, NOW
from tests.people.conftest import Importer, Row, kinds

FORMULAS = [
    "=HYPERLINK(1)",
    "=cmd|' /C calc'!A0",
    "-2+3",
    "+33 1 99",
    "@SUM(A1)",
    '"=1"',
    "＝1",
    "\t=1",
    "x;=1",
    "x\t=1",
    "x,=1",
    "x|=1",
]
BEN = {**CLAIRE, "person_id": "ben", "customer_number": "C7", "full_name": "Ben Holt", "email": "ben@@example.org"}
NOBODY = {**CLAIRE, "person_id": "", "customer_number": "C5", "full_name": "No\nBody", "email": "noel@example.org"}
Back = Callable[..., ImportReport]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_no_cell_starts_a_formula_whatever_delimiter_the_reader_assumes(text: str, mark: str) -> None:
    starts = [cell.strip(' "\r\n')[:1] for cell in inert(text).split(mark)]
    assert not set(starts) & set("=+-@＝＋－＠\t")


@pytest.mark.parametrize("text", ["", "Claire", "O'Brien", "a=b", "a-b", "3 cells", "name; email", "anna@example.org"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text == restored(text)


@pytest.mark.parametrize(
    "text",
    ["007123", "0", "00", "1-2", "12-345", "2026-01-05", "05/01/1984", "5.1.84", "1984-05-03T10:00", "4111 1111 1111", "12345678901234",
     "1.50", ",5", "12E5", "1e+9", "MAR-12", "1 Mar", "mars 2026", "true", "FALSE", "10:30", "'007", " 0123", "2/3", "'"],
)  # fmt: skip
def test_no_spreadsheet_reads_a_cell_as_a_number_or_a_date_and_writes_it_back_in_its_own_way(text: str) -> None:
    quiet = as_text(text)
    assert quiet.startswith("'") or text == "0"
    assert restored(quiet) == text


@pytest.mark.parametrize(
    "text", ["", "Claire", "75008", "20260105", "12 rue de la Paix", "C7", "anna@example.org", "O'Brien", "FR"]
)
def test_what_no_spreadsheet_changes_stays_as_it_is(text: str) -> None:
    assert as_text(text) == text == restored(text)


@given(st.text(alphabet="'\"=+-@＝ \t\r\n\0,;|./:e017maryTU", max_size=12))
def test_whatever_was_written_as_text_comes_back_as_it_was(text: str) -> None:
    assert restored(as_text(text)) == text


@given(st.text(alphabet="'\"=+-@＝ \u00a0\t\r\n\0,;|ab1", max_size=12))
def test_whatever_was_made_inert_comes_back_as_it_was(text: str) -> None:
    assert restored(inert(text)) == text
    for mark in ",;|\t\n":
        assert not [cell for cell in inert(text).split(mark) if re.match(r"""[\s"]*[=+\-@＝]""", cell.strip("\r\0"))]


def lines(incident: Incident) -> list[Row]:
    out = io.StringIO(newline="")
    assert write_reject_file(incident=incident, out=out) == len(list(csv.DictReader(io.StringIO(out.getvalue(), newline=""))))
    return list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))


@pytest.fixture
def give_back(incident: Incident, officer: User, tmp_path: Path) -> Back:
    """Import corrected lines of the reject file, as a spreadsheet would write them."""
    numbers = iter(range(100))

    def run(*rows: Row) -> ImportReport:
        path = tmp_path / f"corrected-{next(numbers)}.csv"
        with path.open("w", newline="", encoding="utf-8-sig") as out:
            writer = csv.DictWriter(out, HEADER)
            writer.writeheader()
            writer.writerows(rows)
        return import_people(incident=incident, path=path, author=officer)

    return run


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_hostile_row_stands_there_whole_and_inert(bring: Importer, incident: Incident, formula: str) -> None:
    bring({**CLAIRE, "person_id": "x", "full_name": f"{formula}\nBcc: x"}, {**CLAIRE, "flags": "deceased"})
    out = io.StringIO(newline="")
    assert write_reject_file(incident=incident, out=out) == 2
    found = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert tuple(found[0]) == HEADER and {len(line) for line in found} == {len(HEADER)}
    for mark in r"[,;\t|]", r"[;\t|]", r"[|]":
        cells = [cell.strip(' "') for line in out.getvalue().splitlines() for cell in re.split(mark, line)]
        assert not [cell for cell in cells if cell[:1] and cell[:1] in "=+-@＝＋－＠"]
    broken, kin = lines(incident)
    assert (broken["row"], broken["column"], broken["status"]) == ("2", "full_name", "needs a decision")
    assert "Bcc: x" in broken["full_name"] and restored(broken["full_name"]) == f"{formula}\nBcc: x".strip(" \xa0")
    assert kin["queue"] == "Said to be deceased: who is next of kin?" and kin["person"] == "claire"


def test_a_person_stands_there_in_the_columns_of_the_list_with_every_question_in_one_line(
    bring: Importer, incident: Incident
) -> None:
    bring({**BEN, "flags": "deceased", "date_of_birth": "2/3/80"}, CLAIRE)
    (ben,) = lines(incident)
    assert (ben["full_name"], ben["email"], ben["stated_country"], ben["flags"]) == (
        "Ben Holt",
        "ben@@example.org",
        "FR",
        "deceased",
    )
    assert ben["queue"].split(" / ") == [
        "E-mail address unusable", "A value that needs a look", "Said to be deceased: who is next of kin?",
    ] or len(ben["queue"].split(" / ")) == 3  # fmt: skip
    assert re.fullmatch(r"'\d+-2", ben["correction_of"])


def test_decided_questions_are_no_longer_in_the_file(bring: Importer, incident: Incident, officer: User) -> None:
    bring({**CLAIRE, "flags": "deceased"}, NOBODY)
    deciding.accept(incident=incident, entries=incident.queue.all(), reason="kin confirmed", author=officer)
    assert [line["queue"] for line in lines(incident)] == ["A row that cannot be a person"]


# -- coming back ---------------------------------------------------------------------------------------------------


def test_a_corrected_row_becomes_a_person_and_leaves_the_count(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring(CLAIRE, NOBODY)
    (line,) = lines(incident)
    report = give_back({**line, "full_name": "No Body"})
    numbers = report.accounting
    assert (numbers.rows_in, numbers.people, numbers.rejection_pending, numbers.corrected) == (2, 2, 0, 1) and numbers.adds_up
    assert not deciding.undecided(incident=incident).exists() and lines(incident) == []


def test_a_corrected_row_of_somebody_known_joins_them(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring({**NOBODY, "full_name": "No Body"}, {**NOBODY, "email": "second@example.org"})
    numbers = give_back({**lines(incident)[0], "full_name": "No Body"}).accounting
    assert (numbers.rows_in, numbers.people, numbers.merged) == (2, 1, 1) and numbers.adds_up
    person = AffectedPerson.objects.get(incident=incident)
    assert Vault(incident=incident).open(person=person).emails == ("noel@example.org", "second@example.org")


def test_a_row_that_is_still_impossible_waits_again_and_is_counted_once(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring(CLAIRE, NOBODY)
    numbers = give_back({**lines(incident)[0], "city": "Lyon"}).accounting
    assert (numbers.rows_in, numbers.rejection_pending, numbers.corrected) == (2, 1, 1) and numbers.adds_up
    assert kinds(incident, status="open") == ["row"]


def test_a_line_that_comes_back_unchanged_changes_nothing(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring(NOBODY, {**BEN, "flags": "deceased"}, {**NOBODY, "customer_number": "C6"})
    nobody, other, ben = lines(incident)
    before = set(incident.queue.values_list("id", "row__number", "status"))
    numbers = give_back({**nobody, "full_name": "No Body"}, other, ben).accounting
    assert (numbers.rows_in, numbers.rejection_pending, numbers.corrected) == (3, 1, 1) and numbers.adds_up
    after = set(incident.queue.values_list("id", "row__number", "status"))
    assert [(row, status) for _, row, status in after - before] == [(2, "corrected")] and len(after) == len(before)
    assert [line["correction_of"] for line in lines(incident)] == [other["correction_of"], ben["correction_of"]]


def test_a_reject_file_without_any_change_is_taken_and_changes_nothing(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring(NOBODY, {**BEN, "phone": "+33 1 99"}, columns=(*BEN, "phone"))
    found, numbers = lines(incident), account(incident=incident)
    report = give_back(*found)
    assert (report.rows, report.accounting) == (0, numbers)
    assert lines(incident) == found and account(incident=incident) == numbers
    assert incident.imports.latest("id").state == "done"


def saved_by_a_spreadsheet(cell: str) -> str:
    """What a spreadsheet makes of a cell of a CSV file that it opens and saves: numbers and dates become its own."""
    if re.fullmatch(r"0\d+", cell):
        return str(int(cell))
    if re.fullmatch(r"\d{12,}", cell):
        return f"{float(cell):.2E}"
    if found := re.fullmatch(r"(\d{4})-(\d{2})-(\d{2})", cell):
        return f"{found[3]}/{found[2]}/{found[1]}"
    if found := re.fullmatch(r"(\d{1,2})-(\d{1,2})", cell):
        return f"{found[2]}-Jan"
    return cell


def test_a_spreadsheet_changes_no_number_and_no_date_of_a_line_that_it_saves(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    numbered = {**NOBODY, "customer_number": "007123", "postcode": "01000", "date_of_birth": "1984-05-03"}
    bring(numbered, {**numbered, "customer_number": "400012341234"}, columns=(*NOBODY, "postcode", "date_of_birth"))
    mended, untouched = ({name: saved_by_a_spreadsheet(cell) for name, cell in line.items()} for line in lines(incident))
    numbers = give_back({**mended, "full_name": "No Body"}, untouched).accounting
    assert (numbers.rows_in, numbers.people, numbers.rejection_pending, numbers.corrected) == (2, 1, 1, 1) and numbers.adds_up
    fields = Vault(incident=incident).open(person=AffectedPerson.objects.get(incident=incident))
    assert (fields.customer_number, fields.postcode, fields.date_of_birth) == ("007123", "01000", "1984-05-03")
    (waiting,) = lines(incident)
    assert waiting["customer_number"] == "'400012341234"


WITHOUT = tuple(name for name in NOBODY if name != "elements")


def test_a_corrected_row_of_a_list_without_elements_takes_what_leaked_of_everybody_on_it(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    rows = (CLAIRE, {**NOBODY, "email": "b@@example.org"}, NOBODY)
    bring(*({name: row[name] for name in WITHOUT} for row in rows), columns=WITHOUT)
    still, corrected = lines(incident)
    give_back({**still, "city": "Lyon"}, {**corrected, "full_name": "No Body"})
    claire, body = AffectedPerson.objects.filter(incident=incident).order_by("id")
    assert body.elements == claire.elements != [] and body.status == "clear"
    # What is corrected a second time comes from a reject file, which has a column of elements; its list still had none.
    (still,) = lines(incident)
    give_back({**still, "email": "b@example.org", "full_name": "Some Body", "customer_number": "C8"})
    some = AffectedPerson.objects.filter(incident=incident).latest("id")
    assert some.elements == claire.elements and some.status == "clear" and not kinds(incident, status="open")


def test_an_empty_cell_of_a_list_that_has_a_column_of_elements_is_asked_still(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring({**NOBODY, "elements": ""})
    give_back({**lines(incident)[0], "full_name": "No Body"})
    assert kinds(incident, status="open") == ["data"]


def test_a_corrected_person_is_corrected_and_stays_one(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring({**BEN, "flags": "deceased"})
    (line,) = lines(incident)
    numbers = give_back({**line, "email": "ben@example.org", "full_name": "Benno Holt", "flags": ""}).accounting
    assert (numbers.rows_in, numbers.people, numbers.merged, numbers.corrected) == (1, 1, 0, 1) and numbers.adds_up
    ben = AffectedPerson.objects.get(incident=incident)
    fields = Vault(incident=incident).open(person=ben)
    assert (fields.full_name, fields.emails, ben.flags, ben.status) == ("Benno Holt", ("ben@example.org",), [], "clear")
    assert ben.reference == "ben" and ben.email_index == Vault(incident=incident).blind(kind="email", value="ben@example.org")


def test_what_is_still_wrong_with_a_corrected_person_is_asked_still_and_once(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring({**BEN, "flags": "deceased"})
    give_back({**lines(incident)[0], "email": "ben@example.org", "stated_country": "Georgia"})
    assert sorted(kinds(incident, status="open")) == ["next_of_kin", "residence_unknown"]


def test_a_phone_number_that_looks_like_a_formula_survives_the_way_there_and_back(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring({**BEN, "phone": "+33 1 99", "full_name": "-Ben"}, columns=(*BEN, "phone"))
    (line,) = lines(incident)
    assert line["phone"] == "'+33 1 99"
    give_back({**line, "email": "ben@example.org"})
    fields = Vault(incident=incident).open(person=AffectedPerson.objects.get(incident=incident))
    assert (fields.phone, fields.full_name) == ("+33 1 99", "-Ben")


def test_a_residence_that_somebody_decided_is_not_changed_by_the_evidence_of_a_corrected_row(
    bring: Importer, give_back: Back, incident: Incident, officer: User
) -> None:
    bring({**BEN, "stated_country": ""})
    line = lines(incident)[0]
    deciding.correct_residence(incident=incident, entries=incident.queue.all(), residence="US-WA", reason="r", author=officer)
    give_back({**line, "email": "ben@example.org"})
    ben = AffectedPerson.objects.get(incident=incident)
    assert (ben.residence, ben.residence_from, ben.status) == ("US-WA", "decision", "clear")


@pytest.mark.parametrize("given", ["1-99", "999999-2", "x", "1-2-3", "99999999999999-1", "-1", "'; DROP TABLE x;--2"])
def test_a_reference_that_names_no_row_refuses_the_whole_file(
    bring: Importer, give_back: Back, incident: Incident, given: str
) -> None:
    bring(CLAIRE, NOBODY)
    before = account(incident=incident)
    with pytest.raises(FileRefused, match="Row 2: correction_of names no row"):
        give_back({**lines(incident)[0], "correction_of": given})
    assert account(incident=incident) == before


def test_a_row_of_another_incident_cannot_be_corrected_from_here(
    bring: Importer, incident: Incident, officer: User, give_back: Back
) -> None:
    bring(NOBODY)
    line = lines(incident)[0]
    incident.imports.update(
        incident=Incident.objects.create(
            reference="other", title="x", wrapped_key=incident.wrapped_key, created_by=officer, created_at=incident.created_at
        )
    )
    with pytest.raises(FileRefused, match="names no row of this incident"):
        give_back(line)


def test_the_same_row_is_corrected_once(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring(CLAIRE, NOBODY)
    line = {**lines(incident)[0], "full_name": "No Body"}
    with pytest.raises(FileRefused, match="Row 3: corrects the same row as row 2"):
        give_back(line, {**line, "full_name": "Nobody Else"})
    give_back(line)
    with pytest.raises(FileRefused, match="was corrected before"):
        give_back({**line, "full_name": "Nobody Else"})


def test_somebody_of_whom_nothing_is_asked_is_not_changed_by_a_file(
    bring: Importer, give_back: Back, incident: Incident, officer: User
) -> None:
    bring({**CLAIRE, "flags": "deceased"})
    line = lines(incident)[0]
    deciding.accept(incident=incident, entries=incident.queue.all(), reason="r", author=officer)
    with pytest.raises(FileRefused, match="nothing is asked any more"):
        give_back({**line, "full_name": "Somebody Else"})


def waiting_lines(incident: Incident) -> list[str]:
    out = io.StringIO()
    number = write_reject_file(incident=incident, out=out)
    lines = out.getvalue().splitlines()[1:]
    assert len(lines) == number
    return lines


def test_a_long_reject_file_sorts_numbers_alone_and_each_once(
    bring: Importer, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(*({**BEN, "person_id": f"b{n}", "customer_number": f"C{n}", "full_name": f"Ben Holt {'x' * n}"} for n in range(1, 8)))
    bring(*({"person_id": f"n{n}", "language": "fr"} for n in range(7)))
    whole = waiting_lines(incident)
    monkeypatch.setattr("incidents.people.rejects.PAGE", 2)
    with CaptureQueriesContext(connection) as asked:
        assert waiting_lines(incident) == whole and len(whole) == 14
    sorted_once = [query["sql"] for query in asked.captured_queries if "DISTINCT" in query["sql"]]
    assert len(sorted_once) <= 2 and not any("sealed" in sql for sql in sorted_once)


def test_what_is_decided_while_the_reject_file_is_written_is_left_out(
    bring: Importer, incident: Incident, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(*({**BEN, "person_id": f"b{n}", "customer_number": f"C{n}", "full_name": f"Ben Holt {'x' * n}"} for n in range(1, 4)))
    monkeypatch.setattr("incidents.people.rejects.PAGE", 1)
    lines = rejects._lines(incident, Vault(incident=incident))
    next(lines)
    incident.queue.exclude(person__reference="b1").update(
        status="corrected", decision_reason="done", decided_by=officer, decided_at=NOW
    )
    assert list(lines) == []


def test_somebody_who_was_erased_and_came_back_with_a_backup_stands_in_no_cell(bring: Importer, incident: Incident) -> None:
    bring(BEN, {**BEN, "person_id": "kim", "customer_number": "C8", "full_name": "Kim Roe", "email": "kim@@example.net"})
    ben = AffectedPerson.objects.get(incident=incident, reference="ben")
    erased_list.append(incident=incident, subjects=[ben.subject])
    first, second = lines(incident)
    assert {name for name, cell in first.items() if cell} == {"correction_of", "row", "queue", "column", "remedy", "status", MARK}
    assert "erase --replay" in first["remedy"]
    assert (second["person"], second["email"]) == ("kim", "kim@@example.net")


# -- one line stands for all rows of the person -------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [False, True], ids=["one-list", "two-lists"])
def test_a_typo_corrected_in_one_row_leaves_what_another_row_of_the_person_said(
    bring: Importer, give_back: Back, incident: Incident, apart: bool
) -> None:
    typo = {**CLAIRE, "elements": "name;email;foo", "flags": "deceeased"}
    other = {**CLAIRE, "elements": "national_id;phone", "flags": "minor_under_16"}
    for rows in [(typo,), (other,)] if apart else [(typo, other)]:
        bring(*rows)
    (line,) = lines(incident)
    assert line["elements"] == "name;email;foo;national_id;phone" and line["flags"] == "deceeased;minor_under_16"
    elements = line["elements"].replace("foo", "date_of_birth")
    give_back({**line, "elements": elements, "flags": line["flags"].replace("deceeased", "moved")})
    claire = AffectedPerson.objects.get(incident=incident)
    assert claire.elements == ["country", "date_of_birth", "email", "name", "national_id", "phone"]
    assert claire.flags == ["minor_under_16", "moved"] and kinds(incident, status="open") == ["guardian"]


def test_what_somebody_takes_out_of_the_line_leaves_the_person(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring({**CLAIRE, "elements": "name;foo"}, {**CLAIRE, "elements": "name;national_id"})
    (line,) = lines(incident)
    give_back({**line, "elements": "name"})
    assert "national_id" not in AffectedPerson.objects.get(incident=incident).elements


def test_a_row_of_too_many_cells_does_not_blank_what_another_row_filled(
    give_back: Back, incident: Incident, officer: User, tmp_path: Path
) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(
        "person_id,customer_number,full_name,email,stated_country,phone,elements\n"
        "claire,C1,Claire Dubois,claire@example.org,FR,,name,more\n"
        "claire,C1,Claire Dubois,claire@example.org,FR,+33 1 23 45 67 89,name;phone\n"
    )
    import_people(incident=incident, path=path, author=officer)
    (line,) = lines(incident)
    give_back({**line, "full_name": "Claire Dubois-Roy"})
    claire = AffectedPerson.objects.get(incident=incident)
    fields = Vault(incident=incident).open(person=claire)
    assert (fields.full_name, fields.phone) == ("Claire Dubois-Roy", "+33 1 23 45 67 89")
    assert claire.elements == ["country", "email", "name", "phone"]


# -- what other rows settled stays settled ------------------------------------------------------------------------------

DEE = {**CLAIRE, "person_id": "dee", "customer_number": "C9", "full_name": "Dee Marsh", "email": "dee@example.org",
       "street": "10 Row", "city": "Lyon", "date_of_birth": "02/03/1980"}  # fmt: skip
AT_HOME = (*DEE, "region", "postcode")
OPEN_PLACES = [
    ({"stated_country": "England"}, {"stated_country": "GB", "city": "Edinburgh", "postcode": "EH1 1AA"}, "GB"),
    ({"stated_country": "US"}, {"stated_country": "US", "city": "Boston", "region": "MA", "postcode": "02108"}, "US-MA"),
]


@pytest.mark.parametrize(("first", "newer", "home"), OPEN_PLACES, ids=["no-country", "no-state"])
def test_a_birth_date_corrected_in_the_reject_file_leaves_the_home_that_a_newer_list_settled(
    bring: Importer, give_back: Back, incident: Incident, first: Row, newer: Row, home: str
) -> None:
    bring({**DEE, **first}, columns=AT_HOME)
    bring({**DEE, **newer}, columns=AT_HOME)
    (line,) = lines(incident)
    assert {name: restored(line[name]) for name in newer} == newer
    give_back({**line, "date_of_birth": "1980-03-02"})
    dee = AffectedPerson.objects.get(incident=incident)
    assert (dee.residence, dee.status) == (home, "clear")


@pytest.mark.parametrize(("first", "newer", "home"), OPEN_PLACES, ids=["no-country", "no-state"])
def test_a_record_that_still_says_the_old_place_keeps_the_home_that_was_settled(
    bring: Importer, give_back: Back, incident: Incident, first: Row, newer: Row, home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As people were joined before a row that answers the residence told the home too.
    join_fields = joining.join_fields
    monkeypatch.setattr(joining, "join_fields", lambda records, **_: join_fields(records))
    bring({**DEE, **first}, columns=AT_HOME)
    bring({**DEE, **newer}, columns=AT_HOME)
    (line,) = lines(incident)
    assert line["stated_country"] == first["stated_country"]
    give_back({**line, "date_of_birth": "1980-03-02"})
    dee = AffectedPerson.objects.get(incident=incident)
    assert (dee.residence, dee.status) == (home, "clear")


def test_a_correction_that_takes_the_settled_home_away_opens_the_question_again(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    (first, newer, _), *_ = OPEN_PLACES
    bring({**DEE, **first}, columns=AT_HOME)
    bring({**DEE, **newer}, columns=AT_HOME)
    (line,) = lines(incident)
    give_back({**line, "date_of_birth": "1980-03-02", "stated_country": "England", "postcode": ""})
    dee = AffectedPerson.objects.get(incident=incident)
    assert (dee.residence, dee.status) == ("ZZ", "attention")
    assert kinds(incident, status="open") == ["residence_unknown"]


def test_a_birth_date_corrected_leaves_open_that_a_newer_list_names_another_home(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring(DEE, columns=AT_HOME)
    bring({**DEE, "stated_country": "DE"}, columns=AT_HOME)
    (line,) = lines(incident)
    give_back({**line, "date_of_birth": "1980-03-02"})
    assert kinds(incident, status="open") == ["residence_conflict"]


def test_a_country_without_its_state_that_a_newer_list_names_is_asked_about_after_a_correction_too(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring({**DEE, "stated_country": "England"}, columns=AT_HOME)
    bring({**DEE, "stated_country": "US"}, columns=AT_HOME)
    (line,) = lines(incident)
    give_back({**line, "date_of_birth": "1980-03-02"})
    assert (AffectedPerson.objects.get(incident=incident).residence, kinds(incident, status="open")) == ("US", ["state_unknown"])


def test_a_residence_that_a_row_answered_is_not_told_as_accepted_by_a_person() -> None:
    answered = QueueEntry(kind="residence_unknown", status="corrected", decision_reason=ANSWERED)
    accepted = QueueEntry(kind="residence_unknown", status="corrected", decision_reason="called them")
    assert waits(entries=[answered]) == "a row of a list answered it; nobody else did"
    assert waits(entries=[answered, accepted]) == "a person accepted it as it stands"


# -- a birth date that may be a child's ---------------------------------------------------------------------------------


def test_a_child_stays_a_minor_when_their_doubtful_birth_date_is_accepted_as_it_stands(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**CLAIRE, "date_of_birth": "02/03/2015"})
    doubt = incident.queue.filter(kind="data")
    deciding.accept(incident=incident, entries=doubt, reason="as the source has it", author=officer)
    claire = AffectedPerson.objects.get(incident=incident)
    assert (claire.flags, claire.status, kinds(incident, status="open")) == (["minor_under_16"], "attention", ["guardian"])


@pytest.mark.parametrize(
    ("born", "flags", "open_now"), [("2015-03-02", ["minor_under_16"], ["guardian"]), ("1981-03-02", [], [])]
)
def test_the_birth_date_that_comes_back_says_who_is_a_minor(
    bring: Importer, give_back: Back, incident: Incident, born: str, flags: list[str], open_now: list[str]
) -> None:
    bring({**CLAIRE, "date_of_birth": "02/03/2015"})
    (line,) = lines(incident)
    give_back({**line, "date_of_birth": born})
    claire = AffectedPerson.objects.get(incident=incident)
    assert (claire.flags, kinds(incident, status="open"), incident.queue.count()) == (flags, open_now, 2)


# -- a corrected row that fits somebody else ----------------------------------------------------------------------------

ANN = {**CLAIRE, "person_id": "ann", "customer_number": "", "full_name": "Ann Lee", "email": "ann@example.org",
       "date_of_birth": "1980-01-20"}  # fmt: skip
TYPO = {**ANN, "person_id": "typo", "full_name": "Anm Lee", "email": "ann@@example.org", "date_of_birth": ""}


def asked_about(incident: Incident) -> list[tuple[str, str, str]]:
    entries = incident.queue.filter(kind="match_conflict", status="open").select_related("person", "other").order_by("id")
    return [(one.person.reference, one.other.reference, one.reason) for one in entries if one.person and one.other]


@pytest.mark.parametrize(
    ("corrected", "reason"),
    [
        ({"full_name": "Ann Lee", "email": "ann@example.org", "date_of_birth": "1980-01-20"}, "a row of a list fits two people"),
        ({"full_name": "Ann Lee", "email": "ann@example.org", "date_of_birth": "1981-01-20"},
         "the same name and identifier stand beside another customer number or birth date"),
        ({"full_name": "Ann Lee", "email": "lee@example.org", "date_of_birth": "1980-01-20"},
         "the same name and birth date, but nothing else says that it is one person"),
        ({"email": "lee@example.org", "customer_number": "C8"}, "the same customer number stands beside another name"),
    ],
    ids=["the-same", "another-birth-date", "name-and-birth-date", "another-name"],
)  # fmt: skip
def test_a_row_corrected_to_what_somebody_else_is_asks_whether_they_are_one(
    bring: Importer, give_back: Back, incident: Incident, officer: User, corrected: Row, reason: str
) -> None:
    bring({**ANN, "customer_number": "C8"}, TYPO)
    (line,) = lines(incident)
    give_back({**line, **corrected})
    assert asked_about(incident) == [("typo", "ann", reason)]
    entries = incident.queue.filter(kind="match_conflict")
    assert merge_people(incident=incident, entries=entries, reason="one person", author=officer) == 1


def test_two_rows_of_one_reject_file_that_are_corrected_to_one_person_are_asked_about_once(
    bring: Importer, give_back: Back, incident: Incident
) -> None:
    bring(TYPO, {**TYPO, "person_id": "other", "full_name": "An Lee"})
    give_back(*({**line, "full_name": "Ann Lee", "email": "ann@example.org"} for line in lines(incident)))
    assert asked_about(incident) == [("other", "typo", "a row of a list fits two people")]


def test_a_corrected_row_that_fits_nobody_else_asks_nothing(bring: Importer, give_back: Back, incident: Incident) -> None:
    bring({**ANN, "customer_number": "C8"}, TYPO)
    (line,) = lines(incident)
    give_back({**line, "email": "anm@example.org"})
    assert kinds(incident, status="open") == []
