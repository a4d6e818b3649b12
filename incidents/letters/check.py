"""Reads a finished letter against the law, plain language and trust; a finding of level `block` stops its release.

It reads the HTML as a browser would, and the text beside it: whatever the author wrote, these are what people get.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Final

from incidents.letters.content import BARS, barred_statements, describe, missing_statements, remedy, with_synonyms
from incidents.letters.gaps import DAY_KNOWN
from incidents.letters.language import CompiledLetter
from incidents.letters.page import Page, Part, read_page
from incidents.letters.reading import Reading, read, word_count
from incidents.letters.wording import Wording, element_labels, wording

BLOCK: Final = "block"
WARN: Final = "warn"

MAX_SUBJECT_CHARACTERS: Final = 70
ACTIONS: Final = range(3, 6)
ACTIONS_BY_WORD: Final = 150
DATA_BY_WORD: Final = 60
MAX_GRADE: Final = 9.5
WANTED_GRADE: Final = 8.0
MAX_MEAN_SENTENCE: Final = 16

#: Length of a body without law blocks, in words (Japanese: characters), and of a sentence, by language.
BODY_LENGTH: Final[Mapping[str, tuple[int, int]]] = {
    "en": (250, 400),
    "fr": (250, 480),
    "de": (250, 430),
    "ja": (600, 1500),
    # What English says in 100 words takes about 110 here,
    "it": (250, 440),
    "es": (250, 440),
    "pt": (250, 450),
    # and about 82 here, where particles and suffixes belong to the word; Korean is written with spaces.
    "ko": (200, 330),
    "tr": (200, 330),
}
# fmt: off
MAX_SENTENCE: Final[Mapping[str, int]] = {
    "en": 28, "fr": 34, "de": 28, "ja": 90, "it": 30, "es": 30, "pt": 30, "ko": 22, "tr": 22,
}
# fmt: on

#: Languages whose labels say `name`, not `your name`.
_BARE_LABELS: Final = frozenset({"ja", "ko"})

#: California Civil Code 1798.82(d)(1): title and headings, in this order.
CALIFORNIA_TITLE: Final = "Notice of Data Breach"
CALIFORNIA_HEADINGS: Final = (
    "What Happened",
    "What Information Was Involved",
    "What We Are Doing",
    "What You Can Do",
    "For More Information",
)

_SLOT: Final = re.compile(r"\[\[(?:person_name|reader_name|reference_code)\]\]")
_LINK: Final = re.compile(r"(?i)[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:mailto:|javascript:|tel:\+?\d)")
_DOMAIN: Final = re.compile(r"(?i)(?<![\w.@-])(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}(?![a-z0-9-])", re.ASCII)
_ADDRESS: Final = re.compile(r"(?i)[a-z0-9.+_-]+@((?:[a-z0-9-]+\.)+[a-z]{2,})", re.ASCII)


@dataclass(frozen=True)
class LetterFinding:
    """One thing that is wrong (`block`) or could be better (`warn`); `reference` is the item, wording or field."""

    code: str
    level: str
    message: str
    reference: str = ""


@dataclass(frozen=True)
class _Case:
    """A letter with all that it is checked against."""

    letter: CompiledLetter
    required: tuple[str, ...]
    barred: tuple[str, ...]
    facts: Mapping[str, bool]
    fields: Mapping[str, str | tuple[str, ...]]
    elements: frozenset[str]

    @cached_property
    def page(self) -> Page:
        return read_page(html=self.letter.html)

    @cached_property
    def body(self) -> tuple[Part, ...]:
        """What the letter itself says, without the law blocks and the brand's name on top."""
        return self.page.body

    @cached_property
    def reading(self) -> Reading:
        prose = [part.words for part in self.body if part.kind in {"p", "number"}]
        return read(prose=prose, language=self.letter.language)

    @cached_property
    def words(self) -> Wording:
        return wording(language=self.letter.language)

    def field(self, name: str) -> str:
        value = self.fields.get(name, "")
        return value if isinstance(value, str) else ""

    def not_involved(self) -> frozenset[str]:
        value = self.fields.get("not_involved", ())
        return frozenset() if isinstance(value, str) else frozenset(value)

    def fact(self, name: str) -> bool:
        return self.facts.get(name, False)


