"""Check the law packs in full: every problem with file, line, key and remedy. Needs no database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.law.pack import PackError
from incidents.letters.pack_check import law_report
from incidents.management.operator import OperatorCommand
from incidents.models.refusal import Refused


class Command(OperatorCommand):
    help = "Check the law packs: check_law [--pack PATH] [--json]; exit 1 where something is refused"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--pack", type=Path, metavar="PATH", help="a pack or a folder, as if laid over the shipped packs")
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, pack: Path | None, as_json: bool, **_: Any) -> int | None:
        try:
            report = law_report(path=pack)
        except PackError as error:
            raise Refused(str(error)) from None
        lines = [f"{found.level}: {found.words}" for found in (*report.errors, *report.warnings)]
        told = [*lines, report.summary, f"{len(report.errors)} errors, {len(report.warnings)} warnings."]
        for line in [json.dumps(report.to_json(), indent=1, ensure_ascii=False)] if as_json else told:
            self.say(line)
        return report.exit_code
