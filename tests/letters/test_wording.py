"""The words that change with the language: element names, dates, and which language a person gets."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from incidents.letters.wording import (
    ELEMENTS,
    SUPPORTED,
    choose_language,
    element_labels,
    long_date,
    long_period,
    neutral_name,
    official_languages,
    wording,
)


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_every_element_has_one_name_of_its_own_in_every_language(language: str) -> None:
    labels = wording(language=language).elements
    assert tuple(labels) == ELEMENTS and len(set(labels.values())) == len(ELEMENTS)
    assert all(label and label == label.strip() and label.isprintable() for label in labels.values())


@pytest.mark.parametrize("language", sorted(SUPPORTED))
def test_every_language_refuses_the_same_kinds_of_wording_and_has_a_neutral_name(language: str) -> None:
    assert wording(language=language).phrases.keys() == wording(language="en").phrases.keys()
    assert neutral_name(language=language)


def test_labels_come_in_one_order_whatever_the_order_of_the_elements() -> None:
    elements = ["date_of_birth", "country", "name", "email"]
    expected = ("your name", "your email address", "your country of residence", "your date of birth")
    assert element_labels(elements=elements, language="en") == expected
    assert element_labels(elements=frozenset(elements), language="en") == expected
    assert element_labels(elements=elements, language="ja") == ("お名前", "メールアドレス", "お住まいの国", "生年月日")


def test_an_unknown_element_or_language_is_an_error_not_a_gap() -> None:
    with pytest.raises(KeyError, match="shoe_size"):
        element_labels(elements=["name", "shoe_size"], language="en")
    with pytest.raises(KeyError):
        element_labels(elements=["name"], language="ko")


@pytest.mark.parametrize(
    ("language", "day"),
    [
        ("en", "June 3, 2025"),
        ("en-GB", "3 June 2025"),
        ("fr", "3 juin 2025"),
        ("de", "3. Juni 2025"),
        ("ja", "2025年6月3日"),
    ],
)
def test_a_day_is_written_as_the_language_writes_it(language: str, day: str) -> None:
    assert long_date(moment=date(2025, 6, 3), zone="Europe/Paris", language=language) == day


def test_the_first_of_a_month_is_an_ordinal_in_french_only() -> None:
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="fr") == "1er juin 2025"
    assert long_date(moment=date(2025, 6, 11), zone="UTC", language="fr") == "11 juin 2025"
    assert long_date(moment=date(2025, 6, 1), zone="UTC", language="de") == "1. Juni 2025"


def test_a_moment_falls_on_the_readers_day() -> None:
    moment = datetime(2025, 6, 2, 23, 30, tzinfo=UTC)
    assert long_date(moment=moment, zone="Asia/Tokyo", language="en") == "June 3, 2025"
    assert long_date(moment=moment, zone="America/New_York", language="en") == "June 2, 2025"


def test_a_moment_without_a_zone_has_no_day() -> None:
    with pytest.raises(ValueError):
        long_date(moment=datetime(2025, 6, 2, 23, 30), zone="Asia/Tokyo", language="en")  # noqa: DTZ001


def test_a_period_names_both_days_and_one_day_is_a_day() -> None:
    first, last = date(2025, 5, 30), date(2025, 6, 1)
    assert long_period(start=first, end=last, zone="UTC", language="fr") == "30 mai 2025 – 1er juin 2025"
    assert long_period(start=first, end=last, zone="UTC", language="ja") == "2025年5月30日～2025年6月1日"
    assert long_period(start=first, end=first, zone="UTC", language="de") == "30. Mai 2025"
    with pytest.raises(ValueError):
        long_period(start=last, end=first, zone="UTC", language="de")


@pytest.mark.parametrize(
    ("wanted", "residence", "language", "rule"),
    [
        ("fr-CA", "US-CA", "fr", "stated"),
        ("fr_FR", "FR", "fr", "stated"),
        ("EN", "FR", "en", "stated"),
        ("", "CH", "de", "official language of CH"),
        ("it", "CH", "de", "official language of CH"),
        ("", "CH-GE", "fr", "official language of CH-GE"),
        ("nl", "BE", "fr", "official language of BE"),
        ("", "CA-QC", "fr", "official language of CA-QC"),
        ("", "CA-ON", "en", "official language of CA-ON"),
        ("", "JP", "ja", "official language of JP"),
        ("ko", "KR", "en", "English"),
        ("tr", "TR", "en", "English"),
        ("zh-Hant", "TW", "en", "English"),
        ("", "UNKNOWN", "en", "English"),
    ],
)
def test_the_language_is_the_readers_own_then_an_official_one_then_english(
    wanted: str, residence: str, language: str, rule: str
) -> None:
    choice = choose_language(wanted=wanted, residence=residence, available=SUPPORTED)
    assert (choice.language, choice.wanted, choice.rule) == (language, wanted, rule)


def test_traditional_chinese_is_never_answered_with_simplified() -> None:
    available = frozenset({"en", "zh-Hans"})
    assert choose_language(wanted="zh-Hant-TW", residence="TW", available=available).language == "en"
    assert choose_language(wanted="zh-Hans-SG", residence="SG", available=available).language == "zh-Hans"


def test_a_form_that_exists_in_english_alone_is_english_for_all() -> None:
    choice = choose_language(wanted="ja", residence="US-CA", available=frozenset({"en"}))
    assert (choice.language, choice.rule) == ("en", "official language of US-CA")


def test_without_english_there_is_nothing_to_fall_back_on() -> None:
    with pytest.raises(ValueError):
        choose_language(wanted="ko", residence="KR", available=frozenset({"ja"}))


def test_norway_is_not_read_as_no() -> None:
    assert official_languages(residence="NO") == ("nb",)
