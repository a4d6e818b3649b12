"""A region and a postcode beside no country: what the two tell together, and what neither tells alone."""

from __future__ import annotations

import re

import pytest

from incidents.people.postal import rules_of
from incidents.people.residence import Residence, decide
from tests.people.test_rows import prepared, questions


def lives(region: str, postcode: str, **more: str) -> Residence:
    return decide({"region": region, "postcode": postcode, **more})


@pytest.mark.parametrize("postcode", ["981012345", "98101-2345", "98101"])
def test_a_zip_code_of_nine_digits_is_read_beside_its_state_with_and_without_its_hyphen(postcode: str) -> None:
    assert (lives("WA", postcode).place, lives("WA", postcode).confidence) == ("US-WA", "good")
    assert lives("OR", postcode).place == lives("", postcode).place == "ZZ"


@pytest.mark.parametrize(("region", "postcode"), [("NJ", "7102"), ("New Jersey", "7102-1234"), ("MA", "21081234")])
def test_somebody_whose_zip_code_lost_its_zero_lives_in_the_state_beside_it_and_is_asked_about_the_zero(
    region: str, postcode: str
) -> None:
    row = prepared(without=("stated_country",), region=region, postcode=postcode)
    (problem,) = row.problems
    assert row.place.place == f"US-{'MA' if region == 'MA' else 'NJ'}" and (problem.kind, problem.column) == ("data", "postcode")
    assert f"is {row.place.place} meant?" in problem.remedy and "first zero" in problem.reason


def test_four_digits_beside_no_state_or_another_one_tell_nothing() -> None:
    for region in ("", "WA", "Wien", "Genève"):
        row = prepared(without=("stated_country",), region=region, postcode="7102")
        assert row.place.place == "ZZ" and questions(row) == {("residence_unknown", "")}


def prefectures() -> list[tuple[str, str]]:
    rules = rules_of("JP")
    return list(zip(rules["sub_keys"].split("~"), rules["sub_lnames"].split("~"), strict=True))


@pytest.mark.parametrize("name", [name for pair in prefectures() for name in pair])
def test_a_prefecture_beside_a_postcode_of_its_own_is_in_japan_whatever_the_letters(name: str) -> None:
    beginning = dict(zip([n for pair in prefectures() for n in pair],
                         [b for zips in rules_of("JP")["sub_zips"].split("~") for b in (zips, zips)], strict=True))[name]  # fmt: skip
    digits = next(f"{n:03d}" for n in range(1000) if re.match(beginning, f"{n:03d}"))
    for written in (name, name[:-1] if name[-1] in "県府都" else name, f"{name}-ken" if name.isascii() else name):
        for postcode in (f"{digits}0001", f"{digits}-0001"):
            assert (lives(written, postcode).place, lives(written, postcode).question) == ("JP", "")


def test_all_prefectures_are_known() -> None:
    assert len(prefectures()) == 47


def test_a_region_that_one_country_has_tells_it_beside_a_postcode_of_its_own_and_never_alone() -> None:
    assert [lives(*told).place for told in (("Madrid", "28001"), ("Milano", "20121"), ("Tōkyō", "150-0001"))] == [
        "ES",
        "IT",
        "JP",
    ]
    for told in (
        ("Madrid", ""),
        ("Madrid", "08001"),
        ("沖縄県", "1500001"),
        ("", "9000001"),
        ("Córdoba", "5000"),
        ("MI", "20121"),
    ):
        assert (lives(*told).place, lives(*told).question) == ("ZZ", "residence_unknown")


def test_a_region_with_its_postcode_is_evidence_that_a_country_or_a_telephone_can_contradict() -> None:
    assert lives("沖縄県", "9000001", phone="+33 1 23 45").question == "residence_conflict"
    assert (
        lives("沖縄県", "9000001", stated_country="FR").question == ""
        and lives("沖縄県", "9000001", stated_country="FR").place == "FR"
    )


def test_a_japanese_postcode_that_lost_its_zero_is_asked_about_beside_its_prefecture() -> None:
    row = prepared(without=("stated_country",), region="北海道", postcode="600001")
    assert row.place.place == "JP" and questions(row) == {("data", "postcode")} and "is JP meant?" in row.problems[0].remedy


def test_whose_law_is_in_a_place_that_two_countries_claim_is_asked() -> None:
    for told in (("Республика Крым", "295000"), ("Севастополь", "299001"), ("місто Севастополь", "99000")):
        assert lives(*told).place == "ZZ"
