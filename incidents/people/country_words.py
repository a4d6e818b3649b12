"""The words for a country that nobody could read, and who has which: what many rows share is decided once, by its word.

The words are sealed with the people. They are opened here, shown only where several share one that looks like a word, not stored.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from django.db.models import QuerySet

from incidents.law.places import may_mean, plain
from incidents.models import Incident, QueueEntry
from incidents.people.questions import RESIDENCE_QUESTIONS
from incidents.people.residence import COUNTRY_COLUMNS
from incidents.vault import PersonFields, Vault

#: How many entries are opened for one look (a decision opens all of them), and how many words are offered.
LOOKED_AT, OFFERED = 3_000, 30
UNREADABLE = RESIDENCE_QUESTIONS["country_unreadable"][1]
#: A word of fewer people may be somebody's own: it is decided with its entry.
SHARED = 3
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


def shared_words(*, incident: Incident, entries: QuerySet[QueueEntry], limit: int | None = LOOKED_AT) -> list[CountryWord]:
    """The words that several of these entries are about, the most frequent first."""
    asked = entries.filter(column__in=COUNTRY_COLUMNS, reason=UNREADABLE, person__isnull=False).order_by("pk")
    rows = list(asked.values_list(*_OPENED)[:limit])
    opened = Vault(incident=incident).open_many([row[2:] for row in rows]) if rows else []
    raw: dict[str, Counter[str]] = {}
    who: dict[str, list[int]] = {}
    for (pk, column, *_), fields in zip(rows, opened, strict=True):
        if isinstance(fields, PersonFields) and (word := dict(fields.evidence).get(column, "").strip()):
            raw.setdefault(plain(word), Counter())[word] += 1
            who.setdefault(plain(word), []).append(pk)
    shared = sorted((word for word in who if word and len(who[word]) >= SHARED), key=lambda word: (-len(who[word]), word))
    more = limit is not None and len(rows) == limit
    return [_word(word, raw[word].most_common(1)[0][0], who[word], more) for word in islice(shared, OFFERED)]


def entries_of(*, incident: Incident, entries: QuerySet[QueueEntry], key: str) -> tuple[int, ...]:
    """All entries of one word; none where it is no longer asked about."""
    words = shared_words(incident=incident, entries=entries, limit=None)
    return next((word.entries for word in words if word.key == key), ())


def _word(word: str, written: str, entries: list[int], more: bool) -> CountryWord:
    shown = written if WORD.fullmatch(written) else f"{written[:1]}… (it may be personal)"
    return CountryWord(sha256(word.encode()).hexdigest()[:24], shown, may_mean(word=written), tuple(entries), more)
