"""The patterns of US law that an expert expects, held against all 54 packs at once."""

from datetime import date

import pytest

from incidents.law.engine import assess
from incidents.law.facts import Addressee, Anchor, Duty, Findings, Group, IncidentFacts, Owed
from incidents.law.pack import load_packs

PACKS = load_packs()
STATES = sorted(key.removeprefix("US-") for key in PACKS.packs if key.startswith("US-"))
FACTS = IncidentFacts(anchors={Anchor.DISCOVERED: date(2026, 6, 1)}, findings=Findings(misuse_likely="yes"), sector="retail")


def owed(*elements: str, addressee: Addressee = Addressee.PERSON, count: int = 50_000) -> set[str]:
    """The states that owe it for certain, for people who lost exactly these."""
    return {state for state in STATES if duty(state, *elements, addressee=addressee, count=count).owed is Owed.YES}


def duty(state: str, *elements: str, addressee: Addressee, count: int = 50_000) -> Duty:
    groups = [Group(residence=f"US-{state}", elements=frozenset(elements), count=count)]
    found = assess(facts=FACTS, groups=groups, packs=PACKS)
    return next(d for d in found.duties if d.jurisdiction == f"US-{state}" and d.addressee is addressee)


def states(text: str) -> set[str]:
    return set(text.split())


def test_there_are_fifty_states_the_district_and_three_territories() -> None:
    assert len(STATES) == 54
    assert {"DC", "PR", "GU", "VI"} <= set(STATES)


def test_names_addresses_phones_and_orders_fire_in_no_state() -> None:
    contact = (
        "name",
        "email",
        "country",
        "phone",
        "postal_address",
        "purchase_history",
        "gender",
        "loyalty_number",
        "ip_address",
    )
    for addressee in (Addressee.PERSON, Addressee.REGULATOR, Addressee.BUREAUS):
        assert owed(*contact, addressee=addressee) == set()


def test_a_date_of_birth_with_the_name_fires_in_north_dakota_and_washington_only() -> None:
    assert owed("name", "date_of_birth") == {"ND", "WA"}
    assert owed("date_of_birth") == set()


def test_credentials_without_a_name_fire_where_the_statute_says_so() -> None:
    assert owed("username", "online_credentials") == states("AZ CA CO CT FL IL NE NY OR SD VT WA")


def test_credentials_with_the_name_fire_in_these_too() -> None:
    with_name = owed("name", "online_credentials") - owed("online_credentials")
    assert with_name == states("AL DE NV NJ PA PR RI WY")


def test_the_mailbox_itself_opens_two_more() -> None:
    assert owed("email", "email_account_credentials") - owed("username", "online_credentials") == states("DC MD")


def test_a_card_number_without_its_code_fires_in_these() -> None:
    assert owed("name", "payment_card") == states("CT IL IN KS MA NC WI DC")


def test_an_account_number_without_its_code_fires_in_these() -> None:
    assert owed("name", "financial_account") == states("IL KS MA NC WI DC PR")


def test_a_location_with_the_name_fires_in_florida_and_connecticut() -> None:
    assert owed("name", "geolocation") == {"FL", "CT"}


def test_social_security_numbers_with_the_name_fire_everywhere_but_for_shops_in_georgia() -> None:
    assert set(STATES) - owed("name", "ssn") == {"GA"}


def test_these_states_know_no_regulator_for_a_shop() -> None:
    none = set(STATES) - owed("name", "ssn", addressee=Addressee.REGULATOR)
    assert none == states("AK GA GU ID KS KY MI MN MS NV OH TN VI WV WI WY")


def test_these_tell_the_bureaus_when_very_many_are_told() -> None:
    without = set(STATES) - owed("name", "ssn", addressee=Addressee.BUREAUS)
    assert without == states("AR CA CT DE GA GU ID IL IA LA MA MS MT NE ND OK PR VI WA WY")


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (250, "TX"), (251, "ND OR SD TX"), (500, "CO FL OK UT"), (501, "CA DE IA IL PA RI WA"),
        (1000, ""), (1001, "AL AZ AR HI MO NM SC"),
    ],
)  # fmt: skip
def test_more_than_is_not_at_least(count: int, told: str) -> None:
    now = owed("name", "ssn", addressee=Addressee.REGULATOR, count=count)
    before = owed("name", "ssn", addressee=Addressee.REGULATOR, count=count - 1)
    assert now - before == states(told) - before


@pytest.mark.parametrize(
    ("element", "months"),
    [
        ("ssn", {"CT": 24, "MA": 18, "DC": 18, "CA": 12, "DE": 12, "PA": 12}),
        ("tax_id", {"CT": 24, "DC": 18, "CA": 12}),
        ("passport", {"CA": 12}),
        ("medical_information", {}),
    ],
)
def test_monitoring_is_owed_for_so_many_months(element: str, months: dict[str, int]) -> None:
    found = {state: duty(state, "name", element, addressee=Addressee.PERSON).monitoring_months for state in STATES}
    assert {state: n for state, n in found.items() if n} == months


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("before_individuals", "MD NJ NH"),
        ("no_later_than_individuals", "CT DE DC IL NE"),
        ("same_time_as_individuals", "AR MT PA VT"),
    ],
)
def test_the_regulator_is_told_first_or_with_the_people(kind: str, where: str) -> None:
    found = {
        s: duty(s, "name", "ssn", addressee=Addressee.REGULATOR).deadline
        for s in owed("name", "ssn", addressee=Addressee.REGULATOR)
    }
    assert {state for state, deadline in found.items() if deadline and deadline.relative == kind} == states(where)


def test_a_mailbox_whose_credentials_leaked_is_never_written_to() -> None:
    for state in STATES:
        found = duty(state, "name", "ssn", "email_account_credentials", addressee=Addressee.PERSON)
        if found.owed is not Owed.NO:
            assert found.channels_barred == ("compromised_email",), state
