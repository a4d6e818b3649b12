"""Removal is only exclusion, with a reason and two people; the register keeps its line and the rows add up."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from incidents.dispatch.conservation import check_campaign, count_states
from incidents.dispatch.obstacles import incident_questions
from incidents.models import AuditEvent, Campaign, Exclusion, PersonStatus
from incidents.models import MessageState as S
from incidents.people.amending import people_waiting
from incidents.people.correcting import CorrectionRefused, correct_person
from incidents.people.excluding import (
    ExclusionRefused,
    confirm_exclusion,
    open_exclusion,
    propose_exclusion,
    withdraw_exclusion,
)
from incidents.people.importing import account
from tests.dispatch.late import message_of, put_into, someone

WHY = "a test record of the shop"


def proposed(campaign: Campaign, author: User, reference: str = "claire") -> Exclusion:
    return propose_exclusion(person=someone(campaign.incident, reference), reason=WHY, author=author)


def test_one_alone_excludes_nobody(released: Campaign, officer: User) -> None:
    exclusion = proposed(released, officer)
    assert message_of(released, "claire").state == S.READY
    with pytest.raises(ExclusionRefused, match="a second person has to"):
        confirm_exclusion(exclusion=exclusion, author=officer)
    with pytest.raises(IntegrityError, match="two_different_people_exclude"), transaction.atomic():
        Exclusion.objects.update(confirmed_by=officer)
    assert any("1 exclusions wait" in line for line in incident_questions(incident=released.incident))


def test_by_two_the_letter_never_leaves_the_line_stays_and_the_rows_add_up(
    released: Campaign, officer: User, counsel: User
) -> None:
    register = list(released.register.values_list("line", flat=True))
    cohort = someone(released.incident, "claire").cohort
    before = cohort.count if cohort else 0
    confirm_exclusion(exclusion=proposed(released, officer), author=counsel)
    claire = someone(released.incident, "claire")
    assert (claire.status, message_of(released, "claire").state) == (PersonStatus.REJECTED, S.EXCLUDED)
    assert list(released.register.values_list("line", flat=True)) == register
    assert count_states(campaign=released) == {S.READY: 2, S.EXCLUDED: 1}
    assert check_campaign(campaign=released).holds
    numbers = account(incident=released.incident)
    assert numbers.adds_up and numbers.rejected == 1
    assert claire.cohort and claire.cohort.count == before - 1
    event = AuditEvent.objects.get(action="person.excluded")
    assert event.actor == "counsel" and '"second":"officer"' in event.line and WHY in event.line
    assert not people_waiting(incident=released.incident).exists()


@pytest.mark.parametrize(
    ("states", "why"),
    [
        ((S.SENDING,), "on its way"),
        ((S.SENDING, S.IN_DOUBT), "on its way"),
        ((S.SENDING, S.ACCEPTED), "has been told"),
        ((S.SENDING, S.ACCEPTED, S.DELIVERED), "has been told"),
        ((S.SENDING, S.ACCEPTED, S.ACCEPTED_UNCONFIRMED), "has been told"),
    ],
)
def test_what_happened_cannot_be_taken_back_at_either_step(
    released: Campaign, officer: User, counsel: User, states: tuple[str, ...], why: str
) -> None:
    early = proposed(released, officer, "carl")
    for reference in ("claire", "carl"):
        put_into(message_of(released, reference), *states)
    with pytest.raises(ExclusionRefused, match=why):
        proposed(released, officer)
    with pytest.raises(ExclusionRefused, match=why):
        confirm_exclusion(exclusion=early, author=counsel)


@pytest.mark.parametrize("states", [(S.SENDING, S.QUARANTINED), (S.SENDING, S.NEEDS_OTHER_CHANNEL)])
def test_who_could_not_be_told_may_be_excluded(released: Campaign, officer: User, counsel: User, states: tuple[str, ...]) -> None:
    put_into(message_of(released, "claire"), *states)
    confirm_exclusion(exclusion=proposed(released, officer), author=counsel)
    assert message_of(released, "claire").state == S.EXCLUDED


def test_a_proposal_can_be_withdrawn_and_made_again(released: Campaign, officer: User, counsel: User) -> None:
    first = proposed(released, officer)
    with pytest.raises(ExclusionRefused, match="proposed already"):
        proposed(released, counsel)
    with pytest.raises(ExclusionRefused, match="reason"):
        withdraw_exclusion(exclusion=first, reason="", author=officer)
    withdraw_exclusion(exclusion=first, reason="a real client after all", author=officer)
    with pytest.raises(ExclusionRefused, match="decided already"):
        confirm_exclusion(exclusion=first, author=counsel)
    assert open_exclusion(person=someone(released.incident, "claire")) is None
    confirm_exclusion(exclusion=proposed(released, counsel), author=officer)
    assert set(AuditEvent.objects.values_list("action", flat=True)) >= {"exclusion.proposed", "exclusion.withdrawn"}


def test_an_exclusion_needs_its_reason(released: Campaign, officer: User) -> None:
    with pytest.raises(ExclusionRefused, match="reason"):
        propose_exclusion(person=someone(released.incident, "claire"), reason="  ", author=officer)


def test_nobody_excluded_is_corrected_or_excluded_again(released: Campaign, officer: User, counsel: User) -> None:
    confirm_exclusion(exclusion=proposed(released, officer), author=counsel)
    with pytest.raises(ExclusionRefused, match="is not written to"):
        proposed(released, officer)
    with pytest.raises(CorrectionRefused, match="is not written to"):
        claire = someone(released.incident, "claire")
        correct_person(person=claire, changes={"city": "Lyon"}, reason="moved", author=officer)


def test_the_database_moves_nobody_to_excluded_without_two(released: Campaign, officer: User) -> None:
    proposed(released, officer)
    with pytest.raises(IntegrityError, match="confirmed by a second person first"), transaction.atomic():
        put_into(message_of(released, "claire"), S.EXCLUDED)


def test_open_questions_about_an_excluded_person_are_closed_with_the_reason(
    released: Campaign, officer: User, counsel: User
) -> None:
    entry = someone(released.incident, "claire").queue.create(
        incident=released.incident, kind="data", reason="a look", remedy="look"
    )
    confirm_exclusion(exclusion=proposed(released, officer), author=counsel)
    entry.refresh_from_db()
    assert (entry.status, entry.decision_reason, entry.decided_by, entry.second_by) == ("rejected", WHY, officer, counsel)
