"""Entries that are put together column by column are, byte for byte, those that are written one by one."""

from __future__ import annotations

import json
import secrets
import unicodedata

import pytest
from django.contrib.auth.models import User

from incidents.audit.actions import Action
from incidents.audit.alike import record_alike
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import database_now, stamp
from incidents.models import AuditEvent, Incident

PLAIN = ["250 2.0.0 Ok: queued as 4F", "", "100 % of %s and %(x)d"]
HOSTILE = [
    'say "no"',
    "back\\slash \\N \\t",
    "tab\tline\nreturn\r",
    "Zoe\u0308 — Größe",
    "\u2028 \x7f \x01",
    "'; DROP TABLE x; --",
]


@pytest.mark.parametrize("texts", [PLAIN, [*PLAIN, *HOSTILE]])
@pytest.mark.parametrize("actor", ["dispatcher", 'Zoë "of" Ünlü\\ %s'])
def test_a_line_of_many_is_the_canonical_one(incident: Incident, officer: User, texts: list[str], actor: str) -> None:
    before, at, subjects = AuditEvent.objects.count(), database_now(), [secrets.token_hex(16) for _ in texts]
    data = {"campaign": "50 %s\\", "chunk": 7}
    columns = {"detail": texts, "answered_at": texts[::-1]}
    done = record_alike(
        incident=incident, action=Action.ATTEMPT_ACCEPTED, actor=actor, data=data, subjects=subjects, columns=columns, at=at
    )
    events = list(AuditEvent.objects.order_by("id"))[before:]
    assert done == len(events) == len(texts)
    for event, subject, detail, answered in zip(events, subjects, texts, texts[::-1], strict=True):
        told = json.loads(event.line)
        assert event.line.encode() == canonical_json(told)
        assert told["subject"] == event.subject == subject and told["actor"] == event.actor == actor
        assert told["data"] == {**data, "detail": nfc(detail), "answered_at": nfc(answered)}
        assert told["at"] == stamp(event.happened_at) == stamp(at) and told["incident"] == incident.reference
    assert len({json.loads(event.line)["id"] for event in events}) == len(events)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)
