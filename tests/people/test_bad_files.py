"""Files and encodings, case by case: what is refused names its place and the remedy, what can be read in two ways is asked.

No case ends in another exception, and none is silent. Sizes are held by construction: what is refused by size is not read.
"""

from __future__ import annotations

import inspect as signatures
import io
import struct
import tracemalloc
import zlib
from collections import deque
from collections.abc import Callable
from datetime import date
from itertools import islice

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from incidents.people import reading
from incidents.people.compared import match_values
from incidents.people.reading import FileAsked, FileRefused
from incidents.people.reading.container import LARGEST_UNPACKED, MOST_MEMBERS
from incidents.people.rows import Expected, Preparer
from tests.people.reads import read, refusal, refused
from tests.people.workbooks import (
    HEADER,
    MAIN,
    PEOPLE,
    SHEET,
    Member,
    forged,
    members,
    packed,
    parts_of,
    plain_parts,
    relations,
    saved,
    with_parts,
    workbook,
)

TABLE = "full_name,email\nZoë Müller,zoe@example.org\n佐藤,sato@example.org\n"
CELLS = [(2, ["Zoë Müller", "zoe@example.org"]), (3, ["佐藤", "sato@example.org"])]
HEAD = b"full_name,email\n"
ROW = b"Anna,anna@example.org\n"


class Repeated(io.RawIOBase):
    """A file of a head and one piece again and again, which is nowhere as a whole."""

    def __init__(self, head: bytes, piece: bytes, times: int) -> None:
        self.head, self.block, self.size = head, piece * (1 + 65_536 // len(piece)), len(head) + len(piece) * times
        self.at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence] + offset
        return self.at

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        if self.at < len(self.head):
            part = self.head[self.at :][: len(view)]
        else:
            period = len(self.block)
            offset = (self.at - len(self.head)) % period
            part = self.block[offset:][: min(len(view), self.size - self.at)]
        view[: len(part)] = part
        self.at += len(part)
        return len(part)


def repeated(head: bytes, piece: bytes, times: int) -> tuple[io.BufferedReader, int]:
    file = Repeated(head, piece, times)
    return io.BufferedReader(file, 65_536), file.size


# -- 1 to 10: what is no text --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"\n\n  \r\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00" * 4096], ids=range(5))
def test_case_1_an_empty_file_is_refused(raw: bytes) -> None:
    said = refusal(raw)
    assert "The file is empty" in said and "Export the list again" in said


@pytest.mark.parametrize("raw", [HEAD, HEAD + b"\n ,\n", workbook(HEADER)], ids=["csv", "blank-rows", "xlsx"])
def test_case_2_a_header_alone_is_refused(raw: bytes) -> None:
    said = refusal(raw)
    assert "Row 1 is a header, and no row follows" in said and "Export the list again" in said


def test_case_3_utf8_with_a_byte_order_mark_is_read() -> None:
    assert read(b"\xef\xbb\xbf" + TABLE.encode())[1] == CELLS


@pytest.mark.parametrize(
    "raw", [b"\xff\xfe" + TABLE.encode("utf-16-le"), b"\xfe\xff" + TABLE.encode("utf-16-be")], ids=["le", "be"]
)
def test_case_4_utf16_with_its_mark_is_read(raw: bytes) -> None:
    assert read(raw)[1] == CELLS


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_case_5_utf16_without_its_mark_is_asked_and_read_once_it_is_said(encoding: str) -> None:
    asked = refused(TABLE.encode(encoding))
    assert isinstance(asked, FileAsked) and asked.question == "encoding" and encoding in asked.choices
    assert "Row 1" in str(asked) and "--encoding utf-16-le" in str(asked)
    assert read(TABLE.encode(encoding), encoding=encoding)[1] == CELLS


def test_case_6_windows_text_said_to_be_utf8_is_asked_and_never_garbled() -> None:
    raw = HEAD + "Zoë,zoe@example.org\n".encode("cp1252")
    for said in (None, "utf-8"):
        asked = refused(raw, encoding=said)
        assert isinstance(asked, FileAsked) and "Row 2 (line 2), column 1: byte 0xeb is not UTF-8" in str(asked)
        assert "nothing guessed" in str(asked) and "--encoding cp1252" in str(asked)
    assert read(raw, encoding="cp1252")[1] == [(2, ["Zoë", "zoe@example.org"])]


