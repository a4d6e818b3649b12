"""Lists divided many lines at a time hold the rows that csv.reader finds in them, wherever a piece of the file ends."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.people import reading
from incidents.people.reading import FileRefused, csv_lists, tables

HEADER = ("full_name", "email", "stated_country")
CELLS = st.sampled_from(
    ["", " ", "Anna", "a@example.org", '"Berg, A"', '"two\nlines"', '"two\r\nlines"', '""', '"a ""b"" c"', "直人", 'x"y']
)
ROWS = st.lists(CELLS, min_size=3, max_size=3) | st.lists(CELLS, max_size=5)
MORE_OR_LESS = st.sampled_from(["\n", "\n", "\r\n"])


def read(text: str, piece: int) -> list[tuple[int, list[str]]] | str:
    """What is found in a list, some characters at a time; the refusal, where it is refused."""
    file = reading.ListFile(sha256="", size=0, kind="csv", encoding="utf-8", delimiter=",", header=HEADER, columns=HEADER)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(csv_lists, "PIECE", piece)
        patched.setattr(csv_lists, "LEAST", 3)
        patched.setattr(tables, "ROWS", 2)
        try:
            found = [row for block in reading.blocks(raw=io.BytesIO(text.encode()), file=file) for row in block.rows()]
            assert [number for number, _ in found] == sorted(number for number, _ in found)
            return found
        except FileRefused as refused:
            return refused.lines[0]


def by_csv(text: str) -> list[tuple[int, list[str]]]:
    found = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    return [(number, cells) for number, cells in enumerate(found, 1) if number > 1 and any(map(str.strip, cells))]


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(ROWS, MORE_OR_LESS), max_size=30), st.integers(4, 80), st.booleans())
def test_the_rows_are_those_of_csv_reader(rows: list[tuple[list[str], str]], piece: int, ended: bool) -> None:
    text = ",".join(HEADER) + "\n" + "".join(",".join(cells) + end for cells, end in rows)
    if not ended:
        text = text.rstrip("\r\n")
    expected = by_csv(text)
    assert read(text, piece) == (expected or "Row 1 is a header, and no row follows. Export the list again.")


@pytest.mark.parametrize("piece", [8, 20, 100, 65_536])
def test_lines_that_end_with_a_carriage_return_alone_are_lines(piece: int) -> None:
    text = "full_name,email,stated_country\rAnna,a@example.org,FR\r\rBen,,\r"
    assert read(text, piece) == [(2, ["Anna", "a@example.org", "FR"]), (4, ["Ben", "", ""])]


@pytest.mark.parametrize("piece", [8, 20, 100, 65_536])
@pytest.mark.parametrize("broken", ['"Anna" x,,', 'Anna,"a@example.org', "An\rna,,\n\r\rx,y\rz"])
def test_a_row_that_is_none_is_refused_with_its_number_wherever_a_piece_ends(piece: int, broken: str) -> None:
    text = "full_name,email,stated_country\n" + "Ben,b@example.org,FR\n" * 7 + broken + "\n"
    try:
        expected = by_csv(text)
    except csv.Error:
        assert str(read(text, piece)).startswith("Row 9 (line 9)")
    else:
        assert read(text, piece) == expected
