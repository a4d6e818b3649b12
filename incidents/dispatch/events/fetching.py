"""Fetches one small thing from a pinned host over TLS: no redirect, no proxy, no address inside (OWASP ASVS 5.0, 1.3.6).

The name is resolved once and the connection goes to the very address that was looked at, so that a name that changes its mind
(DNS rebinding) reaches nothing else; the certificate has to be that of the name.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

from incidents.dispatch.channels.deadline import Deadline, TimedSocket

MOST_BYTES, SECONDS = 65_536, 5.0
Resolve = Callable[[str], list[str]]
#: Opens a connection to an address (first) that proves to be a name (second).
Dial = Callable[[str, str, float], socket.socket]


class NotFetched(Exception):
    """Nothing was fetched; says why."""


def resolve(host: str) -> list[str]:
    """The addresses of a name. Raises OSError."""
    return [str(found[4][0]) for found in socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)]


def dial(address: str, host: str, seconds: float) -> socket.socket:
    """A TLS connection to the address whose certificate is the name's. Raises OSError."""
    until = Deadline(seconds=seconds)
    plain = socket.create_connection((address, 443), timeout=seconds)
    try:
        plain.settimeout(until.left())
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def fetch(url: str, *, resolve: Resolve = resolve, dial: Dial = dial) -> bytes:
    """The body of a GET, at most 64 kB within 5 s. The caller has compared the host. Raises NotFetched."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https" or parts.port not in (None, 443) or parts.username or parts.password:
        raise NotFetched("only plain https addresses are fetched")
    until = Deadline(seconds=SECONDS)
    try:
        address = _outside(resolve(host))
        connection = http.client.HTTPConnection(host)
        connection.sock = TimedSocket(dial(address, host, until.left()), until)
        try:
            connection.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""), headers={"Accept": "*/*"})
            return _body(connection.getresponse())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise NotFetched(f"the connection failed ({type(error).__name__})") from None


def _outside(addresses: list[str]) -> str:
    """The first address, when all of them are outside. A name that also points inside is not one that we fetch from."""
    if not addresses or not all(ipaddress.ip_address(one.partition("%")[0]).is_global for one in addresses):
        raise NotFetched("the name points to no public address")
    return addresses[0]


def _body(response: http.client.HTTPResponse) -> bytes:
    if response.status != 200:
        raise NotFetched(f"the answer was {response.status}")
    found = b""
    while chunk := response.read1(8192):
        found += chunk
        if len(found) > MOST_BYTES:
            raise NotFetched("the answer is too long")
    if response.length:
        raise NotFetched("the answer ended too early")
    return found
