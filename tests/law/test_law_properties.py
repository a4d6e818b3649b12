"""What holds for any facts: no crash, the same answer twice, a reference for every duty, a reason for every no."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given
from hypothesis import strategies as st

from incidents.law.clocks import anchor_moment
from incidents.law.deadlines import instant_of, local_day
from incidents.law.elements import exposure_of
from incidents.law.engine import assess
from incidents.law.facts import Addressee, Anchor, Assessment, Deadline, Duty, Findings, Group, IncidentFacts, Moment, Owed
from incidents.law.pack import Pack, Regime
from tests.law.anything import (
    ELEMENTS,
    KEYS,
    NO_PACK,
    PACKS,
    counts,
    everywhere,
    facts,
    findings,
    groups,
    near,
    nodes,
    some_elements,
    tried,
)

SECTOR_LAWS = [(pack, regime) for pack in PACKS for regime in pack.regimes if regime.displaces]
RANK = {Owed.NO: 0, Owed.ASK: 1, Owed.YES: 2}
Key = tuple[str, Addressee, int | None]


def ask(about: IncidentFacts, people: Sequence[Group]) -> Assessment:
    return assess(facts=about, groups=people, packs=PACKS)


def strongest(found: Assessment) -> dict[Key, int]:
    """How strongly each is owed, by whichever law of the jurisdiction: a sector law may take the general one's place."""
    ranks: dict[Key, int] = {}
    for duty in found.duties:
        key = (duty.jurisdiction, duty.addressee, duty.group)
        ranks[key] = max(ranks.get(key, 0), RANK[duty.owed])
    return ranks


def weakened(before: Assessment, after: Assessment) -> dict[Key, tuple[int, int]]:
    """The duties that are owed less strongly than they were."""
    new = strongest(after)
    return {key: (rank, new.get(key, 0)) for key, rank in strongest(before).items() if new.get(key, 0) < rank}


# -- every answer ---------------------------------------------------------------------------------------------------


@tried(40)
@given(about=facts(), people=groups)
def test_any_facts_give_the_same_explained_duties_twice(about: IncidentFacts, people: list[Group]) -> None:
    found = ask(about, people)
    assert found == ask(about, people)
    assert_explained(found)


#: The name was met by an identifier that may have been lost, and nobody was asked whether it was.
MAYBE_IDENTIFIED = [Group("US-DC", frozenset({"medical_information"}), 1, maybe=frozenset({"username"}))]


@tried(20)
@example(about=IncidentFacts(), people=MAYBE_IDENTIFIED)
@given(about=facts(), people=everywhere)
def test_any_facts_give_explained_duties_in_every_place(about: IncidentFacts, people: list[Group]) -> None:
    assert_explained(ask(about, people))


def assert_explained(found: Assessment) -> None:
    for duty in found.duties:
        assert duty.references and all(duty.references)
        assert duty.reasons
        assert all(node.condition and node.reference and node.fact for reason in duty.reasons for node in nodes(reason))
        assert (duty.owed is Owed.ASK) == bool(duty.questions), (
            duty.jurisdiction,
            duty.regime,
            duty.addressee,
            duty.reasons[0].fact,
        )
        if duty.owed is Owed.NO:
            assert any(reason.holds is False and reason.would_change for reason in duty.reasons)
            assert duty.deadline is None
        if duty.deadline is not None:
            assert_sound(duty.deadline)


def assert_sound(deadline: Deadline) -> None:
    zone = ZoneInfo(deadline.zone)
    assert deadline.reference
    for end in (deadline.shown_at, deadline.legal_end_at, deadline.second_by, deadline.final_by):
        assert not isinstance(end, datetime) or end.tzinfo is not None
        if end is not None and deadline.anchor_at is not None and deadline.relative is None:
            assert not_before(end, deadline.anchor_at, zone)
    if deadline.shown_at is not None:
        assert deadline.anchor_at is not None
    if deadline.legal_end_at is not None and deadline.shown_at is not None:
        assert not_before(deadline.legal_end_at, deadline.shown_at, zone)


def not_before(later: Moment, earlier: Moment, zone: ZoneInfo) -> bool:
    """Instants as instants; beside a date alone, local days."""
    if isinstance(later, datetime) and isinstance(earlier, datetime):
        return later >= earlier
    return local_day(moment=later, zone=zone) >= local_day(moment=earlier, zone=zone)


