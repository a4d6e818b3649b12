"""The lists: upload, columns confirmed beside sample rows, progress, and what became of every row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.column_names import LABELS
from incidents.admin.shell import attempt, incident_of, officer, page, posted
from incidents.admin.spool import SealingHandler
from incidents.admin.viewing import expired, grant, granted
from incidents.law.pack import load_packs
from incidents.law.places import plain
from incidents.models import BatchState, ImportBatch, RowOutcome
from incidents.models.refusal import Refused
from incidents.people import uploads
from incidents.people.amending import current_amendment
from incidents.people.comparing import earlier_version
from incidents.people.importing import account, cancel, confirm, look, look_and_keep
from incidents.people.looking import CORRECTION_OF, read_as_said, said_before, still_compared
from incidents.people.milestones import percent_made
from incidents.people.reading import FileAsked, FileRefused, dates_of, delimiter_name
from incidents.people.reading.encodings import IN_USE
from incidents.people.rejected_again import Again, rejected_again
from incidents.people.residence import PART_UNKNOWN, is_residence
from incidents.tasks import wake_import
from incidents.vault import mask

#: While a list is in one of these, its page asks for its progress again and again.
MOVING = frozenset({BatchState.WAITING, BatchState.READING, BatchState.SETTLING})
ENCODINGS = (("utf-8", IN_USE["utf-8"]), ("utf-16", "with its mark"), *list(IN_USE.items())[1:])
DELIMITERS = ((",", "comma"), (";", "semicolon"), ("\t", "tab"), ("|", "bar"))
ASKED = ("encoding", "delimiter", "sheet")
#: In the session, of the list whose columns were asked about last: what was chosen. By place, for the name of a column is
#: somebody's data where a file has no header.
CHOSEN = "columns"
#: The reader's remedies name the options of the command line; here they are fields of the list's own form.
OPTION = re.compile(r"--(encoding|delimiter|sheet) ('[^']*'|[\w-]+)")
FIELDS = {"encoding": "Encoding", "delimiter": "Delimiter", "sheet": "Sheet of a workbook"}


@require_GET
def lists(request: HttpRequest, incident_id: int) -> HttpResponse:
    """All lists of the incident, how far each is, and the form for another."""
    incident = incident_of(incident_id)
    found = incident.imports.select_related("author", "source", "amendment").order_by("-id")
    return page(
        request, "lists", title="Lists", incident=incident, tab="people", lists=found, numbers=account(incident=incident),
        sources=incident.sources.order_by("name"), frozen=incident.campaigns.exists(),
        amendment=current_amendment(incident=incident),
    )  # fmt: skip


@csrf_exempt
@require_POST
def upload(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Take a file. The handler has to be set before the form is read, and the form is read by the CSRF check."""
    request.upload_handlers = [SealingHandler(request)]
    response: HttpResponse = _upload(request, incident_id)
    return response


@csrf_protect
def _upload(request: HttpRequest, incident_id: int) -> HttpResponse:
    incident, file = incident_of(incident_id), request.FILES.get("list")
    if not isinstance(file, UploadedFile):
        messages.error(request, "Choose a file first: a CSV or an Excel workbook (.xlsx) with a header row.")
        return redirect("admin:lists", incident_id)
    taken: list[ImportBatch] = []

    def step() -> str:
        source, author = posted(request, "source"), officer(request)
        batch = uploads.receive(incident=incident, chunks=file.chunks(), author=author, source=source)
        taken.append(batch)
        return _arrived(batch)

    attempt(request, step)
    return redirect("admin:list", incident_id, taken[0].pk) if taken else redirect("admin:lists", incident_id)


def _arrived(batch: ImportBatch) -> str:
    """What can be read in no way is refused now, by whoever brought it; what is only asked about, its page asks."""
    if batch.state == BatchState.DONE:
        return f"This very file is already imported, as list {batch.pk}. Nothing was changed."
    if batch.state in MOVING:
        return f"This very file is here already, as list {batch.pk}, and its import has begun. Nothing was changed."
    if batch.state == BatchState.UPLOADED and not batch.columns:
        try:
            look_and_keep(batch=batch)
        except FileRefused as refusal:
            if refusal.for_good:
                raise Refused(*map(on_the_page, refusal.lines)) from None
    return "The list is here, sealed. Nothing is imported before its columns are confirmed."


