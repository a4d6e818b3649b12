"""A setting that cannot be meant is refused at the start: one line with its name, what is wrong and the remedy, no secret in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from notifier.addresses import bounce_address, events_path, proxy, public_url
from notifier.settings import database

ROOT = Path(__file__).resolve().parents[2]


def start(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """A command that needs no service, under these settings."""
    environment = {**os.environ, "BREACH_VAR": str(tmp_path / "var"), **settings}
    line = [sys.executable, "manage.py", "law_cases", str(ROOT / "tests" / "law" / "cases" / "examples.yaml")]
    return subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"PROVIDER_TIMEOUT_SECONDS": "45"}, "PROVIDER_TIMEOUT_SECONDS (45) must be below LEASE_SECONDS (45)"),
        ({"LEASE_SECONDS": "20"}, "PROVIDER_TIMEOUT_SECONDS (30) must be below LEASE_SECONDS (20)"),
        ({"MARKER_STEP": "51"}, "MARKER_STEP must be a whole number of at least 1 and at most 50"),
        ({"MARKER_FLUSH": "32768"}, "MARKER_FLUSH must be a whole number of at least 1 and at most 10000"),
        ({"EVENTS_PATH": "hunter2"}, "EVENTS_PATH must be 20 to 100 random"),
        ({"BOUNCE_ADDRESS": "bounces"}, "BOUNCE_ADDRESS is 'bounces'"),
        ({"PUBLIC_URL": "ftp://breach.example.com"}, "PUBLIC_URL must be this desk's address"),
        ({"PROVIDER_PROXY": "http://me:hunter2@proxy:3128"}, "PROVIDER_PROXY must be http://host:port"),
        ({"MAIL": "smtp://me:hunter2@ho st"}, "MAIL: the host of the relay"),
        ({"MAIL_FALLBACK": "ses:"}, "MAIL_FALLBACK: ses: needs region"),
    ],
)
def test_a_setting_out_of_range_is_refused_in_one_line_at_the_start(tmp_path: Path, settings: dict[str, str], says: str) -> None:
    done = start(tmp_path, **settings)
    assert done.returncode == 2
    assert done.stderr.startswith(says)
    assert done.stderr.count("\n") == 1
    assert "hunter2" not in done.stdout + done.stderr


def test_settings_at_their_bounds_start(tmp_path: Path) -> None:
    done = start(
        tmp_path, PROVIDER_TIMEOUT_SECONDS="44", EVENTS_PATH="a" * 20, BOUNCE_ADDRESS="bounces@mail.example.com",
        PUBLIC_URL="https://breach.example.com/", PROVIDER_PROXY="http://[::1]:3128", MAIL="smtp://relay.example.com:25",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("value", ["a" * 19, "a" * 101, "with/slashes/in/the/path", "https://breach.example.com/events"])
def test_a_path_for_events_that_can_be_guessed_or_is_none_is_refused_without_being_shown(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="EVENTS_PATH") as refused:
        events_path(value)
    assert value not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["bounces@", "@example.com", "b+x@example.com", "a b@example.com", "b@localhost", "Bo <b@example.com>"]
)
def test_a_bounce_address_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="BOUNCE_ADDRESS"):
        bounce_address(value)


@pytest.mark.parametrize(
    "value",
    ["breach.example.com", "//breach.example.com", "javascript:alert(1)", "https://", "https://me:hunter2@breach.example.com",
     "https://breach.example.com?x=1", "https://breach..example.com", "https://breach.example.com:port", "https://a b.example.com"],
)  # fmt: skip
def test_a_public_address_that_leads_nowhere_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PUBLIC_URL") as refused:
        public_url(value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "value", ["proxy:3128", "proxy", "https://proxy:3128", "socks5://proxy", "http://", "http://proxy:0", "http://proxy/path"]
)
def test_a_proxy_that_would_be_passed_by_is_refused(value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PROVIDER_PROXY"):
        proxy(value)


def test_what_is_not_set_stays_unset() -> None:
    assert [read("") for read in (events_path, bounce_address, public_url, proxy)] == ["", "", "", ""]


def said_to_libpq(url: str) -> dict[str, str]:
    """What libpq, which refuses names that it does not know, understands of an address."""
    options = {name: value for name, value in database(url)["OPTIONS"].items() if name != "prepare_threshold"}
    return {name: str(value) for name, value in conninfo_to_dict(make_conninfo(**options)).items()}


def test_a_database_host_that_vanishes_is_given_up_within_a_minute_and_before_the_lease_ends() -> None:
    said = {name: float(value) for name, value in said_to_libpq("postgresql://x@db.example/x").items() if value.isdigit()}
    silence = said["keepalives_idle"] + said["keepalives_interval"] * said["keepalives_count"]
    assert 0 < silence < 45 and 0 < said["tcp_user_timeout"] / 1000 < 45 and 0 < said["connect_timeout"] < 45


@pytest.mark.parametrize(
    "name", ["keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "connect_timeout"]
)
def test_the_address_of_the_database_may_set_another_time(name: str) -> None:
    assert said_to_libpq(f"postgresql://x@db.example/x?{name}=77")[name] == "77"
