"""What an expert expects of each drill beyond its conclusions: how many people, which moment, how late, and what if.

The engine is asked alone, of the allocated people; no database. Where an expectation and a pack's primary text differ, the pack
has won (docs/scenarios.md lists those).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase

import pytest

from incidents.law.engine import assess
from incidents.law.facts import Addressee, Assessment, Duty, Group, Owed
from incidents.law.pack import load_packs
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.concluding import BEFORE, DECIDED, SECOND
from incidents.scenarios.generator import allocate_cells
from tests.scenarios.test_conclusions import UNTIL_THEN, found_at, law_facts

EEA = "AT BE DE ES FR IE IT NL PL"
CROWN = "JE GG IM"
#: Scenario, residences, element sets, and how many people in small, medium and large.
COUNTS = [
    ("cartier-2025", "US-*", "*", (55, 13_500, 270_000)),
    ("cartier-2025", "US-ND US-WA", "contact_dob", (2, 66, 1_319)),
    ("cartier-2025", "US-ND", "contact_dob", (1, 11, 220)),
    ("cartier-2025", "US-WA", "contact_dob", (1, 55, 1_099)),
    ("cartier-2025", EEA, "*", (58, 15_000, 300_000)),
    ("cartier-2025", "GB", "*", (18, 4_500, 90_000)),
    ("cartier-2025", "KR", "*", (12, 3_000, 60_000)),
    ("cartier-2025", "JP", "*", (16, 4_000, 80_000)),
    ("cartier-2025", "UNKNOWN", "*", (2, 500, 10_000)),
    ("dior-2025", "US-*", "ssn", (2, 138, 2_703)),
    ("dior-2025", "US-*", "gov_id", (1, 398, 8_103)),
    ("dior-2025", "US-*", "contact_purchase", (32, 7_198, 143_995)),
    ("dior-2025", "KR", "*", (43, 12_000, 240_000)),
    ("dior-2025", EEA, "*", (30, 7_500, 150_000)),
    ("adidas-2025", "US-*", "helpdesk_contact_dob_gender helpdesk_contact_address", (10, 3_304, 66_009)),
    ("adidas-2025", "US-ND US-WA", "helpdesk_contact_dob_gender helpdesk_contact_address", (2, 108, 2_151)),
    ("adidas-2025", "TR", "*", (12, 3_000, 60_000)),
    ("adidas-2025", "KR", "*", (12, 3_000, 60_000)),
    ("adidas-2025", EEA, "*", (83, 21_000, 420_000)),
    ("adidas-2025", "GB", "*", (27, 7_000, 140_000)),
    ("north-face-2025", "US-ND", "account_profile_dob", (1, 78, 1_564)),
    ("north-face-2025", "US-WA", "account_profile_dob", (1, 391, 7_819)),
    ("north-face-2025", "US-*", "*", (192, 48_000, 960_000)),
    ("marks-and-spencer-2025", "GB", "*", (188, 47_250, 945_000)),
    ("marks-and-spencer-2025", CROWN, "*", (4, 1_000, 20_000)),
    ("marks-and-spencer-2025", "IE", "*", (4, 1_000, 20_000)),
    ("marks-and-spencer-2025", "US-ND US-WA", "*", (1, 6, 131)),
    ("harrods-2025", "GB", "*", (140, 35_000, 700_000)),
    ("harrods-2025", EEA, "*", (15, 3_750, 75_000)),
    ("harrods-2025", "US-*", "*", (14, 3_500, 70_000)),
    ("harrods-2025", "KR", "*", (1, 250, 5_000)),
    ("harrods-2025", "SG", "*", (2, 500, 10_000)),
    ("harrods-2025", "UNKNOWN", "*", (2, 500, 10_000)),
    ("co-op-2025", "*", "member", (144, 36_000, 720_000)),
    ("co-op-2025", "*", "member_no_email", (44, 11_000, 220_000)),
    ("co-op-2025", "*", "former_member", (12, 3_000, 60_000)),
    ("co-op-2025", CROWN, "*", (2, 400, 8_000)),
]
#: Scenario, how many Americans a statute owes a letter once all is found (with the packs' answers to the scenario's questions).
OWED_IN_THE_US = [
    ("cartier-2025", (2, 66, 1_319)),
    ("adidas-2025", (2, 108, 2_151)),
    ("harrods-2025", (0, 0, 0)),
    ("marks-and-spencer-2025", (1, 6, 131)),
    ("victorias-secret-2025", (0, 0, 0)),
]
#: Scenario, authority, the safe end of its 72 hours, and the end under Regulation 1182/71, which stands beside it.
UNDER_1182 = [
    ("cartier-2025", "FR GB", "2025-06-02T09:00:00Z", "2025-06-02T10:00:00Z"),
    ("dior-2025", "FR GB", "2025-05-10T13:00:00Z", "2025-05-10T14:00:00Z"),
    ("adidas-2025", "DE GB", "2025-05-16T13:30:00Z", "2025-05-16T14:00:00Z"),
    ("marks-and-spencer-2025", "GB IE", "2025-04-22T09:00:00Z", "2025-04-22T10:00:00Z"),
    ("harrods-2025", "GB DE FR IE IT", "2025-09-28T11:00:00Z", "2025-09-28T12:00:00Z"),
    ("co-op-2025", "GB", "2025-05-03T17:00:00Z", "2025-05-03T18:00:00Z"),
]
#: Scenario, place, addressee, set, when it was due, when it was really done, and whether that was late.
AUDIT = [
    ("dior-2025", "KR", "regulator", "", "2025-05-10", "2025-05-10", False),  # on the day: it hangs on the hour
    ("dior-2025", "KR", "person", "contact_purchase", "2025-05-10", "2025-05-13", True),
    ("dior-2025", "US-WA US-CO US-FL US-ME US-NY", "person", "ssn", "2025-06-06", "2025-07-18", True),
    ("dior-2025", "US-AL US-AZ US-MD US-OH US-WI", "person", "ssn", "2025-06-21", "2025-07-18", True),
    ("dior-2025", "US-CT US-DE US-LA US-SD US-TX", "person", "ssn", "2025-07-06", "2025-07-18", True),
    ("dior-2025", "US-VT", "regulator", "", "2025-05-28", "", False),  # Memorial Day left out; when it was told is confidential
    ("north-face-2025", "US-WA", "person", "account_profile_dob", "2025-05-23", "2025-05-29", True),
]
#: By when Australia's assessment has to be finished; it has to be recorded also where nothing is owed at its end.
ASSESSED_BY = {"dior-2025": "2025-06-06", "adidas-2025": "2025-06-12", "marks-and-spencer-2025": "2025-05-19",
               "harrods-2025": "2025-10-25"}  # fmt: skip
LEADS = {"cartier-2025": "FR", "dior-2025": "FR", "adidas-2025": "DE", "marks-and-spencer-2025": "IE", "harrods-2025": None,
         "co-op-2025": None, "north-face-2025": None, "victorias-secret-2025": None}  # fmt: skip


def asked(
    name: str, size: str, when: str = DECIDED, *, without: str = "", answers: dict[str, str] | None = None, **changed: object
) -> tuple[Assessment, list[tuple[str, str, int]]]:
    """What the engine says, with facts changed or an element taken away; and each group as residence, set and number."""
    scenario = load_scenario(scenario_id=name)
    cells = [(*cell, n) for cell, n in allocate_cells(scenario=scenario, people=scenario.sizes[size]).items() if n]
    sets = {
        key: frozenset(UNTIL_THEN.get(word, word) for word in each.elements) - {without}
        for key, each in scenario.population.element_sets.items()
    }
    groups = [Group("ZZ" if home == "UNKNOWN" else home, sets[of], n) for home, of, n in cells]
    facts = replace(law_facts(scenario, {**found_at(scenario, when), **(answers or {})}), **changed)
    return assess(facts=facts, groups=groups, packs=load_packs()), cells


def general(found: Assessment, to: str = "person", places: str = "*") -> list[Duty]:
    """Of the general laws of these places, what is said towards somebody."""
    return [
        duty for duty in found.duties if duty.regime == "general" and duty.addressee == to and is_of(duty.jurisdiction, places)
    ]


def is_of(word: str, patterns: str) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns.split())


def owing(duties: Iterable[Duty], owed: Owed = Owed.YES) -> set[str]:
    return {duty.jurisdiction for duty in duties if duty.owed == owed}


def day_of(moment: date | datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).date().isoformat() if isinstance(moment, datetime) else str(moment)


@pytest.mark.parametrize(("name", "places", "sets", "numbers"), COUNTS)
def test_the_expected_number_of_people_is_allocated(name: str, places: str, sets: str, numbers: tuple[int, ...]) -> None:
    scenario = load_scenario(scenario_id=name)
    for size, expected in zip(("small", "medium", "large"), numbers, strict=True):
        cells = allocate_cells(scenario=scenario, people=scenario.sizes[size]).items()
        assert sum(n for (home, of), n in cells if is_of(home, places) and is_of(of, sets)) == expected


@pytest.mark.parametrize(("name", "numbers"), OWED_IN_THE_US)
def test_a_statute_owes_a_letter_to_so_many_americans_and_to_no_more(name: str, numbers: tuple[int, ...]) -> None:
    for size, expected in zip(("small", "medium", "large"), numbers, strict=True):
        found, cells = asked(name, size)
        owed = [duty for duty in general(found, places="US-*") if duty.owed == Owed.YES]
        assert sum(cells[duty.group][2] for duty in owed if duty.group is not None) == expected
        assert owing(general(found, places="US-*"), Owed.ASK) == set()


@pytest.mark.parametrize(("name", "places", "safe", "legal"), UNDER_1182)
def test_the_safe_end_of_seventy_two_hours_stands_beside_that_of_the_regulation(
    name: str, places: str, safe: str, legal: str
) -> None:
    found, _ = asked(name, "large")
    ends = {(str(duty.jurisdiction), duty.deadline) for duty in general(found, "regulator", places)}
    assert {place for place, _ in ends} == set(places.split())
    for _, deadline in ends:
        assert deadline and (deadline.shown_at, deadline.legal_end_at) == (
            datetime.fromisoformat(safe),
            datetime.fromisoformat(legal),
        )


@pytest.mark.parametrize(("name", "places", "to", "of", "due", "done", "late"), AUDIT)
def test_what_was_really_done_is_held_against_the_day_it_was_due(
    name: str, places: str, to: str, of: str, due: str, done: str, late: bool
) -> None:
    found, cells = asked(name, "large")
    duties = [duty for duty in general(found, to, places) if not of or cells[duty.group or 0][1] == of]
    assert owing(duties) == set(places.split())
    assert {day_of(duty.deadline and duty.deadline.shown_at) for duty in duties} == {due}
    assert (done > due) == late


def test_no_statute_with_a_number_of_days_gave_dior_until_its_letters_of_july() -> None:
    found, cells = asked("dior-2025", "large")
    of_ssn = [duty for duty in general(found, places="US-*") if cells[duty.group or 0][1] == "ssn" and duty.owed == Owed.YES]
    ends = {day_of(duty.deadline and duty.deadline.shown_at) for duty in of_ssn} - {""}
    assert ends == {"2025-06-06", "2025-06-21", "2025-07-06"} and max(ends) < "2025-07-18"


def test_koreas_agency_wants_to_know_within_a_day_where_the_shop_counts_as_an_online_service() -> None:
    """The pack has it from memory that online shops do: so it is recorded by somebody, and not assumed."""
    for answer, owed, due in (("unknown", Owed.NO, ""), ("yes", Owed.YES, "2025-05-08")):
        found, _ = asked("dior-2025", "large", answers={"information_service_provider": answer})
        [duty] = [each for each in found.duties if each.regime == "network_act" and each.addressee == Addressee.REGULATOR]
        assert (duty.owed, day_of(duty.deadline and duty.deadline.shown_at)) == (owed, due)


def test_a_text_message_is_a_way_of_the_law_in_korea_and_in_no_american_state() -> None:
    found, _ = asked("dior-2025", "large")
    assert all("sms" in duty.channels_allowed for duty in general(found, places="KR"))
    assert not [duty.jurisdiction for duty in general(found, places="US-*") if "sms" in duty.channels_allowed]


@pytest.mark.parametrize(("name", "lead"), LEADS.items())
def test_one_authority_leads_where_there_is_an_establishment(name: str, lead: str | None) -> None:
    assert asked(name, "large")[0].lead_authority == lead


@pytest.mark.parametrize(
    ("name", "places"), [("cartier-2025", "AT BE DE ES FR IT NL PL"), ("marks-and-spencer-2025", "DE ES FR IE")]
)
def test_without_an_establishment_each_authority_is_told_by_itself(name: str, places: str) -> None:
    found, _ = asked(name, "large", established_in=None)
    assert found.lead_authority is None
    assert owing(general(found, "regulator", EEA)) == set(places.split())


def test_a_provider_tells_its_controller_and_the_controllers_clock_begins_then() -> None:
    found, _ = asked("adidas-2025", "large", role="processor")
    assert "DE" in owing(general(found, "controller"))


@pytest.mark.parametrize(("name", "day"), ASSESSED_BY.items())
def test_australias_assessment_has_its_own_end(name: str, day: str) -> None:
    found, _ = asked(name, "large", BEFORE)
    duties = general(found, places="AU")
    assert owing(duties, Owed.ASK) == {"AU"} and {day_of(duty.assess_by) for duty in duties} == {day}


@pytest.mark.parametrize(("size", "told"), [("small", set()), ("medium", set()), ("large", {"US-ND", "US-WA"})])
def test_credentials_that_counsel_does_not_count_leave_the_birth_date_alone(size: str, told: set[str]) -> None:
    """The other outcome of counsel's question: no state is met by the profile; Maine's authority is told by no law that is met."""
    found, cells = asked("north-face-2025", size, without="online_credentials")
    owed = {(duty.jurisdiction, cells[duty.group or 0][1]) for duty in general(found, places="US-*") if duty.owed == Owed.YES}
    assert owed == {("US-ND", "account_profile_dob"), ("US-WA", "account_profile_dob")}
    assert owing(general(found, "regulator", "US-*")) == told


@pytest.mark.parametrize("when", [BEFORE, DECIDED])
def test_where_nobody_lives_no_law_speaks(when: str) -> None:
    found, _ = asked("co-op-2025", "large", when)
    assert {duty.jurisdiction for duty in found.duties} == {"GB", "JE", "GG", "IM"}


def test_of_an_incident_without_confirmed_data_no_american_clock_runs() -> None:
    found, _ = asked("victorias-secret-2025", "large")
    assert owing(general(found), Owed.YES) == set()
    assert not [duty.jurisdiction for duty in general(found, places="US-*") if duty.deadline]
    [reminder] = [duty for duty in found.duties if duty.jurisdiction == "FED-SEC-8K"]
    assert [question.finding for question in reminder.may_record] == ["sec_registrant"]


def test_the_second_wave_is_owed_by_the_laws_that_turn_on_a_high_risk() -> None:
    first, second = (owing(general(asked("harrods-2025", "large", when)[0])) for when in (DECIDED, SECOND))
    assert second - first == {"GB", "JE", "DE", "FR", "IE", "IT", "CH"}
