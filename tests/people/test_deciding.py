"""Every question gets a decision with a reason; a rejection takes two; the person's status follows; the log names nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from incidents.models import AffectedPerson, AuditEvent, Campaign, ImportRow, Incident, QueueEntry
from incidents.models.refusal import Refused
from incidents.people import deciding
from incidents.people.deciding import DecisionRefused
from incidents.people.importing import account
from incidents.vault import Vault
from tests.conftest import CARL, CLAIRE
from tests.people.conftest import Importer

LATER = date.today() + timedelta(days=30)  # noqa: DTZ011
ANNA = {**CARL, "person_id": "anna", "customer_number": "C8", "full_name": "Anna Berg", "loyalty_home_store": ""}
BEN = {**CLAIRE, "person_id": "ben", "customer_number": "C7", "full_name": "Ben Holt", "email": "ben@@example.org"}
DORA = {**CLAIRE, "person_id": "dora", "customer_number": "C6", "full_name": "Dora Lind", "flags": "deceased"}
NOBODY = {**CLAIRE, "customer_number": "C5", "full_name": "No\nBody"}


@pytest.fixture
def asked(bring: Importer, incident: Incident) -> Incident:
    """Claire is clear; Anna's state, Ben's address and Dora's kin are asked; one row is nobody."""
    bring(CLAIRE, ANNA, BEN, DORA, NOBODY)
    return incident


def entries(incident: Incident, *kinds: str) -> QuerySet[QueueEntry]:
    return incident.queue.filter(kind__in=kinds) if kinds else incident.queue.all()


def status(incident: Incident, name: str) -> str:
    return AffectedPerson.objects.get(incident=incident, reference=name).status


def test_each_question_stands_in_its_queue(asked: Incident) -> None:
    assert sorted(entries(asked).values_list("kind", flat=True)) == ["address", "next_of_kin", "row", "state_unknown"]
    assert deciding.undecided(incident=asked).count() == 4


def test_held_people_are_counted_and_decided(asked: Incident, officer: User) -> None:
    done = deciding.hold(incident=asked, entries=entries(asked), until=LATER, reason="the boutique asks", author=officer)
    assert done == 3, "a row that is nobody cannot be held"
    assert [status(asked, name) for name in ("anna", "ben", "dora", "claire")] == ["held", "held", "held", "clear"]
    assert account(incident=asked).held == 3 and account(incident=asked).adds_up
    entry = entries(asked, "address").get()
    assert (entry.held_until, entry.decision_reason, entry.decided_by) == (LATER, "the boutique asks", officer)
    assert list(deciding.undecided(incident=asked).values_list("kind", flat=True)) == ["row"]


@pytest.mark.parametrize("days", [0, -1])
def test_a_hold_ends_in_the_future(asked: Incident, officer: User, days: int) -> None:
    until = date.today() + timedelta(days=days)  # noqa: DTZ011
    with pytest.raises(DecisionRefused, match="is not in the future"):
        deciding.hold(incident=asked, entries=entries(asked), until=until, reason="r", author=officer)


def test_a_question_is_accepted_as_it_stands_but_never_a_missing_address_or_a_row(asked: Incident, officer: User) -> None:
    assert deciding.accept(incident=asked, entries=entries(asked), reason="kin confirmed", author=officer) == 2
    assert [status(asked, name) for name in ("anna", "dora", "ben")] == ["clear", "clear", "attention"]


def test_a_residence_is_set_and_the_cohort_follows(asked: Incident, officer: User) -> None:
    deciding.correct_residence(
        incident=asked, entries=entries(asked), residence="US-WA", reason="the shop's records", author=officer
    )
    anna = AffectedPerson.objects.get(incident=asked, reference="anna")
    assert (anna.residence, anna.residence_from, anna.status) == ("US-WA", "decision", "clear")
    assert anna.cohort is not None and (anna.cohort.residence, anna.cohort.count) == ("US-WA", 1)
    assert not asked.cohorts.filter(residence="US", count__gt=0).exists()
    assert status(asked, "ben") == "attention", "only questions about the residence are answered by one"


