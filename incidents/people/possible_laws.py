"""The laws that might apply to somebody whose residence is not settled: for each possible place, what the law would ask there.

The evidence names several places, or leaves the state open. One of them is assumed until a person decides; none of the others may
be forgotten meanwhile. The law is asked in memory, as if this one person lived at each place; nothing is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from incidents.law.engine import assess
from incidents.law.facts import Addressee, Assessment, Duty, Group, Owed
from incidents.law.pack import load_packs
from incidents.models import AffectedPerson, Finding, Incident, PersonStatus, QueueEntry
from incidents.models.people import QueueKind, QueueStatus
from incidents.people.adding import ANSWERED
from incidents.people.assessing import groups_of, handling_of, known, plain
from incidents.people.residence import PART_UNKNOWN
from incidents.people.returned import REASON as BY_CORRECTED_ROW
from incidents.people.supposing import MINORS

RESIDENCE_KINDS = (QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_UNKNOWN, QueueKind.RESIDENCE_CONFLICT)
GONE = (PersonStatus.REJECTED, PersonStatus.MERGED)
#: Until when a possible place stands beside the assumed one, by what was decided of the question.
WAITS = {
    QueueStatus.OPEN: "waits for a person's decision; the register cannot be frozen before",
    QueueStatus.REJECTION_PROPOSED: "waits for the second person of a rejection; the register cannot be frozen before",
    QueueStatus.CORRECTED: "a person accepted it as it stands",
}
BY_A_ROW = "a row of a list answered it; nobody else did"
SETTLED = "no question about it is open"
Findings = Mapping[tuple[str, str], Finding]
#: More places than these are shown by what the law would ask there, not one by one.
MANY = 6


def places_of(*, person: AffectedPerson) -> tuple[str, ...]:
    """The assumed place and every other possible one, in the order of trust; nothing where there is no other.

    Of whom only the country is known where its parts have laws of their own, every such part is possible.
    """
    if person.erased_at or person.status in GONE:
        return ()
    possible = person.possible_residences or _parts_of(person.residence)
    places = tuple(dict.fromkeys((person.residence, *possible)))
    return places if len(places) > 1 else ()


def _parts_of(country: str) -> list[str]:
    """The states or provinces that have a law of their own, where a person's own one is asked about."""
    return sorted(pack.id for pack in load_packs() if pack.id.startswith(f"{country}-")) if country in PART_UNKNOWN else []


def possible_laws(*, incident: Incident, people: Sequence[AffectedPerson]) -> dict[int, list[dict[str, Any]]]:
    """By the key of each person in doubt: each possible place with its duties towards this person and towards others.

    The law is asked once for all of them, beside everybody on the list as counted now.
    """
    doubtful = {person.pk: person for person in people if places_of(person=person)}
    if not doubtful:
        return {}
    about, groups = known(incident=incident), list(groups_of(incident=incident))
    at = {key: place for place, key in enumerate(dict.fromkeys(_all_keys(doubtful.values())), len(groups))}
    assessment = assess(facts=about.facts, groups=[*groups, *map(_group, at)], packs=load_packs())
    towards = _by_group(assessment)
    return {
        pk: [_place(towards, at[key], key[0], named, about.findings) for key in _keys(person)]
        for pk, person in doubtful.items()
        if (named := places_of(person=person))
    }


def _by_group(found: Assessment) -> dict[int | None, list[Duty]]:
    """The duties towards each group, and under None those towards all others: sought once, not at every place of everybody."""
    towards: dict[int | None, list[Duty]] = {}
    for duty in found.duties:
        towards.setdefault(duty.group, []).append(duty)
    return towards


#: Place, elements, minor, and the moment from which the clocks of somebody found late run.
Key = tuple[str, tuple[str, ...], bool, Any]


def _keys(person: AffectedPerson) -> list[Key]:
    minor = bool({*person.flags} & {*MINORS})
    aware_at = person.amendment.aware_at if person.amendment else None
    return [(place, tuple(person.elements), minor, aware_at) for place in places_of(person=person)]


def _all_keys(people: Any) -> Iterator[Key]:
    for person in people:
        yield from _keys(person)


def _group(key: Key) -> Group:
    place, elements, minors, aware_at = key
    return Group(residence=place, elements=frozenset(elements), count=1, minors=minors, aware_at=aware_at)


def _place(
    towards: Mapping[int | None, Sequence[Duty]], group: int, place: str, named: Sequence[str], findings: Findings
) -> dict[str, Any]:
    """One of the places `named` of somebody, who is assumed to live at the first."""
    own = towards.get(group, ())
    laws = {duty.jurisdiction for duty in own}
    others = [duty for duty in towards.get(None, ()) if duty.jurisdiction in laws and duty.owed != Owed.NO]
    return {
        "place": place,
        # A country whose law is that of its parts is no law that somebody could look up: which ones are in question is told.
        "parts": [] if any(one.startswith(f"{place}-") for one in named) else [_of_part(part) for part in _parts_of(place)],
        "assumed": place == named[0],
        "duties": [_duty(duty, findings) for duty in own],
        "others_told": [_duty(duty, findings) for duty in others if duty.addressee != Addressee.CONTROLLER],
    }


