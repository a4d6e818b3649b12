"""What the law asks of the Cartier list, by when, and what we do about it; asked again, nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from incidents.audit.log import database_now
from incidents.models import AuditEvent, Cohort, Filing, Finding, Incident, Obligation
from incidents.people.assessing import FilingRefused, assess_incident, end_of, plain, record_filing
from incidents.people.importing import import_people
from incidents.people.opening import amend_facts, record_finding
from tests.conftest import CARL, CLAIRE, YUKI
from tests.people.conftest import Importer

FINDINGS = (
    ("risk", "risk"),
    ("misuse_likely", "yes"),
    ("serious_harm_likely", "no"),
    ("voluntary_notice", "yes"),
    ("law_unknown", "courtesy"),
)
WITHOUT_PACK = {"US", "ZZ"}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def find(incident: Incident, officer: User, *findings: tuple[str, str], scope: str = "") -> None:
    for key, value in findings:
        record_finding(incident=incident, key=key, value=value, scope=scope, reason=f"{key}: {value}, as found", author=officer)


def duties(incident: Incident, jurisdiction: str, addressee: str = "person") -> list[Obligation]:
    found = incident.obligations.filter(jurisdiction=jurisdiction, addressee=addressee, superseded=False)
    return list(found.select_related("cohort").order_by("id"))


def handlings(incident: Incident, jurisdiction: str) -> set[str]:
    return {duty.handling for duty in duties(incident, jurisdiction)}


@pytest.fixture
def cartier(incident: Incident, officer: User, cartier_list: Path) -> Incident:
    """The whole small list with the drill's findings, assessed."""
    import_people(incident=incident, path=cartier_list, author=officer)
    find(incident, officer, *FINDINGS)
    assess_incident(incident=incident, author=officer)
    return incident


# -- Cartier -------------------------------------------------------------------------------------------------------


def test_the_cartier_list_owes_what_the_law_says(cartier: Incident) -> None:
    owed = cartier.obligations.filter(owed="yes").values_list("jurisdiction", "addressee")
    assert sorted(set(owed)) == [
        ("AE", "person"), ("AE", "regulator"), ("CN", "person"), ("CN", "regulator"), ("FR", "regulator"), ("GB", "regulator"),
        ("JP", "person"), ("JP", "regulator"), ("KR", "person"), ("KR", "regulator"), ("TR", "person"), ("TR", "regulator"),
        ("US-ND", "person"), ("US-WA", "person"),
    ]  # fmt: skip
    assert set(cartier.obligations.filter(owed="yes").values_list("handling", flat=True)) == {"statutory"}


def test_a_regulator_is_told_in_72_hours_and_the_regulations_end_stands_beside_it(cartier: Incident) -> None:
    for jurisdiction in ("FR", "GB"):
        (duty,) = duties(cartier, jurisdiction, "regulator")
        assert (duty.owed, duty.due_at, duty.legal_end_at) == ("yes", utc("2025-06-02T09:00"), utc("2025-06-02T10:00"))


def test_the_swiss_regulator_is_not_owed_a_notice_of_a_risk_that_is_not_high(cartier: Incident) -> None:
    assert [duty.owed for duty in duties(cartier, "CH", "regulator")] == ["no"]


def test_the_lead_authority_stands_for_the_union(cartier: Incident) -> None:
    for jurisdiction in ("DE", "IT", "ES", "NL", "BE", "AT", "PL"):
        assert [duty.owed for duty in duties(cartier, jurisdiction, "regulator")] == ["no"]


def test_japan_is_told_at_once_and_a_second_time_in_sixty_days(cartier: Incident) -> None:
    (duty,) = duties(cartier, "JP", "regulator")
    assert (duty.due_at, duty.second_due_at) == (utc("2025-06-03T14:59:59"), utc("2025-07-28T14:59:59"))


def test_people_in_korea_turkey_and_japan_are_owed_a_letter(cartier: Incident) -> None:
    for jurisdiction in ("KR", "TR", "JP"):
        assert {duty.owed for duty in duties(cartier, jurisdiction)} == {"yes"}


