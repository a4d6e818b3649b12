"""How hard a text is to read: sentence lengths in any language, and the Flesch-Kincaid grade in English.

Grade = 0.39 * words per sentence + 11.8 * syllables per word - 15.59 (Kincaid and others, 1975). Syllables are counted
by rule, without a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])[\"”’)]*\s+(?=[\"“‘(]?[^\W_a-z])|(?<=[。！？])")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
#: Addresses, telephone numbers and codes are looked at, not read.
_NOT_READ: Final = re.compile(r"\[\[\w+\]\]|[\w.+-]+@[\w.-]*\w|\b(?:[\w-]+\.)+[a-z]{2,}\b|\+?\d[\d ()-]{5,}\d", re.ASCII)
_VOWELS: Final = re.compile(r"[aeiouy]+")
_SPLIT_VOWELS: Final = re.compile(
    r"(?<![ctsg])ia|(?<![ctsgx])io(?!n)|(?<![ctsg])ie(?=nt|nc|t\b)|ua|eo(?!us|p)|ea\b|[aeiou]ing\b|creat|react"
)
_WITHOUT_SPACES: Final = frozenset({"ja", "zh", "zh-Hans", "zh-Hant"})


@dataclass(frozen=True)
class Reading:
    """Lengths in words (Japanese and Chinese: characters; Korean has spaces); `grade` only for English."""

    sentences: int
    mean_sentence: float
    longest: str
    longest_length: int
    grade: float | None


def read(*, prose: Iterable[str], language: str) -> Reading:
    """Measure paragraphs and items; those without the end of a sentence (salutation, address) are not prose."""
    sentences = [sentence for paragraph in prose for sentence in sentences_of(text=paragraph)]
    if not sentences:
        return Reading(0, 0.0, "", 0, None)
    lengths = [word_count(text=sentence, language=language) for sentence in sentences]
    longest = max(range(len(lengths)), key=lengths.__getitem__)
    mean = sum(lengths) / len(lengths)
    grade = reading_grade(sentences=sentences) if language.split("-", maxsplit=1)[0] == "en" else None
    return Reading(len(sentences), mean, sentences[longest], lengths[longest], grade)


def sentences_of(*, text: str) -> tuple[str, ...]:
    """The sentences of a paragraph; none when it does not end as a sentence does."""
    clean = _NOT_READ.sub("X", text).strip()
    if not clean.endswith((".", "!", "?", ":", "。", "！", "？", ".)", "”")):
        return ()
    return tuple(sentence.strip() for sentence in _SENTENCE_END.split(clean) if sentence and sentence.strip())


def word_count(*, text: str, language: str) -> int:
    """Words, or characters where the script has no spaces between words."""
    if language in _WITHOUT_SPACES:
        return len(re.sub(r"\s", "", text))
    return len(text.split())


def reading_grade(*, sentences: Iterable[str]) -> float:
    """The Flesch-Kincaid grade of English sentences; ValueError without a word."""
    listed = list(sentences)
    words = [word for sentence in listed for word in _WORD.findall(sentence)]
    if not words:
        raise ValueError("there is nothing to read")
    syllables = sum(syllables_of(word=word) for word in words)
    return 0.39 * len(words) / len(listed) + 11.8 * syllables / len(words) - 15.59


@lru_cache(maxsize=4096)
def syllables_of(*, word: str) -> int:
    """Syllables of an English word, by rule."""
    plain = re.sub(r"[^a-z]", "", word.lower())
    if len(plain) <= 3:
        return 1
    count = len(_VOWELS.findall(plain)) + len(_SPLIT_VOWELS.findall(plain))
    if re.search(r"[^aeiouytd]ed$|[^aeiouylcghszx]es$|[^aeiouyl]e$|[aeiouy]le$", plain):
        count -= 1
    return max(count, 1)