@pytest.mark.parametrize("code", ["UK", "England", "XX", "ZZ", "us-wa", "US-XX", "", "FR ", "FRA", "US-WA;DROP"])
def test_a_residence_that_is_no_code_is_refused(asked: Incident, officer: User, code: str) -> None:
    with pytest.raises(DecisionRefused, match="is no residence. Use an ISO code"):
        deciding.correct_residence(incident=asked, entries=entries(asked), residence=code, reason="r", author=officer)
    assert AffectedPerson.objects.get(reference="anna").residence == "US"


def test_a_corrected_address_is_sealed_and_found(asked: Incident, officer: User) -> None:
    entry = entries(asked, "address").get()
    deciding.correct_address(incident=asked, entry=entry, address=" ben@EXAMPLE.org", reason="he wrote it down", author=officer)
    ben = AffectedPerson.objects.get(reference="ben")
    vault = Vault(incident=asked)
    assert vault.open(person=ben).emails == ("ben@example.org",) and vault.open(person=ben).full_name == "Ben Holt"
    assert (ben.has_email, ben.status) == (True, "clear")
    assert bytes(ben.email_index or b"") == vault.blind(kind="email", value="ben@example.org")


@pytest.mark.parametrize(
    "address", ["", "n/a", "ben@@example.org", "a@b.example,c@d.example", "ben@example.org\nBcc: x@y.example"]
)
def test_an_address_that_cannot_be_used_is_refused_without_repeating_it(asked: Incident, officer: User, address: str) -> None:
    entry = entries(asked, "address").get()
    with pytest.raises(DecisionRefused, match="cannot be used") as caught:
        deciding.correct_address(incident=asked, entry=entry, address=address, reason="r", author=officer)
    assert "example" not in str(caught.value) and status(asked, "ben") == "attention"


@pytest.mark.parametrize("kind", ["next_of_kin", "row"])
def test_an_address_answers_only_questions_about_an_address(asked: Incident, officer: User, kind: str) -> None:
    entry = entries(asked, kind).get()
    with pytest.raises(DecisionRefused, match="not about an address"):
        deciding.correct_address(incident=asked, entry=entry, address="x@example.org", reason="r", author=officer)


# -- rejecting -----------------------------------------------------------------------------------------------------


def test_a_rejection_takes_two(asked: Incident, officer: User, counsel: User) -> None:
    assert deciding.propose_rejection(incident=asked, entries=entries(asked), reason="test accounts", author=officer) == 4
    assert status(asked, "dora") == "attention" and deciding.undecided(incident=asked).count() == 4
    assert deciding.confirm_rejection(incident=asked, entries=entries(asked), author=counsel) == 4
    assert status(asked, "dora") == "rejected" and not deciding.undecided(incident=asked).exists()
    assert ImportRow.objects.get(number=6).outcome == "rejected"
    numbers = account(incident=asked)
    assert (numbers.people, numbers.rejected, numbers.rejection_pending) == (1, 4, 0) and numbers.adds_up
    assert sum(asked.cohorts.values_list("count", flat=True)) == 1


def test_whoever_proposed_cannot_confirm(asked: Incident, officer: User) -> None:
    deciding.propose_rejection(incident=asked, entries=entries(asked), reason="test accounts", author=officer)
    with pytest.raises(DecisionRefused, match="a second person has to"):
        deciding.confirm_rejection(incident=asked, entries=entries(asked), author=officer)
    assert not asked.queue.filter(status="rejected").exists()


def test_what_nobody_proposed_is_not_confirmed(asked: Incident, counsel: User) -> None:
    assert deciding.confirm_rejection(incident=asked, entries=entries(asked), author=counsel) == 0
    assert not asked.people.filter(status="rejected").exists()


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("status = 'rejected', decision_reason = 'r', decided_by_id = {officer}", "rejected_by_two"),
        (
            "status = 'rejected', decision_reason = 'r', decided_by_id = {officer}, second_by_id = {officer}",
            "two_different_people",
        ),
        ("status = 'held', decision_reason = 'r'", "held_until_a_date"),
        ("status = 'corrected'", "a_decision_has_a_reason"),
    ],
)
def test_the_database_refuses_what_the_code_refuses(asked: Incident, officer: User, change: str, constraint: str) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE incidents_queueentry SET {change.format(officer=officer.pk)}")


