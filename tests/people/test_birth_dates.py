"""Dates of birth as lists write them: between points, of Japan, not given, and of a column in which the day or the month is first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import AuditEvent, Incident
from incidents.people.importing import ImportReport, carry_on, confirm, import_people, look
from incidents.people.person_facts import birth_date, read_birth
from incidents.people.reading.names import dates_of
from incidents.people.uploads import receive
from incidents.vault import Vault
from tests.people.reads import read
from tests.people.test_blockwise import COLUMNS, check, told
from tests.people.test_import_command import run

TODAY, AWARE = date(2026, 11, 23), date(2026, 9, 1)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("02.03.1980", date(1980, 3, 2)), ("2.3.1980", date(1980, 3, 2)), ("29.02.1980", date(1980, 2, 29)), ("02.29.1980", date(1980, 2, 29)),
        ("2. 3. 1980", date(1980, 3, 2)), ("02. 03. 1980", date(1980, 3, 2)), ("1980.03.02.", date(1980, 3, 2)), ("1980. 3. 2.", date(1980, 3, 2)),
        ("1980. 3. 2", date(1980, 3, 2)), ("1980/3/2 0:00", date(1980, 3, 2)), ("2/25/1980 12:00:00 AM", date(1980, 2, 25)),
        ("1985年3月14日", date(1985, 3, 14)), ("1985年03月14日", date(1985, 3, 14)), ("１９８５年３月１４日", date(1985, 3, 14)),
        ("明治45年7月29日", date(1912, 7, 29)), ("大正元年8月1日", date(1912, 8, 1)), ("昭和60年3月14日", date(1985, 3, 14)), ("昭60.3.14", date(1985, 3, 14)),
        ("平成元年1月8日", date(1989, 1, 8)), ("令和2年05月05日", date(2020, 5, 5)), ("S60.3.14", date(1985, 3, 14)), ("H1.01.08", date(1989, 1, 8)),
        ("T15/12/25", date(1926, 12, 25)), ("r1-5-1", date(2019, 5, 1)), ("M45.7.30", date(1912, 7, 30)), ("㍼60年3月14日", date(1985, 3, 14)),
    ],
)  # fmt: skip
def test_a_date_between_points_and_one_of_japan_mean_one_day(text: str, day: date) -> None:
    assert birth_date(text) == day and read_birth(text, TODAY, AWARE)[0] == ""


@pytest.mark.parametrize(
    "text", ["昭和64年1月8日", "平成元年1月7日", "昭和60年13月1日", "S60.2.30", "X60.3.14", "昭和60年", "1985年3月", "S60.3-14"]
)
def test_a_day_that_an_era_never_had_is_asked(text: str) -> None:
    assert birth_date(text) is None and "not a plausible date" in read_birth(text, TODAY, AWARE)[0]


@pytest.mark.parametrize("text", ["00.00.0000", "0000-00-00", "00/00/0000", "00000000", "0", "0000-00-00 00:00:00"])
def test_a_date_of_nothing_but_zeros_is_not_given_and_not_asked(text: str) -> None:
    assert birth_date(text) is None and read_birth(text, TODAY, AWARE) == ("", "")


@pytest.mark.parametrize(
    "text", ["00.00.1980", "01.00.1980", "0.1", "1980-03-02.", "2/ 3/1980", "2/25/1980 12:30:00 AM", "2/25/1980 12:00 PM"]
)
def test_a_date_with_something_in_it_is_asked(text: str) -> None:
    assert read_birth(text, TODAY, AWARE)[0]


# -- the form of a column --------------------------------------------------------------------------------------------


def listed(*born: str, name: str = "Birthday") -> bytes:
    rows = [f"C{n},Ann {chr(65 + n // 26)}{chr(97 + n % 26)},ann{n}@example.org,DE,{day}" for n, day in enumerate(born)]
    return "\n".join([f"Customer ID,Name,E-Mail,Country,{name}", *rows, ""]).encode()


@pytest.mark.parametrize(
    ("born", "form"),
    [
        (["02/03/1980", "25/03/1980"], "day"), (["02/03/1980", "03/25/1980"], "month"), (["02-03-1980", "25-03-1980"], "day"),
        (["02.03.1980", "03.25.1980"], "month"), (["02/03/1980", "25/03/1980", "03/25/1980"], ""), (["02/03/1980", "12/12/1980"], ""),
        (["1980-03-25", "02/03/1980"], ""), (["32/03/1980"], "day"), ([""], ""), (["03/03/1980"], ""), (["31/31/1980"], ""),
        (["02.03.1980"], ""), (["2. 3. 1980", "25. 3. 1980"], "day"), (["2/3/1980 0:00", "2/25/1980 0:00"], "month"), (["02.03.1980", "25/03/1980"], "day"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["Birthday", "date_of_birth"])
def test_days_above_12_in_one_place_and_never_in_the_other_tell_the_form_of_a_column(
    born: list[str], form: str, name: str
) -> None:
    file, _ = read(listed(*born, name=name))
    assert dates_of(file.columns) == form and file.dates[-1] == form


@pytest.mark.parametrize(
    "born", [["25.03.1980", "02/03/1980"], ["02.03.1980", "02/25/1980", "03/04/1980"], ["25-03-1980", "02/03/1980"]]
)
def test_one_sign_between_the_numbers_tells_nothing_of_dates_with_another(born: list[str]) -> None:
    assert dates_of(read(listed(*born))[0].columns) == ""
    assert dates_of(read(listed(*born, "26/04/1981", "26.04.1981", "26-04-1981"))[0].columns) == (
        "" if "02/25/1980" in born else "day"
    )


def test_one_slip_of_the_pen_among_many_dates_that_may_be_two_days_does_not_tell_the_form() -> None:
    doubtful = [f"{one:02}/{other:02}/1980" for one in range(1, 5) for other in range(5, 9)]
    assert dates_of(read(listed(*doubtful, "13/01/1980"))[0].columns) == ""
    assert dates_of(read(listed(*doubtful, "13/01/1980", "14/01/1980", "15/01/1980", "16/01/1980"))[0].columns) == "day"


def test_a_day_far_below_the_rows_that_are_shown_tells_the_form_as_well() -> None:
    assert dates_of(read(listed(*["02/03/1980"] * 600, "25/03/1980"))[0].columns) == "day"


def test_dates_that_came_back_corrected_tell_nothing_of_those_that_are_asked() -> None:
    raw = b"correction_of,full_name,email,date_of_birth\n1-2,Anna Berg,a@example.org,02/03/1980\n1-3,Ben Roy,b@example.org,25/03/1980\n"
    assert read(raw)[0].columns[-1] == "date_of_birth"


@pytest.mark.parametrize("form", ["day", "month"])
def test_a_column_with_a_form_is_read_the_same_row_by_row_and_together(form: str) -> None:
    columns = ("full_name", "email", "stated_country", f"date_of_birth_{form}_first")
    born = ["02/03/1980", "25/03/1980", "03/25/1980", "02.03.1980", "03.25.1980", "1980-01-01", "00/00/0000", "31/31/1980", "n/a",
            "02/03/2015", "08/10/2010", "2/3/80", "'02/03/1980", "", "03/03/1980", "00/05/1980", "02/03/0000"]  # fmt: skip
    check([["Anna Berg", "anna@example.org", "FR", day] for day in born] * 2, columns=columns, size=4)


@pytest.mark.parametrize(("form", "kept"), [("day", "1980-03-02"), ("month", "1980-02-03")])
def test_a_date_that_may_be_two_days_is_kept_as_the_one_that_its_column_means(
    form: str, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = tuple(f"{name}_{form}_first" if name == "date_of_birth" else name for name in COLUMNS)
    cells = {"full_name": "Anna Berg", "email": "a@example.org", "stated_country": "FR", "elements": "name"}
    rows = [[{**cells, "date_of_birth": day}.get(name, "") for name in COLUMNS] for day in ("02/03/1980", "13/25/1980")]
    one, other = told(monkeypatch, columns, rows).values()
    assert f'"date_of_birth":"{kept}"' in one[1]["plain"] and one[0][-1] == [] and other[0][-1] != []


def test_a_date_against_the_form_of_its_column_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ("full_name", "email", "stated_country", "date_of_birth_day_first")
    (row,) = told(monkeypatch, columns, [["Anna Berg", "a@example.org", "FR", "02/29/1980"]]).values()
    assert [(problem["column"], problem["reason"]) for problem in row[0][-1]] == [
        ("date_of_birth", "a date of birth that is not in the form of its column")
    ]
    assert '"date_of_birth":"02/29/1980"' in row[1]["plain"]


# -- said, remembered, told ------------------------------------------------------------------------------------------


def imported(incident: Incident, officer: User, path: Path, **said: object) -> ImportReport:
    return import_people(incident=incident, path=path, author=officer, **said)  # type: ignore[arg-type]


def born_of(incident: Incident) -> list[str]:
    vault = Vault(incident=incident)
    return [vault.open(person=person).date_of_birth for person in incident.people.order_by("id")]


def test_an_import_says_and_records_which_stands_first(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(listed("02/03/1980", "25/03/1980"))
    assert "birthday = date_of_birth_day_first" in run(incident.reference, path, "--dry-run")
    assert "read with the day first" in run(incident.reference, path)
    assert born_of(incident) == ["1980-03-02", "25/03/1980"] and not incident.queue.exists()
    (line,) = AuditEvent.objects.filter(action="source.imported").values_list("line", flat=True)
    assert '"dates_of_birth":"day first"' in line and "1980" not in line


def test_somebody_may_say_which_stands_first_or_that_each_row_is_asked(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(listed("02/03/1980", "04/05/1980"))
    assert "birthday = date_of_birth\n" in run(incident.reference, path, "--dry-run")
    assert "birthday = date_of_birth_month_first" in run(incident.reference, path, "--dry-run", "--dates", "month")
    path.write_bytes(listed("02/03/1980", "25/05/1980"))
    assert "birthday = date_of_birth\n" in run(incident.reference, path, "--dry-run", "--dates", "ask")
    run(incident.reference, path, "--dates", "month")
    assert born_of(incident) == ["1980-02-03", "25/05/1980"] and incident.queue.get().column == "date_of_birth"


def test_a_column_that_is_said_to_hold_dates_of_birth_has_the_form_of_its_dates(incident: Incident, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(listed("02/03/1980", "03/25/1980", name="xx"))
    assert "xx = date_of_birth_month_first" in run(incident.reference, path, "--dry-run", "--map", "xx=date_of_birth")
    assert "no column of dates of birth is read" in run(incident.reference, path, "--dates", "day", code=2)


def test_the_form_is_saved_with_the_columns_of_a_source(incident: Incident, officer: User) -> None:
    batch = receive(incident=incident, chunks=[listed("02/03/1980")], author=officer, source="crm")
    seen = look(batch=batch)
    assert seen.mapping["birthday"] == "date_of_birth"
    confirm(batch=batch, mapping=seen.mapping | {"birthday": "date_of_birth_day_first"}, author=officer)
    assert carry_on(batch=batch).dates == "day" and born_of(incident) == ["1980-03-02"]
    again = receive(incident=incident, chunks=[listed("03/04/1980")], author=officer, source="crm")
    assert look(batch=again).mapping["birthday"] == "date_of_birth_day_first"


def test_dates_that_say_the_other_form_than_the_last_list_of_their_source_are_read_in_their_own(
    incident: Incident, officer: User
) -> None:
    batch = receive(incident=incident, chunks=[listed("02/03/1980", "25/03/1980")], author=officer, source="crm")
    confirm(batch=batch, mapping=look(batch=batch).mapping, author=officer)
    carry_on(batch=batch)
    again = receive(incident=incident, chunks=[listed("02/03/1980", "03/25/1980", "04/05/1980")], author=officer, source="crm")
    assert look(batch=again).mapping["birthday"] == "date_of_birth_month_first"
    asked = receive(incident=incident, chunks=[listed("02/03/1980", "25/04/1980", "03/25/1980")], author=officer, source="crm")
    assert look(batch=asked).mapping["birthday"] == "date_of_birth_day_first"
