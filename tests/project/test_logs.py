"""No log repeats the words of an exception: they hold addresses, and the rows that a database complains about."""

from __future__ import annotations

import io
import logging
import logging.config

import psycopg
import pytest
from django.conf import settings

from incidents.dispatch import campaign as campaigns
from incidents.dispatch.campaign import anchor
from incidents.models import Campaign

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


def test_what_another_handler_wrote_down_first_is_not_repeated(written: io.StringIO) -> None:
    logger, plain = logging.getLogger("incidents.of.tests"), logging.StreamHandler(io.StringIO())
    logger.handlers.insert(0, plain)
    logger.error("a task failed", exc_info=raised("during"))
    assert "claire" not in written.getvalue().lower()


def test_a_head_that_cannot_be_mailed_is_logged_without_the_address(
    released: Campaign, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise ValueError(WORDS)

    monkeypatch.setattr(campaigns, "provider_for", fails)
    anchor(campaign=released)
    assert "could not be mailed: ValueError" in caplog.text and "claire" not in caplog.text.lower()
