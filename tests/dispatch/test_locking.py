"""Two people at the desk, and one order of locks: whoever waits for a person holds nothing of theirs that another may need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User

from incidents.dispatch.unreachable import propose_unreachable
from incidents.models import Campaign, Erasure, Message, QueueEntry
from incidents.models import MessageState as S
from incidents.people import excluding
from incidents.people.correcting import correct_person
from incidents.people.decisions import DecisionRefused
from incidents.people.erasing import end_request, erase_due, request_erasure
from incidents.people.excluding import confirm_exclusion, propose_exclusion
from incidents.people.merging import merge_people
from tests.dispatch.campaigns import person, sql, superuser, together
from tests.dispatch.late import someone

Deed = Callable[[], object]
WHY = "a test record of the shop"
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def waits(server: psycopg.Connection[Any], number: int = 1) -> bool:
    """Whether so many others wait for a lock, soon."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        row = server.execute(WAITING).fetchone()
        if row is not None and row[0] >= number:
            return True
        time.sleep(0.05)
    return False


def correct(campaign: Campaign, officer: User, counsel: User) -> Deed:
    claire = someone(campaign.incident, "claire")
    return lambda: correct_person(person=claire, changes={"city": "Lyon"}, reason="moved", author=officer)


def propose(campaign: Campaign, officer: User, counsel: User) -> Deed:
    claire = someone(campaign.incident, "claire")
    return lambda: propose_exclusion(person=claire, reason=WHY, author=officer)


def confirm(campaign: Campaign, officer: User, counsel: User) -> Deed:
    exclusion = propose_exclusion(person=someone(campaign.incident, "claire"), reason=WHY, author=officer)
    return lambda: confirm_exclusion(exclusion=exclusion, author=counsel)


def give_up(campaign: Campaign, officer: User, counsel: User) -> Deed:
    claire = person(campaign, "claire")
    sql("UPDATE incidents_message SET state = 'sending', attempts = 1 WHERE id = %s", claire.pk)
    sql("UPDATE incidents_message SET state = %s WHERE id = %s", S.NEEDS_OTHER_CHANNEL, claire.pk)
    return lambda: propose_unreachable(message=claire, reason="no address at all", author=officer)


def desk() -> tuple[User, User]:
    """Two people."""
    return User.objects.get(username="officer"), User.objects.get(username="counsel")


@pytest.mark.parametrize("deed", [correct, propose, confirm, give_up])
def test_whoever_waits_for_a_person_holds_none_of_their_messages(
    five: Campaign, admin_url: str, deed: Callable[[Campaign, User, User], Deed]
) -> None:
    does, claire = deed(five, *desk()), person(five, "claire")
    results: list[Any] = []
    with superuser(admin_url) as server:
        server.autocommit = False
        server.execute("SELECT 1 FROM incidents_affectedperson WHERE reference = 'claire' FOR UPDATE")
        thread = threading.Thread(target=lambda: results.extend(together(does)))
        thread.start()
        with superuser(admin_url) as beside:
            assert waits(beside)
        server.execute("SELECT 1 FROM incidents_message WHERE id = %s FOR UPDATE NOWAIT", [claire.pk])
        server.rollback()
        thread.join(timeout=60)
    assert [type(result).__name__ for result in results if isinstance(result, Exception)] == []


def test_an_exclusion_and_a_correction_at_one_moment_end_both(
    five: Campaign, admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    officer, counsel = desk()
    claire, has_the_person, messages = someone(five.incident, "claire"), threading.Event(), excluding.locked_messages

    def slowly(**of: Any) -> list[Message]:
        has_the_person.set()
        with superuser(admin_url) as server:
            assert waits(server)  # the correction has what it can get
        return messages(**of)

    def correct_then() -> object:
        assert has_the_person.wait(timeout=20)
        return correct_person(person=claire, changes={"city": "Lyon"}, reason="moved", author=counsel)

    monkeypatch.setattr(excluding, "locked_messages", slowly)
    results = together(lambda: propose_exclusion(person=claire, reason=WHY, author=officer), correct_then)
    assert [type(result).__name__ for result in results] == ["Exclusion", "PersonVersion"]


def asked_for_erasure(campaign: Campaign) -> Erasure:
    """A request that waited for the letter, which has arrived since: what it waits for is to be written anew, and they go."""
    asked = request_erasure(person=someone(campaign.incident, "claire"), reason="asked by mail", author=desk()[0])
    for state in ("sending", "accepted", "delivered"):
        sql("UPDATE incidents_message SET state = %s, attempts = 1 WHERE id = %s", state, person(campaign, "claire").pk)
    assert asked.waits_for
    return asked


def while_waiting_for_claire(admin_url: str, does: Deed, then: Callable[[psycopg.Connection[Any]], object]) -> list[Any]:
    """Do something beside somebody who has her; `then` is done, by whoever has her, while that waits."""
    results: list[Any] = []
    with superuser(admin_url) as server:
        server.autocommit = False
        server.execute("SELECT 1 FROM incidents_affectedperson WHERE reference = 'claire' FOR UPDATE")
        thread = threading.Thread(target=lambda: results.extend(together(does)))
        thread.start()
        with superuser(admin_url) as beside:
            assert waits(beside)
        then(server)
        server.rollback()
        thread.join(timeout=60)
    return results


def test_the_run_that_erases_holds_no_request_while_it_waits_for_a_person(five: Campaign, admin_url: str) -> None:
    asked = asked_for_erasure(five)
    nobody_has_it = "SELECT 1 FROM incidents_erasure WHERE id = %s FOR UPDATE NOWAIT"
    results = while_waiting_for_claire(
        admin_url, lambda: erase_due(incident=five.incident), lambda server: server.execute(nobody_has_it, [asked.pk])
    )
    assert results == [1]


def test_a_request_that_is_withdrawn_while_the_run_waits_for_the_person_erases_nobody(five: Campaign, admin_url: str) -> None:
    asked = asked_for_erasure(five)
    sql("SET lock_timeout = '20s'")  # were the run to have the request, nobody here would ever go on
    results = while_waiting_for_claire(
        admin_url,
        lambda: erase_due(incident=five.incident),
        lambda _: end_request(erasure=asked, state="withdrawn", reason="by mail", author=desk()[0]),
    )
    assert results == [0] and someone(five.incident, "claire").erased_at is None


def test_a_merge_takes_those_who_stand_for_others_with_them_in_one_order(five: Campaign, admin_url: str) -> None:
    claire, carl, yuki = (someone(five.incident, name) for name in ("claire", "carl", "yuki"))
    with superuser(admin_url) as server:
        server.execute(
            "UPDATE incidents_affectedperson SET merged_into_id = %s, status = 'merged' WHERE id = %s", [claire.pk, yuki.pk]
        )
    QueueEntry.objects.create(incident=five.incident, person=carl, other=yuki, kind="match_conflict", reason="one or two?")
    entries, officer = five.incident.queue.all(), desk()[0]
    nobody_has_him = "SELECT 1 FROM incidents_affectedperson WHERE id = %s FOR UPDATE NOWAIT"
    [result] = while_waiting_for_claire(
        admin_url,
        lambda: merge_people(incident=five.incident, entries=entries, reason="the same", author=officer),
        lambda server: server.execute(nobody_has_him, [carl.pk]),
    )
    assert isinstance(result, DecisionRefused), "two of a signed register; what counts is the order up to there"
