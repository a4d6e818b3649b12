"""Cells that no spreadsheet takes for a formula, a number or a date, and back: what leaves comes in as it was. No Django here."""

from __future__ import annotations

import re

_START = r"=+\-@＝＋－＠"
#: The start of a formula: at the start of the cell, or after anything that a reader may take for a delimiter or a quote. Quotes
#: that stood there already are part of it, so that one more can be taken away again.
_FORMULA = re.compile(rf"""(^|[,;|\t\r\n\0])((?:[^\S\t\r\n]|")*)(?='*[{_START}])""")
_MARKED = re.compile(rf"""(^|[,;|\t\r\n\0])((?:[^\S\t\r\n]|")*)'(?='*[{_START}])""")
#: A cell that starts with one of these is dangerous as a whole (OWASP ASVS 5.0, 1.2.10).
_CONTROL = re.compile(r"'*[\t\r\n\0]")
#: What a spreadsheet reads as a number, a date or a truth and writes back in its own way: 007 as 7, 2-12 as 2 December, and
#: 12345678901234 as 1.23E+13. Whole numbers of up to eleven digits come back as they were.
_ITS_OWN_WAY = re.compile(
    r"""'*\s*(?:
      0[\d ]+ | \d{12,} | [\d ]*[.,]\d+ | \d+[.,]\d* | \d+[.,]?\d*e[+-]?\d+
      | \d{1,4}\s?[-/.:\s]\s?\d{1,4}(?:\s?[-/.:\s]\s?\d{1,4})?(?:[T\s].*)?
      | (?:\d{1,4}[-/.\s]*)?[a-z]{3,9}[-/.\s]*\d{1,4} | \d{1,4}[-/.\s]*[a-z]{3,9}(?:[-/.\s]*\d{1,4})? | true | false
    )\s*""",
    re.VERBOSE | re.IGNORECASE,
)


def inert(text: str) -> str:
    """The text so that no spreadsheet runs any of it, whatever delimiter it assumes: a quote stands before each formula."""
    marked = _FORMULA.sub(r"\1\2'", text)
    return f"'{marked}" if _CONTROL.match(marked) else marked


def as_text(text: str) -> str:
    """The text as a spreadsheet leaves it when nobody touches it: inert, and none that is read as a number or a date."""
    return f"'{text}" if _ITS_OWN_WAY.fullmatch(text) else inert(text)


def restored(text: str) -> str:
    """The text as it was before `inert` or `as_text`; text that holds no mark of ours is returned as it is."""
    if text.startswith("'") and _ITS_OWN_WAY.fullmatch(text):
        return text[1:]
    plain = text[1:] if text.startswith("'") and _CONTROL.match(text) else text
    return _MARKED.sub(r"\1\2", plain)


#: What exporters protect from a spreadsheet with a quote before it, so that it stays text: '+1512..., '78701, '00123.
_PROTECTED = re.compile(rf"'(?=[\d{_START}])")
#: In these a quote before the first letter is never part of the value.
_NUMBERS = frozenset({"person_id", "customer_number", "phone", "phone_prefix", "postcode"})


def unprotected(text: str, *, column: str) -> str:
    """A cell without the quote that an exporter set before it; names and towns ('t Hart, 's-Hertogenbosch) keep theirs."""
    if not text.startswith("'"):
        return text
    return text[1:].lstrip() if column in _NUMBERS else _PROTECTED.sub("", text, count=1)
