"""What the rows of one person say together: addresses, elements, flags and questions are joined, and blanks are filled.

The same rule for rows of one list and for people imported before. Two homes, or two answers, are a question; what was asked once
is not asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from incidents.models.people import QueueKind
from incidents.people.kept import KeptRow, Seen
from incidents.people.person_facts import ANSWERED_BY
from incidents.people.questions import DATA, RESIDENCE_QUESTIONS, Problem
from incidents.people.residence import PART_UNKNOWN, UNKNOWN
from incidents.people.rows import NO_ADDRESS, ONLY_POST, can_be_posted
from incidents.people.said_of_all import rests_on_it
from incidents.record import PersonFields

#: Fields that stand for themselves; the parts of a postal address are taken together or not at all.
SINGLE = ("full_name", "given_name", "family_name", "phone", "customer_number", "date_of_birth")
POSTAL = ("street", "city", "region", "postcode")
REPRESENTATIVE = ("representative_role", "representative_name", "representative_email")
#: What tells where somebody lives, beside the postal address: pairs of the record's evidence, and the phone number.
EVIDENCE = ("stated_country", "billing_country", "shipping_country", "phone_prefix", "loyalty_home_store", "ip_country")
#: Questions that ask where somebody lives.
OF_PLACE = frozenset({QueueKind.RESIDENCE_UNKNOWN, QueueKind.STATE_UNKNOWN, QueueKind.RESIDENCE_CONFLICT})
Question = dict[str, str]
#: Somebody has to say which of them reads the letter; no row of a list can.
TWO_READERS: Question = asdict(
    Problem(
        DATA, "representative_role", "two different representatives are named",
        "correct the representative if the other one is right; else accept this entry",
    )
)  # fmt: skip


#: Whom the other rows protect is nobody to write to by post, whatever was asked about one row alone.
BY_POST: Mapping[str, Question] = {ONLY_POST.reason: asdict(NO_ADDRESS)}


def replaced_question(*, reason: str, has_post: bool) -> bool:
    """Whether an open question is one that must not be acted on any more: to write by post to whom a later row protects."""
    return reason in BY_POST and not has_post


@dataclass(frozen=True)
class Whole(Seen):
    """One person of several rows: the record, what the law sees, and the questions that are open."""

    fields: PersonFields
    problems: list[Question]


def join(rows: Sequence[KeptRow], *, decided: bool = False) -> Whole:
    """All rows of one person as one; the first is the person who stays. `decided`: a person has set the residence."""
    first, known = rows[0], _better_known(rows)
    places = [] if decided else homes([row.residence for row in known])
    # One better-known home answers an unknown one; several are asked about.
    best = next((row for row in known if len(places) == 1 and row.residence == places[0]), first)
    home = best.fields if best.residence != first.residence else None
    fields = join_fields([row.fields for row in rows if row.fields], home=home)
    conflict, flags = len(places) > 1, sorted({flag for row in rows for flag in row.flags})
    has_post = can_be_posted(fields=fields, place=best.residence, flags=flags)
    questions = [one if has_post else BY_POST.get(one["reason"], one) for row in rows for one in row.problems]
    problems = list({tuple(sorted(one.items())): one for one in questions}.values())
    return Whole(
        fields=fields,
        residence=best.residence,
        residence_from=best.residence_from,
        confidence=best.confidence,
        possible=list(dict.fromkeys([*first.possible, *places])) if conflict else best.possible,
        elements=sorted({element for row in rows for element in row.elements}),
        flags=flags,
        language=next((row.language for row in rows if row.language), ""),
        # Of the whole: one row's address is no way to somebody whom another row protects, or says has moved.
        has_post=has_post,
        problems=[
            *_open_questions(problems, fields, best.residence, conflict and not decided),
            *([TWO_READERS] if _several_readers(rows) and TWO_READERS not in problems else []),
        ],
    )


def _better_known(rows: Sequence[KeptRow]) -> Sequence[KeptRow]:
    """Without rows that rest on what was said of their whole list, where another row tells by itself no less of the home."""
    own = homes([row.residence for row in rows if not rests_on_it(row.residence_from)])
    return [
        row
        for row in rows
        if not (own and rests_on_it(row.residence_from)) or any(row.residence.startswith(f"{home}-") for home in own)
    ]


def posted_anew(whole: Whole) -> Whole:
    """Somebody whose record was put together otherwise: whether a letter can be addressed follows from what it says now."""
    return replace(whole, has_post=can_be_posted(fields=whole.fields, place=whole.residence, flags=whole.flags))


def newest_first(whole: Whole, rows: Sequence[KeptRow], *, moves: bool) -> Whole:
    """A newer version of a list says where the person is written to now: its e-mail address comes first, the earlier one stays
    beside it. `moves`: the person came with the list, and its postal address takes the place of theirs, but for another home.
    """
    said = [row.fields for row in rows if row.fields]
    emails = tuple(dict.fromkeys(address for fields in (*said, whole.fields) for address in fields.emails))
    at = (row.fields for row in rows if moves and row.fields and row.residence == whole.residence)
    home = next((fields for fields in at if fields.street), None)
    now = {name: getattr(home, name) for name in POSTAL} if home else {}
    return posted_anew(replace(whole, fields=replace(whole.fields, emails=emails, **now)))


def join_fields(records: Sequence[PersonFields], *, home: PersonFields | None = None) -> PersonFields:
    """The first record with all addresses of all, and its blanks filled from the others in their order.

    `home`: the record that answered where the person lives. It tells their home too, so that the person says one thing only.
    """
    first, *others = records
    filled: dict[str, str] = {}
    for name in SINGLE:
        if not getattr(first, name):
            filled[name] = next((value for other in others if (value := getattr(other, name))), "")
    posted = (*([home] if home else []), first, *others)
    at = next((one for one in posted if one.street or one.postcode), first)
    filled |= {name: getattr(at, name) for name in POSTAL}
    # Role, name and address are one answer: of two representatives no third one may be made.
    named = [reader for record in records if any(reader := reader_of(record))]
    filled |= dict(zip(REPRESENTATIVE, next((one for one in named if all(one)), (named or [reader_of(first)])[0]), strict=True))
    told = [pair for record in reversed(records) for pair in record.evidence]
    told += [pair for pair in home.evidence if pair[0] in EVIDENCE] if home else []
    evidence: Mapping[str, str] = dict(told)
    ordered = {name: evidence[name] for record in records for name, _ in record.evidence}
    emails = tuple(dict.fromkeys(address for record in records for address in record.emails))
    return replace(first, **filled, emails=emails, evidence=tuple(ordered.items()))


def reader_of(fields: PersonFields) -> tuple[str, ...]:
    """Who reads the letter in this person's place: role, name, e-mail address."""
    return tuple(getattr(fields, name) for name in REPRESENTATIVE)