def check_letter(
    *,
    letter: CompiledLetter,
    required: Sequence[str],
    barred: Sequence[str],
    facts: Mapping[str, bool],
    fields: Mapping[str, str | tuple[str, ...]],
    elements: frozenset[str],
) -> tuple[LetterFinding, ...]:
    """All findings on one compiled letter, blocks first; KeyError for a language or element without wording."""
    bars = [item for item in required if item in BARS]
    case = _Case(letter, tuple(required), (*barred, *bars), facts, fields, elements)
    found = [finding for rule in _RULES for finding in rule(case)]
    return tuple(sorted(found, key=lambda finding: finding.level != BLOCK))


def _statements(case: _Case) -> Iterable[LetterFinding]:
    for item in missing_statements(required=case.required, said=case.letter.said, facts=case.facts):
        message = f"The letter does not state: {describe(item=item)}. {remedy(item=item, facts=case.facts)}"
        yield LetterFinding("content.missing", BLOCK, message, item)
    for item in barred_statements(barred=case.barred, said=case.letter.said):
        yield LetterFinding("content.barred", BLOCK, f"The law bars this: {describe(item=item)}.", item)
    if "law_enforcement_delay_statement" in case.required and "is.police_delay" not in case.facts:
        message = "The letter speaks of a delay: record under Facts whether the police asked for one (police_asked_delay)."
        yield LetterFinding("content.police_delay", BLOCK, message, "is.police_delay")


def _prescribed_headings(case: _Case) -> Iterable[LetterFinding]:
    if "prescribed_headings" not in case.required:
        return
    titles = tuple(part.words for part in case.body if part.kind == "h1")
    headings = tuple(part.words for part in case.body if part.kind == "h2")
    if titles != (CALIFORNIA_TITLE,) or headings != CALIFORNIA_HEADINGS:
        message = "The title and the five headings are not those of the statute, in its order."
        yield LetterFinding("content.headings", BLOCK, message, "prescribed_headings")


def _elements(case: _Case) -> Iterable[LetterFinding]:
    labels = set(element_labels(elements=case.elements, language=case.letter.language))
    cleared = case.not_involved()
    parts = [part for part in case.body if not (part.kind == "bullet" and part.words in cleared)]
    shown = " \n".join(part.words for part in parts).casefold()
    for label in sorted(labels & cleared):
        yield LetterFinding("elements.contradiction", BLOCK, "Listed as involved and as not involved.", label)
    for label in sorted(labels):
        if label.casefold() not in shown:
            yield LetterFinding("elements.missing", BLOCK, "The letter does not name this data of its reader.", label)
    for label in _foreign_labels(case, parts, labels):
        yield LetterFinding("elements.foreign", BLOCK, "The letter names data that is not this reader's.", label)
    if not case.fact("has_not.any") and any(part.kind == "bullet" and part.words in cleared for part in case.body):
        message = "A list of data not involved stands in the letter although nothing is confirmed."
        yield LetterFinding("elements.unconfirmed", BLOCK, message, "not_involved")


def _foreign_labels(case: _Case, parts: list[Part], labels: set[str]) -> Iterable[str]:
    """Labels of other elements. Where labels have no `your`, prose is no evidence; only bullets count."""
    bullets = {part.words.casefold() for part in parts if part.kind == "bullet"}
    prose = "\n".join(part.words for part in parts).casefold() if case.letter.language not in _BARE_LABELS else ""
    found = bullets.union(_label_pattern(case.letter.language).findall(prose))
    return sorted(label for label in case.words.elements.values() if label.casefold() in found and label not in labels)


@cache
def _label_pattern(language: str) -> re.Pattern[str]:
    """Any element's label, the longer first: a longer label holds shorter ones."""
    labels = sorted(wording(language=language).elements.values(), key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(re.escape(label.casefold()) for label in labels)})(?!\w)")


