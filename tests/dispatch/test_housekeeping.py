"""What fails for one chunk or one campaign holds up nothing that is due for the others, and is named."""

from __future__ import annotations

import logging

import psycopg
import pytest
from django.db import OperationalError

from incidents.dispatch import doubts, work
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.outbox import take_over
from incidents.dispatch.outcomes import Outcome
from incidents.dispatch.owner import Owner
from incidents.dispatch.work import keep_house
from incidents.models import Campaign, Chunk, ChunkState
from tests.dispatch.campaigns import Mute, sql, superuser, taken

OF_ANOTHER_VERSION = '{"0": {"kind": "recalled", "detail": "", "provider_id": ""}}'


def state_of(chunk_id: int) -> str:
    return str(Chunk.objects.get(pk=chunk_id).state)


def test_a_chunk_that_cannot_be_taken_over_holds_up_no_other_and_is_named(
    crowd: Campaign, caplog: pytest.LogCaptureFixture
) -> None:
    with Owner() as one, Owner() as two:
        broken, whole = taken(crowd, one, size=5).chunk_id, taken(crowd, two, size=5).chunk_id
    sql("UPDATE incidents_chunk SET confirmed = 1, exceptions = %s WHERE id = %s", OF_ANOTHER_VERSION, broken)
    assert take_over() == 1
    assert (state_of(broken), state_of(whole)) == (ChunkState.CLAIMED, ChunkState.TAKEN_OVER)
    assert f"chunk {broken} cannot be taken over (KeyError)" in caplog.text
    assert check_campaign(campaign=crowd).stands_still == ""
    sql("UPDATE incidents_chunk SET lease_until = now() - interval '16 minutes' WHERE id = %s", broken)
    check = check_campaign(campaign=crowd)
    assert check.holds and check.left_behind == 1 and check.stands_still.startswith("1 chunk of letters, whose worker is gone")
    sql("UPDATE incidents_chunk SET exceptions = '{}' WHERE id = %s", broken)
    assert take_over() == 1 and state_of(broken) == ChunkState.TAKEN_OVER


def test_what_a_host_of_another_version_kept_beside_an_outcome_is_passed_over() -> None:
    kept = Outcome("failed", detail="451").to_json()
    assert Outcome.from_json({**kept, "wait": 3.0}) == Outcome("failed", detail="451")


def test_a_step_that_fails_is_logged_and_the_rest_of_housekeeping_goes_on(
    crowd: Campaign, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def take_over() -> int:
        raise ZeroDivisionError

    monkeypatch.setattr(work, "take_over", take_over)
    with Owner() as gone:
        taken(crowd, gone, size=5)
    sql("UPDATE incidents_message SET not_before = NULL")
    assert keep_house() == [crowd.pk]  # and workers are woken
    assert [entry.message for entry in caplog.records if entry.levelno == logging.ERROR] == [
        "housekeeping: take_over failed; the rest goes on"
    ]


def test_a_database_that_is_away_ends_the_round(crowd: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    def settle_doubts() -> int:
        raise OperationalError("server closed the connection unexpectedly")

    monkeypatch.setattr(work, "settle_doubts", settle_doubts)
    with pytest.raises(OperationalError):
        keep_house()


def test_nobody_stops_a_campaign_in_the_middle_of_a_doubts_end(
    five: Campaign, admin_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Owner() as dying:
        taken(five, dying, size=1)
    take_over()
    sql("UPDATE incidents_doubt SET opened_at = opened_at - interval '1 day'")
    held, move = [], doubts.move

    def watched(**named: object) -> object:
        with superuser(admin_url) as server, pytest.raises(psycopg.errors.LockNotAvailable):
            server.execute("SELECT FROM incidents_campaign WHERE id = %s FOR UPDATE NOWAIT", [five.pk])
        held.append(True)
        return move(**named)  # type: ignore[arg-type]

    monkeypatch.setattr(doubts, "move", watched)
    assert doubts.settle_doubts(provider_of=lambda _: Mute()) == 1
    assert held == [True]
