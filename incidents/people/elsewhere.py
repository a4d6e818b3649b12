"""What a region or a town says of another place than the country beside it. The words are data: `elsewhere.yaml`. No Django here.

A word is a question, never a residence: the row's country and the place that the word means are both asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from incidents.law.places import plain

#: Under this name stand the words that say so beside every country that has no line of its own for them.
ANY = "any"
#: 'Douglas, Isle of Man': each part may be the word.
BETWEEN = re.compile(r"[,;/()（），、]")
#: These are written without spaces: '香港特别行政区' begins with its word.
WITHOUT_SPACES = re.compile(r"[\u3400-\u9fff]")
LONGEST_BEGINNING = 4


class Elsewhere(NamedTuple):
    """The places that a word may mean, the likeliest first."""

    places: tuple[str, ...] = ()
    #: A postcode of the country beside it shows that a town of that country is meant.
    settled: bool = False
    #: The words say so in the middle of a text too: 'Lefkoşa Mersin 10'.
    within: bool = False


NOWHERE = Elsewhere()
Words = Mapping[str, Elsewhere]


@cache
def _data() -> Mapping[str, Any]:
    found: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return found


@cache
def _table() -> Mapping[tuple[str, str], Words]:
    """By country and column: each word as `plain` has it."""
    found: dict[tuple[str, str], dict[str, Elsewhere]] = {}
    for country, listed in _data()["places"].items():
        for line in listed:
            meant = Elsewhere(tuple(line["means"]), line.get("settled", False), line.get("within", False))
            for column in line["in"]:
                found.setdefault((country, column), {}).update({plain(word): meant for word in line["words"]})
    return found


@cache
def _own_regions(country: str) -> frozenset[str]:
    return frozenset(plain(word) for word in _data()["own_regions"].get(country, ()))


def is_own_region(country: str, text: str) -> bool:
    """Whether a region is called like another country by chance ('Luxembourg' is a province of Belgium)."""
    return plain(text) in _own_regions(country)


def elsewhere(country: str, column: str, text: str) -> Elsewhere:
    """What the text of a column (region or city) says beside a country; the common case, no line of it, costs next to nothing."""
    own, others = _table().get((country, column)), _table().get((ANY, column))
    if not text or not country or not (own or others):
        return NOWHERE
    words: Words = {**(others or {}), **(own or {})}
    whole = plain(text)
    if whole in words:
        return words[whole]
    # Part of a text is less than the word alone: what a postcode could settle has to be the whole of it.
    found = (words[part] for part in _parts(text) if part in words)
    inside = (meant for word, meant in words.items() if meant.within and f" {word} " in f" {whole} ")
    return next((one for one in (*found, *inside) if not one.settled), NOWHERE)


def _parts(text: str) -> Iterator[str]:
    for part in BETWEEN.split(text):
        word = plain(part)
        yield word
        if WITHOUT_SPACES.match(word):
            yield from (word[:size] for size in range(LONGEST_BEGINNING, 1, -1))
