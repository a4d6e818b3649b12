"""Gives every process what the settings demand: secrets, the addresses of the services, and servers that run.

What the environment already says always wins. What it leaves open comes from `var/secrets.json` (made at first start, mode
600) and from the embedded servers.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg

from notifier import acts, database, embedded, schema
from notifier.connecting import connect
from notifier.embedded import Place, ServiceDown
from notifier.privileges import ROLES

ROOT = Path(__file__).resolve().parent.parent
#: Commands of plain Python: they need neither database nor broker and start none.
NO_SERVICES = frozenset({"law_cases", "scenario", "check_law", "law", "help", "version", "--help", "--version", "makemessages"})
#: Commands that may run on a schema that is not (or not yet) the code's.
SCHEMA_AS_IT_IS = frozenset({"makemigrations", "shell", "dbshell", "showmigrations", "sqlmigrate", "check"})
#: Commands that make schema and rights themselves.
SET_UP = frozenset({"migrate", "roles"})
#: Commands of the owner, who is not asked what a running role is asked at its start.
OWNERS = frozenset(command for command, roles in acts.ROLES_OF_COMMANDS.items() if roles[0] == "owner")
NEED_BROKER = frozenset({"up", "demo", "drill"})
#: Commands that start an embedded server again when it dies under them.
LONG_RUNNING = frozenset({"up", "demo", "drill"})
#: For so long they set up again what was cut short by that.
SET_UP_SECONDS = 300


def command_of(arguments: list[str]) -> str:
    """The command, with its second word where that decides: `law whatif` asks the database, `law show` and `law diff` do not."""
    first = arguments[0] if arguments else "help"
    return "law whatif" if first == "law" and "whatif" in arguments[1:] else first


def place() -> Place:
    """The state folder of this installation: `BREACH_VAR`, or `var/` beside `manage.py`."""
    var = Path(os.environ.get("BREACH_VAR") or ROOT / "var")
    return Place(var=var, durable=os.environ.get("BREACH_EMBEDDED_DURABLE", "1") == "1")


def _new_secrets() -> dict[str, str]:
    passwords = {f"{role}_password": embedded.new_password() for role in ("bootstrap", *ROLES)}
    return {"secret_key": secrets.token_urlsafe(48), "master_key": secrets.token_hex(32), **passwords}


def local_secrets(here: Place) -> dict[str, str]:
    """The secrets of this installation, made at first use (those that an earlier version did not know are added)."""
    path, wanted = here.var / "secrets.json", set(_new_secrets())
    if not path.exists() or not wanted <= set(json.loads(path.read_text())):
        embedded.private_folder(here.var)
        with (here.var / "secrets.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = json.loads(path.read_text()) if path.exists() else {}
            found.pop(f"{database.FORMER_ROLE}_password", None)
            embedded.write_private(path, json.dumps({**_new_secrets(), **found}, indent=1))
    known: dict[str, str] = json.loads(path.read_text())
    return known


def passwords_of_roles(known: dict[str, str]) -> dict[str, str]:
    """Role -> the password that this installation has made for it."""
    return {role: known[f"{role}_password"] for role in ROLES}


def set_secrets(here: Place) -> dict[str, str]:
    """Put the secrets that the settings demand into the environment, where it does not hold them already."""
    known = local_secrets(here)
    os.environ.setdefault("BREACH_VAR", str(here.var))
    os.environ.setdefault("SECRET_KEY", known["secret_key"])
    if not {"MASTER_KEY", "MASTER_KEY_FILE", "MASTER_KEY_PROGRAM"} & set(os.environ):
        os.environ["MASTER_KEY"] = known["master_key"]
    return known


@contextlib.contextmanager
def services(command: str) -> Iterator[None]:
    """Whatever `command` needs is there inside this block. Raises ServiceDown with the remedy."""
    here = place()
    for name in ("DATABASE_URL", *map(acts.variable, ROLES), "REDIS_URL"):
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)  # set but empty means not set
    known = set_secrets(here)
    if command in NO_SERVICES:
        os.environ["BREACH_WITHOUT_BROKER"] = "1"
        yield
        return
    with contextlib.ExitStack() as stack:
        own_database = "DATABASE_URL" not in os.environ and not acts.given_addresses()
        own_broker = "REDIS_URL" not in os.environ
        own_broker_needed = own_broker and command in NEED_BROKER
        if own_database or own_broker_needed:
            word, wanted = known["bootstrap_password"], {"postgres": own_database, "valkey": own_broker_needed}
            stack.enter_context(embedded.servers(here, password=word, **wanted))
            if command in LONG_RUNNING:
                stack.enter_context(embedded.kept_alive(here, password=word, **wanted))
        restarted = own_database and command in LONG_RUNNING
        patiently(lambda: _set_up(here, known, command, own=own_database), seconds=SET_UP_SECONDS if restarted else 0)
        _provide_broker(here, own_broker, needed=command in NEED_BROKER)
        yield


def patiently(step: Callable[[], None], *, seconds: float) -> None:
    """Do a step that may be done twice, for so long again and again where the database goes away under it."""
    end = time.monotonic() + seconds
    while True:
        try:
            return step()
        except (database.DatabaseAway, psycopg.OperationalError):
            if time.monotonic() >= end:
                raise
        time.sleep(0.5)


def _set_up(here: Place, known: dict[str, str], command: str, *, own: bool) -> None:
    """The database is there with the code's schema and rights, under the addresses that the command needs."""
    owner = _provide_database(here, known, command, own=own)
    if command in SET_UP:
        return
    seen = schema.look(os.environ["DATABASE_URL"])
    if command not in OWNERS:
        schema.refuse_wrong_role(seen)
    if command not in SCHEMA_AS_IT_IS and not seen.current:
        schema.bring_up_to_date(here, owner=owner)


