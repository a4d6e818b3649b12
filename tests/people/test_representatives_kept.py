"""Who reads a letter in somebody's place is not lost when rows become one person, whichever of them named the representative."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.letters.in_their_place import address_of
from incidents.models import AffectedPerson, Campaign, Incident, Merge
from incidents.people import deciding
from incidents.people.amending import open_amendment
from incidents.people.decisions import LATER
from incidents.people.importing import import_people
from incidents.people.joining import TWO_READERS
from incidents.people.merging import merge_people, undo_merge
from incidents.vault import PersonFields, Vault
from tests.conftest import CLAIRE, COLUMNS
from tests.people.conftest import Importer, Row, kinds

COLS = (*COLUMNS, "representative_role", "representative_name", "representative_email")
MARIE: Row = {"representative_name": "Marie Dubois", "representative_email": "marie@example.org"}
KIN: Row = {**CLAIRE, **MARIE, "representative_role": "next_of_kin", "flags": "deceased"}
GUARDIAN: Row = {**CLAIRE, **MARIE, "representative_role": "guardian", "flags": "minor_under_16"}
OTHER: Row = {**KIN, "representative_name": "Paul Dubois", "representative_email": "paul@example.org"}


@pytest.fixture
def rows(bring: Importer, incident: Incident) -> Callable[..., tuple[AffectedPerson, PersonFields]]:
    """Import rows of one person, in one list or in several; returns who they are."""

    def run(*rows: Row, apart: bool = False) -> tuple[AffectedPerson, PersonFields]:
        for some in [(row,) for row in rows] if apart else [rows]:
            bring(*some, columns=COLS)
        person = AffectedPerson.objects.get(incident=incident)
        return person, Vault(incident=incident).open(person=person)

    return run


@pytest.mark.parametrize("apart", [False, True], ids=["one-list", "two-lists"])
@pytest.mark.parametrize("row", [KIN, GUARDIAN], ids=["next-of-kin", "guardian"])
@pytest.mark.parametrize("first", [False, True], ids=["named-second", "named-first"])
def test_the_letter_goes_to_the_representative_whichever_row_named_them(
    rows: Callable[..., Any], incident: Incident, row: Row, apart: bool, first: bool
) -> None:
    person, fields = rows(*((row, CLAIRE) if first else (CLAIRE, row)), apart=apart)
    assert (address_of(fields=fields), person.status) == ("marie@example.org", "clear")
    assert fields.representative_role == row["representative_role"] and not kinds(incident)


@pytest.mark.parametrize("apart", [False, True], ids=["one-list", "two-lists"])
def test_a_representative_whom_another_row_names_answers_the_question_of_the_first(
    rows: Callable[..., Any], incident: Incident, apart: bool
) -> None:
    person, fields = rows({**CLAIRE, "flags": "deceased"}, KIN, apart=apart)
    assert (address_of(fields=fields), person.status) == ("marie@example.org", "clear")
    assert not kinds(incident, status="open")


def test_a_next_of_kin_does_not_answer_who_the_guardian_is(rows: Callable[..., Any], incident: Incident) -> None:
    person, _ = rows({**CLAIRE, "flags": "minor_under_16"}, KIN)
    assert kinds(incident, status="open") == ["guardian"] and person.status == "attention"


@pytest.mark.parametrize("apart", [False, True], ids=["one-list", "two-lists"])
def test_two_different_representatives_are_asked_about_and_never_mixed(
    rows: Callable[..., Any], incident: Incident, officer: User, apart: bool
) -> None:
    person, fields = rows(KIN, OTHER, apart=apart)
    assert (fields.representative_name, fields.representative_email) == ("Marie Dubois", "marie@example.org")
    entry = incident.queue.get()
    assert (entry.reason, person.status) == (TWO_READERS["reason"], "attention")
    assert deciding.accept(incident=incident, entries=incident.queue.all(), reason="Marie it is", author=officer) == 1
    rows(OTHER)
    assert incident.queue.count() == 1


def test_a_representative_without_an_address_gives_way_to_the_same_one_with_an_address(rows: Callable[..., Any]) -> None:
    _, fields = rows({**KIN, "representative_email": "none"}, KIN)
    assert address_of(fields=fields) == "marie@example.org"


def test_a_decided_merge_keeps_the_representative_and_its_undo_takes_them_away_again(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring(CLAIRE, {**KIN, "full_name": "C. Dubois", "person_id": "c2"}, columns=COLS)
    merge_people(incident=incident, entries=incident.queue.all(), reason="one person", author=officer)
    vault, claire = Vault(incident=incident), AffectedPerson.objects.get(reference="claire")
    assert address_of(fields=vault.open(person=claire)) == "marie@example.org"
    undo_merge(merge=Merge.objects.get(), reason="two people", author=officer)
    claire.refresh_from_db()
    assert address_of(fields=vault.open(person=claire)) == "claire@example.org"


def test_a_list_that_names_a_representative_after_the_freeze_leaves_a_note_and_the_signed_record(
    frozen: Campaign, write_list: Callable[..., Path], officer: User
) -> None:
    incident = frozen.incident
    late = incident.facts.recorded_at
    amendment = open_amendment(incident=incident, reason="found late", aware_at=late, author=officer)
    row = {**GUARDIAN, "flags": ""}
    import_people(incident=incident, path=write_list(row, columns=COLS), author=officer, amendment=amendment)
    claire = AffectedPerson.objects.get(incident=incident, reference="claire")
    assert not Vault(incident=incident).open(person=claire).representative_name
    assert list(incident.queue.values_list("reason", flat=True)) == [f"{LATER}: representative"]
