"""The master key: it wraps the keys of incidents and nothing else. From the environment, a file, or a program that asks a KMS.

A KMS or an HSM is reached through a program of the operator's choice (`MASTER_KEY_PROGRAM`): one call, one JSON object on its
standard input, one on its output; nothing secret is on its command line. See docs/keys.md for the protocol.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from incidents.models.refusal import Refused

NONCE_BYTES = 12
#: What is ever wrapped: one key, or index and blob key side by side (`sealing.without_wrapping_key`).
KEY_SIZES = (32, 64)
#: A program's answer is a wrapped key: some kilobytes at the most.
LONGEST_ANSWER = 65_536


class CannotOpen(Exception):
    """A sealed record does not open: wrong key, swapped or damaged. Nothing is sent for this person."""


class KeyAway(Refused):
    """The incident's key cannot be had: no record can be opened now, and nothing is said of any. So it is no CannotOpen, which a
    caller takes for one person's damaged record."""


class MasterKeyWrong(KeyAway):
    """No master key that was given opens an incident's key: the wrong one, or a rotation that is only half done."""


class MasterKeyUnreachable(KeyAway):
    """The program that asks the KMS does not answer as it should; says what it did, and what to look at."""


def encrypt(key: bytes, plain: bytes, bound_to: str) -> bytes:
    """AES-256-GCM under a fresh nonce, which comes first; opens only for the same `bound_to`."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, bound_to.encode())


def decrypt(key: bytes, sealed: bytes, bound_to: str) -> bytes:
    """What `encrypt` sealed. Raises CannotOpen, which names the kind of record and nobody."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError):
        raise CannotOpen(f"{bound_to.split('|', maxsplit=1)[0]} does not open with this key") from None


class MasterKey(Protocol):
    """Whatever can wrap a key for a context and give it back for the same context only."""

    def wrap(self, *, key: bytes, context: str) -> bytes:
        """The key, sealed. Raises MasterKeyUnreachable."""
        ...

    def unwrap(self, *, wrapped: bytes, context: str) -> bytes:
        """The key of this context. Raises CannotOpen when it was wrapped by another master key or for another context."""
        ...


@dataclass(frozen=True)
class LocalMasterKey:
    """32 bytes in this process's memory."""

    key: bytes = field(repr=False)

    def wrap(self, *, key: bytes, context: str) -> bytes:
        """The key, sealed with AES-256-GCM."""
        return encrypt(self.key, key, context)

    def unwrap(self, *, wrapped: bytes, context: str) -> bytes:
        """The key of this context. Raises CannotOpen."""
        return decrypt(self.key, wrapped, context)


@dataclass(frozen=True)
class ProgramMasterKey:
    """A master key that never leaves its KMS or HSM: a program is asked, one JSON object in, one out."""

    command: tuple[str, ...]
    seconds: int = 10

    def wrap(self, *, key: bytes, context: str) -> bytes:
        """The key as the KMS wrapped it, once it gave the same key back. Raises MasterKeyUnreachable."""
        answer = self._ask({"operation": "wrap", "context": context, "key": base64.b64encode(key).decode()})
        wrapped = self._bytes(answer, "wrapped")
        # What the caller stores may be the only copy: a rotation destroys the one before.
        try:
            given_back = self.unwrap(wrapped=wrapped, context=context)
        except CannotOpen:
            given_back = b""
        if given_back != key:
            raise self._failed("does not give back the key that it has just wrapped")
        return wrapped

    def unwrap(self, *, wrapped: bytes, context: str) -> bytes:
        """The key of this context. Raises CannotOpen when the KMS refuses, MasterKeyUnreachable when it gives no answer."""
        answer = self._ask({"operation": "unwrap", "context": context, "wrapped": base64.b64encode(wrapped).decode()})
        if answer.get("refused") is True:
            raise CannotOpen(f"{context.split('|', maxsplit=1)[0]} does not open with this key")
        key = self._bytes(answer, "key")
        if len(key) not in KEY_SIZES:
            # People would be sealed under whatever it is, and no right key would open them again.
            raise self._failed(f"gave a key of {len(key)} bytes; it was given one of {' or '.join(map(str, KEY_SIZES))}")
        return key

    def _ask(self, question: dict[str, str]) -> dict[str, Any]:
        try:
            done = subprocess.run(  # the operator's own program, as the settings name it; no shell
                self.command, input=json.dumps(question).encode(), capture_output=True, timeout=self.seconds, check=False
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"gave no answer within {self.seconds} seconds") from None
        except OSError as error:
            raise self._failed(f"cannot be started ({error.strerror})") from None
        if done.returncode:
            # Its own words may quote what it was given: only the number is told.
            raise self._failed(f"ended with code {done.returncode}")
        try:
            answer = json.loads(done.stdout[:LONGEST_ANSWER])
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._failed("gave an answer that is no JSON object")
        return answer

    def _bytes(self, answer: dict[str, Any], name: str) -> bytes:
        try:
            found = base64.b64decode(answer[name], validate=True)
        except (KeyError, TypeError, ValueError, binascii.Error):
            found = b""
        if not found:
            raise self._failed(f"gave an answer without '{name}' in base64")
        return found

    def _failed(self, what: str) -> MasterKeyUnreachable:
        return MasterKeyUnreachable(
            f"The program of MASTER_KEY_PROGRAM ({self.command[0]}) {what}. Nothing was opened or sealed. Run it by hand with a "
            "request of docs/keys.md, and look at the KMS behind it."
        )


