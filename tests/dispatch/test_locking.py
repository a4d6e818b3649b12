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
from incidents.models import Campaign, Message
from incidents.models import MessageState as S
from incidents.people import excluding
from incidents.people.correcting import correct_person
from incidents.people.excluding import confirm_exclusion, propose_exclusion
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
