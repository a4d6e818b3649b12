"""Everything, live, until Ctrl-C: database, broker, web, workers, beat; with --scenario also the demo."""

from __future__ import annotations

import contextlib
import signal
import threading
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand
from notifier import drill, environment, processes, signins


class Command(OperatorCommand):
    help = "Start database, broker, web, workers and beat and stay up: up [--services-only] [--scenario ID] [--size S] [--fresh]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--services-only", action="store_true", help="only the database and the broker")
        parser.add_argument("--scenario", help="play this scenario once everything runs")
        parser.add_argument("--size", help="small (default), medium, large or a number of people")
        parser.add_argument("--fresh", action="store_true", help="start the scenario anew")

    def work(self, *, services_only: bool, scenario: str | None, size: str | None, fresh: bool, **_: Any) -> int | None:
        # A shell that starts us in the background has told us to ignore SIGINT.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with contextlib.suppress(KeyboardInterrupt):
            if services_only:
                self.say("Database and broker run; Ctrl-C stops them.")
                self._until_stopped()
            order = drill.read_order(scenario=scenario, size=size, fresh=fresh) if scenario else None
            processes.require_mail_setting()
            environment.only_one_supervisor()
            processes.require_free_port(settings.PORT)
            if order:
                drill.make_room(order, self.out)
            processes.require_master_key()
            self._live(order, environment.place().var)
        return None

    def _until_stopped(self) -> None:
        """A plain kill raises SystemExit (see `manage.py`), Ctrl-C KeyboardInterrupt; both end what is around."""
        try:
            threading.Event().wait()
        finally:
            self.say("Stopping ...")

    def _live(self, order: drill.Order | None, var: Path) -> None:
        passwords = signins.demo_passwords(var)
        signins.ensure_users(passwords)
        with environment.supervising(), processes.supervised(var) as children:
            children.add("web", processes.web_command(settings.PORT), role="web")
            children.add_workers()
            children.add("keeper", processes.keeper_command(), role="web")
            children.watch()
            if order:
                drill.report(drill.play(order, self.out), order, self.out)
            processes.wait_for_web(settings.PORT)
            self._welcome(passwords)
            self._until_stopped()

    def _welcome(self, passwords: dict[str, str]) -> None:
        self.say(f"\nThe desk: http://127.0.0.1:{settings.PORT}/admin/")
        for name, password in passwords.items():
            self.say(f"  sign in as {name:8} password {password}")
        self.say(f"(kept in {settings.VAR}/sign-ins.json) Ctrl-C stops everything.")
