"""Makes a sign-in, as the owner of the database: no running role can, so nobody gets a second pair of eyes from the desk."""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandParser

from incidents.management.operator import OperatorCommand
from incidents.models.refusal import Refused
from incidents.only_reading import only_reads
from notifier import signins


class Command(OperatorCommand):
    help = "Make a sign-in for the desk, or end one; the password is asked for, or piped in: sign_in NAME [--read-only] [--end]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--read-only", action="store_true", help="for auditors: may look, and neither act nor unmask; for good"
        )
        parser.add_argument("--end", action="store_true", help="this person may sign in no more; what they did stays theirs")

    def work(self, *, name: str, end: bool, read_only: bool = False, **_: Any) -> int | None:
        if end:
            if not User.objects.filter(username=name).update(is_active=False):
                raise Refused(f"There is no user '{name}'.")
            self.say(f"{name} can sign in no more.")
            return None
        user = signins.ensure_users({name: self._password(name)})[name]
        if read_only:
            signins.let_only_read(user)
        # A new password alone makes nobody act who only read.
        self.say(f"{name} can sign in, and only reads." if only_reads(user) else f"{name} can sign in.")
        return None

    def _password(self, name: str) -> str:
        given = getpass.getpass(f"Password for {name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            validate_password(given, User(username=name))
        except ValidationError as error:
            raise Refused(*error.messages) from None
        return given
