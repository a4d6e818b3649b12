"""Whoever is known already and of whom a list says nothing new is passed over: the same becomes of everybody as if it were not."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import transaction

from incidents.models import AffectedPerson, AuditEvent, Campaign, ImportRow, Incident, Merge, QueueEntry
from incidents.people import adding, deciding
from incidents.people.amending import open_amendment
from incidents.people.importing import account, import_people
from incidents.people.kept import open_row
from incidents.vault import Vault
from tests.conftest import CAST, COLUMNS
from tests.people.conftest import Importer, Row

COLUMNS_HERE = (*COLUMNS, "phone", "street", "city", "postcode", "given_name", "billing_country", "representative_email")
FIRST: Row = {
    "stated_country": "FR",
    "language": "fr",
    "elements": "email;name",
    "date_of_birth": "1980-03-02",
    "phone": "+33 1 44 55 66 77",
}
#: What a second list says otherwise of somebody, and what the first one had said otherwise of them than FIRST.
DIFFERENCES: dict[str, tuple[Row, Row]] = {
    "nothing": ({}, {}),
    "nothing, of somebody who is asked about": ({}, {"flags": "deceased"}),
    "nothing, of somebody without a home": ({}, {"stated_country": "", "phone": ""}),
    "nothing, of somebody without an address": ({}, {"email": ""}),
    "another address": ({"email": "new@example.org"}, {}),
    "the address that was missing": ({"email": "late@example.org"}, {"email": ""}),
    "an address that cannot be one": ({"email": "no@@example"}, {}),
    "another language": ({"language": "de"}, {}),
    "the language that was missing": ({}, {"language": ""}),
    "no language": ({"language": ""}, {}),
    "another home": ({"stated_country": "DE", "phone": ""}, {}),
    "the home that was missing": ({"stated_country": "IT", "phone": ""}, {"stated_country": "", "phone": ""}),
    "no home": ({"stated_country": "", "phone": ""}, {}),
    "the state that was missing": ({"stated_country": "US", "loyalty_home_store": "US-CA Beverly Hills", "phone": ""}, {"stated_country": "US", "phone": ""}),
    "the country alone": ({"stated_country": "US", "phone": ""}, {"stated_country": "US", "loyalty_home_store": "US-CA Beverly Hills", "phone": ""}),
    "further elements": ({"elements": "email;name;phone"}, {}),
    "fewer elements": ({"elements": "name"}, {}),
    "a flag": ({"flags": "employee"}, {}),
    "a flag that is asked about": ({"flags": "safe_address"}, {}),
    "a blank that is filled": ({"given_name": "Anna"}, {}),
    "a blank where something was": ({"phone": ""}, {}),
    "an address of the post": ({"street": "1 rue A", "city": "Paris", "postcode": "75001"}, {}),
    "a birth date that is none": ({"date_of_birth": ""}, {"date_of_birth": "2/3/80"}),
    "other evidence": ({"billing_country": "FR"}, {}),
    "another name": ({"full_name": "Somebody Else", "person_id": "else"}, {}),
    "who stands in": ({"representative_email": "mother@example.org"}, {}),
}  # fmt: skip


def lists() -> tuple[list[Row], list[Row]]:
    """A first list, and a second one of the same people and of one more; the last two rows are one person's."""
    first, second = [], []
    for number, (later, before) in enumerate(DIFFERENCES.values()):
        row = {
            "person_id": f"p{number}",
            "customer_number": f"C{number}",
            "full_name": f"Anna Berg{number}",
            "email": f"p{number}@example.org",
        }
        first.append({**FIRST, **row, **before})
        second.append({**first[-1], **later})
    new = {**FIRST, "person_id": "new", "customer_number": "N1", "full_name": "Ben Holt", "email": "ben@example.org"}
    return first, [*second, new, {**second[0], "language": "fr"}, second[1]]


