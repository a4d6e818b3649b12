"""Which letters no longer say what is known: exactly those that would read differently, and because of what."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.audit.log import database_now
from incidents.letters.render import make_letters, newest_texts, save_text
from incidents.letters.staleness import Ground, LetterMark, letter_lines, stale_letters
from incidents.models import Incident
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.importing import import_people
from incidents.people.opening import record_finding
from tests.changes import ANNA, amend, other_packs


def marks(incident: Incident) -> dict[str, LetterMark]:
    """The marks by residence."""
    return {mark.residence: mark for mark in stale_letters(incident=incident)}


def titles(mark: LetterMark) -> list[str]:
    return [change.title for change in mark.because]


def again(incident: Incident, officer: User) -> None:
    assess_incident(incident=incident, author=officer)
    make_letters(incident=incident, author=officer)


def test_before_there_are_letters_none_is_stale(imported: Incident) -> None:
    assert stale_letters(incident=imported) == ()


def test_letters_just_made_are_not_stale(assessed: Incident) -> None:
    assert stale_letters(incident=assessed) == ()


def test_a_fact_that_the_letters_tell_marks_those_that_would_read_differently(assessed: Incident, officer: User) -> None:
    before = dict(assessed.letters.values_list("cohort__residence", "sha256"))
    amend(assessed, officer, controller={"phone": "+33 1 23 45 67 89"})
    found = marks(assessed)
    again(assessed, officer)
    after = dict(assessed.letters.values_list("cohort__residence", "sha256"))
    assert set(found) == {place for place in after if after[place] != before[place]}
    assert {mark.ground for mark in found.values()} == {Ground.WORDS}
    assert stale_letters(incident=assessed) == ()


def test_a_mark_names_the_fact_with_both_values(assessed: Incident, officer: User) -> None:
    was = assessed.facts.facts["controller"]["phone"]
    amend(assessed, officer, controller={"phone": "+33 1 23 45 67 89"})
    (change,) = marks(assessed)["FR"].because
    assert (change.title, change.was, change.now) == ("fact controller.phone", was, "+33 1 23 45 67 89")
    assert next(iter(letter_lines(incident=assessed).values())) == [marks(assessed)["FR"].words]


def test_words_of_one_language_mark_only_its_letters(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, controller={"phone_hours_fr": "du lundi au vendredi, de 9 h à 18 h"})
    assert set(marks(assessed)) == {"FR"}


def test_of_two_changed_facts_the_one_that_the_letter_tells_is_named(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, controller={"phone": "+33 1 23 45 67 89"}, expected_people=3)
    assert titles(marks(assessed)["FR"]) == ["fact controller.phone"]


def test_a_fact_that_no_letter_tells_marks_none(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, title="Another title", expected_people=3)
    assert stale_letters(incident=assessed) == ()


def test_a_newer_text_marks_the_letters_made_from_the_older_one(assessed: Incident, officer: User) -> None:
    letter = assessed.letters.get(cohort__residence="FR")
    source = newest_texts(incident=assessed)[letter.form, "fr"].source.replace("Madame", "Chère Madame", 1)
    source = source if source != letter.text.source else letter.text.source.replace("\n\n", "\n\nBonjour.\n\n", 1)
    save_text(incident=assessed, form=letter.form, language="fr", source=source, author=officer)
    found = marks(assessed)
    assert set(found) == {"FR"} and found["FR"].words.endswith("version 1 -> version 2 (by officer)")
    make_letters(incident=assessed, author=officer)
    assert stale_letters(incident=assessed) == ()


def test_a_letter_rests_on_a_duty_that_would_be_different_until_the_law_was_asked_again(
    assessed: Incident, officer: User
) -> None:
    amend(assessed, officer, anchors={"determined_at": "2025-05-31T09:00:00+02:00"}, encrypted=True)
    assert marks(assessed)["JP"].ground == Ground.DUTY and "fact encrypted" in titles(marks(assessed)["JP"])
    assess_incident(incident=assessed, author=officer)
    assert marks(assessed)["JP"].ground == Ground.WORDS, "the letter was owed by law, and is the controller's choice now"
    make_letters(incident=assessed, author=officer)
    assert stale_letters(incident=assessed) == ()


def test_a_changed_pack_marks_the_letters_under_it_and_asking_again_clears_those_that_read_the_same(
    assessed: Incident, officer: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", ("      - letter\n", "      - letter\n      - telephone\n"))
    found = marks(assessed)
    assert set(found) == {"JP"} and titles(found["JP"]) == ["pack JP"]
    assess_incident(incident=assessed, author=officer)
    assert stale_letters(incident=assessed) == ()


def test_a_letter_that_the_check_would_block_now_says_which_statement_is_missing(
    assessed: Incident, officer: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    required = "      required:\n"
    item = "legal_rights_and_how_to_use_them"
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", (required, f"{required}      - {item}\n"))
    assess_incident(incident=assessed, author=officer)
    mark = marks(assessed)["JP"]
    assert mark.ground == Ground.CHECK and f"content.missing {item}" in mark.words


def test_people_who_are_told_and_have_no_letter_are_marked(
    assessed: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=assessed, path=write_list(ANNA), author=officer)
    assess_incident(incident=assessed, author=officer)
    (mark,) = stale_letters(incident=assessed)
    assert (mark.ground, mark.residence, mark.people, mark.letter) == (Ground.MISSING, "IT", 1, None)
    make_letters(incident=assessed, author=officer)
    assert stale_letters(incident=assessed) == ()


def test_people_who_are_not_written_to_any_more_are_marked(assessed: Incident, officer: User) -> None:
    record_finding(incident=assessed, key="voluntary_notice", value="no", scope="FR", reason="told by post", author=officer)
    assess_incident(incident=assessed, author=officer)
    assert {place: mark.ground for place, mark in marks(assessed).items()} == {"FR": Ground.NOT_OWED}


def test_a_notice_filed_later_makes_no_letter_wrong(assessed: Incident, officer: User) -> None:
    for duty in assessed.obligations.filter(addressee="regulator", owed="yes"):
        when = min(duty.due_at or database_now(), database_now())
        record_filing(obligation=duty, filed_at=when, reference="R-1", author=officer)
    assert stale_letters(incident=assessed) == ()


def test_a_second_look_at_the_letters_compiles_nothing(assessed: Incident, officer: User, monkeypatch: Any) -> None:
    amend(assessed, officer, controller={"phone": "+33 1 23 45 67 89"})
    first = stale_letters(incident=assessed)
    monkeypatch.setattr("incidents.letters.staleness.compile_letter", lambda **_: pytest.fail("compiled again"))
    with CaptureQueriesContext(connection) as queries:
        assert stale_letters(incident=assessed) is first and first
    assert len(queries) == 2
