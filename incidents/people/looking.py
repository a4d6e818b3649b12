"""A list before it is imported: its columns and first rows, to be confirmed, and what it changes of an earlier version."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, record
from incidents.law.pack import load_packs
from incidents.models import Amendment, BatchState, ImportBatch, ImportSource, Incident
from incidents.models.refusal import Refused
from incidents.people.amending import current_amendment
from incidents.people.comparing import compare, earlier_version
from incidents.people.confined import ListSource, Reader
from incidents.people.parsing import list_file
from incidents.people.reading import FileRefused, ListFile, delimiter_name, encoding_name
from incidents.people.said_of_all import country_said
from incidents.people.staging import forget_staged, read_with, stage_list
from incidents.people.uploads import SealedParts, author_of, give_up_parts
from incidents.vault import CannotOpen, Vault

SAMPLES = 20
#: The column that only a reject file has.
CORRECTION_OF = "correction_of"
#: The one key of a source's mapping: what is remembered is sealed.
SEALED = "sealed"


@dataclass(frozen=True)
class Look:
    """How a list is read, what its columns seem to be, and its first rows with their numbers (personal data)."""

    file: ListFile
    mapping: dict[str, str]
    samples: list[tuple[int, list[str]]]
    guessed: bool
    #: In what the file is not written as the last list of its source was, in sentences.
    unlike: tuple[str, ...] = ()


def look(
    *,
    batch: ImportBatch,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Look:
    """Look at an uploaded list; nothing of it is changed. Raises FileAsked, FileRefused."""
    said = {"encoding": encoding, "delimiter": delimiter, "sheet": sheet}
    with Reader(source=SealedParts(batch=batch)) as reader:
        return look_into(reader=reader, batch=batch, mapping=mapping, **said)


def look_and_keep(*, batch: ImportBatch, mapping: Mapping[str, str] | None = None, **said: str | None) -> Look:
    """The same for whoever acts: what is said is remembered. Raises FileAsked, and FileRefused: for good, the list is refused.

    Not for a page that is only asked for: loading it again, or ahead of a click, would end a list and delete its parts.
    """
    try:
        seen = look(batch=batch, mapping=mapping, **said)
    except FileRefused as refusal:
        if refusal.for_good and batch.state == BatchState.UPLOADED:
            refuse(batch=batch, refusal=refusal)
        raise
    if batch.state == BatchState.UPLOADED:
        remember(batch=batch, file=seen.file)
    return seen


def refuse(*, batch: ImportBatch, refusal: FileRefused) -> None:
    """End a list that cannot be imported: nothing of it is kept but the reason."""
    with transaction.atomic():
        forget_staged(batch=batch)
        batch.refusal = "\n".join(refusal.lines)
        batch.save(update_fields=["refusal"])
        give_up_parts(batch=batch, state=BatchState.REFUSED)
        data = {"file_sha256": batch.sha256}
        record(incident=batch.incident, action=Action.SOURCE_REFUSED, actor=author_of(batch=batch), data=data)


def look_into(*, reader: Reader, batch: ImportBatch, mapping: Mapping[str, str] | None, **said: str | None) -> Look:
    """The same of any list that a reader has."""
    remembered = remembered_columns(source=batch.source) if batch.source and mapping is None else None
    options = as_known(batch=batch, **said)
    given = None if mapping is None else dict(mapping)
    (told,) = reader.ask(do="look", most=SAMPLES, remembered=remembered, mapping=given, **options)
    file = list_file(told["file"])
    samples = [(int(number), list(cells)) for number, cells in told["samples"]]
    if not samples:
        raise FileRefused("The file holds a header but no rows. Export the list again.")
    columns, guessed = dict(zip(file.header, file.columns, strict=True)), bool(told["guessed"]) and mapping is None
    return Look(file, columns, samples, guessed, unlike_before(source=batch.source, file=file))


def as_known(*, batch: ImportBatch, **said: str | None) -> dict[str, Any]:
    """What is said now, else what is known of the batch; and of its source, for what the file does not tell otherwise."""
    source = batch.source
    known = {name: value or getattr(batch, name) or None for name, value in said.items()}
    return {**known, "before": {name: _remembered(source, name) for name in said} if source else None}


def unlike_before(*, source: ImportSource | None, file: ListFile) -> tuple[str, ...]:
    """In what a file is not written as the last list of its source was, in sentences; sheets by no name."""
    if source is None:
        return ()
    divided = delimiter_name(file.delimiter) if len(file.header) > 1 else ""
    pairs = (
        (encoding_name(source.encoding), encoding_name(file.encoding), "was {}; this one is read as {}"),
        (delimiter_name(source.delimiter), divided, "was divided by {}; this one by {}"),
        (_remembered(source, "sheet"), file.sheet, f"was on a sheet of another name; this one is on the sheet {file.sheet_at}"),
    )
    return tuple(
        f"The last list of this source {words.format(was, now)}." for was, now, words in pairs if was and now and was != now
    )


def _remembered(source: ImportSource, name: str) -> str:
    return remembered_sheet(source=source) if name == "sheet" else str(getattr(source, name))


def remember(*, batch: ImportBatch, file: ListFile) -> None:
    """Keep with the batch how its list is read."""
    batch.encoding, batch.delimiter, batch.sheet, batch.file_kind = file.encoding, file.delimiter, file.sheet_at, file.kind
    batch.columns, batch.size = list(file.columns), file.size
    batch.save(update_fields=["encoding", "delimiter", "sheet", "file_kind", "columns", "size"])


def difference(*, batch: ImportBatch, source: ListSource | None = None, reader: Reader | None = None) -> dict[str, int]:
    """What a newer version of a list changes, in counts (`comparing.compare`). Nobody is stored.

    Empty where no earlier list came from the same source. It reads the whole list; what it staged is used by the import.
    """
    earlier = earlier_version(batch=batch)
    if earlier is None or batch.state not in (BatchState.UPLOADED, BatchState.WAITING):
        return dict(batch.difference or {})
    if reader is None:
        with Reader(source=source or SealedParts(batch=batch)) as own:
            return difference(batch=batch, reader=own)
    stage_list(batch=batch, reader=reader, file=file_of(batch=batch, reader=reader))
    batch.replaces, batch.difference = earlier, compare(batch=batch, earlier=earlier)
    batch.save(update_fields=["replaces", "difference"])
    return dict(batch.difference)


def read_as_said(
    *, batch: ImportBatch, mapping: Mapping[str, str], elements: Sequence[str], country: str | None, author: User,
    **said: str | None,
) -> None:  # fmt: skip
    """Keep how an uploaded list is to be read, before it is compared and confirmed. Raises FileAsked, FileRefused."""
    look_and_keep(batch=batch, mapping=mapping, **said)
    settle_elements(batch=batch, elements=elements)
    settle_country(batch=batch, country=country, author=author)
    batch.save(update_fields=["elements", "list_country", "country_by"])


def still_compared(*, batch: ImportBatch) -> bool:
    """Whether the difference is of the list as it is read now, from the list that was imported last; else it is forgotten."""
    if batch.difference is None:
        return False
    earlier = earlier_version(batch=batch)
    if batch.read_with == read_with(batch=batch) and earlier and batch.replaces_id == earlier.pk:
        return True
    batch.replaces, batch.difference = None, None
    batch.save(update_fields=["replaces", "difference"])
    return False


def file_of(*, batch: ImportBatch, reader: Reader) -> ListFile:
    """The batch's list as its reader finds it, with the columns that were confirmed."""
    (told,) = reader.ask(do="inspect", mapping=None, **as_known(batch=batch, encoding=None, delimiter=None, sheet=None))
    if told["file"]["sha256"] != batch.sha256:
        raise FileRefused("This is not the list that was begun. Give the same file again.")
    return list_file(told["file"] | {"columns": batch.columns})


