"""What somebody corrected by hand is changed back by no list: it stands, and where the list says otherwise it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from incidents.models import AffectedPerson, Incident
from incidents.people import deciding
from incidents.people.by_hand import OTHERWISE
from incidents.people.correcting import CorrectionRefused, correct_person
from incidents.people.importing import import_people
from incidents.vault import PersonFields, Vault
from tests.conftest import CARL, CLAIRE
from tests.people.conftest import Importer, Row

ROW: Row = {**CLAIRE, "flags": "employee", "elements": "name;email;country;national_id"}
NEW = "claire.new@example.org"
Versions = Callable[..., AffectedPerson]


@pytest.fixture
def version(incident: Incident, officer: User, write_list: Callable[..., Path]) -> Versions:
    """Import a version of one list; returns Claire."""

    def run(*rows: Row) -> AffectedPerson:
        import_people(incident=incident, path=write_list(*rows), author=officer, source="crm", judge=lambda found: True)
        return AffectedPerson.objects.get(incident=incident, reference="claire")

    return run


def emails(person: AffectedPerson) -> tuple[str, ...]:
    return Vault(incident=person.incident).open(person=person).emails


def asked(incident: Incident) -> list[tuple[str, str]]:
    return list(incident.queue.filter(status="open").order_by("id").values_list("column", "reason"))


def test_a_corrected_address_stands_against_a_newer_version_and_is_asked_once(
    version: Versions, incident: Incident, officer: User
) -> None:
    correct_person(person=version(ROW), changes={"email": NEW}, reason="she rang", author=officer)
    claire = version(ROW, CARL)
    assert (emails(claire), claire.status) == ((NEW,), "attention")
    assert asked(incident) == [("email", OTHERWISE)]
    assert deciding.accept(incident=incident, entries=incident.queue.all(), reason="as she said", author=officer) == 1
    claire = version(ROW, {**CARL, "language": "de"})
    assert (emails(claire), claire.status, asked(incident)) == ((NEW,), "clear", [])


def test_elements_and_flags_that_somebody_took_off_do_not_come_back_unasked(
    version: Versions, incident: Incident, officer: User
) -> None:
    changes = {"elements": "name;email;country", "flags": ""}
    correct_person(person=version(ROW), changes=changes, reason="not in the copied table", author=officer)
    claire = version(ROW, CARL)
    assert (claire.elements, claire.flags) == (["country", "email", "name"], [])
    assert asked(incident) == [("elements", f"{OTHERWISE}: national_id"), ("flags", f"{OTHERWISE}: employee")]
    claire = version({**ROW, "flags": "employee;deceased"}, {**CARL, "language": "de"})
    assert claire.flags == [] and ("flags", f"{OTHERWISE}: deceased, employee") in asked(incident)
    assert any(reason == "said to be deceased" for _, reason in asked(incident))


def test_what_nobody_corrected_follows_the_newer_version_as_before(version: Versions, incident: Incident, officer: User) -> None:
    correct_person(person=version(ROW), changes={"phone": "+33 1 23 45 67 89"}, reason="she rang", author=officer)
    claire = version({**ROW, "email": NEW, "flags": "employee;moved"}, CARL)
    assert emails(claire) == (NEW, "claire@example.org") and claire.flags == ["employee", "moved"]
    assert not asked(incident)


def test_a_country_of_the_address_that_nothing_reads_is_no_field_to_correct(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring(CLAIRE)
    with pytest.raises(CorrectionRefused, match="country: no field of this name"):
        correct_person(person=incident.people.get(), changes={"country": "FR"}, reason="she said so", author=officer)
    assert PersonFields.decode(b'{"country":"FR"}').encode() == b'{"country":"FR"}', "records that hold one stay what was sealed"
