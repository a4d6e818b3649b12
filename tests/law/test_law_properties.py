"""What holds for any facts: no crash, the same answer twice, a reference for every duty, a reason for every no."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.law.engine import assess
from incidents.law.facts import Anchor, Deadline, Findings, Group, IncidentFacts, Owed, Reason
from incidents.law.pack import load_packs

PACKS = load_packs()
ELEMENTS = [*sorted(PACKS.vocabulary.elements), "no_such_element"]
RESIDENCES = [*sorted(PACKS.packs), "US", "US-OH", "CA-ON", "GB-SCT", "XX", ""]
ZONED = st.datetimes(datetime(2015, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - bounds
MOMENTS = st.one_of(st.dates(date(2015, 1, 1), date(2035, 1, 1)), ZONED)
MAYBE_MOMENT = st.none() | MOMENTS
DECIDED = st.sampled_from(["yes", "no", "unknown"])

groups = st.lists(
    st.builds(
        Group,
        residence=st.sampled_from(RESIDENCES),
        elements=st.frozensets(st.sampled_from(ELEMENTS), max_size=6),
        count=st.integers(0, 2_000_000),
        maybe=st.frozensets(st.sampled_from(ELEMENTS), max_size=2),
        minors=st.booleans(),
    ),
    max_size=5,
)
findings = st.builds(
    Findings,
    risk=st.sampled_from(["unlikely", "risk", "high", "unknown", "?"]),
    misuse_likely=DECIDED,
    serious_harm_likely=DECIDED,
    answers=st.dictionaries(st.sampled_from(["enough_for_identity_theft", "listed_type", "element:ssn"]), DECIDED),
)
incidents = st.builds(
    IncidentFacts,
    anchors=st.dictionaries(st.sampled_from(list(Anchor)), MOMENTS),
    processor_aware_at=MAYBE_MOMENT,
    law_enforcement_hold_until=MAYBE_MOMENT,
    filed_at=st.dictionaries(st.sampled_from(RESIDENCES), MOMENTS, max_size=3),
    role=st.sampled_from(["controller", "processor"]),
    based_in=st.none() | st.sampled_from(RESIDENCES),
    established_in=st.none() | st.sampled_from(RESIDENCES),
    sector=st.sampled_from(["retail", "health", "finance", "telecom", "public", "critical_infrastructure"]),
    cause=st.sampled_from(["attack", "error", "loss", "insider", "unknown", "?"]),
    encrypted=st.booleans(),
    key_taken=st.booleans(),
    contained=st.booleans(),
    findings=findings,
)


def nodes(reason: Reason) -> Iterator[Reason]:
    yield reason
    for part in reason.parts:
        yield from nodes(part)


@settings(max_examples=200, deadline=None)
@given(facts=incidents, people=groups)
def test_any_facts_give_the_same_explained_duties_twice(facts: IncidentFacts, people: list[Group]) -> None:
    found = assess(facts=facts, groups=people, packs=PACKS)
    assert found == assess(facts=facts, groups=people, packs=PACKS)
    for duty in found.duties:
        assert duty.references
        assert duty.reasons
        assert all(node.reference and node.fact for reason in duty.reasons for node in nodes(reason))
        assert (duty.owed is Owed.ASK) == bool(duty.questions)
        if duty.owed is Owed.NO:
            assert any(reason.holds is False for reason in duty.reasons)
            assert duty.deadline is None
        assert_zoned(duty.deadline)


def assert_zoned(deadline: Deadline | None) -> None:
    for moment in (deadline.shown_at, deadline.legal_end_at, deadline.second_by) if deadline else ():
        assert not isinstance(moment, datetime) or moment.tzinfo is not None


@settings(max_examples=200, deadline=None)
@given(facts=incidents, people=groups, more=st.sampled_from(sorted(PACKS.vocabulary.elements)))
def test_one_more_exposed_element_never_removes_a_duty(facts: IncidentFacts, people: list[Group], more: str) -> None:
    wider = [Group(g.residence, g.elements | {more}, g.count, g.maybe - {more}, g.minors) for g in people]
    before = assess(facts=facts, groups=people, packs=PACKS).duties
    after = assess(facts=facts, groups=wider, packs=PACKS).duties
    for old, new in zip(before, after, strict=True):
        assert old.owed is not Owed.YES or new.owed is not Owed.NO, (old.jurisdiction, old.addressee)


@settings(max_examples=200, deadline=None)
@given(aware=ZONED.filter(lambda at: at.year > 2027), later=st.integers(0, 60 * 24 * 400))
def test_within_one_version_of_a_law_a_later_awareness_never_gives_an_earlier_date(aware: datetime, later: int) -> None:
    people = [Group(r, frozenset({"name", "ssn"}), 5000) for r in sorted(PACKS.packs)]
    known = Findings(risk="high", misuse_likely="yes")
    runs = [
        assess(facts=IncidentFacts(anchors={Anchor.AWARE: at}, findings=known), groups=people, packs=PACKS).duties
        for at in (aware, aware + timedelta(minutes=later))
    ]
    for early, late in zip(*runs, strict=True):
        if early.deadline and late.deadline and early.deadline.shown_at is not None:
            assert late.deadline.shown_at is not None
            assert early.deadline.shown_at <= late.deadline.shown_at  # type: ignore[operator]
