"""The engine: what is asked, what is refused, what a reason says, and which laws a breach touches."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from incidents.law.engine import assess
from incidents.law.facts import Addressee, Anchor, Assessment, Duty, Findings, Group, IncidentFacts, Owed, Reason
from incidents.law.pack import load_packs

AWARE = datetime(2026, 5, 4, 9, 20, tzinfo=UTC)
FACTS = IncidentFacts(anchors={Anchor.AWARE: AWARE}, established_in="FR", findings=Findings(risk="risk"))


def group(residence: str, *elements: str, count: int = 10, maybe: tuple[str, ...] = ()) -> Group:
    return Group(residence=residence, elements=frozenset(elements), count=count, maybe=frozenset(maybe))


def run(*groups: Group, **changes: Any) -> Assessment:
    return assess(facts=replace(FACTS, **changes), groups=groups, packs=load_packs())


def duty(found: Assessment, jurisdiction: str, addressee: Addressee, index: int | None = None) -> Duty:
    fitting = [d for d in found.duties if (d.jurisdiction, d.addressee) == (jurisdiction, addressee)]
    return next(d for d in fitting if index is None or d.group == index)


def leaves(reason: Reason) -> list[Reason]:
    return [leaf for part in reason.parts for leaf in leaves(part)] or [reason]


def test_person_duties_are_per_group_and_regulator_duties_per_jurisdiction() -> None:
    found = run(group("US-ND", "name", "email"), group("US-ND", "name", "date_of_birth"))
    people = [d for d in found.duties if d.addressee is Addressee.PERSON]
    assert [(d.group, d.owed) for d in people] == [(0, Owed.NO), (1, Owed.YES)]
    assert sum(d.addressee is Addressee.REGULATOR and d.jurisdiction == "US-ND" for d in found.duties) == 1


def test_a_lead_authority_is_told_even_where_no_one_lives_there() -> None:
    found = run(group("JP", "name"), established_in="FR")
    assert found.lead_authority == "FR"
    assert duty(found, "FR", Addressee.REGULATOR).owed is Owed.YES
    assert found.record_due


def test_an_authority_that_does_not_lead_names_the_one_that_does() -> None:
    refused = duty(run(group("DE", "name")), "DE", Addressee.REGULATOR)
    assert refused.owed is Owed.NO
    assert "the authority of FR leads" in refused.reasons[0].fact
    assert "a main establishment in DE" in refused.reasons[0].would_change


@pytest.mark.parametrize("established", [None, "CH", "US", "XX"])
def test_without_an_establishment_in_the_eea_every_authority_is_told(established: str | None) -> None:
    found = run(group("DE", "name"), group("IS", "name"), established_in=established)
    assert found.lead_authority is None
    assert {duty(found, state, Addressee.REGULATOR).owed for state in ("DE", "IS")} == {Owed.YES}


@pytest.mark.parametrize(
    ("risk", "regulator", "person"),
    [("unlikely", "no", "no"), ("risk", "yes", "no"), ("high", "yes", "yes"), ("unknown", "ask", "ask")],
)
@pytest.mark.parametrize("state", ["FR", "GB"])
def test_the_finding_on_risk_decides_the_gdpr_duties(state: str, risk: str, regulator: str, person: str) -> None:
    found = run(group(state, "name"), findings=Findings(risk=risk))
    assert duty(found, state, Addressee.REGULATOR).owed == regulator
    assert duty(found, state, Addressee.PERSON).owed == person


def test_a_question_names_the_finding_that_answers_it() -> None:
    asked = duty(run(group("FR", "name"), findings=Findings()), "FR", Addressee.PERSON)
    assert [q.finding for q in asked.questions] == ["risk"]
    assert asked.questions[0].reference == "Regulation (EU) 2016/679 (GDPR), Art 34"
    assert asked.deadline is not None
    assert asked.deadline.shown_at is None


def test_an_answered_question_is_not_asked_again() -> None:
    for likely, owed in (("yes", Owed.YES), ("no", Owed.NO)):
        found = run(group("US-WA", "name", "passport"), findings=Findings(misuse_likely=likely))
        answered = duty(found, "US-WA", Addressee.PERSON)
        assert (answered.owed, answered.questions) == (owed, ())


@pytest.mark.parametrize(("encrypted", "key_taken", "owed"), [(False, False, "yes"), (True, False, "no"), (True, True, "yes")])
@pytest.mark.parametrize("state", ["US-CA", "US-NY", "US-ND", "JP"])
def test_encryption_helps_only_while_the_key_is_safe(state: str, encrypted: bool, key_taken: bool, owed: str) -> None:
    found = run(group(state, "name", "ssn", "payment_card"), encrypted=encrypted, key_taken=key_taken)
    assert duty(found, state, Addressee.PERSON).owed == owed


@pytest.mark.parametrize("state", ["KR", "TR"])
def test_encryption_is_no_exemption_where_the_table_names_none(state: str) -> None:
    assert duty(run(group(state, "name"), encrypted=True), state, Addressee.PERSON).owed is Owed.YES


def test_a_doubtful_element_does_not_ask_where_it_changes_nothing() -> None:
    found = run(group("US-CA", "name", "drivers_license", maybe=("ssn",)))
    assert duty(found, "US-CA", Addressee.PERSON).owed is Owed.YES
    found = run(group("US-CA", "name", maybe=("date_of_birth",)))
    assert duty(found, "US-CA", Addressee.PERSON).owed is Owed.NO


def test_an_element_no_one_knows_becomes_a_question() -> None:
    asked = duty(run(group("US-CA", "name", "shoe_size")), "US-CA", Addressee.PERSON)
    assert [q.finding for q in asked.questions] == ["element:shoe_size"]


def test_a_conditional_trigger_asks_only_when_it_is_the_only_one() -> None:
    likely = Findings(misuse_likely="yes")
    both = duty(run(group("US-WA", "name", "ssn"), findings=likely), "US-WA", Addressee.PERSON)
    alone = duty(run(group("US-WA", "ssn"), findings=likely), "US-WA", Addressee.PERSON)
    neither = duty(run(group("US-WA", "email"), findings=likely), "US-WA", Addressee.PERSON)
    assert [both.owed, alone.owed, neither.owed] == [Owed.YES, Owed.ASK, Owed.NO]
    assert [q.finding for q in alone.questions] == ["enough_for_identity_theft"]


@pytest.mark.parametrize("residence", ["US", "US-ZZ", "CU", "XX", "UNKNOWN", "Georgia", "UK", "England", "USA"])
def test_a_residence_without_a_pack_is_a_question_and_not_a_default(residence: str) -> None:
    found = run(group(residence, "name", "ssn"))
    asked = duty(found, residence, Addressee.PERSON)
    assert found.law_unknown == (residence,)
    assert (asked.owed, asked.group, asked.references) == (Owed.ASK, 0, ("no pack",))
    assert [q.finding for q in asked.questions] == [f"law:{residence}"]


def test_regulators_count_only_people_to_whom_notice_is_owed() -> None:
    quiet = group("US-ND", "name", "email", count=9000)
    for count, owed in ((250, Owed.NO), (251, Owed.YES)):
        found = run(quiet, group("US-ND", "name", "date_of_birth", count=count))
        assert duty(found, "US-ND", Addressee.REGULATOR).owed is owed


def test_a_threshold_that_hangs_on_a_finding_is_the_same_question() -> None:
    asked = duty(run(group("US-WA", "name", "ssn", count=501)), "US-WA", Addressee.REGULATOR)
    assert (asked.owed, [q.finding for q in asked.questions]) == (Owed.ASK, ["misuse_likely"])


def test_every_leaf_of_a_reason_says_condition_fact_reference_and_what_would_change_it() -> None:
    found = run(group("US-CA", "name", "ssn"), group("JP", "name"), group("FR", "name"), group("CH", "name"))
    for each in found.duties:
        for leaf in [leaf for reason in each.reasons for leaf in leaves(reason)]:
            assert all((leaf.condition, leaf.fact, leaf.reference, leaf.would_change)), (each.jurisdiction, leaf)


def test_the_law_of_the_day_of_discovery_is_applied_and_named() -> None:
    anchors: Mapping[Anchor, date] = {Anchor.DISCOVERED: date(2025, 12, 31)}
    old = duty(run(group("US-CA", "name", "ssn"), anchors=anchors), "US-CA", Addressee.PERSON)
    assert old.deadline is not None
    assert (old.deadline.kind, old.deadline.shown_at) == ("without_unreasonable_delay", None)
    assert old.reasons[-1].fact == "discovered on 2025-12-31"


def test_the_local_day_decides_which_law_it_was() -> None:
    evening = datetime(2026, 1, 1, 7, 30, tzinfo=UTC)  # still 31 December in Los Angeles
    found = duty(run(group("US-CA", "name", "ssn"), anchors={Anchor.DISCOVERED: evening}), "US-CA", Addressee.PERSON)
    assert found.deadline is not None
    assert found.deadline.shown_at is None


def test_a_day_before_the_pack_begins_owes_nothing_under_it_and_names_the_doubt() -> None:
    anchors = {Anchor.AWARE: date(2021, 1, 4)}
    found = duty(run(group("KR", "name"), anchors=anchors), "KR", Addressee.REGULATOR)
    assert found.owed is Owed.NO
    assert "begins on 2023-09-15: whether an earlier law" in found.doubt[-1]


@pytest.mark.parametrize(
    ("residence", "hint"),
    [
        ("UK", "GB"),
        ("England", "GB"),
        ("USA", "which US state"),
        ("Georgia", "US-GA or GE"),
        ("US", "which US state"),
        ("XX", "which"),
    ],
)
def test_a_word_that_is_no_residence_is_asked_about_with_the_code_it_may_mean(residence: str, hint: str) -> None:
    asked = duty(run(group(residence, "name")), residence, Addressee.PERSON)
    assert hint.casefold() in asked.questions[0].text.casefold()


def test_without_any_date_the_law_of_the_day_of_the_check_applies_and_no_deadline_is_invented() -> None:
    found = duty(run(group("KR", "name"), anchors={}), "KR", Addressee.PERSON)
    assert found.owed is Owed.YES
    assert found.deadline is not None
    assert found.deadline.shown_at is None


def test_the_supplier_knowing_first_starts_no_clock() -> None:
    found = run(group("FR", "name"), processor_aware_at=datetime(2026, 5, 1, tzinfo=UTC))
    deadline = duty(found, "FR", Addressee.REGULATOR).deadline
    assert deadline is not None
    assert deadline.anchor_at == AWARE


def test_a_late_filing_must_give_its_reasons_and_one_within_the_legal_end_need_not() -> None:
    for hour, late in ((9, False), (10, False), (11, True)):
        filed = {"FR": datetime(2026, 5, 7, hour, tzinfo=UTC)}
        found = duty(run(group("FR", "name"), filed_at=filed), "FR", Addressee.REGULATOR)
        assert found.reasons_for_delay_required is late
        assert ("reasons_for_delay" in found.content_required) is late


def test_a_mailbox_whose_credentials_leaked_is_barred() -> None:
    found = run(group("US-CA", "email", "email_account_credentials"), group("US-CA", "email", "online_credentials"))
    assert duty(found, "US-CA", Addressee.PERSON, 0).channels_barred == ("compromised_email",)
    assert duty(found, "US-CA", Addressee.PERSON, 1).channels_barred == ()


def test_monitoring_is_offered_for_the_elements_that_bring_it() -> None:
    found = run(group("US-CA", "name", "ssn"), group("US-CA", "name", "medical_information"))
    assert [duty(found, "US-CA", Addressee.PERSON, i).monitoring_months for i in (0, 1)] == [12, 0]


def test_a_processor_owes_the_authority_and_the_people_nothing() -> None:
    found = run(group("FR", "name"), group("US-CA", "name", "ssn"), role="processor", findings=Findings(risk="high"))
    assert {d.owed for d in found.duties if d.addressee is not Addressee.CONTROLLER} == {Owed.NO}
    assert not found.record_due


def test_a_processor_tells_its_controller_by_its_own_clock() -> None:
    knew = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
    found = run(group("FR", "name"), group("US-AL", "name"), group("KE", "name"), role="processor", processor_aware_at=knew)
    told = {d.jurisdiction: d.deadline for d in found.duties if d.addressee is Addressee.CONTROLLER and d.owed is Owed.YES}
    assert set(told) == {"FR", "US-AL", "KE"}
    shown = {place: deadline.shown_at for place, deadline in told.items() if deadline}
    assert shown == {"FR": None, "US-AL": date(2026, 5, 11), "KE": datetime(2026, 5, 3, 8, 0, tzinfo=UTC)}
    assert not [d for d in run(group("FR", "name")).duties if d.addressee is Addressee.CONTROLLER]


def test_a_sector_law_reaches_only_its_sector() -> None:
    retail, telecom = run(group("GB", "name")), run(group("GB", "name"), sector="telecom")
    assert {d.regime for d in retail.duties if d.jurisdiction == "GB"} == {"general"}
    assert {d.regime for d in telecom.duties if d.jurisdiction == "GB"} == {"general", "pecr"}


def test_a_doubtful_sector_law_owes_nothing_until_somebody_records_that_it_binds() -> None:
    def network_act(**answers: str) -> Duty:
        found = run(group("KR", "name"), cause="attack", findings=Findings(risk="risk", answers=answers))
        return next(d for d in found.duties if d.regime == "network_act")

    silent, said = network_act(), network_act(information_service_provider="yes")
    assert (silent.owed, [q.finding for q in silent.may_record]) == (Owed.NO, ["information_service_provider"])
    assert said.owed is Owed.YES and said.deadline and said.deadline.shown_at == AWARE + timedelta(hours=24)


def test_a_sector_law_that_displaces_the_general_one_is_named() -> None:
    found = run(group("GB", "name"), sector="telecom")
    general, sector = (d for d in found.duties if (d.jurisdiction, d.addressee) == ("GB", Addressee.REGULATOR))
    assert (general.owed, sector.owed) == (Owed.NO, Owed.YES)
    assert "PECR" in general.reasons[0].fact


def test_the_hashes_of_the_packs_used_are_part_of_the_result() -> None:
    found = run(group("JP", "name"))
    assert dict(found.packs) == {key: load_packs().packs[key].sha256 for key in ("FR", "JP")}
    assert duty(found, "JP", Addressee.PERSON).pack_sha256 == found.packs["JP"]
