"""Facts hold together or are refused, each with its field and its remedy; what was said before is never changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from incidents.models import AuditEvent, FactVersion, Finding, Incident
from incidents.people.opening import (
    CONTROLLER,
    FINDING_VALUES,
    FLAGS,
    FactsRefused,
    amend_facts,
    check_facts,
    law_facts,
    newest_findings,
    open_incident,
    read_facts,
    record_finding,
)
from tests.conftest import NOW

Facts = dict[str, Any]
Change = Callable[[Facts], object]


def lines_of(facts: Facts) -> tuple[str, ...]:
    with pytest.raises(FactsRefused) as caught:
        check_facts(facts, now=NOW)
    return caught.value.lines


def put(path: str, value: object) -> Change:
    """A change of one field; a path such as 'anchors.aware_at' goes one level down."""

    def change(facts: Facts) -> None:
        *above, last = path.split(".")
        target = facts[above[0]] if above else facts
        target[last] = value

    return change


def drop(path: str) -> Change:
    def change(facts: Facts) -> None:
        *above, last = path.split(".")
        (facts[above[0]] if above else facts).pop(last)

    return change


@pytest.fixture
def changed(facts: Facts) -> Callable[[Change], Facts]:
    def apply(change: Change) -> Facts:
        own = copy.deepcopy(facts)
        change(own)
        return own

    return apply


REFUSED: dict[str, tuple[Change, str, str]] = {
    "no-awareness": (drop("anchors.aware_at"), "anchors.aware_at: missing", "with its offset"),
    "awareness-empty": (put("anchors.aware_at", None), "anchors.aware_at: missing", "with its offset"),
    "no-anchors": (drop("anchors"), "anchors.aware_at: missing", "with its offset"),
    "no-zone": (put("anchors.aware_at", "2025-05-30T09:00"), "anchors.aware_at: 2025-05-30T09:00 has no zone", "add its offset"),
    "only-a-day": (put("anchors.aware_at", "2025-05-30"), "anchors.aware_at: 2025-05-30 has no zone", "add its offset"),
    "in-the-future": (
        put("anchors.aware_at", (NOW + timedelta(minutes=1)).isoformat()), "anchors.aware_at", "lies in the future"),
    "year-9999": (put("anchors.aware_at", "9999-12-31T23:59:59-12:00"), "anchors.aware_at", "lies in the future"),
    "hour-24": (put("anchors.aware_at", "2025-06-03T24:00+00:00"), "anchors.aware_at", "is not an ISO 8601 moment such as"),
    "in-words": (put("anchors.aware_at", "yesterday"), "anchors.aware_at: 'yesterday'", "is not an ISO 8601 moment such as"),
    "before-the-breach": (
        put("anchors.occurred_at", "2025-06-01T09:00:00+00:00"), "anchors.first_hint_at", "is before occurred_at"),
    "before-the-hint": (
        put("anchors.aware_at", "2025-05-28T09:00:00+00:00"), "anchors.aware_at", "is before first_hint_at"),
    "found-before-the-breach": (
        lambda facts: facts["anchors"].update(occurred_at="2025-05-29T00:00+00:00", discovered_at="2025-05-28T09:00+00:00"),
        "anchors.discovered_at", "is before occurred_at"),
    "unknown-anchor": (put("anchors.noticed_at", "2025-05-30T09:00+00:00"), "anchors.noticed_at: unknown", "use occurred_at"),
    "no-reference": (put("reference", ""), "reference:", "such as 'acme-2026'"),
    "reference-with-capitals": (put("reference", "Acme 2026"), "reference:", "lower-case"),
    "reference-with-a-path": (put("reference", "../acme"), "reference:", "lower-case"),
    "reference-too-long": (put("reference", "a" * 60), "reference:", "2 to 59"),
    "reference-is-a-list": (put("reference", ["a"]), "reference:", "lower-case"),
    "title-too-long": (put("title", "x" * 201), "title:", "200"),
    "unknown-role": (put("role", "owner"), "role: 'owner'", "controller, processor"),
    "role-is-a-list": (put("role", ["controller"]), "role:", "controller, processor"),
    "unknown-cause": (put("cause", "aliens"), "cause: 'aliens'", "attack, error"),
    "unknown-zone": (put("zone", "Mars/Olympus"), "zone: 'Mars/Olympus'", "Europe/Paris"),
    "country-in-words": (put("based_in", "France"), "based_in: 'France'", "two capitals"),
    "norway-unquoted": (put("established_in", False), "established_in: 'False'", "write 'NO' quoted"),
    "no-controller": (drop("controller"), "controller.legal_entity:", "missing; the letter needs it"),
    "two-senders": (put("controller.sender_email", "a@b.example, c@d.example"), "controller.sender_email", "not one e-mail address"),
    "header-in-sender": (put("controller.dpo_email", "a@b.example\nBcc: c@d.example"), "controller.dpo_email", "not one e-mail"),
    "no-elements": (drop("elements"), "elements:", "mark at least one"),
    "nothing-exposed": (put("elements", {"name": "not_involved"}), "elements:", "mark at least one"),
    "elements-as-a-list": (put("elements", ["name"]), "elements:", "mark at least one"),
    "unknown-element": (put("elements.shoe_size", "exposed"), "elements.shoe_size", "vocabulary"),
    "unknown-state": (put("elements.name", "exposed-ish"), "elements.name: 'exposed-ish'", "must be one of exposed"),
    "count-in-words": (put("expected_people", "many"), "expected_people: 'many'", "whole number"),
    "negative-count": (put("expected_people", -1), "expected_people: '-1'", "whole number"),
    "flag-in-quotes": (put("encrypted", "false"), "encrypted: 'false'", "true or false"),
    "flag-in-words": (put("contained", "not yet"), "contained: 'not yet'", "true or false"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "field", "remedy"), REFUSED.values(), ids=REFUSED.keys())
def test_a_fact_that_does_not_hold_names_its_field_and_the_remedy(
    changed: Callable[[Change], Facts], change: Change, field: str, remedy: str
) -> None:
    lines = lines_of(changed(change))
    assert any(line.startswith(field) and remedy in line for line in lines), lines


@pytest.mark.parametrize("field", [name for name, needed in CONTROLLER.items() if needed])
def test_each_thing_the_letter_needs_of_the_controller_is_asked_for(changed: Callable[[Change], Facts], field: str) -> None:
    assert lines_of(changed(put(f"controller.{field}", "  "))) == (f"controller.{field}: missing; the letter needs it.",)


def test_everything_that_is_wrong_is_named_in_one_go(facts: Facts) -> None:
    facts["reference"], facts["role"], facts["anchors"], facts["elements"] = "", "owner", {}, {}
    assert [line.split(":")[0] for line in lines_of(facts)] == ["reference", "role", "anchors.aware_at", "elements"]


def test_good_facts_are_kept_in_their_stored_shape(facts: Facts) -> None:
    kept = check_facts(facts, now=NOW)
    assert kept["anchors"] == {
        "first_hint_at": "2025-05-29T16:20:00+00:00",
        "discovered_at": "2025-05-30T08:30:00+00:00",
        "aware_at": "2025-05-30T09:00:00+00:00",
    }
    assert kept == check_facts(kept, now=NOW) and all(isinstance(kept[flag], bool) for flag in FLAGS)


@pytest.mark.parametrize("value", [None, 0, 3])
def test_a_count_is_a_whole_number_or_not_given(changed: Callable[[Change], Facts], value: int | None) -> None:
    assert check_facts(changed(put("expected_people", value)), now=NOW)["expected_people"] == value


def test_the_controllers_words_cannot_carry_line_breaks(changed: Callable[[Change], Facts]) -> None:
    facts = check_facts(changed(put("controller.brand", "Car\r\nBcc: x\ttier")), now=NOW)
    assert facts["controller"]["brand"] == "Car Bcc: x tier"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"\xff\xfe\x00", "not readable YAML"),
        (b"reference: [", "not readable YAML"),
        (b"a: !!python/object/apply:os.system [id]", "not readable YAML"),
        (b"a: \x00", "not readable YAML"),
        (b"[" * 3_000, "not readable YAML"),
        (b"", "must be a YAML mapping"),
        (b"- a", "must be a YAML mapping"),
        (b"just words", "must be a YAML mapping"),
    ],
    ids=["utf16", "open", "python", "nul", "deep", "empty", "list", "words"],
)
def test_a_facts_file_that_is_none_is_refused_in_one_line(raw: bytes, said: str) -> None:
    with pytest.raises(FactsRefused, match=said) as caught:
        read_facts(raw)
    assert len(caught.value.lines) == 1


# -- incidents, versions, findings ---------------------------------------------------------------------------------


def test_an_incident_opens_with_the_first_version_of_its_facts(incident: Incident) -> None:
    assert (incident.reference, incident.facts.number, incident.is_drill) == ("cartier-2025", 1, True)
    assert list(AuditEvent.objects.values_list("action", flat=True)) == ["incident.opened", "incident.amended"]


def test_a_reference_is_taken_once(incident: Incident, facts: Facts, officer: User) -> None:
    with pytest.raises(FactsRefused, match="exists already. Choose another reference"):
        open_incident(facts=check_facts(facts, now=NOW), author=officer)


def test_an_amendment_is_a_version_with_reason_and_author(incident: Incident, officer: User) -> None:
    before = incident.facts
    version = amend_facts(incident=incident, facts={**before.facts, "contained": False}, author=officer, reason="seen again")
    assert (version.number, version.reason, version.author) == (2, "seen again", officer)
    assert incident.facts == version and incident.fact_versions.get(number=1).facts["contained"] is True


def test_unchanged_facts_make_no_version(incident: Incident, officer: User) -> None:
    assert amend_facts(incident=incident, facts=dict(incident.facts.facts), author=officer, reason="same").number == 1


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_an_amendment_without_a_reason_is_refused(incident: Incident, officer: User, reason: str) -> None:
    with pytest.raises(FactsRefused, match="Say why"):
        amend_facts(incident=incident, facts={**incident.facts.facts, "title": "x"}, author=officer, reason=reason)
    assert incident.facts.number == 1


def test_the_name_of_an_incident_cannot_be_amended(incident: Incident, officer: User) -> None:
    with pytest.raises(FactsRefused, match="reference cannot be changed"):
        amend_facts(incident=incident, facts={**incident.facts.facts, "reference": "other-2026"}, author=officer, reason="typo")


@pytest.mark.parametrize("model", [FactVersion, Finding])
def test_what_was_said_is_never_changed_by_sql_either(incident: Incident, officer: User, model: type) -> None:
    record_finding(incident=incident, key="risk", value="risk", reason="first view", author=officer)
    for act in (lambda: model.objects.update(reason="other"), lambda: model.objects.all()._raw_delete("default")):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            act()


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in FINDING_VALUES.items() for value in sorted(values)])
def test_every_answer_of_the_closed_list_is_recorded(incident: Incident, officer: User, key: str, value: str) -> None:
    record_finding(incident=incident, key=key, value=value, reason="as found", author=officer)
    assert newest_findings(incident=incident)[(key, "")].value == value


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [("risk", "medium", "r"), ("mood", "high", "r"), ("risk", "", "r"), ("law_unknown", "yes", "r"), ("risk", "high", " ")],
)
def test_an_answer_outside_the_list_or_without_reason_is_refused(
    incident: Incident, officer: User, key: str, value: str, reason: str
) -> None:
    with pytest.raises(FactsRefused):
        record_finding(incident=incident, key=key, value=value, reason=reason, author=officer)
    assert not incident.findings.exists()


def test_the_newest_finding_counts_and_the_older_stays(incident: Incident, officer: User) -> None:
    for value in ("high", "risk"):
        record_finding(incident=incident, key="risk", value=value, reason="looked again", author=officer)
    assert law_facts(incident=incident).findings.risk == "risk" and incident.findings.count() == 2
