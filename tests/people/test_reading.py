"""What can be read is read; everything else is refused whole, with row or line, byte, and what to do about it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from incidents.people import reading
from incidents.people.reading import FileRefused, ListFile, inspect

HEADER = "full_name,email\n"
TABLE = HEADER + "Zoë Müller,zoe@example.org\n佐藤,sato@example.org\n"
CELLS = [(2, ["Zoë Müller", "zoe@example.org"]), (3, ["佐藤", "sato@example.org"])]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "list.csv"


def read(path: Path, encoding: str | None = None) -> tuple[ListFile, list[tuple[int, list[str]]]]:
    file = inspect(path=path, encoding=encoding)
    return file, list(reading.rows(file=file))


def refusal(path: Path, encoding: str | None = None) -> str:
    with pytest.raises(FileRefused) as caught:
        read(path, encoding)
    return str(caught.value)


# -- encodings -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "said", "kept_as"),
    [
        (TABLE.encode(), None, "utf-8-sig"),
        (b"\xef\xbb\xbf" + TABLE.encode(), None, "utf-8-sig"),
        (b"\xef\xbb\xbf" + TABLE.encode(), "utf-8", "utf-8-sig"),
        (TABLE.encode("utf-16"), None, "utf-16"),
        (b"\xfe\xff" + TABLE.encode("utf-16-be"), None, "utf-16"),
        (TABLE.encode("utf-16-le"), "utf-16-le", "utf-16-le"),
        (b"\xff\xfe" + TABLE.encode("utf-16-le"), "utf-16-le", "utf-16"),
        (TABLE.encode("utf-32"), "utf-32", "utf-32"),
        (TABLE.encode("gb18030"), "GB18030", "gb18030"),
    ],
    ids=["utf8", "bom", "bom-said", "utf16", "utf16be", "utf16le-said", "utf16-bom-said", "utf32-said", "gb18030-said"],
)
def test_the_same_table_is_read_in_every_encoding_that_is_known(source: Path, raw: bytes, said: str | None, kept_as: str) -> None:
    source.write_bytes(raw)
    file, rows = read(source, said)
    assert (rows, file.columns, file.encoding) == (CELLS, ("full_name", "email"), kept_as)


def test_windows_text_said_to_be_utf8_is_refused_with_line_byte_and_remedy(source: Path) -> None:
    source.write_bytes(HEADER.encode() + b"Anna,a@example.org\nZo\xeb,z@example.org\n")
    said = refusal(source)
    assert "Line 3" in said and "0xeb" in said and "--encoding cp1252" in said and "Nothing was imported" in said


def test_windows_text_is_accepted_when_its_encoding_is_said(source: Path) -> None:
    source.write_bytes(HEADER.encode() + "Zoë,z@example.org\n".encode("cp1252"))
    assert read(source, "cp1252")[1] == [(2, ["Zoë", "z@example.org"])]


@pytest.mark.parametrize(
    "tail",
    [
        b"\xc0\x80,x\n",
        b"\xed\xa0\x80,x\n",
        b"\xff,x\n",
        "佐藤,x\n".encode("shift_jis"),
        "佐藤,x\n".encode("gb18030"),
        b"\xe2\x82",
    ],
    ids=["overlong", "lone-surrogate", "0xff", "shift-jis", "gb18030", "cut"],
)
def test_bytes_that_are_no_utf8_are_asked_and_never_guessed(source: Path, tail: bytes) -> None:
    source.write_bytes(HEADER.encode() + b"Anna,a@example.org\n" * 1000 + tail)
    said = refusal(source)
    assert "Line 1002" in said and "is not UTF-8" in said and "--encoding" in said


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_a_byte_that_does_not_fit_the_encoding_said_names_its_own_line(source: Path, ends: str) -> None:
    lines = ["full_name,email", *[f"Person {n},p{n}@example.org" for n in range(2, 1500)]]
    raw = ends.join(lines).encode("shift_jis").replace(b"Person 1200,", b"Person \x81\x01,")
    source.write_bytes(raw)
    said = refusal(source, "shift_jis")
    assert "Line 1200:" in said and "shift_jis" in said


def test_utf16_without_a_mark_is_asked(source: Path) -> None:
    source.write_bytes(TABLE.encode("utf-16-le"))
    said = refusal(source)
    assert "NUL" in said and "--encoding utf-16-le" in said


def test_utf16_said_of_a_file_without_a_mark_is_asked_which_of_the_two(source: Path) -> None:
    source.write_bytes(TABLE.encode("utf-16-be"))
    assert "utf-16-be" in refusal(source, "utf-16")


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "base64", "idna", "utf-7", "unicode_escape", "undefined", "a\0b"])
def test_what_is_no_encoding_of_a_file_is_refused_by_name(source: Path, name: str) -> None:
    source.write_text(TABLE)
    assert "is not known" in refusal(source, name)


@pytest.mark.parametrize("lines_before", [0, 5000])
def test_a_nul_byte_is_refused_wherever_it_stands(source: Path, lines_before: int) -> None:
    source.write_bytes(HEADER.encode() + b"Anna,a@example.org\n" * lines_before + b"An\0na,a@example.org\n")
    assert "NUL" in refusal(source)


# -- what a file is ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [b"", b"\n\n  \r\n", b"\xef\xbb\xbf", b"\xff\xfe"], ids=["nothing", "blank", "bom", "utf16-bom"])
def test_an_empty_file_is_refused(source: Path, raw: bytes) -> None:
    source.write_bytes(raw)
    assert "empty" in refusal(source)


def test_a_header_alone_has_no_rows(source: Path) -> None:
    source.write_text(HEADER)
    assert read(source)[1] == []


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"PK\x03\x04rest", "Excel"),
        (b"%PDF-1.7 rest", "PDF"),
        (b"\x7fELF\x02\x01", "program"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"\x1f\x8b\x08\x00", "compressed"),
    ],
    ids=["zip", "pdf", "elf", "png", "xls", "gzip"],
)
def test_a_renamed_file_is_called_what_it_is(source: Path, raw: bytes, what: str) -> None:
    source.write_bytes(raw)
    said = refusal(source)
    assert what in said and "not a CSV file" in said and "Save the list as CSV" in said


def test_a_web_page_named_csv_is_refused(source: Path) -> None:
    source.write_text("<!DOCTYPE html>\n<html><body>not found, sorry</body></html>\n")
    assert refusal(source).startswith("Row 1:")


@pytest.mark.parametrize("name", ["absent.csv", "list.csv/below", "x" * 300 + ".csv", "a\0b.csv"])
def test_a_file_that_is_not_there_is_a_plain_message(source: Path, name: str) -> None:
    source.write_text(TABLE)
    assert "There is no such file" in refusal(source.parent / name)


@pytest.mark.parametrize("what", [".", "/dev/null"])
def test_a_folder_or_a_device_is_no_list(source: Path, what: str) -> None:
    assert "not a folder" in refusal(source.parent / what)


@pytest.mark.parametrize("name", ['"><img src=x>.csv', "\u202egpj.csv", "$(id).csv", "=cmd.csv"])
def test_the_name_of_a_file_plays_no_part(source: Path, name: str) -> None:
    path = source.parent / name.replace("/", "")
    path.write_text(TABLE)
    assert read(path)[1] == CELLS


def test_a_file_over_the_limit_is_refused_before_it_is_read(source: Path) -> None:
    with source.open("wb") as out:
        out.truncate(reading.LARGEST_FILE + 1)
    assert "Split it" in refusal(source)


# -- rows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n"])
def test_all_line_ends_are_read(source: Path, end: str) -> None:
    source.write_bytes(TABLE.replace("\n", end).encode())
    assert read(source)[1] == CELLS


def test_mixed_line_ends_and_unicode_separators_in_a_field_are_read(source: Path) -> None:
    source.write_bytes("full_name,email\r\nA\u2028B\u0085C,a@example.org\nD,d@example.org\rE,e@example.org".encode())
    assert [cells[0] for _, cells in read(source)[1]] == ["A\u2028B\u0085C", "D", "E"]


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_taken_from_the_header(source: Path, mark: str) -> None:
    source.write_text(TABLE.replace(",", mark))
    file, rows = read(source)
    assert (file.delimiter, rows) == (mark, CELLS)


def test_no_delimiter_is_no_table(source: Path) -> None:
    source.write_text("full_name\nAnna\n")
    assert "not a table with a header line" in refusal(source)


def test_a_line_that_tells_excel_the_delimiter_is_asked_to_be_removed(source: Path) -> None:
    source.write_text("sep=;\n" + TABLE.replace(",", ";"))
    said = refusal(source)
    assert "Row 1" in said and "sep=" in said


def test_a_line_break_inside_quotes_belongs_to_the_cell_and_not_to_the_count(source: Path) -> None:
    source.write_text(HEADER + '"Anna\nMaria",a@example.org\nBob,b@example.org\n')
    assert read(source)[1] == [(2, ["Anna\nMaria", "a@example.org"]), (3, ["Bob", "b@example.org"])]


def test_a_line_break_inside_the_header_is_read_as_one_header(source: Path) -> None:
    source.write_text('email,"full\nname"\na@example.org,Anna\n')
    file, rows = read(source)
    assert file.columns == ("email", "full_name") and rows == [(2, ["a@example.org", "Anna"])]


@pytest.mark.parametrize("rows_after", [3, 500_000])
def test_a_quote_that_is_never_closed_names_its_row(source: Path, rows_after: int) -> None:
    source.write_text(HEADER + "Bob,b@example.org\n" * 7 + '"Anna,a@example.org\n' + "Bob,b@example.org\n" * rows_after)
    started = time.monotonic()
    said = refusal(source)
    assert "Row 9 " in said and "quotation mark" in said and time.monotonic() - started < 5


def test_an_endless_line_is_refused_within_bounded_memory(source: Path) -> None:
    with source.open("w") as out:
        out.write(HEADER + "Bob,b@example.org\n")
        for _ in range(60):
            out.write("x" * 1_000_000)
    assert "Row 3" in refusal(source)


def test_empty_lines_are_left_out_and_counted(source: Path) -> None:
    source.write_text(HEADER + "\nAnna,a@example.org\n,\n  , \nBob,b@example.org\n\n")
    assert [number for number, _ in read(source)[1]] == [3, 6]


def test_short_and_long_rows_come_as_they_are(source: Path) -> None:
    source.write_text(HEADER + "Anna\nBob,b@example.org,more\n")
    assert [len(cells) for _, cells in read(source)[1]] == [1, 3]


# -- header --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Full Name ,E-mail", "FULL_NAME,email", " full\xa0name ,\xa0EMAIL", "ＦＵＬＬ name,Email"])
def test_spaces_case_and_hard_spaces_in_a_header_do_not_matter(source: Path, header: str) -> None:
    source.write_text(header.replace("E-mail", "email") + "\nAnna,a@example.org\n")
    assert inspect(path=source).columns == ("full_name", "email")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("full_name,email,Email", "'email' stands there twice"),
        ("full_name,FULL NAME,email", "'full_name' stands there twice"),
        ("phone,email", "no column for a name or a customer number"),
        ("full_name,phone", "no column for an e-mail or a postal address"),
        ("1,2", "no column for a name"),
        (",".join(["full_name", "email", *[f"c{n}" for n in range(4998)]]), "5000 columns; at most 200"),
        ("full_name,email," + "x" * 61, "at most 60"),
    ],
    ids=["twice", "twice-by-case", "no-name", "no-address", "no-header", "too-many", "too-long"],
)
def test_a_header_that_cannot_be_used_is_refused_with_its_remedy(source: Path, header: str, said: str) -> None:
    source.write_text(f"{header}\nAnna,a@example.org\n")
    found = refusal(source)
    assert found.startswith("Row 1:") and said in found


@pytest.mark.parametrize("name", ["given_name", "family_name", "full_name", "customer_number"])
@pytest.mark.parametrize("address", ["email", "street"])
def test_one_naming_column_and_one_address_column_are_enough(source: Path, name: str, address: str) -> None:
    source.write_text(f"{name},{address}\nx,y\n")
    assert inspect(path=source).columns == (name, address)


def test_the_fingerprint_is_the_files_own(source: Path) -> None:
    source.write_text(TABLE)
    assert inspect(path=source).sha256 == hashlib.sha256(TABLE.encode()).hexdigest()
