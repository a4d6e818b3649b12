"""What a number in a cell of a workbook is as text: a date, a postcode with its zeros, a number as it is shown.

A number of sixteen digits or more was rounded when it was typed. It is written as spreadsheets show it (1.23E+15), so that it is
asked about like the same text in a CSV file, and never taken for a customer number.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import date, timedelta

#: Numbers below keep all their digits in a spreadsheet.
ROUNDED_FROM = 1e15
#: ECMA-376 part 1, 18.8.30: the numbers of the built-in date and time formats, with those of East Asia.
DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
LITERAL = re.compile(r'"[^"]*(?:"|$)|\\.|_.|\*.|\[[^\]]*\]')
NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
#: Words of a format: those of dates and times are runs of their letters (also German and Spanish ones), any other is a word.
FORMAT_WORD = re.compile(r"[^\W\d_\u3000-\uffff]+")
OF_DATES = re.compile(r"(?:[ymdhsgebajtz])+|am|pm|a|p", re.IGNORECASE)
FRACTION = re.compile(r"(?<=[sS\]])[.,]0+")
ZEROS = re.compile(r"0+(?:-0+)*")
LAST_DAY = 2_958_465  # 31 December 9999
#: The first serial day after 29 February 1900, which spreadsheets count and which never was.
AFTER_THE_DAY_THAT_NEVER_WAS = 61


@dataclass(frozen=True)
class Format:
    """How a number is shown, as far as it matters: as a date, or with leading zeros ("00000", "00000-0000")."""

    dated: bool = False
    zeros: str = ""


def format_of(*, number: int, code: str) -> Format | None:
    """The format with this number or code; None for plain numbers."""
    if number in DATE_FORMATS and not code:
        return Format(dated=True)
    shown = LITERAL.sub("", code.split(";", maxsplit=1)[0])
    if ZEROS.fullmatch(shown) and len(shown) > 1:
        return Format(zeros=shown)
    return Format(dated=True) if _is_of_a_date(shown) else None


def _is_of_a_date(shown: str) -> bool:
    """Whether a format without its literals shows a date or time: '0 Stk' and 'Standard' hold its letters as well."""
    if set(FRACTION.sub("", shown)) & set("0#?"):
        return False
    words = FORMAT_WORD.findall(shown)
    return all(map(OF_DATES.fullmatch, words)) and bool(set("".join(words).lower()) & set("ymdhs"))


def number_text(*, value: str, shown: Format | None, since_1904: bool) -> str:
    """A number of a sheet as text. Raises ValueError when it is none."""
    if shown is None and len(value) <= 15 and value.isascii() and value.isdigit():
        return value
    if not NUMBER.fullmatch(value):  # float() takes more: 1_000, infinity
        raise ValueError(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(value)
    if shown and shown.dated and 0 <= number < LAST_DAY + 1:
        return _date(number, since_1904)
    if abs(number) >= ROUNDED_FROM:
        mantissa, exponent = f"{number:.14E}".split("E")
        return f"{mantissa.rstrip('0').rstrip('.')}E{exponent}"
    if number != int(number):
        return repr(number)
    whole = str(int(number))
    return _with_zeros(whole, shown.zeros) if shown and shown.zeros and number >= 0 else whole


def _with_zeros(whole: str, zeros: str) -> str:
    digits = whole.zfill(zeros.count("0"))
    parts: list[str] = []
    for part in reversed(zeros.split("-")[1:]):
        digits, last = digits[: -len(part)], digits[-len(part) :]
        parts.insert(0, last)
    return "-".join([digits, *parts])


def _date(serial: float, since_1904: bool) -> str:
    """A day as YYYY-MM-DD, with the time when there is one; a serial number below one day is a time alone."""
    days, seconds = divmod(round(serial * 86_400), 86_400)
    time = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds else ""
    if since_1904:
        return _joined(date(1904, 1, 1) + timedelta(days), time)
    if days == 0:
        return time or "1900-01-00"
    if days == AFTER_THE_DAY_THAT_NEVER_WAS - 1:
        return "1900-02-29"
    first = date(1899, 12, 30) if days >= AFTER_THE_DAY_THAT_NEVER_WAS else date(1899, 12, 31)
    return _joined(first + timedelta(days), time)


def _joined(day: date, time: str) -> str:
    return f"{day.isoformat()}T{time}" if time else day.isoformat()