def confirm(
    *,
    batch: ImportBatch,
    mapping: Mapping[str, str],
    author: User,
    elements: Sequence[str] = (),
    amendment: Amendment | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    sheet: str | None = None,
    no_names: bool = False,
    country: str | None = None,
) -> ImportBatch:
    """Settle how an uploaded list is read; from here on the importer may begin. Raises Refused.

    `no_names`: somebody knows that nobody on it has a name. `country`: where everybody on it lives (`settle_country`).
    """
    if batch.state != BatchState.UPLOADED:
        raise Refused(f"This list is {batch.get_state_display()}: its columns can no longer be confirmed.")
    seen = look_and_keep(batch=batch, encoding=encoding, delimiter=delimiter, sheet=sheet, mapping=mapping)
    _refuse_unread(seen.file, no_names)
    with transaction.atomic():
        Incident.objects.select_for_update(no_key=True).get(pk=batch.incident_id)
        settle_elements(batch=batch, elements=elements)
        settle_country(batch=batch, country=country, author=author)
        batch.amendment = amendment
        may_join(batch=batch)
        if not ImportBatch.objects.filter(pk=batch.pk, state=BatchState.UPLOADED).update(state=BatchState.WAITING):
            raise Refused("This list was confirmed or cancelled by somebody else meanwhile.")
        batch.state = BatchState.WAITING
        batch.save(update_fields=["amendment", "elements", "list_country", "country_by"])
        remember_source(batch=batch, file=seen.file, author=author)
        data: dict[str, Any] = {"file_sha256": batch.sha256, "columns": [name for name in batch.columns if name]}
        data |= {"list_country": batch.list_country} if batch.list_country else {}
        record(incident=batch.incident, action=Action.SOURCE_CONFIRMED, actor=author.username, data=data)
    return batch


def _refuse_unread(file: ListFile, no_names: bool) -> None:
    if not any(file.columns):
        raise FileRefused("No column is read. Say at least which one is the name and which the e-mail or postal address.")
    if file.nameless and not no_names:
        raise FileRefused(f"{file.nameless} Say which column is the name; where the list has none, tick the box that says so.")


