"""Proves that a request comes from a provider: its signature, or a password where it signs nothing. Each by its own book.

Compared in constant time; what is signed is fresh, and whatever a signature does not cover is said.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from incidents.dispatch.events import sns
from incidents.dispatch.events.bodies import part, text_of
from incidents.dispatch.events.refusing import forged
from incidents.dispatch.events.secrets import secret_of, sendgrid_key, svix_key, topics

#: Older than this is not taken, and further ahead neither: providers try again for a day at most.
OLDEST, AHEAD = timedelta(hours=24), timedelta(minutes=10)
EPOCH = re.compile(r"[0-9]{1,11}")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: its heads (names in lower case), its body as it came, and the document in it."""

    heads: Mapping[str, str]
    body: bytes
    document: Any
    now: datetime
    fetch: sns.Fetch


@dataclass(frozen=True, slots=True)
class Proof:
    """How a request was proved to come from its provider, and when the provider signed it."""

    strength: str
    signed_at: datetime | None = None


def prove(*, provider: str, asked: Asked) -> Proof:
    """The proof of a request. Raises EventsRefused."""
    proof = PROVERS[provider](provider, asked)
    if proof.signed_at is not None and not asked.now - OLDEST <= proof.signed_at <= asked.now + AHEAD:
        raise forged("signed too long ago, or in the future")
    return proof


def _signed(text: str) -> Proof:
    if not EPOCH.fullmatch(text):
        raise forged("a signature without a time")
    return Proof("signed", datetime.fromtimestamp(int(text), tz=UTC))


def _mailgun(provider: str, asked: Asked) -> Proof:
    """HMAC-SHA256 over time and token ("Securing Webhooks"). The body is not under it: the token is good for one body only."""
    given = part(asked.document, "signature")
    moment, token = text_of(given.get("timestamp")), text_of(given.get("token"))
    if not re.fullmatch(r"[A-Za-z0-9]{20,80}", token):
        raise forged("a signature without a token")
    expected = hmac.digest(secret_of(provider).encode(), f"{moment}{token}".encode("utf-8", "replace"), hashlib.sha256).hex()
    if not hmac.compare_digest(expected.encode(), text_of(given.get("signature")).encode("utf-8", "replace")):
        raise forged("a wrong signature")
    return _signed(moment)


def _sendgrid(provider: str, asked: Asked) -> Proof:
    """ECDSA over the time and the body ("Event Webhook Security Features")."""
    moment = asked.heads.get("x-twilio-email-event-webhook-timestamp", "")
    key = sendgrid_key(secret_of(provider))
    try:
        signature = base64.b64decode(asked.heads.get("x-twilio-email-event-webhook-signature", ""), validate=True)
        if key is None or not signature:
            raise forged("no signature")
        key.verify(signature, moment.encode("utf-8", "replace") + asked.body, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        raise forged("a wrong signature") from None
    return _signed(moment)


def _resend(provider: str, asked: Asked) -> Proof:
    """HMAC-SHA256 over id, time and body; any of several signatures may fit (Svix, "Verifying Webhooks Manually")."""
    name, moment = asked.heads.get("svix-id", ""), asked.heads.get("svix-timestamp", "")
    text = f"{name}.{moment}.".encode("utf-8", "replace") + asked.body
    expected = base64.b64encode(hmac.digest(svix_key(secret_of(provider)), text, hashlib.sha256))
    given = asked.heads.get("svix-signature", "")[:2000].split(" ")
    fits = [hmac.compare_digest(b"v1," + expected, one.encode("utf-8", "replace")) for one in given]
    if not name or not any(fits):
        raise forged("a wrong signature")
    return _signed(moment)


def _ses(_: str, asked: Asked) -> Proof:
    """SNS's signature over what SES says, and the type again in the head."""
    message = asked.document if isinstance(asked.document, dict) else {}
    if asked.heads.get("x-amz-sns-message-type", "") != text_of(message.get("Type")):
        raise forged("a head that does not fit its message")
    return Proof("signed", sns.verify(message=message, topics=topics(), now=asked.now, fetch=asked.fetch))


def _password(provider: str, asked: Asked) -> Proof:
    """Basic authentication (RFC 7617): the provider signs nothing."""
    scheme, _, given = asked.heads.get("authorization", "").partition(" ")
    try:
        plain = base64.b64decode(given.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        plain = b""
    if not hmac.compare_digest(plain, secret_of(provider).encode()):
        raise forged("a wrong password")
    return Proof("password")


PROVERS: dict[str, Callable[[str, Asked], Proof]] = {
    "ses": _ses, "mailgun": _mailgun, "sendgrid": _sendgrid, "resend": _resend,
    "postmark": _password, "brevo": _password, "mailjet": _password,
}  # fmt: skip
