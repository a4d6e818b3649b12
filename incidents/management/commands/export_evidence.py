"""Write the evidence bundle of an incident."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from incidents.audit.export import export_evidence
from incidents.audit.log import fingerprint_of_key
from incidents.management.operator import OperatorCommand, incident_named
from incidents.models.refusal import Refused


class Command(OperatorCommand):
    help = "Write everything that proves an incident's campaign into one file: export_evidence INCIDENT --out FILE.zip"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("incident")
        parser.add_argument("--out", required=True, type=Path)

    def work(self, *, incident: str, out: Path, **_: Any) -> int | None:
        try:
            export_evidence(incident=incident_named(incident), out=out, actor="operator")
        except OSError as error:
            raise Refused(f"The bundle cannot be written ({error.strerror}). Give another --out.") from None
        self.say(f"Written. Check it on any machine: unzip, then python3 verify.py BUNDLE --key {fingerprint_of_key()}")
        return None
