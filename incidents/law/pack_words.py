"""Checks that a pack uses only words that are known: data elements, content items, calendar rules, starting points.

A misspelt element would silently never match; it is refused when the packs are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class UnknownWord:
    """A word outside the vocabulary: where it stands and what kind of word it should be."""

    key: str
    word: str
    kind: str


def unknown_words(
    *, document: Mapping[str, Any], vocabulary: Mapping[str, Any], calendars: Mapping[str, Any]
) -> Iterator[UnknownWord]:
    """Every word of a pack that the vocabulary and the calendars do not know."""
    known = {
        "data element": set(vocabulary["elements"]),
        "calendar rule": set(calendars["rules"]),
        "starting point": set(vocabulary["starting_points"]),
        "kind of deadline": set(vocabulary["deadline_kinds"]),
        "exemption": set(vocabulary["exemptions"]),
        "content item": _content_items(document["content_vocabulary"], vocabulary["content_items"]),
    }
    for kind, key, word in _words(document["regimes"], "regimes"):
        if word not in known[kind]:
            yield UnknownWord(key, word, kind)


def _content_items(own: str, items: Mapping[str, Mapping[str, str]]) -> set[str]:
    return set(items[own]) | set(items[f"{own}_regulator"])


def _words(node: Any, key: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(node, Mapping):
        yield from _own_words(node, key)
        for name, value in node.items():
            yield from _words(value, f"{key}.{name}")
    elif isinstance(node, list):
        for number, value in enumerate(node):
            yield from _words(value, f"{key}.{number}")


def _own_words(node: Mapping[str, Any], key: str) -> Iterator[tuple[str, str, str]]:
    """(kind of word, key, word) for the words written directly in this mapping."""
    if "exposed" in node:
        yield from (("data element", f"{key}.exposed", word) for word in node["exposed"]["any_of"])
    yield from (("data element", f"{key}.if_any_of", word) for word in node.get("if_any_of", ()))
    for name, kind in (("calendar", "calendar rule"), ("runs_from", "starting point"), ("kind", "kind of deadline")):
        if name in node:
            yield kind, f"{key}.{name}", node[name]
    if "required" in node and "barred" in node:
        for item in [*node["required"], *node["barred"]]:
            yield "content item", key, item if isinstance(item, str) else item["item"]
    yield from (("exemption", f"{key}.list", word) for word in node.get("list", ()))
