"""The whole name of somebody, of what a list says of it in several columns. No Django here.

By the whole name people are matched, written to and recorded. Half of one makes one person of two: 'Marco' stands beside 'Rossi'
as well as beside 'Bianchi', whatever the columns are called.
"""

from __future__ import annotations

import re
import unicodedata

from incidents.people.fillers import is_filler, is_no_name

FAMILY_FIRST = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
WORD = re.compile(r"[^\W_]+")


def family_of(first: str, second: str) -> str:
    """The family name of somebody who has two, each in a column of its own."""
    return f"{first} {second}" if first and second else first or second


def whole_name(full: str, given: str, family: str) -> str:
    """The name as a list gives it: a whole name takes up the words of the given and the family name that it lacks."""
    if full in (f"{given} {family}", f"{family}{given}") or not (given or family):
        return full
    # Most names are told by this, at a fraction of the price of the rest.
    if full and {*f"{given} {family}".lower().split()} <= {*full.lower().split()}:
        return full
    if not full or is_no_name(full):
        return _of_parts(given, family)
    given, family = ("" if is_filler(part) else part for part in (given, family))
    parts = _of_parts(given, family)
    if (holds(full, given) and holds(full, family)) or _key(full) in (_key(parts), _key(family + given)):
        return full
    if holds(parts, full):
        return parts
    lacking = [" ".join(word for word in part.split() if not holds(full, word)) for part in (given, family)]
    before, behind = reversed(lacking) if FAMILY_FIRST.search(full) else lacking
    return " ".join(part for part in (before, full, behind) if part)


def corrected_name(full: str, given: str, family: str) -> str:
    """The name as somebody wrote it who corrected it: of its parts it takes up words only where it is but half a name.

    Whoever corrects the whole name often leaves the parts beside it as they were.
    """
    half = len(full.split()) < 2 and not FAMILY_FIRST.search(full)
    return whole_name(full, given, family) if half or holds(given, full) or holds(family, full) else full


def holds(whole: str, part: str) -> bool:
    """Whether each word of a part stands in a whole name; case, accents and marks do not matter, an initial is its word."""
    there = {_key(word) for word in whole.split()} | {*_words(whole)}
    return all(_stands(word, there, whole) for word in part.split()) or _key(part) in there


def _stands(word: str, there: set[str], whole: str) -> bool:
    if FAMILY_FIRST.search(word):
        # No space tells the words of such a name apart.
        return _key(word) in _key(whole)
    return _key(word) in there or all(
        one in there or (len(one) == 1 and any(known.startswith(one) for known in there)) for one in _words(word)
    )


def _of_parts(given: str, family: str) -> str:
    """The name of somebody whose parts alone are given. East Asian names begin with the family."""
    parts = (family, given) if FAMILY_FIRST.search(family) else (given, family)
    return " ".join(part for part in parts if part)


def _words(text: str) -> list[str]:
    return WORD.findall(_plain(text))


def _key(text: str) -> str:
    return "".join(_words(text))


def _plain(text: str) -> str:
    """Without case and accents; the Turkish i without a dot is written with one in capitals of other languages."""
    if text.isascii():
        return text.lower()
    plain = (letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter))
    return "".join(plain).replace("\u0131", "i")
