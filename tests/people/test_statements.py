"""Facts that only letters need: optional, checked, each with its field and its remedy; what is not said is not stored."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.people.opening import FactsRefused, check_facts, read_facts
from incidents.people.statements import ANSWERS, in_language, is_translated, statement_facts
from tests.conftest import NOW

Facts = dict[str, Any]
OFFER = {"offered_to": "where_owed", "provider": "Example Guard", "months": 24, "enrolment": "call 1-800-555-0100"}
GOOD: Facts = {
    "police_asked_delay": False,
    "phone_toll_free": True,
    "parent_company": "Acme Holding SA",
    "delay_reason": "We had to find out whose data it was.",
    "delay_reason_fr": "Il fallait savoir de qui étaient les données.",
    "services": {**OFFER, "enrolment_fr": "appelez le 1-800-555-0100"},
    "contacts_confirmed": ["ftc", "us-md"],
}


def said(**given: Any) -> tuple[Facts, list[str]]:
    problems: list[str] = []
    return statement_facts(found=given, problems=problems), problems


def test_what_nobody_said_is_not_stored(facts: Facts) -> None:
    assert said() == ({}, [])
    assert said(police_asked_delay=None, parent_company=" ", services={}, contacts_confirmed=[]) == ({}, [])
    assert not {*ANSWERS, "services", "parent_company"} & set(check_facts(facts, now=NOW))


def test_all_of_them_are_kept_as_said_and_stay_the_same_when_read_again(facts: Facts) -> None:
    kept = check_facts({**facts, **GOOD}, now=NOW)
    assert {name: kept[name] for name in GOOD} == GOOD
    assert check_facts(kept, now=NOW) == kept


@pytest.mark.parametrize(
    ("given", "field", "remedy"),
    [
        ({"police_asked_delay": "no"}, "police_asked_delay: 'no'", "true or false"),
        ({"phone_toll_free": 1}, "phone_toll_free: '1'", "leave it out"),
        ({"parent_company": False}, "parent_company: 'False'", "or none"),
        ({"delay_reason": True}, "delay_reason: 'True'", "in quotes"),
        ({"delay_reason": "x" * 401}, "delay_reason: 401 characters", "Shorten"),
        ({"recipient_de": "[[brand]]"}, "recipient_de", "without them"),
        ({"services": "yes"}, "services:", "provider, months and enrolment"),
        ({"services": {**OFFER, "offered_to": "some"}}, "services.offered_to: 'some'", "everyone, where_owed, nobody"),
        ({"services": {"provider": "x"}}, "services.offered_to: ''", "use one of"),
        ({"services": {"offered_to": "everyone"}}, "services.months: missing", "how to enrol"),
        ({"services": {**OFFER, "months": "24"}}, "services.months: '24'", "whole number"),
        ({"services": {**OFFER, "months": 0}}, "services.months: '0'", "from 1 to"),
        ({"services": {**OFFER, "months": True}}, "services.months: 'True'", "whole number"),
        ({"services": {**OFFER, "offered_to": "nobody"}}, "services.offered_to: offered to nobody", "say who"),
        ({"contacts_confirmed": ["the FTC"]}, "contacts_confirmed: the FTC", "ftc or us-md"),
    ],
)
def test_what_does_not_hold_names_its_field_and_the_remedy(facts: Facts, given: Facts, field: str, remedy: str) -> None:
    with pytest.raises(FactsRefused) as caught:
        check_facts({**facts, **given}, now=NOW)
    assert any(line.startswith(field) and remedy in line for line in caught.value.lines), caught.value.lines


@pytest.mark.parametrize(("given", "kept"), [("None", "none"), (" NONE ", "none"), ("Acme\n Holding", "Acme Holding")])
def test_a_parent_is_a_name_or_none(given: str, kept: str) -> None:
    assert said(parent_company=given) == ({"parent_company": kept}, [])


def test_an_offer_to_nobody_stands_alone() -> None:
    assert said(services={"offered_to": "nobody"}) == ({"services": {"offered_to": "nobody"}}, [])


def test_one_name_is_a_list_of_one_and_names_are_sorted() -> None:
    assert said(contacts_confirmed="ftc")[0] == {"contacts_confirmed": ["ftc"]}
    assert said(contacts_confirmed=["us-md", "ftc", "ftc"])[0] == {"contacts_confirmed": ["ftc", "us-md"]}


def test_a_text_is_read_in_its_language_else_in_english() -> None:
    assert in_language(facts=GOOD, name="delay_reason", language="fr").startswith("Il fallait")
    assert in_language(facts=GOOD, name="delay_reason", language="de").startswith("We had")
    assert is_translated(facts=GOOD, name="delay_reason", language="en") and not is_translated(
        facts=GOOD, name="delay_reason", language="de"
    )
    assert in_language(facts={"recipient_zh_hans": "某人"}, name="recipient", language="zh-Hans") == "某人"
    assert said(recipient_zh_hans="某人")[0] == {"recipient_zh_hans": "某人"}


def test_the_words_yes_and_no_of_yaml_are_answers(facts: Facts) -> None:
    raw = "police_asked_delay: no\nphone_toll_free: yes\nparent_company: none\n"
    with pytest.raises(FactsRefused) as caught:
        read_facts(raw)
    assert not any(line.startswith(("police", "phone", "parent")) for line in caught.value.lines)