def _provide_database(here: Place, known: dict[str, str], command: str, *, own: bool) -> str | None:
    """Give the command the addresses that it needs; returns the owner's, where it is known at all."""
    found, given = acts.given_addresses(), os.environ.get("DATABASE_URL")
    if own:
        given = embedded.postgres_url(here, user="bootstrap", password=known["bootstrap_password"], database="breach")
    role = database.role_of(given) if given else ""
    if given and role == database.FORMER_ROLE:
        raise ServiceDown(
            f"The role {database.database_name(given)}_{role} was replaced by six roles that may do less. Run 'manage.py roles' "
            "once with an administrator's address as DATABASE_URL; docs/operations.md says what each process is given then."
        )
    if given and not role:
        found = database.prepare_database(given, passwords=passwords_of_roles(known), again=command == "roles")
    elif command == "roles":
        raise ServiceDown(
            "Roles are made by an administrator: give the address of a superuser, or of a role with CREATEROLE and CREATEDB, as "
            "DATABASE_URL."
        )
    elif given:
        found.setdefault(role, given)
    acts.put_on(command, found)
    return found.get("owner")


def _provide_broker(here: Place, own: bool, *, needed: bool) -> None:
    if own:
        os.environ["REDIS_URL"] = embedded.valkey_url(here)
    elif needed:
        check_broker(os.environ["REDIS_URL"])


def check_broker(url: str) -> None:
    """Ping the broker once. Raises ServiceDown with the remedy."""
    import redis  # only here: most commands need no broker, and its client takes long to import
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    plain = url.replace("redis+socket://", "unix://")
    try:
        redis.Redis.from_url(plain, socket_connect_timeout=3, socket_timeout=3, retry=Retry(NoBackoff(), 0)).ping()
    except (redis.RedisError, OSError, ValueError) as error:
        where = plain.rsplit("@", 1)[-1]
        raise ServiceDown(
            f"The broker at {where} does not answer ({type(error).__name__}). Start it, correct REDIS_URL, or unset "
            "REDIS_URL to use the embedded Valkey. Messages that are due can be sent without it: manage.py dispatch."
        ) from None


def wait_for_database(url: str, *, seconds: float) -> None:
    """Wait until the database takes connections (again). Raises ServiceDown with the remedy."""
    end = time.monotonic() + seconds
    while True:
        try:
            connect(url).close()
            return
        except psycopg.OperationalError as error:
            if time.monotonic() > end:
                raise database.unreachable(url, error) from None
        time.sleep(0.5)


@contextlib.contextmanager
def _supervisor_lock() -> Iterator[bool]:
    """True when nobody else has it. The kernel drops it with its process, however that ends."""
    with (place().var / "supervisor.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def workers_run() -> bool:
    """Whether workers run already, kept alive by an `up` of this installation."""
    with _supervisor_lock() as free:
        return not free


def only_one_supervisor() -> None:
    """Raises ServiceDown when another `up` of this installation runs."""
    if workers_run():
        pid = embedded.read_run(place()).get("supervisor_pid", 0)
        raise ServiceDown(f"This installation runs already (process {pid}). Use that one, or stop it with Ctrl-C first.")


@contextlib.contextmanager
def supervising() -> Iterator[None]:
    """Let other commands know that workers run, for the time of the block. Raises ServiceDown when another `up` was faster."""
    with _supervisor_lock() as free:
        if not free:
            only_one_supervisor()
        embedded.update_run(place(), supervisor_pid=os.getpid())
        try:
            yield
        finally:
            embedded.update_run(place(), supervisor_pid=0)