def test_name_email_and_country_fire_no_statute_of_california_or_new_york(cartier: Incident) -> None:
    for jurisdiction in ("US-CA", "US-NY"):
        for addressee in ("person", "regulator", "bureaus"):
            assert {duty.owed for duty in duties(cartier, jurisdiction, addressee)} == {"no"}


def test_a_date_of_birth_fires_north_dakota_and_washington_for_its_people_only(cartier: Incident) -> None:
    for jurisdiction in ("US-ND", "US-WA"):
        owed = {("date_of_birth" in (duty.cohort or Cohort()).elements, duty.owed) for duty in duties(cartier, jurisdiction)}
        assert (True, "yes") in owed and owed <= {(True, "yes"), (False, "no")}
        assert [duty.owed for duty in duties(cartier, jurisdiction, "regulator")] == ["no"], "too few people for the regulator"


def test_washingtons_thirty_days_end_with_the_local_day(cartier: Incident) -> None:
    (duty,) = [duty for duty in duties(cartier, "US-WA") if duty.owed == "yes"]
    assert duty.due_at == utc("2025-06-30T06:59:59") and duty.internal_target_at is None


def test_a_deadline_without_a_number_has_our_own_target_and_no_date_of_the_law(cartier: Incident) -> None:
    for jurisdiction in ("JP", "TR", "US-ND"):
        for duty in duties(cartier, jurisdiction):
            assert duty.due_at is None and duty.internal_target_at is not None


def test_a_residence_without_a_pack_is_asked(cartier: Incident) -> None:
    asked = cartier.obligations.filter(owed="ask")
    assert set(asked.values_list("jurisdiction", flat=True)) == WITHOUT_PACK
    assert set(asked.values_list("handling", "handling_reason")) == {("law_unknown", "law_unknown: courtesy, as found")}


def test_letters_that_no_law_asks_for_are_the_controllers_own_choice(cartier: Incident) -> None:
    for jurisdiction in ("FR", "GB", "CH", "US-CA", "US-NY"):
        assert handlings(cartier, jurisdiction) == {"voluntary"}


def test_every_person_stands_in_a_cohort_with_a_duty(cartier: Incident) -> None:
    answered = set(cartier.obligations.filter(addressee="person").values_list("cohort_id", flat=True))
    assert set(cartier.people.values_list("cohort_id", flat=True)) == answered


def test_every_obligation_says_why_and_where_it_is_written(cartier: Incident) -> None:
    for duty in cartier.obligations.exclude(owed="ask"):
        assert duty.duty["reasons"] and duty.duty["references"] and duty.pack_sha256, str(duty)


def test_the_same_facts_asked_again_write_nothing(cartier: Incident, officer: User) -> None:
    before, entries = list(Obligation.objects.order_by("id").values()), AuditEvent.objects.count()
    assert assess_incident(incident=cartier, author=officer).changed == 0
    assert list(Obligation.objects.order_by("id").values()) == before and AuditEvent.objects.count() == entries


# -- what changes --------------------------------------------------------------------------------------------------


def test_a_moved_awareness_moves_the_clock_and_only_what_depends_on_it(imported: Incident, officer: User) -> None:
    find(imported, officer, *FINDINGS)
    assess_incident(incident=imported, author=officer)
    facts = dict(imported.facts.facts)
    facts["anchors"] = {**facts["anchors"], "aware_at": "2025-05-30T15:00:00+00:00"}
    amend_facts(incident=imported, facts=facts, author=officer, reason="the log was read again")
    report = assess_incident(incident=imported, author=officer)
    (regulator,) = duties(imported, "FR", "regulator")
    assert 0 < report.changed < report.obligations and regulator.due_at == utc("2025-06-02T15:00")
    assert regulator.facts.number == 2 and duties(imported, "US-CA")[0].facts.number == 1


