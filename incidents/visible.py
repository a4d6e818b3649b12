"""What of a text can be seen: a reason that nobody can read is none, and a mark that nobody sees can turn a name around.

Plain Python, for every room of the house.
"""

from __future__ import annotations

import unicodedata

#: Letters and symbols by their category, and nothing to see: fillers of Hangul, and the empty pattern of Braille.
BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0")
#: Letters, digits, marks of punctuation and symbols; no spaces, no controls, no accents without a letter.
SEEN = frozenset("LNPS")
#: Unseen marks that words may need: the zero-width non-joiner and joiner, and the hyphen that shows at a line's end.
JOINERS = frozenset("\u200c\u200d\u00ad")
UNSEEN = frozenset({"Cc", "Cf", "Cs"})


def visible(text: str) -> str:
    """The text without space around it; empty where there is nothing in it that can be seen."""
    seen = any(unicodedata.category(sign)[0] in SEEN and sign not in BLANK for sign in text)
    return text.strip() if seen else ""


def has_unseen(text: str) -> bool:
    """Whether a text holds marks that nobody sees: controls, turned direction, spaces of no width. Joiners may stand in words."""
    if text.isprintable():
        return False
    return any(unicodedata.category(sign) in UNSEEN and sign not in JOINERS for sign in text)
