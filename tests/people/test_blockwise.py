"""Rows read column by column become what each of them becomes by itself, whatever stands in them and around them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.law.pack import load_packs
from incidents.people import blockwise, parsing, reading
from incidents.people.blockwise import Blockwise
from incidents.people.reading import tables
from incidents.people.rows import Expected, Row

TODAY = date(2026, 11, 22)
EXPECTED = Expected(
    vocabulary=frozenset(load_packs().vocabulary.elements), states={"name": "exposed", "phone": "not_involved"},
    aware_on=date(2026, 9, 1), seat="FR",
)  # fmt: skip
COUNTRIES = [
    "",
    "FR",
    "fr",
    "US",
    "US-CA",
    "CA",
    "GB",
    "UK",
    "England",
    "Germany",
    "Vereinigtes Königreich",
    "JE",
    "n/a",
    "ZZ",
    "IT",
    "CN",
]
#: What each column may hold: the ordinary beside what is asked, refused or written in another way.
ORDINARY = {
    "person_id": ["", "A-1", "ref.2", "-x", "a b", "x" * 60, "'007", "'A-2", "' A-3"],
    "customer_number": ["", "C1", "C2345", "000", "-1", "999999", "xx", "n/a", "1.23E+15", "+1", "１２", "keine Angabe", "TRUE", "#NV", "0,00",
                        "'00123", "'C7", "'", "' ", "''5", "'+1"],
    "full_name": [
        "", "Anna Berg", "ANNA  BERG", "伊藤 直人", "Gaëlle N'Diaye", "Ｇａｅｌｌｅ", 'Robert "Bob"', "back\\slash", "A\u00a8B", "ﷺ", "¨",
        "Σίσυφος ΣΣ", "I\u0307stanbul ı", "Anna\u00a0Berg", "\u0301x", "x" * 501, "Ã©", "A\0", "A\u2028B", "straße", "ǅ", " Anna ",
    ],
    "given_name": ["", "Anna", "直人", "Anna Maria", "N/A", "'=1+1"],
    "family_name": ["", "Berg", "伊藤", "Roy", "n/a", "'t Hart"],
    "second_family_name": ["", "Pérez", "Berg"],
    "email": [
        "", "anna@example.org", "Anna.B+x@Example.ORG", "anna@example.de", "b@example.co.uk", "test@example.org", "none@none", "na",
        "a@b", "a..b@example.org", ".a@example.org", "anna(at)example.org", "@example.org", "anna@", "example.org", "x@bücher.de",
        "x" * 65 + "@example.org", "x@" + "y" * 60 + "." + "z" * 60 + ".org", "a@x.org, b@x.org", "NoReply@example.org", "a@b@c.org",
        "a@example.org\n", "a@-x.org", "a@localhost", "a@1.2.3.4", "münchen@example.org", "?", "a@?",
    ],
    "phone": ["", "+33 1 23 45", "+1 206 555 01 00", "+44 20", "+44 1534 555555", "+383 44 123456", "3.3E+10", "0171 123", "＋49", "'+1 206 555 01 00", "'+33 1", "'"],
    "street": ["", "1 High Street", "PO Box 12", "n/a", "Rue\nde la Paix", "Straße 5", "a\n" * 8, "'1 High Street"],
    "city": ["", "Paris", "APO", "n/a", "Saint Helier", "Douglas", "Hong Kong", "APO AE", "'s-Hertogenbosch"],
    "region": ["", "CA", "California", "WA", "QC", "AE", "Bayern", "NJ", "沖縄県", "Madrid", "x" * 90, "Channel Islands", "香港"],
    "postcode": ["", "75001", "94105", "1234", "H2X 1Y4", "SW1A 1AA", "JE2 3AB", "00000", "9000001", "28001", "7102", "941051234", "09012", "BFPO 12", "ＳＷ１Ａ １ＡＡ", "'94105", "'01234", "'SW1A 1AA"],
    "stated_country": COUNTRIES, "billing_country": COUNTRIES, "shipping_country": COUNTRIES, "ip_country": COUNTRIES,
    "phone_prefix": ["", "+33", "+1", "+1-206", "+44", "x", "'+33"],
    "loyalty_home_store": ["", "FR Paris", "JP Tokyo", "France", "UK London", "x" * 90],
    "language": ["", "fr", "fr_CA", "de-CH", "Deutsch", "x" * 20],
    "elements": ["", "name;email", "ssn", "email,phone", "secret", "password|name"],
    "flags": ["", "moved", "deceased", "minor_16_17", "do-not-contact;moved", "erasure_pending", "what", "minor"],
    "date_of_birth": ["", "1980-01-01", "2012-05-05", "2009-09-02", "1900-01-01", "31.12.1980", "2030-01-01", "n/a", "02/03/2015",
                      "02/03/15", "08/10/2010", "'1980-01-01"],
    "representative_role": ["", "", "", "guardian", "aunt"],
    "representative_name": ["", "", "", "Vera Berg"],
    "representative_email": ["", "", "", "vera@example.org", "vera@"],
    "deceased": ["", "", "N", "Y", "no", "2024-02-03", "perhaps"], "date_of_death": ["", "", "0000-00-00", "3 Feb 2024", "?"],
    "minor": ["", "", "n", "x", "minor_16_17", "1"], "safe_address": ["", "", "FALSE", "TRUE", "unknown"],
    "do_not_contact": ["", "", "nein", "ja"], "employee": ["", "", "0", "oui"], "opted_out": ["", "", "no", "いいえ", "はい"],
}  # fmt: skip
COLUMNS = tuple(ORDINARY)


def told(patched: pytest.MonkeyPatch, columns: Sequence[str], rows: Iterable[Sequence[str]], country: str = "") -> dict[int, Any]:
    """What the messages say of each row, by its number."""
    file = reading.ListFile(sha256="", size=0, kind="csv", header=tuple(columns), columns=tuple(columns))
    found, profiles = dict[int, Any](), list[Any]()
    numbered = [(number, list(row)) for number, row in enumerate(rows, 2)]
    patched.setattr(reading, "blocks", lambda **_: reading.in_blocks(numbered, len(columns)))
    expected = replace(EXPECTED, country=country)
    for message in parsing.messages(raw=io.BytesIO(), file=file, expected=expected, today=TODAY):
        if message["anew"]:
            profiles.clear()
        profiles += message["profiles"]
        kept, size = dict(message["kept"]), len(message["rows"])
        for place, number in enumerate(message["rows"]):
            texts = [(column.split("\n") if column else [""] * size)[place] for column in message["texts"]]
            found[number] = [profiles[message["known"][place]], dict(zip(parsing.TEXTS, texts, strict=True)), kept.get(number)]
        found |= {row[0]: row for row in message["rejected"]}
    return found


def by_itself(patched: pytest.MonkeyPatch) -> None:
    """No row is ordinary."""
    patched.setattr(Blockwise, "read", lambda _, block: (None, block.rows()))


def check(rows: list[list[str]], *, columns: Sequence[str] = COLUMNS, size: int = 5, country: str = "") -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tables, "ROWS", size)
        together = told(patched, columns, rows, country)
        by_itself(patched)
        assert together == told(patched, columns, rows, country)
    assert len(together) == sum(any(map(str.strip, row)) for row in rows)


def cells(ordinary: bool) -> st.SearchStrategy[list[str]]:
    """A row: of usual values, or with texts that nobody thought of."""
    more = st.nothing() if ordinary else st.text(max_size=12) | st.sampled_from([" x ", "\t", '"', "\\", "é\u0301", "\u3000"])
    return st.tuples(*(st.sampled_from(values) | more for values in ORDINARY.values())).map(list)


#: Like a list in the world: most rows have a name and an address, and little else is unusual.
USUAL = st.tuples(
    *(st.sampled_from(values[1:3] if name in {"full_name", "email", "elements"} else [*values[:3], "", ""])
      for name, values in ORDINARY.items())
).map(list)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(cells(True) | cells(False) | USUAL, min_size=1, max_size=24))
def test_rows_become_the_same_together_and_alone(rows: list[list[str]]) -> None:
    check(rows)


@settings(max_examples=60, deadline=None)
@given(st.lists(USUAL, min_size=10, max_size=60))
def test_ordinary_rows_become_the_same_together_and_alone(rows: list[list[str]]) -> None:
    check(rows, size=20)


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.sampled_from(COLUMNS), min_size=3, max_size=9).filter(
        lambda names: names & {"full_name", "customer_number", "email", "family_name"}
    ),
    st.lists(USUAL, min_size=1, max_size=12),
)
def test_a_list_with_few_columns_is_read_the_same(names: set[str], rows: list[list[str]]) -> None:
    columns = tuple(sorted(names | {"stated_country", "email", "full_name"}))
    check([[row[COLUMNS.index(name)] for name in columns] for row in rows], columns=columns)


@pytest.mark.parametrize("column", COLUMNS)
def test_every_value_is_read_the_same_in_an_ordinary_row(column: str) -> None:
    usual = {
        "person_id": "A-7", "customer_number": "C7", "full_name": "Ben Berg", "email": "ben@example.org", "street": "1 High Street",
        "city": "London", "postcode": "SW1A 1AA", "stated_country": "GB", "elements": "name;email", "date_of_birth": "1980-01-01",
    }  # fmt: skip
    rows = [[{**usual, column: value}.get(name, "") for name in COLUMNS] for value in ORDINARY[column]]
    check(rows * 2, size=4)


def test_a_name_of_several_columns_is_put_together_the_same() -> None:
    names = ("full_name", "given_name", "family_name", "second_family_name")
    rows = [["a@example.org", *parts] for parts in product(*([*ORDINARY[name][:6], "Anna", "Berg", "Roy"] for name in names))]
    check(rows, columns=("email", *names), size=50)


def test_towns_of_another_place_are_read_the_same_beside_each_country_and_postcode() -> None:
    usual = {"full_name": "Ben Berg", "email": "ben@example.org", "elements": "name"}
    told = [
        {"stated_country": country, "city": city, "postcode": postcode}
        for country in ("GB", "CN", "DE", "") for city in ("", "Douglas", "Hong Kong", "APO", "APO AE")
        for postcode in ("", "ML11 0QW", "IM1 1AA", "09096")
    ]  # fmt: skip
    check([[{**usual, **cells}.get(name, "") for name in COLUMNS] for cells in told] * 2, size=16)


def test_regions_and_postcodes_beside_no_country_are_read_the_same() -> None:
    usual = {"full_name": "Ben Berg", "email": "ben@example.org", "elements": "name", "street": "1 High Street"}
    regions, codes = (
        ("", "NJ", "CA", "沖縄県", "Okinawa", "Madrid"),
        ("", "9000001", "1500001", "28001", "7102", "941051234", "94105"),
    )
    told = [{"stated_country": country, "region": region, "postcode": code}
            for country in ("", "US", "DE") for region in regions for code in codes]  # fmt: skip
    check([[{**usual, **cells}.get(name, "") for name in COLUMNS] for cells in told] * 2, size=16)


@pytest.mark.parametrize("country", ["US", "GB", "DE", "JP", "US-PR", "CN"])
def test_rows_beside_the_country_of_their_whole_list_are_read_the_same(country: str) -> None:
    usual = {"full_name": "Ben Berg", "email": "ben@example.org", "elements": "name", "street": "1 High Street"}
    told = [
        {"stated_country": stated, "region": region, "postcode": code, "city": city, "phone": phone, "ip_country": ip}
        for stated in ("", "FR", "UK") for region in ("", "NJ", "California", "沖縄県")
        for code in ("", "94105", "SW1A 1AA", "1234", "9000001", "09012") for city in ("", "APO", "Hong Kong", "Douglas")
        for phone, ip in (("", ""), ("+44 20", ""), ("+44 1534 1", ""), ("+90 392 1", ""), ("+1 206 555 01 00", ""), ("", "FR"))
    ]  # fmt: skip
    check([[{**usual, **cells}.get(name, "") for name in COLUMNS] for cells in told], size=100, country=country)


@settings(max_examples=60, deadline=None)
@given(st.lists(cells(True) | USUAL, min_size=1, max_size=24), st.sampled_from(["US", "GB", "DE", "FR-974"]))
def test_any_rows_on_a_list_of_one_country_become_the_same_together_and_alone(rows: list[list[str]], country: str) -> None:
    check(rows, country=country)


def test_rows_that_are_too_short_or_too_long_are_asked_about_beside_ordinary_ones() -> None:
    row = [""] * len(COLUMNS)
    row[COLUMNS.index("full_name")] = "Anna Berg"
    check([row, row[:-3], [*row, "more"], row], size=4)


def test_ordinary_rows_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"person_id": "A-7", "full_name": "Ben Berg", "email": "ben{}@example.org", "stated_country": "GB", "elements": "name"}
    rows = [[row.get(name, "").format(number) for name in COLUMNS] for number in range(500)]
    alone, real = list[int](), parsing.Preparer.prepare
    monkeypatch.setattr(
        parsing.Preparer, "prepare", lambda self, number, cells: (alone.append(number), real(self, number, cells))[1]
    )  # fmt: skip
    assert len(told(monkeypatch, COLUMNS, rows)) == 500 and len(alone) == 1


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "MOST", 3)
    monkeypatch.setattr(parsing, "MOST_PROFILES", 2)
    names = [f"Name {n}" for n in range(40)]
    countries = [code for code in ("FR", "US", "GB", "DE", "IT", "JP", "CA", "ES") for _ in range(5)]
    languages = ["fr", "de", "en", "it"] * 10
    given = {"full_name": names, "stated_country": countries, "language": languages}
    check([[given[name][n] if name in given else "" for name in COLUMNS] for n in range(40)], size=6)


def test_no_row_is_lost_where_texts_are_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "CHARACTERS", 300)
    row = ["x" * 20 for _ in COLUMNS]
    check([row] * 7, size=5)


def test_the_remembered_part_of_a_row_is_none_that_names_somebody() -> None:
    reader = Row._fields
    assert not {"full_name", "given_name", "family_name", "email", "person_id"} & set(blockwise.EVIDENCE) and "email" in reader
