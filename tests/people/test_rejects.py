"""The reject file can be opened in any spreadsheet: nothing in it is a formula, every line keeps its columns."""

from __future__ import annotations

import csv
import io
import re

import pytest

from incidents.models import Incident
from incidents.people.rejects import HEADER, inert, write_reject_file
from tests.conftest import CLAIRE
from tests.people.conftest import Importer

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


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_no_cell_starts_a_formula_whatever_delimiter_the_reader_assumes(text: str, mark: str) -> None:
    starts = [cell.strip(' "\r\n')[:1] for cell in inert(text).split(mark)]
    assert not set(starts) & set("=+-@＝＋－＠\t")


@pytest.mark.parametrize("text", ["", "Claire", "O'Brien", "a=b", "a-b", "3 cells", "name; email", "anna@example.org"])
def test_harmless_text_stays_as_it_is(text: str) -> None:
    assert inert(text) == text


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_hostile_row_stands_there_whole_and_inert(bring: Importer, incident: Incident, formula: str) -> None:
    bring({**CLAIRE, "person_id": "x", "full_name": f"{formula}\nBcc: x"}, {**CLAIRE, "flags": "deceased"})
    out = io.StringIO(newline="")
    assert write_reject_file(incident=incident, out=out) == 2
    lines = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert tuple(lines[0]) == HEADER and {len(line) for line in lines} == {len(HEADER)}
    for mark in r"[,;\t|]", r"[;\t|]", r"[|]":
        cells = [cell.strip(' "') for line in out.getvalue().splitlines() for cell in re.split(mark, line)]
        assert not [cell for cell in cells if cell[:1] and cell[:1] in "=+-@＝＋－＠"]
    by_queue = {line[1]: line for line in lines[1:]}
    broken = by_queue["A row that cannot be a person"]
    assert (broken[0], broken[2], broken[5]) == ("2", "full_name", "needs a decision") and "Bcc: x" in broken[7]
    assert by_queue["Said to be deceased: who is next of kin?"][6] == "claire"


def test_a_person_in_the_file_is_named_by_reference_only(bring: Importer, incident: Incident) -> None:
    bring({**CLAIRE, "flags": "deceased"})
    out = io.StringIO()
    write_reject_file(incident=incident, out=out)
    assert CLAIRE["full_name"] not in out.getvalue() and CLAIRE["email"] not in out.getvalue()
