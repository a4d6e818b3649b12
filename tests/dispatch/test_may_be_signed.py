"""Somebody of a later list who may be one of a signed register: no letter leaves before that is decided, and a merge loses nothing."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from incidents.dispatch.campaign import ApprovalRefused
from incidents.dispatch.conservation import check_campaign
from incidents.letters.approving import approve_content
from incidents.letters.standing import signing_obstacle
from incidents.models import Campaign, Merge, QueueEntry
from incidents.people.deciding import accept, correct_record, hold
from incidents.people.decisions import LATER
from incidents.people.merging import keep_apart, merge_people, undo_merge
from incidents.people.taken_back import taken_back_lines
from tests.conftest import CARL, CLAIRE
from tests.dispatch.late import Lists, amendment_of, bring_late, found_late, freeze_next, message_of, someone
from tests.dispatch.test_later_says import decided, said
from tests.people.test_deciding import LATER as IN_A_MONTH

BORN = found_late(1, date_of_birth="1980-01-15")
CHILD = found_late(1, date_of_birth="2014-01-15")


@pytest.fixture
def second(released: Campaign, officer: User, write_list: Lists) -> Campaign:
    """Somebody whose date of birth is known, on a register that is frozen."""
    bring_late(amendment_of(released.incident, officer), officer, write_list, BORN)
    return freeze_next(released.incident, officer)


def test_nobody_signs_while_somebody_of_a_list_may_be_one_of_the_register(
    second: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    reasons = said(second, officer, write_list, CHILD)
    assert any("date of birth" in one and ": marks minor_under_16; another date of birth" in one for one in reasons), reasons
    with pytest.raises(ApprovalRefused, match="1 entries about it have no decision"):
        approve_content(campaign=second, author=counsel, reason="read")
    doubt = second.incident.queue.filter(kind="match_conflict")
    assert keep_apart(incident=second.incident, **decided(doubt, officer)) == 1
    assert "entries about it" not in signing_obstacle(campaign=second, despite="")


def test_to_hold_somebody_who_may_be_one_of_the_register_lets_nobody_sign(
    second: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    said(second, officer, write_list, CHILD)
    doubt = second.incident.queue.filter(kind="match_conflict")
    assert hold(incident=second.incident, until=IN_A_MONTH, **decided(doubt, officer)) == 1
    with pytest.raises(ApprovalRefused, match="1 entries about it have no decision"):
        approve_content(campaign=second, author=counsel, reason="read")
    keep_apart(incident=second.incident, **decided(doubt, officer))
    assert "entries about it" not in signing_obstacle(campaign=second, despite="")


def test_a_running_campaign_does_not_go_on_because_somebody_who_may_be_dead_is_held(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    said(released, officer, write_list, {**CARL, "person_id": "c2b", "full_name": "Carla O'Brien", "flags": "deceased"})
    hold(incident=released.incident, until=IN_A_MONTH, **decided(released.incident.queue.filter(status="open"), officer))
    assert [one[-1] for one in check_campaign(campaign=released).violations] == ["1"]


def test_what_many_of_a_list_would_change_of_somebody_signed_is_written_at_once(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    alike = [
        {**CLAIRE, "person_id": f"c{n}", "full_name": f"Claire {chr(65 + n)}. Dubois", "flags": "deceased"} for n in range(12)
    ]
    with CaptureQueriesContext(connection) as asked:
        reasons = said(released, officer, write_list, *alike)
    assert sum(": marks deceased" in one for one in reasons) == 12
    written = [one["sql"] for one in asked if one["sql"].startswith('UPDATE "incidents_queueentry" SET "reason"')]
    assert len(written) == 1


def test_a_merge_after_the_freeze_asks_the_one_who_stays_what_was_asked_of_the_other(
    second: Campaign, officer: User, counsel: User, write_list: Lists
) -> None:
    incident, late = second.incident, someone(second.incident, "late1")
    said(second, officer, write_list, CHILD)
    merge_people(incident=incident, **decided(incident.queue.filter(kind="match_conflict"), officer))
    asked = QueueEntry.objects.filter(person=late, status="open").order_by("id")
    assert next((one.kind, one.reason) for one in asked) == ("data", f"{LATER}: marks minor_under_16; another date of birth")
    assert [one.kind for one in asked] == ["data", "guardian"]
    late.refresh_from_db()
    assert late.status == "attention" and late.flags == []
    with pytest.raises(ApprovalRefused, match="2 entries about it have no decision"):
        approve_content(campaign=second, author=counsel, reason="read")
    assert accept(incident=incident, **decided(asked, officer)) == 2, "one person's entries can be accepted together"
    assert "entries about it" not in signing_obstacle(campaign=second, despite="")


def test_who_was_merged_on_paper_only_is_asked_about_alone_again_after_the_undo(
    second: Campaign, officer: User, write_list: Lists
) -> None:
    incident, late = second.incident, someone(second.incident, "late1")
    said(second, officer, write_list, CHILD)
    merge_people(incident=incident, **decided(incident.queue.filter(kind="match_conflict"), officer))
    child = undo_merge(merge=Merge.objects.filter(other__isnull=False).get(), reason="r", author=officer)
    assert not late.queue.filter(status="open", kind="guardian").exists()
    assert child.queue.filter(status="open", kind="guardian").exists()


def test_a_correction_after_such_a_merge_takes_the_letter_back_and_the_answer_lets_them_go_along(
    second: Campaign, officer: User, write_list: Lists
) -> None:
    incident, late = second.incident, someone(second.incident, "late1")
    said(second, officer, write_list, CHILD)
    merge_people(incident=incident, **decided(incident.queue.filter(kind="match_conflict"), officer))
    guardian = {"representative_role": "guardian", "representative_name": "Ida Lind", "representative_email": "ida@example.org"}
    correct_record(person=late, changes={"date_of_birth": "2014-01-15", **guardian}, reason="her mother", author=officer)
    assert message_of(second, "late1").state == "replaced"
    assert late.queue.filter(status="open").count() == 1, "the note"
    accept(incident=incident, **decided(late.queue.filter(status="open"), officer))
    late.refresh_from_db()
    assert late.status == "clear" and taken_back_lines(incident=incident) == []


def test_a_running_campaign_does_not_hold_while_somebody_who_may_be_dead_may_be_one_of_it(
    released: Campaign, officer: User, write_list: Lists
) -> None:
    other = {"person_id": "c1b", "full_name": "Claire Dubois-Martin", "email": "cdm@example.org"}
    said(released, officer, write_list, {**CLAIRE, **other})
    assert check_campaign(campaign=released).holds, "one person or two is no danger by itself"
    said(released, officer, write_list, {**CARL, "person_id": "c2b", "full_name": "Carla O'Brien", "flags": "deceased"})
    assert [one[-1] for one in check_campaign(campaign=released).violations] == ["1"]
    entries = released.incident.queue.filter(kind="match_conflict", status="open")
    merge_people(incident=released.incident, **decided(entries, officer))
    assert [one[-1] for one in check_campaign(campaign=released).violations] == ["1"], "a merge answers nothing"
    for reference in ("claire", "carl"):
        entries = QueueEntry.objects.filter(person__reference=reference, status="open")
        accept(incident=released.incident, **decided(entries, officer))
    assert check_campaign(campaign=released).holds
