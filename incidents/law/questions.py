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


_SECTORS: dict[str, frozenset[str]] = {}


def sectors_of(*, packs: PackSet) -> frozenset[str]:
    """Every sector that a law of these packs names: in its scope, or in one of its conditions. Found once per set of packs."""
    if packs.sha256 not in _SECTORS:
        _SECTORS[packs.sha256] = _sectors_of(packs)
    return _SECTORS[packs.sha256]


def _sectors_of(packs: PackSet) -> frozenset[str]:
    scopes = {sector for pack in packs for regime in pack.regimes for sector in regime.sectors}
    versions = (version for pack in packs for regime in pack.regimes for found in regime.paths.values() for version in found)
    return frozenset(scopes.union(*(_sectors_in(version.value) for version in versions)))


def _sectors_in(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*(_sectors_in(inner) for inner in node))
    if not isinstance(node, Mapping):
        return set()
    named = node.get("sector")
    own = {*named["any_of"], *named.get("ask_if", ())} if isinstance(named, Mapping) else set()
    return own.union(*(_sectors_in(inner) for inner in node.values()))


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
