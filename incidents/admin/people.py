"""The people: import of a list, the masked list, one person with the whole why, and the look behind the mask."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.column_names import CORRECTABLE, LABELS
from incidents.admin.law import ADDRESSEES, VERIFIED
from incidents.admin.letter_by import letters_by
from incidents.admin.moments import local_text
from incidents.admin.shell import PAGE_SIZE, incident_of, page, posted, whole
from incidents.admin.true_now import NO_QUESTION, true_now
from incidents.admin.viewing import expired, grant, granted
from incidents.letters.staleness import letter_lines
from incidents.models import AffectedPerson, BatchState, Incident, PersonStatus, RowOutcome
from incidents.models.duties import Handling
from incidents.models.refusal import Refused
from incidents.people.asking import told_by
from incidents.people.compared import as_indexed_before, normal_address
from incidents.people.decided import done_in_words
from incidents.people.decisions import LATER, WAITING
from incidents.people.erasing import refuse_to_show
from incidents.people.explaining import explain
from incidents.people.importing import account
from incidents.people.kept import open_row
from incidents.people.reading import plain_columns
from incidents.people.reviewing import list_row
from incidents.people.said_of_all import country_behind, evidence_in_words
from incidents.vault import CannotOpen, PersonFields, Vault, mask

FIELD_LABELS = {
    "full_name": "Name",
    "given_name": "Given name",
    "family_name": "Family name",
    "emails": "E-mail",
    "phone": "Telephone",
    "street": "Street",
    "city": "City",
    "region": "Region",
    "postcode": "Postcode",
    "customer_number": "Customer number",
    "date_of_birth": "Date of birth",
}


@dataclass(frozen=True)
class Masked:
    """A person as a list may show them."""

    person: AffectedPerson
    name: str
    email: str
    #: What says where they live, in the order of trust: the place that it names (or may mean), and the columns.
    evidence: tuple[tuple[str, str], ...] = ()

    @property
    def decided_by(self) -> str:
        """The evidence that decided the residence."""
        return evidence_in_words(self.person.residence_from)


def masked(*, incident: Incident, people: Iterable[AffectedPerson]) -> list[Masked]:
    """First letters only; what cannot be opened says so."""
    vault = Vault(incident=incident)
    return [_masked(vault, person) for person in people]


def _masked(vault: Vault, person: AffectedPerson) -> Masked:
    try:
        fields = vault.open(person=person)
    except CannotOpen:
        return Masked(person, "(erased)", "")
    of_list = country_behind(person.residence_from, person.residence)
    evidence = _evidence(list_row(person=person, fields=fields), of_list)
    return Masked(person, mask(fields.full_name), mask(fields.emails[0]) if fields.emails else "", evidence)


def _evidence(row: Mapping[str, str], of_list: str) -> tuple[tuple[str, str], ...]:
    told: dict[str, list[str]] = {}
    for column, places in told_by(row, of_list=of_list):
        told.setdefault(" or ".join(places) or "no place we know", []).append(LABELS.get(column) or evidence_in_words(column))
    return tuple((places, ", ".join(columns)) for places, columns in told.items())


@require_GET
def people(request: HttpRequest, incident_id: int) -> HttpResponse:
    """The list, fifty at a time in the order of import, and how the rows add up."""
    incident = incident_of(incident_id)
    chosen = _filtered(incident, request)
    after, before = whole(request.GET.get("after", "")), whole(request.GET.get("before", ""))
    rows, older, newer = keyset(chosen, after=after, before=before)
    return page(
        request,
        "people",
        title="People",
        incident=incident,
        tab="people",
        rows=list(zip(masked(incident=incident, people=rows), true_now(people=rows), strict=True)),
        older=older,
        newer=newer,
        query=_query(request),
        numbers=account(incident=incident),
        lists=incident.imports.exclude(state__in=[BatchState.DONE, BatchState.CANCELLED]).order_by("-id"),
        statuses=[(value, NO_QUESTION if value == PersonStatus.CLEAR else label) for value, label in PersonStatus.choices],
        residences=incident.cohorts.filter(count__gt=0).order_by("residence").values_list("residence", flat=True).distinct(),
    )


def _filtered(incident: Incident, request: HttpRequest) -> QuerySet[AffectedPerson]:
    asked = {
        "status": request.GET.get("status", ""),
        "residence": request.GET.get("residence", ""),
        "cohort_id": whole(request.GET.get("cohort", "")),
        "reference": request.GET.get("reference", "").strip(),
    }
    return incident.people.filter(**{name: value for name, value in asked.items() if value}).select_related("cohort")


def keyset(rows: QuerySet[Any], *, after: int, before: int) -> tuple[list[Any], int, int]:
    """A page by primary key, without counting: rows, marker of the next page, marker of the one before (0: none)."""
    if before:
        found = list(rows.filter(pk__lt=before).order_by("-pk")[: PAGE_SIZE + 1])
        more, page_rows = len(found) > PAGE_SIZE, found[:PAGE_SIZE][::-1]
        return page_rows, page_rows[-1].pk if page_rows else 0, page_rows[0].pk if more else 0
    found = list(rows.filter(pk__gt=after).order_by("pk")[: PAGE_SIZE + 1])
    page_rows = found[:PAGE_SIZE]
    more = len(found) > PAGE_SIZE
    return page_rows, page_rows[-1].pk if more else 0, page_rows[0].pk if after and page_rows else 0


def _query(request: HttpRequest) -> str:
    """The filters again, for the links to other pages."""
    kept = {name: request.GET[name] for name in ("status", "residence", "cohort", "reference") if request.GET.get(name)}
    return f"{urlencode(kept)}&" if kept else ""


@require_POST
def find_person(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Find a person by e-mail address, or by the code of the letter in a caller's hand; neither is in a URL or a log."""
    incident, asked = incident_of(incident_id), posted(request, "address")
    found = by_code(incident=incident, code=asked) or by_address(incident=incident, address=asked)
    if found is None:
        messages.warning(
            request, "Nobody on this list has that address or code. If somebody read it from a letter, it is not ours."
        )
        return redirect("admin:people", incident_id)
    return redirect("admin:person", incident_id, found.pk)


