"""Sets up one database and its seven roles (see `privileges`), and says under which address each of them is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from notifier.connecting import connect
from notifier.embedded import ServiceDown
from notifier.privileges import ROLES, RUNTIME_ROLES, TEMPORARY, fingerprint, grants

SETUP_LOCK = 0x62_6E_5F_72_6F_6C  # "bn_rol"
#: The one running role of earlier versions.
FORMER_ROLE = "app"
ATTRIBUTES = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS PASSWORD"
#: A role that is reached, but by a password that nobody here knows; and a database that is not there yet.
NOT_SET_UP = ("password authentication failed", "does not exist", "no password supplied")


class DatabaseAway(ServiceDown):
    """It cannot be reached now; where somebody starts it again it may be there in a moment."""


def with_user(url: str, *, user: str, password: str) -> str:
    """The same address for another role."""
    parts = urlsplit(url)
    place = parts.netloc.rsplit("@", 1)[-1]
    return urlunsplit(parts._replace(netloc=f"{quote(user)}:{quote(password)}@{place}"))


def database_name(url: str) -> str:
    """The database that an address names; ServiceDown when it names none or it is not a plain name."""
    if urlsplit(url).scheme not in {"postgres", "postgresql"}:
        raise ServiceDown("DATABASE_URL must be a postgresql:// address; PostgreSQL is the only database.")
    name = unquote(urlsplit(url).path.lstrip("/"))
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,50}", name):
        raise ServiceDown(f"DATABASE_URL must end in a plain database name (letters, digits, underscore); it ends in '{name}'.")
    return name


def role_of(url: str) -> str:
    """Which of our roles an address belongs to; empty for anybody else, who is taken for an administrator."""
    user, name = unquote(urlsplit(url).username or ""), database_name(url)
    return next((role for role in (*ROLES, FORMER_ROLE) if user == f"{name}_{role}"), "")


def addresses(url: str, *, passwords: Mapping[str, str]) -> dict[str, str]:
    """Role -> its address, for the database of `url`."""
    name = database_name(url)
    return {role: with_user(url, user=f"{name}_{role}", password=passwords[role]) for role in ROLES}


def prepare_database(url: str, *, passwords: Mapping[str, str], again: bool = False) -> dict[str, str]:
    """Make the database and its roles where they are missing (`again`: also set everything anew); returns their addresses.

    `url` is an administrator's: a superuser, or a role with CREATEROLE and CREATEDB. Raises ServiceDown with the remedy.
    """
    found = addresses(url, passwords=passwords)
    try:
        if again or not _is_set_up(found["owner"], database_name(url)):
            _create_database(url, database_name(url))
            with connect(url) as connection:
                _set_up(connection, database_name(url), passwords)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ServiceDown(
            f"The role of DATABASE_URL may not set up the database and its roles: {error.diag.message_primary}. "
            "Give it CREATEROLE and CREATEDB, or run 'manage.py roles' once as somebody who has them (docs/operations.md)."
        ) from None
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise unreachable(url, error) from None
    return found


def unreachable(url: str, error: Exception) -> DatabaseAway:
    """A plain message for a database that does not answer; the password of the address is left out."""
    parts = urlsplit(url)
    place = parts.netloc.rsplit("@", 1)[-1] or parts.query
    first = str(error).strip().split("\n")[0]
    return DatabaseAway(
        f"The database at {place}{parts.path} does not answer ({first}). Start it, correct DATABASE_URL, "
        "or unset DATABASE_URL to use the embedded PostgreSQL."
    )


def _is_set_up(owner_url: str, name: str) -> bool:
    """Whether the owner's password is ours, all roles are there and the former one is gone."""
    try:
        with connect(owner_url) as connection:
            known = connection.execute("SELECT rolname FROM pg_roles WHERE starts_with(rolname, %s)", [f"{name}_"]).fetchall()
    except psycopg.OperationalError as error:
        if any(sign in str(error) for sign in NOT_SET_UP):
            return False
        raise
    there = {row[0].removeprefix(f"{name}_") for row in known}
    return set(ROLES) <= there and FORMER_ROLE not in there


def _create_database(url: str, name: str) -> None:
    try:
        connect(url).close()
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
        parts = urlsplit(url)
        faster = suppress(psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation)  # another start may be
        with connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection, faster:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _set_up(connection: psycopg.Connection, name: str, passwords: Mapping[str, str]) -> None:
    """Everything in one transaction: a start that is killed leaves the roles as they were."""
    connection.execute("SELECT pg_advisory_xact_lock(%s)", [SETUP_LOCK])
    for role in ROLES:
        ensure_role(connection, f"{name}_{role}", passwords[role])
    who = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    powerful = bool(who and who[0])
    if not powerful:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(f"{name}_owner")))
    _hand_over(connection, name)
    _retire(connection, f"{name}_{FORMER_ROLE}", powerful=powerful)


def ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    """A role that may sign in with this password and has no power over the server."""
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    # The server gets the verifier only: a log of its statements never holds the password.
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    verb, options = sql.SQL("ALTER" if known else "CREATE"), sql.SQL(ATTRIBUTES if not known else "LOGIN PASSWORD")
    connection.execute(sql.SQL("{} ROLE {} {} {}").format(verb, sql.Identifier(role), options, sql.Literal(verifier)))


def _hand_over(connection: psycopg.Connection, name: str) -> None:
    """The owner owns the schema; the others may connect, and two of them make temporary tables."""
    database, owner = sql.Identifier(name), sql.Identifier(f"{name}_owner")
    connection.execute(sql.SQL("GRANT ALL ON DATABASE {} TO {}").format(database, owner))
    connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner))
    connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
    for right, roles in (("CONNECT", RUNTIME_ROLES), ("TEMPORARY", TEMPORARY)):
        names = sql.SQL(", ").join(sql.Identifier(f"{name}_{role}") for role in roles)
        connection.execute(sql.SQL("GRANT {} ON DATABASE {} TO {}").format(sql.SQL(right), database, names))


def _retire(connection: psycopg.Connection, former: str, *, powerful: bool) -> None:
    """The former running role loses every right, and is dropped where it owns nothing."""
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [former]).fetchone():
        return
    role = sql.Identifier(former)
    if not powerful:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(role))
    owns = "SELECT 1 FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = %s::regrole AND deptype = 'o'"
    if connection.execute(owns, [former]).fetchone():
        connection.execute(sql.SQL("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {}").format(role))
        connection.execute(sql.SQL("REVOKE ALL ON ALL SEQUENCES IN SCHEMA public FROM {}").format(role))
        connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(role))
        return
    connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
    connection.execute(sql.SQL("DROP ROLE {}").format(role))


def grant_rights(owner_url: str, *, prefix: str = "") -> None:
    """Give every role its rights on the tables and take all others, as the owner. Run after every migration."""
    with connect(owner_url) as connection:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [SETUP_LOCK])
        existing = relations_of(connection)
        for statement in grants(prefix=prefix or database_name(owner_url), existing=existing):
            connection.execute(statement)
        connection.execute(sql.SQL("COMMENT ON SCHEMA public IS {}").format(sql.Literal(fingerprint())))


def relations_of(connection: psycopg.Connection) -> frozenset[str]:
    """The tables and sequences of the product's schema."""
    rows: Iterable[tuple[str]] = connection.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')"
    ).fetchall()
    return frozenset(name for (name,) in rows)


def erase_schema(owner_url: str) -> None:
    """Drop everything in the database: only for `--fresh`, on a database that holds nothing but drills."""
    with connect(owner_url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '20s'")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
