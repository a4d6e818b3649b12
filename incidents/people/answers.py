"""Columns that say yes or no of one fact about a person, as registers and patient systems have them -> the flags. No Django here.

They add to what `flags` says. An empty cell is no flag; a word that is neither yes nor no is asked about, in its row alone:
somebody may be dead, or hidden from somebody. Of a death any date says yes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache

from incidents.people.person_facts import DAY_MONTH, MINORS, MONTH_DAY, NO_FLAGS
from incidents.people.questions import DATA, Problem

#: Our name of the column -> the flag, in the words that `read_flags` takes.
FLAG_OF = {
    "deceased": "deceased", "date_of_death": "deceased", "minor": "minor", "safe_address": "safe_address",
    "do_not_contact": "do_not_contact", "employee": "employee", "opted_out": "opted_out",
}  # fmt: skip
OF_A_DEATH = ("deceased", "date_of_death")
#: Yes and no in the languages in which names of countries are read, the letters that forms use, and what programs write.
YES_WORDS = (
    "yes y true t 1 1.0 x on checked ✓ ✔ ☑ † ja j wahr oui o vrai sí s verdadero sì vero sim verdadeiro waar sant sand kyllä "
    "tosi tak prawda ano áno pravda igen igaz da adevărat ναι evet doğru да так истина はい ○ 〇 ◯ 有 是 有り 예 네 نعم"
)
NO_WORDS = (
    "no n false f 0 0.0 off unchecked ☐ nein falsch non faux falso não nee onwaar nej falskt falsk nei ei epätosi nie fałsz ne "
    "nepravda nem hamis nu fals όχι hayır hayir yanlış нет ні ложь いいえ 無 无 無し 否 아니오 아니요 لا"
)
DAY = re.compile(
    r"[0-9]{1,4}(?P<sign>[-/.])[0-9]{1,2}(?:(?P=sign)[0-9]{2,4})?(?:[T ][0-9:.]+Z?)?|[12][0-9]{3}(?:[01][0-9][0-3][0-9])?"
    r"|.{0,2}[0-9]{1,4}年(?:[0-9]{1,2}月)?(?:[0-9]{1,2}日)?"
)
#: What programs write where there is no date. A day that they fill in for none, or for never, is asked about.
NO_DAY = re.compile(r"[-0/.: ]+(?:T[-0/.: ]+)?")
FILLED_IN = re.compile(r"(?<![0-9])(?:0001|1899|1900|9999)")
#: In Korea, Japan and China a circle says yes and a cross no; in the West a cross is a tick.
CIRCLES, CROSS = frozenset("o○〇◯"), "x"
EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
NEITHER = "an answer that is neither yes nor no"
REMEDY = "write yes or no, or leave it empty"


def plain(text: str) -> str:
    """An answer without case and accents; letters of full width are the usual ones."""
    letters = unicodedata.normalize("NFKD", text).casefold()
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).strip()


YES, NO = ({plain(word) for word in words.split()} for words in (YES_WORDS, NO_WORDS))


@lru_cache(maxsize=4096)
def read_answer(column: str, text: str) -> str | None:
    """The word of the flag that a cell says, '' for none; None where it says neither."""
    said = plain(text)
    if said in NO or said in NO_FLAGS or (not said.strip("-0/.:t ") and NO_DAY.fullmatch(text)):
        return ""
    word = said.replace(" ", "_").replace("-", "_")
    if said in YES or word in (column, FLAG_OF[column]) or (column in OF_A_DEATH and _is_day(text)):
        return FLAG_OF[column]
    return word if column == "minor" and word in MINORS else None


def read_answers(cells: Sequence[str]) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The words of the flags that the cells say, in the order of FLAG_OF, and a question for each that says neither."""
    read = [(column, read_answer(column, text)) for column, text in zip(FLAG_OF, cells, strict=True) if text]
    asked = tuple(Problem(DATA, column, NEITHER, REMEDY) for column, word in read if word is None)
    return tuple(sorted({word for _, word in read if word})), asked


def cross_says_no(name: str, texts: Iterable[str]) -> bool:
    """Whether an X in a column of this name says no: it stands beside circles, or the name is written in the East."""
    said = {plain(text) for text in texts}
    return CROSS in said and (bool(EAST.search(name)) or not said.isdisjoint(CIRCLES))


def is_answer(column: str, text: str) -> bool:
    """Whether a value is yes or no in any of the words that are read."""
    return read_answer(column, text) is not None


def _is_day(text: str) -> bool:
    written = unicodedata.normalize("NFKC", text)
    days = (DAY, DAY_MONTH, MONTH_DAY)
    return not FILLED_IN.search(written) and any(form.fullmatch(written) for form in days)
