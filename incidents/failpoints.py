"""Named places at which the tests let a process die, stand still, fail or be slow. Everywhere else they do nothing.

Armed by two keys at once, which no installation has: `BREACH_FAILPOINTS` says what happens where, and the secret is the one that
only tests use. `after_claim=kill@3*1;mid_render=sleep:2.5` kills this process when it comes to `after_claim` for the third time,
once in the whole run, and makes every rendering slow. How often is counted in `BREACH_FAILPOINTS_FOLDER`, since who was killed
remembers nothing.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

#: Every place there is, in the order of a letter's way.
NAMES = frozenset(
    {
        "mid_freeze",
        "before_claim",
        "after_claim",
        "mid_render",
        "after_intent_commit",
        "after_bytes_sent",
        "after_response_before_commit",
        "after_commit_before_wake",
        "mid_event_store",
        "mid_sequence",
        "mid_checkpoint",
    }
)
#: The secret begins so in tests, and nowhere else: `SECRET_KEY` is made at random at an installation's first start.
TESTS_SECRET = "only-for-tests "  # noqa: S105
RULE = re.compile(r"(?P<name>\w+)=(?P<action>kill|stop|raise|sleep)(:(?P<seconds>[\d.]+))?(@(?P<nth>\d+))?(\*(?P<times>\d+))?")

logger = logging.getLogger(__name__)


class FailpointReached(RuntimeError):
    """What an armed place raises; nothing of ours expects it."""


@dataclass(frozen=True)
class Rule:
    """What happens at a place: from its `nth` time in a process on (0: each time), at most `times` in a run (0: no limit)."""

    action: str
    seconds: float
    nth: int
    times: int


def read_rules(text: str) -> dict[str, Rule]:
    """`name=action[:seconds][@nth][*times]`, joined by semicolons. Raises ValueError for what is not known."""
    rules = {}
    for part in filter(None, text.split(";")):
        found = RULE.fullmatch(part.strip())
        if not found or found["name"] not in NAMES:
            raise ValueError(f"'{part}' is no failpoint; they are {', '.join(sorted(NAMES))}")
        nth, times = int(found["nth"] or 0), int(found["times"] or 0)
        rules[found["name"]] = Rule(found["action"], float(found["seconds"] or 0), nth, times)
    return rules


def _rules() -> dict[str, Rule]:
    asked = os.environ.get("BREACH_FAILPOINTS", "")
    if asked and not os.environ.get("SECRET_KEY", "").startswith(TESTS_SECRET):
        logger.warning("BREACH_FAILPOINTS is set; it is for tests only and does nothing here")
        return {}
    return read_rules(asked)


_armed = _rules()
_reached: Counter[str] = Counter()


def reach(name: str, /) -> None:
    """This process came to a place. Nothing happens, but in a test that armed it."""
    if _armed and (rule := _armed.get(name)):
        _reached[name] += 1
        if _reached[name] >= rule.nth and _may_happen_again(name, rule):
            ACTIONS[rule.action](rule)


def _may_happen_again(name: str, rule: Rule) -> bool:
    if not rule.times:
        return True
    folder = Path(os.environ["BREACH_FAILPOINTS_FOLDER"])
    for number in range(rule.times):
        try:
            # Exclusive: of two processes that come here together one is counted, the other takes the next number.
            os.close(os.open(folder / f"{name}.{number}", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        return True
    return False


def _kill(_: Rule) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(_: Rule) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _raise(_: Rule) -> None:
    raise FailpointReached


def _sleep(rule: Rule) -> None:
    time.sleep(rule.seconds)


ACTIONS: dict[str, Callable[[Rule], None]] = {"kill": _kill, "stop": _stop, "raise": _raise, "sleep": _sleep}
