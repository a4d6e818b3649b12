"""One row becomes one person with the questions it raises, or nobody with the reason. Nothing is repaired silently."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from incidents.law.pack import load_packs
from incidents.models.people import Confidence, QueueKind
from incidents.people import questions as questions_module
from incidents.people import residence
from incidents.people.compared import match_values
from incidents.people.person_facts import read_flags
from incidents.people.rows import (
    FLAG_QUESTIONS,
    FLAGS,
    Expected,
    Prepared,
    Preparer,
    Row,
    _about_name,
    can_be_posted,
    prepare,
)

FOLDER = Path(questions_module.__file__).parent
TODAY = date(2026, 11, 22)
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
    "Robert'); DROP TABLE people;--",
    "<script>alert(1)</script>",
    '{% include "x" %}',
    "[[secret]]",
    "%s%n",
    "=HYPERLINK(1)",
    "x" * 500,
    "佐藤 由紀",
    "محمد",
    "👩‍👩‍👧 Berg",
    "Z" + "\u0301" * 200,
    "I\u0307stanbul ı",
]


def expected(**states: str) -> Expected:
    found = {"name": "exposed", "email": "exposed", "date_of_birth": "exposed_for_some", "payment_card": "not_involved", **states}
    return Expected(frozenset(load_packs().vocabulary.elements), found)


def prepared(without: tuple[str, ...] = (), **cells: str) -> Prepared:
    row = {name: value for name, value in {**ANNA, **cells}.items() if name not in without}
    return prepare(number=2, cells=list(row.values()), columns=tuple(row), expected=expected(), today=TODAY)


def questions(row: Prepared) -> set[tuple[str, str]]:
    return {(problem.kind, problem.column) for problem in row.problems}


def test_an_empty_cell_of_elements_asks_nobody_where_the_facts_say_what_leaked_of_everybody() -> None:
    def read(**states: str) -> Prepared:
        row, told = {**ANNA, "elements": ""}, Expected(frozenset(load_packs().vocabulary.elements), states)
        return prepare(number=2, cells=list(row.values()), columns=tuple(row), expected=told, today=TODAY)

    whole = read(name="exposed", email="exposed", payment_card="not_involved", ssn="unknown")
    assert whole.problems == () and whole.elements == ("email", "name")
    for states in ({"name": "exposed", "date_of_birth": "exposed_for_some"}, {"name": "unknown"}, {"name": "exposed_for_some"}):
        assert questions(read(**states)) == {("data", "elements")}


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
    row = prepare(
        number=2, cells=["Anna", "a@example.org", "x\r\ny"], columns=("full_name", "email"), expected=expected(), today=TODAY
    )
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
        ({"email": "a@example.org;a@example.com"}, (QueueKind.ADDRESS, "email")),
        ({"email": "test@example.com"}, (QueueKind.ADDRESS, "email")),
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


@pytest.mark.parametrize(
    ("flags", "born", "kept", "reason"),
    [
        ("minor", "", ("minor_under_16",), "no date of birth that says so"),
        ("Minor; employee", "", ("employee", "minor_under_16"), "no date of birth that says so"),
        ("minor", "2010-01-01", ("minor_16_17",), "16 or 17: a guardian"),
        ("minor", "2015-01-01", ("minor_under_16",), "under 16: a guardian"),
        ("minor", "1980-01-01", ("minor_under_16",), "no date of birth that says so"),
        ("minor; minor_16_17", "", ("minor_16_17",), "16 or 17: a guardian"),
        ("under 18", "", ("minor_under_16",), "no date of birth that says so"),
    ],
)
def test_a_minor_is_one_of_the_age_that_is_known_and_else_the_stricter(
    flags: str, born: str, kept: tuple[str, ...], reason: str
) -> None:
    given = replace(expected(), aware_on=date(2026, 9, 1))
    row = {**ANNA, "flags": flags, "date_of_birth": born}
    read = prepare(number=2, cells=list(row.values()), columns=tuple(row), expected=given, today=TODAY)
    assert read.flags == kept and [problem.kind for problem in read.problems] == [QueueKind.GUARDIAN]
    assert reason in read.problems[0].reason


def test_an_unknown_flag_is_not_stored() -> None:
    assert prepared(flags="vip;employee").flags == ("employee",)


@pytest.mark.parametrize("born", ["1900-01-01", "1899-12-31", "2001-02-29", "02/03/1980", "1980", "soon", "30.2.1980"])
def test_an_implausible_birth_date_is_asked_and_kept(born: str) -> None:
    row = prepared(date_of_birth=born)
    assert questions(row) == {(QueueKind.DATA, "date_of_birth")} and row.fields.date_of_birth == born


def test_a_birth_date_to_come_is_asked() -> None:
    ahead = (TODAY + timedelta(days=1)).isoformat()
    assert questions(prepared(date_of_birth=ahead)) == {(QueueKind.DATA, "date_of_birth")}


@pytest.mark.parametrize("born", ["1900-01-02", "1980-03-02", "2000-02-29", ""])
def test_a_plausible_birth_date_asks_nothing(born: str) -> None:
    assert prepared(date_of_birth=born).problems == ()


@pytest.mark.parametrize(
    ("given", "kept"),
    [("fr", "fr"), ("fr-CA", "fr-CA"), ("fr_CA", "fr-CA"), ("zh-Hant", "zh-Hant"), ("pt-BR", "pt-BR"), ("xx", "xx"), ("zh-Hant-HK", "zh-Hant-HK"), ("x" * 3 + "-" + "y" * 9, ""), ("", ""),
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
        ({"stated_country": "America", "billing_country": "US"}, "US", {QueueKind.STATE_UNKNOWN}),
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
    row = prepare(number=7, cells=cells, columns=("full_name", "email"), expected=expected(), today=TODAY)
    shape = next(problem for problem in row.problems if not problem.column and problem.kind == QueueKind.DATA)
    assert row.rejected is None and f"{len(cells)} cells where the header has 2" in shape.reason


@pytest.mark.parametrize("given", ["claire-1", "A.b_c-9", "x" * 51])
def test_the_reference_is_the_one_of_the_file(given: str) -> None:
    assert prepared(person_id=given).reference == given


@pytest.mark.parametrize("given", ["", "../x", "a b", "é", "x" * 52, "=1", "<b>"])
def test_a_reference_that_is_no_plain_word_is_left_to_us(given: str) -> None:
    assert prepared(person_id=given).reference == ""


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


# -- as the importer needs it --------------------------------------------------------------------------------------


def test_the_queues_have_the_names_that_the_database_knows() -> None:
    named = {
        getattr(questions_module, name)
        for name in vars(questions_module)
        if name.isupper() and isinstance(getattr(questions_module, name), str)
    }
    assert named == {kind.value for kind in QueueKind} - {QueueKind.MATCH_CONFLICT}
    assert {confidence.value for confidence in Confidence} == {
        residence.CERTAIN,
        residence.GOOD,
        residence.WEAK,
        residence.NONE,
        "decided",
    }


def test_reading_rows_needs_no_django() -> None:
    code = "import sys, incidents.people.rows; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_synonym_means_a_word_of_the_vocabulary_and_is_none_itself() -> None:
    vocabulary, words = load_packs().vocabulary.elements, yaml.safe_load((FOLDER / "words.yaml").read_text(encoding="utf-8"))
    for word, line in words["elements"].items():
        assert line["means"] in vocabulary and line["because"] and word not in vocabulary
    for word, line in words["asked"].items():
        assert word not in vocabulary and set(line["until_then"]) <= set(vocabulary) and line["reason"] and line["remedy"]
    assert set(words["of_one_country"]) <= set(vocabulary) and set(words["flags"].values()) <= FLAGS
    assert not set(words["flags"]) & FLAGS


@pytest.mark.parametrize(
    ("given", "element"),
    [("full_name", "name"), ("Order History", "purchase_history"), ("shipping_address", "postal_address"),
     ("postal_address_stale", "postal_address"), ("masked_card_last4", "payment_card_last4"), ("loyalty_tier", "customer_profile"),
     ("preferences", "customer_profile"), ("household_information", "customer_profile"), ("marketing_labels", "customer_profile"),
     ("cobranded_card_affiliation", "customer_profile"), ("customer_reference_number", "loyalty_number")],
)  # fmt: skip
def test_words_of_other_lists_are_read_where_their_meaning_is_sure(given: str, element: str) -> None:
    row = prepared(elements=f"name|{given}")
    assert row.problems == () and element in row.elements


@pytest.mark.parametrize(
    ("given", "until_then"),
    [("passport_or_government_id", "other_government_id"), ("password_valid_at_attack", "online_credentials")],
)
def test_words_that_only_a_person_can_read_are_asked_and_counted_until_then(given: str, until_then: str) -> None:
    row = prepared(elements=f"name;{given}")
    assert questions(row) == {(QueueKind.DATA, "elements")} and until_then in row.elements


def test_a_file_without_the_column_says_itself_what_leaked_of_everybody_on_it() -> None:
    said = replace(expected(), elements=("phone",))
    row = prepare(
        number=2,
        cells=["Anna", "a@example.org", "FR"],
        columns=("full_name", "email", "stated_country"),
        expected=said,
        today=TODAY,
    )
    assert row.elements == ("email", "name", "phone") and row.problems == ()


def test_a_column_that_is_not_read_may_hold_anything() -> None:
    columns = ("full_name", "email", "stated_country", "")
    row = prepare(
        number=2, cells=["Anna", "a@example.org", "FR", "note\nof\0many"], columns=columns, expected=expected(), today=TODAY
    )
    assert row.rejected is None and row.problems == ()


def test_one_row_leaves_nothing_behind_for_the_next() -> None:
    columns = tuple(ANNA)
    preparer = Preparer(columns=columns, expected=expected(), today=TODAY)
    rows = [
        dict(ANNA),
        {**ANNA, "stated_country": "UK", "elements": "x", "email": "a@b"},
        {**ANNA, "full_name": "A\0"},
        dict(ANNA),
    ]
    together = [preparer.prepare(number, list(row.values())) for number, row in enumerate(rows)]
    alone = [
        prepare(number=n, cells=list(row.values()), columns=columns, expected=expected(), today=TODAY)
        for n, row in enumerate(rows)
    ]
    assert together == alone and together[0]._replace(number=3) == together[3]


def test_values_are_matched_without_case_spacing_and_width() -> None:
    one = match_values(
        prepared(full_name="Anna  BERG", date_of_birth="1980-01-02", street="1 rue X", postcode="75 001", city="Paris").fields
    )
    other = match_values(
        prepared(full_name="anna berg", date_of_birth="1980-01-02", street="1  Rue x", postcode="75001", city="Paris").fields
    )
    assert one == other and all(one.values())
    assert match_values(prepared(street="1 rue X", postcode="75001").fields)["address"] == ""


@pytest.mark.parametrize(
    ("cells", "index"),
    [({"customer_number": filler}, "customer") for filler in ("0", "000000", "n/a", "-", "unknown", "9999999", "XXX")]
    + [({"date_of_birth": filler}, "name_birth") for filler in ("1900-01-01", "n/a", "02/03/1980", "0000-00-00")]
    + [({"street": "-", "postcode": "75001", "date_of_birth": "1980-01-02"}, "address")],
)
def test_a_filler_that_many_people_have_makes_no_two_of_them_one(cells: dict[str, str], index: str) -> None:
    assert match_values(prepared(**cells).fields)[index] == ""


@pytest.mark.parametrize(
    "filler", ["TRUE", "False", "WAHR", "#N/A", "#NV", "#BEZUG!", "#DIV/0!", "0", "000", "0.0", "0,00", "n/a"]
)
def test_what_a_spreadsheet_left_in_its_cell_is_no_customer_number(filler: str) -> None:
    row = prepared(customer_number=filler)
    assert (row.fields.customer_number, row.problems, row.rejected) == ("", (), None)
    nobody = prepared(full_name="", email="", customer_number=filler)
    assert nobody.rejected is not None and "no name, no customer number" in nobody.rejected.reason


@pytest.mark.parametrize("number", ["9999999", "C0", "0-1", "TRUE-7", "#12", "10"])
def test_a_customer_number_that_may_be_one_is_kept(number: str) -> None:
    assert prepared(customer_number=number).fields.customer_number == number


@pytest.mark.parametrize("filler", ["n/a", "-", "unknown", "NULL", "?"])
def test_a_filler_in_a_country_column_is_no_evidence_and_no_contradiction(filler: str) -> None:
    row = prepared(stated_country=filler, billing_country="FR", date_of_birth=filler)
    assert row.problems == () and (row.place.place, row.place.decided_by) == ("FR", "billing_country")
    assert prepared(stated_country="NA").place.place == "NA"


@pytest.mark.parametrize(
    ("given_name", "family_name", "whole"),
    [
        ("由紀", "佐藤", "佐藤 由紀"),
        ("지후", "서", "서 지후"),
        ("Yuki", "Sato", "Yuki Sato"),
        ("", "佐藤", "佐藤"),
        ("由紀", "", "由紀"),
    ],
)
def test_a_name_in_two_columns_is_put_together_as_its_people_write_it(given_name: str, family_name: str, whole: str) -> None:
    assert prepared(full_name="", given_name=given_name, family_name=family_name).fields.full_name == whole


@pytest.mark.parametrize(
    ("full_name", "given_name", "family_name", "whole"),
    [
        ("Marco", "", "Rossi", "Marco Rossi"),
        ("Rossi", "Marco", "", "Marco Rossi"),
        ("Marco", "Marco", "Rossi", "Marco Rossi"),
        ("José García", "José", "García Pérez", "José García Pérez"),
        ("J. Smith", "John", "Smith", "John Smith"),
        ("Oliver", "", "Li", "Oliver Li"),
        ("Anna Verdi", "", "Neri", "Anna Verdi Neri"),
        ("N/A", "Marco", "Rossi", "Marco Rossi"),
        ("直人", "", "伊藤", "伊藤 直人"),
    ],
)
def test_a_whole_name_takes_up_what_it_lacks_of_the_parts_beside_it(
    full_name: str, given_name: str, family_name: str, whole: str
) -> None:
    assert prepared(full_name=full_name, given_name=given_name, family_name=family_name).fields.full_name == whole


@pytest.mark.parametrize(
    ("full_name", "given_name", "family_name"),
    [
        ("Marco Rossi", "", "Rossi"),
        ("Marco Rossi", "Marco", "Rossi"),
        ("Rossi, Marco", "Marco", "Rossi"),
        ("Dr. Marco Rossi", "Marco", "Rossi"),
        ("MEHMET YILMAZ", "Mehmet", "Yılmaz"),
        ("Anna Meier-Schulz", "Anna", "Meier Schulz"),
        ("John Smith", "J.", "Smith"),
        ("Marco Rossi", "n/a", "-"),
        ("伊藤直人", "直人", "伊藤"),
        ("Marco", "", ""),
    ],
)
def test_a_whole_name_that_holds_its_parts_is_left_as_it_is(full_name: str, given_name: str, family_name: str) -> None:
    assert prepared(full_name=full_name, given_name=given_name, family_name=family_name).fields.full_name == full_name


def test_two_family_names_in_two_columns_are_one() -> None:
    fields = prepared(full_name="", given_name="Lucía", family_name="García", second_family_name="Pérez").fields
    assert (fields.full_name, fields.family_name) == ("Lucía García Pérez", "García Pérez")


@pytest.mark.parametrize(
    ("full_name", "family_name", "whole"), [("Anna Bär", "Bähr", "Anna Bär"), ("Marco", "Rossi", "Marco Rossi")]
)
def test_a_whole_name_that_somebody_corrected_takes_up_nothing_unless_it_is_half_a_name(
    full_name: str, family_name: str, whole: str
) -> None:
    row = prepared(full_name=full_name, given_name="", family_name=family_name, correction_of="1-2")
    assert row.fields.full_name == whole


def test_an_address_that_was_corrected_is_judged_as_one_on_the_list() -> None:
    fields = prepared(street="1 rue X", postcode="75001", city="Paris").fields
    assert can_be_posted(fields=fields, place="FR", flags=[])
    assert not can_be_posted(fields=fields, place="GB", flags=[]) and not can_be_posted(
        fields=fields, place="FR", flags=["moved"]
    )


@settings(max_examples=300, deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=len(Row._fields) - 2, max_size=len(Row._fields) + 2))
def test_no_text_breaks_the_reading_and_none_is_repeated_in_a_question(cells: list[str]) -> None:
    marked = [f"{cell}q7391" if cell else "" for cell in cells]
    row = prepare(number=2, cells=marked, columns=Row._fields, expected=expected(), today=TODAY)
    said = [*row.problems, *([row.rejected] if row.rejected else [])]
    assert all("q7391" not in problem.reason + problem.remedy for problem in said)
    assert all(len(problem.reason) <= 200 and len(problem.remedy) <= 200 for problem in said)
    assert row.rejected or row.place.place != "ZZ" or row.problems


@pytest.mark.parametrize("name", ["Jos\u00c3\u00a9 P\u00c3\u00a9rez", "Repl \ufffd Bad", "M\u00c3\u00bcller"])
def test_a_name_that_a_wrong_encoding_has_damaged_is_asked_about(name: str) -> None:
    assert [problem.reason for problem in _about_name(name)] == ["a damaged character in the name"]


@pytest.mark.parametrize("name", ["JOÃO ÂNGELO", "Zoë", "佐藤", "O’Brien", "Ãngela «X»"])
def test_a_name_with_rare_letters_is_not(name: str) -> None:
    assert _about_name(name) == []


def test_a_flag_may_be_written_with_a_hyphen() -> None:
    assert read_flags(text="do-not-contact")[0] == ("do_not_contact",)


@pytest.mark.parametrize("text", ["no", "None", "N/A", "-", " n/a ", "null"])
def test_a_cell_that_says_no_flag_raises_no_question(text: str) -> None:
    assert read_flags(text=text) == ((), ())


@pytest.mark.parametrize("text", ["unknown", "yes", "no;moved", "?"])
def test_a_flag_that_may_mean_something_is_asked_still(text: str) -> None:
    assert [problem.reason for problem in read_flags(text=text)[1]] == ["an unknown flag"]


@pytest.mark.parametrize(
    ("column", "cell", "kept"),
    [
        ("phone", "'+1 512 555 00 00", "+1 512 555 00 00"), ("postcode", "'78701", "78701"), ("customer_number", "'00123", "00123"),
        ("customer_number", "'K-7", "K-7"), ("postcode", " 'SW1A 1AA", "SW1A 1AA"), ("street", "'1 High Street", "1 High Street"),
        ("city", "'s-Hertogenbosch", "'s-Hertogenbosch"), ("full_name", "'t Hart", "'t Hart"), ("city", "5'", "5'"),
    ],
)  # fmt: skip
def test_the_quote_by_which_an_exporter_protects_a_number_is_no_part_of_it(column: str, cell: str, kept: str) -> None:
    assert getattr(prepared(**{column: cell}).fields, column) == kept


def test_a_protected_telephone_number_and_postcode_tell_where_somebody_lives() -> None:
    assert prepared(stated_country="", phone="'+33 1 23 45 67 89").place.place == "FR"
    row = prepared(stated_country="US", region="TX", postcode="'78701", phone="")
    assert row.place.place == "US-TX" and not row.problems
