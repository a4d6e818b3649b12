"""ENISA's severity as a suggestion: the worked examples, every answer and its number, every edge, every default with its source."""

from __future__ import annotations

from itertools import product

import pytest

from incidents.audit.bundle_format import canonical_json
from incidents.law.pack import load_packs
from incidents.law.severity import BELOW_TWO, COMMON_USE, Suggestion, UnknownAnswer, bands_of, document, summary, weigh
from incidents.law.severity_inputs import (
    ELEMENTS,
    KIND_OF,
    OPEN,
    STEPS,
    Circumstances,
    Kind,
    Range,
    circumstances_of,
    exactly,
    questions,
)

CONTACT = ("country", "email", "name")
STOLEN = Circumstances(exposed=CONTACT, cause="attack", contained=True, people=200)
QUIET = {"confidentiality": "none", "integrity": "none", "availability": "none", "intent": "none", "simple.controller": "0"}


def at(circumstances: Circumstances = STOLEN, **answers: str) -> Suggestion:
    """The suggestion for answers; `simple_controller` stands for the key simple.controller."""
    return weigh(circumstances=circumstances, answers={key.replace("_", "."): value for key, value in answers.items()})


def kept(suggestion: Suggestion, **more: str) -> dict[str, object]:
    return document(suggestion=suggestion, **more)


def source_of(suggestion: Suggestion, key: str) -> tuple[str, str]:
    [found] = [one for one in suggestion.inputs if one.question.key == key]
    return found.option.value, found.question.because


# -- worked examples -----------------------------------------------------------------------------------------------


def test_contact_data_of_luxury_clients_taken_by_an_unknown_attacker_score_three() -> None:
    found = at(simple_controller="+1")
    assert (found.dpc, found.ei, found.cb, found.score) == (exactly(2), exactly(1), exactly(1), exactly(3))
    assert (found.bands, found.risks) == (("high",), ("high",))


def test_the_same_clients_found_only_with_some_link_score_two_and_a_half() -> None:
    found = at(simple_controller="+1", identification="0.75")
    assert (found.score, found.bands, found.risks) == (exactly(2.5), ("medium",), ("risk",))


def test_not_knowing_which_of_the_two_gives_the_span_and_both_findings_agree_with_it() -> None:
    found = at(simple_controller="+1", identification="0.75-1")
    assert (kept(found)["score"], found.bands, found.risks) == ("2.5 to 3.0", ("medium", "high"), ("risk", "high"))


@pytest.mark.parametrize(
    ("clients", "answer", "context", "score", "band"),
    [
        ("of a supermarket", {"simple.controller": "0"}, 1, 2.0, "medium"),
        ("of a seller of luxury goods", {"simple.controller": "+1"}, 2, 3.0, "high"),
        ("of a pharmacy", {"simple.controller": "+2"}, 3, 4.0, "very high"),
        ("who are protected officers", {"simple.controller": "0", "simple.vulnerable": "+3"}, 4, 5.0, "very high"),
    ],
)
def test_the_same_list_weighs_by_whose_clients_it_names(
    clients: str, answer: dict[str, str], context: int, score: float, band: str
) -> None:
    found = weigh(circumstances=STOLEN, answers=answer)
    assert (found.dpc, found.score, found.bands) == (exactly(context), exactly(score), (band,)), clients


@pytest.mark.parametrize(
    ("sector", "low", "high"),
    [
        ("supermarket", 1, 1),
        ("grocery retail", 1, 1),
        ("Luxury retail", 2, 2),
        ("jewellery", 2, 2),
        ("pharmacy", 3, 3),
        ("retail", 1, 3),
    ],
)
def test_a_sector_that_says_whose_clients_they_are_sets_the_default_and_any_other_leaves_it_open(
    sector: str, low: int, high: int
) -> None:
    assert at(Circumstances(exposed=CONTACT, cause="attack", sector=sector)).dpc == Range(low, high)


