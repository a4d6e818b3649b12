"""Which command runs as which database role, and the addresses that it is given for that: its own as DATABASE_URL.

An address is `DATABASE_<ROLE>_URL`. What a command may need for a single step (`incidents.acting`) stays beside its own; every
other one is taken out of the environment, so that no child inherits it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from notifier.embedded import ServiceDown
from notifier.privileges import ROLES

#: Command -> its role, then the roles of its single steps. Commands that are not named here run as the desk does.
ROLES_OF_COMMANDS: dict[str, tuple[str, ...]] = {
    # Set-up and sign-ins are the owner's: no running role can make a user.
    **dict.fromkeys(("migrate", "createsuperuser", "changepassword", "sign_in"), ("owner",)),
    "roles": ("owner", *ROLES),
    # They start a process for each role, make the drill's sign-ins, and bring its list in.
    **dict.fromkeys(("up", "demo", "drill"), ("web", *ROLES)),
    # What is decided or taken away is signed at once, also where no sequencer runs.
    **dict.fromkeys(("freeze", "release", "stop", "export_evidence"), ("web", "sequencer")),
    "dispatch": ("worker", "sequencer"),
    # In a person's name (whom only the desk knows) it lists what workers may have sent, and signs that at once.
    "recover": ("web", "worker", "sequencer"),
    "import_people": ("importer",),
    # What a mail server or a provider tells is the worker's to note.
    **dict.fromkeys(("read_bounces", "reconcile"), ("worker",)),
}
DESK = ("web",)


def variable(role: str) -> str:
    """The environment variable that holds a role's address."""
    return f"DATABASE_{role.upper()}_URL"


def given_addresses() -> dict[str, str]:
    """Role -> address, as the environment says."""
    return {role: os.environ[variable(role)] for role in ROLES if os.environ.get(variable(role))}


def put_on(command: str, known: Mapping[str, str]) -> None:
    """Set the environment for a command. Raises ServiceDown when its role's address is not known."""
    own, *further = ROLES_OF_COMMANDS.get(command, DESK)
    if own not in known:
        raise ServiceDown(
            f"The command '{command}' works in the database as the role '{own}', whose address is not known here. Set "
            f"{variable(own)} ('manage.py roles' has written it down), or give an administrator's address as DATABASE_URL."
        )
    for role in ROLES:
        os.environ.pop(variable(role), None)
    os.environ["DATABASE_URL"] = known[own]
    os.environ.update({variable(role): known[role] for role in further if role in known})


def environment_of(role: str) -> dict[str, str]:
    """The environment of a child that runs as this role and knows no other. Raises ServiceDown."""
    known = given_addresses()
    if role not in known:
        raise ServiceDown(f"No process can run as the role '{role}': set {variable(role)} (docs/operations.md).")
    hidden = {variable(other) for other in ROLES}
    return {**{name: value for name, value in os.environ.items() if name not in hidden}, "DATABASE_URL": known[role]}
