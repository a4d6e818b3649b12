"""Why does this person get this letter? Everything from the row to the proof, as data and in plain English."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from django.db.models import Q, QuerySet

from incidents.audit.log import events_of, log_of
from incidents.models import AffectedPerson, AuditLeaf, Incident, Message, Obligation, QueueEntry, RegisterEntry
from incidents.models.refusal import Refused
from incidents.people.duty_details import PARTS, duty_details
from incidents.people.possible_laws import in_doubt, law_name, possible_in_words
from incidents.people.said_of_all import country_behind
from incidents.people.staleness import ASK_AGAIN, DutyMark, Level, StaleDuties, stale_duties

VERDICTS: Mapping[bool | None, str] = {True: "met", False: "not met", None: "not known"}


class UnknownPerson(Refused):
    """There is no such person on this incident's list."""


def explain(*, incident: Incident, reference: str, letter_marks: Mapping[int, Sequence[str]] | None = None) -> dict[str, Any]:
    """Person -> cohort -> obligations with their reason trees -> letter -> messages -> entries of the log.

    `letter_marks` says of a letter (by its key) why it no longer says what is known.
    """
    known_as = Q(reference=reference) | Q(subject=reference)  # an erased person's old reference is gone; the log has the subject
    person = AffectedPerson.objects.filter(known_as, incident=incident).select_related("cohort", "amendment").first()
    if person is None:
        raise UnknownPerson(
            f"'{reference}' is nobody on the list of {incident.reference}. The person's page shows the reference."
        )
    duties = Obligation.objects.filter(cohort=person.cohort, superseded=False, addressee="person").order_by("jurisdiction")
    marks = stale_duties(incident=incident)
    return {
        "incident": incident.reference,
        "person": _person(person),
        "rows": [
            {"row": row.number, "outcome": row.outcome, "reason": row.reason} for row in person.import_rows.order_by("number")
        ],
        "questions": [_asked(q) for q in person.queue.order_by("id")],
        "might_apply": in_doubt(person=person),
        "cohort": {"id": person.cohort_id, "people": person.cohort.count if person.cohort else 0},
        **_later(person),
        "obligations": [_with_mark(duty, marks) for duty in duties],
        "others_told": [_with_mark(duty, marks) for duty in _others_told(incident, [duty.jurisdiction for duty in duties])],
        "not_asked": [_marked(mark) for mark in marks.towards(cohort=person.cohort_id) if mark.level == Level.NEW],
        **_letter_and_messages(person, letter_marks or {}),
        "log": _log(incident, person),
    }


def _person(person: AffectedPerson) -> dict[str, Any]:
    """What is known of the person beside the sealed record."""
    return {
        "reference": person.reference,
        "residence": person.residence,
        "decided_by": person.residence_from,
        "said_of_list": _said_of_list(person),
        "possible_residences": person.possible_residences,
        "elements": person.elements,
        "flags": person.flags,
        "status": person.status,
        "language": person.language,
        "erased_at": person.erased_at.isoformat() if person.erased_at else "",
    }


def _said_of_list(person: AffectedPerson) -> list[dict[str, Any]]:
    """The lists of which was said where everybody lives, and who said so, where that is what this person's residence rests on."""
    country = country_behind(person.residence_from, person.residence)
    if not country:
        return []
    lists = person.incident.imports.filter(import_rows__person=person, list_country=country).order_by("pk").distinct()
    told = lists.values_list("pk", "list_country", "country_by__username", "imported_at")
    return [{"list": pk, "country": said, "by": by, "at": at.isoformat()} for pk, said, by, at in told]


def _asked(q: QueueEntry) -> dict[str, Any]:
    return {
        "kind": q.kind,
        "reason": q.reason,
        "status": q.status,
        "decision": q.decision_reason,
        "until": q.held_until.isoformat() if q.held_until else "",
    }


def _later(person: AffectedPerson) -> dict[str, Any]:
    """What happened to the person after a freeze: amendments with their clock, corrections, exclusions."""
    versions = person.versions.order_by("number").select_related("author")
    exclusions = person.exclusions.order_by("id").select_related("proposed_by", "confirmed_by")
    return {
        "amendments": _amendments(person),
        "corrections": [
            {
                "version": v.number + 1,
                "fields": v.changed,
                "reason": v.reason,
                "by": v.author.username,
                "at": v.recorded_at.isoformat(),
            }
            for v in versions
        ],
        "exclusions": [
            {
                "reason": x.reason,
                "proposed_by": x.proposed_by.username,
                "confirmed_by": x.confirmed_by.username if x.confirmed_by else "",
                "withdrawn": x.withdrawn_at is not None,
            }
            for x in exclusions
        ],
    }


