"""Which questions the packs may ask of people: every finding that a condition of any pack turns on, by its key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from incidents.law.pack import PackSet, load_packs


def is_asked(*, key: str) -> bool:
    """Whether a pack may ask this question, so that an answer of yes or no to it means something."""
    if key.startswith("element:"):
        return key.removeprefix("element:") in load_packs().vocabulary.elements
    return key in _keys()


@cache
def _keys() -> frozenset[str]:
    return frozenset(keys_of(packs=load_packs()))


def keys_of(*, packs: PackSet) -> Iterator[str]:
    """The keys of all findings that the conditions of these packs turn on."""
    for pack in packs:
        for regime in pack.regimes:
            for versions in regime.paths.values():
                for version in versions:
                    yield from _in_node(version.value)


def _in_node(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from _of_condition(node)
        for inner in node.values():
            yield from _in_node(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from _in_node(inner)


def _of_condition(node: Mapping[str, Any]) -> Iterator[str]:
    if isinstance(node.get("finding"), Mapping):
        yield str(node["finding"]["key"])
    for word in ("said", "recorded"):
        if isinstance(node.get(word), Mapping):
            yield str(node[word]["finding"])
    if isinstance(node.get("exposed"), Mapping) and "only_if" in node["exposed"]:
        yield str(node["exposed"]["only_if"]["finding"])
    if isinstance(node.get("cause"), Mapping):
        yield cause_key(spec=node["cause"])
    if isinstance(node.get("sector"), Mapping):
        yield sector_key(spec=node["sector"])


def cause_key(*, spec: Mapping[str, Any]) -> str:
    """The key under which the question about a doubtful cause is answered."""
    return f"cause:{'_or_'.join(spec['any_of'])}"


def sector_key(*, spec: Mapping[str, Any]) -> str:
    """The key under which the question about a doubtful sector is answered."""
    return f"sector:{spec['any_of'][0]}"
