"""Dates as lists write them: which of two numbers is the day, told by the whole column, and the years of Japan. No Django here.

One date such as 02/03/1980 is two days; a column that also holds 25/03/1980, and never a number above 12 in the second place, is
written with the day first. What the column does not say is asked of each row, or said by whoever imports the list.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import date

DAY, MONTH = "day", "month"
LAST_MONTH = 12
#: Of the days of a year 221 tell which number is the day, 132 do not: many doubtful dates beside one that tells were written in
#: another way than that one, which may be a slip of the pen.
MOST_DOUBTFUL = 5
#: Programs write a day as its midnight, spreadsheets as '0:00', those of America as '12:00:00 AM'.
MIDNIGHT = r"(?:[T ](?:00?:00(?::00(?:\.0+)?)?Z?|12:00(?::00)? ?[Aa][Mm]))?"
#: Behind a point stands a space as well: '3. 2. 1980'.
SPACE = r"(?:(?<=\.) )?"
#: And a point behind all three: '1980. 2. 3.' is Korean, '1980.02.03.' Hungarian.
POINT = r"(?:(?<=[. ][0-9])\.|(?<=[. ][0-9]{2})\.)?"
YEAR_LAST = re.compile(rf"([0-9]{{1,2}})([-/.]){SPACE}([0-9]{{1,2}})\2{SPACE}([0-9]{{4}}){MIDNIGHT}")
#: No date at all: what programs write where none was given.
NOT_GIVEN = re.compile(rf"0+(?:[-/. ]0+)*{MIDNIGHT}")
YEARS_OF_JAPAN = re.compile(r"([0-9]{4})年 ?([0-9]{1,2})月 ?([0-9]{1,2})日")
ERA = re.compile(
    r"(明治|大正|昭和|平成|令和|[明大昭平令MTSHR])\.? ?(元|[0-9]{1,2})"
    r"(?:年 ?([0-9]{1,2})月 ?([0-9]{1,2})日|([-/.])([0-9]{1,2})\5([0-9]{1,2}))",
    re.IGNORECASE,
)
#: The eras of Japan since the first birth that is believed: first and last day.
ERAS = {
    ("明", "M"): (date(1868, 1, 25), date(1912, 7, 30)),
    ("大", "T"): (date(1912, 7, 30), date(1926, 12, 25)),
    ("昭", "S"): (date(1926, 12, 25), date(1989, 1, 7)),
    ("平", "H"): (date(1989, 1, 8), date(2019, 4, 30)),
    ("令", "R"): (date(2019, 5, 1), date.max),
}


def is_not_given(text: str) -> bool:
    """Whether a date only says that there is none: 00.00.0000, 0000-00-00."""
    return bool(NOT_GIVEN.fullmatch(text))


def japanese(text: str) -> tuple[int, int, int] | None:
    """Year, month and day of a date as Japan writes it, of an era only within its days; None for any other text."""
    plain = unicodedata.normalize("NFKC", text)
    if found := YEARS_OF_JAPAN.fullmatch(plain):
        return int(found[1]), int(found[2]), int(found[3])
    found = ERA.fullmatch(plain)
    if not found:
        return None
    first, last = next(days for signs, days in ERAS.items() if found[1][0].upper() in signs)
    year = first.year - 1 + (1 if found[2] == "元" else int(found[2]))
    month, day = int(found[3] or found[6]), int(found[4] or found[7])
    return (year, month, day) if (first.timetuple()[:3] <= (year, month, day) <= last.timetuple()[:3]) else None


def form_of(texts: Iterable[str]) -> str:
    """Whether the day or the month stands first in a column; '' where its dates do not say, or not with one voice.

    Slashes say nothing of points, nor points of slashes: such a column was put together from two.
    """
    dates: dict[str, set[tuple[int, int, int]]] = {}
    for found in filter(None, map(YEAR_LAST.fullmatch, texts)):
        dates.setdefault(found[2], set()).add((int(found[1]), int(found[3]), int(found[4])))
    # Of days such as 03/03 nobody has to know which number is which.
    told = {sign: {one for one in there if one[0] != one[1]} for sign, there in dates.items()}
    forms = {_form_between(sign, there) for sign, there in told.items() if there}
    tells = any(max(one, other) > LAST_MONTH for there in told.values() for one, other, _ in there)
    return forms.pop() if tells and len(forms) == 1 else ""


def _form_between(sign: str, dates: set[tuple[int, int, int]]) -> str:
    """What dates with one sign say, each counted once. Between points the day stands first where they say nothing else."""
    first = sum(one > LAST_MONTH >= other for one, other, _ in dates)
    second = sum(other > LAST_MONTH >= one for one, other, _ in dates)
    doubtful = sum(max(one, other) <= LAST_MONTH for one, other, _ in dates)
    if first and second:
        return ""
    if sign == "." and not second:
        return DAY
    return (DAY if first else MONTH) if (first + second) * MOST_DOUBTFUL >= max(doubtful, 1) else ""


def in_form(text: str, form: str) -> tuple[str, bool]:
    """A date that may be two days as the one that its column means; and whether a date contradicts its column."""
    found = YEAR_LAST.fullmatch(text) if form else None
    if not found:
        return text, False
    one, other, year = int(found[1]), int(found[3]), int(found[4])
    day, month = (one, other) if form == DAY else (other, one)
    if max(one, other) > LAST_MONTH:
        return text, month > LAST_MONTH >= day
    if one == other or not (day and month and year):
        return text, False
    return date(year, month, day).isoformat(), False
