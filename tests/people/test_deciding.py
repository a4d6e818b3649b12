"""Every question gets a decision with a reason; a rejection takes two; the person's status follows; the log names nobody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext

from incidents.audit.log import database_now
from incidents.dispatch.obstacles import freeze_obstacles
from incidents.letters.in_their_place import address_of
from incidents.models import AffectedPerson, AuditEvent, Campaign, ImportRow, Incident, Message, QueueEntry, RegisterEntry
from incidents.models.refusal import Refused
from incidents.people import deciding
from incidents.people.adding import ANSWERED
from incidents.people.decided import done_in_words
from incidents.people.deciding import DecisionRefused
from incidents.people.decisions import follow
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.importing import account
from incidents.people.representing import confirm_safe, name_representative
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


def test_what_was_done_with_a_question_is_said_and_not_only_that_it_was_corrected(asked: Incident, officer: User) -> None:
    residence, address, kin, row = (entries(asked, kind).get() for kind in ("state_unknown", "address", "next_of_kin", "row"))
    deciding.accept(incident=asked, entries=entries(asked, kin.kind), reason="kin confirmed", author=officer)
    deciding.correct_residence(
        incident=asked, entries=entries(asked, residence.kind), residence="US-WA", reason="she said", author=officer
    )
    deciding.correct_address(incident=asked, entry=address, address="ben@example.org", reason="she said", author=officer)
    said = done_in_words(entries=list(entries(asked)))
    assert said == {
        kin.pk: "accepted as it stands", residence.pk: "corrected: the residence is set", address.pk: "corrected",
        row.pk: "needs a decision",
    }  # fmt: skip
    entries(asked, kin.kind).update(decision_reason=ANSWERED)
    entries(asked, address.kind).update(decision_reason="of an earlier version, without an entry in the log")
    said = done_in_words(entries=list(entries(asked)))
    assert (said[kin.pk], said[address.pk]) == ("answered by another row", "decided")


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


def test_a_hold_is_for_a_day_within_a_year_that_somebody_will_see(asked: Incident, officer: User) -> None:
    last = database_now().date() + timedelta(days=366)
    for until in (date(9999, 12, 31), last + timedelta(days=1)):
        with pytest.raises(DecisionRefused, match=f"is more than 366 days ahead. .* {last.isoformat()} at the latest"):
            deciding.hold(incident=asked, entries=entries(asked), until=until, reason="r", author=officer)
    assert not entries(asked).filter(held_until__isnull=False).exists()
    assert deciding.hold(incident=asked, entries=entries(asked), until=last, reason="r", author=officer) == 3


def test_somebody_whose_day_has_passed_waits_for_a_decision_again(asked: Incident, officer: User) -> None:
    deciding.hold(incident=asked, entries=entries(asked), until=LATER, reason="the boutique asks", author=officer)
    assert deciding.hold(incident=asked, entries=entries(asked), until=LATER, reason="once more", author=officer) == 0
    today = database_now().date()
    entries(asked, "next_of_kin").update(held_until=today)
    entries(asked, "address").update(held_until=today + timedelta(days=1))
    assert sorted(deciding.undecided(incident=asked).values_list("kind", flat=True)) == ["next_of_kin", "row"]
    assert status(asked, "dora") == "held", "no letter goes to anybody by a day alone"
    assert any(
        line.startswith("1 queue entries were held until a day that has passed") for line in freeze_obstacles(incident=asked)
    )
    assert deciding.hold(incident=asked, entries=entries(asked), until=LATER, reason="once more", author=officer) == 1
    assert list(deciding.undecided(incident=asked).values_list("kind", flat=True)) == ["row"]


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


def sign(incident: Incident, officer: User, state: str) -> None:
    """A frozen register with a line of everybody, as it stands after `state`."""
    facts = incident.facts
    campaign = Campaign.objects.create(
        incident=incident, reference="c1", register_root="0" * 64, letters_root="0" * 64, people=1, author_ids=[officer.pk],
        headers={}, facts=facts, frozen_by=officer, frozen_at=facts.recorded_at,
    )  # fmt: skip
    for person in incident.people.all():
        entry = RegisterEntry.objects.create(campaign=campaign, person=person, line="{}")
        Message.objects.create(entry=entry, campaign=campaign, message_ref=f"{person.pk:032}", state=state)


def test_a_proposed_rejection_is_refused_or_taken_back_with_a_reason_and_asked_again(
    asked: Incident, officer: User, counsel: User
) -> None:
    deciding.propose_rejection(incident=asked, entries=entries(asked, "next_of_kin", "row"), reason="test", author=officer)
    with pytest.raises(DecisionRefused, match="needs its reason"):
        deciding.refuse_rejection(incident=asked, entries=entries(asked), reason=" ", author=counsel)
    refused = deciding.refuse_rejection(incident=asked, entries=entries(asked, "next_of_kin"), reason="she lives", author=counsel)
    back = deciding.refuse_rejection(incident=asked, entries=entries(asked, "row"), reason="wrong row", author=officer)
    assert (refused, back) == (1, 1) and status(asked, "dora") == "attention"
    assert set(entries(asked).values_list("status", "decided_by", "decision_reason")) == {("open", None, "")}
    lines = AuditEvent.objects.filter(action="queue.rejection_withdrawn").order_by("id").values_list("line", flat=True)
    assert '"actor":"counsel"' in lines[0] and '"proposed_by":"officer"' in lines[0] and '"reason":"she lives"' in lines[0]
    assert '"actor":"officer"' in lines[1] and len(lines) == 2
    assert deciding.confirm_rejection(incident=asked, entries=entries(asked), author=counsel) == 0
    assert deciding.accept(incident=asked, entries=entries(asked, "next_of_kin"), reason="her son reads it", author=officer) == 1


def test_who_decides_about_thousands_waits_no_longer_for_each_of_them(
    bring: Importer, incident: Incident, officer: User, counsel: User
) -> None:
    many = [{**DORA, "person_id": f"d{n}", "customer_number": f"D{n}", "email": f"d{n}@example.org"} for n in range(20)]
    bring(*many)

    def queries(step: Callable[..., int], **said: object) -> int:
        with CaptureQueriesContext(connection) as asked:
            assert step(incident=incident, entries=entries(incident), **said) == 20
        return len(asked)

    propose = {"reason": "test", "author": officer}
    assert queries(deciding.propose_rejection, **propose) < 20
    assert queries(deciding.refuse_rejection, reason="they are ours", author=counsel) < 20
    queries(deciding.propose_rejection, **propose)
    assert queries(deciding.confirm_rejection, author=counsel) < 30 and account(incident=incident).adds_up


@pytest.mark.parametrize("name", ["hold", "residence", "reject", "confirm"])
def test_after_the_freeze_no_decision_changes_the_register(asked: Incident, officer: User, counsel: User, name: str) -> None:
    if name == "confirm":
        deciding.propose_rejection(incident=asked, entries=entries(asked), reason="r", author=officer)
    sign(asked, officer, "planned")
    with pytest.raises(DecisionRefused, match="register is frozen"):
        if name == "confirm":
            deciding.confirm_rejection(incident=asked, entries=entries(asked), author=counsel)
        else:
            DECISIONS[name](asked, officer, "too late")


def test_after_the_freeze_the_register_is_accepted_as_it_stands_person_by_person(asked: Incident, officer: User) -> None:
    sign(asked, officer, "planned")
    with pytest.raises(DecisionRefused, match="2 of these entries say .* Accept those one person at a time"):
        DECISIONS["accept"](asked, officer, "too late")
    assert deciding.accept(incident=asked, entries=entries(asked, "next_of_kin"), reason="his wife reads it", author=officer) == 1
    assert not Message.objects.exclude(state="planned").exists()


def test_whoever_is_held_on_the_register_can_be_decided_about(asked: Incident, officer: User) -> None:
    deciding.hold(incident=asked, entries=entries(asked), until=LATER, reason="r", author=officer)
    sign(asked, officer, "held")
    assert deciding.accept(incident=asked, entries=entries(asked, "next_of_kin"), reason="kin found", author=officer) == 1
    assert status(asked, "dora") == "clear"


# -- fields, representatives, safety -------------------------------------------------------------------------------


def test_a_corrected_field_closes_the_question_about_it_and_no_other(bring: Importer, incident: Incident, officer: User) -> None:
    bring({**CLAIRE, "date_of_birth": "2/3/80", "flags": "deceased"})
    entry = entries(incident, "data").get()
    done = deciding.correct_fields(
        incident=incident, entry=entry, changes={"date_of_birth": "1980-03-02"}, reason="her passport", author=officer
    )
    assert done == 1 and list(entries(incident).filter(status="open").values_list("kind", flat=True)) == ["next_of_kin"]
    claire = AffectedPerson.objects.get()
    assert Vault(incident=incident).open(person=claire).date_of_birth == "1980-03-02" and claire.name_birth_index


def test_a_row_that_is_nobody_is_corrected_by_the_reject_file_alone(asked: Incident, officer: User) -> None:
    with pytest.raises(DecisionRefused, match="about no person"):
        deciding.correct_fields(
            incident=asked, entry=entries(asked, "row").get(), changes={"full_name": "x"}, reason="r", author=officer
        )


def named(incident: Incident, officer: User, **given: str) -> int:
    what = {"role": "next_of_kin", "name": "Ida Lind", "email": "ida@example.org", "reason": "she wrote to us", **given}
    return name_representative(entry=entries(incident, "next_of_kin").get(), author=officer, **what)


def test_a_representative_answers_who_reads_the_letter(asked: Incident, officer: User) -> None:
    assert named(asked, officer) == 1 and status(asked, "dora") == "clear"
    dora = AffectedPerson.objects.get(incident=asked, reference="dora")
    fields = Vault(incident=asked).open(person=dora)
    assert (fields.representative_role, fields.representative_name, fields.representative_email) == (
        "next_of_kin", "Ida Lind", "ida@example.org",
    )  # fmt: skip
    assert address_of(fields=fields) == "ida@example.org"


@pytest.mark.parametrize("given", [{"role": "guardian"}, {"role": "friend"}, {"name": " "}, {"email": ""}, {"email": "ida@@x"}])
def test_a_representative_has_a_fitting_role_a_name_and_an_address(asked: Incident, officer: User, given: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        named(asked, officer, **given)
    assert "ida" not in str(refused.value) and status(asked, "dora") == "attention"


@pytest.mark.parametrize("flag", ["safe_address", "do_not_contact"])
def test_that_e_mail_is_safe_is_said_by_somebody(bring: Importer, incident: Incident, officer: User, flag: str) -> None:
    bring({**CLAIRE, "flags": flag})
    assert confirm_safe(incident=incident, entries=entries(incident), reason="she said so", author=officer) == 1
    assert status(incident, "claire") == "clear"


def test_nobody_is_safe_at_an_address_that_is_not_there(bring: Importer, incident: Incident, officer: User) -> None:
    bring({**CLAIRE, "email": "", "flags": "do_not_contact"})
    with pytest.raises(DecisionRefused, match="no e-mail address that could be safe"):
        confirm_safe(incident=incident, entries=entries(incident), reason="r", author=officer)


@pytest.mark.parametrize("flag", ["do_not_contact", "delay_order"])
def test_neither_danger_nor_an_order_is_just_accepted(bring: Importer, incident: Incident, officer: User, flag: str) -> None:
    bring({**CLAIRE, "flags": flag})
    assert deciding.accept(incident=incident, entries=entries(incident), reason="r", author=officer) == 0


def test_an_order_to_wait_ends_after_the_hold(bring: Importer, incident: Incident, officer: User) -> None:
    bring({**CLAIRE, "flags": "delay_order"})
    deciding.hold(incident=incident, entries=entries(incident), until=LATER, reason="order 7", author=officer)
    assert deciding.accept(incident=incident, entries=entries(incident), reason="order lifted", author=officer) == 1


def test_the_queues_are_shown_and_decided_from_the_command_line(
    asked: Incident, officer: User, counsel: User, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("decide", asked.reference)
    assert "4 entries need a decision" in capsys.readouterr().out
    by = ["--as", "officer", "--reason", "as the shop says"]
    call_command("decide", asked.reference, "state_unknown", "residence", "--to", "US-WA", *by)
    call_command("decide", asked.reference, "next_of_kin", "hold", "--until", LATER.isoformat(), "--person", "dora", *by)
    call_command("decide", asked.reference, "row", "reject", *by)
    assert "Nothing was decided" not in capsys.readouterr().out
    call_command("decide", asked.reference, "row", "reject", *by)
    told = capsys.readouterr().out
    assert "Nothing was decided" in told and "0 entries" not in told
    call_command("decide", asked.reference, "row", "confirm", "--as", "counsel")
    assert "1 still need a decision" in capsys.readouterr().out
    assert (status(asked, "anna"), status(asked, "dora"), account(incident=asked).rejected) == ("clear", "held", 1)


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


def test_a_status_that_follows_from_answered_questions_leaves_an_exclusion_standing(
    bring: Importer, incident: Incident, officer: User, counsel: User
) -> None:
    bring({**CLAIRE, "flags": "minor_16_17"})
    deciding.accept(incident=incident, entries=incident.queue.all(), reason="reads it herself", author=officer)
    claire = AffectedPerson.objects.get(incident=incident)
    proposed = propose_exclusion(person=claire, reason="for safety", author=officer)
    confirm_exclusion(exclusion=proposed, author=counsel)
    follow([claire.pk])
    claire.refresh_from_db()
    assert claire.status == "rejected"
