"""Findings that need the duty and the incident's facts beside the finished letter: offers, contacts, bars, languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from incidents.letters.check import BLOCK, WARN, LetterFinding
from incidents.letters.contacts import unconfirmed
from incidents.letters.content import contradictions, describe
from incidents.letters.language import CompiledLetter
from incidents.letters.page import read_page
from incidents.letters.particulars import Situation
from incidents.people.statements import TEXTS, in_language, is_translated

#: English words that break a bar, whatever the paragraph says it states; the forms of barring states exist in English.
BARRED_WORDS: Final[Mapping[str, re.Pattern[str]]] = {
    "must_not_describe_nature": re.compile(
        r"\b(?:attack\w*|hack(?:s|ed|er|ers|ing)?|malware|ransom\w*|phish\w*|intru(?:der|ders|sion)|break-?in|broke in(?:to)?"
        r"|got into|gained access|without permission|unauthori[sz]ed|stole|stolen|leak(?:ed|s)?|data theft|(?:a|our) mistake)\b",
        re.IGNORECASE,
    ),
    "must_not_state_number_of_residents": re.compile(
        r"\b\d[\d,.]*\s+(?:\w+\s+)?(?:residents|people|persons|clients|customers|individuals|users|accounts)\b", re.IGNORECASE
    ),
}


def check_owed(*, letter: CompiledLetter, situation: Situation) -> tuple[LetterFinding, ...]:
    """What is wrong with a letter in view of its duty and of the facts recorded, blocks first."""
    found = [finding for rule in _RULES for finding in rule(letter, situation)]
    return tuple(sorted(found, key=lambda finding: finding.level != BLOCK))


def _short_offer(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    offered = int(situation.services.get("months") or 0)
    if situation.offered and offered < situation.months:
        message = (
            f"The law asks for free services for at least {situation.months} months; {offered} are offered. "
            "Correct the months under Facts, 'Protection services' (services)."
        )
        yield LetterFinding("offer.short", BLOCK, message, "offer_months")


def _refused_offer(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    if situation.months and situation.services.get("offered_to") == "nobody":
        message = (
            f"The law asks to offer these people free services for {situation.months} months, and the facts say that nobody is "
            "offered any. Correct it under Facts, 'Protection services' (services)."
        )
        yield LetterFinding("offer.refused", BLOCK, message, "services")


def _contradictions(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    for item, bar in contradictions(required=situation.required, barred=situation.barred):
        message = (
            f"Two laws owed to these people disagree: one asks to state '{describe(item=item)}', "
            f"the other: {describe(item=bar)}. Counsel has to decide; one letter cannot obey both."
        )
        yield LetterFinding("content.contradiction", BLOCK, message, item)


def _barred_words(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    patterns = [BARRED_WORDS[bar] for bar in dict.fromkeys((*situation.barred, *situation.required)) if bar in BARRED_WORDS]
    if not patterns or letter.language != "en":
        return
    text = "\n".join(part.words for part in read_page(html=letter.html).body if part.kind in {"p", "h1", "h2"})
    for found in dict.fromkeys(match.group(0) for pattern in patterns for match in pattern.finditer(text)):
        message = "The law bars to tell these readers this; say it in other words."
        yield LetterFinding("content.barred_words", BLOCK, message, found)


def _contacts(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    confirmed = frozenset(situation.facts.get("contacts_confirmed") or ())
    for contact in unconfirmed(text=letter.text, confirmed=confirmed):
        memory = f" From memory: {', '.join(contact.from_memory)}." if contact.from_memory else ""
        doubt = f" In doubt: {contact.doubt}" if contact.doubt else ""
        message = (
            f"Nobody has compared this contact with the office's own site: {contact.shown()}.{memory}{doubt} Compare it before "
            "the release, then tick it under Facts, 'Contacts confirmed' (contacts_confirmed)."
        )
        yield LetterFinding("contacts.unconfirmed", WARN, message, contact.id)


def _untranslated(letter: CompiledLetter, situation: Situation) -> Iterable[LetterFinding]:
    language = letter.language
    for facts, names, prefix in ((situation.facts, TEXTS, ""), (situation.services, ("enrolment",), "services.")):
        for name in names:
            words = in_language(facts=facts, name=name, language=language).rstrip(".")
            if words and words in letter.text and not is_translated(facts=facts, name=name, language=language):
                message = f"English words stand in a letter in '{language}': give them in that language under Facts."
                yield LetterFinding("language.untranslated", WARN, message, f"{prefix}{name}")


_RULES: Final[tuple[Callable[[CompiledLetter, Situation], Iterable[LetterFinding]], ...]] = (
    _short_offer,
    _refused_offer,
    _contradictions,
    _barred_words,
    _contacts,
    _untranslated,
)
