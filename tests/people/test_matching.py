"""Two rows are one person only when enough agrees; what they say differently is joined or asked, never dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.models import AffectedPerson, AuditEvent, ImportRow, Incident
from incidents.people.deciding import confirm_rejection, propose_rejection
from incidents.people.importing import import_people
from incidents.vault import PersonFields, Vault
from tests.people.conftest import Importer, Row, kinds

ANNA: Row = {
    "customer_number": "C9",
    "full_name": "Anna Berg",
    "email": "anna@example.org",
    "stated_country": "FR",
    "elements": "name;email",
}
NO_NUMBER = {**ANNA, "customer_number": ""}
BORN = {"date_of_birth": "1980-03-02"}
EMAILS = ("anna@example.org", "berg@example.org", "a.berg@example.org")


def people(incident: Incident) -> list[PersonFields]:
    vault = Vault(incident=incident)
    return [vault.open(person=person) for person in AffectedPerson.objects.filter(incident=incident).order_by("id")]


def the_person(incident: Incident) -> AffectedPerson:
    return AffectedPerson.objects.get(incident=incident)


def split(request: pytest.FixtureRequest, bring: Importer, *rows: Row) -> None:
    """All rows in one file, or one file each."""
    if request.param == "one file":
        bring(*rows)
    else:
        for row in rows:
            bring(row)


@pytest.fixture(params=["one file", "a file each"])
def give(request: pytest.FixtureRequest, bring: Importer) -> Any:
    return lambda *rows: split(request, bring, *rows)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        (ANNA, {**ANNA, "full_name": "ANNA  berg", "email": EMAILS[1]}, "same customer number and name"),
        (NO_NUMBER, {**NO_NUMBER, "full_name": "anna berg", "language": "fr"}, "same e-mail address (capitals apart) and name"),
        ({**NO_NUMBER, **BORN}, {**NO_NUMBER, **BORN, "email": EMAILS[1]}, "same name and birth date"),
        ({**ANNA, "full_name": "Anna O’Brien"}, {**ANNA, "full_name": "ANNA OBRIEN"}, "same customer number and name"),
        (
            {**NO_NUMBER, **BORN, "full_name": "Anne-Zoé Berg"},
            {**NO_NUMBER, **BORN, "full_name": "Anne Zoe Berg"},
            "same e-mail address (capitals apart) and name",
        ),
    ],
    ids=["number-and-name", "email-and-name", "name-and-birth-date", "apostrophes", "accents-and-hyphens"],
)
def test_each_tier_makes_two_rows_one_person(give: Any, incident: Incident, one: Row, other: Row, reason: str) -> None:
    give(one, other)
    assert len(people(incident)) == 1
    merged = ImportRow.objects.get(outcome="merged")
    assert (merged.reason, merged.person) == (reason, the_person(incident))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (NO_NUMBER, {**NO_NUMBER, "full_name": "Ben Berg"}),
        (ANNA, {**ANNA, "customer_number": "C8"}),
        (NO_NUMBER, {**NO_NUMBER, "email": EMAILS[1]}),
        ({**NO_NUMBER, **BORN}, {**NO_NUMBER, "date_of_birth": "1981-03-02", "email": EMAILS[1]}),
    ],
    ids=["one-email-two-names", "two-numbers", "two-emails-no-birth-date", "two-birth-dates"],
)
def test_two_people_who_agree_in_less_stay_two(give: Any, incident: Incident, one: Row, other: Row) -> None:
    give(one, other)
    assert len(people(incident)) == 2 and not ImportRow.objects.filter(outcome="merged").exists()


@pytest.mark.parametrize("columns", ["nome,cognome", "full_name,family_name", "nombre,primer_apellido", "name,surname"])
@pytest.mark.parametrize("born", ["1985-01-20", ""])
def test_people_of_one_given_name_stay_two_whatever_the_columns_are_called(
    incident: Incident, officer: User, tmp_path: Path, columns: str, born: str
) -> None:
    path, address = tmp_path / "list.csv", "marco{}@example.org" if born else "family@example.org"
    rows = [f"Marco,{name},{address.format(at)},{born},IT" for at, name in enumerate(("Rossi", "Bianchi"))]
    path.write_text("\n".join([f"{columns},email,date_of_birth,stated_country", *rows]))
    import_people(incident=incident, path=path, author=officer)
    assert [fields.full_name for fields in people(incident)] == ["Marco Rossi", "Marco Bianchi"] and not kinds(incident)


def test_one_person_with_several_addresses_keeps_them_all_in_order(give: Any, incident: Incident) -> None:
    give(*({**ANNA, "email": email} for email in EMAILS))
    assert [fields.emails for fields in people(incident)] == [EMAILS]


def test_a_chain_of_tiers_ends_at_one_person_with_every_address(bring: Importer, incident: Incident) -> None:
    rows = (
        {**NO_NUMBER, **BORN, "email": EMAILS[0]},
        {**NO_NUMBER, **BORN, "email": EMAILS[1]},
        {**NO_NUMBER, "email": EMAILS[1]},
        {**NO_NUMBER, "email": EMAILS[0]},
    )
    report = bring(*rows)
    assert [fields.emails for fields in people(incident)] == [EMAILS[:2]]
    assert not ImportRow.objects.filter(person=None).exists() and report.accounting.merged == 3


def test_a_chain_that_reaches_a_known_person_ends_there(bring: Importer, incident: Incident) -> None:
    bring({**NO_NUMBER, **BORN})
    bring({**NO_NUMBER, **BORN, "email": EMAILS[1]}, {**NO_NUMBER, "email": EMAILS[1], "language": "de"})
    assert not ImportRow.objects.exclude(person=the_person(incident)).exists()


def test_elements_and_flags_of_all_rows_count(give: Any, incident: Incident) -> None:
    give(ANNA, {**ANNA, "elements": "name;date_of_birth", "flags": "employee"})
    person = the_person(incident)
    assert (person.elements, person.flags) == (["country", "date_of_birth", "email", "name"], ["employee"])
    assert person.cohort is not None and person.cohort.elements == person.elements


def test_a_question_of_the_second_row_is_asked_of_the_one_person(give: Any, incident: Incident) -> None:
    give(ANNA, {**ANNA, "flags": "deceased"})
    assert kinds(incident, person=the_person(incident)) == ["next_of_kin"] and the_person(incident).status == "attention"


def test_the_same_question_is_asked_once(give: Any, incident: Incident) -> None:
    give({**ANNA, "flags": "deceased"}, {**ANNA, "flags": "deceased", "language": "fr"})
    assert kinds(incident) == ["next_of_kin"]


def test_rows_of_one_person_that_name_two_homes_are_asked(give: Any, incident: Incident) -> None:
    give(ANNA, {**ANNA, "stated_country": "DE"})
    person = the_person(incident)
    assert (person.residence, person.possible_residences, kinds(incident)) == ("FR", ["FR", "DE"], ["residence_conflict"])


def test_a_good_address_in_the_second_row_answers_the_question_of_the_first(bring: Importer, incident: Incident) -> None:
    bring({**ANNA, "email": "not an address"}, ANNA)
    assert kinds(incident) == [] and the_person(incident).status == "clear" and the_person(incident).has_email


def test_a_person_who_gets_an_address_by_a_later_file_is_found_by_it(bring: Importer, incident: Incident) -> None:
    bring({**ANNA, "email": ""})
    bring(ANNA)
    bring({**NO_NUMBER, "language": "fr"})
    assert len(people(incident)) == 1 and the_person(incident).has_email


def test_one_number_beside_two_names_is_asked(give: Any, incident: Incident) -> None:
    give(ANNA, {**ANNA, "full_name": "Ben Holt", "email": EMAILS[1]})
    assert len(people(incident)) == 2 and kinds(incident) == ["match_conflict"]


def test_capitals_of_an_address_make_no_second_person_of_one_name(give: Any, incident: Incident) -> None:
    give(NO_NUMBER, {**NO_NUMBER, "email": "Anna@Example.org"})
    assert len(people(incident)) == 1 and kinds(incident) == []
    assert set(incident.merges.values_list("tier", flat=True)) == {"email"}
    written = Vault(incident=incident).open(person=the_person(incident)).emails
    assert written == ("anna@example.org", "Anna@example.org") and the_person(incident).other_email_indexes is None


def test_capitals_of_an_address_make_no_person_of_two_names(give: Any, incident: Incident) -> None:
    give(NO_NUMBER, {**NO_NUMBER, "full_name": "Ben Holt", "email": "ANNA@example.org"})
    assert len(people(incident)) == 2


def test_somebody_rejected_does_not_swallow_a_row_of_a_later_file(
    bring: Importer, incident: Incident, officer: Any, counsel: Any
) -> None:
    bring({**ANNA, "flags": "deceased"})
    propose_rejection(incident=incident, entries=incident.queue.all(), reason="no client", author=officer)
    confirm_rejection(incident=incident, entries=incident.queue.all(), author=counsel)
    assert bring(ANNA).accounting.needs_attention == 1
    assert incident.people.filter(status="attention").count() == incident.people.filter(status="rejected").count() == 1


@pytest.mark.parametrize("given", [{}, {"person_id": "anna"}])
def test_a_reference_given_thrice_names_three_people(bring: Importer, incident: Incident, given: Row) -> None:
    for number in range(3):
        bring({**ANNA, **given, "customer_number": f"C{number}"})
    bring(*({**ANNA, **given, "customer_number": f"D{number}"} for number in range(3)))
    assert len(set(incident.people.values_list("reference", flat=True))) == 6


def test_a_reference_that_looks_like_a_made_one_is_no_accident(bring: Importer, incident: Incident) -> None:
    rows = [("anna", "C1"), ("anna", "C2"), ("anna-r3", "C3")]
    bring(*({**ANNA, "person_id": name, "customer_number": number} for name, number in rows))
    assert incident.people.count() == 3


def test_the_log_names_the_person_into_whom_a_row_was_merged(bring: Importer, incident: Incident) -> None:
    bring(ANNA)
    bring({**ANNA, "email": EMAILS[1]}, {**ANNA, "email": EMAILS[2]})
    merged = AuditEvent.objects.filter(action="person.merged").values_list("subject", flat=True)
    assert set(merged) == {the_person(incident).subject} and len(merged) == 2
