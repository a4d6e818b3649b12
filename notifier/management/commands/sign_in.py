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
from notifier import signins


class Command(OperatorCommand):
    help = "Make a sign-in for the desk, or end one; the password is asked for, or read from a pipe: sign_in NAME [--end]"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--end", action="store_true", help="this person may sign in no more; what they did stays theirs")

    def work(self, *, name: str, end: bool, **_: Any) -> int | None:
        if end:
            if not User.objects.filter(username=name).update(is_active=False):
                raise Refused(f"There is no user '{name}'.")
            self.say(f"{name} can sign in no more.")
            return None
        signins.ensure_users({name: self._password(name)})
        self.say(f"{name} can sign in.")
        return None

    def _password(self, name: str) -> str:
        given = getpass.getpass(f"Password for {name}: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
        try:
            validate_password(given, User(username=name))
        except ValidationError as error:
            raise Refused(*error.messages) from None
        return given