def test_a_duty_that_no_longer_follows_is_kept_as_superseded(bring: Importer, incident: Incident, officer: User) -> None:
    bring(CLAIRE, CARL)
    assess_incident(incident=incident, author=officer)
    incident.people.filter(reference="claire").update(residence="JP")
    assess_incident(incident=incident, author=officer)
    gone = incident.obligations.filter(superseded=True, addressee="person")
    assert list(gone.values_list("jurisdiction", flat=True)) == ["FR"] and duties(incident, "JP")
    assert assess_incident(incident=incident, author=officer).changed == 0


@pytest.mark.parametrize(
    ("findings", "scope", "expected"),
    [
        ((), "", {"FR": "undecided", "US-CA": "undecided", "PK": "undecided"}),
        ((("voluntary_notice", "yes"),), "", {"FR": "undecided", "US-CA": "voluntary", "PK": "undecided"}),
        ((("risk", "risk"), ("voluntary_notice", "yes")), "", {"FR": "voluntary", "US-CA": "voluntary", "PK": "undecided"}),
        ((("risk", "risk"), ("voluntary_notice", "no")), "", {"FR": "none", "US-CA": "none", "PK": "undecided"}),
        ((("risk", "high"),), "", {"FR": "statutory", "US-CA": "undecided", "PK": "undecided"}),
        ((("law_unknown", "courtesy"),), "", {"FR": "undecided", "US-CA": "undecided", "PK": "law_unknown"}),
        ((("law_unknown", "courtesy"),), "PK", {"FR": "undecided", "US-CA": "undecided", "PK": "law_unknown"}),
        ((("law_unknown", "courtesy"),), "CN", {"FR": "undecided", "US-CA": "undecided", "PK": "undecided"}),
        ((("voluntary_notice", "yes"),), "US-CA", {"FR": "undecided", "US-CA": "voluntary", "PK": "undecided"}),
    ],
)
def test_what_is_done_follows_from_law_and_findings(
    bring: Importer,
    incident: Incident,
    officer: User,
    findings: tuple[tuple[str, str], ...],
    scope: str,
    expected: dict[str, str],
) -> None:
    bring(CLAIRE, CARL, {**YUKI, "stated_country": "PK"})
    find(incident, officer, *findings, scope=scope)
    assess_incident(incident=incident, author=officer)
    assert {jurisdiction: handlings(incident, jurisdiction) for jurisdiction in expected} == {
        jurisdiction: {handling} for jurisdiction, handling in expected.items()
    }


def test_a_place_of_its_own_wins_over_the_finding_for_all(bring: Importer, incident: Incident, officer: User) -> None:
    bring(CLAIRE, CARL)
    find(incident, officer, ("risk", "risk"), ("voluntary_notice", "yes"))
    find(incident, officer, ("voluntary_notice", "no"), scope="US-CA")
    assess_incident(incident=incident, author=officer)
    assert (handlings(incident, "US-CA"), handlings(incident, "FR")) == ({"none"}, {"voluntary"})
    assert Finding.objects.filter(key="voluntary_notice").count() == 2


@pytest.mark.parametrize(("people", "owed"), [(500, "no"), (501, "yes")])
def test_washingtons_regulator_is_told_from_more_than_five_hundred_people_on(
    incident: Incident, officer: User, people: int, owed: str, tmp_path: Path
) -> None:
    path = tmp_path / "washington.csv"
    rows = (f"W{n},w{n}@example.org,US,US-WA Seattle,name;email;country;date_of_birth" for n in range(people))
    path.write_text("\n".join(["full_name,email,stated_country,loyalty_home_store,elements", *rows]))
    import_people(incident=incident, path=path, author=officer)
    find(incident, officer, *FINDINGS)
    assess_incident(incident=incident, author=officer)
    assert [duty.owed for duty in duties(incident, "US-WA", "regulator")] == [owed]


def test_rejected_people_count_for_no_threshold(bring: Importer, incident: Incident, officer: User) -> None:
    bring(CLAIRE, CARL)
    incident.people.filter(reference="carl").update(status="rejected")
    assess_incident(incident=incident, author=officer)
    assert not duties(incident, "US-CA") and duties(incident, "FR")


