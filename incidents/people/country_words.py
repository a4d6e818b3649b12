"""The words for a country that nobody could read, and who has which: what many rows share is decided once, by its word.

The words are sealed with the people. They are opened here, shown only where several share one that looks like a word, not stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from django.db.models import QuerySet

from incidents.law.places import may_mean, plain
from incidents.models import Incident, QueueEntry
from incidents.people.questions import RESIDENCE_QUESTIONS
from incidents.people.residence import COUNTRY_COLUMNS
from incidents.vault import PersonFields, Vault

#: How many entries are opened for one look, and how many words are offered; a decision opens all entries, some at a time.
LOOKED_AT, OFFERED, PAGE = 3_000, 30, 1_000
UNREADABLE = RESIDENCE_QUESTIONS["country_unreadable"][1]
#: A word of fewer people may be somebody's own: it is decided with its entry.
SHARED = 3
#: No value by which people are matched is of this kind.
KIND = "country_word"
#: Anything else may be a telephone number, an address or a mail address that slipped into the column: its first letter is shown.
WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|[ .,'’()&-]){0,39}")
_OPENED = ("pk", "column", "person__subject", "person__sealed", "person__wrapped_key", "person__key_version")


@dataclass(frozen=True)
class CountryWord:
    """A word that several people have in a column of countries; `key` stands for it in a form."""

    key: str
    shown: str
    meant: tuple[str, ...]
    entries: tuple[int, ...]
    #: Not all entries were opened: there may be more of this word.
    or_more: bool = False


def shared_words(*, incident: Incident, entries: QuerySet[QueueEntry]) -> list[CountryWord]:
    """The words that several of the first of these entries are about, the most frequent first."""
    rows = list(_asked(entries)[:LOOKED_AT])
    if not rows:
        return []
    vault = Vault(incident=incident)
    raw: dict[str, Counter[str]] = {}
    who: dict[str, list[int]] = {}
    for pk, word in _read(vault, rows):
        raw.setdefault(plain(word), Counter())[word] += 1
        who.setdefault(plain(word), []).append(pk)
    shared = sorted((word for word in who if word and len(who[word]) >= SHARED), key=lambda word: (-len(who[word]), word))
    more = len(rows) == LOOKED_AT
    return [_word(_key(vault, word), raw[word].most_common(1)[0][0], who[word], more) for word in islice(shared, OFFERED)]


def entries_of(*, incident: Incident, entries: QuerySet[QueueEntry], key: str) -> tuple[int, ...]:
    """All entries of one word, also of one that is not among the most frequent of all; none where too few ask about it now."""
    vault, asked, found, last = Vault(incident=incident), _asked(entries), list[int](), 0
    while rows := list(asked.filter(pk__gt=last)[:PAGE]):
        found += [pk for pk, word in _read(vault, rows) if _key(vault, plain(word)) == key]
        last = rows[-1][0]
    return tuple(found) if len(found) >= SHARED else ()


def _asked(entries: QuerySet[QueueEntry]) -> QuerySet[QueueEntry, tuple[Any, ...]]:
    """The entries about a word that nobody could read, as `_OPENED`."""
    asked = entries.filter(column__in=COUNTRY_COLUMNS, reason=UNREADABLE, person__isnull=False)
    return asked.order_by("pk").values_list(*_OPENED)


def _read(vault: Vault, rows: list[tuple[Any, ...]]) -> Iterator[tuple[int, str]]:
    """Each entry with the word in the cell that it is about; without those whose record does not open, or has none there."""
    for (pk, column, *_), fields in zip(rows, vault.open_many([row[2:] for row in rows]), strict=True):
        if isinstance(fields, PersonFields) and (word := dict(fields.evidence).get(column, "").strip()):
            yield pk, word


def _key(vault: Vault, word: str) -> str:
    """What stands for a word in a form: under the incident's key, or whoever sees the page could try words until one fits."""
    return vault.blind(kind=KIND, value=word).hex()[:24]


def _word(key: str, written: str, entries: list[int], more: bool) -> CountryWord:
    shown = written if WORD.fullmatch(written) else f"{written[:1]}… (it may be personal)"
    return CountryWord(key, shown, may_mean(word=written), tuple(entries), more)
