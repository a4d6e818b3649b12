"""The evidence bundle of one incident: the whole log, the registers, the letters, facts and duties, and the checker itself.

Nobody's personal data are in it: people appear under random names, their values as commitments.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json, write_bundle
from incidents.models import AuditEvent, Incident, Letter, PersonVersion

ENTRIES_PER_FILE = 50_000
README = """EVIDENCE OF ONE INCIDENT: {reference}

What this is: the complete log of how a company told the people affected by a personal data breach, in an order that cannot be
changed afterwards, with everything needed to check it offline. Nobody's personal data are in it: each person appears under a
random name ("subject"), and what was known of them as a keyed hash ("commitment").

To check it (Python 3.9 or later, nothing else, no network):

    python3 verify.py THIS_FILE.zip --key FINGERPRINT

FINGERPRINT is the SHA-256 of the log's public key. Take it from another place than this file: the company gave it to the
authority beforehand, or publishes it. This bundle claims to be signed by {fingerprint}.

What is inside
  entries/        every entry of the log, one line of JSON each, in order
  register/       who was on each campaign's frozen register: one line a person; a later campaign is an amendment's
  letters/        every letter as approved, by the SHA-256 of its content (.json is what was hashed; .txt is for reading)
  facts.json      the versions of the incident's facts; findings.json  what people found, why, and who
  duties.json     every duty with its reasons and references; filings.json  notices to authorities
  amendments.json who joined the running incident later, from when their clocks run, who let them join, and why
  corrections.json  which fields of whom were corrected after the freeze (names of fields, no values); exclusions.json  by whom
  checkpoints/    the signed heads of the log over time; checkpoint.txt the one that covers this bundle
  SHA256SUMS      the hash of every file; verify.py the checker; log.pem the public key

By hand: sha256sum -c SHA256SUMS; the last line of checkpoint.txt is the Ed25519 signature over the lines above the empty one.

