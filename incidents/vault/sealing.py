"""Keeps personal data sealed: one AES-256-GCM record per person under that person's own key, and the blind index.

The master key wraps the incident's keys; a version of the incident's wrapping key wraps each person's key; that seals the
person's record. The associated data names table, row and key version, so a swapped ciphertext does not open. Deleting a person's
wrapped key erases the person; commitments in the log stay verifiable but can no longer be opened.

Rotation wraps people's keys anew under the next version and encrypts nothing again: a record names the version of the person's
own key, which rotation leaves as it is; the wrapped key names the version of the incident's.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from incidents.models import AffectedPerson, Incident, IncidentKey, PersonVersion
from incidents.record import PersonFields
from incidents.vault.master import NONCE_BYTES, CannotOpen, KeyAway, MasterKeyWrong, decrypt, encrypt, unwrap, wrap

#: The version of a person's own key (it is never changed, only replaced with the record), and of an incident's first key.
FIRST_VERSION = 1
KEY_BYTES = 32
#: The two pads of HMAC (RFC 2104), as tables for bytes.translate.
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
#: Keys have 32 bytes, the block of SHA-256 has 64.
_INNER_REST, _OUTER_REST = b"\x36" * 32, b"\x5c" * 32
#: So many people are tried before a key counts as the wrong one: a single damaged record says nothing about it.
TRIED = 5
#: For so many seconds a key that could not be had is not asked for again: each time is a call of a KMS that may hang.
AWAY_SECONDS = 5.0
#: What was asked -> when it may be asked again, and what was refused.
_away: dict[tuple[object, ...], tuple[float, type[KeyAway], tuple[str, ...]]] = {}
#: Digests of the keys that this process has seen open somebody whom they had sealed.
_proven: set[bytes] = set()
_COMMITMENT = b"commitment\x01"
#: What a record and a person's key are bound to, before and after the person's random name.
_RECORD_WORDS = "incidents_affectedperson|"
_RECORD, _KEY, _FIRST = _RECORD_WORDS.encode(), b"person_key|", f"|{FIRST_VERSION}".encode()


#: What a record is opened from: subject, sealed record, wrapped key and its version; a person who was erased has neither.
SealedRecord = tuple[str, bytes | None, bytes | None, int]


class SealedPerson(NamedTuple):
    """What the database may hold of a person. `key_version` says which of the incident's keys wrapped the person's."""

    sealed: bytes
    wrapped_key: bytes
    commitment: str
    key_version: int


class IncidentSecrets(NamedTuple):
    """What an incident's own wrapped key gives: the first wrapping key (none once it is destroyed), index key, blob key."""

    wrap: bytes | None
    blind: bytes
    blob: bytes


def _derive(key: bytes, purpose: str) -> bytes:
    """One independent key per purpose (HKDF-Expand of RFC 5869 with a single block)."""
    return hmac.digest(key, purpose.encode() + b"\x01", hashlib.sha256)


def incident_context(*, reference: str) -> str:
    """What an incident's own wrapped key is bound to."""
    return f"incidents_incident|{reference}|{FIRST_VERSION}"


def later_context(*, reference: str, version: int) -> str:
    """What a later version of an incident's wrapping key is bound to."""
    return f"incidents_incidentkey|{reference}|{version}"


def new_incident_key(*, reference: str) -> bytes:
    """A fresh incident key, wrapped by the master key."""
    return wrap(key=os.urandom(KEY_BYTES), context=incident_context(reference=reference))


def new_wrapping_key(*, reference: str, version: int) -> bytes:
    """A fresh later version of an incident's wrapping key, wrapped by the master key."""
    return wrap(key=os.urandom(KEY_BYTES), context=later_context(reference=reference, version=version))


def without_wrapping_key(*, incident: Incident) -> bytes:
    """The incident's own key, wrapped, after its wrapping part is destroyed: index and blob key alone are kept."""
    kept = _secrets(incident)
    return wrap(key=kept.blind + kept.blob, context=incident_context(reference=incident.reference))


def has_first_version(*, incident: Incident) -> bool:
    """Whether the incident's own key still holds the first wrapping key. Raises MasterKeyWrong."""
    return _secrets(incident).wrap is not None