@pytest.mark.parametrize("encoding", ["shift_jis", "gb18030", "euc-jp", "big5", "euc-kr", "iso2022_jp"])
def test_case_7_encodings_of_east_asia_are_asked_and_read_once_they_are_said(encoding: str) -> None:
    raw = HEAD + "田中,tanaka@example.org\n".encode(encoding)
    asked = refused(raw)
    assert isinstance(asked, FileAsked) and asked.question == "encoding" and "Row 2 (line 2), column 1" in str(asked)
    assert read(raw, encoding=encoding)[1] == [(2, ["田中", "tanaka@example.org"])]


def test_case_8_a_bad_byte_in_the_last_of_a_million_rows_is_named_with_its_row_and_column() -> None:
    raw = HEAD + ROW * 999_997 + b"Anna,an\xffna@example.org\n"
    assert "Row 999999 (line 999999), column 2: byte 0xff" in refusal(raw)


@pytest.mark.parametrize(
    ("rows_before", "cell", "place"),
    [
        (0, b"An\x00na,a@example.org\n", "Row 2 (line 2), column 1"),
        (5000, b"Anna,a\x00@example.org\n", "Row 5002 (line 5002), column 2"),
    ],
)
def test_case_9_a_nul_byte_is_refused_wherever_it_stands(rows_before: int, cell: bytes, place: str) -> None:
    said = refusal(HEAD + ROW * rows_before + cell)
    assert place in said and "NUL" in said and "UTF-8" in said


@pytest.mark.parametrize(
    "bad", [b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"], ids=["overlong", "surrogate", "beyond", "cut"]
)
def test_case_10_bytes_that_only_look_like_utf8_are_refused(bad: bytes) -> None:
    said = refusal(HEAD + ROW + b"Anna," + bad)
    assert f"Row 3 (line 3), column 2: byte 0x{bad[0]:02x} is not UTF-8" in said


def test_case_10_a_lone_surrogate_in_utf16_is_refused() -> None:
    raw = b"\xff\xfe" + (HEAD + ROW).decode().encode("utf-16-le") + b"A\x00\x00\xd8A\x00"
    assert "Row 3 (line 3), column 1" in refusal(raw)


# -- 11 to 19: what is a table -------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_case_11_every_kind_of_line_end_is_read(end: str) -> None:
    assert read(TABLE.replace("\n", end).encode())[1] == CELLS


def test_case_11_mixed_line_ends_and_unicode_separators_in_a_field_are_read() -> None:
    raw = "full_name,email\r\nA\u2028B\u2029C\u0085D,a@example.org\nE,e@example.org\rF,f@example.org".encode()
    assert [cells[0] for _, cells in read(raw)[1]] == ["A\u2028B\u2029C\u0085D", "E", "F"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("hinted", [True, False])
def test_case_12_any_delimiter_is_read_and_the_hint_for_excel_is_no_row(mark: str, hinted: bool) -> None:
    table = TABLE.replace(",", mark)
    file, rows = read((f"sep={mark}\r\n{table}" if hinted else table).encode())
    assert (file.delimiter, rows) == (mark, CELLS)


def test_case_12_a_delimiter_that_cannot_be_told_is_asked_and_read_once_it_is_said() -> None:
    raw = b"full_name:email\nAnna:anna@example.org\n"
    asked = refused(raw)
    assert (
        isinstance(asked, FileAsked) and asked.question == "delimiter" and "Row 1" in str(asked) and "--delimiter" in str(asked)
    )
    assert read(raw, delimiter=":")[1] == [(2, ["Anna", "anna@example.org"])]


@pytest.mark.parametrize("after", [3, 500_000])
def test_case_13_a_quote_that_swallows_the_rest_is_named_by_the_row_where_it_was_opened(after: int) -> None:
    said = refusal(HEAD + ROW * 7 + b'Bob,"bob@example.org\n' + ROW * after)
    assert "Row 9 (line 9), column 2" in said and "quotation mark" in said and "Nothing was imported" in said


def test_case_13_the_rest_of_half_a_million_rows_is_not_read_to_find_that_out() -> None:
    raw, size = repeated(HEAD + b'"Bob,bob@example.org\n', ROW, 500_000)
    file = reading.inspect(raw=io.BytesIO(HEAD + ROW), size=len(HEAD + ROW))
    with pytest.raises(FileRefused, match=r"Row 2 \(line 2\), column 1"):
        list(reading.rows(raw=raw, file=file))
    assert raw.tell() < size / 10


def test_case_14_a_line_break_inside_quotes_belongs_to_the_cell_and_not_to_the_count() -> None:
    raw = HEAD + b'"Anna\r\nMaria",anna@example.org\nBob,bob@example.org\n'
    assert read(raw)[1] == [(2, ["Anna\r\nMaria", "anna@example.org"]), (3, ["Bob", "bob@example.org"])]


@pytest.mark.parametrize("header", ["Full Name ,EMail", "FULL_NAME,email", " full\xa0name ,\xa0EMAIL", "ＦＵＬＬ name,E-Mail"])
def test_case_15_spaces_case_and_hard_spaces_in_a_header_do_not_matter(header: str) -> None:
    assert read(f"{header}\nAnna,anna@example.org\n".encode())[0].columns == ("full_name", "email")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("full_name,email,Email", "Row 1, column 3: it has the same name as column 2. Rename or remove"),
        ("phone,street", "Row 1: no column for a name, a customer number or an e-mail. Name one of"),
        ("full_name,phone", "Row 1: no column for an e-mail or a street. Name one of"),
        (",".join(["full_name", "email", *[f"c{n}" for n in range(4998)]]), "Row 1: 5000 columns; at most 1000 are read. Remove"),
        ("Bob,bob@example.org", "Row 1, column 2: an e-mail address. Is this a header? Put the names"),
    ],
    ids=["twice", "no-name", "no-address", "5000-columns", "no-header"],
)
def test_case_15_a_header_that_cannot_be_used_is_refused_with_its_remedy(header: str, said: str) -> None:
    assert said in refusal(f"{header}\nAnna,anna@example.org\n".encode())


