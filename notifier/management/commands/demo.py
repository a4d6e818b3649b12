"""The main job, headless: the scenario from the leaked table to the verified bundle. Exit 0 only if every check holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand
from incidents.models.refusal import Refused
from incidents.scenarios.story import as_json, save_json
from notifier import drill, environment
from notifier.processes import require_mail_setting, require_master_key, supervised


class Command(OperatorCommand):
    help = "Play a scenario with real workers: demo [--scenario ID] [--size small|medium|large|N] [--json FILE] [--fresh]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--scenario", default="cartier-2025")
        parser.add_argument("--size", help="small (default), medium, large or a number of people")
        parser.add_argument("--json", type=Path, dest="json_file")
        parser.add_argument("--fresh", action="store_true", help="start anew")

    def work(self, *, scenario: str, size: str | None, json_file: Path | None, fresh: bool, **_: Any) -> int | None:
        order = drill.read_order(scenario=scenario, size=size, fresh=fresh)
        require_mail_setting()
        if json_file and not json_file.absolute().parent.is_dir():
            raise Refused("The folder of --json does not exist. Make it, or give another file.")
        out, var = self.out, environment.place().var
        drill.make_room(order, out)
        require_master_key()
        with supervised(var) as children:
            if not environment.workers_run():
                children.add_workers()
                children.watch()
            outcome = drill.play(order, out)
        drill.report(outcome, order, out)
        if json_file:
            save_json(value=as_json(outcome=outcome, scenario=scenario, size=order.size), path=json_file)
        return None if outcome.holds else FAILED
