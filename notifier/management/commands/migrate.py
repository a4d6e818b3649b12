"""Django's `migrate` as the owner of the tables: the checks of a running role do not apply to it, and it grants at the end."""

from __future__ import annotations

import os

from django.core.management.commands import migrate

from notifier import signins
from notifier.database import grant_rights


class Command(migrate.Command):
    def run_from_argv(self, argv: list[str]) -> None:
        """From the command line only; tests call the command directly and grant by themselves."""
        super().run_from_argv([*argv, "--skip-checks"])
        if not {"--plan", "--check"} & set(argv):
            signins.ensure_operator()
            grant_rights(os.environ["DATABASE_URL"])
