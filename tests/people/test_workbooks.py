"""Lists as XLSX: what a cell is as text, what of a sheet is a row, and sheets as other programs write them."""

from __future__ import annotations

import datetime
import io
import tracemalloc
from itertools import islice

import openpyxl
import pytest

from incidents.people import reading
from incidents.people.reading import FileAsked, shared_strings
from incidents.people.reading.cells import Format, format_of, number_text
from incidents.people.reading.files import LARGEST_FIELD
from tests.people.reads import read, refusal, refused
from tests.people.workbooks import HEADER, MAIN, PEOPLE, SHEET, packed, plain_parts, relations, saved, with_parts, workbook

ANNA = '<c t="inlineStr"><is><t>Anna</t></is></c>'


def second(cell: str) -> str:
    """What the reader makes of one cell, given as XML."""
    return read(packed(plain_parts(cells=f"<row>{ANNA}{cell}</row>", strings=["shared", "x_x005F_y_x000D_z"])))[1][0][1][1]


# -- cells ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c t="s"><v>0</v></c>', "shared"),
        ('<c t="s"><v>1</v></c>', "x_x005F_y_x000D_z".replace("_x005F_", "_").replace("_x000D_", "\r")),
        ('<c t="inlineStr"><is><r><t>two </t></r><r><t>runs</t></r></is></c>', "two runs"),
        ('<c t="inlineStr"><is><t>東京</t><rPh sb="0" eb="2"><t>トウキョウ</t></rPh></is></c>', "東京"),
        ('<c t="str"><v>a &amp; b</v></c>', "a & b"),
        ('<c t="b"><v>1</v></c>', "TRUE"),
        ('<c t="e"><v>#N/A</v></c>', "#N/A"),
        ('<c t="d"><v>1980-02-29</v></c>', "1980-02-29"),
        ("<c><v>12.5</v></c>", "12.5"),
        ("<c><v>0.30000000000000004</v></c>", "0.30000000000000004"),
        ("<c><v>7.0</v></c>", "7"),
        ("<c><v>-7</v></c>", "-7"),
        ('<c s="1"><v>0</v></c>', "1900-01-00"),
        ('<c s="1"><v>1</v></c>', "1900-01-01"),
        ('<c s="1"><v>59</v></c>', "1900-02-28"),
        ('<c s="1"><v>60</v></c>', "1900-02-29"),
        ('<c s="1"><v>61</v></c>', "1900-03-01"),
        ('<c s="1"><v>29280.75</v></c>', "1980-02-29T18:00:00"),
        ('<c s="1"><v>0.5</v></c>', "12:00:00"),
        ('<c s="1"><v>2958465</v></c>', "9999-12-31"),
        ('<c s="1"><v>-1</v></c>', "-1"),
        ("<c/>", ""),
    ],
)  # fmt: skip
def test_a_cell_is_read_as_what_it_holds(cell: str, text: str) -> None:
    assert second(cell) == text


@pytest.mark.parametrize("cell", ['<c t="s"><v>99</v></c>', '<c s="-1"><v>1</v></c>', '<c t="s"><v>-1</v></c>', "<c><v>many</v></c>", "<c><v>1e999</v></c>",
                                  '<c t="b"><v>2</v></c>', '<c s="9"><v>1</v></c>', '<c t="inlineStr"><is><t>_xD800_</t></is></c>'])  # fmt: skip
def test_a_cell_that_holds_what_no_spreadsheet_writes_is_refused_by_name(cell: str) -> None:
    said = refusal(packed(plain_parts(cells=f"<row>{ANNA}{cell}</row>", strings=["x"])))
    assert "Sheet 1, cell B2: no value that a spreadsheet writes. Correct it" in said


@pytest.mark.parametrize(
    ("number", "code", "shown"),
    [
        (14, "", Format(dated=True)),
        (57, "", Format(dated=True)),
        (0, "", None),
        (49, "", None),
        (164, "yyyy\\-mm\\-dd", Format(dated=True)),
        (164, '[$-411]ggge"年"m"月"d"日"', Format(dated=True)),
        (164, "dd/mm/yyyy;@", Format(dated=True)),
        (164, "General", None),
        (164, '#,##0.00" days"', None),
        (164, "0 Stk", None),
        (164, "#,##0 USD", None),
        (164, "Standard", None),
        (164, 'General" Stück"', None),
        (164, "TT.MM.JJJJ", Format(dated=True)),
        (164, "yyyy-mm-ddThh:mm:ss.000", Format(dated=True)),
        (164, "m/d/yy h:mm AM/PM", Format(dated=True)),
        (164, "[h]:mm:ss", Format(dated=True)),
        (164, "[Red]0.00", None),
        (164, "0.00E+00", None),
        (164, "00000", Format(zeros="00000")),
        (164, "00000-0000", Format(zeros="00000-0000")),
        (164, "0", None),
    ],
)  # fmt: skip
def test_a_number_format_tells_dates_and_leading_zeros(number: int, code: str, shown: Format | None) -> None:
    assert format_of(number=number, code=code) == shown


