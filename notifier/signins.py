"""Sign-ins, which only the owner of the database makes: the drill's two (kept in `var/sign-ins.json`, mode 600), and others.

No running role can make a user or change what one may do: a second pair of eyes cannot be invented from the desk.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from django.contrib.auth.models import Group, User

from incidents.acting import acting_as
from incidents.only_reading import GROUP
from notifier.embedded import write_private

ROLES = ("officer", "counsel")


def demo_passwords(var: Path) -> dict[str, str]:
    """User name -> password; made once."""
    path = var / "sign-ins.json"
    if not path.exists():
        write_private(path, json.dumps({role: secrets.token_urlsafe(12) for role in ROLES}, indent=1))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def ensure_operator() -> None:
    """The user under whose name commands work that were not told another; nobody can sign in as it."""
    user, new = User.objects.get_or_create(username="operator", defaults={"is_active": True, "is_staff": False})
    if new:
        user.set_unusable_password()
        user.save()


def ensure_users(passwords: dict[str, str]) -> dict[str, User]:
    """The users of the demo, with these passwords, made as the owner; staff who may use the desk."""
    with acting_as("owner"):
        return _ensure_users(passwords)


def let_only_read(user: User) -> None:
    """From now on this user may look and do nothing. There is no way back: what a name may do is what the log reads it as."""
    with acting_as("owner"):
        user.groups.add(Group.objects.get_or_create(name=GROUP)[0])


def ensure_players() -> dict[str, User]:
    """Who acts in a full-size drill: two people as whom nobody can sign in, so that a drill leaves no door."""
    with acting_as("owner"):
        players = {}
        for name in ROLES:
            user, new = User.objects.get_or_create(username=f"drill-{name}", defaults={"is_active": True, "is_staff": False})
            if new:
                user.set_unusable_password()
                user.save()
            players[name] = user
        return players


def _ensure_users(passwords: dict[str, str]) -> dict[str, User]:
    users = {}
    for name, password in passwords.items():
        user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        if not (user.check_password(password) and user.is_staff and user.is_active):
            user.set_password(password)
            user.is_staff = user.is_active = True
            user.save()
        users[name] = user
    return users
