"""Whoever moved house between two versions of a list is written to where they live now."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import AffectedPerson, Incident, Merge
from incidents.people.by_hand import OTHERWISE
from incidents.people.correcting import correct_person
from incidents.people.importing import import_people
from incidents.people.merging import undo_merge
from incidents.vault import Vault
from tests.conftest import COLUMNS
from tests.people.conftest import Row, kinds

OLD: Row = {
    "person_id": "p", "customer_number": "4", "full_name": "Post Only", "email": "", "street": "Altweg 4", "city": "Köln",
    "postcode": "50667", "stated_country": "DE", "elements": "name", "language": "de",
}  # fmt: skip
NEW = {**OLD, "street": "Neuweg 44", "city": "Bonn", "postcode": "53111"}
OTHER = {**OLD, "person_id": "o", "customer_number": "5", "full_name": "Somebody Else"}
HERE = (*COLUMNS, "street", "city", "postcode")
Give = Callable[..., AffectedPerson]


@pytest.fixture
def give(incident: Incident, officer: User, write_list: Callable[..., Path]) -> Give:
    def run(*rows: Row, source: str = "crm") -> AffectedPerson:
        import_people(
            incident=incident, path=write_list(*rows, columns=HERE), author=officer, source=source, judge=lambda found: True
        )
        return incident.people.get(reference="p")

    return run


def home(person: AffectedPerson) -> tuple[str, str, str]:
    fields = Vault(incident=person.incident).open(person=AffectedPerson.objects.get(pk=person.pk))
    return fields.street, fields.city, fields.postcode


def test_the_postal_address_of_a_newer_version_takes_the_place_of_the_earlier_one(give: Give, incident: Incident) -> None:
    give(OLD)
    person = give(NEW, OTHER)
    assert home(person) == ("Neuweg 44", "Bonn", "53111") and person.has_post
    assert kinds(incident, status="open", person=person) == ["no_channel"], "as before"


def test_another_list_does_not_move_anybody(give: Give) -> None:
    give(OLD)
    assert home(give(NEW, OTHER, source="shop"))[0] == "Altweg 4"
    give(OLD, source="shop")
    assert home(give({**NEW, "street": "Drittweg 5"}, OTHER, source="shop"))[0] == "Altweg 4", "shop did not bring them"


def test_a_newer_version_that_names_no_street_leaves_the_address(give: Give) -> None:
    give(OLD)
    assert home(give({**OLD, "street": "", "city": "", "postcode": "", "email": "p@example.org"}, OTHER))[0] == "Altweg 4"


def test_a_home_in_another_country_is_asked_about_before_the_address_moves(give: Give, incident: Incident) -> None:
    give(OLD)
    person = give({**NEW, "city": "Lyon", "postcode": "69002", "stated_country": "FR"}, OTHER)
    assert (
        home(person)[0] == "Altweg 4" and incident.queue.filter(kind="residence_conflict", person=person, status="open").exists()
    )


def test_an_address_that_somebody_corrected_stands_and_is_asked_about(give: Give, incident: Incident, officer: User) -> None:
    correct_person(person=give(OLD), changes={"street": "Handweg 1"}, reason="he rang", author=officer)
    person = give(NEW, OTHER)
    assert home(person)[0] == "Handweg 1"
    assert ("street", OTHERWISE) in incident.queue.filter(status="open").values_list("column", "reason")


def test_taking_the_merge_back_takes_the_address_back(give: Give, incident: Incident, officer: User) -> None:
    give(OLD)
    person = give(NEW, OTHER)
    undo_merge(merge=Merge.objects.get(incident=incident, person=person), reason="not the same man", author=officer)
    assert home(person) == ("Altweg 4", "Köln", "50667")


def test_what_two_newer_versions_say_stays_where_one_of_them_is_taken_back(give: Give, incident: Incident, officer: User) -> None:
    give(OLD)
    give(NEW, OTHER)
    person = give({**NEW, "email": "p@example.org"}, OTHER)
    last = Merge.objects.filter(incident=incident, person=person).order_by("-id")[0]
    undo_merge(merge=last, reason="not the same man", author=officer)
    assert home(person)[0] == "Neuweg 44"