@tried(20)
@given(about=facts(), place=st.sampled_from(NO_PACK), people=groups, elements=some_elements, count=counts)
def test_an_unknown_residence_is_always_asked_about(
    about: IncidentFacts, place: str, people: list[Group], elements: frozenset[str], count: int
) -> None:
    found = ask(about, [*people, Group(place, elements, count)])
    asked = [duty for duty in found.duties if duty.group == len(people) and duty.addressee is Addressee.PERSON]
    assert place in found.law_unknown
    assert any(duty.owed is Owed.ASK and duty.questions[0].finding == f"law:{place}" for duty in asked)


# -- more of something ----------------------------------------------------------------------------------------------


@tried(30)
@given(about=facts(), people=everywhere | groups, more=st.sampled_from(ELEMENTS))
def test_one_more_exposed_element_never_removes_a_duty(about: IncidentFacts, people: list[Group], more: str) -> None:
    wider = [replace(one, elements=one.elements | {more}, maybe=one.maybe - {more}) for one in people]
    before, after = ask(about, people), ask(about, wider)
    asked = {(d.jurisdiction, d.addressee, d.group) for d in after.duties if d.questions}
    assert {key: ranks for key, ranks in weakened(before, after).items() if key not in asked or ranks[1] == 0} == {}


@tried(25)
@given(about=facts(), people=everywhere | groups, times=st.sampled_from([2, 3, 10, 1_000]))
def test_more_people_never_remove_a_duty(about: IncidentFacts, people: list[Group], times: int) -> None:
    crowd = [replace(one, count=one.count * times) for one in people]
    assert weakened(ask(about, people), ask(about, crowd)) == {}


@tried(20)
@given(about=facts(), people=everywhere | groups)
def test_encryption_with_a_safe_key_never_adds_a_duty(about: IncidentFacts, people: list[Group]) -> None:
    plain = replace(about, encrypted=False, key_taken=False)
    safe = replace(about, encrypted=True, key_taken=False)
    assert weakened(ask(safe, people), ask(plain, people)) == {}


@tried(15)
@given(about=facts(), people=everywhere | groups)
def test_a_key_that_was_taken_is_as_if_nothing_was_encrypted(about: IncidentFacts, people: list[Group]) -> None:
    plain = replace(about, encrypted=False, key_taken=False)
    open_ = replace(about, encrypted=True, key_taken=True)
    assert strongest(ask(open_, people)) == strongest(ask(plain, people))


@tried(25)
@example(about=IncidentFacts(), people=[Group("US-CA", frozenset({"name"}), 9)], doubtful="password_hash")
@given(about=facts(), people=everywhere | groups, doubtful=st.sampled_from(ELEMENTS))
def test_what_is_owed_with_an_element_is_asked_about_where_it_is_in_doubt(
    about: IncidentFacts, people: list[Group], doubtful: str
) -> None:
    answers = {key: value for key, value in about.findings.answers.items() if key != f"element:{doubtful}"}
    about = replace(about, findings=replace(about.findings, answers=answers))
    sure = [replace(one, elements=one.elements | {doubtful}, maybe=one.maybe - {doubtful}) for one in people]
    maybe = [replace(one, elements=one.elements - {doubtful}, maybe=one.maybe | {doubtful}) for one in people]
    assert [key for key, (_, rank) in weakened(ask(about, sure), ask(about, maybe)).items() if rank == RANK[Owed.NO]] == []


@tried(40)
@given(about=facts(), people=groups, others=groups, data=st.randoms(use_true_random=False))
def test_neither_order_nor_people_elsewhere_change_what_someone_is_owed(
    about: IncidentFacts, people: list[Group], others: list[Group], data: Random
) -> None:
    assume(people)
    home = PACKS.find(residence=people[0].residence)
    strangers = [one for one in others if PACKS.find(residence=one.residence) is not home]
    mixed = [*people, *strangers]
    data.shuffle(mixed)
    alone, together = strongest(ask(about, people)), strongest(ask(about, mixed))
    place = home.id if home else people[0].residence
    for number, one in enumerate(people):
        key, there = (place, Addressee.PERSON, number), (place, Addressee.PERSON, at(mixed, one))
        assert alone.get(key) == together.get(there), key


