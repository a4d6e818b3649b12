"""Entries that the database puts together are, byte for byte, those that Python would write."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DataError, transaction

from incidents.audit import log
from incidents.audit.actions import Action
from incidents.audit.bundle_format import canonical_json
from incidents.audit.log import Hole, record_set
from incidents.models import AuditEvent, AuditLeaf, Incident

QUERY = "SELECT * FROM unnest(%(subjects)s::text[], %(commitments)s::text[]) AS t (subject, commitment)"


def written(incident: Incident, actor: str, data: dict[str, Any], pairs: list[tuple[str, str]]) -> list[AuditEvent]:
    before = AuditEvent.objects.count()
    parameters = {"subjects": [subject for subject, _ in pairs], "commitments": [value for _, value in pairs]}
    count = record_set(incident=incident, action=Action.PERSON_ADDED, actor=actor, data=data, query=QUERY, parameters=parameters)
    found = list(AuditEvent.objects.order_by("id"))[before:]
    assert count == len(found) == len(pairs)
    return found


@pytest.mark.parametrize("actor", ["officer", 'Zoë "of" Ünlü\\', "100 % {sure} '; --", "zoe\u0308"])
def test_a_line_made_by_the_database_is_the_canonical_one(incident: Incident, officer: User, actor: str) -> None:
    pairs = [(secrets.token_hex(16), secrets.token_hex(32)) for _ in range(50)]
    data = {"reason": 'same "name" — Größe', "commitment": Hole("commitment"), "%s": 1}
    events = written(incident, actor, data, pairs)
    for event, (subject, commitment) in zip(events, pairs, strict=True):
        told = json.loads(event.line)
        assert event.line.encode() == canonical_json(told)
        assert told["data"]["commitment"] == commitment and told["subject"] == event.subject == subject
        assert set(told) == {"action", "actor", "at", "data", "id", "incident", "subject", "v"}
        assert told["at"] == log.stamp(event.happened_at) and told["incident"] == incident.reference
    assert len({json.loads(event.line)["id"] for event in events}) == len(events)


def test_it_is_the_line_that_python_writes(incident: Incident, officer: User, monkeypatch: pytest.MonkeyPatch) -> None:
    subject, commitment = secrets.token_hex(16), secrets.token_hex(32)
    (event,) = written(incident, "officer", {"commitment": Hole("commitment")}, [(subject, commitment)])
    told = json.loads(event.line)
    monkeypatch.setattr("uuid.uuid4", lambda: type("Fixed", (), {"hex": told["id"]}))
    entry = log.Entry(Action.PERSON_ADDED, {"commitment": commitment}, subject)
    assert log._line(entry, "officer", told["at"], incident.reference) == event.line


@pytest.mark.parametrize("bad", ['"},"x":"', "É", "xyz!"])
def test_a_value_that_is_no_hexadecimal_number_is_refused(incident: Incident, bad: str) -> None:
    before = AuditEvent.objects.count()
    with pytest.raises(DataError), transaction.atomic():
        written(incident, "officer", {"commitment": Hole("commitment")}, [(secrets.token_hex(16), bad)])
    assert AuditEvent.objects.count() == before


def test_such_entries_get_their_places_in_the_tree_as_all_do(incident: Incident) -> None:
    written(incident, "officer", {"commitment": Hole("commitment")}, [(secrets.token_hex(16), "00ff")] * 3)
    log.checkpoint(incident=incident)
    assert AuditLeaf.objects.filter(log__incident=incident).count() == AuditEvent.objects.filter(log__incident=incident).count()
