"""Single letters by decision: send again, let out of quarantine, give to another channel; and the first wave again."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.again import give_to_other_channel, let_out, try_again
from incidents.dispatch.canary import retry_wave
from incidents.dispatch.contradictions import believe
from incidents.management.operator import OperatorCommand, campaign_named, message_of, user_named
from incidents.tasks import wake_campaign

STEPS: dict[str, tuple[Callable[..., object], str]] = {
    "send": (try_again, "is sent again by this channel"),
    "let-out": (let_out, "is let out of quarantine and sent"),
    "other-channel": (give_to_other_channel, "needs another channel"),
    "arrived": (partial(believe, arrived=True), "counts as delivered"),
    "came-back": (partial(believe, arrived=False), "needs another channel"),
    "stands": (partial(believe, arrived=None), "stays as it stands; what was told against it is decided"),
}


class Command(OperatorCommand):
    help = (
        "Decide about single letters: again send|let-out|other-channel|arrived|came-back|stands CAMPAIGN PERSON_REF "
        "--as USER --reason TEXT; again first-wave CAMPAIGN --as USER --reason TEXT"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        for name, text in (
            ("send", "needs another channel -> ready: the address works after all"),
            ("let-out", "quarantined -> ready: somebody has looked at it"),
            ("other-channel", "quarantined -> needs another channel"),
            ("arrived", "two things were told of it: it arrived"),
            ("came-back", "two things were told of it: it came back, and needs another channel"),
            ("stands", "two things were told of it: it stays as it stands"),
            ("first-wave", "one more letter to each of the staff whose letter failed, and the campaign goes on"),
        ):
            step = steps.add_parser(name, help=text)
            step.add_argument("campaign")
            if name != "first-wave":
                step.add_argument("person_ref")
            step.add_argument("--as", dest="user", required=True, help="who decides")
            step.add_argument("--reason", required=True, help="in words, without personal data; it is kept in the log")

    def work(self, *, step: str, campaign: str, user: str, reason: str, person_ref: str = "", **_: Any) -> int | None:
        found, author = campaign_named(campaign), user_named(user)
        if step == "first-wave":
            retry_wave(campaign=found, reason=reason, author=author)
            self.say(f"{campaign}: the first wave is sent again to those of the staff whose letter failed")
        else:
            decide, done = STEPS[step]
            decide(message=message_of(found, person_ref), reason=reason, author=author)
            self.say(f"{person_ref}: {done}")
        wake_campaign(found.pk)
        return None