def _unresolved(case: _Case) -> Iterable[LetterFinding]:
    for name in ("subject", "text", "html"):
        rest = _SLOT.sub("", str(getattr(case.letter, name)))
        if "[[" in rest or "]]" in rest or "{{" in rest or "{%" in rest:
            yield LetterFinding("slots.unresolved", BLOCK, "A placeholder was not filled in.", name)
    if "[[reference_code]]" not in case.letter.text:
        message = "Without a reference code nobody can check that the letter is real."
        yield LetterFinding("slots.reference_code", BLOCK, message, "reference_code")
    if "[[reader_name]]" not in case.letter.text:
        message = "The letter does not address its reader by name."
        if "[[person_name]]" in case.letter.text:
            message = (
                "Begin the letter with [[reader_name]]: [[person_name]] greets the dead, or a child, where next of kin, "
                "a guardian or an attorney reads it."
            )
        yield LetterFinding("slots.reader_name", WARN, message, "reader_name")


def _links(case: _Case) -> Iterable[LetterFinding]:
    for what in dict.fromkeys(case.page.refused):
        yield LetterFinding("html.refused", BLOCK, "A letter has no links, forms, images, scripts or remote parts.", what)
    for found in dict.fromkeys(match.group(0) for match in _LINK.finditer(f"{case.letter.subject}\n{case.letter.text}")):
        yield LetterFinding("links.link", BLOCK, "A letter has no links.", found)
    given = " ".join(value if isinstance(value, str) else " ".join(value) for value in case.fields.values()).lower()
    known = {match.group(0) for pattern in (_DOMAIN, _ADDRESS) for match in pattern.finditer(given)}
    for part in case.body:
        for pattern in (_DOMAIN, _ADDRESS):
            for match in pattern.finditer(part.words):
                if match.group(0).lower() not in known:
                    yield LetterFinding("links.unknown", BLOCK, "Not an address of the incident record.", match.group(0))


def _own_domain(case: _Case) -> Iterable[LetterFinding]:
    own = case.field("website").lower()
    if not own:
        return
    for name, pattern, level in (("sender_email", _ADDRESS, WARN), ("website_page", _DOMAIN, BLOCK)):
        match = pattern.search(case.field(name).lower())
        domain = match.group(match.lastindex or 0) if match else own
        if domain != own and not domain.endswith(f".{own}"):
            yield LetterFinding("links.other_domain", level, f"{domain} is not the brand's own domain {own}.", name)


def _phrases(case: _Case) -> Iterable[LetterFinding]:
    text = f"{case.letter.subject}\n" + "\n".join(part.words for part in case.body)
    for code, patterns in case.words.phrases.items():
        if code == "statutory" and case.fact("is.statutory"):
            continue
        for found in dict.fromkeys(match.group(0) for pattern in patterns for match in pattern.finditer(text)):
            yield LetterFinding(f"wording.{code}", BLOCK, _PHRASE_REASONS.get(code, "Refused wording."), found)


_PHRASE_REASONS: Final[Mapping[str, str]] = {
    "hedge": "The reader's data is confirmed: say that it is involved, not that it may be.",
    "no_evidence": "Absence of evidence is no comfort; counsel has to allow this sentence with a reason.",
    "empty_phrase": "A phrase that says nothing and that readers no longer believe.",
    "urgency": "Urgency is the mark of fraud; say by when, calmly.",
    "marketing": "A breach letter sells nothing.",
    "no_action": "The letter asks the reader to act; it cannot say that nothing is to be done.",
    "statutory": "A courtesy letter must not read as a notice owed by law.",
}


def _subject(case: _Case) -> Iterable[LetterFinding]:
    subject = case.letter.subject
    if case.field("brand").casefold() not in subject.casefold() or not case.field("brand"):
        yield LetterFinding("subject.brand", BLOCK, "The subject line does not name the brand.", subject)
    if len(subject) > MAX_SUBJECT_CHARACTERS:
        message = f"The subject line is longer than {MAX_SUBJECT_CHARACTERS} characters."
        yield LetterFinding("subject.length", BLOCK, message, subject)
    for found in (match for pattern in case.words.subject_urgency if (match := pattern.search(subject))):
        yield LetterFinding("subject.urgency", BLOCK, _PHRASE_REASONS["urgency"], found.group(0))


