"""A full-size rehearsal on invented people, through real workers, to wherever MAIL points. Exit 0 only if every check holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.management.operator import FAILED, OperatorCommand
from incidents.models import Incident
from incidents.models.refusal import Refused
from incidents.scenarios.story import save_json
from notifier import environment
from notifier.processes import require_mail_setting, require_master_key, supervised
from notifier.rehearsal import PREFIX, as_json, read_rehearsal, rehearse, tell
from notifier.removal import remove_drill


class Command(OperatorCommand):
    help = (
        "Rehearse a whole campaign: drill --people N [--scenario ID] [--to-domain DOMAIN] [--json FILE] [--keep]; drill --remove"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--people", type=int, default=0, help="how many invented people")
        parser.add_argument("--scenario", default="cartier-2025")
        parser.add_argument("--to-domain", default="", help="your own catch-all domain: every address becomes one of it")
        parser.add_argument("--json", type=Path, dest="json_file")
        parser.add_argument("--keep", action="store_true", help="leave a drill that is through beside the new one")
        parser.add_argument("--remove", action="store_true", help="take all drills of this command away, and do nothing else")

    def work(self, *, people: int, scenario: str, json_file: Path | None, remove: bool, **given: Any) -> int | None:
        if remove:
            self._remove()
            return None
        if not people:
            raise Refused("Say how many invented people: drill --people 20000.")
        require_mail_setting()
        require_master_key()
        if json_file and not json_file.absolute().parent.is_dir():
            raise Refused("The folder of --json does not exist. Make it, or give another file.")
        domain, out = given["to_domain"].strip().lower(), self.out
        rehearsal = read_rehearsal(scenario=scenario, people=people, domain=domain, keep=given["keep"], out=out)
        with supervised(environment.place().var) as children:
            if not environment.workers_run():
                children.add_workers()
                children.watch()
            report = rehearse(rehearsal, out)
        tell(report, rehearsal, out)
        if json_file:
            save_json(value=as_json(report, rehearsal), path=json_file)
        return None if report.holds else FAILED

    def _remove(self) -> None:
        found = list(Incident.objects.filter(reference__startswith=PREFIX, is_drill=True).order_by("id"))
        for incident in found:
            remove_drill(incident=incident)
            self.say(f"{incident.reference}: removed with its log")
        if not found:
            self.say("There is no drill to remove.")
