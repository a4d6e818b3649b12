"""The queues: what a person must decide about rows and people, one by one or many at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_GET, require_POST

from incidents.admin.column_names import CORRECTABLE, column_in_words
from incidents.admin.desk import queue_counts
from incidents.admin.people import keyset, masked, readable_duty
from incidents.admin.shell import attempt, count, incident_of, officer, page, posted, whole
from incidents.admin.ways_back import page_again
from incidents.models import Incident, QueueEntry
from incidents.models.people import QueueKind, QueueStatus
from incidents.models.refusal import Refused
from incidents.people.country_words import CountryWord, entries_of, shared_words
from incidents.people.decided import done_in_words
from incidents.people.deciding import (
    RESIDENCE_KINDS,
    accept,
    confirm_rejection,
    correct_address,
    correct_fields,
    correct_residence,
    hold,
    propose_rejection,
    refuse_rejection,
)
from incidents.people.decisions import AGAIN, NOTHING_DECIDED
from incidents.people.importing import account
from incidents.people.merging import keep_apart, merge_people
from incidents.people.possible_laws import alike, depends, possible_laws, waits
from incidents.people.rejected_again import earlier_rejections, propose_again
from incidents.people.representing import confirm_safe, name_representative

ADDRESS_KINDS = (QueueKind.ADDRESS, QueueKind.NO_CHANNEL)
#: The answers each queue can have; the domain refuses the rest in any case.
ANSWERS = {
    "accept": frozenset(QueueKind) - {QueueKind.ROW, QueueKind.MATCH_CONFLICT, QueueKind.DO_NOT_CONTACT, *ADDRESS_KINDS},
    "one": frozenset({QueueKind.MATCH_CONFLICT}),
    "two": frozenset({QueueKind.MATCH_CONFLICT}),
    "fields": frozenset({QueueKind.DATA}),
    "representative": frozenset({QueueKind.GUARDIAN, QueueKind.NEXT_OF_KIN}),
    "safe": frozenset({QueueKind.SAFE_ADDRESS, QueueKind.DO_NOT_CONTACT}),
    "residence": frozenset(RESIDENCE_KINDS),
    "address": frozenset(ADDRESS_KINDS),
    "hold": frozenset(QueueKind) - {QueueKind.ROW},
    "propose": frozenset(QueueKind),
    "again": frozenset({QueueKind.DATA}),
    "confirm": frozenset(QueueKind),
    "refuse": frozenset(QueueKind),
}
#: The answers to a rejection that waits for a second person.
OF_PROPOSED = frozenset({"confirm", "refuse"})


@require_GET
def queues(request: HttpRequest, incident_id: int) -> HttpResponse:
    """All queues with their counts."""
    incident = incident_of(incident_id)
    numbers = account(incident=incident)
    found = queue_counts(incident)
    return page(request, "queues", title="Queues", incident=incident, tab="queues", queues=found, numbers=numbers)


@require_GET
def queue(request: HttpRequest, incident_id: int, kind: str) -> HttpResponse:
    """One queue, fifty entries at a time, with the decisions that fit it."""
    incident, known = incident_of(incident_id), _kind(kind)
    counts = next((found for found in queue_counts(incident) if found["kind"] == kind), {})
    status = request.GET.get("status") or next((value for value in QueueStatus.values if counts.get(value)), "open")
    entries = incident.queue.filter(kind=kind, status=status).select_related(
        "person__amendment", "other", "row", "decided_by", "second_by"
    )
    rows, older, newer = keyset(entries, after=whole(request.GET.get("after", "")), before=whole(request.GET.get("before", "")))
    return page(
        request,
        "queue",
        title=str(known.label),
        incident=incident,
        tab="queues",
        kind=kind,
        status=status,
        statuses=[(one.value, one.words, counts.get(one.value, 0)) for one in QueueStatus],
        rows=_shown(incident, rows),
        older=older,
        newer=newer,
        here=counts.get(status, 0),
        answers=_answers(known, status),
        rejected_before=known == QueueKind.DATA and entries.filter(reason=AGAIN).exists(),
        words=_words(incident, known, status),
        fields=CORRECTABLE.items(),
    )


def _words(incident: Incident, kind: QueueKind, status: str) -> list[CountryWord]:
    """What many rows have as their country: one decision for all of them."""
    if kind not in RESIDENCE_KINDS or "residence" not in _answers(kind, status):
        return []
    return shared_words(incident=incident, entries=incident.queue.filter(kind=kind, status=status))


def _kind(kind: str) -> QueueKind:
    if kind not in QueueKind.values:
        raise Http404
    return QueueKind(kind)


def _answers(kind: QueueKind, status: str) -> set[str]:
    if status == QueueStatus.REJECTION_PROPOSED:
        return set(OF_PROPOSED)
    if status not in {QueueStatus.OPEN, QueueStatus.HELD}:
        return set()
    late = {"hold"} if status == QueueStatus.HELD else set()
    return {answer for answer, kinds in ANSWERS.items() if kind in kinds} - OF_PROPOSED - late


def _shown(incident: Incident, entries: list[QueueEntry]) -> list[dict[str, Any]]:
    people = [entry.person for entry in entries if entry.person]
    named, laws = iter(masked(incident=incident, people=people)), _laws(incident, entries)
    rejections, done = earlier_rejections(entries=entries), done_in_words(entries=entries)
    return [
        {
            "entry": entry, "person": (shown := next(named) if entry.person else None), "row": _row(entry),
            "evidence": shown.evidence if shown and entry.kind in RESIDENCE_KINDS else (),
            "places": (places := laws.get(entry.person_id or 0, [])), "alike": alike(places),
            "depends": depends(places), "waits": waits(entries=[entry]),
            "before": rejections.get(entry.pk), "column": column_in_words(entry.column),
            "done": done[entry.pk] if entry.status == QueueStatus.CORRECTED else "",
        }
        for entry in entries
    ]  # fmt: skip


def _laws(incident: Incident, entries: list[QueueEntry]) -> dict[int, list[dict[str, Any]]]:
    """For people whose residence is asked about: what the law would ask at each possible place."""
    doubtful = [entry.person for entry in entries if entry.person and entry.kind in RESIDENCE_KINDS]
    found = possible_laws(incident=incident, people=doubtful)
    zone = incident.facts.facts["zone"]  # asked once: it is a question to the database, and the places are hundreds
    for place in (place for places in found.values() for place in places):
        for duty in place["duties"]:
            readable_duty(duty, zone)
    return found


def _row(entry: QueueEntry) -> int | None:
    row = entry.row or (entry.person.import_rows.order_by("id").first() if entry.person else None)
    return row.number if row else None


@require_POST
def decide(request: HttpRequest, incident_id: int, kind: str) -> HttpResponse:
    """Take one decision for the chosen entries, or for the whole of this list."""
    incident = incident_of(incident_id)
    status = posted(request, "status") or QueueStatus.OPEN
    entries = incident.queue.filter(kind=_kind(kind), status=status)
    scope, _, word = posted(request, "scope").partition(":")
    if scope == "word":
        entries = entries.filter(pk__in=entries_of(incident=incident, entries=entries, key=word))
    elif scope != "all":
        entries = entries.filter(pk__in=[whole(pk) for pk in request.POST.getlist("entry")])
    done = attempt(request, lambda: _decide(incident, entries, request), again=True)
    here = f"{request.path.removesuffix('decide/')}?status={status}"
    return redirect(here if done else page_again(request, here))


def _decide(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    step = STEPS.get(posted(request, "do"))
    if step is None:
        raise Refused("Choose what to do with these entries.")
    if not entries.exists():
        raise Refused("No entry is chosen. Tick entries, or choose the whole list.")
    return step(incident, entries, request)


def _told(done: int, *words: str) -> str:
    """How many were decided, in words. Raises Refused where nothing was: that is no success."""
    if not done:
        raise Refused(NOTHING_DECIDED)
    return count(done, *words)


def _hold(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = hold(
        incident=incident,
        entries=entries,
        until=_day(posted(request, "until")),
        reason=posted(request, "reason"),
        author=officer(request),
    )
    return f"{_told(done, 'entry', 'entries')} held until {posted(request, 'until')}. Their deadlines run on."


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Refused("Give the day until which they are held, as year-month-day, such as 2026-03-31.") from None


def _accept(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = accept(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'entry', 'entries')} accepted as they stand."


def _residence(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = correct_residence(
        incident=incident,
        entries=entries,
        residence=posted(request, "residence").upper(),
        reason=posted(request, "reason"),
        author=officer(request),
    )
    return f"{_told(done, 'entry', 'entries')}: the residence is set. Ask the law again."


def _only(entries: QuerySet[QueueEntry], what: str) -> QueueEntry:
    """The one entry that is chosen; a refusal when there are several."""
    chosen = list(entries.select_related("person", "incident")[:2])
    if len(chosen) != 1:
        raise Refused(f"{what} belongs to one person: tick exactly one entry.")
    return chosen[0]


def _address(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    correct_address(
        incident=incident,
        entry=_only(entries, "An address"),
        address=posted(request, "address"),
        reason=posted(request, "reason"),
        author=officer(request),
    )
    return "The address is corrected."


def _one(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = merge_people(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'person', 'people')} merged. Each merge can be taken back."


def _two(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = keep_apart(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'entry', 'entries')}: they are two people, and are not asked about again."


def _fields(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    field, value = posted(request, "field"), posted(request, "value")
    if field not in CORRECTABLE:
        raise Refused("Choose the field that is corrected.")
    entry, author = _only(entries, "A correction"), officer(request)
    done = correct_fields(incident=incident, entry=entry, changes={field: value}, reason=posted(request, "reason"), author=author)
    return f"Corrected; {count(done, 'question is', 'questions are')} answered by it."


def _representative(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    said = {name: posted(request, f"representative_{name}") for name in ("role", "name", "email")}
    entry = _only(entries, "A representative")
    done = name_representative(entry=entry, reason=posted(request, "reason"), author=officer(request), **said)
    return f"The letter goes to the representative and says for whom it is; {count(done, 'question')} answered."


def _safe(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = confirm_safe(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'entry', 'entries')}: e-mail is safe, said by you; nothing goes by post."


def _propose(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = propose_rejection(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'rejection')} proposed; a second person has to confirm."


def _again(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = propose_again(incident=incident, entries=entries, author=officer(request))
    return f"{_told(done, 'rejection')} proposed for the reason that was given before; a second person has to confirm."


def _confirm(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = confirm_rejection(incident=incident, entries=entries, author=officer(request))
    if not done:  # the second of two clicks, which waited for the first
        raise Refused("Nothing is left to confirm here: it was decided a moment ago, perhaps by your own first click.")
    return f"{count(done, 'rejection')} confirmed by you as the second person."


def _refuse(incident: Incident, entries: QuerySet[QueueEntry], request: HttpRequest) -> str:
    done = refuse_rejection(incident=incident, entries=entries, reason=posted(request, "reason"), author=officer(request))
    return f"{_told(done, 'rejection')} refused or taken back: {'it waits' if done == 1 else 'they wait'} for a decision again."


STEPS: dict[str, Callable[[Incident, QuerySet[QueueEntry], HttpRequest], str]] = {
    "hold": _hold,
    "accept": _accept,
    "residence": _residence,
    "address": _address,
    "one": _one,
    "two": _two,
    "fields": _fields,
    "representative": _representative,
    "safe": _safe,
    "propose": _propose,
    "again": _again,
    "confirm": _confirm,
    "refuse": _refuse,
}
