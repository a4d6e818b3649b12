"""What the database refuses by itself, whatever the code does: moves, signatures, frozen values, changes of the log."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import Error, IntegrityError, connection, transaction

from incidents.letters.approving import approve_content
from incidents.models import Approval, Campaign, CampaignState, MessageState
from incidents.models.letters import ApprovalKind
from incidents.models.messages import CAMPAIGN_MOVES, FINAL_STATES, MESSAGE_MOVES, PHASES
from notifier.privileges import APPEND_ONLY
from tests.dispatch.campaigns import sql, superuser
from tests.roles import Cast, acting

guards = importlib.import_module("incidents.migrations.0002_guards")
latest = importlib.import_module("incidents.migrations.0022_told_twice")


def pairs(moves: dict[str, frozenset[str]]) -> set[tuple[str, str]]:
    return {(str(old), str(new)) for old, allowed in moves.items() for new in allowed}


# The state machines


def test_the_database_knows_the_same_moves_as_the_code() -> None:
    assert set(latest.MESSAGE_MOVES) == pairs(MESSAGE_MOVES)
    assert set(guards.CAMPAIGN_MOVES) == pairs(CAMPAIGN_MOVES)
    assert guards.APPEND_ONLY == APPEND_ONLY


def test_every_state_has_its_moves_and_final_ones_have_none() -> None:
    assert set(MESSAGE_MOVES) == set(MessageState)
    assert set(CAMPAIGN_MOVES) == set(CampaignState)
    ends = {state for state, allowed in MESSAGE_MOVES.items() if not allowed}
    assert ends <= FINAL_STATES
    # An event may still prove more, a person may know better; and somebody to whom nobody wrote can be corrected or excluded.
    still = {MessageState.ACCEPTED_UNCONFIRMED, MessageState.DELIVERED, MessageState.NOT_OWED}
    assert {state for state in FINAL_STATES if MESSAGE_MOVES[state]} == still


def test_the_database_knows_the_same_phases_as_the_code(five: Campaign, admin_url: str) -> None:
    with superuser(admin_url) as server, server.transaction(force_rollback=True):
        server.execute("SET LOCAL session_replication_role = replica")
        for state in MessageState:
            rows = server.execute("UPDATE incidents_message SET state = %s RETURNING phase", [state.value]).fetchall()
            assert {phase for (phase,) in rows} == {PHASES.get(state, state.value)}


def moved(table: str, old: str, new: str) -> bool:
    """Whether a row that stands in the old state may take the new one."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(f"UPDATE {table} SET state = %s", [old])
        cursor.execute("SET LOCAL session_replication_role = origin")
        try:
            with transaction.atomic():
                cursor.execute(f"UPDATE {table} SET state = %s", [new])
        except Error as error:
            # A listed move may still lack its signature, or its second person; those are other guards.
            if "the signature for this step is missing" in str(error) or "confirmed by a second person first" in str(error):
                return True
            assert f"cannot move from {old} to {new}" in str(error)
            return False
    return True


@pytest.mark.parametrize(
    ("table", "states", "moves"),
    [
        ("incidents_message", MessageState, MESSAGE_MOVES),
        ("incidents_campaign", CampaignState, CAMPAIGN_MOVES),
    ],
)
def test_of_all_pairs_of_states_exactly_the_listed_moves_pass(
    frozen: Campaign, table: str, states: Any, moves: dict[str, frozenset[str]]
) -> None:
    for old, new in itertools.permutations(map(str, states), 2):
        assert moved(table, old, new) == ((old, new) in pairs(moves)), (old, new)


def test_an_unknown_state_is_refused(frozen: Campaign) -> None:
    for table in ("incidents_message", "incidents_campaign"):
        with pytest.raises(IntegrityError, match="cannot move"), transaction.atomic():
            sql(f"UPDATE {table} SET state = 'sent'")


@pytest.mark.parametrize(
    "change",
    [
        "register_root = repeat('0', 64)",
        "letters_root = repeat('0', 64)",
        "register_root = ''",
        "people = people + 1",
        "author_ids = '{}'",
        "state = 'content_approved', people = 0",
    ],
)
def test_what_was_frozen_cannot_change(frozen: Campaign, change: str) -> None:
    with pytest.raises(IntegrityError, match="what was frozen cannot change"), transaction.atomic():
        sql(f"UPDATE incidents_campaign SET {change}")


# The signatures


def signature(campaign: Campaign, kind: ApprovalKind, author: User, **other: str) -> None:
    """A signature by hand, around all code."""
    roots = {"register_root": campaign.register_root, "letters_root": campaign.letters_root, **other}
    with transaction.atomic():
        sql(
            "INSERT INTO incidents_approval (campaign_id, kind, register_root, letters_root, reason, author_id, approved_at) "
            "VALUES (%s, %s, %s, %s, 'by hand', %s, now())",
            campaign.pk, kind.value, roots["register_root"], roots["letters_root"], author.pk,
        )  # fmt: skip


