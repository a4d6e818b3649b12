"""Two database roles from the start: `<database>_owner` migrates, `<database>_app` runs and owns nothing.

The audit tables are append-only for the running role by grant as well as by trigger (see `incidents/migrations`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg
from psycopg import sql

from notifier.embedded import ServiceDown

#: Tables whose rows may only be added: the log, its leaves and checkpoints, versions of facts, findings and signatures.
APPEND_ONLY = (
    "incidents_auditevent",
    "incidents_auditleaf",
    "incidents_auditcheckpoint",
    "incidents_factversion",
    "incidents_finding",
    "incidents_approval",
    "incidents_registerentry",
)
#: Everything of ours but letters not yet frozen and the sequencer's own list: rows that the running role never deletes.
KEPT = (
    "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'incidents_%' "
    "AND tablename NOT IN ('incidents_letter', 'incidents_auditpending', 'incidents_importpart', 'incidents_stagedrow')"
)


@dataclass(frozen=True)
class DatabaseUrls:
    """The addresses of one database as its owner and as the running application."""

    owner: str
    app: str


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


def prepare_database(url: str, *, password_owner: str, password_app: str) -> DatabaseUrls:
    """Create the database and its two roles where they are missing, and return the addresses of both.

    `url` must be a role that may create roles and databases. Raises ServiceDown with the remedy.
    """
    name = database_name(url)
    owner, app = f"{name}_owner", f"{name}_app"
    try:
        _create_database(url, name)
        with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
            _ensure_role(connection, owner, password_owner)
            _ensure_role(connection, app, password_app)
            _hand_over(connection, name, owner, app)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ServiceDown(
            f"The role of DATABASE_URL may not create the roles {owner} and {app}: {error.diag.message_primary}. "
            "Give it CREATEROLE and CREATEDB, or create both roles yourself and set DATABASE_OWNER_URL as well."
        ) from None
    except (psycopg.OperationalError, psycopg.ProgrammingError) as error:
        raise unreachable(url, error) from None
    return DatabaseUrls(
        owner=with_user(url, user=owner, password=password_owner), app=with_user(url, user=app, password=password_app)
    )


def unreachable(url: str, error: Exception) -> ServiceDown:
    """A plain message for a database that does not answer; the password of the address is left out."""
    parts = urlsplit(url)
    place = parts.netloc.rsplit("@", 1)[-1] or parts.query
    first = str(error).strip().split("\n")[0]
    return ServiceDown(
        f"The database at {place}{parts.path} does not answer ({first}). Start it, correct DATABASE_URL, "
        "or unset DATABASE_URL to use the embedded PostgreSQL."
    )


def _create_database(url: str, name: str) -> None:
    try:
        psycopg.connect(url, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "does not exist" not in str(error):
            raise
        parts = urlsplit(url)
        with psycopg.connect(urlunsplit(parts._replace(path="/postgres")), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _ensure_role(connection: psycopg.Connection, role: str, password: str) -> None:
    known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
    verb = sql.SQL("ALTER" if known else "CREATE")
    options = sql.SQL("LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD")
    connection.execute(sql.SQL("{} ROLE {} {} {}").format(verb, sql.Identifier(role), options, sql.Literal(password)))


def _hand_over(connection: psycopg.Connection, name: str, owner: str, app: str) -> None:
    who = connection.execute("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
    if who and not who[1]:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER").format(sql.Identifier(owner)))
    database, owner_id, app_id = sql.Identifier(name), sql.Identifier(owner), sql.Identifier(app)
    connection.execute(sql.SQL("GRANT ALL ON DATABASE {} TO {}").format(database, owner_id))
    connection.execute(sql.SQL("ALTER SCHEMA public OWNER TO {}").format(owner_id))
    connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(database, app_id))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(app_id))


def grant_to_app(owner_url: str) -> None:
    """Let the running role use the tables, and only add to the append-only ones. Run after every migration."""
    app = sql.Identifier(f"{database_name(owner_url)}_app")
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        run = connection.execute
        run(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(app))
        run(sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {}").format(app))
        run(sql.SQL("GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}").format(app))
        kept = connection.execute(KEPT).fetchall()
        for (table,) in kept:
            run(sql.SQL("REVOKE DELETE, TRUNCATE ON {} FROM {}").format(sql.Identifier(table), app))
        for table in APPEND_ONLY:
            run(sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(sql.Identifier(table), app))


def erase_schema(owner_url: str) -> None:
    """Drop everything in the database: only for `--fresh`, on a database that holds nothing but drills."""
    with psycopg.connect(owner_url, autocommit=True, connect_timeout=5) as connection:
        connection.execute("SET lock_timeout = '20s'")
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
