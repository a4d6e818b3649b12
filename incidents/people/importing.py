"""A list -> people: read in a confined child, sealed and staged slice by slice, settled in one transaction; every row counted.

A file is imported whole or not at all; the same file (SHA-256) a second time changes nothing. Whatever process dies at whatever
moment, the next start goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import Amendment, BatchState, ImportBatch, ImportPart, Incident
from incidents.models.refusal import Refused
from incidents.people import looking
from incidents.people.accounting import Accounting, account
from incidents.people.confined import OpenFile, Reader
from incidents.people.erasing import open_pending
from incidents.people.looking import Look, confirm, difference, look, look_and_keep
from incidents.people.reading import FileRefused, ListFile, dates_of
from incidents.people.rejected_again import NOBODY, Again, rejected_again
from incidents.people.settling import settle
from incidents.people.staging import Progress, TakenOver, forget_staged, read_with, stage_list
from incidents.people.uploads import GONE, SealedParts, author_of, give_up_parts, name_of, source_named

__all__ = [
    "Accounting", "Busy", "ImportReport", "Look", "account", "cancel", "carry_on", "confirm", "difference", "import_people",
    "look", "look_and_keep", "preview", "unfinished",
]  # fmt: skip
#: "bnim": with the incident's number the lock of its one import.
LOCK = 0x626E_696D
#: A list in one of these is carried on by whoever looks next.
OPEN = (BatchState.WAITING, BatchState.READING, BatchState.SETTLING)
#: Asked with the difference that a newer version of a list makes; False = do not import it.
Judge = Callable[[dict[str, int]], bool]


class Busy(Refused):
    """Another process carries on an import of this incident at this moment."""


@dataclass(frozen=True)
class ImportReport:
    """What became of one file."""

    already_known: bool
    rows: int
    accounting: Accounting
    difference: dict[str, int] | None = None
    #: The columns of the file that were not read, by the file's own names.
    unread: tuple[str, ...] = ()
    #: Which stands first in the dates of birth, as the columns say: day or month; '' where what may be two days is asked.
    dates: str = ""
    #: What is said of the sheets of a workbook that nobody sees, and that were not read.
    hidden: str = ""
    #: Who of the list looks like somebody whom two people rejected before.
    again: Again = NOBODY
    #: What was said of where everybody lives, by whom, and how many of its rows live by that.
    country: str = ""
    country_by: str = ""
    living_by: int = 0
    #: In what the file is not written as the last list of its source was, in sentences.
    unlike: tuple[str, ...] = ()


def import_people(
    *,
    incident: Incident,
    path: Path,
    author: User,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    mapping: Mapping[str, str] | None = None,
    source: str = "",
    elements: Sequence[str] = (),
    amendment: Amendment | None = None,
    progress: Progress | None = None,
    judge: Judge | None = None,
    no_names: bool = False,
    country: str | None = None,
) -> ImportReport:
    """Import one list, or go on with it. Raises FileRefused with row, column and remedy; then nothing was stored.

    `no_names`: somebody knows that nobody on the list has a name. `country`: where everybody on it lives (`settle_country`).
    """
    with OpenFile(path=path) as opened, Reader(source=opened) as reader:
        origin = source_named(incident=incident, name=source, author=author)
        wanted = ImportBatch(incident=incident, source=origin, author=author, amendment=amendment, imported_at=database_now())
        said = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet}
        seen = looking.look_into(reader=reader, batch=wanted, mapping=mapping, **said)
        file = seen.file
        looking.settle_elements(batch=wanted, elements=elements or (origin.elements if origin else ()))
        with _alone(incident):
            batch = _begin(wanted, file, no_names, country)
            if batch.state == BatchState.DONE:
                if mapping is not None:
                    _refuse_other_columns(batch, file)
                if country is not None:
                    looking.refuse_other_country(batch=batch, country=country)
                return ImportReport(True, 0, account(incident=incident))
            if judge and not judge(looking.difference(batch=batch, reader=reader)):
                said_next = "Nothing was imported. Look at the difference, and say that this newer version is to be imported."
                raise Refused(*seen.unlike, said_next)
            return replace(_carry(batch, reader, file, progress), unlike=seen.unlike)


def preview(
    *,
    incident: Incident,
    path: Path,
    author: User,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    mapping: Mapping[str, str] | None = None,
    source: str = "",
) -> Look:
    """Look at a file and store nothing: how it would be read, its columns, its first rows. Raises FileRefused, FileAsked."""
    origin = incident.sources.filter(name=" ".join(source.split())[:80]).first()
    wanted = ImportBatch(incident=incident, source=origin, author=author)
    with OpenFile(path=path) as opened, Reader(source=opened) as reader:
        said = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet}
        return looking.look_into(reader=reader, batch=wanted, mapping=mapping, **said)


def _refuse_other_columns(batch: ImportBatch, file: ListFile) -> None:
    """What is said of the columns of a list that is imported already is refused, not passed over in silence."""
    pairs = list(zip(batch.columns, file.columns, strict=False))
    other = [
        f"column {at} was {was or 'not read'}, now {now or 'not read'}" for at, (was, now) in enumerate(pairs, 1) if was != now
    ]
    if other or len(batch.columns) != len(file.columns):
        raise FileRefused(
            f"This very file was imported before, as list {batch.pk}, with other columns; nothing was changed. "
            f"{'; '.join(other).capitalize() or 'It had another number of columns'}. An imported list is not read anew: correct "
            "single people (correct, or the reject file). Where everybody is wrong and nothing is frozen, open another incident "
            "with the same facts and import the list there (docs/lists.md)."
        )


def _begin(wanted: ImportBatch, file: ListFile, no_names: bool, country: str | None) -> ImportBatch:
    """The batch of this file: a new one, or the one that was begun, read as is said now."""
    with transaction.atomic():
        Incident.objects.select_for_update(no_key=True).get(pk=wanted.incident_id)
        known = wanted.incident.imports.filter(sha256=file.sha256).exclude(state__in=GONE).first()
        if known and known.state == BatchState.DONE:
            return known
        # Whoever goes on with a list that was begun has said it before.
        if file.nameless and not no_names and (known is None or known.state == BatchState.UPLOADED):
            raise FileRefused(
                f"{file.nameless} Say which column it is with --map COLUMN=full_name; where the list has none, say --no-names."
            )
        looking.may_join(batch=wanted)
        batch = known or wanted
        batch.sha256, batch.state = file.sha256, BatchState.UPLOADED
        batch.elements, batch.amendment, batch.source = wanted.elements, wanted.amendment, wanted.source
        batch.columns = list(file.columns)
        looking.settle_country(batch=batch, country=country, author=wanted.author)
        batch.save()
        looking.remember(batch=batch, file=file)
        looking.remember_source(batch=batch, file=file, author=wanted.author)
    return batch


def carry_on(*, batch: ImportBatch, progress: Progress | None = None, wait: bool = True) -> ImportReport:
    """Go on with a confirmed list wherever it stands. Raises FileRefused, FileNeeded, Busy (only without `wait`), Refused."""
    with _alone(batch.incident, wait=wait):
        batch = ImportBatch.objects.select_related("incident", "source").get(pk=batch.pk)
        if batch.state == BatchState.DONE:
            return ImportReport(True, batch.rows, account(incident=batch.incident))
        if batch.state not in OPEN:
            raise FileRefused(batch.refusal or f"This list is {batch.get_state_display()}.")
        if not batch.parts.exists():
            return _carry(batch, None, None, progress)
        with Reader(source=SealedParts(batch=batch)) as reader:
            return _carry(batch, reader, None, progress)


def _carry(batch: ImportBatch, reader: Reader | None, file: ListFile | None, progress: Progress | None) -> ImportReport:
    if batch.state == BatchState.UPLOADED:
        batch.state = BatchState.WAITING
    batch.started_at = batch.started_at or database_now()
    batch.save(update_fields=["state", "started_at"])
    counted: Accounting | None = None
    try:
        while batch.state != BatchState.DONE:
            if reader and file is None:
                file = looking.file_of(batch=batch, reader=reader)
            stage_list(batch=batch, reader=reader, file=file, progress=progress)
            counted = _settle(batch, progress)
    except FileRefused as refusal:
        looking.refuse(batch=batch, refusal=refusal)
        raise
    # Whoever the list marks as having asked for erasure: recorded now, done when the duty to tell them is met.
    open_pending(incident=batch.incident, actor=author_of(batch=batch))
    unread, hidden = (file.unread, file.hidden) if file else ((), "")
    dates = dates_of(batch.columns)
    numbers, again = counted or account(incident=batch.incident), rejected_again(batch=batch)
    by = name_of(user=batch.country_by_id) if batch.list_country and batch.country_by_id else ""
    said = (batch.list_country, by, batch.country_rows)
    return ImportReport(False, batch.rows, numbers, batch.difference, unread, dates, hidden, again, *said)


def _settle(batch: ImportBatch, progress: Progress | None) -> Accounting | None:
    """People, if the rows are still read as they have to be; else nothing, and they are read again. Returns where rows stand."""
    with transaction.atomic():
        # None beside a freeze: what is looked up here must still hold at the end.
        Incident.objects.select_for_update(no_key=True).get(pk=batch.incident_id)
        if not ImportBatch.objects.select_for_update().filter(pk=batch.pk, state=BatchState.SETTLING).exists():
            raise TakenOver("This import is carried on by another process, or was cancelled.")
        looking.may_join(batch=batch)
        if batch.read_with != read_with(batch=batch):
            return None
        return settle(batch=batch, told=partial(progress, batch.rows) if progress else None)


def cancel(*, batch: ImportBatch, author: User) -> None:
    """Give up a list that is not imported yet. Raises Refused."""
    with transaction.atomic():
        batch = ImportBatch.objects.select_for_update(of=("self",)).select_related("incident").get(pk=batch.pk)
        if batch.state in (BatchState.DONE, *GONE):
            raise Refused(f"This list is {batch.get_state_display()}: there is nothing to cancel.")
        forget_staged(batch=batch)
        give_up_parts(batch=batch, state=BatchState.CANCELLED)
        data = {"file_sha256": batch.sha256}
        record(incident=batch.incident, action=Action.SOURCE_CANCELLED, actor=author.username, data=data)


def unfinished() -> QuerySet[ImportBatch]:
    """Lists that can be carried on without anybody: confirmed ones whose parts are kept, and those that are read to their end."""
    kept = Exists(ImportPart.objects.filter(batch=OuterRef("pk")))
    return ImportBatch.objects.filter(Q(kept) | Q(state=BatchState.SETTLING), state__in=OPEN).order_by("pk")


def not_imported(*, incident: Incident) -> list[str]:
    """The lists that arrived and whose people are nobody yet, in words with the remedy; empty when all are in or given up."""
    found = list(incident.imports.filter(state__in=[BatchState.UPLOADED, *OPEN]).order_by("pk").values_list("pk", "state"))
    asked, going = ([pk for pk, state in found if (state == BatchState.UPLOADED) is wanted] for wanted in (True, False))
    words = []
    if asked:
        words.append(f"uploaded and not imported: {_lists(asked)}; confirm the columns there, or give up what is not wanted")
    if going:
        words.append(f"being imported: {_lists(going)}; wait for it (interrupted, it goes on with import_people --resume)")
    return words


def waiting_lists(*, incident: Incident) -> list[str]:
    """What is to be done about lists that arrived: their columns are confirmed, or it is looked why they cannot be read."""
    uploaded = incident.imports.filter(state=BatchState.UPLOADED)
    unread = uploaded.filter(columns=[]).count()
    read = uploaded.count() - unread
    ways = (
        (read, "uploaded: confirm the columns, then import"),
        (unread, "uploaded and not read: look why, say how it is read, or give it up"),
    )
    return [f"{number:,} list{'s' * (number > 1)} {way}" for number, way in ways if number]


def _lists(keys: list[int]) -> str:
    return f"list{'s' * (len(keys) > 1)} {', '.join(map(str, keys))}"


@contextmanager
def _alone(incident: Incident, *, wait: bool = True) -> Iterator[None]:
    """One import at a time for each incident; the lock goes with the connection, however the process ends."""
    with connection.cursor() as cursor:
        if wait:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", [LOCK, incident.pk])
        else:
            cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, incident.pk])
            if not cursor.fetchone()[0]:
                raise Busy("Another list of this incident is being imported. This one follows.")
    try:
        yield
    finally:
        with suppress(DatabaseError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", [LOCK, incident.pk])