def at(people: list[Group], one: Group) -> int:
    return next(number for number, other in enumerate(people) if other is one)


@tried(10)
@given(about=facts(), people=everywhere)
def test_where_a_sector_law_takes_the_general_one_s_place_it_is_named(about: IncidentFacts, people: list[Group]) -> None:
    for pack, sector_law in SECTOR_LAWS:
        for sector in sector_law.sectors:
            there = replace(about, sector=sector)
            for duty in ask(there, [replace(people[0], residence=pack.id)]).duties:
                version = sector_law.version(path=f"{duty.addressee}.owed", on=judged_on(there, pack, sector_law))
                if duty.regime == "general" and duty.pack == pack.id and duty.addressee in sector_law.displaces and version:
                    assert duty.owed is Owed.NO
                    assert sector_law.scope in duty.reasons[0].fact and duty.reasons[0].reference == version.reference


@tried(40)
@given(about=facts(), people=groups, cut=st.integers(0, 2_000_000))
def test_people_who_look_alike_may_be_counted_in_two_halves(about: IncidentFacts, people: list[Group], cut: int) -> None:
    assume(people)
    first, *others = people
    part = min(cut, first.count)
    halves = [replace(first, count=first.count - part), *others, replace(first, count=part)]
    whole, split = strongest(ask(about, people)), strongest(ask(about, halves))
    assert {key: rank for key, rank in split.items() if key[2] != len(people)} == whole


# -- questions ------------------------------------------------------------------------------------------------------


def answerable(key: str) -> bool:
    """The law of a place and a word nobody knows are settled by correcting the facts."""
    return key in KEYS or key in {"risk", "misuse_likely", "serious_harm_likely"}


@tried(50)
@given(about=facts(), people=everywhere | groups, pick=st.randoms(use_true_random=False))
def test_an_answered_question_is_not_asked_again(about: IncidentFacts, people: list[Group], pick: Random) -> None:
    keys = open_keys(ask(about, people))
    if not keys:
        return
    key = pick.choice(keys)
    value = pick.choice(["unlikely", "risk", "high"] if key == "risk" else ["yes", "no"])
    assert key not in open_keys(ask(with_answer(about, key, value), people))


@tried(30)
@given(about=facts(), people=everywhere | groups, yes=st.booleans())
def test_answering_every_question_leaves_nothing_to_ask(about: IncidentFacts, people: list[Group], yes: bool) -> None:
    for _ in range(12):
        keys = open_keys(ask(about, people))
        if not keys:
            return
        for key in keys:
            about = with_answer(about, key, ("high" if yes else "unlikely") if key == "risk" else "yes" if yes else "no")
    raise AssertionError(keys)


def open_keys(found: Assessment) -> list[str]:
    return sorted({q.finding for duty in found.duties for q in duty.questions if not q.finding.startswith("law:")})


def with_answer(about: IncidentFacts, key: str, value: str) -> IncidentFacts:
    assert answerable(key), f"no one can answer {key}"
    known = about.findings
    if key in {"risk", "misuse_likely", "serious_harm_likely"}:
        found: dict[str, Any] = {key: value}
        return replace(about, findings=replace(known, **found))
    return replace(about, findings=replace(known, answers={**known.answers, key: value}))


@tried(60)
@example(sure=frozenset(), doubtful="password_hash", known=Findings())
@given(sure=some_elements, doubtful=st.sampled_from(ELEMENTS), known=findings)
def test_a_doubtful_element_answered_with_yes_is_as_if_it_had_been_listed(
    sure: frozenset[str], doubtful: str, known: Findings
) -> None:
    found = replace(known, answers={**known.answers, f"element:{doubtful}": "yes"})
    asked = exposure_of(
        group=Group("FR", sure - {doubtful}, 1, frozenset({doubtful})), findings=found, vocabulary=PACKS.vocabulary
    )
    listed = exposure_of(group=Group("FR", sure | {doubtful}, 1), findings=found, vocabulary=PACKS.vocabulary)
    assert (asked.sure, set(asked.maybe)) == (listed.sure, set(listed.maybe))


# -- time -----------------------------------------------------------------------------------------------------------