def by_address(*, incident: Incident, address: str) -> AffectedPerson | None:
    """Whose address this is, the first one or a further one, through the blind index."""
    vault, forms = Vault(incident=incident, people=False), {normal_address(address), as_indexed_before(address)}
    indexes = [vault.blind(kind="email", value=form) for form in sorted(forms)]
    found = Q(email_index__in=indexes) | Q(other_email_indexes__isnull=False, other_email_indexes__overlap=indexes)
    return incident.people.filter(found).order_by(F("merged_into").asc(nulls_first=True), "id").first() if address else None


def by_code(*, incident: Incident, code: str) -> AffectedPerson | None:
    """Who got the letter with this code."""
    beginning = code.replace("-", "").replace(" ", "").lower()
    if not re.fullmatch(r"[0-9a-f]{16}", beginning):
        return None
    return incident.people.filter(register_entries__messages__message_ref__startswith=beginning).first()


def person_of(incident_id: int, person_id: int) -> AffectedPerson:
    """A person of this incident, or 404."""
    return get_object_or_404(AffectedPerson.objects.select_related("incident", "cohort"), pk=person_id, incident_id=incident_id)


@require_GET
def person(request: HttpRequest, incident_id: int, person_id: int) -> HttpResponse:
    """One person, masked: where from, which law, which letter, what happened."""
    return _person_page(request, person_of(incident_id, person_id), fields=None)


def _readable(why: dict[str, Any], zone: str) -> dict[str, Any]:
    """The explanation with its codes in words and its moments at the incident's place."""
    for duty in why["obligations"]:
        place = readable_duty(duty, zone)
        duty["verified"] = VERIFIED.get(str(duty["verified"]), "no pack")
        duty["legal_end"] = _moment_or_day((duty["deadline"] or {}).get("legal_end_at"), place)
        duty["ours"] = _moment_or_day(duty["internal_target_at"], place)
    for place in why["might_apply"]["places"]:
        for duty in (*place["duties"], *place["others_told"]):
            readable_duty(duty, zone)
    for message in why["messages"]:
        message["accepted_at"] = _moment_or_day(message["accepted_at"], "UTC")
    for event in why["log"]:
        event["at"] = _moment_or_day(event["at"], "UTC")
    why["person"]["decided_by"] = evidence_in_words(why["person"]["decided_by"])
    return why


def readable_duty(duty: dict[str, Any], zone: str) -> str:
    """Add to a duty what we do, its clock and its end in words; returns the zone in which it ends."""
    deadline = duty["deadline"] or {}
    place: str = deadline.get("zone") or zone
    duty["handling"] = Handling(duty["handling"]).label
    duty["told"] = "letter" if duty["addressee"] == "person" else f"notice to the {ADDRESSEES[duty['addressee']]}"
    duty["clock"] = str(deadline.get("kind", "")).replace("_", " ")
    duty["due"] = _moment_or_day(deadline.get("shown_at"), place)
    return place


