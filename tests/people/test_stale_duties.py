"""What no longer follows from what is known: exactly the duties that would be different, and because of which change."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.models import Incident, Obligation
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.changes import Asked, differing, flat, last_asked, pack_changes, reverted, shown
from incidents.people.deciding import correct_residence
from incidents.people.explaining import explain, in_words
from incidents.people.importing import import_people
from incidents.people.opening import record_finding
from incidents.people.staleness import DutyMark, Level, stale_duties
from tests.changes import ANNA, LATER, amend, other_packs

OUTCOME = ("owed", "handling", "due_at", "legal_end_at", "second_due_at", "final_due_at", "internal_target_at")


def marks(incident: Incident) -> dict[tuple[str, str], DutyMark]:
    return {(mark.jurisdiction, mark.addressee): mark for mark in stale_duties(incident=incident).stale}


def outcomes(incident: Incident) -> dict[int, tuple[Any, ...]]:
    rows = incident.obligations.filter(superseded=False)
    return {pk: tuple(rest) for pk, *rest in rows.values_list("pk", *OUTCOME)}


# -- facts and findings --------------------------------------------------------------------------------------------


def asked_of(incident: Incident) -> Asked:
    asked = last_asked(incident=incident)
    assert asked
    return asked


def test_before_the_law_was_asked_nothing_is_stale(imported: Incident) -> None:
    assert stale_duties(incident=imported).marks == ()


def test_right_after_an_assessment_nothing_is_stale_or_touched(incident: Incident, officer: User, cartier_list: Path) -> None:
    import_people(incident=incident, path=cartier_list, author=officer)
    assess_incident(incident=incident, author=officer)
    assert stale_duties(incident=incident).marks == ()


def test_a_changed_fact_marks_exactly_the_duties_that_asking_again_changes(assessed: Incident, officer: User) -> None:
    before = outcomes(assessed)
    amend(assessed, officer, anchors={"aware_at": LATER})
    found = {mark.obligation for mark in stale_duties(incident=assessed).stale}
    assess_incident(incident=assessed, author=officer)
    after = outcomes(assessed)
    assert found == {pk for pk in after if after[pk] != before.get(pk)} and 0 < len(found) < len(after)
    assert stale_duties(incident=assessed).marks == ()


def test_a_mark_names_the_fact_with_both_values_and_what_would_be_different(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, anchors={"aware_at": LATER})
    mark = marks(assessed)["FR", "regulator"]
    (change,) = mark.because
    assert (change.kind, change.name, change.note) == ("fact", "anchors.aware_at", "facts version 2")
    assert (change.was, change.now) == ("2025-05-30T11:00:00+02:00", LATER)
    differences = {one.path: (one.was, one.now) for one in mark.differences}
    assert differences["general.regulator.deadline.shown_at"] == ("2025-06-02T11:00:00+02:00", "2025-06-02T17:00:00+02:00")


def test_a_fact_that_the_law_does_not_look_at_marks_nothing(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, controller={"phone": "+33 1 00 00 00 00"}, title="Another title")
    assert stale_duties(incident=assessed).marks == ()


def test_of_two_changes_each_mark_names_the_one_that_matters_to_it(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, anchors={"aware_at": LATER}, encrypted=True)
    found = marks(assessed)
    assert [one.name for one in found["FR", "regulator"].because] == ["anchors.aware_at"]
    japan = found["JP", "person"]
    assert "encrypted" in [one.name for one in japan.because]
    assert ("general.person.owed", "yes", "no") in [(one.path, one.was, one.now) for one in japan.differences]


def test_with_a_duty_that_goes_its_head_is_named_and_not_all_its_parts(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, encrypted=True)
    japan = marks(assessed)["JP", "person"]
    assert [one.path for one in japan.differences] == ["general.person.owed", "what we do", "our own target"]


def test_a_fact_that_went_back_to_what_it_was_leaves_no_mark(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, encrypted=True)
    assert stale_duties(incident=assessed).stale
    amend(assessed, officer, encrypted=False)
    assert stale_duties(incident=assessed).marks == ()


@pytest.mark.parametrize(
    ("key", "value", "scope", "place", "said"),
    [
        ("risk", "high", "", "FR", "finding risk: risk -> high (found by officer)"),
        ("voluntary_notice", "no", "", "FR", "finding voluntary_notice: yes -> no (found by officer)"),
        ("voluntary_notice", "no", "US-CA", "US-CA", "finding voluntary_notice:US-CA: nothing -> no (found by officer)"),
    ],
)
def test_a_finding_marks_the_duties_that_turn_on_it(
    assessed: Incident, officer: User, key: str, value: str, scope: str, place: str, said: str
) -> None:
    record_finding(incident=assessed, key=key, value=value, scope=scope, reason="as found later", author=officer)
    mark = marks(assessed)[place, "person"]
    assert mark.reasons == (said,)
    assert scope == "" or {name for name, _ in marks(assessed)} == {scope}


def test_a_late_filing_marks_the_duty_that_now_needs_its_reasons(assessed: Incident, officer: User) -> None:
    duty = assessed.obligations.get(jurisdiction="FR", addressee="regulator")
    late = datetime(2025, 6, 20, 9, tzinfo=UTC)
    record_filing(obligation=duty, filed_at=late, reference="CNIL-1", author=officer, reason_for_delay="a closed portal")
    mark = marks(assessed)["FR", "regulator"]
    assert mark.because[0].title == "filing FR" and mark.cohort is None
    assert "general.regulator.late" in [one.path for one in mark.differences]


# -- people --------------------------------------------------------------------------------------------------------


def test_people_about_whom_the_law_was_never_asked_are_marked_as_new(
    assessed: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=assessed, path=write_list(ANNA), author=officer)
    found = stale_duties(incident=assessed)
    cohort = assessed.people.get(reference="anna").cohort_id
    (mark,) = found.towards(cohort=cohort)
    assert (mark.level, mark.jurisdiction, mark.people, mark.obligation) == (Level.NEW, "IT", 1, None)
    assert mark.because[0].kind == "people" and "source.imported by officer" in mark.because[0].words
    assert found.people == 1


def test_a_cohort_that_nobody_is_in_any_more_marks_nobody(assessed: Incident, officer: User) -> None:
    entry = assessed.people.get(reference="claire").queue.create(
        incident=assessed, kind="residence_conflict", reason="two places", remedy="ask"
    )
    entries = assessed.queue.filter(pk=entry.pk)
    correct_residence(incident=assessed, entries=entries, residence="IT", reason="she moved", author=officer)
    found = stale_duties(incident=assessed)
    assert {(mark.jurisdiction, mark.level) for mark in found.towards_people} == {("IT", Level.NEW)}
    assess_incident(incident=assessed, author=officer)
    assert stale_duties(incident=assessed).marks == ()


# -- packs ---------------------------------------------------------------------------------------------------------


def test_a_changed_period_in_a_pack_marks_the_duties_under_it_with_both_versions(
    assessed: Incident, officer: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "eu.yaml", ("n: 72", "n: 48"), ("version: ", "version: 9"))
    found = stale_duties(incident=assessed)
    assert [(mark.jurisdiction, mark.addressee) for mark in found.stale] == [("FR", "regulator")]
    (mark,) = found.stale
    (change,) = mark.because
    assert change.title == "pack EU" and change.was.startswith("2") and change.now.startswith("92")
    assert change.was.partition(" ")[2] != change.now.partition(" ")[2], "the hashes differ too"
    assert "general.regulator.deadline.shown_at" in [one.path for one in mark.differences]
    assert {mark.jurisdiction for mark in found.touched} == {"FR"}, "the letter's duty rests on an older pack, and stays"
    assess_incident(incident=assessed, author=officer)
    assert stale_duties(incident=assessed).marks == ()


def test_a_date_from_which_a_law_holds_marks_what_is_judged_by_it(
    assessed: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", ("from: 2022-04-01", "from: 2026-01-01"))
    mark = marks(assessed)["JP", "person"]
    assert {one.name for one in mark.because} == {"JP"}
    assert ("general.person.owed", "yes", "no") in [(one.path, one.was, one.now) for one in mark.differences]


def test_a_pack_that_only_says_more_touches_and_changes_nothing(
    assessed: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", ("name: Japan", "name: Nihon"))
    found = stale_duties(incident=assessed)
    assert found.stale == () and {mark.jurisdiction for mark in found.touched} == {"JP"}


def test_a_member_states_own_pack_is_named_where_its_union_did_not_change(
    assessed: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "fr.yaml", ("name: France", "name: Gaul"))
    (mark, *_) = stale_duties(incident=assessed).touched
    (change,) = pack_changes(name="FR", asked=asked_of(assessed), was=mark.packs[1], now=mark.packs[2])
    assert change.title == "pack FR" and "on EU 2" in change.was and change.was != change.now


def test_fact_and_pack_that_changed_together_are_told_apart(
    assessed: Incident, officer: User, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    amend(assessed, officer, encrypted=True)
    other_packs(monkeypatch, tmp_path / "packs", "eu.yaml", ("n: 72", "n: 48"))
    found = marks(assessed)
    assert [one.title for one in found["JP", "person"].because] == ["fact encrypted"]
    assert "pack EU" in [one.title for one in found["FR", "regulator"].because]


def test_another_rule_for_counting_days_is_named_as_what_all_packs_share(
    assessed: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("incidents.people.assessing.load_packs", _counting_in_another_way(monkeypatch, tmp_path))
    kinds = {one.title for mark in stale_duties(incident=assessed).stale for one in mark.because}
    assert kinds <= {"pack calendars.yaml, vocabulary.yaml, or the program"}


def _counting_in_another_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    other_packs(monkeypatch, tmp_path / "packs", "calendars.yaml", ("rules:", "# counted anew\nrules:"))
    from incidents.law.pack import load_packs

    return load_packs


def test_a_part_that_an_older_program_did_not_know_is_no_difference(assessed: Incident) -> None:
    for duty in assessed.obligations.all():
        Obligation.objects.filter(pk=duty.pk).update(duty={k: v for k, v in duty.duty.items() if k != "substitute"})
    assert stale_duties(incident=assessed).stale == ()


def test_a_plain_run_with_its_notices_to_authorities_leaves_no_mark(assessed: Incident, officer: User) -> None:
    for duty in assessed.obligations.filter(owed="yes", cohort=None):
        when = (duty.due_at or duty.internal_target_at or assessed.facts.recorded_at) - timedelta(hours=20)
        record_filing(obligation=duty, filed_at=when, reference="R-1", author=officer)
    assert stale_duties(incident=assessed).marks == ()


# -- cheap ---------------------------------------------------------------------------------------------------------


def test_a_second_look_asks_for_one_stamp_and_not_for_the_law(assessed: Incident, monkeypatch: pytest.MonkeyPatch) -> None:
    first = stale_duties(incident=assessed)
    monkeypatch.setattr("incidents.people.staleness.ask_law", lambda **_: pytest.fail("the law was asked again"))
    with CaptureQueriesContext(connection) as queries:
        assert stale_duties(incident=assessed) is first
    assert len(queries) == 1


def test_looking_for_marks_writes_nothing(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, anchors={"aware_at": LATER})
    before = list(Obligation.objects.order_by("id").values())
    with CaptureQueriesContext(connection) as queries:
        assert stale_duties(incident=assessed).stale
    assert not [one["sql"] for one in queries if not one["sql"].lstrip().upper().startswith("SELECT")]
    assert list(Obligation.objects.order_by("id").values()) == before


# -- the person's explanation --------------------------------------------------------------------------------------


def test_the_explanation_of_a_person_says_what_no_longer_follows_and_why(assessed: Incident, officer: User) -> None:
    amend(assessed, officer, encrypted=True)
    (duty,) = explain(incident=assessed, reference="yuki")["obligations"]
    assert duty["stale"]["level"] == "changed"
    assert {"path": "general.person.owed", "was": "yes", "now": "no"} in duty["stale"]["differences"]
    assert duty["stale"]["because"] == ["fact encrypted: no -> yes (facts version 2)"]
    text = "\n".join(in_words(explain(incident=assessed, reference="yuki")))
    for part in ("STALE", "general.person.owed: yes -> no", "because of fact encrypted: no -> yes", "Ask the law again"):
        assert part in text
    assess_incident(incident=assessed, author=officer)
    assert "STALE" not in "\n".join(in_words(explain(incident=assessed, reference="yuki")))


def test_the_command_explain_shows_the_marks_in_words_and_as_data(
    assessed: Incident, officer: User, write_list: Callable[..., Path]
) -> None:
    import_people(incident=assessed, path=write_list(ANNA), author=officer)
    out = StringIO()
    call_command("explain", assessed.reference, "anna", as_json=True, stdout=out)
    found = json.loads(out.getvalue())
    assert found["obligations"] == [] and [mark["jurisdiction"] for mark in found["not_asked"]] == ["IT"]
    out = StringIO()
    call_command("explain", assessed.reference, "anna", stdout=out)
    assert "IT: the law has not been asked about this." in out.getvalue()


def test_older_grounds_are_told_apart_from_a_duty_that_would_be_different(
    assessed: Incident, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other_packs(monkeypatch, tmp_path / "packs", "jp.yaml", ("name: Japan", "name: Nihon"))
    text = "\n".join(in_words(explain(incident=assessed, reference="yuki")))
    assert "older grounds" in text and "STALE" not in text


# -- small parts ---------------------------------------------------------------------------------------------------


def test_values_go_by_their_dotted_names() -> None:
    assert dict(flat({"a": {"b": 1, "c": [2]}, "d": None})) == {"a.b": 1, "a.c": [2], "d": None}


def test_what_is_absent_is_as_good_as_none() -> None:
    assert differing({"a": None, "b": ""}, {"c": False}) == []
    assert differing({"a": {"b": 1}}, {"a": {"b": 2}, "c": 3}) == [("a.b", 1, 2), ("c", None, 3)]


@pytest.mark.parametrize(
    ("now", "then", "name", "back"),
    [
        ({"a": 2}, {"a": 1}, "a", {"a": 1}),
        ({"a": {"b": 2, "c": 3}}, {"a": {"b": 1}}, "a.b", {"a": {"b": 1, "c": 3}}),
        ({"a": {"b": 2}}, {"a": {}}, "a.b", {"a": {}}),
        ({"a": 2}, {"a": None}, "a", {"a": None}),
        ({}, {"a": 1}, "a", {"a": 1}),
    ],
)
def test_one_value_goes_back_and_the_others_stay(now: Any, then: Any, name: str, back: Any) -> None:
    assert reverted(now, then, name) == back


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "nothing"), ([], "nothing"), (True, "yes"), (False, "no"), (["a", "b"], "a; b"), ({"a": 1}, "a: 1"), (3, "3")],
)
def test_a_value_is_shown_as_a_line(value: Any, text: str) -> None:
    assert shown(value) == text