def test_case_15_a_thousand_columns_are_read() -> None:
    raw = ",".join(["full_name", "email", *[f"c{n}" for n in range(998)]]) + "\nAnna,anna@example.org" + ",x" * 998
    file, rows = read(raw.encode())
    assert len(file.columns) == len(rows[0][1]) == 1000 and len(file.unread) == 998


def test_case_16_short_and_long_rows_are_passed_on_as_they_are() -> None:
    assert [len(cells) for _, cells in read(HEAD + b"Anna\nBob,bob@example.org,more,\n")[1]] == [1, 4]


@pytest.mark.parametrize("start", [b"", b'"'], ids=["plain", "quoted"])
def test_case_17_a_field_of_200_megabytes_is_refused_in_little_memory(start: bytes) -> None:
    raw, size = repeated(HEAD + ROW + start, b"x", 200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(FileRefused, match="Row 3 .line 3."):
            list(reading.rows(raw=raw, file=reading.inspect(raw=raw, size=size)))
        assert tracemalloc.get_traced_memory()[1] < 64 * 1024**2
    finally:
        tracemalloc.stop()


def test_case_18_ten_gigabytes_are_refused_by_size_before_a_byte_is_read() -> None:
    class Unread(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise AssertionError("it was read")

    with pytest.raises(FileRefused, match="larger than 2 GiB. Split it"):
        reading.inspect(raw=Unread(), size=10 * 1024**3)


def test_case_19_two_million_rows_are_read_in_the_memory_of_a_few() -> None:
    raw, size = repeated(HEAD, ROW, 2_000_000)
    file = reading.inspect(raw=raw, size=size)
    peaks = []
    for most in (10_000, 100_000):
        tracemalloc.start()
        assert sum(1 for _ in islice(reading.rows(raw=raw, file=file), most)) == most
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.2 and peaks[1] < 8 * 1024**2
    numbers = (number for number, _ in reading.rows(raw=raw, file=file))
    assert deque(numbers, maxlen=1) == deque([2_000_001])


# -- 20 and 21: workbooks that calculate, hide and round -----------------------------------------------------------


def _formula(sheet: Worksheet) -> None:
    sheet["B3"] = '=CONCATENATE("a","@example.org")'


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_formula, "Sheet 1, cell B3: a formula"),
        (lambda sheet: sheet.merge_cells("A2:A3"), "Sheet 1: the cells A2:A3 are merged"),
    ],
    ids=["formula", "merged"],
)
def test_case_20_what_a_sheet_calculates_or_merges_is_refused_with_its_cell(
    change: Callable[[Worksheet], object], said: str
) -> None:
    found = refusal(workbook(HEADER, *PEOPLE, change=change))
    assert said in found and ("paste values" in found or "Unmerge them" in found)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ('<c t="b"><f aca="false">TRUE()</f><v>1</v></c>', "TRUE"), ('<c t="b"><f>FALSE()</f><v>0</v></c>', "FALSE"),
        ('<c t="b"><f>true()</f><v>1</v></c>', "TRUE"),
    ],
)  # fmt: skip
def test_case_20_a_plain_true_or_false_as_libreoffice_writes_it_is_a_value(cell: str, shown: str) -> None:
    row = f'<row><c t="inlineStr"><is><t>Anna</t></is></c>{cell}</row>'
    assert read(packed(plain_parts(cells=row)))[1] == [(2, ["Anna", shown])]


