"""The outbox: the claim is the intent, the marker is what is known, a dead worker's chunk is settled from both."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.test import override_settings

from incidents.dispatch import outcomes, pacing, picking
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.outbox import Fenced, Mark, claim, finish, give_back_strays, mark_many, take_over
from incidents.dispatch.outcomes import ACCEPT, STILL, Outcome, array, backoff, texts
from incidents.dispatch.owner import Owner
from incidents.dispatch.picking import BY_INDEX, PICK
from incidents.dispatch.work import URGENT, send_ready
from incidents.models import Attempt, AuditEvent, Campaign, CampaignState, Chunk, ChunkState, Doubt, InboxMessage, Message
from incidents.models import MessageState as S
from tests.dispatch.campaigns import answer, marked, sql, states, taken

ACCEPTED = Outcome("accepted", "p-1")
GIVEN = {
    "accepted": ("accepted", S.ACCEPTED),
    "refused": ("refused", S.NEEDS_OTHER_CHANNEL),
    "failed": ("failed", S.READY),
    "quarantined": ("quarantined", S.QUARANTINED),
    "doubt": ("doubt", S.IN_DOUBT),
}


def states_in_order(ids: tuple[int, ...]) -> list[str]:
    known = dict(Message.objects.filter(pk__in=ids).values_list("pk", "state"))
    return [known[pk] for pk in ids]


# The claim


def test_a_claim_is_in_the_log_and_committed_before_anything_is_sent(five: Campaign, owner: Owner, admin_url: str) -> None:
    claimed = taken(five, owner)
    with psycopg.connect(admin_url) as other:
        chunk = other.execute("SELECT id, state, confirmed, message_ids FROM incidents_chunk").fetchall()
        line = other.execute("SELECT line FROM incidents_auditevent WHERE action = 'chunk.claimed'").fetchone()
        sending = other.execute("SELECT count(*) FROM incidents_message WHERE state = 'sending'").fetchone()
    assert chunk == [(claimed.chunk_id, "claimed", 0, list(claimed.message_ids))]
    assert sending == (5,)
    assert line
    assert json.loads(line[0])["data"] | {"list_sha256": ""} == {
        "campaign": five.reference, "chunk": claimed.chunk_id, "token": claimed.token, "n": 5, "list_sha256": "",
    }  # fmt: skip


def test_nothing_can_be_claimed_before_the_release(five_frozen: Campaign, owner: Owner) -> None:
    assert claim(campaign=five_frozen, owner=owner, provider="inbox", size=5) == []
    assert not Chunk.objects.exists()


def test_the_database_refuses_a_chunk_before_the_release_even_by_hand(five_frozen: Campaign) -> None:
    with pytest.raises(IntegrityError, match="before the release is signed"), transaction.atomic():
        sql(
            "INSERT INTO incidents_chunk (campaign_id, message_ids, state, token, owner_lock, lease_until, confirmed, "
            "exceptions, claimed_at) VALUES (%s, '{1}', 'claimed', 1, 1, now(), 0, '{}', now())",
            five_frozen.pk,
        )


def test_the_most_urgent_letters_are_claimed_first_and_those_without_a_deadline_last(five: Campaign, owner: Owner) -> None:
    ids = list(five.messages.order_by("id").values_list("pk", flat=True))
    five.messages.update(due_at=None)
    sql("UPDATE incidents_message SET due_at = '2026-12-01' WHERE id = %s", ids[3])
    sql("UPDATE incidents_message SET due_at = '2026-11-01' WHERE id = %s", ids[4])
    assert taken(five, owner).message_ids == (ids[4], ids[3], ids[0], ids[1], ids[2])


def test_a_message_is_not_claimed_before_its_time(five: Campaign, owner: Owner) -> None:
    sql("UPDATE incidents_message SET not_before = clock_timestamp() + interval '1 hour'")
    assert claim(campaign=five, owner=owner, provider="inbox", size=5) == []
    sql("UPDATE incidents_message SET not_before = clock_timestamp() - interval '1 second'")
    assert len(taken(five, owner).message_ids) == 5


def test_two_workers_never_claim_the_same_message(five: Campaign, owner: Owner) -> None:
    with Owner() as second:
        first, other = taken(five, owner, size=3), taken(five, second, size=3)
        assert not set(first.message_ids) & set(other.message_ids)
        assert len(first.message_ids + other.message_ids) == 5
        assert other.token > first.token
        assert claim(campaign=five, owner=owner, provider="inbox", size=5) == []


def test_no_claim_sorts_all_that_wait_however_dear_the_planner_thinks_their_index(five: Campaign, admin_url: str) -> None:
    asked = [(PICK.format(behind=""), [five.pk, [], 1000]), (URGENT, [])]
    with psycopg.connect(admin_url, cursor_factory=psycopg.ClientCursor) as other:
        other.execute("SET random_page_cost = 100000")  # as wrong as it is about a table that was just filled
        plans = [[str(row) for row in other.execute("EXPLAIN " + query, values)] for query, values in asked]
        other.execute(BY_INDEX)
        ordered = ["\n".join(str(row) for row in other.execute("EXPLAIN " + query, values)) for query, values in asked]
    assert any("Sort Key: due_at" in line for line in plans[0]), "else this test shows nothing"
    assert all("message_ready" in plan for plan in ordered), ordered
    assert [plan.count("Sort Key") for plan in ordered] == [0, 1]  # the one is of campaigns


def test_a_chunks_end_finds_its_letters_by_their_keys_even_if_the_planner_thinks_that_none_is_being_sent(
    five: Campaign, admin_url: str
) -> None:
    values = [array(range(1000)), texts([""] * 1000), texts([""] * 1000)]
    with psycopg.connect(admin_url, cursor_factory=psycopg.ClientCursor) as other:
        other.execute("ANALYZE incidents_message")
        other.execute("UPDATE pg_class SET reltuples = 500 WHERE relname = 'incidents_message'")
        other.execute(BY_INDEX)
        plain, ours = (
            "\n".join(str(row) for row in other.execute("EXPLAIN " + query, values))
            for query in (ACCEPT.replace(STILL, "m.state = 'sending'"), ACCEPT)
        )
    assert "Join Filter: (u.id = m.id)" in plain, "else this test shows nothing"
    assert "Index Cond: (id = u.id)" in ours, ours


def test_a_worker_goes_on_where_its_last_claim_ended_and_comes_back_for_what_was_given_back(five: Campaign, owner: Owner) -> None:
    ids = list(Message.objects.order_by("pk").values_list("pk", flat=True))
    Message.objects.update(due_at=None)
    first = taken(five, owner, size=2)
    assert list(first.message_ids) == ids[:2]
    finish(claimed=first, outcomes=[Outcome("unsent"), Outcome("unsent")])
    assert list(taken(five, owner, size=2).message_ids) == ids[2:4]
    # One is left behind them, and two before: whoever finds too few begins again.
    assert list(taken(five, owner, size=2).message_ids) == ids[:2]
    assert list(taken(five, owner, size=2).message_ids) == ids[4:]


@pytest.mark.parametrize("due_at", [None, "2026-01-01T00:00:00Z"])
def test_what_became_urgent_meanwhile_waits_for_two_seconds_at_the_most(
    five: Campaign, owner: Owner, due_at: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = list(Message.objects.order_by("pk").values_list("pk", flat=True))
    Message.objects.update(due_at=due_at)
    finish(claimed=taken(five, owner, size=1), outcomes=[Outcome("unsent")])
    assert list(taken(five, owner, size=1).message_ids) == ids[1:2]
    monkeypatch.setattr(picking, "GO_ON_SECONDS", 0.0)
    assert list(taken(five, owner, size=1).message_ids) == ids[:1]


# The marker and the end of a chunk


def test_the_marker_moves_with_every_answer_and_renews_the_lease(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    sql("UPDATE incidents_chunk SET lease_until = clock_timestamp() - interval '1 hour'")
    assert marked(owner, claimed, 1, ACCEPTED)
    chunk = Chunk.objects.get()
    assert (chunk.confirmed, chunk.exceptions) == (1, {})
    assert take_over() == 0
    assert marked(owner, claimed, 2, Outcome("refused", detail="550"))
    assert Chunk.objects.get().exceptions == {"1": {"kind": "refused", "detail": "550", "provider_id": ""}}


def test_the_marker_tells_a_worker_that_its_campaign_no_longer_dispatches(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    Campaign.objects.filter(pk=five.pk).update(state=CampaignState.PAUSED)
    assert marked(owner, claimed, 1, ACCEPTED) is False


def test_every_outcome_leads_to_its_state_with_an_attempt_and_an_entry(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    finish(claimed=claimed, outcomes=[Outcome(kind, detail=kind) for kind in GIVEN])
    assert states_in_order(claimed.message_ids) == [state for _, state in GIVEN.values()]
    assert Chunk.objects.get().state == ChunkState.DONE
    assert sorted(Attempt.objects.values_list("outcome", flat=True)) == sorted(GIVEN)
    written = AuditEvent.objects.filter(action__startswith="attempt.").values_list("action", flat=True)
    assert sorted(written) == ["attempt.accepted", "attempt.doubt", "attempt.failed_certain", "attempt.refused"]
    assert AuditEvent.objects.filter(action="message.moved", line__contains='"quarantined"').count() == 1
    assert Doubt.objects.get().reason == "doubt"
    assert check_campaign(campaign=five).holds


def test_what_was_not_begun_leaves_no_attempt_and_does_not_count_as_one(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    finish(claimed=claimed, outcomes=[Outcome("unsent", detail="paused")] * 5)
    assert not Attempt.objects.exists()
    assert set(five.messages.values_list("state", "attempts")) == {(S.READY, 0)}


def test_a_certain_failure_is_tried_again_after_a_short_while(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "backoff", lambda *, attempts, drill: 30.0 * attempts)
    claimed = taken(five, owner)
    finish(claimed=claimed, outcomes=[Outcome("failed", detail="451")] * 5)
    assert claim(campaign=five, owner=owner, provider="inbox", size=5) == []
    waits = "extract(epoch FROM not_before - clock_timestamp())"
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT min({waits}), max({waits}) FROM incidents_message")
        least, most = cursor.fetchone()
    assert 0 < least <= most <= 30
    assert set(five.messages.values_list("state", "attempts")) == {(S.READY, 1)}


def test_the_wait_doubles_with_jitter_and_never_passes_an_hour() -> None:
    with override_settings(RETRY_BASE_SECONDS=30):
        for attempts in range(1, 20):
            longest = min(3600, 30 * 2**attempts)
            waits = [backoff(attempts=attempts, drill=False) for _ in range(50)]
            assert all(0 <= wait <= longest for wait in waits)
            assert len(set(waits)) > 40
    assert backoff(attempts=3, drill=True) <= 8


# Take-over


def test_a_living_worker_is_left_alone(five: Campaign, owner: Owner) -> None:
    taken(five, owner)
    assert take_over() == 0
    assert states(five) == {S.SENDING: 5}


def test_a_worker_whose_connection_is_gone_is_taken_over_at_once(five: Campaign) -> None:
    with Owner() as dying:
        claimed = taken(five, dying)
        answer(dying, claimed, ACCEPTED, ACCEPTED)
    assert Chunk.objects.get().lease_until > Chunk.objects.get().claimed_at
    assert take_over() == 1
    assert states(five) == {S.ACCEPTED: 2, S.IN_DOUBT: 1, S.READY: 2}


def test_a_worker_that_only_stalls_is_taken_over_after_its_lease(five: Campaign, owner: Owner) -> None:
    claimed = taken(five, owner)
    answer(owner, claimed, ACCEPTED)
    assert take_over() == 0
    sql("UPDATE incidents_chunk SET lease_until = clock_timestamp() - interval '1 millisecond'")
    assert take_over() == 1
    assert states(five) == {S.ACCEPTED: 1, S.IN_DOUBT: 1, S.READY: 3}


@pytest.mark.parametrize("confirmed", range(6))
def test_before_the_marker_is_known_at_it_in_doubt_after_it_ready(five: Campaign, confirmed: int) -> None:
    kinds = ["accepted", "refused", "failed", "quarantined", "doubt"]
    with Owner() as dying:
        claimed = taken(five, dying)
        answer(dying, claimed, *(Outcome(kind, detail=f"was {kind}") for kind in kinds[:confirmed]))
    assert take_over() == 1

    expected = [GIVEN[kind][1] for kind in kinds[:confirmed]] + [S.IN_DOUBT, *[S.READY] * 4]
    assert states_in_order(claimed.message_ids) == expected[:5]
    attempts = dict(Attempt.objects.values_list("message_id", "outcome"))
    assert [attempts.get(pk) for pk in claimed.message_ids] == [*kinds[:confirmed], "doubt", *[None] * 4][:5]
    dead = Doubt.objects.filter(reason__contains="died")
    assert dead.count() == (confirmed < 5)
    assert Doubt.objects.count() == states(five).get(S.IN_DOUBT, 0)
    never = five.messages.filter(pk__in=claimed.message_ids[confirmed + 1 :])
    assert set(never.values_list("attempts", flat=True)) <= {0}
    assert Chunk.objects.get().state == ChunkState.TAKEN_OVER
    assert AuditEvent.objects.filter(action="chunk.taken_over").count() == 1
    assert check_campaign(campaign=five).holds


@pytest.mark.parametrize(("flush", "doubts"), [(3, 3), (50, 4), (0, 4)], ids=["bounded", "wider than the chunk", "kept no bound"])
def test_after_a_crash_of_the_server_whatever_the_disk_had_not_is_in_doubt(five: Campaign, flush: int, doubts: int) -> None:
    with Owner() as dying:
        answer(dying, taken(five, dying), ACCEPTED)
    sql("UPDATE incidents_chunk SET flush = %s, lease_until = clock_timestamp() - interval '1 second'", flush)
    sql("DELETE FROM incidents_presence")
    assert take_over() == 1
    assert states(five) == {state: n for state, n in ((S.ACCEPTED, 1), (S.IN_DOUBT, doubts), (S.READY, 4 - doubts)) if n}
    assert check_campaign(campaign=five).holds


def test_a_marker_for_good_is_on_the_disk_when_it_returns(five: Campaign, owner: Owner) -> None:
    [[before]] = owner.execute("SELECT pg_current_wal_insert_lsn()::text", [])
    claimed = taken(five, owner)
    assert mark_many(owner=owner, marks=[Mark(claimed, 1)], for_good=True) == {claimed.chunk_id: True}
    [[there]] = owner.execute("SELECT pg_current_wal_flush_lsn() > %s::pg_lsn", [before])
    assert there and Chunk.objects.get().confirmed == 1
    assert owner.execute("SHOW synchronous_commit", []) == [("off",)], "only that one"


@pytest.mark.parametrize("confirmed", [0, 3])
def test_a_fenced_worker_changes_nothing(five: Campaign, owner: Owner, confirmed: int) -> None:
    claimed = taken(five, owner)
    answer(owner, claimed, *[ACCEPTED] * confirmed)
    sql("UPDATE incidents_chunk SET lease_until = clock_timestamp() - interval '1 second'")
    take_over()
    before = list(five.messages.order_by("id").values()), list(Chunk.objects.values()), Attempt.objects.count()
    assert marked(owner, claimed, confirmed + 1, ACCEPTED) is None
    with pytest.raises(Fenced):
        finish(claimed=claimed, outcomes=[ACCEPTED] * 5)
    assert before == (list(five.messages.order_by("id").values()), list(Chunk.objects.values()), Attempt.objects.count())


def test_a_chunk_is_taken_over_once(five: Campaign) -> None:
    with Owner() as dying:
        taken(five, dying)
    assert [take_over(), take_over()] == [1, 0]
    assert Doubt.objects.count() == 1


# A database that is away for a moment


def test_only_what_was_claimed_without_hearing_of_it_is_given_back_as_not_begun(five: Campaign, owner: Owner) -> None:
    heard, unheard = taken(five, owner, size=3), taken(five, owner, size=2)
    owner.heard.discard(unheard.chunk_id)  # as if the connection had been cut at the commit
    give_back_strays(owner=owner)
    assert states_in_order(heard.message_ids) == [S.SENDING] * 3
    assert states_in_order(unheard.message_ids) == [S.READY] * 2


@override_settings(LANES=2)
def test_a_database_that_is_away_between_two_chunks_leaves_nothing_in_hand(
    five: Campaign, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two lanes with three letters and two: when the shorter one asks for more, the other one's letters are on their way."""
    real, asked = pacing.grant, list[int]()

    def grant(**given: Any) -> pacing.Grant:
        asked.append(given["wanted"])
        if len(asked) == 2:
            raise OperationalError("gone")
        return real(**given)

    monkeypatch.setattr(pacing, "grant", grant)
    with pytest.raises(OperationalError):
        send_ready(campaign_id=five.pk, owner=owner, provider=InboxProvider(), seconds=5)
    assert not Chunk.objects.filter(state=ChunkState.CLAIMED).exists() and not owner.heard
    told = five.messages.filter(state=S.ACCEPTED)
    assert set(InboxMessage.objects.values_list("message_ref", flat=True)) == set(told.values_list("message_ref", flat=True))
