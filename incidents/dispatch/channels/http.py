"""Requests to providers over kept connections, with one thing that HTTP libraries do not tell apart: did any byte leave us?

Before the first byte of a request every failure is certain: nothing was sent. After it, only an answer is certain. Redirects are
not followed and proxies of the environment are not used, so a letter goes to the host that the setting names, or nowhere.
"""

from __future__ import annotations

import ipaddress
import os
import select
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from urllib.parse import urlsplit

import certifi
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.deadline import Deadline, TimedSocket, connect

#: An answer longer than this is nobody's answer to a letter.
LONGEST_ANSWER = 4_000_000
CONNECT_SECONDS = 10.0
#: Servers end idle connections; one that rested longer than this is made anew rather than found dead with a letter on it.
IDLE_SECONDS = 20.0
#: Nobody may make us wait longer than this.
LONGEST_WAIT_SECONDS = 3600.0


@dataclass(frozen=True)
class HttpAnswer:
    """What came back. Names of heads are in small letters."""

    status: int
    heads: Mapping[str, str]
    body: bytes
    #: Whether the body is as long as its head says.
    whole: bool


def provider_url(*, kind: str, default: str) -> str:
    """Where a provider is reached: its own address, or the one that is set instead. Raises ImproperlyConfigured."""
    url = settings.PROVIDER_URLS.get(kind) or default
    parts = urlsplit(url)
    if not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"{kind.upper()}_API_URL must be https://host[:port]/path/, without keys in it.")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_this_machine(parts.hostname)):
        raise ImproperlyConfigured(f"{kind.upper()}_API_URL must begin with https:// (but for this machine).")
    return url if url.endswith("/") else f"{url}/"


def provider_key(*, kind: str, name: str) -> str:
    """A provider's key. Raises ImproperlyConfigured when it is not set."""
    key: str = settings.PROVIDER_KEYS.get(name, "")
    if not key:
        raise ImproperlyConfigured(f"{name} is not set. MAIL={kind}: needs it, or {name}_FILE.")
    return key


def is_this_machine(host: str) -> bool:
    """Whether a host's name or address is the loopback's."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    # The system's own roots, so that an operator's stand; and certifi's, for systems that have none.
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


class HttpLine:
    """One kept connection to one host, used by one thread at a time."""

    def __init__(self, *, base: str, seconds: float) -> None:
        """`seconds` are all that a request may take, from its connection to the last byte of its answer."""
        parts = urlsplit(base)
        self._tls, self._host = parts.scheme == "https", parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self.path, self._seconds = parts.path, seconds
        self._kept: HTTPConnection | None = None
        self._sock: TimedSocket | None = None
        self._rested_since, self._pid = 0.0, os.getpid()
        #: The answer to the last request; None where there was none.
        self.last: HttpAnswer | None = None

    def ask(self, *, method: str, path: str, heads: Mapping[str, str], body: bytes = b"") -> HttpAnswer:
        """One request and its answer, whatever its status. Raises SendError: NOT_SENT before any byte left, else DOUBTFUL."""
        self.last, until = None, Deadline(seconds=self._seconds)
        line, sock = self._connected()
        try:
            until.left()
        except TimeoutError:  # slow names: whoever waits for this letter has given it up, so it does not leave any more
            raise SendError(kind=SendErrorKind.NOT_SENT, detail="no connection to the provider in time", unreached=True) from None
        sock.until = until
        try:
            reply = _exchange(line, method, path, heads, body)
            answer = _read(reply)
        except (OSError, HTTPException) as error:
            self.close()
            detail = f"no answer after the request left: {type(error).__name__}"
            raise SendError(kind=SendErrorKind.DOUBTFUL, detail=detail, unreached=True) from None
        if reply.will_close or not answer.whole:
            self.close()
        self._rested_since, self.last = time.monotonic(), answer
        return answer

    def _connected(self) -> tuple[HTTPConnection, TimedSocket]:
        if self._pid != os.getpid():
            self._kept, self._sock, self._pid = None, None, os.getpid()  # a parent's connection is the parent's
        if self._kept is not None and (time.monotonic() - self._rested_since > IDLE_SECONDS or _has_ended(self._kept)):
            self.close()
        if self._kept is None or self._sock is None:
            self._kept, self._sock = self._connect()
        return self._kept, self._sock

    def _connect(self) -> tuple[HTTPConnection, TimedSocket]:
        until, trust = Deadline(seconds=min(self._seconds, CONNECT_SECONDS)), _trust() if self._tls else None
        try:
            sock = connect(host=self._host, port=self._port, until=until, proxy=_proxy() if self._tls else None, trust=trust)
        except (OSError, ValueError) as error:
            detail = f"no connection to the provider: {type(error).__name__}"
            raise SendError(kind=SendErrorKind.NOT_SENT, detail=detail, unreached=True) from None
        line = HTTPConnection(self._host, self._port)
        if trust is not None:
            line = HTTPSConnection(self._host, self._port, context=trust)
        line.sock = sock
        line.auto_open = 0  # a connection that ended is made anew here, or not at all
        return line, sock

    def close(self) -> None:
        """Let go of the connection; the next request makes a new one."""
        if self._kept is not None and self._pid == os.getpid():
            self._kept.close()
        self._kept = self._sock = None


def _proxy() -> tuple[str, int] | None:
    parts = urlsplit(settings.PROVIDER_PROXY)
    return (parts.hostname, parts.port or 3128) if parts.hostname else None


def _has_ended(line: HTTPConnection) -> bool:
    """Whether the other side has closed, or says something that nobody asked for."""
    if line.sock is None:
        return True
    poll = select.poll()
    poll.register(line.sock, select.POLLIN)
    return bool(poll.poll(0))


def _exchange(line: HTTPConnection, method: str, path: str, heads: Mapping[str, str], body: bytes) -> HTTPResponse:
    try:
        line.request(method, path, body=body or None, headers=dict(heads))
    except (BrokenPipeError, ConnectionResetError):
        # Who refuses a request may do so before having read it whole; then the refusal lies there to be read.
        return line.getresponse()
    return line.getresponse()


def _read(reply: HTTPResponse) -> HttpAnswer:
    pieces, length = list[bytes](), 0
    while piece := reply.read1(65536):
        pieces.append(piece)
        length += len(piece)
        if length > LONGEST_ANSWER:
            raise HTTPException("an answer without end")
    heads, whole = {name.lower(): value for name, value in reply.getheaders()}, not reply.length
    reply.close()  # only then the connection takes another request
    return HttpAnswer(reply.status, heads, b"".join(pieces), whole)


def retry_after(*, value: str | None, now: datetime) -> float | None:
    """Seconds to wait, of a Retry-After head (RFC 9110, 10.2.3), at most an hour; None when it says nothing sensible."""
    words = (value or "").strip()
    if words.isascii() and words.isdigit():
        return min(float(words[:12]), LONGEST_WAIT_SECONDS)
    try:
        moment = parsedate_to_datetime(words)
    except (ValueError, TypeError, IndexError):
        return None
    wait = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - now).total_seconds()
    return min(wait, LONGEST_WAIT_SECONDS) if wait > 0 else None