def list_of(incident_id: int, batch_id: int) -> ImportBatch:
    """A list of this incident, or 404."""
    related = ImportBatch.objects.select_related(
        "incident", "source", "author", "amendment", "corrects", "replaces", "country_by"
    )
    return get_object_or_404(related, pk=batch_id, incident_id=incident_id)


@require_GET
def one_list(request: HttpRequest, incident_id: int, batch_id: int) -> HttpResponse:
    """One list: its columns to be confirmed, its progress, or its report."""
    return _list_page(request, list_of(incident_id, batch_id), clear=False)


@require_GET
def list_open(request: HttpRequest, incident_id: int, batch_id: int, pass_: str) -> HttpResponse:
    """The same with the sample rows unmasked."""
    if not granted(request=request, pass_=pass_, what=f"list:{batch_id}"):
        return expired(request, "admin:list", incident_id, batch_id)
    return _list_page(request, list_of(incident_id, batch_id), clear=True)


@require_POST
def list_reveal(request: HttpRequest, incident_id: int, batch_id: int) -> HttpResponse:
    """Log the purpose, then show the sample rows."""
    batch = list_of(incident_id, batch_id)
    # The rows are shown as they are read at this moment; nothing remembers that before the columns are confirmed.
    asked = {name: posted_raw(request, name) for name in ASKED}
    if "ours" in request.POST:
        _keep_choices(request, batch, asked)
    try:
        pass_ = grant(request=request, incident=batch.incident, what=f"list:{batch.pk}", purpose=posted(request, "purpose"))
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:list", incident_id, batch_id)
    return redirect(reverse("admin:list_open", args=(incident_id, batch_id, pass_)) + _query(asked))


def _list_page(request: HttpRequest, batch: ImportBatch, *, clear: bool) -> HttpResponse:
    incident, extra, comparing = batch.incident, dict[str, Any](), _comparing(request, batch)
    if batch.state == BatchState.UPLOADED:
        extra = _columns(request, batch, clear)
    if batch.state == BatchState.REFUSED or batch.state in MOVING:
        extra = {"refusal": on_the_page(batch.refusal), "percent": percent_made(batch=batch)}
    return page(
        request, "list", title=f"List {batch.pk}", incident=incident, tab="people", batch=batch, comparing=comparing,
        moving=comparing or batch.state in MOVING, dates=dates_of(batch.columns),
        outcomes=_outcomes(batch) if batch.state == BatchState.DONE else [], clear=clear,
        again=rejected_again(batch=batch) if batch.state == BatchState.DONE else Again(),
        country=country_name(batch.list_country) if batch.list_country else "", **extra,
    )  # fmt: skip


def _comparing(request: HttpRequest, batch: ImportBatch) -> bool:
    """Whether the page waits for what the list changes of an earlier one; nothing else says so while the importer works."""
    return "comparing" in request.GET and _to_compare(batch)


def on_the_page(text: str) -> str:
    """A refusal with its remedy as this page has it: a field of the form, in place of an option of the command."""
    return OPTION.sub(lambda said: f"the field {FIELDS[said[1]]} ({said[2]}) under 'Read the file in another way'", text)


