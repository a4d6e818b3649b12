"""What a recipient's mail domain is called where nobody may read it: in messages, limits and logs."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from incidents.vault import Vault


def domain_key(*, vault: Vault, domain: str) -> str:
    """The name of a recipient domain under the incident's key: 16 hex digits, the same for every spelling of the domain."""
    plain = domain.strip().rstrip(".").lower()
    with suppress(UnicodeError):  # no domain that DNS knows; it still has a name here
        plain = plain.encode("idna").decode("ascii")
    return vault.blind(kind="mail domain", value=plain).hex()[:16]


def shared_scope(*, domain: str) -> str:
    """The row of a domain that the settings name, one for all incidents: no incident's key is in it, and no person's data."""
    return hashlib.sha256(f"limited domain {domain}".encode()).hexdigest()[:16]
