"""A region or a town that names another place than the country beside it: asked, with that place, and never taken for the country."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml

from incidents.law.pack import load_packs
from incidents.law.places import may_mean
from incidents.people import elsewhere as module
from incidents.people.country_codes import known_countries
from incidents.people.elsewhere import NOWHERE, elsewhere
from incidents.people.residence import decide, is_residence, said_by

DATA = yaml.safe_load(module.Path(module.__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
LINES = [(country, line) for country, lines in DATA["places"].items() for line in lines]


def at(country: str, **cells: str) -> dict[str, str]:
    return {"stated_country": country, **cells}


@pytest.mark.parametrize(
    ("row", "other"),
    [
        (at("CN", region="香港特别行政区"), "HK"), (at("CN", region="香港特別行政區"), "HK"), (at("CN", city="香港"), "HK"),
        (at("CN", city="香港九龍"), "HK"), (at("CN", city="Hong Kong"), "HK"), (at("CN", city="HONG  KONG"), "HK"),
        (at("CN", city="Kowloon, Hong Kong"), "HK"), (at("CN", region="香港"), "HK"), (at("CN", city="中国香港"), "HK"),
        (at("CN", region="澳门"), "MO"), (at("CN", region="澳門特別行政區"), "MO"), (at("CN", city="澳门"), "MO"),
        (at("CN", city="Macau"), "MO"), (at("CN", city="Macao"), "MO"), (at("CN", region="台湾"), "TW"), (at("CN", region="臺灣"), "TW"),
        (at("CN", region="台灣省"), "TW"), (at("CN", city="Taipei"), "TW"), (at("CN", city="台北市信义区"), "TW"),
        (at("CN", city="Hong Kong", postcode="518000"), "HK"),
        (at("GB", city="St Peter Port"), "GG"), (at("GB", city="St. Peter Port"), "GG"), (at("GB", city="ST HELIER"), "JE"),
        (at("GB", city="Saint Helier"), "JE"), (at("GB", city="St Helier, Jersey"), "JE"), (at("GB", city="Douglas"), "IM"),
        (at("GB", city="Douglas, Isle of Man"), "IM"), (at("GB", city="Jersey"), "JE"), (at("GB", region="Jersey"), "JE"),
        (at("IE", region="Northern Ireland"), "GB"), (at("IE", region="Co. Antrim"), "GB"), (at("IE", city="Belfast"), "GB"),
        (at("NL", region="Bonaire"), "BQ"), (at("NL", region="Saba"), "BQ"), (at("NL", region="Sint Eustatius"), "BQ"),
        (at("NL", city="Kralendijk"), "BQ"), (at("NL", region="Sint Maarten"), "SX"), (at("NL", city="Willemstad"), "CW"),
        (at("CY", city="Girne"), "TR"), (at("CY", city="GİRNE"), "TR"), (at("CY", city="Kyrenia"), "TR"), (at("CY", city="Kyrenia", postcode="9300"), "TR"),
        (at("CY", city="Lefkoşa Kuzey"), "TR"), (at("CY", city="Gazimağusa"), "TR"), (at("CY", city="Famagusta"), "TR"),
        (at("TR", city="Girne"), "CY"), (at("TR", city="Gazimagusa", postcode="99450"), "CY"), (at("TR", region="KKTC"), "CY"),
        (at("TR", city="Mersin 10"), "CY"), (at("TR", city="Lefkoşa Mersin 10"), "CY"), (at("TR", region="via Mersin 10, Turkey"), "CY"),
        (at("TR", city="Gazimağusa / MERSİN-10", postcode="34852"), "CY"), (at("CY", city="Girne via Mersin 10"), "TR"),
        (at("RS", region="Kosovo"), "XK"), (at("RS", region="Косово и Метохија", city="Приштина"), "XK"), (at("RS", city="Priština"), "XK"),
        (at("RS", city="Kosovo, Prizren"), "XK"), (at("AL", region="Kosova"), "XK"), (at("NO", city="Longyearbyen"), "SJ"), (at("NO", region="Svalbard"), "SJ"), (at("DK", city="Nuuk"), "GL"),
    ],
)  # fmt: skip
def test_a_region_or_town_of_another_place_is_asked_with_that_place(row: dict[str, str], other: str) -> None:
    for column in ("stated_country", "billing_country", "shipping_country"):
        found = decide({column: row["stated_country"], **{name: text for name, text in row.items() if name != "stated_country"}})
        assert (found.question, found.confidence) == ("residence_conflict", "none")
        assert {row["stated_country"], other} <= set(found.possible)


@pytest.mark.parametrize(
    ("row", "places"),
    [(at("GB", region="Channel Islands"), ("GB", "JE", "GG")), (at("NL", city="Oranjestad"), ("NL", "AW", "BQ"))],
)
def test_a_word_that_may_mean_several_places_is_asked_with_all_of_them(row: dict[str, str], places: tuple[str, ...]) -> None:
    assert decide(row).possible == places


@pytest.mark.parametrize(
    "row",
    [
        at("GB", city="Douglas", postcode="ML11 0QW"), at("GB", city="St Helier", postcode="SM5 1AA"), at("GB", city="London"),
        at("GB", city="Douglas Street"), at("GB", region="Jersey City"), at("GB", city="Belfast"), at("GB", region="Northern Ireland"),
        at("IE", city="Bangor", postcode="F26 X285"), at("IE", region="Co. Donegal"), at("NL", city="Willemstad", postcode="4797 AA"),
        at("CN", region="广东省", city="深圳市"), at("CN", region="四川省", city="九龙县"), at("CY", city="Paralimni", region="Famagusta"),
        at("TR", city="Girne", postcode="34852"), at("TR", region="Lefkoşa"), at("HK", city="香港"), at("TW", city="Taipei"),
        at("TR", city="Mersin", postcode="33010"), at("TR", region="Mersin 100. Yıl"), at("RS", city="Kosovska ulica"),
        at("RS", region="Vojvodina", city="Novi Sad"), at("JE", city="St Helier"), at("FR", city="Hong Kong"), at("BQ", region="Bonaire"),
    ],
)  # fmt: skip
def test_a_town_of_the_country_itself_is_not_asked(row: dict[str, str]) -> None:
    found = decide(row)
    assert (found.place, found.question) == (row["stated_country"], "")


def test_a_postcode_of_the_other_place_settles_no_town() -> None:
    assert decide(at("GB", city="Douglas", postcode="IM1 1AA")).possible == ("GB", "IM")


def test_the_town_is_told_among_the_evidence_and_only_where_it_says_something() -> None:
    assert said_by(at("CN", city="Hong Kong")) == [("stated_country", ("CN",)), ("city", ("HK",))]
    assert said_by(at("CN", city="Shenzhen")) == [("stated_country", ("CN",))]


@pytest.mark.parametrize(("country", "line"), LINES)
def test_every_line_of_the_table_names_places_columns_words_and_its_reason(country: str, line: Mapping[str, object]) -> None:
    means, columns, words = line["means"], line["in"], line["words"]
    assert isinstance(means, list) and isinstance(columns, list) and isinstance(words, list)
    assert country == "any" or country in known_countries()
    assert all((is_residence(place) or place in load_packs().packs) and place != country for place in means) and set(columns) <= {
        "region",
        "city",
    }
    assert words and line["because"] and set(line) <= {"means", "in", "words", "because", "settled", "within"}
    for word in words:
        assert all(elsewhere("DE" if country == "any" else country, column, word) != NOWHERE for column in columns)


def test_kosovo_beside_serbia_may_be_kosovo_and_is_told_among_the_evidence() -> None:
    row = at("RS", region="Kosovo", city="Prishtina", postcode="10000")
    assert (decide(row).place, decide(row).possible) == ("RS", ("RS", "XK"))
    assert said_by(row) == [("stated_country", ("RS",)), ("region", ("XK",)), ("city", ("XK",))]


def test_every_word_for_the_north_of_cyprus_is_in_the_table() -> None:
    listed = next(line["words"] for line in DATA["places"]["any"])
    assert all(may_mean(word=word) in {("CY",), ()} for word in listed)
    assert elsewhere("GB", "region", "TRNC").places == ("CY",)
