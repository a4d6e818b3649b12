"""Whoever two people excluded is written to by no later list: it is asked, and nothing that a list says takes the exclusion back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import AffectedPerson, Incident, PersonStatus
from incidents.people import deciding
from incidents.people.decisions import EXCLUDED
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.importing import import_people
from incidents.people.merging import merge_people
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
