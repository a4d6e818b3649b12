"""From a row of the list to the register: an unclear place is a question with its remedy, a clear one keeps its evidence."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from incidents.letters.render import make_letters
from incidents.models import AffectedPerson, AuditEvent, Incident, QueueEntry
from incidents.models.people import QueueKind
from incidents.people import deciding
from incidents.people.assessing import assess_incident
from incidents.people.deciding import DecisionRefused
from incidents.people.importing import account
from incidents.people.opening import record_finding
from incidents.people.possible_laws import possible_laws
from incidents.vault import Vault
from tests.conftest import CLAIRE, COLUMNS
from tests.people.conftest import Importer

WIDE = (*COLUMNS, "region", "billing_country", "phone_prefix", "ip_country")


def person(number: int, **cells: str) -> dict[str, str]:
    own = {"person_id": f"p{number}", "customer_number": f"C{number}", "full_name": f"Person {number}"}
    return {**CLAIRE, **own, "email": f"p{number}@example.org", **cells}


def entry(incident: Incident, reference: str = "p1") -> QueueEntry:
    return incident.queue.get(person__reference=reference)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("UK", "is GB meant? "), ("Schottland", "is GB meant? "), ("America", "is US meant? "), ("Georgia", "is US-GA or GE meant? "),
        ("EL", "is GR meant? "), ("Holland", "is NL meant? "), ("Korea", "is KR or KP meant? "), ("California", "is US-CA meant? "),
        ("NY", "is US-NY meant? "), ("Ontario", "is CA-ON meant? "), ("DIFC", "is AE meant? "), ("XX", ""), ("Northern Cyprus", "is CY meant? "),
    ],
)  # fmt: skip
def test_an_unclear_country_is_one_question_that_names_what_may_be_meant(
    bring: Importer, incident: Incident, word: str, meant: str
) -> None:
    bring(person(1, stated_country=word))
    asked = entry(incident)
    assert (asked.kind, asked.column) == (QueueKind.RESIDENCE_UNKNOWN, "stated_country") and "no ISO code" in asked.reason
    assert asked.remedy == f"{meant}set the residence with its evidence, or hold"
    found = incident.people.get()
    assert (found.residence, found.status) == ("ZZ", "attention") and account(incident=incident).adds_up


def test_a_region_alone_is_a_question_that_names_the_state_and_the_ip_address_is_a_suggestion_only(
    bring: Importer, incident: Incident
) -> None:
    bring(person(1, stated_country="", region="WA"), person(2, stated_country="", ip_country="FR"), columns=WIDE)
    assert entry(incident).remedy.startswith("is US-WA meant? ") and incident.people.get(reference="p1").possible_residences == [
        "US-WA"
    ]
    said = "suggested: FR, by the IP address alone; set the residence with its evidence, or hold"
    assert entry(incident, "p2").remedy == said and incident.people.get(reference="p2").residence == "ZZ"


def test_canada_without_a_province_waits_for_it(bring: Importer, incident: Incident) -> None:
    bring(person(1, stated_country="CA"), person(2, stated_country="CA", region="Alberta"), columns=WIDE)
    asked = entry(incident)
    assert asked.kind == QueueKind.STATE_UNKNOWN and "province unknown" in asked.reason and "Quebec and Alberta" in asked.remedy
    assert incident.people.get(reference="p2").residence == "CA-AB" and incident.queue.count() == 1


def test_a_province_question_survives_the_merge_of_two_rows(bring: Importer, incident: Incident) -> None:
    twice = person(1, stated_country="CA")
    bring(twice, {**twice, "email": "other@example.org"})
    assert incident.people.count() == 1 and entry(incident).kind == QueueKind.STATE_UNKNOWN


@pytest.mark.parametrize(
    ("word", "place", "kept"),
    [("fr", "FR", "stated_country"), ("Deutschland", "DE", "stated_country (name)"), ("RE", "FR-974", "stated_country"),
     ("Guadeloupe", "FR-971", "stated_country (name)"), ("PR", "US-PR", "stated_country"), ("NC", "NC", "stated_country")],
)  # fmt: skip
def test_a_clear_place_asks_nothing_and_keeps_its_evidence(
    bring: Importer, incident: Incident, word: str, place: str, kept: str
) -> None:
    bring(person(1, stated_country=word))
    found = incident.people.get()
    assert (found.residence, found.residence_from, found.status) == (place, kept, "clear") and not incident.queue.exists()
    assert dict(Vault(incident=incident).open(person=found).evidence)["stated_country"] == word


def test_territories_come_under_their_law_and_the_others_leave_it_open(
    bring: Importer, incident: Incident, officer: User
) -> None:
    codes = {
        "RE": ("FR", "FR-974"),
        "AX": ("FI", "FI-01"),
        "PR": ("US-PR", "US-PR"),
        "NC": ("NC", "NC"),
        "AS": ("US-AS", "US-AS"),
    }
    bring(*(person(number, stated_country=code) for number, code in enumerate(codes, 1)))
    report = assess_incident(incident=incident, author=officer)
    laws = incident.obligations.filter(addressee="person", cohort__isnull=False).values_list(
        "cohort__residence", "jurisdiction", "owed"
    )
    found = {residence: (law, owed) for residence, law, owed in laws if not law.startswith("FED")}
    assert {place: law for place, (law, _) in found.items()} == {place: law for law, place in codes.values()}
    assert (found["NC"][1], found["US-AS"][1]) == ("ask", "ask") and any("'NC'" in question for question in report.questions)


# -- decisions -----------------------------------------------------------------------------------------------------


def decide(incident: Incident, officer: User, code: str) -> AffectedPerson:
    deciding.correct_residence(incident=incident, entries=incident.queue.all(), residence=code, reason="her shop", author=officer)
    return incident.people.get()


@pytest.mark.parametrize(
    ("code", "place"),
    [("GB", "GB"), ("PR", "US-PR"), ("US-PR", "US-PR"), ("GP", "FR-971"), ("FR-971", "FR-971"), ("AX", "FI-01"), ("NC", "NC"), ("AS", "US-AS"),
     ("CA-QC", "CA-QC"), ("JE", "JE"), ("AE", "AE")],
)  # fmt: skip
def test_a_decision_sets_the_place_under_which_the_law_knows_it(
    bring: Importer, incident: Incident, officer: User, code: str, place: str
) -> None:
    bring(person(1, stated_country="Oz"))
    found = decide(incident, officer, code)
    assert (found.residence, found.residence_from, found.status) == (place, "decision", "clear")
    assert found.cohort is not None and found.cohort.residence == place
    assert AuditEvent.objects.filter(action="person.corrected", line__contains=f'"to":"{place}"').exists()


@pytest.mark.parametrize(
    ("code", "meant"),
    [("UK", "Is GB meant?"), ("GEORGIA", "Is US-GA or GE meant?"), ("CALIFORNIA", "Is US-CA meant?"), ("WA", "Is US-WA meant?"),
     ("EL", "Is GR meant?"), ("FR-NC", "Is NC meant?"), ("us-ca", "Is US-CA meant?"), ("AE-DIFC", "Is AE meant?"), ("AE-ADGM", "Is AE meant?"),
     ("XX", ""), ("CA-XX", ""), ("", "")],
)  # fmt: skip
def test_a_decision_on_a_word_that_is_no_place_names_what_may_be_meant_and_changes_nothing(
    bring: Importer, incident: Incident, officer: User, code: str, meant: str
) -> None:
    bring(person(1, stated_country="Oz"))
    with pytest.raises(DecisionRefused, match="is no residence. Use an ISO code") as caught:
        decide(incident, officer, code)
    assert caught.value.lines[0].endswith(meant or "unknown.") and incident.people.get().residence == "ZZ"


def test_people_of_a_territory_get_their_letter_in_its_language(bring: Importer, incident: Incident, officer: User) -> None:
    bring(*(person(n, stated_country=code, language="") for n, code in enumerate(("RE", "AX", "PR", "NC", "AS", "FR"), 1)))
    for key, value in (("risk", "high"), ("misuse_likely", "yes"), ("voluntary_notice", "yes"), ("law_unknown", "courtesy")):
        record_finding(incident=incident, key=key, value=value, reason="as the tests need it", author=officer)
    assess_incident(incident=incident, author=officer)
    make_letters(incident=incident, author=officer)
    made = {letter.cohort.residence: (letter.form, letter.language, letter.blocked) for letter in incident.letters.all()}
    assert made["FR-974"] == made["FR"] and made["FR"][1:] == ("fr", False)
    assert set(made) == {"FR", "FR-974", "FI-01", "US-PR", "NC", "US-AS"} and not any(blocked for _, _, blocked in made.values())


def test_a_free_zone_is_asked_with_its_own_law_and_the_emirates_may_be_set(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring(person(1, stated_country="AE", region="DIFC"), columns=WIDE)
    asked = incident.people.get()
    assert (entry(incident).kind, asked.residence) == (QueueKind.RESIDENCE_CONFLICT, "AE")
    laws = possible_laws(incident=incident, people=[asked])[asked.pk]
    said = {one["place"]: " ".join(duty["law"] for duty in one["duties"]) for one in laws}
    assert said["AE"].startswith("United Arab Emirates") and said["AE-DIFC"].startswith("Dubai International Financial Centre")
    assert decide(incident, officer, "AE").residence == "AE"