def _amendments(person: AffectedPerson) -> list[dict[str, Any]]:
    """Every amendment this person goes with; `clock`: their clocks run from its moment of awareness, not from the incident's."""
    own = [person.amendment] if person.amendment else []
    joined = [one.amendment for one in person.joinings.select_related("amendment").order_by("id")]
    reasons = dict(person.joinings.values_list("amendment_id", "reason"))
    return [
        {
            "number": one.number,
            "clock": one.pk == person.amendment_id,
            "aware_at": one.aware_at.isoformat(),
            "reason": reasons.get(one.pk, one.reason),
        }
        for one in dict.fromkeys([*own, *joined])
    ]


def _with_mark(obligation: Obligation, marks: StaleDuties) -> dict[str, Any]:
    mark = marks.of(obligation=obligation.pk)
    return {**obligation_tree(obligation=obligation), "stale": _marked(mark) if mark else None}


def _marked(mark: DutyMark) -> dict[str, Any]:
    return {"jurisdiction": mark.jurisdiction, **mark.to_json(), "remedy": ASK_AGAIN}


def _others_told(incident: Incident, jurisdictions: list[str]) -> QuerySet[Obligation]:
    """The duties towards authorities and others under the laws that this person lives under."""
    found = incident.obligations.filter(cohort=None, superseded=False, jurisdiction__in=jurisdictions)
    return found.order_by("jurisdiction", "regime", "addressee")


def obligation_tree(*, obligation: Obligation) -> dict[str, Any]:
    """One obligation with its reasons, references, and how sure the law pack is."""
    duty = obligation.duty
    return {
        "jurisdiction": obligation.jurisdiction,
        "law": law_name(jurisdiction=obligation.jurisdiction),
        "addressee": obligation.addressee,
        "owed": obligation.owed,
        "handling": obligation.handling,
        "handling_reason": obligation.handling_reason,
        "deadline": duty.get("deadline"),
        "internal_target_at": obligation.internal_target_at.isoformat() if obligation.internal_target_at else "",
        "reasons": [with_verdict(reason=reason) for reason in duty.get("reasons", [])],
        **{part: duty.get(part) for part in PARTS},
        "details": [{"title": title, "lines": lines} for title, lines in duty_details(duty=duty)],
        "questions": duty.get("questions", []),
        "references": duty.get("references", []),
        "verified": duty.get("verified", ""),
        "doubt": duty.get("doubt", []),
        "pack_sha256": obligation.pack_sha256,
    }


def with_verdict(*, reason: Mapping[str, Any]) -> dict[str, Any]:
    """One condition with its answer in words beside `holds`: met, not met, or not known."""
    parts = [with_verdict(reason=part) for part in reason["parts"]]
    return {**reason, "verdict": VERDICTS[reason["holds"]], "parts": parts}


def _letter_and_messages(person: AffectedPerson, marks: Mapping[int, Sequence[str]]) -> dict[str, Any]:
    entries = list(person.register_entries.select_related("letter", "campaign").order_by("id"))
    messages = [_message(entry, m) for entry in entries for m in entry.messages.order_by("id")]
    letter = entries[-1].letter if entries else None
    if letter is None:
        return {"letter": None, "messages": messages}
    shown = {"form": letter.form, "language": letter.language, "sha256": letter.sha256}
    return {"letter": {**shown, "stale": list(marks.get(letter.pk, ()))}, "messages": messages}


def _message(entry: RegisterEntry, message: Message) -> dict[str, Any]:
    return {
        "campaign": entry.campaign.reference,
        "channel": message.channel,
        "state": message.state,
        "reason": message.state_reason,
        "attempts": message.attempts,
        "content_sha256": message.content_sha256,
        "accepted_at": message.accepted_at.isoformat() if message.accepted_at else "",
    }


def _log(incident: Incident, person: AffectedPerson) -> list[dict[str, Any]]:
    events = events_of(incident=incident, subject=person.subject)
    places = dict(AuditLeaf.objects.filter(log=log_of(incident), event__in=events).values_list("event_id", "seq"))
    return [
        {
            "entry": places.get(event.pk),
            "action": event.action,
            "at": event.happened_at.isoformat(),
            "actor": event.actor,
        }
        for event in events
    ]