def later_by(moment: Moment, minutes: int) -> Moment:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC) + timedelta(minutes=minutes)
    return moment + timedelta(days=minutes // 1440)


def pairs(before: Assessment, after: Assessment) -> Iterator[tuple[Duty, Duty]]:
    """The same duty in two answers; a sector law is silent where it makes no duty on that day."""
    there = {(d.jurisdiction, d.regime, d.addressee, d.group): d for d in after.duties}
    for duty in before.duties:
        other = there.get((duty.jurisdiction, duty.regime, duty.addressee, duty.group))
        if other is not None:
            yield duty, other


def judged_on(about: IncidentFacts, pack: Pack, regime: Regime) -> date:
    at = anchor_moment(facts=about, anchor=regime.judged_on, jurisdiction=pack.id, zone=pack.zone)
    return pack.checked_on if at is None else local_day(moment=at, zone=pack.zone)


def same_versions(one: IncidentFacts, other: IncidentFacts, duty: Duty) -> bool:
    """Whether every value of the law is of the same date on both days on which it is judged."""
    pack = PACKS.packs[duty.pack]
    regime = next(regime for regime in pack.regimes if regime.id == duty.regime)
    days = [judged_on(about, pack, regime) for about in (one, other)]
    # DORA lets the 24 hours from awareness lapse for 4 hours from a later classification: the jump is the law's own.
    lapses = any("lapses_if_later" in clock for v in regime.paths.get("regulator.deadline", ()) for clock in v.value["clocks"])
    same = all(regime.version(path=path, on=days[0]) is regime.version(path=path, on=days[1]) for path in regime.paths)
    return same and not lapses


@tried(25)
@given(
    about=facts(),
    people=everywhere,
    known=near,
    minutes=st.integers(0, 60 * 24 * 3) | st.integers(0, 60 * 24 * 500),
    moved=st.sampled_from([{Anchor.AWARE}, {Anchor.DISCOVERED}, {Anchor.AWARE, Anchor.DISCOVERED}]),
)
def test_within_one_version_of_a_law_a_later_awareness_never_gives_an_earlier_date(
    about: IncidentFacts, people: list[Group], known: Moment, minutes: int, moved: set[Anchor]
) -> None:
    base = {**dict.fromkeys(moved, known), **about.anchors}
    later = {**base, **{anchor: later_by(base[anchor], minutes) for anchor in moved}}
    one, other = replace(about, anchors=base), replace(about, anchors=later)
    for early, late in pairs(ask(one, people), ask(other, people)):
        if not (early.deadline and late.deadline and same_versions(one, other, early)):
            continue
        zone = ZoneInfo(early.deadline.zone)
        for name in ("shown_at", "second_by", "final_by"):
            was, now = getattr(early.deadline, name), getattr(late.deadline, name)
            assert (was is None) == (now is None), (early.jurisdiction, early.addressee, name, early.deadline, late.deadline)
            if was is not None:
                assert instant_of(moment=was, zone=zone) <= instant_of(moment=now, zone=zone), (
                    early.jurisdiction,
                    early.addressee,
                    name,
                    early.deadline,
                    late.deadline,
                )


MAINE = [Group("US-ME", frozenset({"name", "ssn"}), 1)]
IN_2025 = IncidentFacts(anchors={Anchor.AWARE: date(2025, 3, 3)})


@tried(20)
@example(about=IN_2025, people=MAINE, until=date(2024, 12, 31))
@example(about=IN_2025, people=MAINE, until=date(2025, 3, 4))
@given(about=facts(), people=everywhere, until=near)
def test_a_law_enforcement_hold_never_brings_a_date_forward(about: IncidentFacts, people: list[Group], until: Moment) -> None:
    free, held = replace(about, law_enforcement_hold_until=None), replace(about, law_enforcement_hold_until=until)
    for without, with_hold in pairs(ask(free, people), ask(held, people)):
        if without.deadline and with_hold.deadline and without.deadline.shown_at is not None:
            zone = ZoneInfo(without.deadline.zone)
            shown = with_hold.deadline.shown_at
            assert shown is not None
            assert instant_of(moment=without.deadline.shown_at, zone=zone) <= instant_of(moment=shown, zone=zone), (
                without.jurisdiction
            )