@pytest.mark.parametrize(
    "cell",
    [
        '<c t="b"><f>A1=1</f><v>1</v></c>', '<c t="b"><f>NOT(TRUE())</f><v>0</v></c>', '<c><f>TRUE()</f><v>1</v></c>',
        '<c t="b"><f t="shared" si="0">TRUE()</f><v>1</v></c>', '<c t="b"><f/><v>1</v></c>', '<c t="b"><f>TRUE()          A1</f><v>1</v></c>',
    ],
)  # fmt: skip
def test_case_20_any_other_formula_of_a_truth_is_refused(cell: str) -> None:
    assert "cell B2: a formula" in refusal(
        packed(plain_parts(cells=f'<row><c t="inlineStr"><is><t>Anna</t></is></c>{cell}</row>'))
    )


def test_case_20_the_value_that_a_formula_had_when_it_was_saved_is_never_used() -> None:
    cells = '<row><c t="str"><f>A1</f><v>Anna</v></c><c t="str"><v>anna@example.org</v></c></row>'
    assert "Sheet 1, cell A2: a formula" in refusal(packed(plain_parts(cells=cells)))


TYPE = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/xl/workbook.xml" ContentType="{}"/></Types>'
EXTERNAL = '<Relationship Id="r9" Type="urn:x/attachedTemplate" Target="https://example.org/x" TargetMode="External"/>'


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"xl/vbaProject.bin": b"\xd0\xcf\x11\xe0macro"}, "macros"),
        ({"[Content_Types].xml": TYPE.format("application/vnd.ms-excel.sheet.macroEnabled.main+xml")}, "macros"),
        ({"xl/macrosheets/sheet1.xml": "<x/>"}, "macros"),
        ({"xl/externalLinks/externalLink1.xml": "<externalLink/>"}, "links to other files"),
        ({"xl/worksheets/_rels/sheet1.xml.rels": relations(("externalLinkPath", "x"))}, "links to other files"),
        ({"xl/worksheets/_rels/sheet1.xml.rels": relations(more=EXTERNAL)}, "links to other files"),
        (
            {"xl/externalLinks/dde.xml": '<externalLink><ddeLink ddeService="cmd" ddeTopic="/C calc"/></externalLink>'},
            "links to other files",
        ),
        ({"xl/embeddings/oleObject1.bin": b"x"}, "another file"),
        ({"xl/activeX/activeX1.xml": "<x/>"}, "controls"),
        ({"xl/connections.xml": "<connections/>"}, "a connection to other data"),
    ],
    ids=["vba", "xlsm-renamed", "xlm", "link", "related", "template", "dde", "ole", "activex", "query"],
)
def test_case_20_macros_links_and_embedded_files_are_refused(extra: dict[str, bytes | str], said: str) -> None:
    found = refusal(with_parts(extra))
    assert f"The workbook holds {said}" in found and "paste values" in found


def test_case_20_a_hidden_sheet_is_not_read_and_cannot_be_said() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook()))
    hidden = book.create_sheet("Secret")
    hidden.append(["full_name", "email"])
    for state in ("hidden", "veryHidden"):
        hidden.sheet_state = state
        file, rows = read(saved(book))
        assert (file.sheet, rows, file.hidden_sheets) == ("Sheet", CELLS, 1) and "Secret" not in file.hidden
        assert "is hidden" in refusal(saved(book), sheet="Secret")


def test_case_20_of_several_sheets_the_right_one_is_asked_and_read_once_it_is_said() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook()))
    book.create_sheet("Notes")["A1"] = "x"
    asked = refused(saved(book))
    assert isinstance(asked, FileAsked) and (asked.question, asked.choices) == ("sheet", ("#1 'Sheet'", "#2 'Notes'"))
    assert "#1 'Sheet', #2 'Notes'" in str(asked) and "--sheet '#1'" in str(asked)
    assert read(saved(book), sheet="Sheet")[1] == read(saved(book), sheet="#1")[1] == CELLS
    assert "has no such sheet" in refusal(saved(book), sheet="#3") and "has no such sheet" in refusal(saved(book), sheet="#0")