def in_words(found: Mapping[str, Any]) -> Iterator[str]:
    """The explanation as lines of plain English."""
    person = found["person"]
    yield f"{person['reference']} on the list of {found['incident']}"
    if person["erased_at"]:
        yield f"  erased on {person['erased_at'][:10]}: name, addresses and rows are gone; this is what the proof keeps"
    yield f"  lives in {person['residence']} (decided by {person['decided_by'] or 'nothing'})"
    for said in person["said_of_list"]:
        yield f"  {said['country']} was said of the whole list {said['list']} by {said['by']}: their own row does not say it"
    yield f"  exposed: {', '.join(person['elements'])}"
    for row in found["rows"]:
        yield f"  row {row['row']}: {row['outcome']}{' (' + row['reason'] + ')' if row['reason'] else ''}"
    for question in found["questions"]:
        until = f" until {question['until']}" if question["until"] else ""
        yield f"  question: {question['reason']} -> {question['status']}{until}: {question['decision']}"
    yield f"  is one of {found['cohort']['people']} people whom the law cannot tell apart"
    yield from _later_in_words(found)
    yield from possible_in_words(found["might_apply"])
    for duty in found["obligations"]:
        yield from _duty_in_words(duty)
    if found["others_told"]:
        yield "Who else is told under these laws:"
    for duty in found["others_told"]:
        yield from _duty_in_words(duty)
    for mark in found["not_asked"]:
        yield f"{mark['jurisdiction']}: the law has not been asked about this. {mark['remedy']}"
    letter = found["letter"]
    yield f"Letter: {letter['form']} in {letter['language']}, {letter['sha256'][:16]}" if letter else "Letter: none"
    for why in letter["stale"] if letter else ():
        yield f"  STALE: {why}"
    for message in found["messages"]:
        why = f" - {message['reason']}" if message["reason"] else ""
        name = f"  {message['channel']}, {message['campaign']}"
        yield f"{name}: {message['state']}{why}, {message['attempts']} attempts"
    for entry in found["log"]:
        yield f"  log entry {entry['entry']}: {entry['action']} at {entry['at']} by {entry['actor']}"


def _later_in_words(found: Mapping[str, Any]) -> Iterator[str]:
    """What happened to the person after a freeze."""
    for one in found["amendments"]:
        clock = f"found late, clocks run from {one['aware_at']}" if one["clock"] else "joined, clocks as before"
        yield f"  amendment {one['number']} ({clock}): {one['reason']}"
    for one in found["corrections"]:
        yield f"  corrected to version {one['version']} by {one['by']}: {', '.join(one['fields'])} ({one['reason']})"
    for one in found["exclusions"]:
        by = f"{one['proposed_by']} and {one['confirmed_by']}" if one["confirmed_by"] else f"{one['proposed_by']} alone"
        yield f"  exclusion {'withdrawn' if one['withdrawn'] else 'by ' + by}: {one['reason']}"


def _duty_in_words(duty: Mapping[str, Any]) -> Iterator[str]:
    place = f"{duty['jurisdiction']} ({duty['law'] or 'no law pack'})"
    if duty["addressee"] == "person":
        yield f"{place}: letter owed: {duty['owed']}; handled as {duty['handling']}"
    else:
        yield f"{place}: notice to the {duty['addressee']} owed: {duty['owed']}"
    if duty["stale"]:
        yield from _mark_in_words(duty["stale"])
    if duty["handling_reason"]:
        yield f"  decision: {duty['handling_reason']}"
    deadline = duty["deadline"] or {}
    if deadline.get("shown_at"):
        yield f"  by {deadline['shown_at']} ({deadline['reference']})"
    elif deadline:
        yield f"  {str(deadline['kind']).replace('_', ' ')}: the law gives no date ({deadline['reference']})"
    if duty["internal_target_at"]:
        yield f"  our own target, not the law's: {duty['internal_target_at']}"
    for detail in duty["details"]:
        yield from (f"  {detail['title'].lower()}: {line}" for line in detail["lines"])
    for reason in duty["reasons"]:
        yield from reason_in_words(reason, depth=1)
    yield f"  pack: verified {duty['verified'] or 'no mark'}; references: {'; '.join(duty['references'])}"
    for doubt in duty["doubt"]:
        yield f"  doubt: {doubt}"


def _mark_in_words(mark: Mapping[str, Any]) -> Iterator[str]:
    if mark["level"] == Level.TOUCHED:
        yield "  older grounds: facts, numbers or pack have changed since; asked again, the duty would be the same"
        return
    yield "  STALE: this no longer follows from what is known"
    yield from (f"    would change: {one['path']}: {one['was']} -> {one['now']}" for one in mark["differences"])
    yield from (f"    because of {change}" for change in mark["because"])
    yield f"    {mark['remedy']}"


def reason_in_words(reason: Mapping[str, Any], *, depth: int) -> Iterator[str]:
    """One node of a reason tree and the nodes below it: condition, answer, fact, where it is written, what would change it."""
    indent = "  " * depth
    yield f"{indent}- {reason['condition']}: {VERDICTS[reason['holds']]}"
    yield f"{indent}    fact: {reason['fact']} [{reason['reference']}]"
    if reason["would_change"]:
        yield f"{indent}    would change with: {reason['would_change']}"
    for part in reason["parts"]:
        yield from reason_in_words(part, depth=depth + 1)