def _several_readers(rows: Sequence[KeptRow]) -> bool:
    """Whether the rows name different representatives; one without an address, or written otherwise, is not another one."""
    readers = [tuple(text.casefold() for text in reader_of(row.fields)) for row in rows if row.fields]
    named = [one for one in dict.fromkeys(readers) if any(one)]
    return len({one[:2] for one in named}) > 1 or len({one[2] for one in named if one[2]}) > 1


def homes(places: Sequence[str]) -> list[str]:
    """The different places among several; 'US' beside 'US-CA' is not another place, and unknown is none."""
    named = [place for place in dict.fromkeys(places) if place and place != UNKNOWN]
    return [place for place in named if not any(other.startswith(f"{place}-") for other in named)]


def _open_questions(problems: Sequence[Question], fields: PersonFields, place: str, conflict: bool) -> list[Question]:
    """The questions that are still open for one person of all rows; two homes are a question of their own."""
    answered = answered_kinds(fields, place)
    found = [problem for problem in problems if problem["kind"] not in answered]
    kind, reason, remedy = RESIDENCE_QUESTIONS["residence_conflict"]
    if conflict and not any(problem["kind"] == kind for problem in found):
        found.append(asdict(Problem(kind, "", reason, remedy)))
    return found


def answered_kinds(fields: PersonFields, place: str) -> frozenset[str]:
    """The kinds of questions that a person's address, representative and residence answer by being there."""
    answered: set[str] = {QueueKind.ADDRESS, QueueKind.NO_CHANNEL} if fields.emails else set()
    answered |= ANSWERED_BY[fields.representative_role] if all(reader_of(fields)) else frozenset()
    answered |= {QueueKind.RESIDENCE_UNKNOWN} if place != UNKNOWN else set()
    answered |= {QueueKind.STATE_UNKNOWN} if place not in {UNKNOWN, *PART_UNKNOWN} else set()
    return frozenset(answered)