def test_case_20_a_sheet_is_said_by_its_place_before_its_name_and_a_hidden_one_by_neither() -> None:
    book = openpyxl.load_workbook(io.BytesIO(workbook()))
    book.create_sheet("Secret", 0).sheet_state = "hidden"
    book.create_sheet("#2").append(["full_name", "email"])
    book.active = 1
    file, rows = read(saved(book), sheet="#2")
    assert (file.sheet, file.sheet_at, rows) == ("Sheet", "#2", CELLS) and "is hidden" in refusal(saved(book), sheet="#1")


@pytest.mark.parametrize("since_1904", [False, True])
def test_case_21_dates_that_are_numbers_become_dates_in_both_systems(since_1904: bool) -> None:
    cells = '<row><c t="inlineStr"><is><t>Anna</t></is></c><c s="1"><v>DAY</v></c></row>'.replace(
        "DAY", str(29280 - 1462 * since_1904)
    )
    parts = plain_parts(cells=cells)
    if since_1904:
        parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace("<workbookPr/>", '<workbookPr date1904="1"/>')
    assert read(packed(parts))[1] == [(2, ["Anna", "1980-02-29"])]


@pytest.mark.parametrize(
    ("value", "style", "text"),
    [
        ("1234", 0, "1234"),  # the zero is lost: one digit short, which is asked where the country wants five
        ("1234", 1, "01234"),
        ("12345678", 2, "01234-5678"),
        ("1.23E+15", 0, "1.23E+15"),
        ("1234567890123456789", 0, "1.23456789012346E+18"),
        ("1230000000000", 0, "1230000000000"),
        ("123456789012345", 0, "123456789012345"),
    ],
)
def test_case_21_numbers_keep_their_zeros_if_the_sheet_knows_them_and_show_that_they_were_rounded(
    value: str, style: int, text: str
) -> None:
    parts = plain_parts(cells=f'<row><c t="inlineStr"><is><t>Anna</t></is></c><c s="{style}"><v>{value}</v></c></row>')
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="00000"/><numFmt numFmtId="165" formatCode="00000\\-0000"/>'
        '</numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs></styleSheet>'
    ).replace("\\-", "-")
    assert read(packed(parts))[1][0][1][1] == text


@pytest.mark.parametrize("column", ["customer_number", "phone"])
def test_case_21_a_rounded_number_is_asked_and_matches_nobody(column: str) -> None:
    file, rows = read(workbook(("full_name", "email", column), ("Anna", "anna@example.org", 1.23e15)))
    expected = Expected(vocabulary=frozenset({"name"}), states={"name": "exposed"})
    found = Preparer(columns=file.columns, expected=expected, today=date(2026, 1, 2)).prepare(*rows[0])
    asked = [problem for problem in found.problems if problem.column == column]
    assert [problem.reason for problem in asked] == ["a number that a spreadsheet has rounded"] and "as text" in asked[0].remedy
    assert not getattr(found.fields, column) and not match_values(found.fields)["customer"] and found.rejected is None


# -- 22 to 24: containers made to harm -----------------------------------------------------------------------------