def test_the_database_refuses_a_signature_of_the_wrong_hand(five_frozen: Campaign) -> None:
    officer, counsel = User.objects.get(username="officer"), User.objects.get(username="counsel")
    with acting("owner"):
        third = User.objects.create_user("third")
    with pytest.raises(IntegrityError, match="an author of the campaign cannot approve"):
        signature(five_frozen, ApprovalKind.CONTENT, officer)
    with pytest.raises(IntegrityError, match="not approved yet"):
        signature(five_frozen, ApprovalKind.RELEASE, officer)
    with pytest.raises(IntegrityError, match="not over what was frozen"):
        signature(five_frozen, ApprovalKind.CONTENT, counsel, register_root="0" * 64)
    approve_content(campaign=five_frozen, author=counsel, reason="read")
    with pytest.raises(IntegrityError, match="cannot release"):
        signature(five_frozen, ApprovalKind.RELEASE, counsel)
    with pytest.raises(IntegrityError):
        signature(five_frozen, ApprovalKind.CONTENT, third)
    assert Approval.objects.count() == 1


# The roles


FORBIDDEN_ON_A_TABLE = (
    "UPDATE {0} SET id = id",
    "DELETE FROM {0}",
    "TRUNCATE {0} CASCADE",
    "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "DROP TRIGGER {0}_rows ON {0}",
    "DROP TABLE {0} CASCADE",
    "CREATE RULE quiet AS ON INSERT TO {0} DO INSTEAD NOTHING",
)


def test_the_running_role_can_only_add_to_what_is_append_only(five: Campaign) -> None:
    for table, statement in itertools.product(APPEND_ONLY, FORBIDDEN_ON_A_TABLE):
        with pytest.raises(Error, match="permission denied|must be owner"), transaction.atomic():
            sql(statement.format(table))


GUARDS_OFF = (
    "SET session_replication_role = replica",
    "ALTER SYSTEM SET fsync = off",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION refuse_change() CASCADE",
    "ALTER FUNCTION check_signature() RENAME TO gone",
    "CREATE TABLE public.mine (a int)",
    "CREATE ROLE mine",
)


def test_the_running_role_cannot_switch_the_guards_off(five: Campaign) -> None:
    for statement in GUARDS_OFF:
        with pytest.raises(Error, match="permission denied|must be owner"):
            sql(statement)


def test_even_the_owner_is_refused_by_the_triggers(five: Campaign, admin_url: str, roles: Cast) -> None:
    with superuser(admin_url) as server:
        for table in APPEND_ONLY:
            server.execute(f"SET ROLE {roles.name('owner')}")
            for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}"):
                with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                    server.execute(statement)
            server.execute("RESET ROLE")
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                server.execute(f"TRUNCATE {table} CASCADE")


def test_an_entry_that_is_written_is_pending_for_the_tree_by_the_database_itself(five: Campaign, admin_url: str) -> None:
    with superuser(admin_url) as server:
        server.execute(
            "INSERT INTO incidents_auditevent (log_id, action, subject, actor, happened_at, line) "
            "SELECT id, 'by.hand', '', 'x', now(), '{}' FROM incidents_auditlog"
        )
        waiting = server.execute(
            "SELECT count(*) FROM incidents_auditpending p JOIN incidents_auditevent e ON e.id = p.event_id "
            "WHERE e.action = 'by.hand'"
        ).fetchone()
    assert waiting == (1,)


def test_a_place_in_the_log_is_that_of_an_entry_of_the_same_log(five: Campaign, admin_url: str) -> None:
    entry = """INSERT INTO incidents_auditevent (log_id, action, subject, actor, happened_at, line)
        SELECT max(id), 'by.hand', '', 'x', now(), '{}' FROM incidents_auditlog RETURNING id, log_id"""
    place = "INSERT INTO incidents_auditleaf (log_id, seq, event_id, leaf_hash) VALUES (%s, 10000000, %s, '')"
    with superuser(admin_url) as server, server.transaction(force_rollback=True):
        event, log = server.execute(entry).fetchone() or (0, 0)
        for elsewhere in ((log + 1000, event), (log, event + 1000)):
            with pytest.raises(psycopg.errors.ForeignKeyViolation, match="names no entry of it"), server.transaction():
                server.execute(place, elsewhere)
        server.execute(place, (log, event))


def test_a_frozen_letter_can_neither_change_nor_go(frozen: Campaign) -> None:
    for statement in ("UPDATE incidents_letter SET compiled = 'x'", "DELETE FROM incidents_letter"):
        with pytest.raises(IntegrityError, match="a letter on a frozen register cannot change"), transaction.atomic():
            sql(statement)


def test_a_signature_cannot_be_skipped_by_writing_the_state(frozen: Campaign) -> None:
    with pytest.raises(IntegrityError, match="the signature for this step is missing"), transaction.atomic():
        sql("UPDATE incidents_campaign SET state = 'content_approved'")


def test_the_heads_of_a_frozen_campaign_cannot_change(frozen: Campaign) -> None:
    with pytest.raises(IntegrityError, match="what was frozen cannot change"), transaction.atomic():
        sql("""UPDATE incidents_campaign SET headers = '{"sender": "x@example.org"}'""")
