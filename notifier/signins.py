"""The two demo sign-ins: made at first start, kept in `var/sign-ins.json` (mode 600), put into every fresh database."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from django.contrib.auth.models import User

from notifier.embedded import write_private

ROLES = ("officer", "counsel")


def demo_passwords(var: Path) -> dict[str, str]:
    """User name -> password; made once."""
    path = var / "sign-ins.json"
    if not path.exists():
        write_private(path, json.dumps({role: secrets.token_urlsafe(12) for role in ROLES}, indent=1))
    found: dict[str, str] = json.loads(path.read_text())
    return found


def ensure_users(passwords: dict[str, str]) -> dict[str, User]:
    """The users of the demo, with these passwords; staff who may use the desk."""
    users = {}
    for name, password in passwords.items():
        user, _ = User.objects.get_or_create(username=name, defaults={"is_staff": True})
        if not user.check_password(password):
            user.set_password(password)
            user.is_staff = True
            user.save()
        users[name] = user
    return users
