"""Lists as CSV: encodings that are said, delimiters that are told by the rows, the places that refusals name."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.people import reading
from incidents.people.reading import KNOWN_COLUMNS, FileAsked, FileRefused
from incidents.people.rows import Row
from tests.people.reads import read, refusal, refused

HEADER = "full_name,email\n"
TABLE = HEADER + "Zoë Müller,zoe@example.org\n佐藤,sato@example.org\n"
CELLS = [(2, ["Zoë Müller", "zoe@example.org"]), (3, ["佐藤", "sato@example.org"])]


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
        (TABLE.encode("gb18030"), "GB18030", "gb18030"),
    ],
    ids=["utf8", "bom", "bom-said", "utf16", "utf16be", "utf16le-said", "utf16-bom-said", "gb18030-said"],
)
def test_the_same_table_is_read_in_every_encoding_that_is_known(raw: bytes, said: str | None, kept_as: str) -> None:
    file, rows = read(raw, encoding=said)
    assert (rows, file.columns, file.encoding) == (CELLS, ("full_name", "email"), kept_as)
    assert read(raw, encoding=kept_as)[1] == CELLS


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("rows_before", [0, 1200, 90_000])
def test_a_byte_that_does_not_fit_the_encoding_said_names_its_own_row(ends: str, rows_before: int) -> None:
    lines = [HEADER.strip(), *["田中,tanaka@example.org"] * rows_before, "Person,BAD"]
    raw = ends.join(lines).encode("shift_jis").replace(b"BAD", b"\x81\x01")
    said = refusal(raw, encoding="shift_jis")
    assert f"Row {rows_before + 2} (line {rows_before + 2}), column 2: byte 0x81 is not shift_jis" in said


def test_rows_are_counted_and_not_lines_when_a_bad_byte_is_told() -> None:
    raw = b'sep=;\nfull_name;email\n"Anna\nMaria";a@example.org\nZo\xeb;z@example.org\n'
    assert "Row 3 (line 5), column 1" in refusal(raw)


def test_utf16_said_of_a_file_without_a_mark_is_asked_which_of_the_two() -> None:
    asked = refused(TABLE.encode("utf-16-be"), encoding="utf-16")
    assert isinstance(asked, FileAsked) and asked.choices == ("utf-16-le", "utf-16-be")


@pytest.mark.parametrize(
    "name", ["klingon", "hex", "rot13", "base64", "idna", "utf-7", "utf-32", "unicode_escape", "charmap", "undefined", "a\0b"]
)
def test_what_is_no_encoding_of_a_file_is_asked_again(name: str) -> None:
    asked = refused(TABLE.encode(), encoding=name)
    assert isinstance(asked, FileAsked) and "is not known. Use utf-8" in str(asked) and name not in str(asked)


@pytest.mark.parametrize(("raw", "said"), [(b"\xef\xbb\xbf", "cp1252"), (b"\xff\xfe", "latin-1"), (b"\xfe\xff", "utf-8")])
def test_an_encoding_that_the_mark_of_the_file_contradicts_is_asked(raw: bytes, said: str) -> None:
    asked = refused(raw + b"a\0" * 8, encoding=said)
    assert isinstance(asked, FileAsked) and "the mark tells it" in str(asked)


@pytest.mark.parametrize("said", ["cp1252", "iso8859-1", "koi8-r", "utf-16-le"])
def test_a_file_in_utf8_that_is_said_to_be_what_fits_any_bytes_is_asked(said: str) -> None:
    asked = refused(TABLE.encode(), encoding=said)
    assert isinstance(asked, FileAsked) and asked.question == "encoding" and asked.choices == ("utf-8",)
    assert f"read as {said}, its letters would be others" in str(asked) and "--encoding utf-8" in str(asked)


@pytest.mark.parametrize("last", ["cp1252", "utf-16-le", "utf-16", "cp932", "iso2022_jp", "utf-8-sig"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with-its-mark"])
def test_a_file_in_utf8_is_read_as_that_whatever_the_last_list_was(last: str, mark: bytes) -> None:
    file, rows = read(mark + TABLE.encode(), before={"encoding": last})
    assert (file.encoding, rows) == ("utf-8-sig", CELLS)


def test_a_file_in_plain_letters_is_no_utf16_although_the_last_list_was() -> None:
    plain = b"email,city\nada@example.org,Oslo\n"
    assert read(plain, before={"encoding": "utf-16-le"})[0].encoding == "utf-8-sig"
    assert read(plain, before={"encoding": "cp1252"})[0].encoding == "cp1252"


def test_a_file_in_the_encoding_of_the_last_list_needs_no_word_and_one_in_neither_is_asked() -> None:
    raw = f"{HEADER}Zoë Müller,zoe@example.org\n".encode("cp1252")
    assert read(raw, before={"encoding": "cp1252"})[1] == CELLS[:1]
    for last in ("cp932", "utf-16", "utf-8-sig"):
        asked = refused(raw, before={"encoding": last})
        assert isinstance(asked, FileAsked) and "is not UTF-8" in str(asked), last
        assert read(raw, encoding="cp1252", before={"encoding": last})[1] == CELLS[:1]


def test_bytes_that_fit_utf8_and_the_several_bytes_of_the_last_list_alike_are_asked() -> None:
    # The one letter of this list is a letter in Latin too, by chance.
    raw = f"{HEADER}\u6a21,a@example.org\n".encode("gb18030")
    asked = refused(raw, before={"encoding": "gb18030"})
    assert isinstance(asked, FileAsked) and asked.choices == ("utf-8", "gb18030") and "The last list of this source" in str(asked)
    assert read(raw, encoding="gb18030", before={"encoding": "gb18030"})[1][0][1][0] == "\u6a21"


@pytest.mark.parametrize("hint", ["sep=", "sep=;;", "sep=a", 'sep="', "sep=,x"])
def test_a_hint_that_tells_no_delimiter_is_a_header_like_any_other(hint: str) -> None:
    assert "Row 1" in refusal(f"{hint}\n{TABLE}".encode())


def test_a_file_that_changes_under_the_reader_is_refused_with_its_row() -> None:
    file = read(TABLE.encode())[0]
    with pytest.raises(FileRefused, match="Row 1 or below: a byte is not utf-8.*import it again"):
        list(reading.rows(raw=io.BytesIO(TABLE.encode()[:-22] + b"\xff"), file=file))


# -- the table -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "mark"),
    [
        ("full_name;email;city, region\nA;a@example.org;Paris\n", ";"),
        ('full_name,email,"a;b;c;d"\nA,a@example.org,x\n', ","),
        ("full_name|email|a,b,c\nA|a@example.org|x\n", "|"),
    ],
)
def test_a_header_with_two_marks_is_told_by_its_rows(raw: str, mark: str) -> None:
    assert read(raw.encode())[0].delimiter == mark


def test_two_delimiters_that_fit_alike_are_asked() -> None:
    asked = refused(b"full_name;email,x\nA;b,c\n")
    assert isinstance(asked, FileAsked) and asked.question == "delimiter" and set(asked.choices) == {",", ";"}


@pytest.mark.parametrize(
    ("said", "mark"), [("tab", "\t"), ("\\t", "\t"), ("\t", "\t"), ("semicolon", ";"), ("^", "^"), (" ", " ")]
)
def test_a_delimiter_may_be_said_as_a_mark_or_as_a_word(said: str, mark: str) -> None:
    file, rows = read(TABLE.replace(",", mark).replace("Zoë Müller", "Zoë").encode(), delimiter=said)
    assert file.delimiter == mark and rows[0][1] == ["Zoë", "zoe@example.org"]


@pytest.mark.parametrize("said", [";;", "a", '"', "\n", "\0", "|"])
def test_a_delimiter_that_cannot_be_is_asked_again(said: str) -> None:
    asked = refused(TABLE.encode(), delimiter=said)
    assert isinstance(asked, FileAsked) and asked.question == "delimiter" and "delimiter" in str(asked)


def test_what_is_said_of_the_delimiter_wins_over_the_hint_of_the_file() -> None:
    assert read(b"sep=;\n" + TABLE.encode(), delimiter=",")[1] == CELLS


@pytest.mark.parametrize("last", [";", "\t", "^", ":"])
def test_the_delimiter_of_the_last_list_is_not_held_against_what_this_one_shows(last: str) -> None:
    raw = b"full_name,email,city; region\nA,a@example.org,Paris\n"
    assert read(raw, before={"delimiter": last})[0].delimiter == ","


def test_the_delimiter_of_the_last_list_decides_where_the_rows_do_not() -> None:
    assert read(b"full_name:email\nA:a@example.org\n", before={"delimiter": ":"})[1] == [(2, ["A", "a@example.org"])]
    assert read(b"email;full_name,x\na@example.org;b,c\n", before={"delimiter": ";"})[0].delimiter == ";"


@pytest.mark.parametrize("header", ["email", '"E-Mail"', "Abonnés"])
@pytest.mark.parametrize("said", [None, "comma", "tab", ";"])
def test_a_list_of_addresses_alone_is_a_list_of_one_column_whatever_is_said_of_its_delimiter(
    header: str, said: str | None
) -> None:
    mapping = None if "mail" in header.lower() else {header: "email"}
    file, rows = read(f"{header}\r\na@example.org\r\n\r\nb.c+d@mail.example.org \r\n".encode(), delimiter=said, mapping=mapping)
    assert (file.columns, rows) == (("email",), [(2, ["a@example.org"]), (4, ["b.c+d@mail.example.org "])])


def test_a_column_that_was_found_alone_is_read_again_as_it_was_kept() -> None:
    raw = b"email\na@example.org\n"
    kept = read(raw)[0].delimiter
    assert read(raw, delimiter=kept)[0] == read(raw, before={"delimiter": ";"})[0] == read(raw)[0]


@pytest.mark.parametrize(
    "raw", ["full_name:email\nAnna:a@example.org\n", "full_name email\nAnna a@example.org\n", "News\nof today\n"]
)
def test_lines_that_something_else_may_divide_are_no_list_of_one_column(raw: str) -> None:
    asked = refused(raw.encode())
    assert isinstance(asked, FileAsked) and asked.question == "delimiter"
    assert isinstance(refused(raw.encode(), delimiter=";"), FileAsked)


def test_one_column_without_a_header_is_asked_for_one() -> None:
    assert "Row 1, column 1: an e-mail address" in refusal(b"a@example.org\nb@example.org\n")


def test_a_line_break_inside_the_header_is_read_as_one_header() -> None:
    file, rows = read(b'email,"full\nname"\na@example.org,Anna\n')
    assert file.columns == ("email", "full_name") and rows == [(2, ["a@example.org", "Anna"])]


def test_a_quote_that_is_closed_in_the_wrong_place_names_its_column() -> None:
    assert "Row 2 (line 2), column 2" in refusal(HEADER.encode() + b'Anna,"a@example.org" x\n')


def test_a_quote_after_a_hint_and_a_long_cell_is_named_by_row_and_line() -> None:
    raw = b"sep=,\n" + HEADER.encode() + b'"A\nB",a@example.org\nBob,"b@example.org\nC,c@example.org\n'
    assert "Row 3 (line 5), column 2" in refusal(raw)


def test_a_row_without_end_in_many_short_fields_is_refused() -> None:
    said = refusal(HEADER.encode() + b'"x\n",' * 1_500_000)
    assert "Row 2 (line 2)" in said and "a row of more than 4000000 characters" in said


def test_empty_lines_are_left_out_and_counted() -> None:
    raw = HEADER.encode() + b"\nAnna,a@example.org\n,\n  , \nBob,b@example.org\n\n"
    assert [number for number, _ in read(raw)[1]] == [3, 6]


def test_one_column_of_something_else_than_addresses_is_no_list_of_people() -> None:
    assert "no column for an e-mail or a street" in refusal(b"full_name\nAnna\n")
    assert "not a table with a header line" in refusal(b"Notes of a meeting\nAnna was there\n")


# -- the file ------------------------------------------------------------------------------------------------------


def test_the_fingerprint_is_the_files_own() -> None:
    assert read(TABLE.encode())[0].sha256 == hashlib.sha256(TABLE.encode()).hexdigest()


def test_a_sample_shows_the_first_twenty_rows_and_needs_no_columns() -> None:
    raw = b"a,b\n" + b"1,2\n" * 50
    file = reading.inspect(raw=io.BytesIO(raw), size=len(raw))
    shown = reading.sample(raw=io.BytesIO(raw), file=file)
    assert (len(shown), shown[0], shown[-1][0]) == (20, (2, ["1", "2"]), 21) and "no column for a name" in file.lacking


def test_every_column_that_is_known_is_read_by_somebody() -> None:
    assert set(KNOWN_COLUMNS) == {*Row._fields, "correction_of"}


def test_lists_are_read_without_django() -> None:
    code = "import sys, incidents.people.reading; assert not [name for name in sys.modules if name.startswith('django')]"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["", "full_name,email\n", "sep=;\nfull_name;email\n", "\ufeff"]), st.booleans())
def test_whatever_bytes_come_the_answer_is_rows_or_a_refusal(raw: bytes, start: str, wide: bool) -> None:
    whole = start.encode("utf-16" if wide else "utf-8") + raw
    try:
        assert all(number > 1 for number, _ in read(whole)[1])
    except FileRefused as refusal_:
        assert refusal_.lines[0]


def test_rows_that_are_given_up_after_the_file_was_closed_leave_no_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    noise: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", noise.append)
    with io.BytesIO(TABLE.encode()) as source:
        rows = reading.rows(raw=source, file=read(TABLE.encode())[0])
        assert next(rows) == CELLS[0]
    del rows
    assert not noise