# -- filings -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cnil(assessed: Incident) -> Obligation:
    return assessed.obligations.get(jurisdiction="FR", addressee="regulator")


def filing(obligation: Obligation, author: User, **changed: Any) -> Filing:
    given = {"filed_at": utc("2025-06-02T08:00"), "reference": "CNIL-1", **changed}
    return record_filing(obligation=obligation, author=author, **given)


def test_a_filing_in_time_needs_no_excuse(cnil: Obligation, officer: User) -> None:
    assert filing(cnil, officer, reference=" CNIL-1 ").reference == "CNIL-1"
    assert AuditEvent.objects.filter(action="authority.notified", line__contains='"late":false').count() == 1


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_late_filing_needs_the_reasons_for_the_delay(cnil: Obligation, officer: User, reason: str) -> None:
    with pytest.raises(FilingRefused, match="reasons for the delay"):
        filing(cnil, officer, filed_at=utc("2025-06-02T10:00:01"), reason_for_delay=reason)
    assert not Filing.objects.exists()


def test_a_late_filing_with_its_reasons_is_recorded_as_late(cnil: Obligation, officer: User) -> None:
    found = filing(cnil, officer, filed_at=utc("2025-06-03T09:00"), reason_for_delay="the portal was closed")
    assert found.reason_for_delay == "the portal was closed"
    assert AuditEvent.objects.filter(action="authority.notified", line__contains='"late":true').exists()


def test_a_filing_on_the_last_second_of_the_regulation_is_in_time(cnil: Obligation, officer: User) -> None:
    assert filing(cnil, officer, filed_at=cnil.legal_end_at).reason_for_delay == ""


def test_a_second_report_is_measured_by_its_own_date(assessed: Incident, officer: User) -> None:
    japan = assessed.obligations.get(jurisdiction="JP", addressee="regulator")
    filing(japan, officer, filed_at=utc("2025-06-02T08:00"), reference="PPC-1")
    filing(japan, officer, filed_at=utc("2025-07-28T14:59"), reference="PPC-2")
    with pytest.raises(FilingRefused, match="reasons for the delay"):
        japan.filings.filter(reference="PPC-2").delete()
        filing(japan, officer, filed_at=utc("2025-07-28T15:00"), reference="PPC-2")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"reference": "  "}, "Give the reference"),
        ({"reference": "x" * 121}, "at most 120"),
        ({"filed_at": datetime(2025, 6, 2, 8)}, "zone"),  # noqa: DTZ001
    ],
)
def test_a_filing_that_cannot_be_right_is_refused(cnil: Obligation, officer: User, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(FilingRefused, match=said):
        filing(cnil, officer, **changed)
    assert not Filing.objects.exists()


def test_a_filing_to_come_is_refused(cnil: Obligation, officer: User) -> None:
    with pytest.raises(FilingRefused, match="lies in the future"):
        filing(cnil, officer, filed_at=database_now() + timedelta(minutes=1), reason_for_delay="r")


# -- small parts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "zone", "end"),
    [
        (date(2025, 6, 29), "America/Los_Angeles", "2025-06-30T06:59:59"),
        (date(2025, 6, 29), "UTC", "2025-06-29T23:59:59"),
        (datetime(2025, 6, 29, 9, tzinfo=UTC), "Asia/Tokyo", "2025-06-29T09:00:00"),
    ],
)
def test_a_day_ends_with_its_last_second_at_the_place(moment: date, zone: str, end: str) -> None:
    assert end_of(moment, zone) == utc(end)


def test_no_moment_has_no_end() -> None:
    assert end_of(None, "UTC") is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [({"b", "a"}, ["a", "b"]), (date(2025, 1, 2), "2025-01-02"), ({1: (None, True)}, {"1": [None, True]}), ("x", "x")],
)
def test_law_values_become_json(value: object, shown: Callable[..., object] | object) -> None:
    assert plain(value) == shown