What it does not prove: that a person read the letter, that the facts were true, or that nothing was done outside this log.
"""


def export_evidence(*, incident: Incident, out: Path, actor: str) -> Path:
    """Write the bundle of an incident to `out`; the export itself is the last entry in it."""
    log.refuse_to_go_back(incident=incident)  # before the log says that something left
    log.record(incident=incident, action=Action.ACCESS_EXPORTED, actor=actor, data={"what": "evidence bundle"})
    head = log.checkpoint(incident=incident)
    origin = head.log.origin
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(
        out=out,
        files=_files(incident, head.size),
        origin=origin,
        size=head.size,
        root=bytes.fromhex(head.root),
        key_name=origin,
        private_key=log.signing_key(),
    )
    return out


def _files(incident: Incident, size: int) -> Iterator[tuple[str, bytes]]:
    yield "README.txt", README.format(reference=incident.reference, fingerprint=log.fingerprint_of_key()).encode()
    yield from _entries(incident, size)
    yield from _registers(incident, size)
    yield from _letters(incident)
    yield "facts.json", _pretty(_facts(incident))
    yield "findings.json", _pretty(_findings(incident))
    yield "duties.json", _pretty(_duties(incident))
    yield "filings.json", _pretty(_filings(incident))
    yield "amendments.json", _pretty(_amendments(incident))
    yield "corrections.json", _pretty(_corrections(incident))
    yield "exclusions.json", _pretty(_exclusions(incident))
    for head in log.log_of(incident).checkpoints.filter(size__lte=size).order_by("id"):
        yield f"checkpoints/{head.size:010d}.txt", head.note.encode()


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, sort_keys=True, indent=1, default=str) + "\n").encode()


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _entries(incident: Incident, size: int) -> Iterator[tuple[str, bytes]]:
    events = AuditEvent.objects.filter(log=log.log_of(incident), leaf__seq__lt=size).order_by("leaf__seq")
    lines = events.values_list("line", flat=True).iterator(chunk_size=5000)
    for number, part in enumerate(_batched(lines, ENTRIES_PER_FILE)):
        yield f"entries/{number:05d}.jsonl", _lines(part)


def _batched(lines: Iterable[str], number: int) -> Iterator[tuple[str, ...]]:
    rest = iter(lines)
    while part := tuple(islice(rest, number)):
        yield part


def _registers(incident: Incident, size: int) -> Iterator[tuple[str, bytes]]:
    """The registers of which the exported entries tell; one frozen while we write is not among them."""
    told = AuditEvent.objects.filter(log=log.log_of(incident), action=Action.REGISTER_FROZEN, leaf__seq__lt=size)
    names = {json.loads(line)["data"]["campaign"] for line in told.values_list("line", flat=True)}
    for campaign in incident.campaigns.filter(reference__in=names).order_by("id"):
        # Subjects are lower-case hexadecimal: the database's order and Python's agree.
        lines = campaign.register.order_by("person__subject").values_list("line", flat=True).iterator(chunk_size=5000)
        yield f"register/{campaign.reference}.jsonl", _lines(lines)


def _letters(incident: Incident) -> Iterator[tuple[str, bytes]]:
    used = Letter.objects.filter(incident=incident).order_by("sha256", "id")
    seen: set[str] = set()
    for letter in used:
        if letter.sha256 not in seen:
            seen.add(letter.sha256)
            parts = json.loads(letter.compiled)
            yield f"letters/{letter.sha256}.json", letter.compiled.encode()
            yield f"letters/{letter.sha256}.txt", f"{parts['subject']}\n\n{parts['text']}".encode()


def _facts(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "version": v.number,
            "sha256": v.sha256,
            "author": v.author.username,
            "reason": v.reason,
            "recorded_at": v.recorded_at,
            "facts": v.facts,
        }
        for v in incident.fact_versions.order_by("number").select_related("author")
    ]


def _findings(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "key": f.key,
            "scope": f.scope,
            "value": f.value,
            "reason": f.reason,
            "suggestion": f.suggestion,
            "author": f.author.username,
            "recorded_at": f.recorded_at,
        }
        for f in incident.findings.order_by("id").select_related("author")
    ]


def _duties(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "cohort": duty.cohort_id,
            "people": duty.cohort.count if duty.cohort else None,
            "handling": duty.handling,
            "handling_reason": duty.handling_reason,
            "superseded": duty.superseded,
            "due_at": duty.due_at,
            "legal_end_at": duty.legal_end_at,
            "internal_target_at": duty.internal_target_at,
            "duty": duty.duty,
            "duty_sha256": hashlib.sha256(canonical_json(duty.duty)).hexdigest(),
        }
        for duty in incident.obligations.order_by("jurisdiction", "addressee", "id").select_related("cohort")
    ]


def _filings(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "jurisdiction": duty.jurisdiction,
            "addressee": duty.addressee,
            "filed_at": filing.filed_at,
            "reference": filing.reference,
            "reason_for_delay": filing.reason_for_delay,
            "author": filing.author.username,
        }
        for duty in incident.obligations.order_by("jurisdiction", "id")
        for filing in duty.filings.order_by("id").select_related("author")
    ]


def _amendments(incident: Incident) -> list[dict[str, Any]]:
    return [
        {
            "amendment": one.number,
            "reason": one.reason,
            "aware_at": one.aware_at,
            "author": one.author.username,
            "recorded_at": one.recorded_at,
            "campaigns": [campaign.reference for campaign in one.campaigns.order_by("id")],
            "found_late": list(one.people.order_by("subject").values_list("subject", flat=True)),
            "joined": [
                {"subject": j.person.subject, "reason": j.reason, "author": j.author.username, "joined_at": j.joined_at}
                for j in one.joinings.order_by("person__subject").select_related("person", "author")
            ],
        }
        for one in incident.amendments.order_by("number").select_related("author")
    ]


def _corrections(incident: Incident) -> list[dict[str, Any]]:
    versions = PersonVersion.objects.filter(person__incident=incident).order_by("person__subject", "number")
    return [
        {
            "subject": version.person.subject,
            "version": version.number + 1,
            "fields": version.changed,
            "reason": version.reason,
            "author": version.author.username,
            "recorded_at": version.recorded_at,
        }
        for version in versions.select_related("person", "author").defer("sealed", "person__sealed")
    ]


def _exclusions(incident: Incident) -> list[dict[str, Any]]:
    found = incident.exclusions.order_by("id").select_related("person", "proposed_by", "confirmed_by")
    return [
        {
            "subject": one.person.subject,
            "reason": one.reason,
            "proposed_by": one.proposed_by.username,
            "proposed_at": one.proposed_at,
            "confirmed_by": one.confirmed_by.username if one.confirmed_by else None,
            "confirmed_at": one.confirmed_at,
            "withdrawn_at": one.withdrawn_at,
        }
        for one in found
    ]
