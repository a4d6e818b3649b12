"""What the log says of an exception: its type and the way to it, never its words.

The words hold what it was about: the address in a provider's answer, the row in a database's DETAIL. That goes for whatever it
was raised from as well, and for a message that repeats them, as Celery's and Django's do.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from django.conf import settings

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
ROOT = Path(__file__).resolve().parent.parent
#: What an address stands in as a whole: read once, so that a stranger's long path or host costs no more than its length.
RUN = re.compile(r"""[^\s<>"'(),;:=\[\]{}]+""")
AT = re.compile("@|＠|%40")
#: What follows a provider's name in the address for its notifications is a secret, or somebody's guess at it.
EVENTS = re.compile(r"(/events/[^/\s]*/)[^/\s]+")
#: A message is written as far as this.
LONGEST = 10_000
#: Shorter words are said by chance as well.
SHORTEST_WORDS = 4


class WithoutWords(logging.Formatter):
    """Types and places of exceptions, and messages without addresses and without the secret path of events."""

    def format(self, record: logging.LogRecord) -> str:
        """The record, of which another handler may have kept a text with all words; that one is not used."""
        own = copy.copy(record)
        own.msg, own.args, own.exc_text = self._message(record), None, None
        return super().format(own)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802  (the base's name)
        """The chain, what was first at the top."""
        return without_words(ei[1])

    def _message(self, record: logging.LogRecord) -> str:
        message = record.getMessage()
        for error, _ in chain(record.exc_info[1] if isinstance(record.exc_info, tuple) else None):
            for words in sorted((repr(error), str(error)), key=len, reverse=True):
                if len(words) >= SHORTEST_WORDS:
                    message = message.replace(words, named(error))
        told = _without_secret_path(RUN.sub(_without_address, message) if AT.search(message) else message)
        return told if len(told) <= LONGEST else f"{told[:LONGEST]}... ({len(told) - LONGEST} characters more)"


def without_words(error: BaseException | None) -> str:
    """The types and places of an exception and of what it was raised from, what was first at the top."""
    parts = []
    for one, why in reversed(list(chain(error))):
        frames = "".join(traceback.format_tb(one.__traceback__)).rstrip("\n")
        parts.append("\n".join(line for line in ("Traceback:", frames, named(one), why) if line))
    return "\n".join(parts)


def chain(error: BaseException | None) -> Iterator[tuple[BaseException, str]]:
    """An exception, what it was raised from or during, and those in its group; and what each led to, in words."""
    waiting, seen = [(error, "")], set[int]()
    while waiting:
        one, why = waiting.pop(0)
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one, why
        if isinstance(one, BaseExceptionGroup):
            waiting += [(inner, "(in a group)") for inner in one.exceptions]
        if one.__cause__ is not None:
            waiting.append((one.__cause__, "(of which came)"))
        elif not one.__suppress_context__:
            waiting.append((one.__context__, "(while it was handled came)"))


def _without_address(run: re.Match[str]) -> str:
    """A run of signs with something before the at and a dot in what follows it is an address, with whatever stands around."""
    said = run[0]
    at = AT.search(said, 1)
    return "[address]" if at and "." in said[at.end() : -1] else said


def _without_secret_path(message: str) -> str:
    """Django names the path of each request that is refused."""
    if settings.configured and settings.EVENTS_PATH:
        message = message.replace(settings.EVENTS_PATH, "[secret]")
    return EVENTS.sub(r"\1[secret]", message) if "/events/" in message else message


def named(error: BaseException) -> str:
    """The type, and the number of what happened where a database or a system gives one."""
    kind = type(error)
    code = getattr(error, "sqlstate", None) or getattr(error, "errno", None)
    return f"{kind.__module__}.{kind.__qualname__}{f' ({code})' if isinstance(code, int | str) else ''}"


def place_of(error: BaseException) -> str:
    """Where in the project it was raised: module and line, of the innermost call that is ours; empty: nowhere."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT) and ".venv" not in path.parts:
            return f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}:{frame.lineno}"
    return ""


def end_without_words() -> None:
    """What nobody catches, in this process or one of its threads, ends with types and places; with DEBUG=1 as Python has it."""
    if os.environ.get("DEBUG") != "1":
        sys.excepthook = lambda _, error, __: _tell(error)
        threading.excepthook = lambda told: _tell(told.exc_value)


def _tell(error: BaseException | None) -> None:
    if isinstance(error, KeyboardInterrupt | SystemExit) or error is None:
        return
    print(f"{without_words(error)}\nNobody caught this; its words are shown with DEBUG=1 alone.", file=sys.stderr)