def _columns(request: HttpRequest, batch: ImportBatch, clear: bool) -> dict[str, Any]:
    """What the page asks before an import: every column with what it seems to hold, and what the list changes."""
    asked = {name: request.GET.get(name) or None for name in ASKED}
    shown = {
        "asked": asked, "encodings": ENCODINGS, "delimiters": DELIMITERS, "labels": LABELS.items(), "problem": "",
        "amendment": current_amendment(incident=batch.incident), "vocabulary": sorted(load_packs().vocabulary.elements.items()),
        "earlier": earlier_version(batch=batch), **_countries(request, batch),
    }  # fmt: skip
    try:
        seen = look(batch=batch, mapping=None, **asked)
    except Refused as refusal:
        asked_for, choices = (refusal.question, refusal.choices) if isinstance(refusal, FileAsked) else ("", ())
        named = tuple(map(delimiter_name, choices)) if asked_for == "delimiter" else choices
        return {**shown, "problem": on_the_page(" ".join(refusal.lines)), "choices": named}
    # From here on by its place: a name would stand in the address of the page, and in the session.
    asked["sheet"] = seen.file.sheet_at if asked["sheet"] else None
    samples = [(number, [_cell(cell, clear) for cell in cells]) for number, cells in seen.samples]
    chosen, ticked = _chosen(request, batch, asked, len(seen.file.header))
    ours = chosen or [seen.mapping.get(name, "") for name in seen.file.header]
    columns = [
        {
            "name": name,
            "ours": ours[at],
            "dates": dates,
            "cells": [cells[at] for _, cells in samples[:3] if at < len(cells)],
        }
        for at, (name, dates) in enumerate(zip(seen.file.header, seen.file.dates, strict=True))
    ]
    found = {"chosen": bool(chosen), "ticked": ticked, "comes_back": CORRECTION_OF in ours}
    return {**shown, "seen": seen, "columns": columns, "samples": samples, **found}


def _chosen(request: HttpRequest, batch: ImportBatch, asked: dict[str, str | None], columns: int) -> tuple[list[str], list[str]]:
    """What was chosen for these columns and ticked before, if they are read as then: by the reader, or for the comparison."""
    kept: dict[str, Any] = request.session.get(CHOSEN) or {}
    if kept.get("list") == batch.pk and kept["asked"] == asked and len(kept["ours"]) == columns:
        return list(kept["ours"]), list(kept["elements"])
    if batch.difference is not None and not any(asked.values()) and len(batch.columns) == columns:
        return list(batch.columns), list(batch.elements)
    return [], []


def _keep_choices(request: HttpRequest, batch: ImportBatch, said: dict[str, str | None]) -> None:
    """Before anything is refused: the page shows what was posted, and never its own guess again."""
    ours = [name if name in LABELS else "" for name in request.POST.getlist("ours")]
    known = load_packs().vocabulary.elements
    elements = [word for word in request.POST.getlist("elements") if word in known]
    country = _country(request) or ""
    known_country = country if is_residence(country) else ""
    request.session[CHOSEN] = {"list": batch.pk, "asked": said, "ours": ours, "elements": elements, "country": known_country}


def _countries(request: HttpRequest, batch: ImportBatch) -> dict[str, Any]:
    """The countries that can be said of the whole list, with what was chosen before, or said of the earlier version of it."""
    kept, earlier = request.session.get(CHOSEN) or {}, None if batch.country_by_id else said_before(batch=batch)
    said = earlier.list_country if earlier else batch.list_country
    chosen = kept.get("country", "") if kept.get("list") == batch.pk else said
    codes = {pack.id for pack in load_packs() if pack.kind == "country"} | {*PART_UNKNOWN} | ({chosen} if chosen else set())
    countries = sorted(((code, country_name(code)) for code in codes), key=lambda pair: plain(pair[1]))
    return {"countries": countries, "everybody": chosen, "everybody_earlier": earlier if chosen == said else None}


def country_name(code: str) -> str:
    """A country by name, a part of one by the name of its pack."""
    pack = load_packs().packs.get(code)
    return str(Locale("en").territories.get(code) or (pack.name if pack else code))


def _cell(text: str, clear: bool) -> str:
    return text if clear else mask(text)


def _outcomes(batch: ImportBatch) -> list[tuple[str, int]]:
    return [(str(outcome.label), batch.import_rows.filter(outcome=outcome).count()) for outcome in RowOutcome]


