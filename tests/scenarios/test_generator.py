"""The invented customer table keeps its promises: exact cells, exact edge cases, the same bytes every time."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date
from fractions import Fraction

import pytest

from incidents.scenarios.catalog import (
    ElementSet,
    Scenario,
    UnknownScenario,
    UnknownSize,
    load_places,
    load_scenario,
    people_in,
    scenario_ids,
)
from incidents.scenarios.generator import COLUMNS, GeneratedCounts, allocate_cells, write_people
from incidents.scenarios.names import Name, load_names, malformed_address_of
from incidents.scenarios.painting import Edge, TooFewPeople
from tests.scenarios.tables import Row, age_on, cell_of, expected_cells, is_conflicting, is_mail_address

PINNED = {("US-ND", "contact_dob"), ("US-WA", "contact_dob"), ("US-NC", "contact_only")}
EXAMPLE_DOMAINS = {"example.com", "example.org", "example.net", "hard-bounce.test", "soft-bounce.test"}
STORE = re.compile(r"(?P<place>[A-Z]{2}(-[A-Z]{2})?) \S.*")
PHONE = re.compile(r"\+(1(-[2-9][0-9]{2})?|[2-9][0-9]{0,2})")


@dataclasses.dataclass(frozen=True)
class Table:
    """A generated file, read back."""

    text: str
    counts: GeneratedCounts
    rows: list[Row]
    people: list[Row]  # one row per person: the first in the file

    def count(self, wanted: Callable[[Row], object]) -> int:
        return sum(bool(wanted(person)) for person in self.people)


@pytest.fixture(scope="module")
def cartier() -> Scenario:
    return load_scenario(scenario_id="cartier-2025")


@pytest.fixture(scope="module")
def small(cartier: Scenario) -> Table:
    return generate(cartier, 200)


@pytest.fixture(scope="module")
def medium(cartier: Scenario) -> Table:
    return generate(cartier, 50_000)


def generate(scenario: Scenario, people: int) -> Table:
    out = io.StringIO(newline="")
    counts = write_people(scenario=scenario, people=people, out=out)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    first: dict[str, Row] = {}
    for row in rows:
        first.setdefault(row["customer_number"], row)
    return Table(out.getvalue(), counts, rows, list(first.values()))


def cells_of(people: Iterable[Row]) -> Counter[tuple[str, str]]:
    return Counter(cell_of(person) for person in people)


def flags_of(person: Row) -> set[str]:
    return set(filter(None, person["flags"].split(";")))


def has_plain_address(person: Row) -> bool:
    return person["email"].rpartition("@")[2] not in {"hard-bounce.test", "soft-bounce.test"} and is_mail_address(person["email"])


def is_in_us_without_state(person: Row) -> bool:
    told = person["loyalty_home_store"] or "-" in person["phone_prefix"]
    return person["truth_residency"].startswith("US-") and not told


# The catalog


def test_the_catalog_lists_its_scenarios_and_not_the_data_they_share() -> None:
    assert scenario_ids() == (
        "adidas-2025", "cartier-2025", "co-op-2025", "dior-2025", "harrods-2025", "marks-and-spencer-2025", "north-face-2025",
        "victorias-secret-2025",
    )  # fmt: skip


@pytest.mark.parametrize("name", ["no-such-drill", "common/places", "../catalog", ""])
def test_an_unknown_scenario_is_refused_with_the_list_of_known_ones(name: str) -> None:
    with pytest.raises(UnknownScenario, match="known: adidas-2025, cartier-2025"):
        load_scenario(scenario_id=name)


def test_a_size_is_a_name_or_a_number(cartier: Scenario) -> None:
    asked = ("small", "medium", "large", "200", "1234")
    assert [people_in(scenario=cartier, size=size) for size in asked] == [200, 50_000, 1_000_000, 200, 1234]


@pytest.mark.parametrize("size", ["huge", "", "-5", "1.5", "49", "10000000", "²00", "SMALL"])
def test_any_other_size_is_refused_with_what_would_be_accepted(cartier: Scenario, size: str) -> None:
    with pytest.raises(UnknownSize, match="small, medium, large or a number from 50 to 9999999"):
        people_in(scenario=cartier, size=size)


@pytest.mark.parametrize("name", scenario_ids())
def test_every_residence_has_a_place_a_language_and_names(name: str) -> None:
    population = load_scenario(scenario_id=name).population
    for residency in population.residency_shares:
        lists = load_places()[residency].names
        assert all(load_names()[lists[language]].given for language in population.languages_of(residency))


def test_the_facts_have_the_shape_in_which_an_incident_is_entered(cartier: Scenario) -> None:
    assert " ".join(cartier.facts) == (
        "reference title controller based_in established_in sector role cause encrypted key_taken contained "
        "experts_engaged authorities_informed occurred_known zone anchors elements expected_people"
    )
    assert " ".join(cartier.facts["controller"]) == (
        "brand legal_entity legal_address website website_page phone phone_hours sender_name sender_email reply_to "
        "dpo_name dpo_email "
        + " ".join(f"{n}_{of}" for n in ("website_page", "phone_hours", "dpo_name") for of in "fr de ja it es ko tr pt".split())
    )
    assert set(cartier.facts["anchors"]) == {"occurred_at", "first_hint_at", "discovered_at", "aware_at"}
    assert set(cartier.facts["elements"].values()) <= {"exposed", "exposed_for_some", "not_involved", "unknown"}


def test_the_controller_writes_from_an_example_domain(cartier: Scenario) -> None:
    controller = cartier.facts["controller"]
    assert {controller[field].rpartition(".")[2] for field in ("sender_email", "reply_to", "dpo_email")} == {"example"}


def test_every_exposed_element_of_the_people_is_a_fact_of_the_incident(cartier: Scenario) -> None:
    exposed = {element for element, state in cartier.facts["elements"].items() if state.startswith("exposed")}
    assert {element for each in cartier.population.element_sets.values() for element in each.elements} == exposed


# Cells


@pytest.mark.parametrize("size", ["small", "medium", "large"])
def test_people_are_allocated_to_cells_exactly_as_the_cells_file_says(cartier: Scenario, size: str) -> None:
    assert allocate_cells(scenario=cartier, people=cartier.sizes[size]) == expected_cells(size)


@pytest.mark.parametrize("people", [50, 51, 199, 777, 12_345])
def test_a_free_number_of_people_is_allocated_in_full(cartier: Scenario, people: int) -> None:
    cells = allocate_cells(scenario=cartier, people=people)
    assert sum(cells.values()) == people
    assert min(cells.values()) >= 0
    assert all(cells[pinned] for pinned in PINNED)


def test_an_element_set_may_be_kept_to_some_residences(cartier: Scenario) -> None:
    sets = {**cartier.population.element_sets, "ssn": ElementSet(("name",), Fraction(1, 2), only_in=("US-",))}
    scenario = dataclasses.replace(cartier, population=dataclasses.replace(cartier.population, element_sets=sets))
    with_ssn = {residency for residency, element_set in allocate_cells(scenario=scenario, people=50_000) if element_set == "ssn"}
    assert with_ssn == {residency for residency in cartier.population.residency_shares if residency.startswith("US-")}


@pytest.mark.parametrize("size", ["small", "medium"])
def test_the_truth_columns_count_the_same_cells(size: str, request: pytest.FixtureRequest) -> None:
    table: Table = request.getfixturevalue(size)
    assert cells_of(table.people) == Counter({cell: count for cell, count in expected_cells(size).items() if count})
    assert table.counts.cells == expected_cells(size)


# The file


def test_the_header_is_the_contract(small: Table) -> None:
    assert small.text.split("\n", 1)[0] == (
        "person_id,customer_number,given_name,family_name,full_name,email,phone,street,city,region,postcode,"
        "billing_country,shipping_country,stated_country,phone_prefix,loyalty_home_store,ip_country,language,elements,"
        "date_of_birth,flags,truth_residency,truth_element_set"
    )


def test_lines_end_with_a_line_feed_alone(small: Table) -> None:
    assert "\r" not in small.text
    assert small.text.endswith("\n")


def test_the_same_scenario_seed_and_size_give_the_same_bytes(cartier: Scenario, medium: Table) -> None:
    assert generate(cartier, 50_000).text.encode() == medium.text.encode()


def test_the_small_table_is_the_one_on_record(small: Table) -> None:
    """A failure here is a changed output: drills on record no longer match. Change the digest only on purpose."""
    digest = hashlib.sha256(small.text.encode()).hexdigest()
    assert digest == "48a25922382a42f2248e97d4fb99d5396c3f52a2c0fa9fb2420e8aa1dc35d1ce"


def test_another_seed_gives_other_people(cartier: Scenario, small: Table) -> None:
    assert generate(dataclasses.replace(cartier, seed=1), 200).text != small.text


@pytest.mark.parametrize(("size", "rows"), [("small", 200 + 1 + 1), ("medium", 50_000 + 300 + 350)])
def test_duplicates_and_second_addresses_come_on_top(size: str, rows: int, request: pytest.FixtureRequest) -> None:
    table: Table = request.getfixturevalue(size)
    assert table.counts.rows == len(table.rows) == rows
    assert len(table.people) == table.counts.people


def test_a_person_id_names_the_scenario_the_size_and_the_person(cartier: Scenario, medium: Table) -> None:
    ids = sorted(person["person_id"] for person in medium.people)
    assert ids == [f"cartier-2025-medium-{number:07d}" for number in range(1, 50_001)]
    assert generate(cartier, 64).rows[0]["person_id"].startswith("cartier-2025-n64-")


def test_the_order_of_the_file_says_nothing_about_the_cells(medium: Table) -> None:
    first_thousand = Counter(row["truth_residency"][:2] for row in medium.rows[:1000])
    assert 200 < first_thousand["US"] < 340
    assert 65 < first_thousand["FR"] < 140


def test_no_phone_and_no_postal_column_is_filled(medium: Table) -> None:
    assert not {row[column] for row in medium.rows for column in ("phone", "street", "city", "region", "postcode")} - {""}


def test_the_elements_follow_the_element_set(medium: Table) -> None:
    seen = {(row["truth_element_set"], row["elements"], bool(row["date_of_birth"])) for row in medium.rows}
    assert seen == {
        ("contact_only", "name;email;country", False),
        ("contact_dob", "name;email;country;date_of_birth", True),
    }


def test_the_date_of_birth_agrees_with_the_flags(cartier: Scenario, medium: Table) -> None:
    assert cartier.aware_on == date(2025, 5, 30)
    ages: dict[str, set[int]] = {"adult": set(), "minor_16_17": set(), "minor_under_16": set()}
    for person in filter(lambda person: person["date_of_birth"], medium.people):
        kind = next((flag for flag in flags_of(person) if flag.startswith("minor")), "adult")
        ages[kind].add(age_on(person["date_of_birth"], cartier.aware_on))
    assert (min(ages["adult"]), max(ages["adult"])) == (18, 85)
    assert ages["minor_16_17"] == {16, 17}
    assert ages["minor_under_16"] <= set(range(10, 16))


# Edge cases


def test_small_carries_exactly_these_edge_cases(small: Table) -> None:
    assert small.counts.edge_cases == {
        Edge.EXACT_DUPLICATE: 1,
        Edge.SAME_EMAIL: 2,
        Edge.TWO_EMAILS: 1,
        Edge.NO_EMAIL: 10,
        Edge.MALFORMED: 4,
        Edge.HARD_BOUNCE: 5,
        Edge.SOFT_BOUNCE: 3,
        Edge.RESIDENCY_CONFLICT: 3,
        Edge.MINOR_UNDER_16: 0,
        Edge.MINOR_16_17: 1,
        Edge.DECEASED: 1,
        Edge.SAFE_ADDRESS: 0,
        Edge.OTHER_LANGUAGE: 6,
        Edge.RTL_SCRIPT: 2,
        Edge.OPTED_OUT: 70,
        Edge.EMPLOYEE: 0,
        Edge.ERASURE_PENDING: 0,
        Edge.STATE_UNKNOWN: 17,
    }


@pytest.mark.parametrize(
    ("flag", "edge", "in_medium"),
    [
        ("minor_under_16", Edge.MINOR_UNDER_16, 100),
        ("minor_16_17", Edge.MINOR_16_17, 150),
        ("deceased", Edge.DECEASED, 200),
        ("safe_address", Edge.SAFE_ADDRESS, 10),
        ("employee", Edge.EMPLOYEE, 75),
        ("opted_out", Edge.OPTED_OUT, 17_500),
        ("erasure_pending", Edge.ERASURE_PENDING, 30),
    ],
)
def test_each_flag_is_set_as_often_as_counted(flag: str, edge: Edge, in_medium: int, small: Table, medium: Table) -> None:
    assert medium.counts.edge_cases[edge] == in_medium
    for table in (small, medium):
        assert table.count(lambda person: flag in flags_of(person)) == table.counts.edge_cases[edge]


@pytest.mark.parametrize(
    ("domain", "edge", "in_medium"),
    [("hard-bounce.test", Edge.HARD_BOUNCE, 1250), ("soft-bounce.test", Edge.SOFT_BOUNCE, 750)],
)
def test_bounces_are_told_by_the_domain(domain: str, edge: Edge, in_medium: int, small: Table, medium: Table) -> None:
    assert medium.counts.edge_cases[edge] == in_medium
    for table in (small, medium):
        assert table.count(lambda person: person["email"].endswith("@" + domain)) == table.counts.edge_cases[edge]


def test_people_without_an_address_and_with_a_malformed_one_are_counted_exactly(small: Table, medium: Table) -> None:
    for table, none, malformed in ((small, 10, 4), (medium, 2500, 1000)):
        assert table.count(lambda person: not person["email"]) == none
        assert table.count(lambda person: person["email"] and not is_mail_address(person["email"])) == malformed


def test_every_malformed_variant_is_malformed_even_when_trimmed() -> None:
    name = Name(given="Claire", family="Martin", full="Claire Martin", latin="claire.martin")
    variants = [malformed_address_of(name=name, number=7, variant=variant) for variant in range(10)]
    assert len(set(variants)) == 10
    assert not [text for text in variants if is_mail_address(text)]


def test_an_exact_duplicate_repeats_the_whole_line(small: Table, medium: Table) -> None:
    for table in (small, medium):
        repeated = Counter(table.text.splitlines())
        assert sum(count == 2 for count in repeated.values()) == table.counts.edge_cases[Edge.EXACT_DUPLICATE]
        assert max(repeated.values()) == 2


def test_a_person_with_two_addresses_differs_in_nothing_else(small: Table, medium: Table) -> None:
    for table in (small, medium):
        addresses: dict[str, set[str]] = {}
        others: dict[str, set[tuple[str, ...]]] = {}
        for row in table.rows:
            addresses.setdefault(row["customer_number"], set()).add(row["email"])
            rest = tuple(row[column] for column in COLUMNS if column != "email")
            others.setdefault(row["customer_number"], set()).add(rest)
        twofold = [number for number, found in addresses.items() if len(found) == 2]
        assert len(twofold) == table.counts.edge_cases[Edge.TWO_EMAILS]
        assert all(is_mail_address(text) for number in twofold for text in addresses[number])
        assert {len(found) for found in others.values()} == {1}


def test_an_address_is_shared_by_two_different_people_of_one_residence(small: Table, medium: Table) -> None:
    for table, pairs in ((small, 2), (medium, 400)):
        sharing: dict[str, list[Row]] = {}
        for person in filter(lambda person: person["email"], table.people):
            sharing.setdefault(person["email"], []).append(person)
        shared = [people for people in sharing.values() if len(people) > 1]
        assert len(shared) == pairs
        for one, other in shared:
            assert one["full_name"] != other["full_name"]
            assert one["truth_residency"] == other["truth_residency"]


def test_every_other_address_belongs_to_one_person_and_one_in_a_hundred_has_a_plus(medium: Table) -> None:
    plain = {person["email"] for person in medium.people if has_plain_address(person)}
    assert 0.008 < sum("+" in address for address in plain) / len(plain) < 0.012


def test_mail_goes_to_example_domains_only(small: Table, medium: Table) -> None:
    for table in (small, medium):
        valid = [row["email"] for row in table.rows if is_mail_address(row["email"])]
        assert {address.rpartition("@")[2] for address in valid} == EXAMPLE_DOMAINS


def test_a_broken_address_names_no_domain_but_the_reserved_ones(medium: Table) -> None:
    broken = [row["email"] for row in medium.rows if row["email"] and not is_mail_address(row["email"])]
    assert broken
    assert not [address for address in broken if not re.search(r"(example\.{1,2}(com|org|net)\.?|@)$", address)]


def test_a_preferred_language_differs_from_the_country_as_often_as_counted(
    cartier: Scenario, small: Table, medium: Table
) -> None:
    for table, differing in ((small, 6), (medium, 1500)):
        foreign = [
            person
            for person in table.people
            if person["language"] not in cartier.population.languages_of(person["truth_residency"])
        ]
        assert len(foreign) == differing
        assert not [person for person in foreign if person["truth_residency"] == "UNKNOWN"]


def test_people_of_one_country_are_split_over_its_languages(medium: Table) -> None:
    of_us = Counter(person["language"] for person in medium.people if person["truth_residency"].startswith("US-"))
    assert 0.07 < of_us["es"] / sum(of_us.values()) < 0.09
    for residency, languages in (("CH", ("de", "fr", "it")), ("BE", ("nl", "fr")), ("AE", ("ar", "en"))):
        found = Counter(person["language"] for person in medium.people if person["truth_residency"] == residency)
        assert tuple(word for word, _ in found.most_common(len(languages))) == languages


def test_names_in_arabic_script_are_counted_exactly(small: Table, medium: Table) -> None:
    for table, people in ((small, 2), (medium, 500)):
        assert table.count(lambda person: re.search("[\u0600-\u06ff]", person["full_name"])) == people


@pytest.mark.parametrize(
    "pattern",
    [
        "'",
        "-",
        "^[^ ]+$",
        "[\uac00-\ud7a3]",
        "[\u4e00-\u9fff]",
        "[\u3040-\u309f]",
        "[\u30a0-\u30ff]",
        "[\u0600-\u06ff]",
        "ı",
        "İ",
        "[łśźżęąćń]",
        "[øåÅÞ]",
        "ß",
        "ễ",
    ],
)
def test_names_are_written_in_the_scripts_of_the_customers(pattern: str, medium: Table) -> None:
    assert medium.count(lambda person: re.search(pattern, person["full_name"])) >= 5


def test_everybody_has_a_full_name_and_a_single_name_stands_alone(medium: Table) -> None:
    assert all(person["full_name"] and person["given_name"] for person in medium.people)
    single = [person for person in medium.people if not person["family_name"]]
    assert single
    assert all(person["full_name"] == person["given_name"] for person in single)


# Evidence of residence


def test_the_evidence_keeps_to_its_grammar(medium: Table) -> None:
    for row in medium.rows:
        assert not row["loyalty_home_store"] or STORE.fullmatch(row["loyalty_home_store"])
        assert not row["phone_prefix"] or PHONE.fullmatch(row["phone_prefix"])
        for column in ("billing_country", "shipping_country", "stated_country", "ip_country"):
            assert re.fullmatch("([A-Z]{2})?", row[column])


def test_an_area_code_speaks_for_one_state_or_province_only() -> None:
    codes = Counter(code for place in load_places().values() for code in place.areas)
    assert max(codes.values()) == 1


def test_without_a_conflict_all_strong_evidence_agrees_with_the_truth(medium: Table) -> None:
    by_area = {code: residency for residency, place in load_places().items() for code in place.areas}
    for person in filter(lambda person: not is_conflicting(person), medium.people):
        residency = person["truth_residency"]
        told = {person[column] for column in ("billing_country", "shipping_country", "stated_country")} - {""}
        assert told <= {residency[:2]}
        store = STORE.fullmatch(person["loyalty_home_store"])
        assert store is None or store["place"] == residency
        dial, _, area = person["phone_prefix"].partition("-")
        assert not dial or dial == "+" + load_places()[residency].dial
        assert not area or by_area[area] == residency


def test_whoever_lives_at_a_known_place_has_stated_a_country(medium: Table) -> None:
    for person in medium.people:
        assert bool(person["stated_country"]) == (person["truth_residency"] != "UNKNOWN")


def test_nothing_but_a_weak_hint_is_known_of_people_of_unknown_residence(medium: Table) -> None:
    unknown = [person for person in medium.people if person["truth_residency"] == "UNKNOWN"]
    strong = ("billing_country", "shipping_country", "stated_country", "phone_prefix", "loyalty_home_store")
    assert not {person[column] for person in unknown for column in strong} - {""}
    assert {bool(person["ip_country"]) for person in unknown} == {True, False}


def test_thirty_in_a_hundred_us_people_carry_no_evidence_of_their_state(small: Table, medium: Table) -> None:
    for table, people in ((small, 17), (medium, 4050)):
        assert table.count(is_in_us_without_state) == table.counts.edge_cases[Edge.STATE_UNKNOWN] == people


def test_every_canadian_and_every_other_american_can_be_placed(medium: Table) -> None:
    for person in filter(lambda person: "-" in person["truth_residency"], medium.people):
        placed = person["loyalty_home_store"] or "-" in person["phone_prefix"]
        assert placed or is_in_us_without_state(person)


def test_conflicting_evidence_is_painted_exactly_and_apart_from_the_other_queues(small: Table, medium: Table) -> None:
    for table, people in ((small, 3), (medium, 750)):
        conflicting = [person for person in table.people if is_conflicting(person)]
        assert len(conflicting) == table.counts.edge_cases[Edge.RESIDENCY_CONFLICT] == people
        assert not [person for person in conflicting if is_in_us_without_state(person)]
        assert all(
            person["truth_residency"][:2] in (person["stated_country"], person["billing_country"]) for person in conflicting
        )


def test_no_edge_case_falls_on_a_pinned_cell(cartier: Scenario, medium: Table) -> None:
    pinned = [row for row in medium.rows if cell_of(row) in PINNED]
    assert len(pinned) == len({row["customer_number"] for row in pinned}) == 11 + 55 + 259
    for row in pinned:
        assert not row["flags"]
        assert has_plain_address(row)
        assert not is_conflicting(row)
        assert not is_in_us_without_state(row)
        assert row["language"] in cartier.population.languages_of("US")
        assert row["ip_country"] in ("", "US")
    addresses = Counter(person["email"] for person in medium.people)
    assert {addresses[row["email"]] for row in pinned} == {1}


@pytest.mark.parametrize("people", [50, 51, 64, 99, 143, 777])
def test_any_small_number_of_people_can_be_painted(cartier: Scenario, people: int) -> None:
    assert len(generate(cartier, people).people) == people


def test_more_of_an_edge_case_than_there_are_people_for_it_is_refused(cartier: Scenario) -> None:
    population = dataclasses.replace(cartier.population, edge_cases={"rtl_script": 9000})
    with pytest.raises(TooFewPeople, match="rtl_script: 180 people wanted, 8 can carry it"):
        generate(dataclasses.replace(cartier, population=population), 200)
