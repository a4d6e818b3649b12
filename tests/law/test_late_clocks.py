"""People found late: another clock towards them, the same law, and counts that a split never lowers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.law.engine import assess
from incidents.law.facts import Addressee, Anchor, Duty, Findings, Group, IncidentFacts
from incidents.law.pack import load_packs

AWARE = datetime(2025, 6, 2, 9, 0, tzinfo=UTC)
LATE = AWARE + timedelta(days=30)
FACTS = IncidentFacts(
    anchors={Anchor.AWARE: AWARE, Anchor.DISCOVERED: AWARE - timedelta(days=1), Anchor.DETERMINED: AWARE + timedelta(days=2)},
    findings=Findings(risk="high", misuse_likely="yes", serious_harm_likely="yes"),
)
ELEMENTS = frozenset({"name", "email", "ssn"})


def duties(*groups: Group) -> tuple[Duty, ...]:
    return assess(facts=FACTS, groups=groups, packs=load_packs()).duties


def of(found: tuple[Duty, ...], place: str, addressee: Addressee) -> list[Duty]:
    return [duty for duty in found if duty.jurisdiction == place and duty.addressee == addressee and duty.regime == "general"]


def test_the_clock_towards_people_found_late_starts_when_the_controller_learnt_of_them() -> None:
    first, late = of(duties(Group("US-CO", ELEMENTS, 3), Group("US-CO", ELEMENTS, 2, aware_at=LATE)), "US-CO", Addressee.PERSON)
    assert first.deadline and late.deadline and first.deadline.shown_at and late.deadline.shown_at
    assert late.deadline.anchor_at == LATE
    assert late.deadline.shown_at > first.deadline.shown_at
    assert any("found late" in note for note in late.deadline.notes)
    assert not any("found late" in note for note in first.deadline.notes)


def test_the_law_towards_them_is_the_law_of_the_incident() -> None:
    """Only the clock is another: what is owed, what the letter says and which version of the law applies stay the same."""
    first, late = of(duties(Group("US-CO", ELEMENTS, 3), Group("US-CO", ELEMENTS, 2, aware_at=LATE)), "US-CO", Addressee.PERSON)
    parts = ("owed", "reasons", "content_required", "content_barred", "channels_allowed", "references", "questions")
    assert [getattr(first, part) for part in parts] == [getattr(late, part) for part in parts]


def test_the_duty_towards_an_authority_is_one_with_the_incidents_clock_and_everybody_counted() -> None:
    """Colorado asks for a notice to its attorney general from 500 people on: 300 and 250 found late are 550."""
    (few,) = of(duties(Group("US-CO", ELEMENTS, 300)), "US-CO", Addressee.REGULATOR)
    (all_,) = of(
        duties(Group("US-CO", ELEMENTS, 300), Group("US-CO", ELEMENTS, 250, aware_at=LATE)), "US-CO", Addressee.REGULATOR
    )
    (whole,) = of(duties(Group("US-CO", ELEMENTS, 550)), "US-CO", Addressee.REGULATOR)
    assert (few.owed.value, all_.owed.value) == ("no", "yes")
    assert all_ == whole


sizes = st.lists(st.integers(1, 1200), min_size=1, max_size=4)


@settings(max_examples=40, deadline=None)
@given(
    place=st.sampled_from(["US-CA", "US-CO", "US-TX", "US-NY", "FR", "JP", "KR"]),
    sizes=sizes,
    clocks=st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_splitting_people_by_their_clock_changes_no_shared_duty(place: str, sizes: list[int], clocks: list[bool]) -> None:
    groups = [
        Group(place, ELEMENTS, size, aware_at=LATE + timedelta(days=number) if late else None)
        for number, (size, late) in enumerate(zip(sizes, clocks, strict=False))
    ]
    shared = [duty for duty in duties(*groups) if duty.addressee is not Addressee.PERSON]
    assert shared == [duty for duty in duties(Group(place, ELEMENTS, sum(sizes))) if duty.addressee is not Addressee.PERSON]


def test_a_group_without_a_clock_of_its_own_is_as_before() -> None:
    group = Group("FR", ELEMENTS, 3)
    assert duties(group) == duties(replace(group, aware_at=None))
