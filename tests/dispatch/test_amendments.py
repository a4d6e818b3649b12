"""People who come later: an own register with own letters and signatures; an own clock only for those found late."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction

from incidents.audit.log import database_now
from incidents.dispatch.campaign import CampaignRefused, close, freeze, stop
from incidents.dispatch.conservation import check_campaign, count_states
from incidents.dispatch.obstacles import closing_questions, freeze_obstacles, incident_questions
from incidents.letters.approving import ApprovalRefused, approve_content
from incidents.letters.render import make_letters
from incidents.models import AffectedPerson, Amendment, AuditEvent, Campaign, Incident, Joining, Obligation, QueueEntry
from incidents.models import MessageState as S
from incidents.people.amending import (
    AmendmentRefused,
    current_amendment,
    join,
    on_standing_register,
    open_amendment,
    people_of,
    people_waiting,
    waits_because,
)
from incidents.people.assessing import assess_incident
from incidents.people.explaining import explain, in_words
from incidents.people.importing import account
from tests.dispatch.late import (
    LATE,
    Lists,
    amendment_of,
    bring_late,
    found_late,
    freeze_next,
    message_of,
    put_into,
    someone,
)


def everyone(incident: Incident, *references: str) -> object:
    return AffectedPerson.objects.filter(incident=incident, reference__in=references)


# Opening


def test_before_the_first_freeze_there_is_nothing_to_amend(assessed: Incident, officer: User) -> None:
    with pytest.raises(AmendmentRefused, match="No register is frozen yet"):
        amendment_of(assessed, officer)
    assert not people_waiting(incident=assessed).exists()


@pytest.mark.parametrize(
    ("aware_at", "why"),
    [
        (LATE.replace(tzinfo=None), "has no zone"),
        (LATE.replace(year=2999), "lies in the future"),
        (LATE.replace(year=2024), "is before the"),
    ],
)
def test_the_moment_of_awareness_is_one_that_can_be(frozen: Campaign, officer: User, aware_at: datetime, why: str) -> None:
    with pytest.raises(AmendmentRefused, match=why):
        amendment_of(frozen.incident, officer, aware_at=aware_at)
    assert not Amendment.objects.exists()


def test_an_amendment_needs_its_reason_and_is_in_the_log(frozen: Campaign, officer: User) -> None:
    with pytest.raises(AmendmentRefused, match="reason"):
        open_amendment(incident=frozen.incident, reason=" ", aware_at=LATE, author=officer)
    made = amendment_of(frozen.incident, officer)
    assert (made.number, current_amendment(incident=frozen.incident)) == (1, made)
    event = AuditEvent.objects.get(action="amendment.opened")
    assert event.actor == "officer" and LATE.isoformat() in event.line


def test_one_amendment_is_open_at_a_time_and_an_empty_one_is_left_behind(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    incident = frozen.incident
    amendment_of(incident, officer)
    second = amendment_of(incident, officer, aware_at=LATE + timedelta(days=1))
    assert current_amendment(incident=incident) == second
    bring_late(second, officer, write_list, found_late(1))
    with pytest.raises(AmendmentRefused, match="Amendment 2 is open and has people"):
        amendment_of(incident, officer)


def test_an_amendment_can_never_be_changed(frozen: Campaign, officer: User) -> None:
    amendment_of(frozen.incident, officer)
    for change in ({"aware_at": LATE - timedelta(days=9)}, {"reason": "other"}):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            Amendment.objects.update(**change)


# People found late


def test_people_found_late_have_a_register_letters_and_a_clock_of_their_own(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    incident, before = frozen.incident, (frozen.register_root, frozen.letters_root, frozen.people)
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1), found_late(2))
    second = freeze_next(incident, officer)
    assert (second.reference, second.amendment, second.people) == ("cartier-2025-c2", amendment, 2)
    assert sorted(second.register.values_list("person__reference", flat=True)) == ["late1", "late2"]
    assert count_states(campaign=second) == {S.PLANNED: 2}
    frozen.refresh_from_db()
    assert (frozen.register_root, frozen.letters_root, frozen.people) == before
    assert second.register_root != frozen.register_root
    assert set(second.register.values_list("letter__amendment", flat=True)) == {amendment.pk}
    assert set(frozen.register.values_list("letter__amendment", flat=True)) == {None}
    assert check_campaign(campaign=frozen).holds and check_campaign(campaign=second).holds
    assert account(incident=incident).adds_up


def test_their_deadlines_run_from_their_own_moment_and_nobody_elses_change(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    incident = frozen.incident
    before = dict(Obligation.objects.filter(cohort__amendment=None).values_list("pk", "due_at"))
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1, stated_country="US", loyalty_home_store="US-CA Beverly Hills"))
    late = someone(incident, "late1").cohort
    own = someone(incident, "carl").cohort
    assert late and own and (late.residence, late.amendment, own.amendment) == ("US-CA", amendment, None)
    anchors = {
        cohort: duty["deadline"]["anchor_at"]
        for cohort, duty in Obligation.objects.filter(cohort__in=[late, own]).values_list("cohort", "duty")
        if duty.get("deadline")
    }
    if anchors:
        assert datetime.fromisoformat(anchors[late.pk]) == LATE
        assert datetime.fromisoformat(anchors[own.pk]) < LATE
    assert dict(Obligation.objects.filter(pk__in=before).values_list("pk", "due_at")) == before
    assert Obligation.objects.filter(cohort=None, jurisdiction="FR", addressee="regulator", superseded=False).count() == 1


def test_a_list_that_comes_without_an_amendment_waits_and_gets_its_clock_by_joining(
    frozen: Campaign, officer: User, write_list: Lists
) -> None:
    incident = frozen.incident
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    AffectedPerson.objects.filter(reference="late1").update(amendment=None)
    (person,) = people_waiting(incident=incident)
    assert "found late" in waits_because(was=person.was)
    join(amendment=amendment, people=everyone(incident, "late1"), reason="found on the second server", author=officer)
    person.refresh_from_db()
    assert (person.amendment, person.cohort.amendment if person.cohort else None) == (amendment, amendment)


def test_only_what_is_about_the_people_of_the_amendment_stops_its_freeze(
    frozen: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    incident = frozen.incident
    claire = someone(incident, "claire")
    claire.queue.create(incident=incident, kind="data", reason="a look", remedy="look")
    amendment = amendment_of(incident, officer)
    assert any("No people are ready" in line for line in freeze_obstacles(incident=incident))
    bring_late(amendment, officer, write_list, found_late(1), found_late(2, email="a@example.org, b@example.org"))
    make_letters(incident=incident, author=officer)
    (line,) = (line for line in freeze_obstacles(incident=incident) if "queue entries" in line)
    assert line.startswith("1 queue entries")
    row = QueueEntry.objects.get(row__batch__amendment=amendment)
    assert row.person is None, "a row with two addresses is nobody; it belongs to the amendment for which its list came"
    QueueEntry.objects.filter(pk=row.pk).update(
        status="rejected", decision_reason="names nobody", decided_by=officer, second_by=counsel
    )
    assert freeze_obstacles(incident=incident) == []


def test_late_people_about_whom_the_law_was_not_asked_stop_the_freeze_of_nobody_else(
    released: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    AffectedPerson.objects.filter(reference="late1").update(residence="ES")
    from incidents.dispatch.conservation import check_with_law
    from incidents.people.cohorts import refresh_cohorts

    refresh_cohorts(incident=incident)
    assert any("would be different" in line for line in freeze_obstacles(incident=incident))
    assert not check_with_law(campaign=released).rests_on_stale


def test_a_register_is_frozen_once_for_each_amendment(frozen: Campaign, officer: User, write_list: Lists) -> None:
    incident = frozen.incident
    with pytest.raises(CampaignRefused, match="frozen already"):
        freeze(incident=incident, author=officer)
    with pytest.raises(AmendmentRefused, match="open an amendment"):
        make_letters(incident=incident, author=officer)
    bring_late(amendment_of(incident, officer), officer, write_list, found_late(1))
    freeze_next(incident, officer)
    with pytest.raises(CampaignRefused, match="frozen already"):
        freeze(incident=incident, author=officer)
    with pytest.raises(IntegrityError, match="one_register_per_amendment"), transaction.atomic():
        Campaign.objects.filter(amendment=None).get().pk and Campaign.objects.create(
            incident=incident, reference="again", register_root="", letters_root="", people=0, author_ids=[], headers={},
            facts=incident.facts, frozen_by=officer, frozen_at=database_now(),
        )  # fmt: skip


def test_its_content_is_signed_by_two_and_by_nobody_who_made_it(
    frozen: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    incident, clerk = frozen.incident, User.objects.create_user("clerk")
    amendment = open_amendment(incident=incident, reason="found late", aware_at=LATE, author=clerk)
    bring_late(amendment, counsel, write_list, found_late(1))
    second = freeze_next(incident, officer)
    for author in (officer, clerk, counsel):
        with pytest.raises(ApprovalRefused, match="edited none of it"):
            approve_content(campaign=second, author=author, reason="read")
    approve_content(campaign=second, author=User.objects.create_user("fourth"), reason="read")
    frozen.refresh_from_db()
    assert frozen.state == "frozen", "the signature covers the amendment alone"


# Joining


def test_nobody_joins_who_gets_a_letter_from_an_earlier_register(released: Campaign, officer: User) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    message = message_of(released, "claire")
    for state, why in ((S.READY, "being sent"), (S.SENDING, "at this moment"), (S.IN_DOUBT, "nobody knows")):
        if message.state != state:
            put_into(message, state)
        with pytest.raises(AmendmentRefused, match=why):
            join(amendment=amendment, people=everyone(incident, "claire", "carl"), reason="again", author=officer)
    assert not Joining.objects.exists()
    assert on_standing_register(everyone(incident, "claire")) == {someone(incident, "claire").pk}


def test_somebody_told_joins_only_by_name_and_keeps_both_lines(released: Campaign, officer: User) -> None:
    incident, message = released.incident, message_of(released, "claire")
    put_into(message, S.SENDING, S.ACCEPTED, S.DELIVERED)
    amendment = amendment_of(incident, officer)
    assert not people_waiting(incident=incident).exists()
    assert join(amendment=amendment, people=everyone(incident, "claire"), reason="the letter named no date", author=officer) == 1
    assert join(amendment=amendment, people=everyone(incident, "claire"), reason="twice", author=officer) == 0
    second = freeze_next(incident, officer)
    message.refresh_from_db()
    assert (message.state, message_of(second, "claire").state) == (S.DELIVERED, S.PLANNED)
    assert check_campaign(campaign=second).holds
    assert check_campaign(campaign=released).violations == ["messages sent without an attempt: 1"], "the test moved it by hand"


def test_a_stopped_campaigns_unsent_people_go_again_on_the_clock_they_had(released: Campaign, officer: User) -> None:
    incident = released.incident
    put_into(message_of(released, "yuki"), S.SENDING, S.ACCEPTED, S.DELIVERED)
    dues = dict(released.messages.values_list("entry__person__reference", "due_at"))
    stop(campaign=released, author=officer, reason="a wrong paragraph")
    assert sorted(people_waiting(incident=incident).values_list("reference", flat=True)) == ["carl", "claire"]
    amendment = amendment_of(incident, officer)
    join(amendment=amendment, people=people_waiting(incident=incident), reason="the stop", author=officer)
    second = freeze_next(incident, officer)
    assert dict(second.messages.values_list("entry__person__reference", "due_at")) == {n: dues[n] for n in ("carl", "claire")}
    assert set(people_of(incident=incident, amendment=amendment).values_list("cohort__amendment", flat=True)) == {None}
    assert count_states(campaign=released) == {S.CANCELLED: 2, S.DELIVERED: 1}
    # And once more: the second is stopped as well.
    stop(campaign=second, author=officer, reason="again")
    third = amendment_of(incident, officer)
    join(amendment=third, people=people_waiting(incident=incident), reason="the second stop", author=officer)
    assert freeze_next(incident, officer).reference == "cartier-2025-c3"


def test_a_quarantined_person_may_join_and_the_old_line_is_replaced(released: Campaign, officer: User) -> None:
    incident, message = released.incident, message_of(released, "carl")
    put_into(message, S.SENDING, S.QUARANTINED)
    amendment = amendment_of(incident, officer)
    join(amendment=amendment, people=people_waiting(incident=incident), reason="the record was looked at", author=officer)
    message.refresh_from_db()
    assert message.state == S.REPLACED
    assert not on_standing_register(everyone(incident, "carl"))


def test_an_address_that_did_not_work_is_corrected_before_anybody_joins(released: Campaign, officer: User) -> None:
    put_into(message_of(released, "carl"), S.SENDING, S.NEEDS_OTHER_CHANNEL)
    amendment = amendment_of(released.incident, officer)
    assert not people_waiting(incident=released.incident).exists()
    with pytest.raises(AmendmentRefused, match="correct it first"):
        join(amendment=amendment, people=everyone(released.incident, "carl"), reason="again", author=officer)


def test_nobody_joins_an_amendment_that_is_frozen(frozen: Campaign, officer: User, write_list: Lists) -> None:
    amendment = amendment_of(frozen.incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    freeze_next(frozen.incident, officer)
    with pytest.raises(AmendmentRefused, match="not open any more"):
        join(amendment=amendment, people=everyone(frozen.incident, "claire"), reason="late", author=officer)


# Closing, explaining


def test_an_open_amendment_and_people_on_no_register_keep_the_last_campaign_open(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    stop(campaign=released, author=officer, reason="a wrong paragraph")
    assert any(line.startswith("3 people stand on no register that counts") for line in incident_questions(incident=incident))
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    assert any("an amendment is open: 1 people" in line for line in incident_questions(incident=incident))
    join(amendment=amendment, people=people_waiting(incident=incident), reason="the stop", author=officer)
    second = freeze_next(incident, officer)
    assert not any("amendment" in line or "no register" in line for line in incident_questions(incident=incident))
    assert any("4 people are 'planned'" in line for line in closing_questions(campaign=second))


def test_a_campaign_closes_when_its_people_are_final_whatever_a_later_one_does(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    for message in released.messages.all():
        put_into(message, S.SENDING, S.ACCEPTED, S.DELIVERED)
    Campaign.objects.filter(pk=released.pk).update(state="drained")
    bring_late(amendment_of(incident, officer), officer, write_list, found_late(1))
    assert closing_questions(campaign=released), "the incident is asked about as long as this is its only campaign"
    freeze_next(incident, officer)
    assert closing_questions(campaign=released) == []
    assert close(campaign=released, author=officer, reason="everybody told").state == "closed"


def test_explain_shows_the_amendment_with_its_clock(frozen: Campaign, officer: User, write_list: Lists) -> None:
    incident = frozen.incident
    bring_late(amendment_of(incident, officer), officer, write_list, found_late(1))
    freeze_next(incident, officer)
    found = explain(incident=incident, reference="late1")
    assert found["amendments"] == [
        {"number": 1, "clock": True, "aware_at": LATE.isoformat(), "reason": "a second server was copied too"}
    ]
    assert f"  amendment 1 (found late, clocks run from {LATE.isoformat()}): a second server was copied too" in list(
        in_words(found)
    )
    assert explain(incident=incident, reference="claire")["amendments"] == []


def test_asked_again_with_late_people_the_law_gives_the_same_duties(frozen: Campaign, officer: User, write_list: Lists) -> None:
    bring_late(amendment_of(frozen.incident, officer), officer, write_list, found_late(1))
    assert assess_incident(incident=frozen.incident, author=officer).changed == 0