# -- all decisions -------------------------------------------------------------------------------------------------

DECISIONS: dict[str, Callable[[Incident, User, str], object]] = {
    "hold": lambda i, who, why: deciding.hold(incident=i, entries=entries(i), until=LATER, reason=why, author=who),
    "accept": lambda i, who, why: deciding.accept(incident=i, entries=entries(i), reason=why, author=who),
    "residence": lambda i, who, why: deciding.correct_residence(
        incident=i, entries=entries(i), residence="FR", reason=why, author=who
    ),
    "address": lambda i, who, why: deciding.correct_address(
        incident=i, entry=entries(i, "address")[0], address="ben@example.org", reason=why, author=who
    ),
    "reject": lambda i, who, why: deciding.propose_rejection(incident=i, entries=entries(i), reason=why, author=who),
}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS.keys())
@pytest.mark.parametrize("reason", ["", "  \n\t"])
def test_a_decision_needs_a_reason_in_words(
    asked: Incident, officer: User, decide: Callable[[Incident, User, str], object], reason: str
) -> None:
    with pytest.raises(DecisionRefused, match="needs its reason"):
        decide(asked, officer, reason)
    assert set(asked.queue.values_list("status", flat=True)) == {"open"}


@pytest.mark.parametrize("decide", DECISIONS.values(), ids=DECISIONS.keys())
def test_no_entry_of_a_decision_holds_personal_data(
    asked: Incident, officer: User, decide: Callable[[Incident, User, str], object]
) -> None:
    before = AuditEvent.objects.count()
    decide(asked, officer, "as the shop's records say")
    lines = "\n".join(AuditEvent.objects.order_by("id").values_list("line", flat=True)[before:])
    assert "as the shop's records say" in lines and '"actor":"officer"' in lines
    assert not [text for text in ("Anna", "Berg", "Ben", "Holt", "Dora", "Lind", "@", "C8", "C7", "C6", '"ben"') if text in lines]


@pytest.mark.parametrize("decide", [*DECISIONS.values(), None], ids=[*DECISIONS.keys(), "confirm"])
def test_after_the_freeze_no_decision_changes_the_register(
    asked: Incident, officer: User, counsel: User, decide: Callable[[Incident, User, str], object] | None
) -> None:
    facts = asked.facts
    Campaign.objects.create(
        incident=asked, reference="c1", register_root="0" * 64, letters_root="0" * 64, people=1, author_ids=[officer.pk],
        headers={}, facts=facts, frozen_by=officer, frozen_at=facts.recorded_at,
    )  # fmt: skip
    with pytest.raises(DecisionRefused, match="register is frozen"):
        if decide:
            decide(asked, officer, "too late")
        else:
            deciding.confirm_rejection(incident=asked, entries=entries(asked), author=counsel)


def test_the_heaviest_open_question_gives_the_status(bring: Importer, incident: Incident, officer: User) -> None:
    bring({**DORA, "email": "", "stated_country": "US"})
    for kind, after in (("next_of_kin", "attention"), ("no_channel", "attention"), ("state_unknown", "held")):
        deciding.hold(incident=incident, entries=entries(incident, kind), until=LATER, reason="r", author=officer)
        assert status(incident, "dora") == after
    deciding.accept(incident=incident, entries=entries(incident, "state_unknown"), reason="r", author=officer)
    assert status(incident, "dora") == "held"


def test_entries_of_another_incident_are_left_alone(asked: Incident, officer: User) -> None:
    other = Incident.objects.create(
        reference="other-2026", title="x", wrapped_key=asked.wrapped_key, created_by=officer, created_at=asked.created_at
    )
    assert deciding.hold(incident=other, entries=entries(asked), until=LATER, reason="r", author=officer) == 0
    with pytest.raises(Refused):
        deciding.correct_address(
            incident=other, entry=entries(asked, "address")[0], address="x@example.org", reason="r", author=officer
        )
    assert set(asked.queue.values_list("status", flat=True)) == {"open"}
