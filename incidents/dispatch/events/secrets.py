"""What has to be set before a provider is believed, and what is missing or wrong of it. A signature is never optional."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from dataclasses import dataclass
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from django.conf import settings

from incidents.dispatch.events.shapes import BOUNCE_ADDRESS, EVENTS_PATH, SHORTEST_PATH
from incidents.dispatch.events.sns import TOPIC

#: Provider -> the setting that proves it, and how: a signature over what it sends, or a password that it sends along.
PROVES = {
    "ses": ("SES_TOPIC_ARNS", "signed"),
    "mailgun": ("MAILGUN_WEBHOOK_KEY", "signed"),
    "sendgrid": ("SENDGRID_WEBHOOK_KEY", "signed"),
    "resend": ("RESEND_WEBHOOK_SECRET", "signed"),
    "postmark": ("POSTMARK_WEBHOOK_AUTH", "password"),
    "brevo": ("BREVO_WEBHOOK_AUTH", "password"),
    "mailjet": ("MAILJET_WEBHOOK_AUTH", "password"),
}
SHORTEST_PASSWORD = 16
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Missing:
    """A setting without which events of a provider are not taken, and what to do."""

    setting: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what} {self.remedy}"


def secret_of(provider: str) -> str:
    """The provider's own secret, or the list of topics."""
    return str(settings.EVENTS_SECRETS.get(PROVES[provider][0], ""))


def missing_for(provider: str) -> list[Missing]:
    """What keeps a provider's events from being taken; empty when they are."""
    return _missing_for(provider, settings.EVENTS_PATH, secret_of(provider))


@lru_cache(maxsize=32)
def _missing_for(provider: str, path: str, secret: str) -> list[Missing]:
    found, name = [], PROVES[provider][0]
    if not EVENTS_PATH.fullmatch(path):
        remedy = f"Set EVENTS_PATH to at least {SHORTEST_PATH} random letters and digits."
        found.append(
            Missing("EVENTS_PATH", f"The secret part of the address for events of {provider} is missing or short.", remedy)
        )
    problem = "is not set" if not secret else _problem(provider, secret)
    if problem:
        what = f"{name} {problem}: nothing that {provider} tells of letters is taken."
        found.append(Missing(name, what, f"Set it as docs/events.md says for {provider}."))
    return found


def _problem(provider: str, secret: str) -> str:
    """What is wrong with a secret, without the secret."""
    if provider == "ses":
        return "" if all(TOPIC.fullmatch(one) for one in topics()) else "names something that is no ARN of an SNS topic"
    if provider == "sendgrid":
        return "" if sendgrid_key(secret) else "is no public key in base64"
    if provider == "resend":
        return "" if svix_key(secret) else "is no signing secret (whsec_ and base64)"
    if provider == "mailgun":
        return "" if len(secret) >= SHORTEST_PASSWORD else "is too short"
    user, _, password = secret.partition(":")
    return (
        ""
        if user and len(password) >= SHORTEST_PASSWORD
        else f"is not user:password with at least {SHORTEST_PASSWORD} characters"
    )


def topics() -> tuple[str, ...]:
    """The SNS topics that are ours."""
    return tuple(filter(None, re.split(r"[,\s]+", secret_of("ses"))))


@lru_cache(maxsize=4)
def sendgrid_key(secret: str) -> ec.EllipticCurvePublicKey | None:
    """SendGrid's verification key; None when it is none."""
    try:
        key = load_der_public_key(base64.b64decode(secret, validate=True))
    except (binascii.Error, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePublicKey) else None


def svix_key(secret: str) -> bytes:
    """The HMAC key in a signing secret of Svix; empty when there is none."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        return b""
    return key if len(key) >= 16 else b""


def faults(*, sending: tuple[str, ...]) -> list[Missing]:
    """What is missing for the providers through which letters go, and what is wrong with any secret that is set."""
    asked = [name for name in PROVES if name in sending or secret_of(name)]
    found = {one.setting: one for name in asked for one in missing_for(name)}
    bounce = settings.BOUNCE_ADDRESS
    if bounce and not BOUNCE_ADDRESS.fullmatch(bounce):
        remedy = "Set it to one such as bounces@mail.example.com, with a short part before the @ and no plus sign."
        found["BOUNCE_ADDRESS"] = Missing("BOUNCE_ADDRESS", "BOUNCE_ADDRESS is no address that can name a letter.", remedy)
    return list(found.values())


def sending_providers() -> tuple[str, ...]:
    """The kinds of providers that MAIL and MAIL_FALLBACK name."""
    return tuple(str(getattr(settings, name, "")).partition(":")[0] for name in ("MAIL", "MAIL_FALLBACK"))


def unsaid() -> list[Missing]:
    """What a start-up check names."""
    return faults(sending=sending_providers())