@pytest.mark.parametrize("value", ["nan", "inf", "", "1,5", "0x10", "1_000", " 1"])
def test_what_is_no_number_is_no_value(value: str) -> None:
    with pytest.raises(ValueError):
        number_text(value=value, shown=None, since_1904=False)


def test_a_date_beyond_the_calendar_of_1904_is_refused() -> None:
    parts = plain_parts(cells=f'<row>{ANNA}<c s="1"><v>2958465</v></c></row>')
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace("<workbookPr/>", '<workbookPr date1904="true"/>')
    assert "cell B2" in refusal(packed(parts))


# -- rows ----------------------------------------------------------------------------------------------------------


def test_a_workbook_without_the_sheet_of_the_last_list_is_read_or_asked_as_if_there_had_been_none() -> None:
    raw = workbook()
    assert read(raw, before={"sheet": "Kunden"})[0].sheet == "Sheet"
    book = openpyxl.load_workbook(io.BytesIO(raw))
    book.create_sheet("Kunden").append(["full_name", "email"])
    asked = refused(saved(book), before={"sheet": "Gone"})
    assert isinstance(asked, FileAsked) and asked.question == "sheet" and asked.choices == ("#1 'Sheet'", "#2 'Kunden'")
    assert read(saved(book), before={"sheet": "Sheet"})[0].sheet == "Sheet"
    book["Kunden"].sheet_state = "hidden"
    assert read(saved(book), before={"sheet": "Kunden"})[0].sheet == "Sheet"


def test_rows_keep_the_numbers_they_have_in_the_sheet() -> None:
    rows = f'<row r="3">{ANNA}</row><row/><row r="7"><c r="B7" t="s"><v>0</v></c><c r="D7" t="s"><v>0</v></c></row>'
    found = read(packed(plain_parts(cells=rows, strings=["x"])))[1]
    assert found == [(3, ["Anna", ""]), (7, ["", "x", "", "x"])]


@pytest.mark.parametrize("rows", [
    '<row r="1"><c/></row>', '<row r="9"/><row r="8"/>', '<row r="1048577"/>', '<row r="2"><c r="B2"/><c r="A2"/></row>',
    '<row r="2"><c r="XFE2"/></row>', '<row r="2"><c r="é2"/></row>', '<row r="x"/>', "<row><c><c/></c></row>",
    '<row r="2"><row r="3"/></row>', '<row r="2"/><c r="A2"/>', '<row r="2"><c r="A3"/></row>', '<row r="1_0"/>', '<row r="２"/>',
    "<row><c><v>1</v><v>2</v></c></row>",
])  # fmt: skip
def test_rows_and_cells_out_of_their_order_are_refused(rows: str) -> None:
    said = refusal(packed(plain_parts(cells=rows)))
    assert "Save" in said


def test_a_header_below_the_first_row_is_refused_with_the_remedy() -> None:
    said = refusal(workbook((), HEADER, *PEOPLE))
    assert "begins in row 2" in said and "remove the empty rows" in said


def test_empty_columns_at_the_right_are_no_columns() -> None:
    file, rows = read(workbook((*HEADER, None, " "), *PEOPLE))
    assert file.header == HEADER and [len(cells) for _, cells in rows] == [2, 2]