def _zeros(size: int) -> bytes:
    deflater = zlib.compressobj(9, wbits=-15)
    return b"".join([deflater.compress(bytes(1024**2)) for _ in range(size // 1024**2)] + [deflater.flush()])


def test_case_22_a_part_that_would_unpack_to_a_thousand_times_its_size_is_refused_unopened() -> None:
    bomb = Member("xl/media/bomb.xml", deflated=_zeros(32 * 1024**2), declared=32 * 1024**2)
    assert "more than 100 times its size" in refusal(forged(members([bomb])))


@pytest.mark.parametrize("declared", [2**32 - 2, LARGEST_UNPACKED])
def test_case_22_parts_that_say_they_are_huge_are_refused_by_what_they_say(declared: int) -> None:
    said = refusal(forged(members([Member("xl/media/big.xml", deflated=bytes(declared // 90), declared=declared)])))
    assert "unpack to more than 1024 MiB" in said and "CSV" in said


def test_case_22_a_part_that_lies_about_its_size_is_read_no_further_than_it_says() -> None:
    content = plain_parts()[SHEET].encode()
    lie = [member for member in members() if member.name != SHEET]
    said = refusal(forged([*lie, Member(SHEET, content, deflated=_zeros(64 * 1024**2), declared=len(content))]))
    assert "damaged or was made to deceive" in said and "Save it again" in said


@pytest.mark.parametrize("name", ["xl/media/inner.zip", "xl/media/inner.png"])
def test_case_22_an_archive_inside_the_workbook_is_refused_whatever_its_name(name: str) -> None:
    assert "holds another file inside" in refusal(with_parts({name: packed({"x": "y"})}))


def test_case_23_members_that_share_their_bytes_are_refused() -> None:
    parts = members()
    twice = Member("xl/media/again.xml", parts[0].content, offset=0)
    assert "made to deceive" in refusal(forged([*parts, twice]))


@pytest.mark.parametrize(
    "name",
    [
        "../../x",
        "/etc/passwd",
        "xl/../../x",
        "C:\\x",
        "xl\\x.xml",
        "xl/\u202egpj.xml",
        "xl//x.xml",
        "xl/a\nb.xml",
        "n" * 300,
        "XL/WORKBOOK.XML",
    ],
)
def test_case_23_a_member_with_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    assert "made to deceive" in refusal(forged(members([Member(name, b"<x/>")])))


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (Member("xl/link.xml", b"/etc/passwd", mode=0o120777), "made to deceive"),
        (Member("xl/secret.xml", b"<x/>", flags=1), "is encrypted. Save it without a password"),
    ],
    ids=["symlink", "encrypted"],
)
def test_case_23_links_and_encrypted_members_are_refused(member: Member, said: str) -> None:
    assert said in refusal(forged(members([member])))


def test_case_23_a_million_members_are_refused_by_the_count_alone() -> None:
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 0x031E, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"x"
    table = entry * 1_000_000
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1_000_000, 1_000_000, len(table), 4)
    end = struct.pack("<4sLQL", b"PK\x06\x07", 0, 4 + len(table), 1) + struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 2**32 - 1, 2**32 - 1, 0
    )
    assert f"more than {MOST_MEMBERS} parts" in refusal(b"PK\x03\x04" + table + end64 + end)
    assert f"more than {MOST_MEMBERS} parts" in refusal(forged(members(), count=1001))


@pytest.mark.parametrize(
    "raw", [forged(members(), before=b"PK\x03\x04junk"), forged(members(), after=b"junk")], ids=["before", "after"]
)
def test_case_23_nothing_may_stand_before_or_behind_the_container(raw: bytes) -> None:
    assert "damaged" in refusal(raw)


BOMB = "<!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;&b;'>]>"
OUTSIDE = "<!DOCTYPE x [<!ENTITY c SYSTEM 'file:///etc/passwd'>]>"
REMOTE = "<!DOCTYPE x SYSTEM 'https://example.org/x.dtd'>"


@pytest.mark.parametrize("declared", [BOMB, OUTSIDE, REMOTE], ids=["bomb", "external", "dtd"])
@pytest.mark.parametrize("part", list(plain_parts()))
def test_case_24_a_document_type_is_refused_in_every_part_that_is_read(part: str, declared: str) -> None:
    content = plain_parts(cells='<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c></row>', strings=["Anna", "anna@example.org"])
    said = refusal(packed({**content, part: declared + content[part]}))
    assert "declares a document type or entities" in said and "CSV" in said


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1"])
def test_case_24_an_entity_is_refused_in_every_encoding_of_xml(encoding: str) -> None:
    content = f'<?xml version="1.0" encoding="{encoding}"?>{BOMB}{plain_parts()[SHEET]}'.replace("ë", "e")
    assert "document type" in refusal(with_parts({SHEET: content.encode(encoding, "xmlcharrefreplace")}))


@pytest.mark.parametrize(
    "sheet",
    [
        f'<worksheet xmlns="{MAIN}"><sheetData>' + "<row>" * 100_000,
        f'<worksheet xmlns="{MAIN}" x="' + "x" * 8_000_000 + '"/>',
        f'<worksheet xmlns="{MAIN}"><sheetData><row>&nbsp;</row></sheetData></worksheet>',
        "no xml",
        "",
    ],
    ids=["depth", "token", "entity", "text", "nothing"],
)
def test_case_24_xml_that_no_spreadsheet_writes_is_refused(sheet: str) -> None:
    noise = bytes((n * n * 31 + n) % 251 for n in range(100_000))
    said = refusal(with_parts({SHEET: sheet, "xl/media/noise.xml": noise}))
    assert "workbook" in said.lower() and ("Save" in said or "bomb" in said)


# -- 25 to 27: what is no list, names, and sending again -----------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"%PDF-1.7 rest", "a PDF"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"\x7fELF\x02\x01", "a program"),
        (b"<!DOCTYPE html>\n<html><body>full_name,email</body></html>\n", "a web page"),
        (b"\xef\xbb\xbf  <table><tr><td>full_name</td></tr></table>", "a web page"),
        (b'<?xml version="1.0"?><Workbook/>', "an XML file"),
        (b'[{"full_name": "Anna"}]', "a JSON file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an old Excel file"),
        (b"\x1f\x8b\x08\x00", "a compressed file"),
        (b"SQLite format 3\x00", "a database"),
        (packed({"people.csv": TABLE}), "a ZIP archive"),
        (packed({"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<x/>"}), "an OpenDocument file"),
        (packed({**plain_parts(), "xl/workbook.bin": "x"}), "a binary workbook"),
        (
            packed({"[Content_Types].xml": TYPE.format("x.wordprocessingml.document.main+xml"), "word/document.xml": "<x/>"}),
            "an Office document",
        ),
    ],
    ids=["pdf", "png", "elf", "html", "table", "xml", "json", "xls", "gzip", "sqlite", "zip", "ods", "xlsb", "docx"],
)
def test_case_25_another_file_is_called_what_it_is_whatever_its_name(raw: bytes, what: str) -> None:
    said = refusal(raw)
    assert f"This is {what}" in said and "import" in said


@pytest.mark.parametrize("name", ['"><img src=x>.csv', "../../etc/passwd", "n" * 300, "\u202egpj.csv", "list.xlsx"])
def test_case_26_the_name_of_a_file_is_never_asked_for_and_never_used(name: str) -> None:
    raw = io.BytesIO(TABLE.encode())
    raw.name = name  # type: ignore[attr-defined]
    file = reading.inspect(raw=raw, size=len(TABLE.encode()))
    assert file.kind == "csv" and list(reading.rows(raw=raw, file=file)) == CELLS and name not in str(file)
    assert not {"name", "path"} & set(signatures.signature(reading.inspect).parameters)


@pytest.mark.parametrize("raw", [TABLE.encode(), workbook()], ids=["csv", "xlsx"])
def test_case_27_a_file_that_is_cut_on_its_way_is_refused(raw: bytes) -> None:
    half = raw[: len(raw) // 2]
    with pytest.raises(FileRefused, match="The file is cut.*Send it again"):
        reading.inspect(raw=io.BytesIO(half), size=len(raw))


def test_case_27_half_a_workbook_is_refused_even_if_its_size_was_never_said() -> None:
    raw = workbook()
    said = refusal(raw[: len(raw) // 2])
    assert "cut or damaged" in said and "Send or save it again" in said


@pytest.mark.parametrize("raw", [TABLE.encode(), packed(plain_parts())], ids=["csv", "xlsx"])
def test_case_27_the_same_bytes_have_the_same_fingerprint_and_one_changed_row_another(raw: bytes) -> None:
    changed = (
        raw.replace(b"zoe@", b"zoo@")
        if raw[:2] != b"PK"
        else packed({**plain_parts(), SHEET: plain_parts()[SHEET].replace("zoe@", "zoo@")})
    )
    assert read(raw)[0].sha256 == read(raw)[0].sha256 != read(changed)[0].sha256


def test_no_refusal_repeats_what_a_cell_holds() -> None:
    name = "Wandermann"
    bad = [
        f'full_name,email\n"{name},x\n',
        f"full_name,email\n{name}\x00,x\n",
        f"{name},x@example.org\n{name},y\n",
        f"{name},{name}\n",
    ]
    assert not [said for raw in bad if name in (said := refusal(raw.encode()))]
    assert name not in refusal(f"full_name,email\n{name},".encode() + b"\xff")
    assert name not in refusal(workbook(HEADER, (f"={name}", "x")))


def test_every_part_of_a_real_workbook_is_one_that_is_allowed() -> None:
    assert SHEET in parts_of(workbook()) and read(workbook())[1] == CELLS
