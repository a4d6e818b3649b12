"""A facts file is read strictly: no field that nobody asked for, no code of a place that only looks like one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from incidents.law.pack import load_packs
from incidents.models import Incident
from incidents.models.refusal import Refused
from incidents.people.opening import FactsRefused, check_facts, read_facts
from incidents.people.supposing import suppose
from tests.conftest import NOW

Facts = dict[str, Any]


def lines_of(read: Callable[[], object]) -> str:
    with pytest.raises(FactsRefused) as caught:
        read()
    return "\n".join(caught.value.lines)


def raw(facts: Facts) -> str:
    """Facts as a file; JSON is YAML."""
    return json.dumps(facts, indent=1)


def test_a_good_file_is_read(facts: Facts) -> None:
    assert read_facts(raw(facts)) == check_facts(facts, now=NOW)


@pytest.mark.parametrize("field", ["etablished_in", "aware_at", "elments", "drill"])
def test_a_field_that_nobody_asked_for_is_refused_and_not_dropped(facts: Facts, field: str) -> None:
    assert f"{field}: no fact of this name" in lines_of(lambda: read_facts(raw({**facts, field: "FR"})))


def test_a_field_of_the_controller_that_nobody_asked_for_is_refused(facts: Facts) -> None:
    facts["controller"] = {**facts["controller"], "sender_mail": "a@b.example"}
    assert "controller.sender_mail: no fact of this name" in lines_of(lambda: read_facts(raw(facts)))


@pytest.mark.parametrize(
    ("country", "meant"),
    [("EL", "GR"), ("UK", "GB"), ("England", "GB"), ("IC", "ES"), ("XX", ""), ("EU", ""), ("ZZ", ""), ("fr", "")],
)
@pytest.mark.parametrize("field", ["based_in", "established_in"])
def test_a_word_that_only_looks_like_a_country_names_the_one_that_is_meant(
    facts: Facts, field: str, country: str, meant: str
) -> None:
    said = lines_of(lambda: check_facts({**facts, field: country}, now=NOW))
    assert f"{field}: '{country}' is not an ISO 3166 country code" in said
    assert (f"is {meant} meant?" if meant else "such as FR") in said


@pytest.mark.parametrize(
    ("sector", "instead"),
    [("Finance", "write finance"), ("finanse", "write finance"), ("Telecom", "write telecom"), ("Luxury Retail", "one word in small letters"),
     (["retail"], "one word in small letters"), ("x" * 200, "one word in small letters")],
)  # fmt: skip
def test_a_word_that_almost_names_a_sector_law_does_not_leave_it_out(facts: Facts, sector: object, instead: str) -> None:
    said = lines_of(lambda: check_facts({**facts, "sector": sector}, now=NOW))
    assert "sector: " in said and instead in said and len(said) < 300


@pytest.mark.parametrize("sector", ["retail", "finance", "health", "hospitality", "luxury"])
def test_any_plain_word_is_a_sector(facts: Facts, sector: str) -> None:
    assert check_facts({**facts, "sector": sector}, now=NOW)["sector"] == sector


@pytest.mark.parametrize("field", ["title", "controller.brand", "controller.phone", "controller.phone_hours_fr"])
@pytest.mark.parametrize("value", [["a"], {"a": "b"}, True])
def test_what_readers_see_is_never_code(facts: Facts, field: str, value: object) -> None:
    above, _, name = field.rpartition(".")
    changed = {**facts, above: {**facts[above], name: value}} if above else {**facts, name: value}
    assert f"{field}: must be a text; write it in quotes." in lines_of(lambda: check_facts(changed, now=NOW))


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"reference"', '"reference": "a", "reference"', "line 2, reference: this key is written twice; keep one"),
        ('"title":', 'NO:', "NO: YAML reads an unquoted NO as false; write it in quotes: 'NO'"),
        ('"expected_people": 200', '"expected_people": 010', "expected_people: '010' is no plain whole number"),
        ('"expected_people": 200', '"expected_people": .nan', "expected_people: '.nan' is no number"),
        ('"expected_people": 200', '"expected_people": 1:30', "expected_people: '1:30' is no plain whole number"),
        ('"title":', '"title": &a [x], "b": *a, "c":', "refers to another place"),
    ],
)  # fmt: skip
def test_yaml_that_would_be_read_otherwise_than_it_looks_is_refused_with_its_line(
    facts: Facts, was: str, becomes: str, says: str
) -> None:
    text = raw({**facts, "expected_people": 200})
    assert was in text
    said = lines_of(lambda: read_facts(text.replace(was, becomes, 1)))
    assert says in said and "line " in said and said.count("\n") == 0


def test_a_telephone_number_keeps_its_plus_sign_or_is_asked_for_in_quotes(facts: Facts) -> None:
    facts["controller"] = {**facts["controller"], "phone": 12345}
    said = lines_of(lambda: read_facts(raw(facts).replace('"phone": 12345', '"phone": +33199001010')))
    assert "phone: '+33199001010' is no plain whole number" in said and "in quotes" in said


@pytest.mark.parametrize("count", [-1, 10**11, 10**400, 1.5, "many", True])
def test_a_count_of_people_that_cannot_be_is_refused(facts: Facts, count: object) -> None:
    assert "expected_people: " in lines_of(lambda: check_facts({**facts, "expected_people": count}, now=NOW))


@pytest.mark.parametrize("data", [b"a: " + b"x" * 10_000_000, b"[" * 500_000, b"- " * 400_000, b"a: &a [x]\n" + b"b: [*a, *a]\n"])
def test_a_file_that_is_made_to_stall_is_refused_at_once(data: bytes) -> None:
    started = time.monotonic()
    assert "not readable YAML" in lines_of(lambda: read_facts(data))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("name", ["law_enforcement_hold_until", "processor_aware_at"])
@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00+14:00"])
def test_a_supposed_moment_that_no_clock_can_count_with_is_refused(incident: Incident, name: str, at: str) -> None:
    with pytest.raises(Refused, match="cannot be counted with; give a year"):
        suppose(incident=incident, settings=[f"{name}={at}"], packs=load_packs(), now=NOW)
