"""Starts a real PostgreSQL and a real Valkey for the tests, before Django reads its settings (so: a plugin, given with -p).

`DATABASE_URL` and `REDIS_URL` in the environment win over the embedded servers. When the tests run in several processes, each has
servers of its own, so that no story hears another's wake-ups.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from notifier import embedded
from tests import room

_stack = contextlib.ExitStack()
#: Names what an outer process of the same run has provided: its inner processes do not take it for the user's.
_OURS = "TESTS_PROVIDED"


def _provide() -> None:
    """Provide servers and secrets; stop the servers at the end, however it comes."""
    var = Path(tempfile.mkdtemp(prefix="bn-tests-", dir=room.for_servers()))
    _stack.callback(shutil.rmtree, var, ignore_errors=True)
    os.environ.update(BREACH_VAR=str(var), AUDIT_ORGANISATION="tests.example")
    os.environ.update(SECRET_KEY="only-for-tests " * 4, MASTER_KEY=hashlib.sha256(b"tests").hexdigest())
    os.environ.update(RETRY_BASE_SECONDS="1", MAIL=os.environ.get("TEST_MAIL", "inbox:"))
    _keep_compiled(var / "compiled")
    here, password = embedded.Place(var=var, durable=False), embedded.new_password()
    for name in os.environ.pop(_OURS, "").split():
        os.environ.pop(name, None)
    own_database, own_broker = "DATABASE_URL" not in os.environ, "REDIS_URL" not in os.environ
    if own_database or own_broker:
        _stack.enter_context(embedded.servers(here, password=password, postgres=own_database, valkey=own_broker))
    if own_database:
        os.environ["DATABASE_URL"] = embedded.postgres_url(here, user="bootstrap", password=password, database="postgres")
    if own_broker:
        os.environ["REDIS_URL"] = embedded.valkey_url(here)
    os.environ[_OURS] = " ".join(["DATABASE_URL"] * own_database + ["REDIS_URL"] * own_broker)
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"  # the browser's driver runs an event loop in the tests' thread


def _keep_compiled(folder: Path) -> None:
    """Where Python is told to keep no compiled code, this run keeps it in a folder of its own, for its hundreds of processes.

    Each would otherwise compile Django and Celery anew: a second or two of every command and worker that a story starts.
    """
    if sys.dont_write_bytecode:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """The whole matrix runs as two processes, unless another number is asked for: most of it is waiting."""
    first = "PYTEST_XDIST_WORKER" not in os.environ  # each of the two comes here as well
    if first and config.option.markexpr == "matrix" and config.option.numprocesses is None and not config.option.usepdb:
        config.option.numprocesses, config.option.dist, config.option.tx = 2, "load", ["popen"] * 2


# At import: pytest-django reads the settings in the first hook there is.
_provide()
atexit.register(_stack.close)