def _parity(case: _Case) -> Iterable[LetterFinding]:
    lines, number = [], 0
    for part in case.page.parts:
        number = number + 1 if part.kind == "number" else 0
        mark = {"number": f"{number}. ", "bullet": "- "}.get(part.kind, "")
        lines.append(mark + part.words)
    for line, other in zip([*lines, ""], [*(x for x in case.letter.text.split("\n") if x), ""], strict=False):
        if line != other:
            message = "The text and the HTML do not say the same."
            yield LetterFinding("parity", BLOCK, message, (line or other)[:80])
            return


def _actions(case: _Case) -> Iterable[LetterFinding]:
    count = sum(part.kind == "number" for part in case.body)
    if count not in ACTIONS:
        message = f"The reader needs a numbered list of 3 to 5 things to do; there are {count}."
        yield LetterFinding("form.actions", BLOCK, message, str(count))
    if case.letter.language == "ja" or "prescribed_headings" in case.required:
        return
    for kind, limit, code in (("bullet", DATA_BY_WORD, "data_late"), ("number", ACTIONS_BY_WORD, "actions_late")):
        before = _words_before(case, kind)
        if before > limit:
            message = f"The first {kind} item comes after {before} words; people need it within {limit}."
            yield LetterFinding(f"form.{code}", WARN, message, str(before))


def _words_before(case: _Case, kind: str) -> int:
    total = 0
    for part in case.page.parts:
        if part.kind == kind:
            break
        total += len(part.words.split())
    return total


def _dates(case: _Case) -> Iterable[LetterFinding]:
    known = case.fact("is.occurred_known") or case.fact("is.occurred_range")
    needed = ["letter_date", "discovered_on", *(["occurred_on"] if known else [])]
    for name in needed:
        if name == "occurred_on" and not case.field(name):
            message = f"'{DAY_KNOWN}' is ticked under Facts, and 'Occurred' beside it is empty."
            yield LetterFinding("dates.missing", BLOCK, message, name)
        elif not case.field(name) or case.field(name) not in case.letter.text:
            yield LetterFinding("dates.missing", BLOCK, f"This date is not in the letter: {name}.", name)
    if not known and "date_of_breach" not in with_synonyms(said=case.letter.said):
        message = "The letter does not say that the day of the incident is not yet known."
        yield LetterFinding("dates.unknown", BLOCK, message, "occurred_on")
    elif not known and case.field("occurred_on"):
        message = (
            f"'Occurred' is given under Facts, and the letter calls the day not yet known: '{DAY_KNOWN}' is not ticked beside it."
        )
        yield LetterFinding("dates.not_ticked", WARN, message, "occurred_on")


def _plain(case: _Case) -> Iterable[LetterFinding]:
    reading, language = case.reading, case.letter.language
    if reading.grade is not None and reading.grade > WANTED_GRADE:
        level = BLOCK if reading.grade > MAX_GRADE else WARN
        message = f"Reading grade {reading.grade:.1f}; wanted is {WANTED_GRADE}, the limit is {MAX_GRADE}."
        yield LetterFinding("reading.grade", level, message, f"{reading.grade:.1f}")
    if language == "en" and reading.mean_sentence > MAX_MEAN_SENTENCE:
        message = f"Sentences have {reading.mean_sentence:.1f} words on average; {MAX_MEAN_SENTENCE} is the limit."
        yield LetterFinding("reading.sentences", WARN, message, f"{reading.mean_sentence:.1f}")
    limit = MAX_SENTENCE.get(language, max(MAX_SENTENCE.values()))
    if reading.longest_length > limit:
        message = f"A sentence of {reading.longest_length}; {limit} is the limit."
        yield LetterFinding("reading.longest", WARN, message, reading.longest)


def _length(case: _Case) -> Iterable[LetterFinding]:
    least, most = BODY_LENGTH.get(case.letter.language, (0, 10_000))
    length = sum(word_count(text=part.words, language=case.letter.language) for part in case.body)
    if not least <= length <= most:
        message = f"The letter has a length of {length}; between {least} and {most} is read to the end."
        yield LetterFinding("form.length", WARN, message, str(length))


_RULES: Final[tuple[Callable[[_Case], Iterable[LetterFinding]], ...]] = (
    _statements,
    _prescribed_headings,
    _elements,
    _unresolved,
    _links,
    _own_domain,
    _phrases,
    _subject,
    _parity,
    _actions,
    _dates,
    _plain,
    _length,
)