def alike(places: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Many possible places by what the law would ask there for this person, the strictest and earliest first.

    Nothing where they are few, which are shown one by one. A country that has no law but that of its parts is none of them.
    """
    groups: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in places if len(places) > MANY else ():
        duty = min(one["duties"], key=_strictness, default=None)
        if not one["assumed"] or any(each["law"] for each in one["duties"]):
            group = groups.setdefault(_strictness(duty), {"duty": duty, "places": [], "laws": [], "questions": []})
            group["places"].append(one["place"])
            group["laws"].append(_of_part(one["place"]))
            asked = duty["questions"] if duty and duty["owed"] == Owed.ASK.value else []
            group["questions"] += [question for question in asked if question not in group["questions"]]
    return [groups[key] for key in sorted(groups)]


def depends(places: Sequence[dict[str, Any]]) -> list[str]:
    """What is asked of the assumed place where it has no law but that of its parts: on what the choice among many turns."""
    assumed = [duty for one in places if one["assumed"] for duty in one["duties"] if not duty["law"]]
    return list(dict.fromkeys(question for duty in assumed for question in duty["questions"]))


def _of_part(part: str) -> str:
    """A state or province with its law: 'US-AK (Alaska: Alaska Stat. ...)'."""
    name = law_name(jurisdiction=part)
    return f"{part} ({name})" if name else part


def _strictness(duty: Mapping[str, Any] | None) -> tuple[Any, ...]:
    """Owed before asked before not owed, the earliest first; the same for duties that are shown alike."""
    if duty is None:
        return (3, "", "")
    deadline = duty["deadline"] or {}
    owed = [Owed.YES.value, Owed.ASK.value, Owed.NO.value].index(duty["owed"])
    return (owed, str(deadline.get("shown_at") or "9999"), str(deadline.get("kind", ""))) if owed < 2 else (owed, "", "")


def law_name(*, jurisdiction: str) -> str:
    """The place and its law by name; empty where there is no pack."""
    pack = load_packs().find(residence=jurisdiction)
    return f"{pack.name}: {pack.law}" if pack else ""


def _duty(duty: Duty, findings: Findings) -> dict[str, Any]:
    return {
        "jurisdiction": duty.jurisdiction,
        "law": law_name(jurisdiction=duty.jurisdiction),
        "regime": duty.regime,
        "addressee": duty.addressee.value,
        "owed": duty.owed.value,
        "handling": handling_of(duty=duty, findings=findings)[0],
        "deadline": plain(duty.deadline),
        "questions": [question.text for question in duty.questions],
        "references": list(duty.references),
    }


def waits(*, entries: Sequence[QueueEntry]) -> str:
    """Until when the assumed place is only assumed, by a person's questions about residence."""
    asked = [entry for entry in entries if entry.kind in RESIDENCE_KINDS]
    for status in (QueueStatus.OPEN, QueueStatus.REJECTION_PROPOSED):
        if any(entry.status == status for entry in asked):
            return WAITS[status]
    held = [entry.held_until for entry in asked if entry.status == QueueStatus.HELD and entry.held_until]
    if held:
        return f"held until {max(held).isoformat()}; it is decided then, and deadlines run on meanwhile"
    if asked and all(entry.decision_reason in (ANSWERED, BY_CORRECTED_ROW) for entry in asked):
        return BY_A_ROW
    return WAITS[QueueStatus.CORRECTED] if asked else SETTLED


def in_doubt(*, person: AffectedPerson) -> dict[str, Any]:
    """One person's possible places with their laws, and until when the assumed one is only assumed."""
    places = possible_laws(incident=person.incident, people=[person]).get(person.pk, [])
    return {
        "waits": waits(entries=list(person.queue.all())), "places": places, "alike": alike(places), "depends": depends(places),
    }  # fmt: skip


def possible_in_words(found: Mapping[str, Any]) -> Iterator[str]:
    """The possible places and what the law would ask there, as lines of plain English; `found`: waits and places."""
    if not found["places"]:
        return
    if found["alike"]:
        yield from _alike_in_words(found)
        return
    named = ", ".join(f"{one['place']}{' (assumed)' if one['assumed'] else ''}" for one in found["places"])
    yield f"Might live in {named}: {found['waits']}"
    for one in found["places"]:
        yield f"  in {one['place']}{' (assumed now)' if one['assumed'] else ''}:"
        for duty in (*one["duties"], *one["others_told"]):
            told = "letter" if duty["addressee"] == "person" else f"notice to the {duty['addressee']}"
            yield f"    {duty['jurisdiction']} ({duty['law'] or 'no law pack'}): {told} owed: {duty['owed']}{_when(duty)}"
            yield from (f"      asked: {question}" for question in duty["questions"])
        if one["parts"]:
            yield f"    {len(one['parts'])} laws of its parts might apply: {'; '.join(one['parts'])}"


def _alike_in_words(found: Mapping[str, Any]) -> Iterator[str]:
    assumed = found["places"][0]["place"]
    yield f"Lives in {assumed}, which part is unknown: {found['waits']}"
    yield from (f"  depends on: {question}" for question in found["depends"])
    for group in found["alike"]:
        duty = group["duty"]
        owed = f"letter owed: {duty['owed']}{_when(duty) if duty['owed'] != 'no' else ''}" if duty else "no law pack"
        yield f"  {owed}, in {'; '.join(group['laws'])}"
        yield from (f"    asked: {question}" for question in group["questions"])


def _when(duty: Mapping[str, Any]) -> str:
    deadline = duty["deadline"]
    if not deadline:
        return ""
    if deadline["shown_at"]:
        return f", by {deadline['shown_at']} ({deadline['reference']})"
    return f", {str(deadline['kind']).replace('_', ' ')}: the law gives no date ({deadline['reference']})"
