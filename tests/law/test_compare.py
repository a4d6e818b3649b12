"""What changed between two days, between two texts of a pack, and between two assessments."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from incidents.law.compare import (
    AssessmentChange,
    Difference,
    DutyChange,
    PackChange,
    between_assessments,
    between_days,
    between_sets,
    differences,
    shown,
    values_on,
)
from incidents.law.engine import assess
from incidents.law.facts import Addressee, Anchor, Findings, Group, IncidentFacts, Owed
from incidents.law.in_words import value_lines
from incidents.law.overlay import packs_with
from incidents.law.pack import PACKS_FOLDER, PackError, PackSet, load_packs
from incidents.law.showing import UnknownJurisdiction, changes_document, changes_lines, pack_document, pack_lines, pack_named

PACKS = load_packs()
OLD_YEAR, NEW_YEAR = date(2025, 12, 31), date(2026, 1, 1)
AWARE = datetime(2026, 5, 4, 9, 20, tzinfo=UTC)
FACTS = IncidentFacts(anchors={Anchor.AWARE: AWARE}, established_in="FR", findings=Findings(risk="risk", misuse_likely="yes"))
Edit = Callable[..., Path]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """A copy of a shipped pack with one piece of its text written otherwise."""

    def edit(name: str, was: str, becomes: str) -> Path:
        text = (PACKS_FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
        assert was in text
        path = tmp_path / f"my-{name}.yaml"
        path.write_text(text.replace(was, becomes), encoding="utf-8")
        return path

    return edit


def changed(path: Path) -> tuple[PackChange, ...]:
    return between_sets(before=PACKS, after=packs_with(path=path))


# -- two days ------------------------------------------------------------------------------------------------------


def test_californias_thirty_days_come_with_the_new_year() -> None:
    found = between_days(pack=PACKS.packs["US-CA"], first=OLD_YEAR, last=NEW_YEAR)
    assert [(change.regime, change.path, change.on) for change in found] == [
        ("general", "person.deadline", NEW_YEAR), ("general", "regulator.deadline", NEW_YEAR),
    ]  # fmt: skip
    assert Difference("clocks[0].n", None, 30) in found[0].differences
    assert found[0].references == ("Cal. Civ. Code 1798.82", "Cal. Civ. Code 1798.82, 1798.82(a)(2)")


@pytest.mark.parametrize(
    ("first", "last", "steps"),
    [
        (date(2025, 12, 30), date(2025, 12, 31), 0),
        (date(2025, 12, 31), date(2026, 1, 1), 2),
        (date(2026, 1, 1), date(2026, 1, 2), 0),
        (date(2020, 1, 1), date(2026, 12, 31), 2),
    ],
)
def test_a_change_belongs_to_the_day_on_which_it_starts(first: date, last: date, steps: int) -> None:
    assert len(between_days(pack=PACKS.packs["US-CA"], first=first, last=last)) == steps


def test_every_step_between_two_days_is_told_in_the_order_of_the_days() -> None:
    found = between_days(pack=PACKS.packs["US-NY"], first=date(2024, 12, 1), last=date(2026, 1, 1))
    days = [change.on for change in found]
    assert days == sorted(days, key=str) and {date(2024, 12, 21), date(2025, 3, 21)} <= set(days)


def test_law_that_is_not_law_changes_nothing_between_two_days() -> None:
    assert not between_days(pack=PACKS.packs["FR"], first=date(2026, 1, 1), last=date(2099, 1, 1))


def test_what_is_in_force_differs_by_the_day() -> None:
    then, now = (values_on(pack=PACKS.packs["US-OK"], on=on) for on in (OLD_YEAR, NEW_YEAR))
    assert ("general", "regulator.deadline") not in {(one.regime, one.path) for one in then}
    assert ("general", "regulator.deadline") in {(one.regime, one.path) for one in now}


def test_what_a_member_state_takes_from_the_union_says_so() -> None:
    found = between_days(pack=PACKS.packs["FR"], first=date(2018, 1, 1), last=date(2018, 12, 31))
    assert found and {change.inherited_from for change in found} == {"EU"}
    assert {
        change.inherited_from for change in between_days(pack=PACKS.packs["EU"], first=date(2018, 1, 1), last=AWARE.date())
    } == {""}


# -- two texts -----------------------------------------------------------------------------------------------------


def test_the_shipped_packs_are_the_same_as_themselves(tmp_path: Path) -> None:
    copy = tmp_path / "anything.yaml"
    copy.write_bytes((PACKS_FOLDER / "us-ca.yaml").read_bytes())
    assert changed(copy) == () and packs_with(path=copy).sha256 == PACKS.sha256


def test_one_changed_date_is_told_as_that_date_and_nothing_else(edited: Edit) -> None:
    (change,) = changed(edited("us-ca", "from: 2026-01-01", "from: 2026-02-01"))
    assert (change.jurisdiction, change.kind, change.head) == ("US-CA", "changed", ())
    assert [(one.path, [part.words for part in one.differences]) for one in change.values] == [
        ("person.deadline", ["from: 2026-01-01 -> 2026-02-01"]),
        ("regulator.deadline", ["from: 2026-01-01 -> 2026-02-01"]),
    ]


@pytest.mark.parametrize(
    ("was", "becomes", "path", "words"),
    [
        ("n: 30\n", "n: 45\n", "person.deadline", "clocks[0].n: 30 -> 45"),
        ("n: 500\n", "n: 250\n", "regulator.owed", "when.notified.n: 500 -> 250"),
        ("      - plain_language\n", "", "person.content", "required: no longer plain_language"),
        ("barred: []\n      format", "barred:\n      - contact\n      format", "person.content", "barred: nothing -> contact"),
        ("section: 1798.82(b)", "section: 1798.82(c)", "processor.deadline", "reference.section: 1798.82(b) -> 1798.82(c)"),
        ("months: 12", "months: 24", "person.monitoring", "months: 12 -> 24"),
    ],
)
def test_one_changed_value_is_told_by_its_key(edited: Edit, was: str, becomes: str, path: str, words: str) -> None:
    (change,) = changed(edited("us-ca", was, becomes))
    told = {one.path: [part.words for part in one.differences] for one in change.values}
    assert words in told[path] or words.replace("nothing -> contact", "now also contact") in told[path], told


def test_a_changed_head_is_told(edited: Edit) -> None:
    (change,) = changed(edited("us-ca", "checked_on: 2026-11-21", "checked_on: 2026-11-22"))
    assert [one.words for one in change.head] == ["checked_on: 2026-11-21 -> 2026-11-22"] and change.values == ()


def test_a_changed_union_is_told_once_and_not_for_each_member(edited: Edit) -> None:
    found = changed(edited("eu", "n: 72", "n: 71"))
    assert [change.jurisdiction for change in found] == ["EU"]


def test_a_new_pack_is_told_as_new(edited: Edit) -> None:
    path = edited("us-ca", "id: US-CA", "id: US-AS")
    (change,) = changed(path)
    assert (change.jurisdiction, change.kind) == ("US-AS", "new") and all(one.before is None for one in change.values)


def test_a_folder_with_its_own_words_is_a_whole_set(tmp_path: Path) -> None:
    for name in ("vocabulary.yaml", "calendars.yaml", "us-ca.yaml"):
        (tmp_path / name).write_bytes((PACKS_FOLDER / name).read_bytes())
    assert set(packs_with(path=tmp_path).packs) == {"US-CA"}
    kinds = {change.jurisdiction: change.kind for change in changed(tmp_path)}
    assert kinds["US-NY"] == "gone" and "US-CA" not in kinds


def test_a_folder_without_words_is_laid_over_the_shipped_packs(tmp_path: Path, edited: Edit) -> None:
    edited("us-ca", "n: 30\n", "n: 31\n")
    edited("us-ny", "n: 30\n", "n: 32\n")
    assert [change.jurisdiction for change in changed(tmp_path)] == ["US-CA", "US-NY"]


def test_a_changed_calendar_is_told_as_shared(tmp_path: Path) -> None:
    for file in PACKS_FOLDER.glob("*.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    text = (tmp_path / "calendars.yaml").read_text(encoding="utf-8")
    (tmp_path / "calendars.yaml").write_text(text.replace("least_working_days: 2", "least_working_days: 3"), encoding="utf-8")
    assert {change.jurisdiction for change in changed(tmp_path)} == {"calendars.yaml"}


@pytest.mark.parametrize("name", ["none.yaml", "."])
def test_a_path_without_a_pack_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(PackError, match=r"cannot be read|holds no pack"):
        packs_with(path=tmp_path / name)


def test_a_bad_pack_is_refused_by_the_name_under_which_it_was_given(edited: Edit) -> None:
    path = edited("us-ca", "- ssn\n", "- snn\n")
    with pytest.raises(PackError) as caught:
        packs_with(path=path)
    assert caught.value.file == str(path) and caught.value.line > 0


# -- two assessments -----------------------------------------------------------------------------------------------


def group(residence: str, *elements: str, count: int = 10) -> Group:
    return Group(residence=residence, elements=frozenset(elements), count=count)


def between(*groups: Group, packs: PackSet = PACKS, **changes: Any) -> AssessmentChange:
    before = assess(facts=FACTS, groups=groups, packs=PACKS)
    return between_assessments(before=before, after=assess(facts=replace(FACTS, **changes), groups=groups, packs=packs))


def told(change: AssessmentChange) -> dict[tuple[str, str], DutyChange]:
    return {(one.jurisdiction, one.addressee.value): one for one in change.duties}


def words(change: DutyChange) -> list[str]:
    return [difference.words for difference in change.differences]


def test_the_same_facts_change_nothing() -> None:
    assert between(group("FR", "name"), group("US-CA", "name", "ssn")) == AssessmentChange((), ())


def test_encrypted_data_end_a_duty_with_all_that_it_asked() -> None:
    found = told(between(group("US-CA", "name", "ssn"), encrypted=True))[("US-CA", "person")]
    assert (found.before and found.before.owed, found.after and found.after.owed) == (Owed.YES, Owed.NO)
    assert "owed: yes -> no" in words(found) and "deadline.shown_at: 2026-06-03 -> nothing" in words(found)
    assert "monitoring_months: 12 -> nothing" in words(found)


def test_a_later_awareness_moves_the_deadline_alone() -> None:
    later = {Anchor.AWARE: datetime(2026, 5, 5, 9, 20, tzinfo=UTC)}
    found = told(between(group("US-CA", "name", "ssn"), anchors=later))[("US-CA", "person")]
    assert words(found) == ["deadline.shown_at: 2026-06-03 -> 2026-06-04"]


def test_a_finding_turns_a_question_into_an_answer() -> None:
    found = told(between(group("FR", "name"), findings=Findings(risk="high", misuse_likely="yes")))
    assert words(found[("FR", "person")])[0] == "owed: no -> yes" and ("FR", "regulator") not in found


def test_another_establishment_is_another_lead_authority() -> None:
    change = between(group("FR", "name"), group("DE", "name"), established_in="DE")
    assert [difference.words for difference in change.whole] == ["lead_authority: FR -> DE"]
    assert {key: words(one)[0] for key, one in told(change).items()} == {
        ("FR", "regulator"): "owed: yes -> no",
        ("DE", "regulator"): "owed: no -> yes",
    }


def test_a_sector_law_that_begins_to_reach_is_told_and_one_that_asks_nothing_is_not() -> None:
    change = between(group("US-CA", "name", "email"), sector="health")
    new = [one for one in change.duties if one.before is None]
    assert new and all(one.after and one.after.owed is not Owed.NO for one in new)


def test_duties_are_told_group_by_group(edited: Edit) -> None:
    packs = packs_with(path=edited("us-ca", "- ssn\n", "- dna\n"))
    change = between(group("US-CA", "name", "ssn"), group("US-CA", "name", "passport"), packs=packs)
    assert {one.group for one in change.duties if one.addressee is Addressee.PERSON and one.differences[0].key == "owed"} == {0}


def test_no_duty_and_a_duty_that_is_not_owed_ask_the_same() -> None:
    one = assess(facts=replace(FACTS, established_in=None), groups=[group("US-CA", "name")], packs=PACKS)
    none = replace(one, duties=())
    assert between_assessments(before=one, after=none).duties == ()


# -- any two values ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, ["a: 1 -> 2"]),
        ({"a": 1}, {}, ["a: 1 -> nothing"]),
        ({}, {"a": True}, ["a: nothing -> yes"]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [2, 3]}}, ["a.b: no longer 1; now also 3"]),
        ({"a": [1, 2]}, {"a": [2, 1]}, ["a: 1, 2 -> 2, 1"]),
        ({"a": [{"n": 1}]}, {"a": [{"n": 2}]}, ["a[0].n: 1 -> 2"]),
        ({"a": [{"n": 1}]}, {"a": []}, ["a: no longer n: 1"]),
    ],
)
def test_differences_are_told_by_their_keys(before: Any, after: Any, expected: list[str]) -> None:
    assert [one.words for one in differences(before=before, after=after)] == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "nothing"), ([], "nothing"), (False, "no"), (0, "0"), (date(2026, 1, 2), "2026-01-02"), ((1, 2), "1, 2"),
     (AWARE, "2026-05-04T09:20+00:00"), ({"a": 1, "b": [True]}, "a: 1, b: yes")],
)  # fmt: skip
def test_values_are_shown_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


# -- in plain English ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", list(PACKS), ids=lambda pack: pack.id)
def test_every_value_of_every_pack_has_its_sentence(pack: Any) -> None:
    for regime in pack.regimes:
        for path, versions in regime.paths.items():
            for version in versions:
                lines = value_lines(path=path, value=version.value)
                assert lines and all(line.strip() and "{" not in line for line in lines), (pack.id, path, lines)


def test_a_whole_pack_is_shown_with_its_head_dates_references_and_marks() -> None:
    text = "\n".join(pack_lines(document=pack_document(pack=PACKS.packs["US-CA"], on=NEW_YEAR)))
    for said in (
        "US-CA: California (us state), as on 2026-01-01",
        "checked on 2026-11-21: partly compared with its sources",
        "FROM MEMORY, not checked: personal_information",
        "people, by when [general.person.deadline], since 2026-01-01",
        "30 days from discovery",
        "-- Cal. Civ. Code 1798.82, 1798.82(a)(2); changed by SB 446 (2025)",
        "-- Cal. Civ. Code 1798.82; FROM MEMORY, not checked",
        "no longer: people, by when",
    ):
        assert said in text, said


def test_another_day_shows_another_law_and_what_starts_later_is_no_law() -> None:
    document = pack_document(pack=PACKS.packs["US-CA"], on=OLD_YEAR)
    (general,) = document["regimes"]
    (deadline,) = [entry for entry in general["values"] if entry["path"] == "person.deadline"]
    assert deadline["text"] == ["without unreasonable delay; the law gives no number"]
    assert [(entry["path"], entry["from"]) for entry in document["not_law"]] == [
        ("person.deadline", "2026-01-01"), ("regulator.deadline", "2026-01-01"),
    ]  # fmt: skip


def test_proposed_law_stands_apart() -> None:
    lines = list(pack_lines(document=pack_document(pack=PACKS.packs["FR"], on=AWARE.date())))
    apart = lines[next(number for number, line in enumerate(lines) if line.startswith("NOT LAW on 2026-05-04")) :]
    assert any("96 hours" in line for line in apart) and any("proposed, not enacted" in line for line in apart)
    assert not any("96 hours" in line for line in lines[: -len(apart)])


def test_a_value_may_say_when_it_was_checked_itself(edited: Edit) -> None:
    packs = packs_with(
        path=edited(
            "us-ca", "      changed_by: SB 446", "      checked_on: 2026-11-22\n      verified: 'true'\n      changed_by: SB 446"
        )
    )
    own, head = (
        packs.packs["US-CA"].regimes[0].paths["person.deadline"][1],
        packs.packs["US-CA"].regimes[0].paths["person.hold"][0],
    )
    assert (own.checked_on, own.verified) == (date(2026, 11, 22), "true")
    assert (head.checked_on, head.verified) == (date(2026, 11, 21), "partly")
    text = "\n".join(pack_lines(document=pack_document(pack=packs.packs["US-CA"], on=NEW_YEAR)))
    assert "checked on 2026-11-22, compared with its sources" in text


def test_a_change_is_told_with_both_laws_and_their_references() -> None:
    document = changes_document(pack=PACKS.packs["US-CA"], first=OLD_YEAR, last=NEW_YEAR, inherited=False)
    text = "\n".join(changes_lines(documents=[document]))
    assert "was: without unreasonable delay" in text and "is: 30 days from discovery" in text
    assert "Cal. Civ. Code 1798.82, 1798.82(a)(2); SB 446 (2025)" in text


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("UK", "is GB meant?"),
        ("California", "US-CA"),
        ("US", "depends on the state"),
        ("Germny", "is DE meant?"),
        ("QQ", "code of a country"),
    ],
)
def test_an_unknown_jurisdiction_is_asked_about(word: str, meant: str) -> None:
    with pytest.raises(UnknownJurisdiction, match=meant.replace("?", r"\?")):
        pack_named(word=word, packs=PACKS)


@pytest.mark.parametrize(
    ("word", "id_"), [("us-ca", "US-CA"), ("FED-HIPAA", "FED-HIPAA"), ("EU", "EU"), ("CA-ON", "CA"), ("fr", "FR")]
)
def test_a_pack_is_found_by_its_id_or_by_a_residence(word: str, id_: str) -> None:
    assert pack_named(word=word, packs=PACKS).id == id_
