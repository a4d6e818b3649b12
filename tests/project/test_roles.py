"""Who may do what in the database: forty actions by each of the seven roles, tried out with real statements."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connections
from psycopg.errors import InsufficientPrivilege, InvalidSchemaName, UndefinedFunction, UndefinedTable

from notifier import privileges
from notifier.privileges import APPEND_ONLY, COLUMNS, OPEN, ROLES, RUNTIME_ROLES
from tests.conftest import with_database
from tests.roles import Cast, narrow

EVERYBODY = frozenset(COLUMNS)
WEB, WORKER, SEQUENCER, IMPORTER, AUDITOR = (frozenset({role}) for role in COLUMNS)
#: What somebody does -> a statement that does it as far as the rights go, and who may (the owner may everything). Written
#: down by hand, not taken from the table of rights.
ACTIONS: dict[str, tuple[str, frozenset[str]]] = {
    "see which migrations are applied": ("SELECT name FROM django_migrations", EVERYBODY),
    "read passwords": ("SELECT password FROM auth_user", WEB),
    "read the names of authors": ("SELECT username FROM auth_user", WEB | IMPORTER | AUDITOR),
    "see who only reads": ("SELECT group_id FROM auth_user_groups", WEB | IMPORTER),
    "let somebody act who only reads": ("DELETE FROM auth_user_groups WHERE false", frozenset()),
    "make a user": ("INSERT INTO auth_user DEFAULT VALUES", frozenset()),
    "make somebody staff": ("UPDATE auth_user SET is_staff = true WHERE false", frozenset()),
    "let somebody in again": ("UPDATE auth_user SET is_active = true WHERE false", frozenset()),
    "take somebody's name": ("UPDATE auth_user SET username = 'counsel' WHERE false", frozenset()),
    "change one's password": ("UPDATE auth_user SET password = '' WHERE false", WEB),
    "delete a user": ("DELETE FROM auth_user WHERE false", frozenset()),
    "sign in": ("INSERT INTO django_session DEFAULT VALUES", WEB),
    "open an incident": ("INSERT INTO incidents_incident DEFAULT VALUES", WEB),
    "read an incident's key": ("SELECT wrapped_key FROM incidents_incident", WEB | WORKER | IMPORTER),
    "wrap a key anew": ("UPDATE incidents_incident SET wrapped_key = NULL WHERE false", WEB),
    "lock an incident": ("SELECT 1 FROM incidents_incident FOR NO KEY UPDATE", WEB | IMPORTER),
    "write a version of the facts": ("INSERT INTO incidents_factversion DEFAULT VALUES", WEB),
    "record a finding": ("INSERT INTO incidents_finding DEFAULT VALUES", WEB),
    "write an obligation": ("INSERT INTO incidents_obligation DEFAULT VALUES", WEB),
    "upload a list": ("INSERT INTO incidents_importpart DEFAULT VALUES", WEB | IMPORTER),
    "stage a row": ("INSERT INTO incidents_stagedrow DEFAULT VALUES", IMPORTER),
    "write a person": ("INSERT INTO incidents_affectedperson DEFAULT VALUES", WEB | IMPORTER),
    "correct a person": ("UPDATE incidents_affectedperson SET residence = '' WHERE false", WEB | IMPORTER),
    "wrap a person's key anew": ("UPDATE incidents_affectedperson SET key_version = 2 WHERE false", WEB | IMPORTER),
    "erase a person": ("UPDATE incidents_affectedperson SET wrapped_key = NULL WHERE false", WEB | WORKER | IMPORTER),
    "delete a person": ("DELETE FROM incidents_affectedperson WHERE false", frozenset()),
    "read a sealed person": ("SELECT sealed FROM incidents_affectedperson", WEB | WORKER | IMPORTER),
    "read a blind index": ("SELECT email_index FROM incidents_affectedperson", WEB | WORKER | IMPORTER),
    "read the residences": ("SELECT residence FROM incidents_affectedperson", WEB | WORKER | IMPORTER | AUDITOR),
    "decide a queue entry": ("UPDATE incidents_queueentry SET status = '' WHERE false", WEB | IMPORTER),
    "read a rejected row": ("SELECT sealed FROM incidents_importrow", WEB | WORKER | IMPORTER),
    "place a legal hold": ("INSERT INTO incidents_legalhold DEFAULT VALUES", WEB),
    "exclude a person": ("INSERT INTO incidents_exclusion DEFAULT VALUES", WEB),
    "write a letter": ("INSERT INTO incidents_lettertext DEFAULT VALUES", WEB),
    "sign": ("INSERT INTO incidents_approval DEFAULT VALUES", WEB),
    "freeze a register": ("INSERT INTO incidents_registerentry DEFAULT VALUES", WEB),
    "pause a campaign": ("UPDATE incidents_campaign SET state = 'paused' WHERE false", WEB | WORKER),
    "plan a message": ("INSERT INTO incidents_message DEFAULT VALUES", WEB),
    "move a message": ("UPDATE incidents_message SET state = '' WHERE false", WEB | WORKER),
    "claim a chunk": ("INSERT INTO incidents_chunk DEFAULT VALUES", WORKER),
    "take a fencing token": ("SELECT nextval('incidents_chunk_token')", WORKER),
    "write an attempt": ("INSERT INTO incidents_attempt DEFAULT VALUES", WORKER),
    "change an attempt": ("UPDATE incidents_attempt SET outcome = '' WHERE false", frozenset()),
    "open a doubt": ("INSERT INTO incidents_doubt DEFAULT VALUES", WORKER),
    "settle a doubt": ("UPDATE incidents_doubt SET settled_how = '' WHERE false", WEB | WORKER),
    "store an event": ("INSERT INTO incidents_providerevent DEFAULT VALUES", WEB | WORKER),
    "keep a late answer": ("INSERT INTO incidents_lateresult DEFAULT VALUES", WORKER),
    "set the pace": ("INSERT INTO incidents_providerlimit DEFAULT VALUES", WORKER),
    "close a breaker": ("UPDATE incidents_providerlimit SET breaker = 'closed' WHERE false", WEB | WORKER),
    "enter a staff recipient": ("INSERT INTO incidents_staffrecipient DEFAULT VALUES", WEB),
    "read who the first wave goes to": ("SELECT sealed FROM incidents_staffrecipient", WEB | WORKER),
    "plan a first wave": ("INSERT INTO incidents_canaryletter DEFAULT VALUES", WEB),
    "send a first wave": ("UPDATE incidents_canaryletter SET state = '' WHERE false", WORKER),
    "write a preflight": ("INSERT INTO incidents_preflightreport DEFAULT VALUES", WEB | WORKER),
    "write a reconciliation": ("INSERT INTO incidents_reconciliation DEFAULT VALUES", WEB | WORKER),
    "give somebody up": ("INSERT INTO incidents_unreachable DEFAULT VALUES", WEB),
    "read letters in the inbox": ("SELECT sealed FROM incidents_inboxmessage", WEB | WORKER),
    "write to the log": ("INSERT INTO incidents_auditevent DEFAULT VALUES", WEB | WORKER | IMPORTER),
    "read the log": ("SELECT line FROM incidents_auditevent", EVERYBODY),
    "hide an entry from the sequencer": ("DELETE FROM incidents_auditpending WHERE false", SEQUENCER),
    "put an entry before the sequencer": ("INSERT INTO incidents_auditpending DEFAULT VALUES", frozenset()),
    "give an entry its place": ("INSERT INTO incidents_auditleaf DEFAULT VALUES", SEQUENCER),
    "sign a head": ("INSERT INTO incidents_auditcheckpoint DEFAULT VALUES", SEQUENCER),
    "let the tree grow": ("UPDATE incidents_auditlog SET size = 0 WHERE false", SEQUENCER),
    "give a log another name": ("UPDATE incidents_auditlog SET origin = '' WHERE false", frozenset()),
    "make a temporary table": ("CREATE TEMP TABLE mine (a int)", WEB | IMPORTER),
    "make a table": ("CREATE TABLE public.mine (a int)", frozenset()),
    "make a schema": ("CREATE SCHEMA mine", frozenset()),
}
#: What no role but the owner of the server may do, and not even the tables' owner.
SERVERS = (
    "SET session_replication_role = replica",
    "CREATE ROLE mine",
    "COPY incidents_auditevent TO PROGRAM 'cat'",
    "SELECT pg_read_file('postgresql.conf')",
    "SELECT rolpassword FROM pg_authid",
)
OWNERS = (
    "ALTER TABLE {0} DISABLE TRIGGER ALL",
    "ALTER TABLE {0} OWNER TO CURRENT_USER",
    "ALTER TABLE {0} ADD COLUMN mine int",
    "DROP TABLE {0} CASCADE",
    "TRUNCATE {0} CASCADE",
    "CREATE RULE quiet AS ON INSERT TO {0} DO INSTEAD NOTHING",
    "CREATE TRIGGER quiet BEFORE INSERT ON {0} FOR EACH ROW EXECUTE FUNCTION refuse_change()",
)
FUNCTIONS = (
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "DROP FUNCTION refuse_change() CASCADE",
    "ALTER FUNCTION check_signature() RENAME TO gone",
    "ALTER FUNCTION audit_pending() SECURITY INVOKER",
)
#: What those run into who may not even look into the schema. A statement that is wrong by itself fails for the owner, too.
NOTHING_THERE = (InvalidSchemaName, UndefinedFunction, UndefinedTable)


@pytest.fixture
def server(committed: str, roles: Cast) -> Iterator[psycopg.Connection]:
    """A migrated database, signed in as the tester who may become each role."""
    narrow(committed, roles)
    at = connections["default"].settings_dict
    with psycopg.connect(with_database(at, at["NAME"]), autocommit=True) as connection:
        yield connection


def may(server: psycopg.Connection, role: str, statement: str) -> bool:
    """Whether the role has the right; what the statement itself runs into does not matter."""
    with server.transaction(force_rollback=True):
        server.execute(f"SET LOCAL ROLE {role}")
        try:
            with server.transaction():
                server.execute(statement)  # type: ignore[arg-type]
        except (InsufficientPrivilege, *NOTHING_THERE):
            return False
        except psycopg.Error:
            return True
    return True


def test_each_action_is_allowed_to_exactly_those_roles(server: psycopg.Connection, roles: Cast) -> None:
    found = {
        (action, role): may(server, roles.name(role), statement)
        for (action, (statement, _)), role in itertools.product(ACTIONS.items(), ROLES)
    }
    expected = {(action, role): role == "owner" or role in allowed for action, (_, allowed) in ACTIONS.items() for role in ROLES}
    assert [pair for pair in expected if found[pair] != expected[pair]] == []
    assert len(ACTIONS) >= 40 and set(ROLES) == {"owner", *COLUMNS, "door"}


def test_no_running_role_can_lift_a_guard(server: psycopg.Connection, roles: Cast) -> None:
    statements = [part.format(table) for part, table in itertools.product(OWNERS, ("incidents_auditevent", "incidents_message"))]
    allowed = [
        (role, statement)
        for role, statement in itertools.product(RUNTIME_ROLES, (*statements, *FUNCTIONS, *SERVERS))
        if may(server, roles.name(role), statement)
    ]
    assert allowed == []


def test_nobody_but_the_server_s_own_can_switch_all_triggers_off(server: psycopg.Connection, roles: Cast) -> None:
    assert [statement for statement in SERVERS if may(server, roles.name("owner"), statement)] == []


def test_no_running_role_can_become_another(server: psycopg.Connection, roles: Cast) -> None:
    rows = server.execute(
        "SELECT g.rolname, m.rolname FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member"
    ).fetchall()
    assert not [pair for pair in rows if pair[1] in {roles.name(role) for role in ROLES}]


def granted(server: psycopg.Connection, roles: Cast) -> set[tuple[str, str, str, str]]:
    """(role, table, verb, column or nothing) as the database has it, of all running roles and of everybody."""
    rows = server.execute(
        """
        SELECT coalesce(r.rolname, 'PUBLIC'), c.relname, a.privilege_type || CASE WHEN is_grantable THEN '*' ELSE '' END, '' FROM pg_class c, aclexplode(c.relacl) a
        LEFT JOIN pg_roles r ON r.oid = a.grantee WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
        UNION ALL
        SELECT coalesce(r.rolname, 'PUBLIC'), c.relname, a.privilege_type, t.attname FROM pg_class c
        JOIN pg_attribute t ON t.attrelid = c.oid, aclexplode(t.attacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE c.relnamespace = 'public'::regnamespace
        """
    ).fetchall()
    return {(name.removeprefix(f"{roles.prefix}_"), *rest) for name, *rest in rows if name != roles.name("owner")}


def test_the_database_grants_what_the_table_of_rights_says_and_nothing_else(server: psycopg.Connection, roles: Cast) -> None:
    expected = {
        (right.role, right.table, right.verb, column) for right in privileges.rights() for column in (right.columns or ("",))
    }
    assert granted(server, roles) == expected


def test_every_table_has_its_line_in_the_table_of_rights(server: psycopg.Connection) -> None:
    there = {row[0] for row in server.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()}
    assert there - set(privileges.tables()) == set(), "give the new table a line in notifier/privileges.py"
    assert set(privileges.tables()) - there == set(), "this table is gone: take its line out of notifier/privileges.py"


def test_the_auditor_sees_nothing_sealed_no_key_and_no_index(server: psycopg.Connection) -> None:
    rows = server.execute(
        "SELECT c.relname, a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'r' "
        "AND c.relnamespace = 'public'::regnamespace AND a.atttypid = 'bytea'::regtype"
    ).fetchall()
    seen = {
        (right.table, column)
        for right in privileges.rights()
        if right.role == "auditor" and right.verb == "SELECT"
        for column in (right.columns or ("*",))
    }
    secret = [(table, column) for table, column in rows if (table, column) in seen or (table, "*") in seen]
    assert secret == [("incidents_auditleaf", "leaf_hash")], "the hash of an entry is no secret; everything else in bytes is"
    assert "reference" not in OPEN["incidents_affectedperson"], "it may be the customer number of the file"


def test_what_is_append_only_is_so_for_every_role() -> None:
    assert not [right for right in privileges.rights() if right.table in APPEND_ONLY and right.verb in {"UPDATE", "DELETE"}]


def test_the_owner_too_is_refused_by_the_triggers(server: psycopg.Connection, committed: str, roles: Cast) -> None:
    server.execute(f"SET ROLE {roles.name('owner')}")
    for table in APPEND_ONLY:
        with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
            server.execute(f"TRUNCATE {table} CASCADE")