# -- the numbers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "low", "high"),
    [
        ("identification", "0.25", 0.25, 0.25), ("identification", "0.5", 0.5, 0.5), ("identification", "0.75", 0.75, 0.75),
        ("identification", "1", 1, 1), ("identification", "0.25-0.5", 0.25, 0.5), ("identification", "0.5-0.75", 0.5, 0.75),
        ("identification", "0.75-1", 0.75, 1), ("identification", "open", 0.25, 1),
        ("confidentiality", "none", 0, 0), ("confidentiality", "known", 0.25, 0.25), ("confidentiality", "unknown", 0.5, 0.5),
        ("confidentiality", "open", 0, 0.5),
        ("integrity", "none", 0, 0), ("integrity", "recoverable", 0.25, 0.25), ("integrity", "lost", 0.5, 0.5),
        ("integrity", "open", 0, 0.5),
        ("availability", "none", 0, 0), ("availability", "temporary", 0.25, 0.25), ("availability", "lost", 0.5, 0.5),
        ("availability", "open", 0, 0.5),
        ("intent", "none", 0, 0), ("intent", "malicious", 0.5, 0.5), ("intent", "open", 0, 0.5),
    ],
)  # fmt: skip
def test_every_answer_has_its_number(key: str, value: str, low: float, high: float) -> None:
    found = weigh(circumstances=STOLEN, answers={**QUIET, key: value})
    assert (found.ei if key == "identification" else found.cb) == Range(low, high)


def test_no_question_has_an_answer_that_is_not_listed_here() -> None:
    options = {one.key: len(one.options) for one in questions(circumstances=STOLEN) if "." not in one.key}
    assert options == {"identification": 8, "confidentiality": 4, "integrity": 4, "availability": 4, "intent": 3}


def test_the_circumstances_are_added_up() -> None:
    worst = at(confidentiality="unknown", integrity="lost", availability="lost", intent="malicious")
    assert worst.cb == exactly(2)


def test_the_score_lies_between_a_quarter_and_six_whatever_is_answered() -> None:
    by_key = {one.key: [option.value for option in one.options] for one in questions(circumstances=STOLEN) if "." not in one.key}
    for controller, *answers in product(("0", "+3", OPEN), *by_key.values()):
        found = weigh(circumstances=STOLEN, answers={"simple.controller": controller, **dict(zip(by_key, answers, strict=True))})
        assert 0.25 <= found.score.low <= found.score.high <= 6
        assert found.score.low % 0.25 == found.score.high % 0.25 == 0


def test_the_lowest_and_the_highest_score_can_be_reached() -> None:
    lowest = weigh(circumstances=STOLEN, answers={**QUIET, "identification": "0.25"})
    sensitive = Circumstances(exposed=("medical_information", "name"), cause="attack")
    highest = at(sensitive, confidentiality="unknown", integrity="lost", availability="lost", intent="malicious")
    assert (lowest.score, highest.score) == (exactly(0.25), exactly(6))


@pytest.mark.parametrize(
    ("score", "band"),
    [
        (0.25, "low"), (1.75, "low"), (2, "medium"), (2.25, "medium"), (2.75, "medium"),
        (3, "high"), (3.25, "high"), (3.75, "high"), (4, "very high"), (4.25, "very high"), (6, "very high"),
    ],
)  # fmt: skip
def test_a_band_begins_at_its_edge(score: float, band: str) -> None:
    assert bands_of(score=exactly(score)) == (band,)


@pytest.mark.parametrize(
    ("low", "high", "bands"),
    [
        (1.75, 2, ("low", "medium")), (2, 2.75, ("medium",)), (2, 3, ("medium", "high")), (2.75, 4, ("medium", "high", "very high")),
        (0.25, 6, ("low", "medium", "high", "very high")), (3, 3.75, ("high",)),
    ],
)  # fmt: skip
def test_a_span_touches_every_band_between_its_ends(low: float, high: float, bands: tuple[str, ...]) -> None:
    assert bands_of(score=Range(low, high)) == bands


def test_an_open_answer_spans_the_answers_that_it_may_become() -> None:
    mixed = Circumstances(exposed=("name", "online_credentials", "ssn", "shoe_size"), cause="unknown")
    beyond = {("simple.controller", "+3"), ("identity.class", "4")}
    spans = [one for one in questions(circumstances=mixed) if OPEN in {option.value for option in one.options}]
    assert len(spans) == 9
    for question in spans:
        span = weigh(circumstances=mixed, answers={question.key: OPEN}).score
        for value in {option.value for option in question.options}:
            score = weigh(circumstances=mixed, answers={question.key: value}).score
            if (question.key, value) not in beyond:
                assert span.low <= score.low and score.high <= span.high, (question.key, value)


