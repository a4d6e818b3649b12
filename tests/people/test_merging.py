"""One person or two is decided by somebody, can be taken back, and whatever happens every row is still counted once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, connection, transaction
from django.db.models import Q

from incidents.dispatch.campaign import freeze
from incidents.models import AffectedPerson, AuditEvent, Campaign, Incident, Merge, PersonStatus, QueueEntry
from incidents.people import deciding
from incidents.people.amending import open_amendment
from incidents.people.correcting import correct_person
from incidents.people.decided import done_in_words
from incidents.people.decisions import LATER, LEFT, DecisionRefused
from incidents.people.importing import account, import_people
from incidents.people.merging import keep_apart, merge_people, undo_merge
from incidents.people.rows import ONLY_POST
from incidents.vault import PersonFields, Vault
from tests.conftest import CLAIRE, COLUMNS
from tests.people.conftest import Importer, Row, kinds
from tests.people.test_matching import ANNA, BORN, EMAILS, NO_NUMBER

BEN: Row = {**ANNA, "full_name": "Ben Holt", "email": "ben@example.org", "elements": "name;phone", "flags": "employee"}


WITH_PHONE = (*COLUMNS, "phone")


def fields(person: AffectedPerson) -> PersonFields:
    person.refresh_from_db()
    return Vault(incident=person.incident).open(person=person)


def conflicts(incident: Incident) -> Any:
    return incident.queue.filter(kind="match_conflict").order_by("id")


def living(incident: Incident) -> list[AffectedPerson]:
    return list(AffectedPerson.objects.filter(incident=incident).exclude(status=PersonStatus.MERGED).order_by("id"))


@pytest.fixture
def doubted(bring: Importer, incident: Incident) -> QueueEntry:
    """One customer number beside two names."""
    bring(ANNA, BEN)
    return conflicts(incident).get()


# -- what is asked -------------------------------------------------------------------------------------------------


def test_a_conflict_names_both_sides(doubted: QueueEntry, incident: Incident) -> None:
    anna, ben = living(incident)
    assert (doubted.person, doubted.other) == (ben, anna)


@pytest.mark.parametrize("apart", [False, True], ids=["one-file", "two-files"])
@pytest.mark.parametrize(
    ("one", "other"),
    [
        (ANNA, BEN),
        (ANNA, {**ANNA, "customer_number": "C8"}),
        ({**ANNA, **BORN}, {**ANNA, "date_of_birth": "1990-03-02"}),
        ({**NO_NUMBER, **BORN}, {**NO_NUMBER, **BORN, "email": EMAILS[1], "stated_country": "DE"}),
        ({**NO_NUMBER, **BORN}, {**NO_NUMBER, "date_of_birth": "1990-03-02"}),
    ],
    ids=["number-two-names", "email-two-numbers", "number-two-births", "birth-two-homes", "email-two-births"],
)
def test_what_agrees_and_contradicts_is_asked_of_somebody(
    bring: Importer, incident: Incident, one: Row, other: Row, apart: bool
) -> None:
    for rows in ([one], [other]) if apart else ([one, other],):
        bring(*rows)
    (entry,) = conflicts(incident)
    assert {entry.person, entry.other} == set(living(incident)) and account(incident=incident).adds_up


def test_a_common_name_and_a_birth_date_alone_make_nobody_one_person(bring: Importer, incident: Incident) -> None:
    john = {**NO_NUMBER, "full_name": "John Smith"}
    bring({**john, **BORN}, {**john, **BORN, "email": EMAILS[1]}, {**john, "date_of_birth": "1991-01-01", "email": EMAILS[2]})
    assert len(living(incident)) == 3 and conflicts(incident).count() == 1


@pytest.mark.parametrize(("decide", "words"), [(keep_apart, "decided: two people"), (merge_people, "decided: one person")])
def test_what_was_decided_of_two_who_may_be_one_is_said_and_is_no_correction(
    bring: Importer, incident: Incident, officer: User, decide: Callable[..., int], words: str
) -> None:
    john = {**NO_NUMBER, "full_name": "John Smith"}
    bring({**john, **BORN}, {**john, **BORN, "email": EMAILS[1]}, {**john, "date_of_birth": "1991-01-01", "email": EMAILS[2]})
    decide(incident=incident, entries=conflicts(incident), reason="they say so", author=officer)
    assert set(done_in_words(entries=list(incident.queue.filter(kind="match_conflict"))).values()) == {words}
    for merge in incident.merges.filter(undone_at=None, other__isnull=False):
        undo_merge(merge=merge, reason="they say otherwise", author=officer)
        newest = incident.queue.filter(kind="match_conflict").order_by("-id")[:1]
        assert list(done_in_words(entries=list(newest)).values()) == ["decided: two people"]


def test_two_customer_numbers_with_one_name_and_birth_date_are_two_people_as_their_source_says(
    bring: Importer, incident: Incident
) -> None:
    bring({**ANNA, **BORN}, {**ANNA, **BORN, "customer_number": "C8", "email": EMAILS[1]})
    assert len(living(incident)) == 2 and kinds(incident) == []


@pytest.mark.parametrize("apart", [False, True], ids=["one-file", "two-files"])
def test_rows_with_and_without_a_number_are_one_by_email_and_name(bring: Importer, incident: Incident, apart: bool) -> None:
    for rows in ([NO_NUMBER], [ANNA]) if apart else ([NO_NUMBER, ANNA],):
        bring(*rows)
    (anna,) = living(incident)
    vault = Vault(incident=incident)
    assert fields(anna).customer_number == "C9" and bytes(anna.customer_index or b"") == vault.blind(kind="customer", value="C9")
    assert bring({**ANNA, "email": EMAILS[2]}).accounting.merged == 2, "found by the number that the second row brought"


IN_PARIS = {"street": "1 rue de l’Exemple", "city": "Paris", "postcode": "75001", "stated_country": "FR"}
HOME = (*COLUMNS, "street", "city", "postcode")


@pytest.mark.parametrize("flag", ["safe_address", "moved"])
@pytest.mark.parametrize("apart", [False, True], ids=["one-file", "two-files"])
@pytest.mark.parametrize("flagged_first", [False, True])
def test_whom_one_row_protects_is_not_reachable_at_the_postal_address_of_another(
    bring: Importer, incident: Incident, flag: str, apart: bool, flagged_first: bool
) -> None:
    rows: list[Row] = [{**ANNA, **IN_PARIS}, {**ANNA, "stated_country": "FR", "flags": flag}]
    rows = rows[::-1] if flagged_first else rows
    for some in ([rows[0]], [rows[1]]) if apart else (rows,):
        bring(*some, columns=HOME)
    (anna,) = living(incident)
    assert fields(anna).street and flag in anna.flags and not anna.has_post


def test_whom_one_row_protects_is_not_said_to_be_reachable_by_post(bring: Importer, incident: Incident) -> None:
    silent = {**ANNA, "email": ""}
    bring({**silent, **IN_PARIS}, {**silent, "stated_country": "FR", "flags": "safe_address"}, columns=HOME)
    (asked,) = incident.queue.filter(kind="no_channel")
    assert "postal" not in asked.reason and "post" not in asked.remedy


SILENT = {**ANNA, "email": ""}
PROTECTED = {**SILENT, "stated_country": "FR", "flags": "safe_address"}


def ways_asked(incident: Incident) -> dict[str, str]:
    """The questions for a channel, those about post apart, with what became of each."""
    asked = incident.queue.filter(kind="no_channel").exclude(person__status=PersonStatus.MERGED)
    return {"post" if "post" in one.remedy else "channel": one.status for one in asked}


def test_the_question_to_write_by_post_ends_with_a_later_list_that_protects_the_address(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**SILENT, **IN_PARIS}, columns=HOME)
    waiting = incident.queue.filter(kind="no_channel")
    until = date.today() + timedelta(days=30)  # noqa: DTZ011
    deciding.hold(incident=incident, entries=waiting, until=until, reason="written by post", author=officer)
    assert ways_asked(incident) == {"post": "held"}
    bring(PROTECTED, columns=HOME)
    assert ways_asked(incident) == {"post": "corrected", "channel": "open"}
    undo_merge(merge=incident.merges.get(), reason="somebody else", author=officer)
    assert incident.queue.get(reason=ONLY_POST.reason, status="open").person == living(incident)[0]


def test_the_question_to_write_by_post_ends_with_a_merge_that_protects_the_address(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**SILENT, **IN_PARIS}, {**PROTECTED, "full_name": "Ben Holt"}, columns=HOME)
    merge_people(incident=incident, entries=conflicts(incident), reason="one person", author=officer)
    assert ways_asked(incident) == {"post": "corrected", "channel": "open"}


def test_the_question_to_write_by_post_ends_with_a_correction_that_protects_the_address(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**SILENT, **IN_PARIS}, columns=HOME)
    correct_person(person=incident.people.get(), changes={"flags": "safe_address"}, reason="she said so", author=officer)
    assert ways_asked(incident) == {"post": "corrected", "channel": "open"}


def test_somebody_whose_protected_row_is_taken_out_again_can_be_written_to(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**ANNA, **IN_PARIS}, {**ANNA, "stated_country": "FR", "flags": "safe_address"}, columns=HOME)
    undo_merge(merge=incident.merges.get(), reason="somebody else", author=officer)
    assert sorted(incident.people.values_list("has_post", "flags")) == [(False, ["safe_address"]), (True, [])]


def test_somebody_is_found_by_each_of_their_addresses(bring: Importer, incident: Incident) -> None:
    bring(*({**ANNA, "email": email} for email in EMAILS))
    bring({**NO_NUMBER, "email": EMAILS[2], "language": "de"})
    assert len(living(incident)) == 1


def test_a_row_that_fits_two_people_joins_one_and_asks(bring: Importer, incident: Incident) -> None:
    bring(ANNA)
    bring({**NO_NUMBER, "email": EMAILS[1]})
    bring({**ANNA, "email": EMAILS[1]})
    one, two = living(incident)
    (entry,) = conflicts(incident)
    assert {entry.person, entry.other} == {one, two} and "fits two people" in entry.reason


@pytest.mark.parametrize("address", ["a.nna@example.org", "anna+shop@example.org"])
def test_dots_and_plus_tags_are_other_addresses(bring: Importer, incident: Incident, address: str) -> None:
    bring(NO_NUMBER, {**NO_NUMBER, "email": address})
    assert len(living(incident)) == 2


def test_a_long_chain_of_rows_ends_at_one_person(bring: Importer, incident: Incident) -> None:
    rows = [
        {**NO_NUMBER, "person_id": f"r{(n + 1) // 2}", "email": f"anna{n // 2}@example.org", "language": f"x{n:03}"[:2]}
        for n in range(24)
    ]
    random.Random(1).shuffle(rows)
    assert bring(*rows).accounting.merged == 23 and len(living(incident)) == 1


@pytest.mark.parametrize("language", ["", "fr"], ids=["nothing-new", "something-new"])
def test_a_conflict_that_waits_is_not_asked_again_by_the_next_list(
    doubted: QueueEntry, bring: Importer, incident: Incident, language: str
) -> None:
    for number in range(2):
        bring({**ANNA, "language": language}, {**BEN, "language": language}, {**ANNA, "phone": f"{number}"}, columns=WITH_PHONE)
    assert conflicts(incident).get() == doubted


# -- merges and their undo -----------------------------------------------------------------------------------------


def test_every_merge_is_kept_with_its_evidence(bring: Importer, incident: Incident) -> None:
    bring(ANNA, {**ANNA, "email": EMAILS[1]}, NO_NUMBER)
    found = Merge.objects.filter(incident=incident).order_by("id")
    assert [(merge.tier, merge.reason, merge.author) for merge in found] == [
        ("customer", "same customer number and name", None), ("email", "same e-mail address (capitals apart) and name", None),
    ]  # fmt: skip
    assert [merge.row.number for merge in found if merge.row] == [3, 4] and {merge.person for merge in found} == set(
        living(incident)
    )


@pytest.mark.parametrize("apart", [False, True], ids=["one-file", "two-files"])
def test_an_undone_merge_gives_back_two_people_with_what_was_theirs(
    bring: Importer, incident: Incident, officer: User, apart: bool
) -> None:
    rows = [{**ANNA}, {**ANNA, "email": EMAILS[1], "elements": "name;phone", "flags": "employee"}]
    for some in [[row] for row in rows] if apart else [rows]:
        bring(*some)
    before = account(incident=incident)
    two = undo_merge(merge=Merge.objects.get(), reason="her mother, she says", author=officer)
    anna, other = living(incident)
    assert other == two and (fields(anna).emails, fields(other).emails) == ((EMAILS[0],), (EMAILS[1],))
    assert (anna.elements, anna.flags) == (["country", "email", "name"], [])
    assert "phone" in other.elements and other.flags == ["employee"] and other.cohort is not None
    after = account(incident=incident)
    assert (before.people, before.merged, after.people, after.merged) == (1, 1, 2, 0) and after.adds_up
    undone = Merge.objects.get()
    assert (undone.undone_by, undone.undo_reason) == (officer, "her mother, she says")


def test_an_undo_leaves_what_another_row_says_too(bring: Importer, incident: Incident, officer: User) -> None:
    bring(ANNA, {**ANNA, "email": EMAILS[1]}, {**ANNA, "email": EMAILS[1], "language": "de"})
    undo_merge(merge=Merge.objects.order_by("id")[0], reason="r", author=officer)
    anna, other = living(incident)
    assert fields(anna).emails == EMAILS[:2] and fields(other).emails == (EMAILS[1],)


def test_a_question_that_a_merge_answered_is_asked_again_after_the_undo(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring({**ANNA, "email": ""}, ANNA)
    assert kinds(incident) == []
    undo_merge(merge=Merge.objects.get(), reason="r", author=officer)
    anna, other = living(incident)
    assert (anna.status, other.status, anna.has_email) == ("attention", "clear", False)
    assert kinds(incident, status="open") == ["no_channel"]


def test_what_was_decided_since_survives_an_undo(bring: Importer, incident: Incident, officer: User) -> None:
    bring(ANNA, {**ANNA, "stated_country": "DE"})
    deciding.correct_residence(incident=incident, entries=incident.queue.all(), residence="IT", reason="r", author=officer)
    undo_merge(merge=Merge.objects.get(), reason="r", author=officer)
    assert [person.residence for person in living(incident)] == ["IT", "DE"]


def test_people_who_were_split_stay_two_in_the_next_version_of_the_list(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring(ANNA, {**ANNA, "email": EMAILS[1]})
    undo_merge(merge=Merge.objects.get(), reason="r", author=officer)
    bring({**ANNA, "language": "fr"}, {**ANNA, "email": EMAILS[1], "language": "fr"})
    anna, other = living(incident)
    assert (fields(anna).emails, fields(other).emails) == ((EMAILS[0],), (EMAILS[1],))
    assert account(incident=incident).adds_up and kinds(incident, status="open") == []


def test_a_merge_is_undone_once(bring: Importer, incident: Incident, officer: User) -> None:
    bring(ANNA, {**ANNA, "email": EMAILS[1]})
    merge = Merge.objects.get()
    undo_merge(merge=merge, reason="r", author=officer)
    with pytest.raises(DecisionRefused, match="undone before"):
        undo_merge(merge=merge, reason="r", author=officer)


# -- decisions -----------------------------------------------------------------------------------------------------


def test_two_people_stay_two_and_are_not_asked_about_again(
    doubted: QueueEntry, bring: Importer, incident: Incident, officer: User
) -> None:
    assert keep_apart(incident=incident, entries=conflicts(incident), reason="father and son", author=officer) == 1
    bring({**ANNA, "language": "fr"}, {**BEN, "language": "fr"})
    assert len(living(incident)) == 2 and conflicts(incident).count() == 1
    assert {person.status for person in living(incident)} == {"clear"}


def test_one_person_has_the_addresses_elements_and_rows_of_both(doubted: QueueEntry, incident: Incident, officer: User) -> None:
    assert merge_people(incident=incident, entries=conflicts(incident), reason="married name", author=officer) == 1
    (anna,) = living(incident)
    assert fields(anna).emails == (EMAILS[0], "ben@example.org") and anna.flags == ["employee"] and "phone" in anna.elements
    numbers = account(incident=incident)
    assert (numbers.people, numbers.merged, numbers.needs_attention) == (1, 1, 0) and numbers.adds_up
    assert not deciding.undecided(incident=incident).exists() and sum(incident.cohorts.values_list("count", flat=True)) == 1


def test_a_question_whose_rejection_was_only_proposed_is_asked_of_the_one_who_stays(
    bring: Importer, incident: Incident, officer: User
) -> None:
    bring(CLAIRE, {**CLAIRE, "person_id": "b", "full_name": "Claire Martin", "email": "cm@example.org", "flags": "deceased"})
    kin = incident.queue.filter(kind="next_of_kin")
    deciding.propose_rejection(incident=incident, entries=kin, reason="nobody of ours", author=officer)
    merge_people(incident=incident, entries=incident.queue.filter(kind="match_conflict"), reason="she married", author=officer)
    claire = incident.people.get(reference="claire")
    assert (claire.flags, claire.status) == (["deceased"], "attention"), "no letter goes to somebody dead unasked"
    assert list(kin.order_by("id").values_list("person__reference", "status")) == [("b", "corrected"), ("claire", "open")]
    undo_merge(merge=Merge.objects.get(), reason="two after all", author=officer)
    claire.refresh_from_db()
    assert (claire.flags, claire.status) == ([], "clear") and kin.get(status="open").person.reference == "b"


def test_a_decided_merge_can_be_taken_back_whole(doubted: QueueEntry, incident: Incident, officer: User) -> None:
    merge_people(incident=incident, entries=conflicts(incident), reason="married name", author=officer)
    ben = undo_merge(merge=Merge.objects.get(), reason="his wife called", author=officer)
    anna = living(incident)[0]
    assert (fields(anna).emails, anna.flags, fields(ben).emails, ben.flags) == (
        (EMAILS[0],), [], ("ben@example.org",), ["employee"],
    )  # fmt: skip
    numbers = account(incident=incident)
    assert (numbers.people, numbers.merged) == (2, 0) and numbers.adds_up and ben.merged_into is None


def test_a_later_row_of_somebody_merged_goes_to_whom_they_became(
    doubted: QueueEntry, bring: Importer, incident: Incident, officer: User
) -> None:
    merge_people(incident=incident, entries=conflicts(incident), reason="married name", author=officer)
    bring({**BEN, "email": "b.holt@example.org"})
    (anna,) = living(incident)
    assert fields(anna).emails == (EMAILS[0], "ben@example.org", "b.holt@example.org")


def test_a_conflict_is_never_just_accepted(doubted: QueueEntry, incident: Incident, officer: User) -> None:
    assert deciding.accept(incident=incident, entries=incident.queue.all(), reason="r", author=officer) == 0


@pytest.mark.parametrize("reason", ["", " \n"])
def test_each_of_them_needs_a_reason(doubted: QueueEntry, incident: Incident, officer: User, reason: str) -> None:
    for decide in (merge_people, keep_apart):
        with pytest.raises(DecisionRefused, match="needs its reason"):
            decide(incident=incident, entries=conflicts(incident), reason=reason, author=officer)
    assert len(living(incident)) == 2


def test_no_entry_of_a_merge_or_its_undo_holds_personal_data(doubted: QueueEntry, incident: Incident, officer: User) -> None:
    before = AuditEvent.objects.count()
    merge_people(incident=incident, entries=conflicts(incident), reason="the shop says so", author=officer)
    undo_merge(merge=Merge.objects.get(), reason="they do not", author=officer)
    lines = "\n".join(AuditEvent.objects.order_by("id").values_list("line", flat=True)[before:])
    assert "person.merge_undone" in lines and "the shop says so" in lines
    assert not [text for text in ("Anna", "Berg", "Ben", "Holt", "@", "C9") if text in lines]


# -- after the freeze ----------------------------------------------------------------------------------------------


def test_what_a_later_list_says_of_somebody_on_the_register_is_asked_and_changes_nothing(
    frozen: Campaign, write_list: Callable[..., Path], officer: User
) -> None:
    incident = frozen.incident
    claire = AffectedPerson.objects.get(incident=incident, reference="claire")
    before, amendment = fields(claire), _amendment(incident, officer)
    row = {
        "customer_number": "C1",
        "full_name": "Claire Dubois",
        "email": "other@example.org",
        "stated_country": "FR",
        "elements": "name",
    }
    import_people(incident=incident, path=write_list(row), author=officer, amendment=amendment)
    assert fields(claire) == before and claire.status == "clear"
    [reason] = incident.queue.values_list("reason", flat=True)
    assert reason.startswith(f"{LATER}: e-mail address")
    assert deciding.accept(incident=incident, entries=incident.queue.all(), reason="told already", author=officer) == 1


def _amendment(incident: Incident, officer: User) -> Any:
    return open_amendment(incident=incident, reason="found late", aware_at=incident.campaigns.get().frozen_at, author=officer)


def test_an_undo_after_the_freeze_waits_for_an_amendment_and_leaves_what_was_signed(
    assessed: Incident, bring: Importer, officer: User
) -> None:
    row = {
        "customer_number": "C1",
        "full_name": "Claire Dubois",
        "email": "other@example.org",
        "stated_country": "FR",
        "elements": "name",
    }
    bring({**row, "elements": "name;email;country", "language": "fr"})
    campaign = freeze(incident=assessed, author=officer)
    claire, merge = AffectedPerson.objects.get(reference="claire"), Merge.objects.get()
    with pytest.raises(DecisionRefused, match="Open an amendment first"):
        undo_merge(merge=merge, reason="r", author=officer)
    _amendment(campaign.incident, officer)
    two = undo_merge(merge=merge, reason="r", author=officer)
    assert fields(claire).emails == ("claire@example.org", "other@example.org") and fields(two).emails == ("other@example.org",)
    assert list(assessed.queue.filter(status="open").values_list("reason", flat=True)) == [LEFT]


# -- the database --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "change", "says"),
    [
        ("merge", "tier = 'other'", "can only be undone"),
        ("merge", "reason = 'because'", "can only be undone"),
        ("merge", "undone_at = now(), undo_reason = 'x'", "an_undo_has_an_author"),
        ("merge", "undone_at = now(), undone_by_id = 1", "an_undo_has_a_reason"),
        ("affectedperson", "status = 'merged'", "merged_people_have_a_keeper"),
        ("affectedperson", "merged_into_id = id, status = 'merged'", "merged_people_have_a_keeper"),
        ("queueentry", "other_id = person_id", "nobody_is_doubted_with_self"),
    ],
)
def test_the_database_refuses_what_the_code_refuses(
    bring: Importer, incident: Incident, table: str, change: str, says: str
) -> None:
    bring(ANNA, {**ANNA, "email": EMAILS[1]}, BEN)
    with pytest.raises(IntegrityError, match=says), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE incidents_{table} SET {change}")


# -- whatever happens ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_every_row_is_counted_once_whatever_is_imported_merged_undone_and_rejected(
    bring: Importer, incident: Incident, officer: User, counsel: User, seed: int
) -> None:
    chance = random.Random(seed)
    for step in range(14):
        _anything(chance, step, bring, incident, officer, counsel)
        numbers = account(incident=incident)
        assert numbers.adds_up, numbers
    assert sum(incident.cohorts.values_list("count", flat=True)) == numbers.people + numbers.needs_attention


def _anything(chance: random.Random, step: int, bring: Importer, incident: Incident, officer: User, counsel: User) -> None:
    act = chance.choice(["bring", "bring", "undo", "one", "two", "reject"]) if step else "bring"
    merges, asked = Merge.objects.filter(incident=incident, undone_at=None), conflicts(incident).filter(status="open")
    if act == "bring":
        rows = [
            {
                **ANNA, "customer_number": chance.choice(["", "C1", "C2"]), "full_name": chance.choice(["Anna Berg", "Ben Holt"]),
                "email": chance.choice(["", *EMAILS]), "date_of_birth": chance.choice(["", "1980-03-02", "1990-01-01"]),
                "language": f"{chance.choice('abcdefgh')}{chance.choice('abcdefgh')}", "flags": chance.choice(["", "deceased"]),
            }
            for _ in range(chance.randint(1, 6))
        ]  # fmt: skip
        bring(*rows)
    elif act == "undo" and merges:
        merge = chance.choice(list(merges))
        try:
            undo_merge(merge=merge, reason="r", author=officer)
        except DecisionRefused:
            assert merge.person.status in (PersonStatus.MERGED, PersonStatus.REJECTED) or merge.row
    elif act in ("one", "two") and asked:
        entries = asked.filter(pk=chance.choice(list(asked)).pk)
        try:
            (merge_people if act == "one" else keep_apart)(incident=incident, entries=entries, reason="r", author=officer)
        except DecisionRefused:
            assert incident.people.filter(Q(status="rejected")).exists()
    elif act == "reject":
        some = incident.queue.filter(kind="next_of_kin", status="open")[:1]
        chosen = incident.queue.filter(pk__in=[entry.pk for entry in some])
        deciding.propose_rejection(incident=incident, entries=chosen, reason="r", author=officer)
        deciding.confirm_rejection(incident=incident, entries=chosen, author=counsel)
