"""The gate before a release, looked at from the command line."""

from __future__ import annotations

import json
from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.preflight import preflight
from incidents.management.operator import FAILED, OperatorCommand, campaign_named, operator_user, user_named
from incidents.models.refusal import Refused

MARKS = {"ok": "ok", "warn": "WARN", "block": "BLOCKS", "accepted": "accepted"}


class Command(OperatorCommand):
    help = (
        "Look at everything that a release needs; exit 1 when something stops it: preflight CAMPAIGN [--json] "
        "[--accept NAME --reason TEXT --as USER]"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("campaign")
        parser.add_argument("--json", action="store_true", dest="as_json")
        parser.add_argument("--accept", action="append", default=[], metavar="NAME", help="take on this finding")
        parser.add_argument("--reason", default="", help="why what --accept names may be accepted; it is kept in the log")
        parser.add_argument("--as", dest="user", default="", help="who looks, and accepts")

    def work(self, *, campaign: str, as_json: bool, accept: list[str], reason: str, user: str, **_: Any) -> int | None:
        if accept and not (user and reason.strip()):
            raise Refused("Whoever accepts a finding says who they are (--as) and why (--reason).")
        author = user_named(user) if user else operator_user()
        report = preflight(campaign=campaign_named(campaign), author=author, accept=dict.fromkeys(accept, reason))
        if as_json:
            told = {"campaign": campaign, "provider": report.provider, "blocked": report.blocked, "findings": report.findings}
            self.say(json.dumps({**told, "made_at": report.made_at.isoformat()}, indent=1))
        else:
            for found in report.findings:
                self.say(f"{MARKS[found['level']]:9} {found['name']:14} {found['text']}")
                if found["level"] in ("warn", "block"):
                    self.say(f"{'':25}{found['remedy']}{' (may be accepted with a reason)' if found['acceptable'] else ''}")
            self.say(f"{campaign}: {'the release is stopped' if report.blocked else 'nothing stops the release'}")
        return FAILED if report.blocked else None
