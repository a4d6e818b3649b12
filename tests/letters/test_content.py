"""Which statements a letter owes, which it must not make, and which depend on what leaked."""

from __future__ import annotations

import pytest

from incidents.letters.content import (
    BARS,
    FORM_ITEMS,
    GROUPS,
    STATEMENTS,
    barred_statements,
    describe,
    missing_statements,
)
from incidents.letters.wording import ELEMENTS

NOTHING: frozenset[str] = frozenset()


def test_what_is_required_and_not_stated_is_missing_in_the_order_required() -> None:
    required = ("contact", "date", "measures_taken")
    assert missing_statements(required=required, said=frozenset({"date"}), facts={}) == ("contact", "measures_taken")


@pytest.mark.parametrize(
    ("said", "required"),
    [
        ("what_happened", "nature_of_breach"),
        ("date_of_breach", "date"),
        ("types_of_information", "data_categories"),
        ("what_we_are_doing", "measures_taken"),
        ("what_you_can_do", "recommendations_to_individual"),
        ("id_theft_services_offer", "credit_monitoring"),
    ],
)
def test_two_laws_names_for_one_statement_count_as_one(said: str, required: str) -> None:
    facts = {"has.ssn": True}
    assert missing_statements(required=[required], said=frozenset({said}), facts=facts) == ()
    assert missing_statements(required=[said], said=frozenset({required}), facts=facts) == ()


def test_the_cause_is_not_stated_by_saying_what_happened() -> None:
    assert missing_statements(required=["cause"], said=frozenset({"what_happened"}), facts={}) == ("cause",)


def test_password_advice_is_due_only_when_credentials_leaked() -> None:
    required = ["password_change_advice"]
    assert missing_statements(required=required, said=NOTHING, facts={"has.email": True}) == ()
    assert missing_statements(required=required, said=NOTHING, facts={"has.online_credentials": True}) == tuple(required)
    assert missing_statements(required=required, said=NOTHING, facts={"has.password_hash": True}) == tuple(required)


def test_california_wants_the_bureaus_for_three_identifiers_and_washington_always() -> None:
    required = ["credit_bureau_contacts"]
    assert missing_statements(required=required, said=NOTHING, facts={"in.us_ca": True, "has.email": True}) == ()
    assert missing_statements(required=required, said=NOTHING, facts={"in.us_ca": True, "has.ssn": True}) == tuple(required)
    assert missing_statements(required=required, said=NOTHING, facts={"in.us_wa": True}) == tuple(required)


def test_services_are_due_only_for_government_identifiers() -> None:
    required = ["id_theft_services_offer"]
    assert missing_statements(required=required, said=NOTHING, facts={"has.payment_card": True}) == ()
    assert missing_statements(required=required, said=NOTHING, facts={"has.passport": True}) == tuple(required)


def test_form_items_and_bars_are_not_missing_statements() -> None:
    assert missing_statements(required=[*FORM_ITEMS, *BARS], said=NOTHING, facts={}) == ()


@pytest.mark.parametrize("said", ["what_happened", "nature_of_breach", "circumstances", "cause"])
def test_a_letter_that_must_not_describe_the_nature_says_none_of_its_names(said: str) -> None:
    assert barred_statements(barred=["must_not_describe_nature"], said=frozenset({said})) == ("must_not_describe_nature",)


def test_a_bar_that_nothing_touches_is_kept() -> None:
    barred = ["must_not_describe_nature", "must_not_state_number_of_residents"]
    assert barred_statements(barred=barred, said=frozenset({"contact", "date"})) == ()
    assert barred_statements(barred=barred, said=frozenset({"number_affected"})) == (barred[1],)


def test_a_bar_can_name_a_statement_itself() -> None:
    assert barred_statements(barred=["fcra_rights"], said=frozenset({"fcra_rights"})) == ("fcra_rights",)


def test_every_item_has_words_for_the_officer() -> None:
    for item in [*STATEMENTS, *FORM_ITEMS, *BARS]:
        assert describe(item=item)[0].isupper() and "_" not in describe(item=item)
    assert describe(item="some_new_item") == "some new item"


def test_groups_speak_only_of_known_elements() -> None:
    assert frozenset().union(*GROUPS.values()) <= frozenset(ELEMENTS)