@require_GET
def list_progress(request: HttpRequest, incident_id: int, batch_id: int) -> HttpResponse:
    """How far one list is: the part of the page that is asked for again."""
    batch = list_of(incident_id, batch_id)
    comparing = _comparing(request, batch)
    return page(
        request,
        "list_progress",
        title="",
        incident=batch.incident,
        batch=batch,
        moving=comparing or batch.state in MOVING,
        comparing=comparing,
        compared="comparing" in request.GET and not comparing,
        refusal=on_the_page(batch.refusal),
        percent=percent_made(batch=batch),
    )


@require_POST
def list_confirm(request: HttpRequest, incident_id: int, batch_id: int) -> HttpResponse:
    """Confirm the columns: from here on the importer works. A newer version of a list is compared first."""
    batch = list_of(incident_id, batch_id)
    said = {name: posted_raw(request, name) for name in ASKED}
    _keep_choices(request, batch, said)

    def step() -> str:
        try:
            return _compared(batch, request, said) or _confirmed(batch, request, said)
        except Refused as refusal:
            raise Refused(*map(on_the_page, refusal.lines)) from None

    done = attempt(request, step)
    if batch.state != BatchState.UPLOADED:
        request.session.pop(CHOSEN, None)
        return redirect("admin:list", incident_id, batch_id)
    said_too = {"comparing": "1"} if done and _to_compare(batch) else {}
    return redirect(reverse("admin:list", args=(incident_id, batch_id)) + _query({**said, **said_too}))


def _query(said: dict[str, str | None]) -> str:
    """How a list is read at this moment, for the address of its page."""
    asked = urlencode({name: value for name, value in said.items() if value})
    return f"?{asked}" if asked else ""


def _to_compare(batch: ImportBatch) -> bool:
    return batch.state == BatchState.UPLOADED and batch.difference is None and earlier_version(batch=batch) is not None


def _compared(batch: ImportBatch, request: HttpRequest, said: dict[str, str | None]) -> str:
    """Have it found out what a newer version changes; empty where that is known of the list as it is read now."""
    if batch.state != BatchState.UPLOADED or earlier_version(batch=batch) is None:
        return ""
    elements, country = request.POST.getlist("elements"), _country(request)
    known = batch.difference is not None
    read_as_said(batch=batch, mapping=_mapping(request), elements=elements, country=country, author=officer(request), **said)
    if still_compared(batch=batch):
        return ""
    if not wake_import(batch.pk, compare=True):
        raise Refused("The importer cannot be woken: the broker does not answer. Try again when it does.")
    if known:
        return "Something is not as it was when this list was compared: what it changes is being found out anew; confirm it then."
    return "A list of this source was imported before. What this one changes is being found out; confirm it then."


def _confirmed(batch: ImportBatch, request: HttpRequest, said: dict[str, str | None]) -> str:
    confirm(
        batch=batch, mapping=_mapping(request), elements=request.POST.getlist("elements"), author=officer(request),
        amendment=current_amendment(incident=batch.incident), no_names="no_names" in request.POST, country=_country(request),
        **said,
    )  # fmt: skip
    woken = wake_import(batch.pk)
    return "Confirmed. The import begins." if woken else "Confirmed. The import begins when the importer looks again."


def posted_raw(request: HttpRequest, name: str) -> str | None:
    """A field of the post as it is (a tab is a delimiter); None when it is empty."""
    return request.POST.get(name) or None


def _country(request: HttpRequest) -> str | None:
    """The country of everybody on the list as the form has it: empty where nobody says one, None without the field."""
    said = request.POST.get("country")
    return None if said is None else said[:8]


def _mapping(request: HttpRequest) -> dict[str, str]:
    names: Sequence[str] = request.POST.getlist("column")
    ours: Sequence[str] = request.POST.getlist("ours")
    return dict(zip(names, ours, strict=False))


@require_POST
def list_cancel(request: HttpRequest, incident_id: int, batch_id: int) -> HttpResponse:
    """Give up a list that is not imported yet; its parts are deleted."""
    batch = list_of(incident_id, batch_id)

    def step() -> str:
        cancel(batch=batch, author=officer(request))
        return "The list is given up; its sealed parts are deleted. Nothing of it was imported."

    attempt(request, step)
    return redirect("admin:lists", incident_id)
