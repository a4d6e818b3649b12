"""Settings that name a place in the world, read and refused in words at the start. What may hold a secret is not repeated."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured

from incidents.dispatch.channels.address import is_host
from incidents.dispatch.events.shapes import BOUNCE_ADDRESS, EVENTS_PATH, SHORTEST_PATH


def events_path(value: str) -> str:
    """The secret part of the addresses for events; empty: none is taken. Raises ImproperlyConfigured, without the value."""
    if value and not EVENTS_PATH.fullmatch(value):
        raise ImproperlyConfigured(
            f"EVENTS_PATH must be {SHORTEST_PATH} to 100 random letters, digits, '-' or '_', so that nobody guesses it; what is "
            "set is shorter, longer or holds something else. Make one: openssl rand -hex 20."
        )
    return value


def bounce_address(value: str) -> str:
    """Where bounces of letters by a relay come; empty: to the sender. Raises ImproperlyConfigured."""
    if value and not BOUNCE_ADDRESS.fullmatch(value):
        raise ImproperlyConfigured(
            f"BOUNCE_ADDRESS is '{value}', which is no address that can name a letter. Set one such as bounces@mail.example.com: "
            "at most 30 letters, digits, '.', '-' or '_' before the @, no plus sign."
        )
    return value


def public_url(value: str) -> str:
    """The desk's address as the world sees it, without a slash at its end; empty: none. Raises ImproperlyConfigured."""
    parts = _parts(value)
    if value and (parts is None or parts.scheme not in {"http", "https"} or parts.query or parts.fragment):
        raise ImproperlyConfigured(
            "PUBLIC_URL must be this desk's address as the world sees it, such as https://breach.example.com: http or https, a "
            "host, no user and no password. Mend it, or unset it where no provider reaches this desk."
        )
    return value.rstrip("/")


def proxy(value: str) -> str:
    """The proxy on the way to providers; empty: none. Raises ImproperlyConfigured, without the value."""
    parts = _parts(value)
    if value and (parts is None or parts.scheme != "http" or parts.path.strip("/") or parts.query or parts.fragment):
        raise ImproperlyConfigured(
            "PROVIDER_PROXY must be http://host:port, without user and password: the proxy is spoken to in plain HTTP and only "
            "passes the provider's TLS on. Mend it, or unset it to go without a proxy."
        )
    return value


def _parts(value: str) -> SplitResult | None:
    """The parts of a URL with a host and without user and password; None when it is none."""
    try:
        parts = urlsplit(value)
        whole = is_host(parts.hostname or "") and (parts.port is None or parts.port > 0) and "@" not in parts.netloc
    except ValueError:
        return None
    return parts if whole and not any(map(str.isspace, value)) else None