def settle_elements(*, batch: ImportBatch, elements: Sequence[str]) -> None:
    """What leaked of everybody on the list, in the words of the vocabulary. Raises FileRefused."""
    unknown = sorted(set(elements) - set(load_packs().vocabulary.elements))
    if unknown:
        raise FileRefused(
            f"'{unknown[0]}' is no element of the vocabulary. Use its words, for example name, email, password_hash; all, with "
            "what they mean, stand on the desk where the columns of a list are confirmed."
        )
    batch.elements = sorted(set(elements))


def settle_country(*, batch: ImportBatch, country: str | None, author: User) -> None:
    """Where everybody on the list lives, as is said now: a code, or nothing. Raises FileRefused.

    None: nobody says anything now. What was said of this list before holds, else what was said of the earlier version of it.
    """
    if CORRECTION_OF in batch.columns:
        # Each of its lines is read as its own list was.
        if country:
            raise FileRefused(
                "A reject file that comes back keeps what was said of the list of each of its lines: leave the country out. What "
                "is wrong with single lines is corrected in their column stated_country."
            )
        batch.list_country, batch.country_by = "", None
    elif country is not None:
        batch.list_country, batch.country_by = country_said(country) if country else "", author
    elif batch.country_by_id is None and (earlier := said_before(batch=batch)):
        batch.list_country, batch.country_by_id = earlier.list_country, earlier.country_by_id


def said_before(*, batch: ImportBatch) -> ImportBatch | None:
    """The earlier version of a list of which a country was said, if there is one; a reject file is no version of a list."""
    earlier = earlier_version(batch=batch, but_for=CORRECTION_OF)
    return earlier if earlier and earlier.list_country else None


def refuse_other_country(*, batch: ImportBatch, country: str) -> None:
    """What is said of a list that is imported already is refused where it is another country, not passed over in silence."""
    said = country_said(country) if country else ""
    if said != batch.list_country:
        raise FileRefused(
            f"This very file was imported before, as list {batch.pk}, with {batch.list_country or 'no country'} said of "
            f"everybody on it, now {said or 'none'}; nothing was changed. An imported list is not read anew: set the residence "
            "of its people in the queue or on their page. Where everybody is wrong and nothing is frozen, open another incident "
            "with the same facts and import the list there (docs/lists.md)."
        )


def remember_source(*, batch: ImportBatch, file: ListFile, author: User) -> None:
    """The next list from the same source is read in the same way."""
    source = batch.source
    if source is None:
        return
    source.mapping = {SEALED: _sealed(source, dict(zip(file.header, file.columns, strict=True)), _bound_to(source))}
    # In the next workbook the sheet may stand in another place.
    source.sheet = _sealed(source, file.sheet, _sheet_of(source)) if file.sheet else ""
    source.encoding, source.delimiter = file.encoding, file.delimiter
    source.elements, source.author, source.saved_at = batch.elements, author, database_now()
    source.save()


def _bound_to(source: ImportSource) -> str:
    return f"import_source|{source.incident.reference}|{source.pk}"


def _sheet_of(source: ImportSource) -> str:
    return f"{_bound_to(source)}|sheet"


def _sealed(source: ImportSource, names: dict[str, str] | str, bound_to: str) -> str:
    """The names of a file's columns or of its sheet, sealed as its rows are: they may be somebody's data."""
    plain = json.dumps(names, ensure_ascii=False).encode()
    return base64.b64encode(Vault(incident=source.incident, people=False).seal_blob(plain=plain, bound_to=bound_to)).decode()


def _opened(source: ImportSource, sealed: str, bound_to: str) -> Any:
    try:
        plain = Vault(incident=source.incident, people=False).open_blob(sealed=base64.b64decode(sealed), bound_to=bound_to)
    except (CannotOpen, ValueError):
        return None
    return json.loads(plain)


def remembered_columns(*, source: ImportSource) -> dict[str, str] | None:
    """How the columns of a source are read, by their names in the file; None where nothing is remembered that can be opened."""
    if set(source.mapping) != {SEALED}:
        return None
    found: dict[str, str] | None = _opened(source, source.mapping[SEALED], _bound_to(source))
    return found


def remembered_sheet(*, source: ImportSource) -> str:
    """The sheet of a source's workbooks that is read; '' where none is remembered that can be opened."""
    return str(_opened(source, source.sheet, _sheet_of(source)) or "") if source.sheet else ""


def may_join(*, batch: ImportBatch) -> None:
    """Refuse a list whose people would come onto a register that is frozen. Raises FileRefused with the way."""
    current = current_amendment(incident=batch.incident)
    if batch.amendment_id is None and batch.incident.campaigns.exists():
        how = f"Give it to amendment {current.number}, which is open" if current else "Open an amendment (amend open)"
        raise FileRefused(
            f"The register is frozen: late-found people join as an amendment with its own clock and signatures. {how}: "
            "import_people INCIDENT FILE --amendment NUMBER. Keep the file; nothing was imported."
        )
    if batch.amendment_id is not None and (current is None or current.pk != batch.amendment_id):
        raise FileRefused(
            "This amendment is not open: its register is frozen, or a later one was opened. Open an amendment (amend open) and "
            "give the list to that one. Nothing was imported."
        )
