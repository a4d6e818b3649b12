"""Corrections after the freeze: versions are kept, and no letter leaves that differs from what was signed."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from incidents.dispatch.conservation import check_campaign, count_states
from incidents.letters.render import newest_texts
from incidents.models import AffectedPerson, AuditEvent, Campaign, PersonVersion
from incidents.models import MessageState as S
from incidents.people.amending import people_of, people_waiting
from incidents.people.assessing import assess_incident
from incidents.people.correcting import CorrectionRefused, correct_person
from incidents.people.explaining import explain, in_words
from incidents.vault import Vault
from tests.dispatch.late import amendment_of, freeze_next, message_of, put_into, someone

NEW = "claire.new@example.org"


def correct(campaign: Campaign, reference: str, author: User, **changes: str) -> PersonVersion:
    person = someone(campaign.incident, reference)
    return correct_person(person=person, changes=changes, reason="the client wrote to us", author=author)


def test_the_earlier_record_is_kept_and_still_opens(released: Campaign, officer: User) -> None:
    version = correct(released, "claire", officer, email=NEW)
    vault, person = Vault(incident=released.incident), someone(released.incident, "claire")
    assert (version.number, person.version, version.changed) == (1, 2, ["emails"])
    assert vault.open(person=person).emails == (NEW,)
    before = AffectedPerson(
        incident=person.incident, subject=person.subject, sealed=version.sealed, wrapped_key=version.wrapped_key,
        key_version=version.key_version,
    )  # fmt: skip
    assert vault.open(person=before).emails == ("claire@example.org",)


def test_the_log_names_fields_and_a_commitment_and_no_value(released: Campaign, officer: User) -> None:
    correct(released, "claire", officer, email=NEW, full_name="Claire Martin", city="Lyon")
    line = AuditEvent.objects.get(action="person.corrected").line
    for part in ('"fields":["full_name","emails","city"]', '"version":2', '"commitment":"'):
        assert part in line
    for value in (NEW, "Martin", "Lyon", "claire@example.org"):
        assert not AuditEvent.objects.filter(line__contains=value).exists()


def test_a_letter_that_was_not_sent_is_replaced_and_the_person_waits_for_an_amendment(released: Campaign, officer: User) -> None:
    correct(released, "claire", officer, email=NEW)
    assert count_states(campaign=released) == {S.READY: 2, S.REPLACED: 1}
    assert check_campaign(campaign=released).holds
    assert list(people_waiting(incident=released.incident).values_list("reference", "was")) == [("claire", "replaced")]


def test_with_an_open_amendment_the_person_goes_with_it_under_a_new_letter_and_the_clock_they_had(
    released: Campaign, officer: User
) -> None:
    incident, due = released.incident, message_of(released, "claire").due_at
    amendment = amendment_of(incident, officer)
    correct(released, "claire", officer, email=NEW)
    assert list(people_of(incident=incident, amendment=amendment).values_list("reference", flat=True)) == ["claire"]
    second = freeze_next(incident, officer)
    fresh = message_of(second, "claire")
    assert (fresh.state, fresh.due_at) == (S.PLANNED, due), "a corrected address never gives a later deadline"
    assert fresh.content_sha256 != message_of(released, "claire").content_sha256
    assert fresh.entry.cohort and fresh.entry.cohort.amendment is None


def test_who_was_told_is_corrected_and_gets_no_second_letter(released: Campaign, officer: User) -> None:
    amendment = amendment_of(released.incident, officer)
    put_into(message_of(released, "claire"), S.SENDING, S.ACCEPTED, S.DELIVERED)
    correct(released, "claire", officer, full_name="Claire Martin")
    assert message_of(released, "claire").state == S.DELIVERED
    assert not people_of(incident=released.incident, amendment=amendment).exists()
    assert not people_waiting(incident=released.incident).exists()


@pytest.mark.parametrize("state", [S.SENDING, S.IN_DOUBT])
def test_a_letter_on_its_way_is_waited_for(released: Campaign, officer: User, state: str) -> None:
    put_into(message_of(released, "claire"), *{S.SENDING: (S.SENDING,), S.IN_DOUBT: (S.SENDING, S.IN_DOUBT)}[S(state)])
    with pytest.raises(CorrectionRefused, match="Wait until its outcome is known"):
        correct(released, "claire", officer, email=NEW)
    assert not PersonVersion.objects.exists()


def test_a_bounced_address_is_corrected_and_its_line_is_replaced(released: Campaign, officer: User) -> None:
    put_into(message_of(released, "claire"), S.SENDING, S.ACCEPTED, S.NEEDS_OTHER_CHANNEL)
    correct(released, "claire", officer, email=NEW)
    assert message_of(released, "claire").state == S.REPLACED


def test_another_residence_is_another_law_and_is_asked_again(released: Campaign, officer: User) -> None:
    incident = released.incident
    amendment_of(incident, officer)
    correct(released, "claire", officer, residence="DE", language="de")
    claire = someone(incident, "claire")
    assert (claire.residence, claire.residence_from, claire.cohort.residence if claire.cohort else "") == ("DE", "decision", "DE")
    assess_incident(incident=incident, author=officer)
    second = freeze_next(incident, officer)
    letter = message_of(second, "claire").entry.letter
    assert letter and letter.language == "de"
    assert ("notice", "de") in newest_texts(incident=incident)


def test_a_telephone_number_changes_no_letter(released: Campaign, officer: User) -> None:
    correct(released, "claire", officer, phone="+33 1 23 45 67 89")
    assert message_of(released, "claire").state == S.READY


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"email": "a@example.org, b@example.org"}, "email: two addresses"),
        ({"email": "x\r\nBcc: y@example.org"}, "email: has a line break"),
        ({"residence": "Ruritania"}, "residence: is no residence"),
        ({"residence": "UK"}, "Is GB meant"),
        ({"elements": "shoe_size"}, "elements: 1 of the words are not known"),
        ({"elements": ""}, "elements: name at least one"),
        ({"flags": "tall"}, "flags: 1 of the words are not known"),
        ({"language": "français"}, "language: is no language tag"),
        ({"date_of_birth": "02/03/1980"}, "date_of_birth: may mean several days"),
        ({"representative_role": "friend"}, "representative_role: use one of"),
        ({"status": "clear"}, "status: no field of this name"),
        ({"email": "claire@example.org"}, "Nothing would change"),
        ({}, "Nothing would change"),
    ],
)
def test_what_cannot_be_is_refused_by_its_field_and_nothing_changes(
    released: Campaign, officer: User, changes: dict[str, str], why: str
) -> None:
    with pytest.raises(CorrectionRefused, match=why):
        correct(released, "claire", officer, **changes)
    assert not PersonVersion.objects.exists() and message_of(released, "claire").state == S.READY


@pytest.mark.parametrize("typed", ["1980-02-29", "29.02.1980", "02/29/1980", "19800229", "29 Feb 1980", "1980-02-29 00:00:00"])
def test_a_birth_date_typed_by_hand_is_read_as_a_lists_is(released: Campaign, officer: User, typed: str) -> None:
    correct(released, "claire", officer, date_of_birth=typed)
    claire = someone(released.incident, "claire")
    assert Vault(incident=released.incident).open(person=claire).date_of_birth == "1980-02-29"
    with pytest.raises(CorrectionRefused, match="Nothing would change"):
        correct(released, "claire", officer, date_of_birth="29.2.1980")


@pytest.mark.parametrize("typed", ["31.02.1980", "1.1.1900", "2/3/1980", "yesterday", "2999-01-01"])
def test_a_birth_date_that_means_no_day_or_two_is_refused(released: Campaign, officer: User, typed: str) -> None:
    with pytest.raises(CorrectionRefused, match="date_of_birth: (is no plausible date|may mean several days); write it as"):
        correct(released, "claire", officer, date_of_birth=typed)


def test_a_correction_needs_its_reason(released: Campaign, officer: User) -> None:
    with pytest.raises(CorrectionRefused, match="reason"):
        correct_person(person=someone(released.incident, "claire"), changes={"city": "Lyon"}, reason=" ", author=officer)


def test_who_is_corrected_twice_has_two_versions(released: Campaign, officer: User) -> None:
    correct(released, "claire", officer, city="Lyon")
    correct(released, "claire", officer, city="Nice")
    assert list(PersonVersion.objects.order_by("number").values_list("number", flat=True)) == [1, 2]
    assert someone(released.incident, "claire").version == 3
    lines = list(in_words(explain(incident=released.incident, reference="claire")))
    assert "  corrected to version 3 by officer: city (the client wrote to us)" in lines


def test_the_matching_index_follows_the_record(released: Campaign, officer: User) -> None:
    before = bytes(someone(released.incident, "claire").email_index or b"")
    correct(released, "claire", officer, email=NEW)
    assert bytes(someone(released.incident, "claire").email_index or b"") not in (before, b"")
