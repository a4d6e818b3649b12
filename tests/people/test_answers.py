"""Columns that say yes or no of one fact about a person, in the words of whoever exported the list."""

from __future__ import annotations

import pytest

from incidents.people.answers import FLAG_OF, NO, YES, read_answer
from incidents.people.questions import FLAGS
from tests.people.test_rows import prepared, questions


@pytest.mark.parametrize(
    "said", ["Y", "yes", "TRUE", "T", "t", "1", "X", "x", "Ja", "oui", "Sí", "si", "はい", "예", "да", "是", "ＹＥＳ", "✓"]
)
def test_somebody_of_whom_a_list_says_yes_in_any_language_has_the_flag_and_its_question(said: str) -> None:
    row = prepared(deceased=said)
    assert row.flags == ("deceased",) and questions(row) == {("next_of_kin", "flags")}


@pytest.mark.parametrize(
    "said", ["", "N", "no", "FALSE", "0", "Nein", "NON", "não", "Hayır", "HAYIR", "いいえ", "아니요", "n/a", "-"]
)
def test_somebody_of_whom_a_list_says_no_or_nothing_has_no_flag_and_no_question(said: str) -> None:
    row = prepared(**dict.fromkeys(FLAG_OF, said))
    assert row.flags == () and row.problems == ()


@pytest.mark.parametrize(
    "day", ["2024-02-03", "03.02.2024", "2/3/24", "3 Feb 2024", "2024-02-03 00:00:00", "20240203", "2024", "令和6年2月3日", "Y"]
)
def test_somebody_with_any_date_of_death_is_dead(day: str) -> None:
    for column in ("deceased", "date_of_death"):
        assert prepared(**{column: day}).flags == ("deceased",)


@pytest.mark.parametrize("day", ["", "0000-00-00", "00.00.0000", "00/00/0000 00:00:00", "0000-00-00T00:00:00", "N"])
def test_somebody_with_a_date_of_death_of_zeros_is_alive(day: str) -> None:
    assert prepared(date_of_death=day).problems == () and prepared(date_of_death=day).flags == ()


@pytest.mark.parametrize(("column", "said"), [("deceased", "perhaps"), ("deceased", "unknown"), ("date_of_death", "1900-01-01"),
                                              ("date_of_death", "9999-12-31"), ("safe_address", "see file"), ("minor", "2012-01-01")])  # fmt: skip
def test_somebody_of_whom_a_list_says_neither_is_asked_about_in_that_row_and_not_quoted(column: str, said: str) -> None:
    row = prepared(**{column: said})
    (problem,) = row.problems
    assert (problem.kind, problem.column) == ("data", column) and said not in problem.reason + problem.remedy and row.flags == ()


def test_what_such_columns_say_is_added_to_the_flags_of_the_row() -> None:
    row = prepared(flags="moved", safe_address="ja", do_not_contact="1", employee="x", opted_out="TRUE", deceased="N")
    assert row.flags == ("do_not_contact", "employee", "moved", "opted_out", "safe_address")
    assert prepared(flags="no", deceased="Y").flags == ("deceased",)
    assert prepared(flags="deceased", deceased="N").flags == ("deceased",)


def test_a_minor_by_a_column_is_one_of_the_two_by_the_date_of_birth_and_a_guardian_is_asked_for() -> None:
    assert prepared(minor="Y").flags == ("minor_under_16",) and questions(prepared(minor="Y")) == {("guardian", "flags")}
    assert prepared(minor="minor_16_17").flags == ("minor_16_17",)


@pytest.mark.parametrize("column", FLAG_OF)
def test_every_word_for_yes_says_yes_and_every_word_for_no_says_no(column: str) -> None:
    assert {word: read_answer(column, word) for word in YES} == dict.fromkeys(YES, FLAG_OF[column])
    assert {word: read_answer(column, word) for word in NO} == dict.fromkeys(NO, "")


def test_no_word_is_yes_in_one_language_and_no_in_another_and_every_flag_is_known() -> None:
    assert YES.isdisjoint(NO) and set(FLAG_OF.values()) - {"minor"} <= FLAGS
