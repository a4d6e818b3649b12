"""Run law cases: sentences, facts, and what the engine must conclude. Needs no database."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.law.case_files import CaseFileError
from incidents.law.cases import run_case_files
from incidents.law.pack import load_packs
from incidents.management.operator import BAD_INPUT, OperatorCommand


class Command(OperatorCommand):
    help = "Run law case files (docs/law-cases.md): law_cases FILE [FILE ...] [--json]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("files", nargs="+", type=Path)
        parser.add_argument("--json", action="store_true", dest="as_json")

    def work(self, *, files: list[Path], as_json: bool, **_: Any) -> int | None:
        try:
            report = run_case_files(paths=files, packs=load_packs())
        except CaseFileError as error:
            self.stderr.write(str(error))
            sys.exit(BAD_INPUT)
        for line in [json.dumps(report.as_dict(), indent=1)] if as_json else report.lines:
            self.say(line)
        return report.exit_code