def told(line: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(line)["data"]
    return {name: bool(value) if name == "commitment" else value for name, value in data.items() if name != "file_sha256"}


def what_became(incident: Incident) -> dict[str, list[Any]]:
    """All that an import writes, by names that do not change from one import to another."""
    vault, people = Vault(incident=incident), list(AffectedPerson.objects.filter(incident=incident).order_by("reference"))
    names, subjects = {one.pk: one.reference for one in people}, {one.subject: one.reference for one in people}
    columns = ("residence", "residence_from", "confidence", "possible_residences", "elements", "flags", "language", "has_email",
               "has_post", "status", "version", "customer_index", "email_index", "name_index", "name_birth_index", "address_index")  # fmt: skip
    rows = ImportRow.objects.filter(batch__incident=incident).order_by("batch", "number")
    queue = QueueEntry.objects.filter(incident=incident).order_by("person__reference", "kind", "column", "reason", "status")
    merges = Merge.objects.filter(incident=incident).order_by("person__reference", "row__batch", "row__number")
    return {
        "people": [(one.reference, vault.open(person=one), one.cohort and one.cohort.residence, *(
            getattr(one, name) for name in columns), one.other_email_indexes) for one in people],
        "rows": [(row.number, row.outcome, names.get(row.person_id or 0), row.column, row.reason, row.remedy,
            open_row(sealed=row.sealed, vault=vault, incident=incident.reference)) for row in rows],
        "queue": [(names.get(one.person_id or 0), one.kind, one.column, one.reason, one.remedy, one.status, one.decision_reason,
            names.get(one.other_id or 0), one.decided_by, one.decided_at is None) for one in queue],
        "merges": [(one.person.reference, one.row and one.row.number, one.tier, one.reason) for one in merges],
        "log": sorted((one.action, subjects.get(one.subject, ""), json.dumps(told(one.line), sort_keys=True))
            for one in AuditEvent.objects.filter(log__incident=incident)),
        "cohorts": sorted(incident.cohorts.values_list("residence", "elements", "minors", "count")),
    }  # fmt: skip


def both_ways(incident: Incident, again: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> list[dict[str, list[Any]]]:
    """What becomes of everybody when the same list is imported in the short way and, instead of that, in the long one."""
    found = []
    for way in ("short", "long"):
        with transaction.atomic():
            if way == "long":
                monkeypatch.setattr(adding, "_says_the_same", lambda one: False)
            again()
            assert account(incident=incident).adds_up
            found.append(what_became(incident))
            transaction.set_rollback(True)
    return found


@pytest.mark.parametrize("source", ["", "shop"], ids=["any-list", "newer-version"])
def test_the_same_becomes_of_everybody_whether_or_not_the_known_are_passed_over(
    incident: Incident, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    first, second = lists()
    given: dict[str, Any] = {"incident": incident, "author": officer, "source": source, "judge": lambda difference: True}
    import_people(path=write_list(*first, columns=COLUMNS_HERE), **given)
    asked = incident.queue.filter(kind="next_of_kin")
    deciding.accept(incident=incident, entries=asked, reason="the widow was asked", author=officer)
    homeless = incident.queue.filter(person__reference="p11", kind="residence_unknown")
    deciding.correct_residence(incident=incident, entries=homeless, residence="DE", reason="the shop says so", author=officer)
    path = write_list(*second, columns=COLUMNS_HERE)
    short, long = both_ways(incident, lambda: import_people(path=path, **given), monkeypatch)
    for name, found in long.items():
        assert short[name] == found, name
    assert short["people"] != what_became(incident)["people"]


def test_the_same_becomes_of_people_on_a_frozen_register(
    frozen: Campaign, officer: User, write_list: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident = frozen.incident
    amendment = open_amendment(incident=incident, reason="late", aware_at=frozen.frozen_at, author=officer)
    claire, carl, yuki = CAST
    path = write_list(claire, {**carl, "email": "new@example.com"}, {**yuki, "flags": "deceased"})
    short, long = both_ways(
        incident, lambda: import_people(incident=incident, path=path, author=officer, amendment=amendment), monkeypatch
    )
    assert short == long and len(short["queue"]) == 2


def test_whoever_a_list_says_nothing_new_of_is_neither_read_nor_joined(
    bring: Importer, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(*CAST)
    before = [bytes(one.sealed or b"") for one in incident.people.order_by("id")]
    for name in ("_add", "_ask"):
        monkeypatch.setattr(adding, name, None)
    assert bring(*CAST, {**CAST[0], "language": ""}).accounting.merged == 4
    assert [bytes(one.sealed or b"") for one in incident.people.order_by("id")] == before
    kept = [open_row(sealed=row.sealed, vault=Vault(incident=incident), incident=incident.reference) for row in
            ImportRow.objects.filter(outcome="merged").order_by("number")]  # fmt: skip
    assert [row.fields and row.fields.full_name for row in kept] == [one["full_name"] for one in (*CAST, CAST[0])]
