"""What would change for an incident under other facts, other findings or other packs: people, deadlines, duties, letters.

The law is asked twice in memory, as things are and as they would be. The transaction is read-only, so that the database
itself refuses whatever might be written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, TypeVar

from django.db import connection, transaction

from incidents.law.compare import AssessmentChange, DutyChange, between_assessments, between_sets, differences, shown
from incidents.law.engine import assess
from incidents.law.facts import Addressee, Assessment, Duty
from incidents.law.pack import PackSet, load_packs
from incidents.law.showing import differences_document, pack_change_document
from incidents.letters.readers import TOLD, WEIGHT, Reader
from incidents.letters.render import newest_texts, standard_texts
from incidents.letters.wording import choose_language
from incidents.models import Cohort, Incident, Obligation
from incidents.models.duties import Handling
from incidents.people.assessing import Known, handling_of, known, plain
from incidents.people.supposing import Crowd, SuppositionRefused, crowds, exposed_as, suppose

NO_LETTER = "no letter"
OfGroup = TypeVar("OfGroup", Duty, DutyChange)
_NAMES = {
    "deadline.kind": "period",
    "deadline.shown_at": "by",
    "deadline.legal_end_at": "legal end",
    "deadline.relative": "in relation to the people's notice",
    "deadline.second_by": "second report by",
    "deadline.final_by": "final report by",
    "content_required": "must say",
    "content_barred": "must not say",
    "channels_allowed": "channels",
    "channels_barred": "barred channels",
    "monitoring_months": "months of free services",
    "record_due": "an entry in the breach register",
    "law_unknown": "residences without a pack",
    "lead_authority": "lead authority",
    "on_no_harm": "asked of those who rely on no harm",
}
_WHOM = {"person": "people", "regulator": "authority", "bureaus": "consumer reporting agencies"}


@dataclass(frozen=True)
class Side:
    """One of the two worlds: the assessment, and for each crowd its letter (None: nobody is written to)."""

    assessment: Assessment
    letters: tuple[dict[str, Any] | None, ...]
    #: How many letters of each form and language: "notice/fr".
    counts: Mapping[str, int]


@transaction.atomic
def what_if(*, incident: Incident, settings: Sequence[str], packs: PackSet | None, now: datetime) -> dict[str, Any]:
    """What would change, as data. `packs`: other packs than those in use. Raises Refused; nothing is ever written."""
    if not settings and packs is None:
        raise SuppositionRefused("Say what to suppose: --set FACT=VALUE (such as --set encrypted=true) or --pack PATH.")
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION READ ONLY")
    as_is, would_be = load_packs(), packs or load_packs()
    supposed, people = suppose(incident=incident, settings=settings, packs=would_be, now=now), crowds(incident=incident)
    others = tuple(replace(crowd, group=exposed_as(group=crowd.group, elements=supposed.elements)) for crowd in people)
    before = _side(incident, people, known(incident=incident), as_is)
    after = _side(incident, others, supposed.known, would_be)
    return _document(incident, people, (before, after)) | {
        "supposed": differences_document(found=supposed.changes),
        "packs": [pack_change_document(change=one) for one in between_sets(before=as_is, after=would_be)],
    }


def _side(incident: Incident, people: Sequence[Crowd], about: Known, packs: PackSet) -> Side:
    assessment = assess(facts=about.facts, groups=[crowd.group for crowd in people], packs=packs)
    known_in = _languages(incident)
    towards = _by_group(duty for duty in assessment.duties if duty.addressee is Addressee.PERSON)
    letters = tuple(_letter(incident, crowd, towards.get(index, []), about) for index, crowd in enumerate(people))
    counts: dict[str, int] = {}
    for crowd, letter in zip(people, letters, strict=True):
        for wanted, number in crowd.languages.items() if letter else ():
            form = str(letter["form"]) if letter else ""
            place = crowd.group.residence
            language = choose_language(wanted=wanted, residence=place, available=known_in[form]).language
            counts[f"{form}/{language}"] = counts.get(f"{form}/{language}", 0) + number
    return Side(assessment, letters, counts)


def _languages(incident: Incident) -> dict[str, frozenset[str]]:
    """The languages in which each form exists, as the product brings it or as it was edited for this incident."""
    names = {*standard_texts(), *newest_texts(incident=incident)}
    return {form: frozenset(language for known_form, language in names if known_form == form) for form, _ in names}


def _by_group(found: Iterable[OfGroup]) -> dict[int | None, list[OfGroup]]:
    grouped: dict[int | None, list[OfGroup]] = {}
    for one in found:
        grouped.setdefault(one.group, []).append(one)
    return grouped


def _letter(incident: Incident, crowd: Crowd, duties: Sequence[Duty], about: Known) -> dict[str, Any] | None:
    """What the letter of a crowd depends on, told by the same rule as letters are made by."""
    group = crowd.group
    cohort = Cohort(incident=incident, residence=group.residence, elements=sorted(group.elements), minors=group.minors)
    obligations = [
        Obligation(
            incident=incident, cohort=cohort, jurisdiction=duty.jurisdiction, regime=duty.regime, addressee="person",
            owed=duty.owed.value, handling=handling_of(duty=duty, findings=about.findings)[0], duty=plain(duty),
        )
        for duty in duties
    ]  # fmt: skip
    told = [one for one in sorted(obligations, key=lambda one: WEIGHT[Handling(one.handling)]) if one.handling in TOLD]
    if not told:
        return None
    reader = Reader(cohort, told[0], tuple(one for one in told if one.handling == Handling.STATUTORY))
    return {
        "form": reader.form, "handling": str(Handling(told[0].handling).label), "required": list(reader.required),
        "barred": list(reader.barred), "months": reader.months,
    }  # fmt: skip


# -- what is not the same ----------------------------------------------------------------------------------------------


def _document(incident: Incident, people: Sequence[Crowd], sides: tuple[Side, Side]) -> dict[str, Any]:
    before, after = sides
    change = between_assessments(before=before.assessment, after=after.assessment)
    duties = _by_group(change.duties)
    told = (_cohort(crowd, duties.get(index, []), [side.letters[index] for side in sides]) for index, crowd in enumerate(people))
    cohorts = [cohort for cohort in told if cohort]
    places: dict[str, int] = {}
    for cohort in cohorts:
        places[cohort["residence"]] = places.get(cohort["residence"], 0) + cohort["people"]
    return {
        "incident": incident.reference,
        "facts_version": incident.facts.number,
        "written": False,
        "frozen": [one.reference for one in incident.campaigns.order_by("id")],
        "people": {
            "on_the_list": sum(one.group.count for one in people),
            "changed": sum(places.values()),
            "by_residence": places,
        },
        "whole": differences_document(found=change.whole),
        "duties": _duties(change, people),
        "letters": _letters(before, after),
        "cohorts": cohorts,
    }


def _cohort(crowd: Crowd, duties: Sequence[DutyChange], both: Sequence[dict[str, Any] | None]) -> dict[str, Any] | None:
    """One crowd for which something would change; None where nothing would. `both` are its letters, as is and as would be."""
    before, after = both
    letters = list(differences(before=before or {"form": NO_LETTER}, after=after or {"form": NO_LETTER}))
    if not duties and not letters:
        return None
    return {
        "residence": crowd.group.residence,
        "elements": sorted(crowd.group.elements),
        "minors": crowd.group.minors,
        "people": crowd.group.count,
        "duties": [_duty(one) for one in duties],
        "letter": {"before": before, "after": after, "differences": differences_document(found=letters)},
    }


def _duty(change: DutyChange) -> dict[str, Any]:
    found = [replace(one, key=_NAMES.get(one.key, one.key.replace("_", " "))) for one in change.differences]
    return {
        "jurisdiction": change.jurisdiction,
        "regime": change.regime,
        "addressee": change.addressee.value,
        "before": _side_of(change.before),
        "after": _side_of(change.after),
        "differences": differences_document(found=[one for one in found if one.key != "references"] or found),
        "references": list(change.references),
    }


def _side_of(duty: Duty | None) -> dict[str, Any]:
    if duty is None:
        return {"owed": "not known to the law", "by": None}
    return {"owed": duty.owed.value, "by": duty.deadline.shown_at if duty.deadline else None}


def _duties(change: AssessmentChange, people: Sequence[Crowd]) -> list[dict[str, Any]]:
    """The duties that would change, equal ones told once with all their people."""
    found: dict[str, dict[str, Any]] = {}
    for one in change.duties:
        duty = _duty(one)
        key = "|".join([duty["jurisdiction"], duty["regime"], duty["addressee"], *(part["text"] for part in duty["differences"])])
        kept = found.setdefault(key, {**duty, "people": 0, "cohorts": 0})
        if one.group is not None:
            kept["people"] += people[one.group].group.count
            kept["cohorts"] += 1
    return list(found.values())


def _letters(before: Side, after: Side) -> list[dict[str, Any]]:
    """How many letters there are of each form and language, where the number would be another."""
    names = sorted({*before.counts, *after.counts})
    counts = [(name, before.counts.get(name, 0), after.counts.get(name, 0)) for name in names]
    return [{"letter": name, "before": was, "after": now} for name, was, now in counts if was != now]


# -- in words ----------------------------------------------------------------------------------------------------------


def what_if_lines(*, document: Mapping[str, Any]) -> Iterator[str]:
    """What would change, in plain English."""
    people, nothing = document["people"], not (document["duties"] or document["cohorts"] or document["whole"])
    yield f"What if, on {document['incident']} (facts version {document['facts_version']}):"
    yield from (f"  {one['text']}" for one in document["supposed"])
    for pack in document["packs"]:
        yield f"  pack {pack['jurisdiction']}: {len(pack['head']) + len(pack['changes'])} things are written otherwise"
    if not document["supposed"] and not document["packs"]:
        yield "  this is so already"
    yield "Nothing of this is saved." + (" Nothing would change." if nothing else "")
    if nothing:
        return
    yield f"For {people['changed']:,} of {people['on_the_list']:,} people something would change."
    yield from (f"  {place}: {_counted(number)}" for place, number in people["by_residence"].items())
    yield from (f"  {one['text']}" for one in document["whole"])
    yield "Duties:" if document["duties"] else "Duties: none would change."
    for duty in document["duties"]:
        yield from _duty_lines(duty)
    yield from _letter_lines(document)


def _counted(number: int, one: str = "person", many: str = "people") -> str:
    return f"{number:,} {one if number == 1 else many}"


def _duty_lines(duty: Mapping[str, Any]) -> Iterator[str]:
    law = "" if duty["regime"] == "general" else f" ({duty['regime']})"
    whom = _WHOM.get(duty["addressee"], duty["addressee"])
    counted = f", {_counted(duty['people'])} in {_counted(duty['cohorts'], 'cohort', 'cohorts')}" if duty["cohorts"] else ""
    yield f"  {duty['jurisdiction']}{law}, {whom}{counted}"
    first, *others = duty["differences"]
    ends = first["key"] == "owed" and duty["after"]["owed"] == "no" and others
    yield f"    {first['text']}"
    if ends:
        yield f"    with it ends: {', '.join(_ended(one) for one in others)}"
    else:
        yield from (f"    {one['text']}" for one in others)
    yield f"    [{'; '.join(duty['references'])}]"


def _ended(difference: Mapping[str, Any]) -> str:
    """What a duty that is no longer owed asked: of moments the day, of the rest the name."""
    before = difference["before"]
    return f"{difference['key']} {shown(before)}" if isinstance(before, date) else str(difference["key"])


def _letter_lines(document: Mapping[str, Any]) -> Iterator[str]:
    contents: dict[str, int] = {}
    for cohort in document["cohorts"]:
        for one in cohort["letter"]["differences"]:
            contents[one["text"]] = contents.get(one["text"], 0) + cohort["people"]
    yield "Letters:" if contents else "Letters: none would change."
    yield from (f"  {text} ({_counted(number)})" for text, number in contents.items())
    yield from (f"  {one['letter']}: {one['before']:,} -> {one['after']:,}" for one in document["letters"])
    if contents and document["frozen"]:
        yield f"  (frozen with {', '.join(document['frozen'])}: other letters need a new campaign)"
