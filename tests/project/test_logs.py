"""No log repeats the words of an exception: they hold addresses, and the rows that a database complains about."""

from __future__ import annotations

import io
import logging
import logging.config
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from django.conf import settings
from hypothesis import given
from hypothesis.strategies import text

import manage
from incidents.dispatch import witnessing
from incidents.dispatch.witnessing import anchor
from incidents.models import Campaign
from notifier.logs import LONGEST, WithoutWords

ROOT = Path(__file__).resolve().parents[2]
WORDS = "claire@example.org has no mailbox, says Claire Cartier"


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the configured log writes."""
    config = logging.config.DictConfigurator(settings.LOGGING)
    [name] = {handler["formatter"] for handler in settings.LOGGING["handlers"].values()}
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(config.configure_formatter(dict(settings.LOGGING["formatters"][name])))
    monkeypatch.setattr(logging.getLogger("incidents.of.tests"), "handlers", [handler])
    return out


def raised(how: str) -> Exception:
    """An exception with a history."""
    try:
        try:
            raise ValueError(WORDS)
        except ValueError as first:
            if how == "from":
                raise psycopg.errors.UniqueViolation(f"DETAIL: Key (email)=({WORDS})") from first
            if how == "group":
                raise ExceptionGroup(WORDS, [first, KeyError(WORDS)]) from None
            raise RuntimeError(WORDS)  # noqa: B904  (while the first is handled)
    except Exception as error:
        return error


@pytest.mark.parametrize("how", ["from", "during", "group"])
def test_of_an_exception_and_all_before_it_only_types_and_places_are_written(written: io.StringIO, how: str) -> None:
    error = raised(how)
    error.add_note(WORDS)
    logging.getLogger("incidents.of.tests").error("a task failed", exc_info=error)
    text = written.getvalue()
    assert "claire" not in text.lower() and "example.org" not in text
    assert type(error).__name__ in text and "builtins.ValueError" in text and "in raised" in text
    assert ("(23505)" in text) == (how == "from")


def test_a_message_that_repeats_the_exception_as_a_task_queue_does_is_cut(written: io.StringIO) -> None:
    error = raised("during")
    logging.getLogger("incidents.of.tests").error(
        "Task %(name)s raised unexpected: %(exc)s", {"name": "tick", "exc": repr(error)}, exc_info=error
    )
    logging.getLogger("incidents.of.tests").error("no mailbox: %s or %s", "claire@example.org", "claire%40example.org")
    text = written.getvalue()
    assert "claire" not in text.lower() and "Task tick raised unexpected: builtins.RuntimeError" in text
    assert "no mailbox: [address] or [address]" in text


def told(message: str) -> str:
    """A message as the log writes it."""
    return WithoutWords("%(message)s").format(logging.makeLogRecord({"msg": "%s", "args": (message,)}))


#: What an address is, as one expression: right, and of quadratic cost in a long run of signs without one.
SIGN = r"""[^\s<>"'(),;:=\[\]{}]"""
ADDRESS = re.compile(f"{SIGN}+(?:@|＠|%40){SIGN}*\\.{SIGN}+")


@given(text(alphabet="aä@＠%40. <,", max_size=40))
def test_every_address_in_a_message_is_left_out_and_nothing_else(message: str) -> None:
    assert told(message) == ADDRESS.sub("[address]", message)


def test_an_address_of_any_length_is_left_out_as_a_whole() -> None:
    assert told(f"for <{'clairecartier' * 100}@{'mail.' * 100}example.org>: refused") == "for <[address]>: refused"


@pytest.mark.parametrize("signs", ["a", "a@", "@a", "a.", "a%40"])
def test_ten_times_the_length_of_what_a_stranger_asks_for_is_ten_times_the_work(signs: str) -> None:
    def cost(length: int) -> float:
        message, costs = f"Not Found: /{signs * (length // len(signs))}", []
        for _ in range(5):
            began = time.process_time_ns()
            told(message)
            costs.append(time.process_time_ns() - began)
        return min(costs)

    assert cost(20_000) < 40 * max(cost(2_000), 10_000), "a hundred times where it is quadratic"


def test_a_very_long_message_is_cut_behind_its_addresses() -> None:
    assert told("claire@example.org " * 10_000).startswith("[address] [address] ")
    assert told("a" * 12_000) == f"{'a' * LONGEST}... (2000 characters more)"


def test_what_another_handler_wrote_down_first_is_not_repeated(written: io.StringIO) -> None:
    logger, plain = logging.getLogger("incidents.of.tests"), logging.StreamHandler(io.StringIO())
    logger.handlers.insert(0, plain)
    logger.error("a task failed", exc_info=raised("during"))
    assert "claire" not in written.getvalue().lower()


def test_a_head_that_cannot_be_mailed_is_logged_without_the_address(
    released: Campaign, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: str) -> None:
        raise ValueError(WORDS)

    monkeypatch.setattr(witnessing, "provider_named", fails)
    anchor(campaign=released)
    assert "could not be mailed: ValueError" in caplog.text and "claire" not in caplog.text.lower()


# -- what nobody catches ----------------------------------------------------------------------------------------------------

HOOKED = "from notifier.logs import end_without_words\nend_without_words()\n"
IN_A_THREAD = "import threading\ndef fails(): raise ValueError(%r)\nthread = threading.Thread(target=fails)\nthread.start()\nthread.join()\n"


@pytest.mark.parametrize("code", [f"raise ValueError({WORDS!r})", IN_A_THREAD % WORDS], ids=["the process", "a thread"])
def test_what_nobody_catches_ends_with_its_type_and_place_and_with_words_on_demand_only(code: str) -> None:
    def said(**more: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **more}
        done = subprocess.run([sys.executable, "-c", HOOKED + code], check=False, capture_output=True, text=True, env=environment)
        return done.stderr

    quiet = said(DEBUG="")
    assert "builtins.ValueError" in quiet and "line" in quiet and "claire" not in quiet.lower()
    assert WORDS in said(DEBUG="1")


def test_a_command_that_fails_names_type_and_place_and_writes_the_words_nowhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BREACH_VAR", str(tmp_path))
    monkeypatch.delenv("DEBUG", raising=False)
    assert manage.fault(raised("from")) == 1
    said = capsys.readouterr().err
    assert said.startswith("This is a fault of the program (psycopg.errors.UniqueViolation (23505) at tests.project.test_logs:")
    kept = (tmp_path / "log" / "faults.log").read_text()
    assert "in raised" in kept and "builtins.ValueError" in kept
    assert "claire" not in (said + kept).lower()


def test_a_database_that_is_away_says_why_and_a_statement_that_failed_says_its_type() -> None:
    assert "refused" in manage.why_away(psycopg.OperationalError("connection refused\nIs the server running?"))
    stopped = psycopg.errors.AdminShutdown("terminating connection")
    assert manage.why_away(stopped) == "terminating connection"
    row = psycopg.errors.ProgramLimitExceeded(f"index row of {WORDS} is too large")
    assert manage.why_away(row) == "psycopg.errors.ProgramLimitExceeded (54000)"
