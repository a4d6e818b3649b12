"""Cells that no spreadsheet takes for a formula, and back: what is exported inert comes in again as it was. No Django here."""

from __future__ import annotations

import re

_START = r"=+\-@＝＋－＠"
#: The start of a formula: at the start of the cell, or after anything that a reader may take for a delimiter or a quote. Quotes
#: that stood there already are part of it, so that one more can be taken away again.
_FORMULA = re.compile(rf"""(^|[,;|\t\r\n\0])((?:[^\S\t\r\n]|")*)(?='*[{_START}])""")
_MARKED = re.compile(rf"""(^|[,;|\t\r\n\0])((?:[^\S\t\r\n]|")*)'(?='*[{_START}])""")
#: A cell that starts with one of these is dangerous as a whole (OWASP ASVS 5.0, 1.2.10).
_CONTROL = re.compile(r"'*[\t\r\n\0]")


def inert(text: str) -> str:
    """The text so that no spreadsheet runs any of it, whatever delimiter it assumes: a quote stands before each formula."""
    marked = _FORMULA.sub(r"\1\2'", text)
    return f"'{marked}" if _CONTROL.match(marked) else marked


def restored(text: str) -> str:
    """The text as it was before `inert`; text that holds no mark of ours is returned as it is."""
    plain = text[1:] if text.startswith("'") and _CONTROL.match(text) else text
    return _MARKED.sub(r"\1\2", plain)
