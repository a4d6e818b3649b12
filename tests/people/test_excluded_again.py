"""Whoever two people excluded is written to by no later list: it is asked, and nothing that a list says takes the exclusion back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from incidents.models import AffectedPerson, Incident, PersonStatus
from incidents.people import deciding
from incidents.people.decisions import AGAIN, EXCLUDED
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.importing import import_people
from incidents.people.merging import keep_apart, merge_people
from incidents.people.rejected_again import MAY_BE, propose_again, rejected_again
from tests.conftest import CARL, CLAIRE
from tests.people.conftest import Importer, Row

Exclude = Callable[[str], AffectedPerson]
SAFETY = "for safety: nothing may come to this address"


@pytest.fixture
def exclude(incident: Incident, officer: User, counsel: User) -> Exclude:
    def run(reference: str) -> AffectedPerson:
        person = AffectedPerson.objects.get(incident=incident, reference=reference)
        proposed = propose_exclusion(person=person, reason=SAFETY, author=officer)
        confirm_exclusion(exclusion=proposed, author=counsel)
        return person

    return run


def returned(incident: Incident, excluded: AffectedPerson) -> AffectedPerson:
    return AffectedPerson.objects.exclude(pk=excluded.pk).exclude(reference="carl").get(incident=incident)


@pytest.mark.parametrize(
    "row",
    [CLAIRE, {**CLAIRE, "person_id": "", "customer_number": ""}, {**CLAIRE, "full_name": "Claire Martin"}],
    ids=["the-same", "by-e-mail", "another-name"],
)
def test_somebody_excluded_whom_a_later_list_names_is_asked_about(
    bring: Importer, incident: Incident, officer: User, exclude: Exclude, row: Row
) -> None:
    bring(CLAIRE)
    claire = exclude("claire")
    bring(row, CARL)
    again = returned(incident, claire)
    assert again.status == PersonStatus.ATTENTION
    assert [entry.reason for entry in deciding.undecided(incident=incident)] == [EXCLUDED]
    claire.refresh_from_db()
    assert claire.status == PersonStatus.REJECTED
    bring(row, {**CARL, "language": "de"})
    assert incident.people.count() == 3 and incident.queue.filter(reason=EXCLUDED).count() == 1


def test_somebody_excluded_who_is_accepted_with_a_reason_is_not_asked_about_again(
    bring: Importer, incident: Incident, officer: User, exclude: Exclude
) -> None:
    bring(CLAIRE)
    claire = exclude("claire")
    bring(CLAIRE, CARL)
    assert deciding.accept(incident=incident, entries=incident.queue.all(), reason="she asks for it", author=officer) == 1
    bring(CLAIRE, {**CARL, "language": "de"})
    assert returned(incident, claire).status == PersonStatus.CLEAR and incident.people.count() == 3


def test_a_newer_version_of_a_list_says_that_somebody_excluded_is_on_it(
    incident: Incident, officer: User, write_list: Callable[..., Path], exclude: Exclude
) -> None:
    import_people(incident=incident, path=write_list(CLAIRE, CARL), author=officer, source="crm")
    exclude("claire")
    seen = list[dict[str, int]]()
    newer = write_list(CLAIRE, {**CARL, "language": "de"})
    import_people(incident=incident, path=newer, author=officer, source="crm", judge=lambda found: not seen.append(found))
    assert seen[0]["excluded"] == seen[0]["new"] == 1
    assert not incident.people.filter(status=PersonStatus.CLEAR, reference__startswith="claire").exists()


def test_somebody_rejected_as_nobody_of_the_incident_is_not_asked_about(
    bring: Importer, incident: Incident, officer: User, counsel: User
) -> None:
    bring({**CLAIRE, "flags": "deceased"})
    deciding.propose_rejection(incident=incident, entries=incident.queue.all(), reason="a test account", author=officer)
    deciding.confirm_rejection(incident=incident, entries=incident.queue.all(), author=counsel)
    bring(CLAIRE, CARL)
    assert not incident.queue.filter(reason=EXCLUDED).exists()


@pytest.fixture
def rejected(incident: Incident, officer: User, counsel: User, write_list: Callable[..., Path]) -> AffectedPerson:
    """Claire, whom officer and counsel rejected as a test account."""
    people = ({**CLAIRE, "flags": "deceased"}, {**CARL, "flags": "do_not_contact"})
    import_people(incident=incident, path=write_list(*people), author=officer, source="shop")
    reject(incident, officer, counsel)
    return incident.people.get(reference="claire")


def reject(incident: Incident, officer: User, counsel: User) -> None:
    entries = incident.queue.filter(kind="next_of_kin")
    deciding.propose_rejection(incident=incident, entries=entries, reason="a test account", author=officer)
    deciding.confirm_rejection(incident=incident, entries=incident.queue.filter(kind="next_of_kin"), author=counsel)


@pytest.mark.parametrize(
    ("row", "number"),
    [
        (CLAIRE, 1), ({**CLAIRE, "person_id": "", "customer_number": ""}, 1), ({**CLAIRE, "email": "new@example.org"}, 1),
        ({**CLAIRE, "customer_number": "C77", "email": "new@example.org"}, 1), ({**CLAIRE, "full_name": "Claude Dubois"}, 0),
        ({**CLAIRE, "person_id": "x", "customer_number": "C77", "email": "new@example.org"}, 0),
    ],
)  # fmt: skip
def test_somebody_rejected_whom_a_later_list_names_waits_for_a_decision(
    incident: Incident, officer: User, write_list: Callable[..., Path], rejected: AffectedPerson, row: Row, number: int
) -> None:
    given: Any = {"incident": incident, "author": officer, "source": "shop"}
    seen: list[dict[str, int]] = []
    report = import_people(path=write_list(row, CARL), judge=lambda found: not seen.append(found), **given)
    assert (report.again.number, seen[0].get("rejected_again", 0)) == (number, number)
    again = incident.queue.filter(reason=AGAIN)
    assert [(one.other, one.person.status if one.person else "") for one in again] == [(rejected, "attention")] * number
    assert set(again) <= set(deciding.undecided(incident=incident))
    rejected.refresh_from_db()
    assert rejected.status == PersonStatus.REJECTED


def test_a_row_joined_to_another_that_fits_somebody_rejected_waits_with_it(
    bring: Importer, incident: Incident, rejected: AffectedPerson
) -> None:
    other = {**CLAIRE, "person_id": "x", "customer_number": "", "email": "new@example.org", "date_of_birth": "1980-02-03"}
    bring(other, {**other, "person_id": "y", "email": "claire@example.org"})
    assert incident.queue.filter(reason=AGAIN, person__reference="x").count() == 1
    assert not incident.people.filter(status=PersonStatus.CLEAR).exists()


def test_a_row_that_fits_somebody_living_and_somebody_rejected_joins_neither_unasked(
    bring: Importer, incident: Incident, officer: User, counsel: User
) -> None:
    living = {**CLAIRE, "person_id": "c9", "customer_number": "C9"}
    bring({**CLAIRE, "flags": "deceased"}, living)
    keep_apart(incident=incident, entries=incident.queue.filter(kind="match_conflict"), reason="mother, daughter", author=officer)
    reject(incident, officer, counsel)
    bring({**living, "language": "de"})
    assert incident.people.count() == 2, "her own number says who she is"
    bring({**CLAIRE, "person_id": "", "customer_number": "", "language": "it"})
    asked = list(incident.queue.filter(status="open").order_by("reason").values_list("reason", "other__reference"))
    assert asked == [(MAY_BE, "c9"), (AGAIN, "claire")]
    assert incident.people.get(reference="c9").status == PersonStatus.CLEAR


def test_a_row_that_fits_somebody_merged_into_somebody_rejected_joins_nobody_unasked(
    bring: Importer, incident: Incident, officer: User, counsel: User
) -> None:
    other = {**CLAIRE, "person_id": "b", "full_name": "Clara Du Bois", "email": "clara@example.org"}
    bring({**CLAIRE, "flags": "deceased"}, other)
    merge_people(incident=incident, entries=incident.queue.filter(kind="match_conflict"), reason="one person", author=officer)
    reject(incident, officer, counsel)
    bring({**other, "elements": "name;email"})
    assert incident.queue.get(reason=AGAIN).other == incident.people.get(reference="claire")


def test_somebody_who_is_a_person_after_all_is_not_asked_about_again(
    bring: Importer, incident: Incident, officer: User, rejected: AffectedPerson
) -> None:
    bring(CLAIRE)
    asked = incident.queue.filter(reason=AGAIN)
    deciding.correct_fields(
        incident=incident, entry=asked.get(), changes={"phone": "+33 1 23 45 67 89"}, reason="she wrote", author=officer
    )
    assert asked.get().status == "open"
    assert deciding.accept(incident=incident, entries=asked, reason="she wrote to us", author=officer) == 1
    bring({**CLAIRE, "language": "de"})
    assert asked.count() == 1 and incident.people.get(status=PersonStatus.CLEAR).reference.startswith("claire")


def test_many_are_rejected_again_for_the_reason_given_before_and_asked_about_if_they_come_back(
    bring: Importer, incident: Incident, officer: User, counsel: User, rejected: AffectedPerson
) -> None:
    bring(CLAIRE)
    asked = incident.queue.filter(reason=AGAIN)
    assert propose_again(incident=incident, entries=incident.queue.all(), author=counsel) == 1
    assert asked.get().decision_reason == "a test account"
    with pytest.raises(deciding.DecisionRefused, match="a second person"):
        deciding.confirm_rejection(incident=incident, entries=asked, author=counsel)
    assert deciding.confirm_rejection(incident=incident, entries=asked, author=officer) == 1
    assert rejected_again(batch=incident.imports.latest("pk")).number == 0
    bring({**CLAIRE, "language": "de"})
    assert asked.count() == 2 and asked.filter(status="open").count() == 1


def test_the_desk_shows_who_rejected_somebody_before_and_why_and_takes_it_again(
    bring: Importer, incident: Incident, officer: User, rejected: AffectedPerson
) -> None:
    bring(CLAIRE)
    client = Client()
    client.force_login(officer)
    again = incident.queue.get(reason=AGAIN)
    page = client.get(reverse("admin:list", args=[incident.pk, incident.imports.latest("pk").pk])).content.decode()
    assert "seem to be somebody whom two people rejected before" in page and "Dubois" not in page
    assert f'<a href="{reverse("admin:person", args=[incident.pk, again.person_id])}">' in page
    queue = reverse("admin:queue", args=[incident.pk, "data"])
    assert "Rejected by officer and counsel, proposed " in (shown := client.get(queue).content.decode())
    assert ": a test account" in shown and 'value="again"' in shown
    client.post(reverse("admin:decide", args=[incident.pk, "data"]), {"do": "again", "scope": "all", "status": "open"})
    again.refresh_from_db()
    assert (again.status, again.decision_reason) == ("rejection_proposed", "a test account")


def test_a_list_that_names_one_of_two_merged_people_takes_their_exclusion_not_back(
    bring: Importer, incident: Incident, officer: User, exclude: Exclude
) -> None:
    other = {**CLAIRE, "person_id": "b", "full_name": "Clara Du Bois", "email": "clara@example.org"}
    bring({**CLAIRE, "flags": "minor_16_17"}, other)
    merge_people(incident=incident, entries=incident.queue.filter(kind="match_conflict"), reason="one person", author=officer)
    deciding.accept(incident=incident, entries=incident.queue.filter(kind="guardian"), reason="reads it", author=officer)
    claire = exclude("claire")
    bring({**other, "elements": "name;email"})
    claire.refresh_from_db()
    assert claire.status == PersonStatus.REJECTED
    assert not incident.people.filter(status=PersonStatus.CLEAR).exists()