# -- what is read from the number ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answers", "risks"),
    [
        ({**QUIET}, ("unlikely", "risk")),
        ({**QUIET, "simple.controller": "+1"}, ("risk",)),
        ({**QUIET, "simple.controller": "+2"}, ("high",)),
        ({**QUIET, "simple.vulnerable": "+3"}, ("high",)),
        ({**QUIET, "simple.controller": OPEN}, ("unlikely", "risk", "high")),
    ],
)
def test_the_bands_are_read_as_common_use_reads_them(answers: dict[str, str], risks: tuple[str, ...]) -> None:
    assert weigh(circumstances=STOLEN, answers=answers).risks == risks


def test_every_suggestion_says_that_enisa_does_not_set_the_reading() -> None:
    for answers in (QUIET, {}, {"simple.controller": "+2"}):
        notes = document(suggestion=weigh(circumstances=STOLEN, answers=answers))["notes"]
        assert COMMON_USE in notes and "ENISA does not set this" in COMMON_USE


def test_a_low_score_never_says_by_itself_that_a_risk_is_unlikely() -> None:
    low = weigh(circumstances=STOLEN, answers=QUIET)
    assert low.bands == ("low",) and low.risks != ("unlikely",) and BELOW_TWO in document(suggestion=low)["notes"]
    assert BELOW_TWO not in document(suggestion=at(simple_controller="+1"))["notes"]


@pytest.mark.parametrize(("found", "differs"), [("unlikely", True), ("risk", True), ("high", False), ("", False)])
def test_a_finding_outside_what_agrees_with_the_score_differs(found: str, differs: bool) -> None:
    assert kept(at(simple_controller="+1"), found=found)["differs"] is differs


@pytest.mark.parametrize(("found", "differs"), [("unlikely", True), ("risk", False), ("high", False)])
def test_a_finding_within_the_span_does_not_differ(found: str, differs: bool) -> None:
    assert kept(at(simple_controller="+1", identification="0.75-1"), found=found)["differs"] is differs


# -- kinds of data -------------------------------------------------------------------------------------------------


def test_every_element_of_the_vocabulary_has_one_kind_and_no_other_word_has() -> None:
    listed = [element for elements in ELEMENTS.values() for element in elements.split()]
    assert sorted(listed) == sorted(load_packs().vocabulary.elements) and len(listed) == len(set(listed))
    assert Kind.UNCLASSIFIED not in KIND_OF.values()


@pytest.mark.parametrize(
    ("elements", "low", "high"),
    [
        (("postal_address",), 1, 1), (("date_of_birth",), 1, 1), (("work_evaluation",), 1, 1),
        (("purchase_history",), 2, 2), (("geolocation",), 2, 2), (("customer_profile",), 2, 2),
        (("payment_card",), 3, 3), (("financial_account",), 3, 3), (("tax_information",), 3, 3),
        (("medical_information",), 4, 4), (("genetic",), 4, 4), (("age_verification_data",), 4, 4),
        (("online_credentials",), 1, 4), (("password_hash",), 1, 4), (("ssn",), 1, 3), (("passport",), 1, 3),
        (("shoe_size",), 1, 4),
        (("postal_address", "purchase_history"), 2, 2), (("purchase_history", "payment_card", "phone"), 3, 3),
        (("payment_card", "medical_information"), 4, 4), (("payment_card", "online_credentials"), 3, 4),
    ],
)  # fmt: skip
def test_several_kinds_are_scored_each_and_the_highest_counts(elements: tuple[str, ...], low: int, high: int) -> None:
    found = at(Circumstances(exposed=elements, sector="supermarket"))
    assert found.dpc == Range(low, high)


@pytest.mark.parametrize("opens", ["1", "2", "3", "4"])
@pytest.mark.parametrize("element", ["online_credentials", "email_account_credentials", "password_hash", "private_key"])
def test_credentials_take_the_class_of_what_they_open(element: str, opens: str) -> None:
    found = weigh(circumstances=Circumstances(exposed=(element,)), answers={"credentials.class": opens})
    assert found.dpc == exactly(int(opens))


