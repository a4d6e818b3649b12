"""Where somebody lives: the order of trust, the states, and everything that has to be asked instead of guessed."""

from __future__ import annotations

import itertools

import pytest

from incidents.people.residence import EVIDENCE, decide, from_prefix, is_residence, subdivisions, unreadable_country

STATES = [
    "AL",
    "AK",
    "AZ",
    "AR",
    "CA",
    "CO",
    "CT",
    "DE",
    "DC",
    "FL",
    "GA",
    "HI",
    "ID",
    "IL",
    "IN",
    "IA",
    "KS",
    "KY",
    "LA",
    "ME",
    "MD",
    "MA",
    "MI",
    "MN",
    "MS",
    "MO",
    "MT",
    "NE",
    "NV",
    "NH",
    "NJ",
    "NM",
    "NY",
    "NC",
    "ND",
    "OH",
    "OK",
    "OR",
    "PA",
    "RI",
    "SC",
    "SD",
    "TN",
    "TX",
    "UT",
    "VT",
    "VA",
    "WA",
    "WV",
    "WI",
    "WY",
]
PROVINCES = ["AB", "BC", "MB", "NB", "NL", "NS", "NT", "NU", "ON", "PE", "QC", "SK", "YT"]


@pytest.mark.parametrize(
    ("row", "place", "decided_by"),
    [
        ({"stated_country": "FR"}, "FR", "stated_country"),
        ({"stated_country": "fr "}, "FR", "stated_country"),
        ({"billing_country": "FR"}, "FR", "billing_country"),
        ({"shipping_country": "FR"}, "FR", "shipping_country"),
        ({"phone_prefix": "+33"}, "FR", "phone_prefix"),
        ({"loyalty_home_store": "FR Paris Rue de la Paix"}, "FR", "loyalty_home_store"),
        ({"stated_country": "FR", "billing_country": "FR", "ip_country": "US"}, "FR", "stated_country"),
        ({"billing_country": "FR", "shipping_country": "FR", "phone_prefix": "+33"}, "FR", "billing_country"),
    ],
)
def test_the_most_trusted_evidence_decides(row: dict[str, str], place: str, decided_by: str) -> None:
    found = decide(row)
    assert (found.place, found.decided_by, found.question) == (place, decided_by, "")


@pytest.mark.parametrize(("stronger", "weaker"), list(itertools.pairwise(EVIDENCE[2:])))
def test_each_kind_of_evidence_stands_above_the_next_and_is_asked_when_they_differ(stronger: str, weaker: str) -> None:
    values = {"phone_prefix": ("+33", "+49"), "loyalty_home_store": ("FR Paris", "DE Berlin")}
    row = {stronger: values.get(stronger, ("FR", ""))[0], weaker: values.get(weaker, ("", "DE"))[1]}
    found = decide(row)
    assert (found.place, found.decided_by, found.possible, found.question) == ("FR", stronger, ("FR", "DE"), "residence_conflict")


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"stated_country": "US", "loyalty_home_store": "US-CA Beverly Hills"}, "US-CA"),
        ({"stated_country": "US", "phone_prefix": "+1-206"}, "US-WA"),
        ({"stated_country": "US", "phone_prefix": "+1 701"}, "US-ND"),
        ({"stated_country": "US", "phone_prefix": "+1"}, "US"),
        ({"stated_country": "US", "region": "NY"}, "US-NY"),
        ({"stated_country": "US", "region": "us-ny"}, "US-NY"),
        ({"billing_country": "US", "region": "NY"}, "US-NY"),
        ({"phone_prefix": "+1-212"}, "US-NY"),
        ({"stated_country": "CA", "phone_prefix": "+1-514"}, "CA-QC"),
        ({"stated_country": "CA", "region": "ON"}, "CA-ON"),
        ({"billing_country": "CA", "region": "ON"}, "CA-ON"),
        ({"stated_country": "CA"}, "CA"),
        ({"stated_country": "PR"}, "US-PR"),
        ({"stated_country": "US", "billing_country": "PR"}, "US-PR"),
        ({"stated_country": "US", "phone_prefix": "+1-787"}, "US-PR"),
        ({"stated_country": "GU"}, "US-GU"),
        ({"stated_country": "VI"}, "US-VI"),
        ({"stated_country": "AS"}, "US-AS"),
        ({"stated_country": "MP"}, "US-MP"),
    ],
)
def test_a_state_is_found_by_store_area_code_region_or_territory(row: dict[str, str], place: str) -> None:
    assert decide(row).place == place and not unreadable_country(row)