def _unwrap(wrapped: bytes, context: str) -> bytes:
    # Which keys were given is part of the question: a rotation or a test may change them under a running process.
    old = settings.MASTER_KEY_OLD, tuple(settings.MASTER_KEY_OLD_PROGRAM)
    asked = wrapped, context, (settings.MASTER_KEY, tuple(settings.MASTER_KEY_PROGRAM), *old)
    until, kind, lines = _away.get(asked, (0.0, KeyAway, ()))
    if time.monotonic() < until:
        raise kind(*lines)
    try:
        return _unwrap_once(*asked)
    except KeyAway as away:
        for past in [one for one, (end, *_) in list(_away.items()) if end <= time.monotonic()]:
            _away.pop(past, None)
        _away[asked] = time.monotonic() + AWAY_SECONDS, type(away), away.lines
        raise


@lru_cache(maxsize=512)
def _unwrap_once(wrapped: bytes, context: str, _given: tuple[object, ...]) -> bytes:
    return unwrap(wrapped=wrapped, context=context).key


def _secrets(incident: Incident) -> IncidentSecrets:
    raw = _unwrap(bytes(incident.wrapped_key), incident_context(reference=incident.reference))
    if len(raw) == 2 * KEY_BYTES:
        return IncidentSecrets(None, raw[:KEY_BYTES], raw[KEY_BYTES:])
    return IncidentSecrets(_derive(raw, "wrap"), _derive(raw, "blind"), _derive(raw, "blob"))


def quick_hmac(key: bytes, data: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104) for keys of at most 64 bytes: what hmac.digest gives, in half its time for short data."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(padded.translate(_INNER) + data).digest()
    return hashlib.sha256(padded.translate(_OUTER) + inner).digest()


def _commitment(key: bytes, plain: bytes, sha256: Callable[..., Any] = hashlib.sha256) -> str:
    """HMAC under a key that is the HMAC of a word under the person's: `quick_hmac` twice, written out for a million people."""
    inner = sha256(key.translate(_INNER) + _INNER_REST + _COMMITMENT).digest()
    own = sha256(key.translate(_OUTER) + _OUTER_REST + inner).digest()
    inner = sha256(own.translate(_INNER) + _INNER_REST + plain).digest()
    digest: str = sha256(own.translate(_OUTER) + _OUTER_REST + inner).hexdigest()
    return digest


