"""What a row says of one person beside who they are: exposed elements, flags, birth date, language, and who reads in their place.

Every word that is not understood becomes a question; until it is answered nothing is taken away from what may have leaked.
`words.yaml` holds the words of other lists with the reason why they mean ours. No Django here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from incidents.people.addresses import check_address
from incidents.people.date_forms import LAST_MONTH, MIDNIGHT, POINT, SPACE, YEAR_LAST, is_not_given, japanese
from incidents.people.fillers import is_filler, is_no_name
from incidents.people.questions import ADDRESS, DATA, FLAG_QUESTIONS, FLAGS, GUARDIAN, NEXT_OF_KIN, NO_CHANNEL, Problem
from incidents.visible import has_unseen, visible

#: The vocabulary's words and those of `words.yaml` between them.
SEPARATORS = re.compile(r"[;|,\n]")
ROLES = ("attorney", "guardian", "next_of_kin")
#: Which questions a representative answers; with one to write to, nobody has to ask for another address either.
ANSWERED_BY = {
    "": frozenset[str](),
    "guardian": frozenset({GUARDIAN, ADDRESS, NO_CHANNEL}),
    "next_of_kin": frozenset({NEXT_OF_KIN, ADDRESS, NO_CHANNEL}),
    "attorney": frozenset({GUARDIAN, NEXT_OF_KIN, ADDRESS, NO_CHANNEL}),
}
MINORS = ("minor_under_16", "minor_16_17")
#: In place of the question about somebody under 16.
MINOR_OF_SOME_AGE = "called a minor beside no date of birth that says so, taken as under 16: a guardian may have to be told"
#: Written alone for no flag. 'unknown' is none of them: it may be a doubt about one.
NO_FLAGS = frozenset({"no", "none", "n/a", "n.a.", "na", "null", "nil", "nan", "-", "--", "---"})
MOST_WORDS = 60
LONGEST_LANGUAGE = 12
EARLIEST_BIRTH = date(1900, 1, 2)
MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december",
)  # fmt: skip
#: The English name of a month, whole or its first three letters -> its number.
MONTH_OF = {word: number for number, name in enumerate(MONTHS, start=1) for word in (name, name[:3])} | {"sept": 9}
_THREE = rf"([-/.]){SPACE}([0-9]{{1,2}})\2{SPACE}([0-9]{{1,2}}){POINT}"
YEAR_FIRST = re.compile(rf"([0-9]{{4}})(?:{_THREE}|([0-9]{{2}})([0-9]{{2}})){MIDNIGHT}")
DAY_MONTH = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th)?[-/. ]{1,2}([a-z]{3,9})[-/., ]{1,2}([0-9]{4})", re.IGNORECASE)
MONTH_DAY = re.compile(r"([a-z]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ([0-9]{4})", re.IGNORECASE)
#: A year of two digits may be one of this century: that reading is the younger one.
SHORT_YEAR = re.compile(rf"([0-9]{{1,2}})([-/.])([0-9]{{1,2}})\2([0-9]{{2}}){MIDNIGHT}")
NO_ONE_DAY = "not a plausible date of birth in the form YYYY-MM-DD"
TWO_DAYS = "a date of birth that may mean two days: its column does not say whether the day or the month stands first"
SEVERAL_DAYS = "a date of birth that may mean several days: its year has two digits"
MAYBE_MINOR = "a date of birth that may mean several days: until it is known the youngest age counts, that of a minor"


@dataclass(frozen=True)
class Expected:
    """What is expected of a list: the vocabulary, what the facts say of each element, what leaked of everybody on it."""

    vocabulary: frozenset[str]
    states: Mapping[str, str]
    #: What the file says leaked of everybody on it, where it has no column of elements; None = what the facts say.
    elements: tuple[str, ...] | None = None
    #: For a reject file that comes back: the lists of its incident ("12").
    lists: frozenset[str] = frozenset()
    #: And the lists ("12") and corrected rows ("13-4") that had no column of elements, with what
    #: their file said leaked of everybody. Its own column says nothing of them where it is empty.
    without: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    #: The day on which the incident became known: ages are counted on it.
    aware_on: date | None = None
    #: The country that was said of everybody on the list, and for a reject file of the lists and corrected rows that it is of.
    country: str = ""
    countries: Mapping[str, str] = field(default_factory=dict)
    #: Where the sender has its seat: the default that is suggested for somebody without any evidence of residence.
    seat: str = ""

    @property
    def for_all(self) -> tuple[str, ...]:
        return tuple(sorted(name for name, state in self.states.items() if state == "exposed"))

    @property
    def for_everybody(self) -> bool:
        """Whether an empty cell leaves nothing open: data leaked of everybody, and none of some only, which a list would say."""
        return bool(self.for_all) and "exposed_for_some" not in self.states.values()

    @property
    def without_column(self) -> tuple[str, ...]:
        """The elements of a person whose row says nothing of them."""
        return self.for_all if self.elements is None else tuple(sorted({*self.elements, *self.for_all}))


@dataclass(frozen=True)
class Exposed:
    """The elements of a row, what is asked of them, and those that only people of one country have (element, country)."""

    elements: tuple[str, ...]
    problems: tuple[Problem, ...] = ()
    of_one_country: tuple[tuple[str, str], ...] = ()


@cache
def _words() -> Mapping[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "words.yaml").read_text(encoding="utf-8"))
    return found


def words_of(*, text: str) -> tuple[str, ...]:
    """The words of a cell in one order, in small letters."""
    return tuple(sorted({word.strip().lower().replace(" ", "_") for word in SEPARATORS.split(text) if word.strip()}))


def read_elements(*, text: str, expected: Expected) -> Exposed:
    """What leaked of this person: their own words and what leaked of everybody, with a question for each doubt."""
    named = words_of(text=text)
    if not named:
        missing = Problem(DATA, "elements", "no exposed element is named", "say which data of this person leaked")
        return _exposed(set(expected.without_column), [] if expected.for_everybody else [missing])
    problems, words = list[Problem](), dict[str, None]()
    for word in named:
        if word in _words()["asked"] and word not in expected.vocabulary:
            asked = _words()["asked"][word]
            problems.append(Problem(DATA, "elements", asked["reason"], asked["remedy"]))
            words.update(dict.fromkeys(asked["until_then"]))
        else:
            words[word if word in expected.vocabulary else _words()["elements"].get(word, {"means": word})["means"]] = None
    known = {word for word in words if word in expected.vocabulary}
    if len(known) < len(words) or len(named) > MOST_WORDS:
        problems.append(Problem(DATA, "elements", "an element is not in the vocabulary", "use the vocabulary's words"))
    if any(expected.states.get(word) == "not_involved" for word in known):
        reason = "an element that the incident's facts call not involved"
        problems.append(Problem(DATA, "elements", reason, "correct the row or the incident's facts"))
    # The column says of whom those elements leaked that leaked of some; what leaked of everybody leaked of this person too.
    return _exposed({*known, *expected.for_all}, problems)


def _exposed(elements: set[str], problems: list[Problem]) -> Exposed:
    bound = _words()["of_one_country"]
    return Exposed(tuple(sorted(elements)), tuple(problems), tuple((e, bound[e]) for e in sorted(elements) if e in bound))


def foreign_numbers(*, exposed: Exposed, place: str) -> list[Problem]:
    """A number of one country beside a residence in another: the row may be shifted, or the person moved."""
    if not any(place != "ZZ" and not place.startswith(country) for _, country in exposed.of_one_country):
        return []
    reason = "a number that only another country gives out (such as an SSN outside the United States)"
    return [Problem(DATA, "elements", reason, "check the row; accept it where this person has that number, or correct it")]


def read_flags(*, text: str, age: str = "", more: tuple[str, ...] = ()) -> tuple[tuple[str, ...], tuple[Problem, ...]]:
    """The flags of a row, and the questions that they raise.

    `age`: the flag of a minor by the date of birth, if any; `more`: words that other columns say.
    """
    said = [] if text.strip().lower() in NO_FLAGS else [word.replace("-", "_") for word in words_of(text=text)]
    if not said and not more:
        return (), ()
    words = {_words()["flags"].get(word, word) for word in (*said, *more)}
    minor = words & {*_words()["minors"]}
    words -= minor
    stricter = bool(minor) and not age and words.isdisjoint(MINORS)
    if minor and words.isdisjoint(MINORS):
        words.add(age or MINORS[0])
    problems = [Problem(kind, "flags", reason, remedy) for kind, reason, remedy in _asked_of(words)]
    if stricter:
        known = FLAG_QUESTIONS[MINORS[0]][1]
        problems = [replace(problem, reason=MINOR_OF_SOME_AGE) if problem.reason == known else problem for problem in problems]
    if words - FLAGS:
        problems.insert(0, Problem(DATA, "flags", "an unknown flag", f"use {', '.join(sorted(FLAGS))}"))
    return tuple(sorted(words & FLAGS)), tuple(problems)


def _asked_of(flags: set[str]) -> list[tuple[str, str, str]]:
    return [FLAG_QUESTIONS[flag] for flag in sorted(flags & set(FLAG_QUESTIONS))]


@lru_cache(maxsize=4096)
def birth_date(text: str) -> date | None:
    """A date of birth that means one day only; None for any other text, and for the date that programs fill in for none.

    Between points the day stands first, everywhere. Of other dates nobody guesses whether a list puts the day or the month first.
    """
    try:
        usual = len(text) == 10 and text[4] == text[7] == "-"
        born = date.fromisoformat(text) if usual else date(*_year_month_day(text))
    except ValueError:
        return None
    return born if born >= EARLIEST_BIRTH else None


def _year_month_day(text: str) -> tuple[int, int, int]:
    """The parts of a date whose form tells which is which; no date (0, 0, 0) where it does not."""
    if found := YEAR_FIRST.fullmatch(text):
        year, _, *parts = found.groups()
        month, day = (part for part in parts if part)
        return int(year), int(month), int(day)
    if found := YEAR_LAST.fullmatch(text):
        one, other, year = int(found[1]), int(found[3]), int(found[4])
        if found[2] == "." and other <= LAST_MONTH:
            return year, other, one
        # '29-02-1980' and '02/29/1980' are one day, '03/03/1980' too; '02/03/1980' is two.
        return (year, min(one, other), max(one, other)) if max(one, other) > 12 or one == other else (0, 0, 0)
    if found := DAY_MONTH.fullmatch(text):
        return int(found[3]), MONTH_OF.get(found[2].lower(), 0), int(found[1])
    if found := MONTH_DAY.fullmatch(text):
        return int(found[3]), MONTH_OF.get(found[1].lower(), 0), int(found[2])
    return japanese(text) or (0, 0, 0)


@lru_cache(maxsize=4096)
def read_birth(text: str, today: date, aware_on: date | None) -> tuple[str, str]:
    """(why it is asked, or '' for a plausible date of birth or none; flag of a minor by age, or '').

    Of a date that may mean several days the youngest age counts: an accepted doubt must not lose a child.
    """
    born = birth_date(text)
    if born and born <= today:
        return "", _age_flag(born, aware_on)
    flags = [_age_flag(one, aware_on) for one in _readings(text) if one <= today]
    if not flags:
        return "" if is_filler(text) or is_not_given(text) else NO_ONE_DAY, ""
    if len({*flags}) > 1:
        why = MAYBE_MINOR
    else:
        why = NO_ONE_DAY if len(flags) == 1 else TWO_DAYS if YEAR_LAST.fullmatch(text) else SEVERAL_DAYS
    return why, max(flags, key=("", "minor_16_17", "minor_under_16").index)


def _age_flag(born: date, aware_on: date | None) -> str:
    """The flag of a minor by the age on the day on which the incident became known."""
    if aware_on is None:
        return ""
    age = aware_on.year - born.year - ((aware_on.month, aware_on.day) < (born.month, born.day))
    return "minor_under_16" if age < 16 else "minor_16_17" if age < 18 else ""


def may_be_several_days(text: str) -> bool:
    """Whether a date of birth is none that means one day, but may mean several."""
    return birth_date(text) is None and len(_readings(text)) > 1


def _readings(text: str) -> list[date]:
    """The days that a doubtful date may mean, the day or the month first; of a short year both centuries."""
    found = YEAR_LAST.fullmatch(text) or SHORT_YEAR.fullmatch(text)
    if not found:
        return []
    one, other, year = int(found[1]), int(found[3]), int(found[4])
    years = (year,) if len(found[4]) == 4 else (1900 + year, 2000 + year)
    days = {(y, m, d) for y in years for m, d in ((one, other), (other, one))}
    return [date(*day) for day in sorted(days) if _is_day(*day)]


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day) >= EARLIEST_BIRTH
    except ValueError:
        return False


def minor_by_age(*, flag: str) -> Problem:
    """The guardian question about somebody whom no flag calls a minor, but their birth date does."""
    reason = f"{'under 16' if flag == 'minor_under_16' else '16 or 17'} by the date of birth: a guardian may have to be told"
    return Problem(GUARDIAN, "date_of_birth", reason, FLAG_QUESTIONS[flag][2])


@lru_cache(maxsize=1024)
def read_language(text: str) -> str:
    """A language tag as it is used ('fr_CA' -> 'fr-CA'), also of a language that no letter has; '' for any other text.

    Which language the letter takes instead, and by which rule, is said where the letter is shown.
    """
    tag = text.replace("_", "-")
    return tag if re.fullmatch(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", tag) and len(tag) <= LONGEST_LANGUAGE else ""


def read_representative(*, role: str, name: str, email: str) -> tuple[tuple[str, str, str], tuple[Problem, ...]]:
    """Who reads the letter in this person's place (role, name, e-mail), or a question and nobody."""
    if not (role or name or email):
        return ("", "", ""), ()
    word = role.lower().replace(" ", "_").replace("-", "_")
    if word not in ROLES:
        problem = Problem(DATA, "representative_role", "no role that we know", f"use {', '.join(ROLES)}")
        return ("", "", ""), (problem,)
    if not name:
        problem = Problem(DATA, "representative_name", "a representative without a name", "add the name, or empty the columns")
        return ("", "", ""), (problem,)
    if has_unseen(name) or not visible(name):
        reason = "an unseen character in the representative's name"
        problem = Problem(DATA, "representative_name", reason, "look at it in the source and write the name without it")
        return ("", "", ""), (problem,)
    if is_no_name(name):
        reason = "no name of a person in the representative's name"
        problem = Problem(DATA, "representative_name", reason, "write the name, or empty the columns")
        return ("", "", ""), (problem,)
    ready, about = check_address(email)
    if about:
        return (word, name, ""), (Problem(DATA, "representative_email", about.reason, about.remedy),)
    return (word, name, ready), ()