def replaced(before: KeptRow, row: KeptRow, *, columns: Sequence[str], decided: bool) -> KeptRow:
    """A person after a corrected row: the columns that came back count as they stand, the others stay as they were."""
    if before.fields is None or row.fields is None:
        return before
    here, old, new = set(columns), before.fields, row.fields
    if here & {"given_name", "family_name"}:
        here |= {"full_name"}
    texts = {name: getattr(new, name) for name in (*SINGLE, *POSTAL, *REPRESENTATIVE) if name in here}
    if "email" in here:
        texts["emails"] = tuple(dict.fromkeys((*new.emails, *old.emails[1:])))
    evidence = {name: value for name, value in old.evidence if name not in here} | dict(new.evidence)
    stands = _same_evidence(old, new, here)
    places = ("residence", "residence_from", "confidence", "possible")
    place = {} if decided or stands else {name: getattr(row, name) for name in places}
    seen = {name: getattr(row, name) for name in ("elements", "flags", "language") if name in here}
    fields, problems = replace(old, **texts, evidence=tuple(evidence.items())), _after(before, row) if stands else row.problems
    made = replace(before, fields=fields, problems=problems, **place, **seen)
    return replace(made, has_post=can_be_posted(fields=made.fields or old, place=made.residence, flags=made.flags))


def _same_evidence(old: PersonFields, new: PersonFields, columns: set[str]) -> bool:
    """Whether a corrected row says of where somebody lives what their record says: then nobody answered that anew."""
    texts = columns & {*POSTAL, "phone"}
    was, now = dict(old.evidence), dict(new.evidence)
    return all(getattr(old, name) == getattr(new, name) for name in texts) and all(
        was.get(name, "") == now.get(name, "") for name in columns & {*EVIDENCE}
    )


def _after(before: KeptRow, row: KeptRow) -> list[Question]:
    """The questions after a corrected row that left the residence alone: what was asked about it waits on."""
    same = row.residence == before.residence
    raised = [one for one in row.problems if same or one["kind"] not in OF_PLACE]
    return raised + [one for one in before.problems if one["kind"] in OF_PLACE and one not in raised]


def taken_out(now: KeptRow, with_it: Whole, without_it: Whole) -> Whole:
    """Somebody without one of their parts: what stands as the parts said follows them, what was decided since stays."""

    def single(name: str) -> Any:
        return getattr(without_it if getattr(now, name) == getattr(with_it, name) else now, name)

    def several(name: str) -> list[str]:
        gone = {*getattr(with_it, name)} - {*getattr(without_it, name)}
        return [one for one in getattr(now, name) if one not in gone]

    place = without_it if now.residence == with_it.residence else now
    made = replace(
        without_it, fields=_fields_without(now.fields, with_it.fields, without_it.fields), residence=place.residence,
        residence_from=place.residence_from, confidence=place.confidence, possible=place.possible,
        elements=several("elements"), flags=several("flags"), language=single("language"),
    )  # fmt: skip
    return posted_anew(made)


def as_it_moved(with_it: Whole, *, now: KeptRow, leaves: KeptRow, rest: Sequence[KeptRow]) -> Whole:
    """The parts together, where one that leaves had alone said the postal address that stands now (`newest_first`)."""
    home, *others = [
        None if fields is None else [getattr(fields, name) for name in POSTAL]
        for fields in (now.fields, leaves.fields, *(row.fields for row in rest))
    ]
    if home is None or others[0] != home or home in others[1:]:
        return with_it
    return replace(with_it, fields=replace(with_it.fields, **dict(zip(POSTAL, home, strict=True))))


def _fields_without(now: PersonFields | None, with_it: PersonFields, without_it: PersonFields) -> PersonFields:
    if now is None:
        return without_it
    gone = {*with_it.emails} - {*without_it.emails}
    alone = REPRESENTATIVE if reader_of(now) != reader_of(with_it) else ()
    names = (name for name in PersonFields.__dataclass_fields__ if name not in ("emails", *alone))
    same = {name: getattr(without_it, name) for name in names if getattr(now, name) == getattr(with_it, name)}
    return replace(now, **same, emails=tuple(address for address in now.emails if address not in gone))
