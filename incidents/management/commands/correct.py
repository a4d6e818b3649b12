"""Correct one person's record; the earlier one is kept as a version. Values are read from standard input or a file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand, incident_named, user_named
from incidents.models import Incident, PersonStatus
from incidents.models.refusal import Refused
from incidents.people.correcting import FIELDS
from incidents.people.deciding import correct_record

MOST = 100_000


class Command(OperatorCommand):
    help = "Correct one person; lines 'field: value' on standard input or in a file: correct INCIDENT PERSON_REF"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("person_ref")
        parser.add_argument("--as", dest="user", required=True, help="the author")
        parser.add_argument("--reason", required=True, help="in words, without personal data; it is kept in the log")
        # Never as an argument: the list of processes and the shell's history would keep the person's data.
        parser.add_argument("--from", dest="source", type=Path, help="a file with the lines; default: standard input")

    def work(self, *, incident: str, person_ref: str, user: str, reason: str, source: Path | None, **_: Any) -> int | None:
        person = _person(incident_named(incident), person_ref)
        changes = _changes(_text(source))
        version, answered = correct_record(person=person, changes=changes, reason=reason, author=user_named(user))
        fields = ", ".join(version.changed)
        self.say(f"{person_ref}: {fields} corrected; version {version.number + 1}, the earlier record is kept")
        if answered:
            self.say(f"{answered} questions in the queues are answered by it")
        person.refresh_from_db(fields=["status"])
        if person.status == PersonStatus.ATTENTION:
            self.say(f"{person_ref} needs a decision before a letter goes out: decide {incident} shows the queues")
        return None


def _person(incident: Incident, reference: str) -> Any:
    found = incident.people.filter(reference=reference).first()
    if found is None:
        raise Refused(f"'{reference}' is nobody on the list of {incident.reference}. The person's page shows the reference.")
    return found


def _text(source: Path | None) -> str:
    if source is None:
        return sys.stdin.read(MOST)
    try:
        return source.read_text(encoding="utf-8")[:MOST]
    except (OSError, UnicodeDecodeError):
        raise Refused(f"{source} cannot be read as UTF-8 text. Check the path and the encoding.") from None


def _changes(text: str) -> dict[str, str]:
    """The lines 'field: value'; a line that is none is named by its number, never repeated."""
    changes: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, value = line.partition(":")
        if not line.strip():
            continue
        if not colon or name.strip() not in FIELDS:
            raise Refused(f"line {number}: is not 'field: value' with one of the fields {', '.join(FIELDS)}.")
        if name.strip() in changes:
            raise Refused(f"line {number}: {name.strip()} is given twice.")
        changes[name.strip()] = value.strip()
    if not changes:
        raise Refused("Nothing to correct: give lines such as 'email: new@example.org' on standard input, or --from FILE.")
    return changes
