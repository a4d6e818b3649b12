"""Keeps personal data sealed: one AES-256-GCM record per person under that person's own key, and the blind index.

Master key (environment or file) wraps the incident's key; that wraps each person's key; that seals the person's record. The
associated data names table, row and key version, so a swapped ciphertext does not open. Deleting a person's wrapped key erases
the person; commitments in the log stay verifiable but can no longer be opened.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from incidents.models import AffectedPerson, Incident
from incidents.record import PersonFields

KEY_VERSION = 1
NONCE_BYTES = 12


class CannotOpen(Exception):
    """A sealed record does not open: wrong key, swapped or damaged. Nothing is sent for this person."""


@dataclass(frozen=True)
class SealedPerson:
    """What the database may hold of a person."""

    sealed: bytes
    wrapped_key: bytes
    commitment: str


def _encrypt(key: bytes, plain: bytes, bound_to: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def _decrypt(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise CannotOpen(f"{bound_to.split('|', maxsplit=1)[0]} does not open with this key") from None


def _derive(key: bytes, purpose: str) -> bytes:
    """One independent key per purpose (HKDF-Expand of RFC 5869 with a single block)."""
    return hmac.digest(key, purpose.encode() + b"\x01", hashlib.sha256)


def new_incident_key(*, reference: str) -> bytes:
    """A fresh incident key, wrapped by the master key."""
    return _encrypt(settings.MASTER_KEY, os.urandom(32), f"incidents_incident|{reference}|{KEY_VERSION}")


@lru_cache(maxsize=64)
def _unwrap(master: bytes, wrapped: bytes, reference: str) -> bytes:
    return _decrypt(master, wrapped, f"incidents_incident|{reference}|{KEY_VERSION}")


class Vault:
    """The keys of one incident, held for the time of one piece of work."""

    def __init__(self, *, incident: Incident) -> None:
        key = _unwrap(settings.MASTER_KEY, bytes(incident.wrapped_key), incident.reference)
        self._wrap, self._blind, self._blob = (_derive(key, name) for name in ("wrap", "blind", "blob"))

    def seal(self, *, fields: PersonFields, subject: str) -> SealedPerson:
        """Seal a person under a new key of their own."""
        key, plain = os.urandom(32), fields.encode()
        return SealedPerson(
            sealed=_encrypt(key, plain, f"incidents_affectedperson|{subject}|{KEY_VERSION}"),
            wrapped_key=_encrypt(self._wrap, key, f"person_key|{subject}|{KEY_VERSION}"),
            commitment=hmac.digest(_derive(key, "commitment"), plain, hashlib.sha256).hex(),
        )

    def _key(self, person: AffectedPerson) -> bytes:
        if person.wrapped_key is None or person.sealed is None:
            raise CannotOpen("this person's data were erased")
        return _decrypt(self._wrap, bytes(person.wrapped_key), f"person_key|{person.subject}|{KEY_VERSION}")

    def open(self, *, person: AffectedPerson) -> PersonFields:
        """Read a person's fields. Raises CannotOpen."""
        plain = _decrypt(
            self._key(person), bytes(person.sealed or b""), f"incidents_affectedperson|{person.subject}|{KEY_VERSION}"
        )
        return PersonFields.decode(plain)

    def commitment(self, *, person: AffectedPerson, fields: PersonFields) -> str:
        """HMAC over the person's fields under their own key: pseudonymous until the key is deleted, then nothing."""
        return hmac.digest(_derive(self._key(person), "commitment"), fields.encode(), hashlib.sha256).hex()

    def blind(self, *, kind: str, value: str) -> bytes:
        """The incident's blind index of a normalised value (HMAC-SHA256), for matching only."""
        return hmac.digest(self._blind, f"{kind}|{value}".encode(), hashlib.sha256)

    def seal_blob(self, *, plain: bytes, bound_to: str) -> bytes:
        """Seal something of the incident that is no person's record (a rejected row, an inbox message)."""
        return _encrypt(self._blob, plain, bound_to)

    def open_blob(self, *, sealed: bytes | memoryview, bound_to: str) -> bytes:
        """Open what `seal_blob` sealed. Raises CannotOpen."""
        return _decrypt(self._blob, bytes(sealed), bound_to)


def mask(value: str) -> str:
    """How a personal value is shown before somebody gives a purpose: first letter and length class."""
    if "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{local[:1]}•••@{domain[:1]}•••"
    return f"{value[:1]}•••" if len(value) > 2 else "•••" if value else ""
