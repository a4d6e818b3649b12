"""The tables of the scenarios, read back: the allocation on record, and what a row shows of a person."""

from __future__ import annotations

import csv
from datetime import date
from functools import cache
from pathlib import Path

from email_validator import EmailNotValidError, validate_email

CELLS_FILE = Path(__file__).parent / "cells.csv"

Row = dict[str, str]


def expected_cells(size: str, scenario: str = "cartier-2025") -> dict[tuple[str, str], int]:
    """The allocation on record. Cells that are empty in every size are not listed there for every scenario."""
    with CELLS_FILE.open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines) if row["scenario"] == scenario]
    return {(row["residency"], row["element_set"]): int(row[size]) for row in rows}


def cell_of(person: Row) -> tuple[str, str]:
    return person["truth_residency"], person["truth_element_set"]


@cache
def is_mail_address(text: str) -> bool:
    try:
        validate_email(text.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return False
    return True


def is_conflicting(person: Row) -> bool:
    return bool(person["billing_country"]) and person["billing_country"] != person["stated_country"]


def age_on(born: str, today: date) -> int:
    day = date.fromisoformat(born)
    return today.year - day.year - ((today.month, today.day) < (day.month, day.day))