def is_an_example(*, key: bytes) -> bool:
    """Whether this cannot be a key of random bytes; none at all is no example."""
    return bool(key) and len(set(key)) < 8


def _source(key: bytes, program: Sequence[str]) -> MasterKey | None:
    if program:
        return ProgramMasterKey(tuple(program), settings.MASTER_KEY_SECONDS)
    return LocalMasterKey(key) if key else None


def present() -> MasterKey:
    """The master key that wraps from now on."""
    found = _source(settings.MASTER_KEY, settings.MASTER_KEY_PROGRAM)
    if found is None:  # the settings refuse to load without one
        raise MasterKeyWrong("There is no master key. Set MASTER_KEY, MASTER_KEY_FILE or MASTER_KEY_PROGRAM.")
    return found


def former() -> MasterKey | None:
    """The master key of before, while a rotation is under way: it only opens."""
    return _source(settings.MASTER_KEY_OLD, settings.MASTER_KEY_OLD_PROGRAM)


#: Between a wrapped key and the check of what it holds. Keys wrapped before have none, and get it with the next rotation.
CHECKED, CHECK_BYTES = b"\x00key-check-1\x00", 16


def wrap(*, key: bytes, context: str) -> bytes:
    """The key under the present master key, with a check behind it: whatever else it is unwrapped to is known at once."""
    return present().wrap(key=key, context=context) + CHECKED + _check(key, context)


def _check(key: bytes, context: str) -> bytes:
    """Tells nobody anything of a key of 256 random bits."""
    return hmac.digest(key, b"check|" + context.encode(), "sha256")[:CHECK_BYTES]


def _parted(wrapped: bytes) -> tuple[bytes, bytes]:
    end = len(wrapped) - CHECK_BYTES
    if end > len(CHECKED) and wrapped[end - len(CHECKED) : end] == CHECKED:
        return wrapped[: end - len(CHECKED)], wrapped[end:]
    return wrapped, b""


@dataclass(frozen=True)
class Unwrapped:
    """A key, and whether the present master key opened it (else the former one did)."""

    key: bytes = field(repr=False)
    by_present: bool = True


def unwrap(*, wrapped: bytes, context: str) -> Unwrapped:
    """What a master key wrapped, by the present or else the former one. Raises MasterKeyWrong, MasterKeyUnreachable."""
    (sealed, check), another = _parted(wrapped), False
    for master in (present(), former()):
        if master is None:
            continue
        try:
            key = master.unwrap(wrapped=sealed, context=context)
            if not check or hmac.compare_digest(_check(key, context), check):
                return Unwrapped(key, master == present())
            another = True  # a KMS gave some key, and no error
        except CannotOpen:
            continue
    name = context.split("|")[1]
    if another:
        raise MasterKeyWrong(
            f"What the master key unwrapped for incident {name} is another key than the one that was wrapped. Nothing was opened "
            "or sealed with it. Run the program of MASTER_KEY_PROGRAM by hand with a request of docs/keys.md; look at the KMS."
        )
    raise MasterKeyWrong(
        f"The master key does not open the key of incident {name}: nobody's data in it can be read or sent. Start with the "
        "master key that it was wrapped with; during a rotation give that as MASTER_KEY_OLD and end with 'rotate_keys --master'."
    )
