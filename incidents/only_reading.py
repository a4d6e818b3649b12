"""Sign-ins that only read, for auditors: a group of Django's, into which only the owner of the database puts anybody."""

from __future__ import annotations

from typing import Final

from django.contrib.auth.models import AnonymousUser, User

GROUP: Final = "only reads"
REFUSED: Final = "This sign-in only reads: nothing can be done with it, and nobody's data are shown unmasked to it."


def only_reads(user: User | AnonymousUser) -> bool:
    """Whether this user may look and do nothing."""
    return user.groups.filter(name=GROUP).exists()
