"""Django's `migrate` as the owner of the tables: the checks of the running role do not apply to it, and it grants at the end."""

from __future__ import annotations

import os

from django.core.management.commands import migrate

from notifier.database import grant_to_app


class Command(migrate.Command):
    def run_from_argv(self, argv: list[str]) -> None:
        """From the command line only; tests call the command directly and grant by themselves."""
        super().run_from_argv([*argv, "--skip-checks"])
        owner = os.environ.get("DATABASE_OWNER_URL")
        if owner:
            grant_to_app(owner)
