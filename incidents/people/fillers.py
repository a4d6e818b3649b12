"""What people write where there is nothing: no value, and no mistake. 'NA' is none of them, it is Namibia. No Django here."""

from __future__ import annotations

import re

WORDS = frozenset({
    "n/a", "n.a.", "none", "null", "nil", "-", "--", "---", ".", "?", "unknown", "not given", "not known", "keine angabe", "k.a.",
    "unbekannt", "inconnu", "nicht bekannt", "(null)", "#n/a", "nan",
})  # fmt: skip
NUMBER = re.compile(r"0+|-1|9{6,}|x+", re.IGNORECASE)


def is_filler(text: str) -> bool:
    """Whether a text only says that there is no value."""
    return len(text) < 15 and text.lower() in WORDS


def is_filler_number(text: str) -> bool:
    """Whether a customer number only says that there is none ('0', '000000'): many people have it, and share nothing by it."""
    return is_filler(text) or bool(NUMBER.fullmatch(text))