def test_an_access_code_to_a_bank_account_opens_money() -> None:
    assert KIND_OF["financial_access_code"] is Kind.FINANCIAL


def test_an_element_that_perhaps_was_not_exposed_only_raises_the_upper_end() -> None:
    found = at(Circumstances(exposed=CONTACT, maybe=("medical_information",), cause="attack", sector="supermarket"))
    assert (found.dpc, kept(found)["score"]) == (Range(1, 4), "2.0 to 5.0")
    assert [one.sure for one in found.kinds] == [True, False]


@pytest.mark.parametrize("ground", STEPS)
@pytest.mark.parametrize(("element", "base"), [("phone", 1), ("geolocation", 2), ("payment_card", 3), ("genetic", 4)])
def test_each_ground_moves_a_class_by_whole_steps_within_one_and_four(ground: str, element: str, base: int) -> None:
    circumstances = Circumstances(exposed=(element,), sector="supermarket")
    options = STEPS[ground][1]
    for option in options:
        moved = weigh(circumstances=circumstances, answers={f"{KIND_OF[element]}.{ground}": option.value}).dpc
        assert moved == exactly(min(max(base + int(option.value), 1), 4))
    assert [abs(int(option.value)) for option in options] == [0, 1, 2, 3]


def test_the_grounds_are_the_three_that_raise_and_the_three_that_lower() -> None:
    assert {ground: options[-1].value for ground, (_, options) in STEPS.items()} == {
        "controller": "+3", "volume": "+3", "vulnerable": "+3", "old": "-3", "public": "-3", "less": "-3",
    }  # fmt: skip


def test_steps_up_and_down_are_added_before_the_class_is_held_within_its_ends() -> None:
    found = weigh(circumstances=STOLEN, answers={**QUIET, "simple.volume": "+3", "simple.vulnerable": "+2", "simple.old": "-3"})
    assert found.dpc == exactly(3)


def test_a_step_on_one_kind_does_not_move_another() -> None:
    circumstances = Circumstances(exposed=("name", "payment_card"), sector="luxury")
    found = weigh(circumstances=circumstances, answers={"financial.old": "-1"})
    assert {one.kind: one.score for one in found.kinds} == {Kind.SIMPLE: exactly(2), Kind.FINANCIAL: exactly(2)}


# -- defaults, and where they come from ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cause", "contained", "seen", "lost", "intent"),
    [
        ("attack", True, "unknown", "none", "malicious"), ("attack", False, "unknown", "none", "malicious"),
        ("error", True, "known", "none", "none"), ("error", False, "open", "none", "none"),
        ("loss", True, "none", "open", "none"), ("loss", False, "none", "open", "none"),
        ("insider", True, "known", "none", "open"), ("insider", False, "open", "none", "open"),
        ("unknown", True, "open", "none", "open"), ("unknown", False, "open", "none", "open"),
    ],
)  # fmt: skip
def test_the_cause_and_the_containment_set_the_first_answers(
    cause: str, contained: bool, seen: str, lost: str, intent: str
) -> None:
    found = at(Circumstances(exposed=CONTACT, cause=cause, contained=contained))
    values = {key: source_of(found, key)[0] for key in ("confidentiality", "integrity", "availability", "intent")}
    assert values == {"confidentiality": seen, "integrity": "none", "availability": lost, "intent": intent}
    assert cause in source_of(found, "confidentiality")[1]


@pytest.mark.parametrize(
    ("exposed", "maybe", "value"),
    [(("name",), (), "1"), (CONTACT, (), "1"), (("email",), (), OPEN), (("email",), ("name",), OPEN), (("ssn",), (), OPEN)],
)
def test_only_an_exposed_name_names_the_person(exposed: tuple[str, ...], maybe: tuple[str, ...], value: str) -> None:
    assert source_of(at(Circumstances(exposed=exposed, maybe=maybe)), "identification")[0] == value


def test_every_default_is_marked_as_one_and_says_what_it_rests_on() -> None:
    lines = document(suggestion=at())["inputs"]
    assert len(lines) == 11 and {line["source"] for line in lines} == {"default"} and all(line["because"] for line in lines)


