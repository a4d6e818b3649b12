"""Uploaded lists: kept as sealed parts in the database until the import has ended, and read from there piece by piece.

A list never lies in clear on a disk: not on its way in, not while it waits, not while it is read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.models import BatchState, ImportBatch, ImportPart, ImportSource, Incident
from incidents.models.refusal import Refused
from incidents.people.reading import LARGEST_FILE, FileRefused
from incidents.vault import Vault

PART = 1024**2
#: Parts in one insert.
GROUP = 8
#: In these a list is not there: the same file may come again.
GONE = (BatchState.REFUSED, BatchState.CANCELLED, BatchState.UPLOADING)


def receive(*, incident: Incident, chunks: Iterable[bytes], author: User, source: str = "") -> ImportBatch:
    """Keep a file in sealed parts of 1 MiB. The same file again is the list that it was. Raises FileRefused."""
    batch = ImportBatch.objects.create(
        incident=incident, state=BatchState.UPLOADING, author=author, imported_at=database_now(), columns=[],
        source=source_named(incident=incident, name=source, author=author),
    )  # fmt: skip
    try:
        batch.sha256, batch.size = _keep(batch, chunks)
        return _arrived(batch)
    except BaseException:
        give_up_parts(batch=batch, state=BatchState.CANCELLED)
        raise


def _keep(batch: ImportBatch, chunks: Iterable[bytes]) -> tuple[str, int]:
    vault, digest, size, parts = Vault(incident=batch.incident, people=False), hashlib.sha256(), 0, list[ImportPart]()
    for number, part in enumerate(_of_one_size(chunks)):
        digest.update(part)
        size += len(part)
        if size > LARGEST_FILE:
            raise FileRefused(f"The file is larger than {LARGEST_FILE // 1024**3} GiB. Split it and import the parts.")
        sealed = vault.seal_blob(plain=part, bound_to=_bound_to(batch, number))
        parts.append(ImportPart(batch=batch, number=number, sealed=sealed))
        if len(parts) == GROUP:
            ImportPart.objects.bulk_create(parts)
            parts = []
    ImportPart.objects.bulk_create(parts)
    if not size:
        raise FileRefused("The file is empty. Export the list again; a header and at least one row are needed.")
    return digest.hexdigest(), size


def _of_one_size(chunks: Iterable[bytes]) -> Iterator[bytes]:
    waiting = bytearray()
    for chunk in chunks:
        waiting += chunk
        while len(waiting) >= PART:
            yield bytes(waiting[:PART])
            del waiting[:PART]
    if waiting:
        yield bytes(waiting)


def _arrived(batch: ImportBatch) -> ImportBatch:
    """The upload is whole: it stands as a list of its own, or it was there before."""
    with transaction.atomic():
        Incident.objects.select_for_update(no_key=True).get(pk=batch.incident_id)
        before = batch.incident.imports.filter(sha256=batch.sha256).exclude(state__in=GONE).first()
        if before:
            give_up_parts(batch=batch, state=BatchState.CANCELLED)
            return before
        batch.state = BatchState.UPLOADED
        batch.save(update_fields=["sha256", "size", "state"])
        data = {"file_sha256": batch.sha256, "bytes": batch.size}
        record(incident=batch.incident, action=Action.SOURCE_UPLOADED, actor=author_of(batch=batch), data=data)
    return batch


def give_up_parts(*, batch: ImportBatch, state: BatchState) -> None:
    """Delete the parts of a list that goes no further."""
    batch.parts.all().delete()
    batch.state, batch.finished_at = state, database_now()
    batch.save(update_fields=["state", "finished_at"])


def source_named(*, incident: Incident, name: str, author: User) -> ImportSource | None:
    """Where a list comes from, by its name; made at first use."""
    if not (name := " ".join(name.split())[:80]):
        return None
    given = {"author": author, "saved_at": database_now()}
    return ImportSource.objects.get_or_create(incident=incident, name=name, defaults=given)[0]


def author_of(*, batch: ImportBatch) -> str:
    """The name of who brought the list; of users the importer's role may read no more."""
    return name_of(user=batch.author_id)


def name_of(*, user: int) -> str:
    """The name of a user by number."""
    name: str = User.objects.values_list("username", flat=True).get(pk=user)
    return name


def _bound_to(batch: ImportBatch, number: int) -> str:
    return f"import_part|{batch.incident.reference}|{batch.pk}|{number}"


class SealedParts:
    """An uploaded list as a source for its reader: the piece asked for is opened, the last one is kept at hand."""

    def __init__(self, *, batch: ImportBatch) -> None:
        self.size, self._batch, self._vault = batch.size, batch, Vault(incident=batch.incident, people=False)
        self._at_hand: tuple[int, bytes] = (-1, b"")

    def descriptor(self) -> int | None:
        """There is no file."""
        return None

    def piece(self, *, offset: int, size: int) -> bytes:
        """Some bytes of the list; at its end fewer."""
        found = bytearray()
        while len(found) < size and offset + len(found) < self.size:
            place = offset + len(found)
            found += self._part(place // PART)[place % PART : place % PART + size - len(found)]
        return bytes(found)

    def _part(self, number: int) -> bytes:
        if self._at_hand[0] != number:
            sealed = ImportPart.objects.filter(batch=self._batch, number=number).values_list("sealed", flat=True).first()
            if sealed is None:
                raise Refused("This list was imported, refused or cancelled meanwhile: its parts are not kept any more.")
            self._at_hand = number, self._vault.open_blob(sealed=sealed, bound_to=_bound_to(self._batch, number))
        return self._at_hand[1]
