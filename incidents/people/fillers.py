"""What people write where there is nothing: no value, and no mistake. 'NA' is none of them, it is Namibia. No Django here."""

from __future__ import annotations

import re

WORDS = frozenset({
    "n/a", "n.a.", "none", "null", "nil", "-", "--", "---", ".", "?", "unknown", "not given", "not known", "keine angabe", "k.a.",
    "unbekannt", "inconnu", "nicht bekannt", "(null)", "nan", "undefined",
    "#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!", "#spill!", "#calc!",
})  # fmt: skip
#: Never a part of a name, whatever stands beside it: the errors that spreadsheets leave in a cell, and their like.
ERRORS = frozenset({"n/a", "(null)", *(word for word in WORDS if word.startswith("#"))})
#: In the column of a name these name nobody; somebody may still be called so, and is asked about.
NO_NAMES = WORDS | {
    "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "miss", "dr", "dr.", "sir", "madam", "herr", "frau", "monsieur", "madame", "mme",
    "customer", "guest", "client", "user", "kunde", "gast", "test", "true", "false", "anonymous", "no name", "noname", "name",
    "x", "xx", "xxx",
}  # fmt: skip
#: In the column of a customer number many people have these, and share nothing by it; spreadsheets say 'true' in each language.
NO_NUMBERS = frozenset({
    "true", "false", "wahr", "falsch", "vrai", "faux", "vero", "falso", "verdadero", "verdadeiro", "waar", "onwaar", "guest",
    "gast", "test",
})  # fmt: skip
#: From U+FF01 to U+FF5E they stand in the order of ASCII; the space has a place of its own.
FULL_WIDTH = {0x3000: " ", **{sign: chr(sign - 0xFEE0) for sign in range(0xFF01, 0xFF5F)}}
LETTER = re.compile(r"[^\W\d_]")
#: No number at all: zero, and the errors of a spreadsheet, which have a name in each language ('#NV', '#N/D', '#BEZUG!').
NOTHING = re.compile(r"0+(?:[.,]0+)?|#(?:n/?[adv]|[^\W\d_]+[!?]|div/0!)", re.IGNORECASE)
NUMBER = re.compile(r"-1|9{6,}|x+", re.IGNORECASE)


def half_width(text: str) -> str:
    """The letters, digits and signs of East Asian keyboards as others write them: 'ＤＥ' is 'DE'; nothing else changes."""
    return text if text.isascii() else text.translate(FULL_WIDTH)


def is_filler(text: str) -> bool:
    """Whether a text only says that there is no value."""
    return len(text) < 15 and half_width(text).lower() in WORDS


def is_no_number(text: str) -> bool:
    """Whether a customer number is none at all: what a form, a program or a spreadsheet left in its cell."""
    return is_filler(text) or text.lower() in NO_NUMBERS or bool(NOTHING.fullmatch(text))


def is_filler_number(text: str) -> bool:
    """Whether a customer number only says that there is none ('0', '000000'): many people have it, and share nothing by it."""
    return is_no_number(text) or bool(NUMBER.fullmatch(text))


def is_no_name(text: str) -> bool:
    """Whether no letter can begin with this text as a name: a filler, an error of a spreadsheet, an address, no letter at all."""
    low = text.lower()
    if "@" in low or "://" in low or "www." in low or not LETTER.search(low) or low in NO_NAMES:
        return True
    parts = low.split()
    return all(part in NO_NAMES for part in parts) or not ERRORS.isdisjoint(parts)
