"""What was exposed: implications, doubtful elements, names and other identifiers, words no one knows."""

import pytest

from incidents.law.elements import Exposure, exposure_of, list_is_met, name_is_met
from incidents.law.facts import Findings, Group
from incidents.law.pack import load_packs

WORDS = load_packs().vocabulary


def exposure(*elements: str, maybe: tuple[str, ...] = (), **answers: str) -> Exposure:
    group = Group(residence="US-CA", elements=frozenset(elements), count=1, maybe=frozenset(maybe))
    findings = Findings(answers={f"element:{key}": value for key, value in answers.items()})
    return exposure_of(group=group, findings=findings, vocabulary=WORDS)


@pytest.mark.parametrize(
    ("element", "implied"),
    [
        ("payment_card_with_code", {"payment_card", "financial_access_code"}),
        ("passport", {"other_government_id"}),
        ("email_account_credentials", {"online_credentials", "username"}),
        ("ssn", {"ssn_last4"}),
        ("dna", {"genetic"}),
    ],
)
def test_an_element_brings_what_it_implies(element: str, implied: set[str]) -> None:
    assert exposure(element).sure == {element} | implied


def test_the_implied_does_not_bring_the_element() -> None:
    assert exposure("ssn_last4").sure == {"ssn_last4"}


def test_a_password_hash_only_may_open_the_account() -> None:
    found = exposure("name", "password_hash")
    assert list_is_met(exposure=found, any_of=["online_credentials"]) is None
    assert found.maybe["online_credentials"] == "online_credentials"


@pytest.mark.parametrize(("answer", "met"), [("yes", True), ("no", False), ("unknown", None)])
def test_an_answer_settles_a_doubtful_element(answer: str, met: bool | None) -> None:
    found = exposure("name", maybe=("ssn",), ssn=answer)
    assert list_is_met(exposure=found, any_of=["ssn"]) is met


def test_a_word_no_one_knows_is_a_question() -> None:
    found = exposure("name", "shoe_size")
    assert found.unknown == {"shoe_size"}
    assert list_is_met(exposure=found, any_of=["ssn"]) is None


@pytest.mark.parametrize(
    ("elements", "name", "met"),
    [
        (["ssn"], "required", False),
        (["name", "ssn"], "required", True),
        (["ssn"], "not_required", True),
        (["ssn", "phone"], "required", False),
        (["ssn", "phone"], "or_other_identifier", True),
        (["ssn"], "or_other_identifier", False),
    ],
)
def test_the_name_condition(elements: list[str], name: str, met: bool) -> None:
    assert name_is_met(exposure=exposure(*elements), name=name) is met


def test_a_name_that_may_be_exposed_leaves_the_condition_open() -> None:
    assert name_is_met(exposure=exposure("ssn", maybe=("name",)), name="required") is None