def test_rows_and_columns_that_are_folded_away_are_read_as_well() -> None:
    def hide(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet.row_dimensions[3].hidden = True
        sheet.column_dimensions["B"].hidden = True

    assert [cells for _, cells in read(workbook(HEADER, *PEOPLE, change=hide))[1]] == [list(row) for row in PEOPLE]


def test_addresses_that_are_links_are_read_as_addresses() -> None:
    def link(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        sheet["B2"].hyperlink = "mailto:zoe@example.org"

    assert read(workbook(HEADER, *PEOPLE, change=link))[1][0] == (2, list(PEOPLE[0]))


def test_a_workbook_that_another_program_writes_is_read() -> None:
    born = (datetime.date(1980, 2, 29), datetime.datetime(2001, 2, 3, 4, 5, 6))  # noqa: DTZ001
    raw = workbook(
        (*HEADER, "PLZ", "DOB"),
        *((*person, number, day) for person, number, day in zip(PEOPLE, (1234, "01234"), born, strict=True)),
    )
    file, rows = read(raw)
    assert (file.kind, file.sheet, file.columns) == ("xlsx", "Sheet", ("full_name", "email", "postcode", "date_of_birth"))
    assert [cells[2:] for _, cells in rows] == [["1234", "1980-02-29"], ["01234", "2001-02-03T04:05:06"]]


@pytest.mark.parametrize("prefix", ["x:", ""])
@pytest.mark.parametrize("space", [MAIN, "http://purl.oclc.org/ooxml/spreadsheetml/main"])
def test_both_forms_of_the_standard_and_prefixed_names_are_read(prefix: str, space: str) -> None:
    sheet = plain_parts()[SHEET].replace(MAIN, space)
    if prefix:
        sheet = sheet.replace("<", "<x:").replace("<x:/", "</x:").replace("xmlns=", "xmlns:x=")
    assert read(with_parts({SHEET: sheet}))[1] == [(2, list(PEOPLE[0]))]


def test_an_absolute_part_name_is_found_and_a_missing_one_is_refused() -> None:
    to = "xl/_rels/workbook.xml.rels"
    assert read(with_parts({to: relations(("worksheet", "/xl/worksheets/sheet1.xml"))}))[1]
    assert "lacks a part of itself" in refusal(with_parts({to: relations(("worksheet", "worksheets/sheet9.xml"))}))


def test_two_parts_of_one_kind_are_refused_because_programs_differ_in_which_they_read() -> None:
    to = "xl/_rels/workbook.xml.rels"
    twice = relations(("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "a.xml"), ("sharedStrings", "b.xml"))
    assert "damaged" in refusal(with_parts({to: twice})) and "damaged" in refusal(with_parts({to: twice.replace("r3", "r2")}))


def test_the_formula_of_a_format_rule_is_no_formula_of_a_cell() -> None:
    after = '<conditionalFormatting sqref="A1"><cfRule type="expression"><formula>A1=1</formula></cfRule></conditionalFormatting>'
    assert read(packed(plain_parts(after=after)))[1] == [(2, list(PEOPLE[0]))]


def test_a_formula_far_down_is_found_before_anything_is_imported() -> None:
    rows = (
        "".join(f"<row>{ANNA}<c><v>{at * at * 31 % 999_983}</v></c></row>" for at in range(20_000))
        + f"<row>{ANNA}<c><f>1+1</f><v>2</v></c></row>"
    )
    raw = packed(plain_parts(cells=rows))
    with pytest.raises(reading.FileRefused, match="cell B20002: a formula"):
        reading.inspect(raw=io.BytesIO(raw), size=len(raw))


def test_a_sheet_may_be_called_anything() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook()))
    book.active.title = "Кл <b> & 'x'"
    book.create_sheet("=cmd")["A1"] = "x"
    assert read(saved(book), sheet="Кл <b> & 'x'")[0].sheet == "Кл <b> & 'x'"


# -- size ----------------------------------------------------------------------------------------------------------


def test_a_cell_beyond_the_limit_is_refused_whether_inside_or_shared() -> None:
    long = "x" * (LARGEST_FIELD + 1)
    assert "cell B2: more than" in refusal(packed(plain_parts(cells=f'<row>{ANNA}<c t="str"><v>{long}</v></c></row>')))
    shared = packed(plain_parts(cells=f'<row>{ANNA}<c t="s"><v>0</v></c></row>', strings=[long]))
    assert f"more than {LARGEST_FIELD} characters" in refusal(shared)


def test_a_row_that_repeats_a_long_text_without_end_is_refused() -> None:
    cells = "<row>" + '<c t="s"><v>0</v></c>' * 200 + "</row>"
    assert "a row of more than 4000000 characters" in refusal(packed(plain_parts(cells=cells, strings=["é" * 100_000])))


def test_more_shared_text_than_a_list_has_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_strings, "LARGEST_TEXTS", 5_000)
    rows = "".join(f'<row>{ANNA}<c t="s"><v>{at}</v></c></row>' for at in range(1000))
    said = refusal(packed(plain_parts(cells=rows, strings=[f"person {at}" for at in range(1000)])))
    assert "of text. Save the list as CSV" in said


def test_rows_are_streamed_in_the_memory_of_a_few() -> None:
    rows = "".join(f'<row>{ANNA}<c t="inlineStr"><is><t>p{at}@example.org</t></is></c></row>' for at in range(30_000))
    raw = packed(plain_parts(cells=rows))
    source = io.BytesIO(raw)
    file = reading.inspect(raw=source, size=len(raw))
    peaks = []
    for most in (2_000, 30_000):
        tracemalloc.start()
        assert sum(1 for _ in islice(reading.rows(raw=source, file=file), most)) == most
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2
