"""The staff who get the first wave of a brand's campaigns."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from incidents.dispatch.staff import add_staff, opened, remove_staff, staff_of
from incidents.management.operator import OperatorCommand, user_named
from incidents.models import StaffRecipient
from incidents.models.refusal import Refused
from incidents.vault import mask


class Command(OperatorCommand):
    help = (
        "Who gets the first wave: staff list BRAND; staff add BRAND --as USER --reason TEXT (name, address and language are "
        "read from standard input, a line each); staff remove NUMBER --as USER --reason TEXT"
    )

    def add_arguments(self, parser: CommandParser) -> None:
        steps = parser.add_subparsers(dest="step", required=True)
        steps.add_parser("list", help="masked").add_argument("brand")
        for name in ("add", "remove"):
            step = steps.add_parser(name)
            step.add_argument("brand" if name == "add" else "number")
            step.add_argument("--as", dest="user", required=True)
            step.add_argument("--reason", required=True)

    def work(self, *, step: str, user: str = "", reason: str = "", brand: str = "", number: str = "", **_: Any) -> int | None:
        if step == "list":
            for one in staff_of(brand=brand):
                fields = opened(staff=one)
                self.say(f"{one.pk}  {mask(fields.name)}  {mask(fields.email)}  {one.language}")
        elif step == "add":
            # Not on the command line: every user of this machine can read that.
            name, email, language = _line(), _line(), _line()
            made = add_staff(brand=brand, name=name, email=email, language=language, reason=reason, author=user_named(user))
            self.say(f"entered as {made.pk} for {made.brand}")
        else:
            found = StaffRecipient.objects.filter(pk=int(number) if number.isdecimal() else 0).first()
            if found is None:
                raise Refused(f"There is no staff recipient {number}. 'staff list BRAND' shows them.")
            remove_staff(staff=found, reason=reason, author=user_named(user))
            self.say(f"{number}: removed; name and address are destroyed")
        return None


def _line() -> str:
    try:
        return input()
    except EOFError:
        return ""
