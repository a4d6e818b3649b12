"""Whoever is corrected before the letter left is owed one: they go along by themselves, or are named until somebody decides."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command

from incidents.admin.running import Running
from incidents.audit.log import database_now
from incidents.dispatch.campaign import CampaignRefused
from incidents.dispatch.obstacles import closing_questions, freeze_obstacles
from incidents.models import Campaign, CampaignState, Incident
from incidents.models import MessageState as S
from incidents.people import deciding
from incidents.people.amending import people_of
from incidents.people.correcting import correct_person
from incidents.people.taken_back import taken_back_lines
from tests.dispatch.late import Lists, amendment_of, bring_late, found_late, freeze_next, message_of, put_into, someone

KIN = {"representative_role": "next_of_kin", "representative_name": "Ida Lind", "representative_email": "ida@example.org"}
TAKEN_BACK = "people whose letter was taken back by a correction are in no campaign"


def correct(incident: Incident, author: User, **changes: str) -> None:
    deciding.correct_record(person=someone(incident, "claire"), changes=changes, reason="her sister called", author=author)


def test_whoever_is_asked_about_joins_the_open_amendment_with_the_decision(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    correct(incident, officer, flags="deceased")
    assert any(line.startswith(f"1 {TAKEN_BACK}: decide") for line in freeze_obstacles(incident=incident))
    assert any(line.text.startswith(f"1 {TAKEN_BACK}") for line in Running(incident=incident, user=officer).stuck())
    with pytest.raises(CampaignRefused, match=TAKEN_BACK):
        freeze_next(incident, officer)
    deciding.accept(incident=incident, entries=incident.queue.filter(status="open"), reason="her sister reads it", author=officer)
    assert people_of(incident=incident, amendment=amendment).filter(reference="claire").exists()
    assert taken_back_lines(incident=incident) == []
    assert freeze_next(incident, officer).people == 2


def test_naming_the_next_of_kin_on_the_record_answers_the_question_and_lets_the_person_go_along(
    released: Campaign, officer: User
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    correct(incident, officer, flags="deceased")
    correct(incident, officer, phone="+33 1 23 45 67 89")
    assert someone(incident, "claire").status == "attention", "a telephone number says nothing about the next of kin"
    correct(incident, officer, **KIN)
    assert someone(incident, "claire").status == "clear"
    assert people_of(incident=incident, amendment=amendment).filter(reference="claire").exists()


def test_the_command_says_that_the_question_is_answered(
    released: Campaign, officer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct(released.incident, officer, flags="deceased")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(f"{name}: {value}" for name, value in KIN.items())))
    out = io.StringIO()
    options = {"user": officer.username, "reason": "her sister called"}
    call_command("correct", released.incident.reference, "claire", stdout=out, **options)
    assert "1 questions in the queues are answered by it" in out.getvalue() and "needs a decision" not in out.getvalue()


def test_whoever_was_corrected_before_the_amendment_was_open_is_named_until_they_join(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    correct_person(person=someone(incident, "claire"), changes={"city": "Lyon"}, reason="she moved", author=officer)
    bring_late(amendment_of(incident, officer), officer, write_list, found_late(1))
    assert any(line.startswith(f"1 {TAKEN_BACK}: let them join") for line in freeze_obstacles(incident=incident))
    correct_person(person=someone(incident, "claire"), changes={"city": "Nice"}, reason="she moved on", author=officer)
    assert freeze_next(incident, officer).people == 2


def test_somebody_held_keeps_nobody_else_waiting_and_goes_along_once_that_is_decided(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    amendment = amendment_of(incident, officer)
    bring_late(amendment, officer, write_list, found_late(1))
    correct(incident, officer, flags="deceased")
    until = database_now().date() + timedelta(days=30)
    entries = incident.queue.filter(person__reference="claire", status__in=["open", "held"])
    deciding.hold(incident=incident, entries=entries, until=until, reason="asked", author=officer)
    assert not any(TAKEN_BACK in line for line in freeze_obstacles(incident=incident))
    assert any("held until a date" in line for line in closing_questions(campaign=released))
    deciding.accept(incident=incident, entries=entries, reason="her sister reads it", author=officer)
    assert freeze_next(incident, officer).people == 2


def test_no_campaign_closes_while_a_letter_that_was_taken_back_is_in_none(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    incident = released.incident
    bring_late(amendment_of(incident, officer), officer, write_list, found_late(1))
    second = freeze_next(incident, officer)
    put_into(message_of(second, "late1"), S.CANCELLED)
    correct(incident, officer, flags="deceased")
    assert Campaign.objects.exclude(pk=second.pk).exclude(state=CampaignState.CLOSED).exists()
    assert [line for line in closing_questions(campaign=second) if TAKEN_BACK in line] != []
    correct(incident, officer, **KIN)
    assert [line for line in closing_questions(campaign=second) if f"1 {TAKEN_BACK}: let them join" in line] != []


def test_the_last_campaign_asks_about_people_on_no_register_who_wait_for_a_decision(released: Campaign, officer: User) -> None:
    put_into(message_of(released, "claire"), S.CANCELLED)
    correct(released.incident, officer, flags="deceased")
    wanted = "1 people on no register that counts wait for a decision"
    assert any(line.startswith(wanted) for line in closing_questions(campaign=released))
