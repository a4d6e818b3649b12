"""The law alone: how long 5,000 cohorts take against every pack that can apply to them, reason trees included."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

from incidents.law.engine import assess
from incidents.law.facts import Anchor, Assessment, Findings, Group, IncidentFacts, Reason
from incidents.law.pack import PackSet, load_packs
from tests.benchmarks.figures import Figure, in_turn

COHORTS = 5_000
ROUNDS = 5
FACTS = IncidentFacts(
    anchors={Anchor.AWARE: datetime(2026, 11, 20, 9, 0, tzinfo=UTC)},
    established_in="FR",
    findings=Findings(risk="high", misuse_likely="yes"),
)


def run() -> Iterator[Figure]:
    """Cohorts a second, and how many times a bare pass over the same cohorts that is."""
    packs = load_packs()
    groups = cohorts(packs=packs, wanted=COHORTS)
    passes = range(100)  # one alone is too short to be timed
    whole, bare = in_turn(lambda: ask(groups, packs), lambda: [bare_pass(groups, packs) for _ in passes], times=ROUNDS)
    bare /= len(passes)
    found = ask(groups, packs)
    nodes = sum(1 for duty in found.duties for reason in duty.reasons for _ in _nodes(reason))
    used = len({duty.jurisdiction for duty in found.duties})
    note = f"N={len(groups):,} cohorts, {used} packs, {len(found.duties):,} duties with {nodes:,} reasons in {whole:.2f} s"
    yield Figure("law.cohorts_per_second", len(groups) / whole, "cohorts/s", note)
    words = f"one cohort {whole / len(groups) * 1e6:.0f} us; only finding its pack and reading its elements {bare * 1e6 / len(groups):.1f} us"
    yield Figure("law.times_a_bare_pass", whole / bare, "times", words)


def residences(*, packs: PackSet) -> list[str]:
    """Every residence that has a law of its own."""
    return [pack.id for pack in packs if packs.find(residence=pack.id)]


def cohorts(*, packs: PackSet, wanted: int) -> list[Group]:
    """So many different cohorts: every residence, with sets of three elements beside name and address."""
    words = sorted(set(packs.vocabulary.elements) - {"name", "email"})
    sets = [frozenset({"name", "email", *words[start : start + 3]}) for start in range(0, len(words) - 2, 3)]
    every = itertools.product(sets, (False, True), residences(packs=packs))
    groups = [Group(place, elements, 200, minors=minors) for elements, minors, place in every]
    assert len(groups) >= wanted
    return groups[:wanted]


def ask(groups: list[Group], packs: PackSet) -> Assessment:
    """The whole assessment."""
    return assess(facts=FACTS, groups=groups, packs=packs)


def bare_pass(groups: list[Group], packs: PackSet) -> int:
    """What no engine can do without: look at each cohort, its pack and its elements."""
    return sum(len(group.elements) for group in groups if packs.find(residence=group.residence))


def _nodes(reason: Reason) -> Iterator[Reason]:
    yield reason
    for part in reason.parts:
        yield from _nodes(part)
