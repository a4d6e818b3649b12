"""Somebody of a later list who may be one of a signed register: the question says what it would change of that person."""

from __future__ import annotations

from incidents.models import ImportBatch, ImportRow, QueueEntry, RowOutcome
from incidents.models.people import QueueKind, QueueStatus
from incidents.people import joining
from incidents.people.adding import DECISION, as_row
from incidents.people.amending import on_standing_register
from incidents.people.later import differences, with_what_differs
from incidents.vault import CannotOpen, Vault

PAGE = 500


def say_what_differs(*, batch: ImportBatch) -> None:
    """Name marks, places and birth dates on the questions that a list raised about people of a frozen register."""
    if not batch.incident.campaigns.exists():
        return
    new = ImportRow.objects.filter(batch=batch, outcome=RowOutcome.PERSON).values("person")
    asked = QueueEntry.objects.filter(incident=batch.incident_id, kind=QueueKind.MATCH_CONFLICT, status=QueueStatus.OPEN)
    pairs = list(asked.filter(person__in=new).exclude(other=None).order_by("id").values_list("pk", "other_id"))
    signed = on_standing_register({other for _, other in pairs if other})
    about = [pk for pk, other in pairs if other in signed]
    vault = Vault(incident=batch.incident) if about else None
    # A list may raise such a question of everybody: a page of them is opened, and written, at once.
    while vault and (page := about[:PAGE]):
        del about[:PAGE]
        _say(list(QueueEntry.objects.filter(pk__in=page).select_related("person", "other").order_by("id")), vault)


def _say(entries: list[QueueEntry], vault: Vault) -> None:
    told = [(entry, said) for entry in entries if (said := _said(entry, vault))]
    for entry, said in told:
        entry.reason = with_what_differs(entry.reason, said)
    QueueEntry.objects.bulk_update([entry for entry, _ in told], ["reason"])


def _said(entry: QueueEntry, vault: Vault) -> list[str]:
    if entry.person is None or entry.other is None:
        return []
    try:
        signed, later = as_row(person=entry.other, vault=vault), as_row(person=entry.person, vault=vault)
    except CannotOpen:
        return []
    decided = entry.other.residence_from == DECISION
    whole = joining.join([signed, later], decided=decided)
    return differences(before=signed, whole=whole, rows=[later], decided=decided)