def _moment_or_day(text: str | None, zone: str) -> str:
    if not text or "T" not in text:
        return f"{date.fromisoformat(text):%a %-d %b %Y}, end of the day there" if text else ""
    return local_text(datetime.fromisoformat(text), zone)


def _why(found: AffectedPerson) -> dict[str, Any]:
    marks = letter_lines(incident=found.incident)
    return explain(incident=found.incident, reference=found.reference, letter_marks=marks)


def _person_page(request: HttpRequest, found: AffectedPerson, *, fields: list[tuple[str, str]] | None) -> HttpResponse:
    incident = found.incident
    queue = list(found.queue.select_related("person", "other", "decided_by", "second_by").order_by("id"))
    done = done_in_words(entries=queue)
    return page(
        request,
        "person",
        title=f"Person {found.reference}",
        incident=incident,
        tab="people",
        shown=masked(incident=incident, people=[found])[0],
        why=_readable(_why(found), incident.facts.facts["zone"]),
        fields=fields,
        now=true_now(people=[found])[0],
        by=letters_by(people=[found], zone=incident.facts.facts["zone"])[0],
        queue=[(entry, done[entry.pk]) for entry in queue],
        correctable=CORRECTABLE.items(),
        versions=found.versions.select_related("author").order_by("-number"),
        erasures=found.erasures.order_by("-id"),
        exclusions=found.exclusions.select_related("proposed_by", "confirmed_by").order_by("-id"),
    )


@require_POST
def reveal(request: HttpRequest, incident_id: int, person_id: int) -> HttpResponse:
    """Log the purpose, then open the mask."""
    found = person_of(incident_id, person_id)
    try:
        refuse_to_show(person=found)
        what, purpose = f"person:{found.pk}", posted(request, "purpose")
        pass_ = grant(request=request, incident=found.incident, what=what, purpose=purpose, subject=found.subject)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:person", incident_id, person_id)
    return redirect("admin:person_open", incident_id, person_id, pass_)


@require_GET
def person_open(request: HttpRequest, incident_id: int, person_id: int, pass_: str) -> HttpResponse:
    """The person without the mask."""
    found = person_of(incident_id, person_id)
    if not granted(request=request, pass_=pass_, what=f"person:{found.pk}"):
        return expired(request, "admin:person", incident_id, person_id)
    try:
        # The pass may be older than the backup that brought somebody back.
        refuse_to_show(person=found)
    except Refused as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:person", incident_id, person_id)
    return _person_page(request, found, fields=_clear(found))


def _clear(found: AffectedPerson) -> list[tuple[str, str]]:
    try:
        fields = Vault(incident=found.incident).open(person=found)
    except CannotOpen as error:
        return [("Record", str(error))]
    return [(label, _value(fields, name)) for name, label in FIELD_LABELS.items() if _value(fields, name)] + [
        *((f"As imported: {name.replace('_', ' ')}", value) for name, value in fields.evidence),
        *_not_taken(found),
        *_said_later(found),
    ]


def _not_taken(found: AffectedPerson) -> list[tuple[str, str]]:
    """Cells that are asked about, as the list had them: what could not be taken stands in no other place."""
    asked = {entry.column for entry in found.queue.all() if entry.column}
    vault, shown = Vault(incident=found.incident, people=False), []
    for row in found.import_rows.filter(sealed__isnull=False).select_related("batch"):
        cells = open_row(sealed=row.sealed, vault=vault, incident=found.incident.reference).cells
        named = zip(plain_columns(row.batch.columns), cells, strict=False)
        shown += [(f"In row {row.number}: {name.replace('_', ' ')}", cell) for name, cell in named if name in asked and cell]
    return shown


def _said_later(found: AffectedPerson) -> list[tuple[str, str]]:
    """What a later list says otherwise than the record that was signed, as its rows were read, while a decision is waited for."""
    if not found.queue.filter(status__in=WAITING, reason__startswith=LATER).exists():
        return []
    vault, signed, shown = Vault(incident=found.incident, people=False), Vault(incident=found.incident).open(person=found), []
    rows = found.import_rows.filter(outcome=RowOutcome.MERGED, sealed__isnull=False).select_related("batch").order_by("id")
    for row in rows:
        said = open_row(sealed=row.sealed, vault=vault, incident=found.incident.reference).fields
        names = [name for name in FIELD_LABELS if said and _value(said, name) not in {"", _value(signed, name)}]
        shown += [(f"List {row.batch_id}, row {row.number}: {FIELD_LABELS[name]}", _value(said, name)) for name in names]  # type: ignore[arg-type]
    return shown


def _value(fields: PersonFields, name: str) -> str:
    value = getattr(fields, name)
    return ", ".join(value) if isinstance(value, tuple) else str(value)
