"""What `MAIL` and `MAIL_FALLBACK` may say, read and refused in words. Keys of providers never stand in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

TLS = ("none", "starttls", "tls")
NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
#: Letters of any script, digits and what IPv6 needs.
HOST = re.compile(r"[\w.:%-]+")
#: Scheme -> the options that it knows besides `name`; those with a star must be given.
OPTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "inbox": ("delay_ms",),
        "smtp": ("tls",),
        "postmark": ("stream", "batch"),
        "resend": ("batch",),
        "ses": ("region*", "configuration_set"),
        "mailgun": ("domain*", "region"),
        "sendgrid": ("region",),
        "brevo": (),
        "mailjet": (),
    }
)
FORMS = (
    "inbox:, smtp://[user:pass@]host:port[?tls=none|starttls|tls], postmark:, resend:, ses:?region=..., mailgun:?domain=..., "
    "sendgrid:, brevo: or mailjet:"
)


@dataclass(frozen=True)
class MailAddress:
    """One way out, read from a setting."""

    kind: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = field(default="", repr=False)
    tls: str = "none"
    delay_ms: int = 0
    #: The name that was given to it; `known_as` says what attempts, doubts and events are recorded under.
    name: str = ""
    options: Mapping[str, str] = field(default_factory=dict, hash=False)
    #: Letters in one request, where a provider takes complete ones; 0: as many as it takes.
    batch: int = 0

    @property
    def known_as(self) -> str:
        """The name given to it, else what it is."""
        return self.name or self.kind


@lru_cache(maxsize=16)
def read_mail_setting(value: str, setting: str = "MAIL") -> MailAddress:
    """Read one setting. Raises ImproperlyConfigured with what may stand there; never repeats a password."""
    try:
        parts = urlsplit(value)
        port = parts.port or 25
    except ValueError:
        raise ImproperlyConfigured(
            f"{setting}: the port is a whole number up to 65535, and a host in [] an IPv6 address."
        ) from None
    if parts.scheme not in OPTIONS or not value.startswith(f"{parts.scheme}:"):
        raise ImproperlyConfigured(f"{setting} must be one of {FORMS}.")
    asked = _asked(setting, parts)
    name = asked.pop("name", "")
    if parts.scheme == "smtp":
        return _relay(setting, parts, port, name, asked)
    if parts.netloc or parts.path or parts.fragment:
        raise ImproperlyConfigured(
            f"{setting}: {parts.scheme}: takes only options; keys come from the environment, never from here."
        )
    delay, batch = asked.pop("delay_ms", "0"), asked.pop("batch", "0")
    if not delay.isdecimal() or not batch.isdecimal():
        raise ImproperlyConfigured(f"{setting}: delay_ms is a whole number of milliseconds, batch one of letters.")
    return MailAddress(parts.scheme, delay_ms=int(delay), name=name, options=asked, batch=int(batch))


def _asked(setting: str, parts: SplitResult) -> dict[str, str]:
    here, known = f"{setting}: {parts.scheme}:", {"name", *(name.rstrip("*") for name in OPTIONS[parts.scheme])}
    asked = dict(parse_qsl(parts.query, keep_blank_values=True))
    strange = sorted(set(asked) - known)
    if strange:
        raise ImproperlyConfigured(f"{here} does not know {', '.join(strange)}; it knows {', '.join(sorted(known))}.")
    missing = [name[:-1] for name in OPTIONS[parts.scheme] if name.endswith("*") and not asked.get(name[:-1])]
    if missing:
        raise ImproperlyConfigured(f"{here} needs {', '.join(missing)}, as in {parts.scheme}:?{missing[0]}=...")
    if not NAME.fullmatch(asked.get("name", "smtp")):
        raise ImproperlyConfigured(f"{here} a name is up to 30 small letters, digits and hyphens.")
    return asked


def is_host(text: str) -> bool:
    """Whether this can be a host's name or number. Looking up what cannot be one raises what nobody would take as "not sent"."""
    try:
        text.encode("idna")
    except UnicodeError:  # an empty label, or one of more than 63 octets
        return False
    return bool(HOST.fullmatch(text))


def _relay(setting: str, parts: SplitResult, port: int, name: str, asked: dict[str, str]) -> MailAddress:
    tls = asked.get("tls", "none")
    if tls not in TLS:
        raise ImproperlyConfigured(f"{setting}: tls={tls} is not known; use none, starttls or tls.")
    if not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise ImproperlyConfigured(f"{setting} must be smtp://[user:pass@]host:port[?tls=none|starttls|tls].")
    if not is_host(parts.hostname):
        raise ImproperlyConfigured(
            f"{setting}: the host of the relay is no host's name (a space, an empty or overlong part). Write it as in "
            "smtp://relay.example.com:25."
        )
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    return MailAddress("smtp", parts.hostname, port, user, password, tls, name=name)
