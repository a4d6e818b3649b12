"""What a later list says otherwise of somebody whose record was signed: named for a decision, without anything of the record."""

from __future__ import annotations

from django.db.models import QuerySet

from incidents.models import Campaign, Message, MessageState, QueueEntry
from incidents.models.messages import WAITING
from incidents.models.people import QueueStatus
from incidents.people.decisions import LATER
from incidents.people.joining import TWO_READERS, Whole
from incidents.people.kept import KeptRow
from incidents.people.questions import FLAG_QUESTIONS

#: The fields of a record in the officer's words; several stand for one.
NAMED = {
    "full_name": "name", "given_name": "name", "family_name": "name", "emails": "e-mail address", "phone": "telephone",
    "street": "postal address", "city": "postal address", "region": "postal address", "postcode": "postal address",
    "customer_number": "customer number", "date_of_birth": "date of birth", "evidence": "evidence of the residence",
    "representative_role": "representative", "representative_name": "representative", "representative_email": "representative",
}  # fmt: skip
#: How the reason goes on where the list calls somebody dead, a minor, or not to be written to: no letter leaves undecided.
MARKED = f"{LATER}: marks "
LONGEST = 200


def otherwise(*, before: KeptRow, whole: Whole) -> str:
    """The reason of the entry: which marks, place, data and parts of the record differ; values only where they are no secret."""
    new, leaked = sorted({*whole.flags} - {*before.flags}), sorted({*whole.elements} - {*before.elements})
    marks = [flag for flag in new if flag in FLAG_QUESTIONS]
    said = [f"marks {', '.join(marks)}"] if marks else []
    said += [f"residence {whole.residence}"] if whole.residence != before.residence else []
    said += [f"leaked too {', '.join(leaked)}"] if leaked else []
    said += [f"flags {', '.join(flag for flag in new if flag not in marks)}"] if len(new) > len(marks) else []
    said += [f"language {whole.language}"] if whole.language != before.language else []
    said += _parts(before, whole)
    text = f"{LATER}: {'; '.join(said)}" if said else LATER
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _parts(before: KeptRow, whole: Whole) -> list[str]:
    names = [name for name in NAMED if getattr(before.fields, name, None) != getattr(whole.fields, name)]
    parts = list(dict.fromkeys(NAMED[name] for name in names))
    return parts + (["representative"] if TWO_READERS in whole.problems and "representative" not in parts else [])


def undecided_of(*, campaign: Campaign) -> QuerySet[QueueEntry]:
    """Entries that nobody has decided, about people of a register whose letter has not left."""
    unsent = Message.objects.filter(campaign=campaign, phase__in=(WAITING, MessageState.HELD)).values("entry__person")
    entries = QueueEntry.objects.filter(incident=campaign.incident_id, status=QueueStatus.OPEN, reason__startswith=LATER)
    return entries.filter(person__in=unsent)
