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
from collections.abc import Iterator
from pathlib import Path

import psycopg

from notifier import database, embedded, schema
from notifier.embedded import Place, ServiceDown

ROOT = Path(__file__).resolve().parent.parent
#: Commands of plain Python: they need neither database nor broker and start none.
NO_SERVICES = frozenset({"law_cases", "scenario", "check_law", "law", "help", "version", "--help", "--version", "makemessages"})
#: Commands that may run on a schema that is not (or not yet) the code's.
SCHEMA_AS_IT_IS = frozenset({"makemigrations", "shell", "dbshell", "showmigrations", "sqlmigrate", "check"})
NEED_BROKER = frozenset({"up", "demo"})
#: Commands that start an embedded server again when it dies under them.
LONG_RUNNING = frozenset({"up", "demo"})


def command_of(arguments: list[str]) -> str:
    """The command, with its second word where that decides: `law whatif` asks the database, `law show` and `law diff` do not."""
    first = arguments[0] if arguments else "help"
    return "law whatif" if first == "law" and "whatif" in arguments[1:] else first


def place() -> Place:
    """The state folder of this installation: `BREACH_VAR`, or `var/` beside `manage.py`."""
    var = Path(os.environ.get("BREACH_VAR") or ROOT / "var")
    return Place(var=var, durable=os.environ.get("BREACH_EMBEDDED_DURABLE", "1") == "1")


def _new_secrets() -> dict[str, str]:
    return {
        "secret_key": secrets.token_urlsafe(48),
        "master_key": secrets.token_hex(32),
        "bootstrap_password": embedded.new_password(),
        "owner_password": embedded.new_password(),
        "app_password": embedded.new_password(),
    }


def local_secrets(here: Place) -> dict[str, str]:
    """The secrets of this installation, made at first use. They never leave the machine."""
    path = here.var / "secrets.json"
    if not path.exists():
        embedded.private_folder(here.var)
        embedded.write_private(path, json.dumps(_new_secrets(), indent=1))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def set_secrets(here: Place) -> dict[str, str]:
    """Put the secrets that the settings demand into the environment, where it does not hold them already."""
    known = local_secrets(here)
    os.environ.setdefault("BREACH_VAR", str(here.var))
    os.environ.setdefault("SECRET_KEY", known["secret_key"])
    if "MASTER_KEY" not in os.environ and "MASTER_KEY_FILE" not in os.environ:
        os.environ["MASTER_KEY"] = known["master_key"]
    return known


@contextlib.contextmanager
def services(command: str) -> Iterator[None]:
    """Whatever `command` needs is there inside this block. Raises ServiceDown with the remedy."""
    here = place()
    for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
        if not os.environ.get(name, "").strip():
            os.environ.pop(name, None)  # set but empty means not set
    known = set_secrets(here)
    if command in NO_SERVICES:
        os.environ["BREACH_WITHOUT_BROKER"] = "1"
        yield
        return
    with contextlib.ExitStack() as stack:
        own_database = "DATABASE_URL" not in os.environ
        own_broker = "REDIS_URL" not in os.environ
        own_broker_needed = own_broker and command in NEED_BROKER
        if own_database or own_broker_needed:
            word, wanted = known["bootstrap_password"], {"postgres": own_database, "valkey": own_broker_needed}
            stack.enter_context(embedded.servers(here, password=word, **wanted))
            if command in LONG_RUNNING:
                stack.enter_context(embedded.kept_alive(here, password=word, **wanted))
        _provide_database(here, known, own_database)
        _provide_broker(here, own_broker, needed=command in NEED_BROKER)
        if command == "migrate":
            os.environ["DATABASE_URL"] = os.environ.get("DATABASE_OWNER_URL", os.environ["DATABASE_URL"])
        elif command not in SCHEMA_AS_IT_IS:
            schema.bring_up_to_date(here)
        yield


def _provide_database(here: Place, known: dict[str, str], own: bool) -> None:
    if "DATABASE_OWNER_URL" in os.environ:
        return
    url = os.environ.get("DATABASE_URL") or embedded.postgres_url(
        here, user="bootstrap", password=known["bootstrap_password"], database="breach"
    )
    if not own and f"//{database.database_name(url)}_app:" in url:
        return
    urls = database.prepare_database(url, password_owner=known["owner_password"], password_app=known["app_password"])
    os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"] = urls.app, urls.owner


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
            psycopg.connect(url, connect_timeout=5).close()
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
