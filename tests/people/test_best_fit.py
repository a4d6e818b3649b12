"""Fathers and sons of one name, one house and one mailbox: whoever may be either is asked about, beside whom it fits best."""

from __future__ import annotations

import pytest

from incidents.models import Incident
from incidents.people.likeness import TIED, TORN
from tests.conftest import COLUMNS
from tests.people.conftest import Importer, Row

HOUSE: Row = {
    "full_name": "Paul Exact", "email": "px@example.org", "street": "Weg 3", "city": "Köln", "postcode": "50667",
    "stated_country": "DE", "elements": "name;email",
}  # fmt: skip


def one(reference: str, number: str = "", born: str = "", **more: str) -> Row:
    return {**HOUSE, "person_id": reference, "customer_number": number, "date_of_birth": born, **more}


HERE = (*COLUMNS, "street", "city", "postcode")
FATHER, SON = one("father", "102", "1950-03-03"), one("son", "101", "1980-04-04")


@pytest.fixture(params=["one file", "a file each"])
def give(request: pytest.FixtureRequest, bring: Importer) -> Importer:
    def run(*rows: Row, **_: object) -> None:
        for some in [rows] if request.param == "one file" else [[row] for row in rows]:
            bring(*some, columns=HERE)

    return run  # type: ignore[return-value]


def asked(incident: Incident) -> set[tuple[str, str, str]]:
    found = incident.queue.filter(kind="match_conflict").values_list("person__reference", "other__reference", "reason")
    return {(str(person), str(other), reason) for person, other, reason in found}


def test_the_question_names_whom_the_birth_date_fits_and_not_whoever_came_first(give: Importer, incident: Incident) -> None:
    give(SON, FATHER, one("again", "SAP-9", "1950-03-03"))
    assert incident.people.count() == 3
    assert ("again", "father", TORN) in asked(incident)
    assert ("again", "son", TORN) not in asked(incident)


@pytest.mark.parametrize("flag", ["", "deceased"])
def test_a_row_that_fits_the_son_without_a_number_may_be_the_father_too(give: Importer, incident: Incident, flag: str) -> None:
    give(FATHER, one("son", born="1980-04-04"), one("either", "X80", flags=flag))
    assert incident.people.count() == 3, "it joins neither"
    assert not incident.people.exclude(reference="either").filter(flags__contains=["deceased"]).exists()
    assert {("either", "father", TORN), ("either", "son", TIED)} <= asked(incident)


def test_the_birth_date_tells_which_of_the_two_a_row_is(bring: Importer, incident: Incident) -> None:
    for row in (FATHER, one("son", born="1980-04-04"), one("sure", "X80", "1980-04-04", language="de")):
        bring(row, columns=HERE)
    assert incident.people.count() == 2 and incident.people.get(reference="son").language == "de"


def test_a_number_of_its_own_tells_it_too(bring: Importer, incident: Incident) -> None:
    for row in (FATHER, one("son", born="1980-04-04"), one("more", "102", language="de")):
        bring(row, columns=HERE)
    assert incident.people.count() == 2 and incident.people.get(reference="father").language == "de"


def test_a_row_that_differs_from_one_only_by_its_number_is_asked_about_that_one(bring: Importer, incident: Incident) -> None:
    for row in (one("only", "102"), one("other", "X80")):
        bring(row, columns=HERE)
    assert asked(incident) == {("other", "only", TORN)}