def test_what_the_officer_answered_is_marked_as_theirs() -> None:
    lines = {line["key"]: line for line in document(suggestion=at(simple_controller="+1", intent="malicious"))["inputs"]}
    assert lines["simple.controller"]["source"] == "officer" and "luxury" in lines["simple.controller"]["answer"]
    assert lines["intent"]["source"] == "default", "the same answer as the default stays the default's"


def test_the_facts_as_stored_become_what_the_method_sees() -> None:
    facts = {
        "elements": {"name": "exposed", "date_of_birth": "exposed_for_some", "ssn": "unknown", "payment_card": "not_involved"},
        "cause": "attack", "encrypted": False, "key_taken": False, "contained": True, "sector": "retail", "title": "x",
    }  # fmt: skip
    found = circumstances_of(facts=facts, people=7)
    assert found == Circumstances(exposed=("date_of_birth", "name"), maybe=("ssn",), cause="attack", contained=True, people=7)


@pytest.mark.parametrize(("people", "holds"), [(None, None), (0, False), (100, False), (101, True), (200_000, True)])
def test_more_than_a_hundred_people_are_a_flag_outside_the_sum(people: int | None, holds: bool | None) -> None:
    found = at(Circumstances(exposed=CONTACT, cause="attack", sector="luxury", people=people))
    assert found.flags[0].holds is holds and found.score == exactly(3)


@pytest.mark.parametrize(
    ("encrypted", "key_taken", "holds", "words"),
    [
        (False, False, False, "Not encrypted"), (False, True, False, "Not encrypted"),
        (True, True, False, "the key was taken too"), (True, False, True, "the key was not taken"),
    ],
)  # fmt: skip
def test_data_that_nobody_can_read_are_a_flag_outside_the_sum(encrypted: bool, key_taken: bool, holds: bool, words: str) -> None:
    found = at(Circumstances(exposed=CONTACT, cause="attack", sector="luxury", encrypted=encrypted, key_taken=key_taken))
    assert found.flags[1].holds is holds and words in found.flags[1].text and found.score == exactly(3)


# -- as it is kept -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("key", "value"), [("intent", "perhaps"), ("simple.volume", "+4"), ("identification", "")])
def test_an_answer_that_the_question_does_not_have_is_refused(key: str, value: str) -> None:
    with pytest.raises(UnknownAnswer, match="use one of"):
        weigh(circumstances=STOLEN, answers={key: value})


@pytest.mark.parametrize(
    ("answers", "grounds", "missing"),
    [
        ({}, "", False), ({"intent": "none", "identification": "0.75"}, "", False),
        ({"simple.controller": "+1"}, " ", True), ({"simple.controller": "0"}, "", True), ({"simple.less": "-1"}, "", True),
        ({"simple.controller": "+1"}, "the brand sells jewellery", False),
    ],
)  # fmt: skip
def test_a_changed_answer_about_a_kind_of_data_needs_its_ground(answers: dict[str, str], grounds: str, missing: bool) -> None:
    assert weigh(circumstances=STOLEN, answers=answers, grounds=grounds).ungrounded is missing


def test_what_is_kept_can_be_hashed_and_holds_every_part_of_the_sum() -> None:
    found = document(suggestion=at(simple_controller="+1"), found="risk", why_different=" the key is safe ")
    assert canonical_json(found)
    assert (found["dpc"], found["ei"], found["cb"], found["score"], found["band"]) == ("2", "1", "1", "3.0", "high")
    assert (found["found"], found["differs"], found["why_different"]) == ("risk", True, "the key is safe")
    assert found["kinds"][0]["steps"] == "1" and "December 2013" in found["method"]


def test_the_log_is_told_the_result_and_no_words_that_a_person_wrote() -> None:
    suggestion = weigh(circumstances=STOLEN, answers={"simple.controller": "+1"}, grounds="Claire Dubois told us")
    told = summary(kept=document(suggestion=suggestion, found="risk", why_different="Carl O'Brien told us"))
    assert told["score"] == "3.0" and told["risks"] == ["high"] and told["differs"] is True
    assert "told us" not in str(told)