class Vault:
    """The keys of one incident, held for the time of one piece of work. Raises KeyAway here, where nothing is begun yet."""

    def __init__(self, *, incident: Incident, people: bool = True) -> None:
        """`people`: their records will be opened or sealed, so all versions of the key are read now; else index and blobs."""
        self._incident, secrets = incident, _secrets(incident)
        self._wraps, self._digests = dict[int, AESGCM](), dict[int, bytes]()
        if secrets.wrap:
            self._take(FIRST_VERSION, secrets.wrap)
        self._newest = 0 if incident.pk else FIRST_VERSION
        self._asked = not incident.pk
        self._blob, padded = secrets.blob, secrets.blind.ljust(64, b"\0")
        self._inner, self._outer = (hashlib.sha256(padded.translate(pad)) for pad in (_INNER, _OUTER))
        if people and incident.pk:
            self._read_versions()

    def _take(self, version: int, key: bytes) -> None:
        self._wraps[version], self._digests[version] = AESGCM(key), hashlib.sha256(key).digest()

    def _read_versions(self) -> None:
        """Unwrap the later versions of the incident's wrapping key; the newest seals. Raises KeyAway."""
        for later in IncidentKey.objects.filter(incident=self._incident, wrapped_key__isnull=False):
            if later.version not in self._wraps:
                context = later_context(reference=self._incident.reference, version=later.version)
                self._take(later.version, _unwrap(bytes(later.wrapped_key or b""), context))
        self._newest = max(self._wraps, default=0)

    def prove(self) -> None:
        """Raises MasterKeyWrong when the key that seals opens nobody whom it sealed before: then it is not this incident's.

        A KMS that answers with some other key gives no error. Before anybody was sealed there is nothing to hold it against.
        """
        version = self.newest_version()
        if self._asked or self._digests[version] in _proven:
            return
        sealed = AffectedPerson.objects.filter(incident=self._incident, key_version=version, wrapped_key__isnull=False)
        tried = list(sealed.order_by().values_list("subject", "wrapped_key")[:TRIED])
        if any(self._opens(subject, bytes(wrapped or b""), version) for subject, wrapped in tried):
            _proven.add(self._digests[version])
        elif tried:
            _unwrap_once.cache_clear()  # once the KMS answers as it should, no process has to be started again
            raise MasterKeyWrong(
                f"What the master key unwrapped for incident {self._incident.reference} opens nobody whom its key had sealed: it "
                "is another key. Nothing was sealed with it. Run the program of MASTER_KEY_PROGRAM by hand with a request of "
                "docs/keys.md, and look at the KMS behind it."
            )
        self._asked = True

    def _opens(self, subject: str, wrapped: bytes, version: int) -> bool:
        try:
            return bool(self._person_key(subject, wrapped, version))
        except CannotOpen:
            return False

    def seal(self, *, fields: PersonFields, subject: str) -> SealedPerson:
        """Seal a person under a new key of their own."""
        return self.seal_many([(subject, fields.encode())])[0]

    def seal_many(self, records: Sequence[tuple[str, bytes]]) -> list[SealedPerson]:
        """Seal people, given as subject and encoded PersonFields, each under a new key of their own; in their order."""
        subjects, plains = [subject.encode() for subject, _ in records], [plain for _, plain in records]
        sealed, wrapped, commitments, version = self.seal_columns(subjects, plains)
        return [SealedPerson(*one, version) for one in zip(sealed, wrapped, commitments, strict=True)]

    def seal_columns(self, subjects: Sequence[bytes], plains: Sequence[bytes]) -> tuple[list[bytes], list[bytes], list[str], int]:
        """The same of a million people, for whom no object is made: records, wrapped keys, commitments; and the key's version."""
        self.prove()
        version, size = self.newest_version(), KEY_BYTES + 2 * NONCE_BYTES
        noise, cipher, wrap = os.urandom(size * len(subjects)), AESGCM, self._wraps[version].encrypt
        ending, sealed, wrapped, commitments = f"|{version}".encode(), list[bytes](), list[bytes](), list[str]()
        for start, subject, plain in zip(range(0, len(noise), size), subjects, plains, strict=True):
            key, nonce = noise[start : start + KEY_BYTES], noise[start + KEY_BYTES : start + KEY_BYTES + NONCE_BYTES]
            sealed.append(nonce + cipher(key).encrypt(nonce, plain, _RECORD + subject + _FIRST))
            nonce = noise[start + KEY_BYTES + NONCE_BYTES : start + size]
            wrapped.append(nonce + wrap(nonce, key, _KEY + subject + ending))
            commitments.append(_commitment(key, plain))
        return sealed, wrapped, commitments, version

    def _person_key(self, subject: str, wrapped: bytes, version: int) -> bytes:
        if version not in self._wraps:
            self._read_versions()
        if version not in self._wraps:
            raise CannotOpen(f"version {version} of the incident's key is not there")
        try:
            return self._wraps[version].decrypt(wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], _key_context(subject, version))
        except (InvalidTag, ValueError):
            raise CannotOpen("person_key does not open with this key") from None

    def _key(self, person: AffectedPerson) -> bytes:
        if person.wrapped_key is None or person.sealed is None:
            raise CannotOpen("this person's data were erased")
        try:
            return self._person_key(person.subject, bytes(person.wrapped_key), person.key_version)
        except CannotOpen:
            # Read before a rotation, opened after it: the key has been wrapped anew meanwhile.
            now = AffectedPerson.objects.filter(pk=person.pk).exclude(key_version=person.key_version) if person.pk else ()
            for found in now:
                if found.wrapped_key is not None:
                    return self._person_key(found.subject, bytes(found.wrapped_key), found.key_version)
            raise

    def open(self, *, person: AffectedPerson) -> PersonFields:
        """Read a person's fields. Raises CannotOpen."""
        return PersonFields.decode(_open_record(self._key(person), bytes(person.sealed or b""), person.subject))

    def open_many(self, rows: Sequence[SealedRecord]) -> list[PersonFields | CannotOpen]:
        """People's fields, in their order; for one, why it does not open."""
        return [one if isinstance(one, CannotOpen) else PersonFields.decode(one) for one in self.open_encoded(rows)]

    def open_encoded(self, rows: Sequence[SealedRecord]) -> list[bytes | CannotOpen]:
        """The same as encoded PersonFields: whether two records say the same needs no reading of them."""
        found = list[bytes | CannotOpen]()
        for subject, sealed, wrapped, version in rows:
            try:
                if sealed is None or wrapped is None:
                    raise CannotOpen("this person's data were erased")
                found.append(_open_record(self._person_key(subject, bytes(wrapped), version), bytes(sealed), subject))
            except CannotOpen as error:
                found.append(self._open_again(subject, version) or error)
        return found

    def _open_again(self, subject: str, version: int) -> bytes | None:
        """Read before a rotation, opened after it: the key has been wrapped anew meanwhile."""
        person = AffectedPerson.objects.filter(subject=subject).exclude(key_version=version).first()
        try:
            return _open_record(self._key(person), bytes(person.sealed or b""), subject) if person else None
        except CannotOpen:
            return None

    def open_version(self, *, version: PersonVersion) -> PersonFields:
        """Read what an earlier version of a person said. Raises CannotOpen."""
        if version.wrapped_key is None or version.sealed is None:
            raise CannotOpen("this person's data were erased")
        subject = version.person.subject
        key = self._person_key(subject, bytes(version.wrapped_key), version.key_version)
        return PersonFields.decode(_open_record(key, bytes(version.sealed), subject))

    def wrap_again(self, keys: Sequence[tuple[str, bytes, int]]) -> list[bytes | None]:
        """People's keys (subject, wrapped key, its version) under `newest_version`; none for one that does not open."""
        self.prove()
        version, found = self.newest_version(), list[bytes | None]()
        wrap, noise = self._wraps[version].encrypt, os.urandom(NONCE_BYTES * len(keys))
        for start, (subject, wrapped, before) in zip(range(0, len(noise), NONCE_BYTES), keys, strict=True):
            nonce = noise[start : start + NONCE_BYTES]
            try:
                key = self._person_key(subject, wrapped, before)
            except CannotOpen:
                found.append(None)
            else:
                found.append(nonce + wrap(nonce, key, _key_context(subject, version)))
        return found

    def newest_version(self) -> int:
        """The version of the incident's key that seals. Raises CannotOpen."""
        if not self._newest:
            self._read_versions()
        if not self._newest:
            raise CannotOpen("this incident has no key that can seal")
        return self._newest

    def commitment(self, *, person: AffectedPerson, fields: PersonFields) -> str:
        """HMAC over the person's fields under their own key: pseudonymous until the key is deleted, then nothing."""
        return _commitment(self._key(person), fields.encode())

    def blind(self, *, kind: str, value: str) -> bytes:
        """The incident's blind index of a normalised value (HMAC-SHA256), for matching only."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(f"{kind}|{value}".encode())
        outer.update(inner.digest())
        return outer.digest()

    def blind_many(self, kind: str, values: Sequence[str]) -> list[bytes | None]:
        """The blind indexes of values of one kind, in their order; none for an empty value."""
        return self.blind_encoded(kind, [value.encode() for value in values])

    def blind_encoded(self, kind: str, values: Sequence[bytes]) -> list[bytes | None]:
        """The same of values in UTF-8."""
        begun, found = self._inner.copy(), list[bytes | None]()
        begun.update(f"{kind}|".encode())
        for value in values:
            if not value:
                found.append(None)
                continue
            inner, outer = begun.copy(), self._outer.copy()
            inner.update(value)
            outer.update(inner.digest())
            found.append(outer.digest())
        return found

    def seal_blob(self, *, plain: bytes, bound_to: str) -> bytes:
        """Seal something of the incident that is no person's record (a rejected row, an inbox message)."""
        return encrypt(self._blob, plain, bound_to)

    def open_blob(self, *, sealed: bytes | memoryview, bound_to: str) -> bytes:
        """Open what `seal_blob` sealed. Raises CannotOpen."""
        return decrypt(self._blob, bytes(sealed), bound_to)


def _key_context(subject: str, version: int) -> bytes:
    return _KEY + f"{subject}|{version}".encode()


def _open_record(key: bytes, sealed: bytes, subject: str) -> bytes:
    return decrypt(key, sealed, f"{_RECORD_WORDS}{subject}|{FIRST_VERSION}")


def _first(value: str) -> str:
    """The first letter; a mark that nobody sees would turn the rest of the page around."""
    return next((sign for sign in value if sign.isprintable()), "")


def mask(value: str) -> str:
    """How a personal value is shown before somebody gives a purpose: first letter and length class."""
    if "@" in value:
        local, _, domain = value.rpartition("@")
        return f"{_first(local)}•••@{_first(domain)}•••"
    return f"{_first(value)}•••" if len(value) > 2 else "•••" if value else ""