def test_the_united_states_without_a_state_are_asked() -> None:
    found = decide({"stated_country": "US", "ip_country": "US"})
    assert (found.place, found.question) == ("US", "state_unknown")


@pytest.mark.parametrize(
    ("row", "possible"),
    [
        ({"stated_country": "FR", "billing_country": "DE"}, ("FR", "DE")),
        ({"stated_country": "US", "loyalty_home_store": "US-CA x", "phone_prefix": "+1-206"}, ("US-WA", "US-CA")),
        ({"stated_country": "PR", "loyalty_home_store": "US-NY x"}, ("US-PR", "US-NY")),
        (
            {"stated_country": "FR", "region": "US-CA", "shipping_country": "GB", "phone_prefix": "+49"},
            ("FR", "US-CA", "GB", "DE"),
        ),
        ({"stated_country": "CA", "phone_prefix": "+1-206"}, ("CA", "US-WA")),
        ({"stated_country": "GE", "phone_prefix": "+1-404"}, ("GE", "US-GA")),
    ],
)
def test_evidence_that_disagrees_shows_every_place_and_is_asked(row: dict[str, str], possible: tuple[str, ...]) -> None:
    found = decide(row)
    assert (found.possible, found.question) == (possible, "residence_conflict")


@pytest.mark.parametrize("row", [{}, {"ip_country": "FR"}, {"phone_prefix": "+1-800"}, {"region": "WA"}, {"region": "Bavaria"}])
def test_weak_or_missing_evidence_never_decides(row: dict[str, str]) -> None:
    found = decide(row)
    assert (found.place, found.question, found.decided_by) == ("ZZ", "residence_unknown", "")


def test_the_ip_address_is_kept_as_a_hint_only() -> None:
    assert decide({"ip_country": "FR"}).weak_hint == "FR"
    assert decide({"stated_country": "DE", "ip_country": "FR"}).question == ""


def test_a_region_of_a_country_without_states_of_its_own_says_nothing() -> None:
    assert decide({"billing_country": "AU", "region": "WA"}).place == "AU"
    assert decide({"stated_country": "England", "billing_country": "GB", "region": "WA"}).place == "GB"


@pytest.mark.parametrize(
    "text",
    [
        "UK",
        "England",
        "Schottland",
        "USA",
        "Georgia",
        "XX",
        "ZZ",
        "EU",
        "XK",
        "Northern Cyprus",
        "Jersey",
        "F",
        "FRA",
        "IC",
        "EA",
        "AC",
        "TA",
    ],
)
@pytest.mark.parametrize("column", ["stated_country", "billing_country", "shipping_country"])
def test_what_is_no_iso_code_becomes_a_question(text: str, column: str) -> None:
    assert unreadable_country({column: text}) == column and decide({column: text}).place == "ZZ"
    assert not is_residence(text)


@pytest.mark.parametrize("text", ["FR", "GB", "GE", "JE", "CY", "US", "PR", "US-WA", "US-PR", "CA-QC", "TW", "PS"])
def test_countries_states_and_provinces_may_be_set_by_a_person(text: str) -> None:
    assert is_residence(text)


def test_every_state_and_province_is_known() -> None:
    assert {f"US-{state}" for state in STATES} | {f"CA-{province}" for province in PROVINCES} <= subdivisions()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+33", "FR"), ("+33 1", "FR"), ("+1-415", "US-CA"), ("+1 415", "US-CA"), ("+1", ""), ("+1-800", ""), ("+852", "HK"),
        ("33", ""), ("0033", ""), ("", ""), ("+", ""), ("+999", ""), ("abc", ""), ("+1-868", ""), ("+7", ""),
    ],
)  # fmt: skip
def test_a_telephone_prefix_tells_a_place_or_nothing(text: str, place: str) -> None:
    assert from_prefix(text) == place
