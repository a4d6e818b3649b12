"""Facts and groups in, duties out: for each law touched, who must be told, why, by when and with what.

Pure functions: the same facts, groups and packs always give the same assessment. Nothing is guessed: where the law
turns on what no one has found, the duty is `ask` and carries the question.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from incidents.law.competence import NO_PACK, Map, Touched, map_of, residence_question
from incidents.law.duties import Law, person_duty, processor_duty, shared_duty
from incidents.law.elements import exposure_of
from incidents.law.facts import Addressee, Assessment, Duty, Group, IncidentFacts, Owed, Reason
from incidents.law.pack import PackSet, Regime
from incidents.law.thresholds import Notified, notified_of

#: Addressees who are told once for all groups of a jurisdiction.
SHARED = (Addressee.REGULATOR, Addressee.BUREAUS, Addressee.MEDIA, Addressee.CLIENTS)


def assess(*, facts: IncidentFacts, groups: Sequence[Group], packs: PackSet) -> Assessment:
    """All duties for one incident; person duties per group, the others per jurisdiction and law."""
    touched = map_of(facts=facts, groups=groups, packs=packs)
    duties = [duty for place in touched.touched for duty in _duties_under(place, touched, facts, packs)]
    duties += [_unknown_law(index, group) for index, group in touched.unknown]
    return Assessment(
        duties=tuple(duties),
        lead_authority=touched.lead,
        record_due=any(_record_due(place, facts, packs) for place in touched.touched),
        law_unknown=tuple(dict.fromkeys(group.residence for _, group in touched.unknown)),
        packs={place.pack.id: place.pack.sha256 for place in touched.touched if place.pack.binds(sector=facts.sector)},
    )


def _duties_under(place: Touched, touched: Map, facts: IncidentFacts, packs: PackSet) -> Iterator[Duty]:
    regimes = [regime for regime in place.pack.regimes if regime.applies_to(sector=facts.sector)]
    laws = [_law(place, regime, touched, facts, packs) for regime in regimes]
    # A sector law that is not in force on that day takes nobody's place.
    by = {who: law for law in laws for who in law.regime.displaces if law.version(f"{who}.owed") is not None}
    for law in laws:
        for duty in _duties_of(law):
            yield _displaced(duty, by[duty.addressee]) if by.get(duty.addressee, law) is not law else duty


def _law(place: Touched, regime: Regime, touched: Map, facts: IncidentFacts, packs: PackSet) -> Law:
    vocabulary = packs.vocabulary
    exposures = {i: exposure_of(group=g, findings=facts.findings, vocabulary=vocabulary) for i, g in place.groups}
    return Law(
        pack=place.pack, regime=regime, packs=packs, facts=facts, groups=place.groups, exposures=exposures,
        lead=touched.lead,
    )  # fmt: skip


def _duties_of(law: Law) -> Iterator[Duty]:
    people = [person_duty(law=law, index=index, group=group) for index, group in law.groups if law.has("person")]
    yield from people
    notified = _notified(law, people)
    questions = tuple(dict.fromkeys(question for duty in people for question in duty.questions))
    for addressee in SHARED:
        if law.has(addressee.value):
            yield shared_duty(law=law, addressee=addressee, notified=notified, open_questions=questions)
    towards_controller = processor_duty(law=law)
    if towards_controller is not None:
        yield towards_controller


def _notified(law: Law, people: Sequence[Duty]) -> Notified:
    groups = dict(law.groups)
    found = [(groups[duty.group], duty.owed) for duty in people if duty.group is not None]
    return notified_of(outcomes=[(group.residence, group.count, owed) for group, owed in found])


def _displaced(duty: Duty, by: Law) -> Duty:
    version = by.version(f"{duty.addressee}.owed")
    assert version is not None
    reason = Reason(
        condition="the general law applies",
        holds=False,
        fact=f"the sector law takes its place: {by.regime.scope}",
        reference=version.reference,
        would_change="another sector",
    )
    references = tuple(dict.fromkeys([reason.reference, *duty.references]))
    return replace(duty, owed=Owed.NO, reasons=(reason, *duty.reasons), references=references, deadline=None, questions=(), to=())


def _unknown_law(index: int, group: Group) -> Duty:
    reason = Reason(
        condition="the law of the residence is known",
        holds=None,
        fact=f"residence: {group.residence}",
        reference=NO_PACK,
        would_change="a residence that has a pack, or a pack for this one",
    )
    return Duty(
        jurisdiction=group.residence,
        addressee=Addressee.PERSON,
        owed=Owed.ASK,
        reasons=(reason,),
        group=index,
        questions=(residence_question(residence=group.residence),),
        references=(NO_PACK,),
    )


def _record_due(place: Touched, facts: IncidentFacts, packs: PackSet) -> bool:
    """Whether every breach must be entered in a register under this law (a controller's duty)."""
    if facts.role != "controller":
        return False
    for regime in place.pack.regimes:
        law = _law(Touched(place.pack, ()), regime, Map((), (), None), facts, packs)
        version = law.version("record.duty")
        if version is not None and regime.applies_to(sector=facts.sector) and version.value["every_breach"]:
            return True
    return False
