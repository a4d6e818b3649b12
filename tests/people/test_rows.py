"""One row becomes one person with the questions it raises, or nobody with the reason. Nothing is repaired silently."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from incidents.law.pack import load_packs
from incidents.models.people import QueueKind
from incidents.people.rows import FLAG_QUESTIONS, FLAGS, Expected, Prepared, prepare

ANNA = {
    "customer_number": "C9",
    "full_name": "Anna Berg",
    "email": "anna@example.org",
    "stated_country": "FR",
    "language": "fr",
    "elements": "name;email",
}
HOSTILE = [
    "O'Brien",
    "Null",
    "Robert'); DROP TABLE people;--",
    "<script>alert(1)</script>",
    "{{7*7}}",
    '{% include "x" %}',
    "[[secret]]",
    "${jndi:ldap://x}",
    "%s%n",
    "=HYPERLINK(1)",
    "x" * 500,
    "佐藤 由紀",
    "محمد",
    "👩‍👩‍👧",
    "Z" + "\u0301" * 200,
    "I\u0307stanbul ı",
]


def expected(**states: str) -> Expected:
    found = {"name": "exposed", "email": "exposed", "date_of_birth": "exposed_for_some", "payment_card": "not_involved", **states}
    return Expected(frozenset(load_packs().vocabulary.elements), found)


def prepared(without: tuple[str, ...] = (), **cells: str) -> Prepared:
    row = {name: value for name, value in {**ANNA, **cells}.items() if name not in without}
    return prepare(number=2, cells=list(row.values()), columns=tuple(row), expected=expected())


def questions(row: Prepared) -> set[tuple[str, str]]:
    return {(problem.kind, problem.column) for problem in row.problems}


def test_a_good_row_raises_no_question() -> None:
    row = prepared()
    assert row.rejected is None and row.problems == ()
    assert (row.fields.full_name, row.fields.emails, row.place.place) == ("Anna Berg", ("anna@example.org",), "FR")


@pytest.mark.parametrize("column", ["full_name", "customer_number", "stated_country", "language", "email"])
@pytest.mark.parametrize("inside", ["\n", "\r\n", "\r", "\0", "\x1b", "\x7f"])
def test_a_control_character_makes_a_row_nobody_with_column_and_reason(column: str, inside: str) -> None:
    rejected = prepared(**{column: f"a{inside}Bcc: x"}).rejected
    assert rejected is not None and (rejected.kind, rejected.column) == (QueueKind.ROW, column)
    assert "control character" in rejected.reason and "corrected row" in rejected.remedy and "Bcc" not in rejected.reason


def test_a_control_character_in_a_cell_too_many_is_seen_as_well() -> None:
    row = prepare(number=2, cells=["Anna", "a@example.org", "x\r\ny"], columns=("full_name", "email"), expected=expected())
    assert row.rejected is not None


def test_a_hostile_address_makes_the_row_nobody() -> None:
    rejected = prepared(email="anna@example.org%0aBcc:x@example.org").rejected
    assert rejected is not None and rejected.column == "email" and "example" not in rejected.reason


def test_a_row_that_names_nobody_is_rejected() -> None:
    rejected = prepared(full_name="", customer_number="", email="").rejected
    assert rejected is not None and "no name, no customer number and no e-mail" in rejected.reason


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_kept_as_it_is(name: str) -> None:
    row = prepared(full_name=name)
    assert row.rejected is None and row.fields.full_name == name and row.problems == ()


def test_given_and_family_name_stand_in_for_a_missing_full_name() -> None:
    assert prepared(full_name="", given_name="Anna", family_name="Berg").fields.full_name == "Anna Berg"
    assert prepared(full_name="", family_name="Berg").fields.full_name == "Berg"


@pytest.mark.parametrize(
    ("cells", "question"),
    [
        ({"full_name": ""}, (QueueKind.DATA, "full_name")),
        ({"email": ""}, (QueueKind.NO_CHANNEL, "email")),
        ({"email": "n/a"}, (QueueKind.NO_CHANNEL, "email")),
        ({"email": "not an address"}, (QueueKind.ADDRESS, "email")),
        ({"email": "a@example.org;b@example.org"}, (QueueKind.ADDRESS, "email")),
        ({"elements": ""}, (QueueKind.DATA, "elements")),
        ({"elements": "name;shoe_size"}, (QueueKind.DATA, "elements")),
        ({"elements": "name;payment_card"}, (QueueKind.DATA, "elements")),
        ({"flags": "vip"}, (QueueKind.DATA, "flags")),
        ({"stated_country": "England"}, (QueueKind.RESIDENCE_UNKNOWN, "stated_country")),
        ({"stated_country": ""}, (QueueKind.RESIDENCE_UNKNOWN, "")),
        ({"stated_country": "US"}, (QueueKind.STATE_UNKNOWN, "stated_country")),
        ({"billing_country": "DE"}, (QueueKind.RESIDENCE_CONFLICT, "stated_country")),
    ],
)
def test_each_doubt_is_one_question_in_its_queue(cells: dict[str, str], question: tuple[str, str]) -> None:
    row = prepared(**cells)
    assert questions(row) == {question} and row.rejected is None
    assert all(problem.reason and problem.remedy and len(problem.reason) <= 200 for problem in row.problems)


@pytest.mark.parametrize("flag", sorted(FLAG_QUESTIONS))
def test_a_flag_that_needs_a_decision_asks_for_it(flag: str) -> None:
    row = prepared(flags=flag.upper())
    assert row.flags == (flag,) and questions(row) == {(FLAG_QUESTIONS[flag][0], "flags")}


@pytest.mark.parametrize("flag", sorted(FLAGS - set(FLAG_QUESTIONS)))
def test_a_flag_that_only_describes_asks_nothing(flag: str) -> None:
    row = prepared(flags=f" {flag} ; ")
    assert row.flags == (flag,) and row.problems == ()


def test_an_unknown_flag_is_not_stored() -> None:
    assert prepared(flags="vip;employee").flags == ("employee",)


@pytest.mark.parametrize("born", ["1900-01-01", "1899-12-31", "2001-02-29", "02/03/1980", "1980", "soon", "30.2.1980"])
def test_an_implausible_birth_date_is_asked_and_kept(born: str) -> None:
    row = prepared(date_of_birth=born)
    assert questions(row) == {(QueueKind.DATA, "date_of_birth")} and row.fields.date_of_birth == born


def test_a_birth_date_to_come_is_asked() -> None:
    ahead = (date.today() + timedelta(days=2)).isoformat()  # noqa: DTZ011
    assert questions(prepared(date_of_birth=ahead)) == {(QueueKind.DATA, "date_of_birth")}


@pytest.mark.parametrize("born", ["1900-01-02", "1980-03-02", "2000-02-29", ""])
def test_a_plausible_birth_date_asks_nothing(born: str) -> None:
    assert prepared(date_of_birth=born).problems == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("fr", "fr"), ("fr-CA", "fr-CA"), ("fr_CA", "fr-CA"), ("zh-Hant", "zh-Hant"), ("pt-BR", "pt-BR"), ("xx", "xx"), ("", ""),
     ("français", ""), ("f", ""), ("en; DROP", ""), ("-", "")],
)  # fmt: skip
def test_a_language_tag_is_kept_and_anything_else_falls_back(given: str, kept: str) -> None:
    assert prepared(language=given).language == kept


# -- residence -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "place", "kinds"),
    [
        ({"stated_country": "England", "phone_prefix": "+44"}, "GB", {QueueKind.RESIDENCE_CONFLICT}),
        ({"stated_country": "Georgia", "billing_country": "FR"}, "FR", {QueueKind.RESIDENCE_CONFLICT}),
        ({"stated_country": "FR", "billing_country": "Schottland"}, "FR", {QueueKind.RESIDENCE_CONFLICT}),
        ({"stated_country": "USA", "billing_country": "US"}, "US", {QueueKind.STATE_UNKNOWN}),
        ({"stated_country": "UK", "billing_country": "FR", "shipping_country": "DE"}, "FR", {QueueKind.RESIDENCE_CONFLICT}),
    ],
)
def test_a_country_that_cannot_be_read_asks_in_a_queue_where_the_residence_can_be_set(
    cells: dict[str, str], place: str, kinds: set[str]
) -> None:
    row = prepared(**cells)
    assert row.place.place == place and {problem.kind for problem in row.problems} == kinds and len(row.problems) == 1


# -- elements ------------------------------------------------------------------------------------------------------


def test_elements_are_those_of_the_row_in_one_order() -> None:
    assert prepared(elements=" Email;name ;name").elements == ("email", "name")


def test_without_the_column_everybody_lost_what_was_exposed_for_all() -> None:
    row = prepared(without=("elements",))
    assert row.elements == ("email", "name") and row.problems == ()


@pytest.mark.parametrize("given", ["", " ; ", "shoe_size", "shoe_size;hat_size"])
def test_nobody_is_left_without_any_exposed_element(given: str) -> None:
    row = prepared(elements=given)
    assert row.elements == ("email", "name") and questions(row) == {(QueueKind.DATA, "elements")}


# -- shape and names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cells", [["Anna"], ["Anna", "anna@example.org", "more"]])
def test_a_row_of_another_length_is_kept_and_asked(cells: list[str]) -> None:
    row = prepare(number=7, cells=cells, columns=("full_name", "email"), expected=expected())
    shape = next(problem for problem in row.problems if not problem.column and problem.kind == QueueKind.DATA)
    assert row.rejected is None and f"{len(cells)} cells where the header has 2" in shape.reason


@pytest.mark.parametrize("given", ["claire-1", "A.b_c-9", "x" * 51])
def test_the_reference_is_the_one_of_the_file(given: str) -> None:
    assert prepared(person_id=given).reference == given


@pytest.mark.parametrize("given", ["", "../x", "a b", "é", "x" * 52, "=1", "<b>"])
def test_a_reference_that_is_no_plain_word_is_replaced(given: str) -> None:
    one, other = prepared(person_id=given).reference, prepared(person_id=given).reference
    assert one.startswith("p-") and one != other


def test_no_reason_and_no_remedy_repeats_what_the_row_says() -> None:
    marker = "marker7391"
    cells = {
        "email": f"{marker} {marker}",
        "elements": marker,
        "flags": marker,
        "date_of_birth": marker,
        "stated_country": marker,
    }
    row = prepared(**cells)
    assert len(row.problems) == 5 and marker not in repr(row.problems)
