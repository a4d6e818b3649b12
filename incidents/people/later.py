"""What a later list says otherwise of somebody whose record was signed: named for a decision, without anything of the record."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Exists, OuterRef, Q, QuerySet

from incidents.law.pack import load_packs
from incidents.models import Campaign, Message, MessageState, QueueEntry
from incidents.models.messages import WAITING
from incidents.models.people import QueueKind, QueueStatus
from incidents.people.decisions import LATER, OF_FLAGS, RESIDENCE_KINDS, UNDECIDED
from incidents.people.joining import TWO_READERS, Whole, homes
from incidents.people.kept import KeptRow
from incidents.people.person_facts import birth_date
from incidents.people.questions import FLAG_QUESTIONS
from incidents.people.residence import UNKNOWN
from incidents.people.said_of_all import rests_on_it

#: The fields of a record in the officer's words; several stand for one.
NAMED = {
    "full_name": "name", "given_name": "name", "family_name": "name", "emails": "e-mail address", "phone": "telephone",
    "street": "postal address", "city": "postal address", "region": "postal address", "postcode": "postal address",
    "customer_number": "customer number", "date_of_birth": "date of birth", "evidence": "evidence of the residence",
    "representative_role": "representative", "representative_name": "representative", "representative_email": "representative",
}  # fmt: skip
#: How the reason goes on where the list calls somebody dead, a minor, or not to be written to: no letter leaves undecided.
MARKS = ": marks "
MARKED = f"{LATER}{MARKS}"
BORN, PLACE, LEAKED = "another date of birth", "residence ", "leaked too "
#: What changes whom the letter may go to, or what the law asks; beside a reason that names nothing, of which nobody knows.
GRAVE = ("marks ", BORN, PLACE, LEAKED)
LONGEST = 200


def with_what_differs(reason: str, said: Sequence[str]) -> str:
    """A reason with what differs behind it, as far as there is room: what weighs most comes first."""
    text = f"{reason}: {'; '.join(said)}" if said else reason
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def differences(*, before: KeptRow, whole: Whole, rows: Sequence[KeptRow] = (), decided: bool = False) -> list[str]:
    """Which marks, places, data and parts of the record differ, in words; values only where they are no secret.

    What changes protection or law comes first. `rows`: what was joined into the whole, which keeps the first of two answers.
    `decided`: a person has set the residence.
    """
    new, leaked = sorted({*whole.flags} - {*before.flags}), sorted({*whole.elements} - {*before.elements})
    marks = [flag for flag in new if flag in FLAG_QUESTIONS]
    said = [f"marks {', '.join(marks)}"] if marks else []
    said += [BORN] if _born_otherwise(before, rows) else []
    said += _places(before, whole, () if decided else rows)
    said += [f"{LEAKED}{', '.join(leaked)}"] if leaked else []
    said += [f"flags {', '.join(flag for flag in new if flag not in marks)}"] if len(new) > len(marks) else []
    said += [f"language {whole.language}"] if whole.language != before.language else []
    return said + _parts(before, whole)


def is_grave(said: str) -> bool:
    """Whether one thing that differs changes whom the letter may go to, or what the law asks."""
    return said.startswith(GRAVE)


def names_grave(reason: str) -> bool:
    """Whether a note names such a thing, or (as earlier versions wrote it) nothing at all."""
    return reason == LATER or (reason.startswith(LATER) and any(map(is_grave, reason.removeprefix(f"{LATER}: ").split("; "))))


def _born_otherwise(before: KeptRow, rows: Sequence[KeptRow]) -> bool:
    """Whether a row gives another day; one that may mean several days is asked about by the youngest age, which is a mark."""
    born = before.fields.date_of_birth if before.fields else ""
    said = [day for row in rows if row.fields and (day := birth_date(row.fields.date_of_birth))]
    return bool(born) and any(day != birth_date(born) for day in said)


def _places(before: KeptRow, whole: Whole, rows: Sequence[KeptRow]) -> list[str]:
    """Places where nobody had looked for the person, beside the signed one, with the laws of them all by code."""
    # What was said of the whole list tells nothing of somebody of whom more is known.
    by_itself = rows if before.residence == UNKNOWN else [row for row in rows if not rests_on_it(row.residence_from)]
    named = [whole.residence, *(place for row in by_itself for place in (row.residence, *row.possible))]
    new = [place for place in homes([before.residence, *named]) if place not in {before.residence, *before.possible}]
    if not new:
        return []
    beside = [] if before.residence == UNKNOWN else [before.residence]
    laws = list(dict.fromkeys(_law(place) for place in (*new, *beside)))
    told = f"law{'s' if len(laws) > 1 else ''} {', '.join(laws)}"
    return [f"{PLACE}{', '.join(new)}{' beside ' if beside else ''}{''.join(beside)} ({told})"]


def _law(place: str) -> str:
    pack = load_packs().find(residence=place)
    return pack.id if pack else f"of {place} unknown"


def _parts(before: KeptRow, whole: Whole) -> list[str]:
    names = [name for name in NAMED if getattr(before.fields, name, None) != getattr(whole.fields, name)]
    parts = list(dict.fromkeys(NAMED[name] for name in names))
    return parts + (["representative"] if TWO_READERS in whole.problems and "representative" not in parts else [])


def undecided_of(*, campaign: Campaign) -> QuerySet[QueueEntry]:
    """Entries that nobody has decided, about people of a register whose letter has not left.

    Beside the notes: whether somebody of a list is one of them, and what a merge asks of them since.
    """
    # Asked of each entry, which are few, and not the other way round: a register may have a million lines.
    unsent = Message.objects.filter(campaign=campaign, phase__in=(WAITING, MessageState.HELD))
    own, other = (Exists(unsent.filter(entry__person=OuterRef(name))) for name in ("person", "other"))
    doubt = Q(kind=QueueKind.MATCH_CONFLICT)
    about = Q(reason__startswith=LATER) | Q(kind__in=[*OF_FLAGS, *RESIDENCE_KINDS]) | doubt
    undecided = Q(status__in=UNDECIDED)
    # To hold somebody of a list is no word about whether they are the one of the register, whose letter would leave.
    may_be = doubt & (undecided | Q(status=QueueStatus.HELD))
    return QueueEntry.objects.filter((undecided & about & Q(own)) | (may_be & Q(other)), incident=campaign.incident_id)
