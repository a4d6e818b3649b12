"""A connection whose every wait is cut to what is left of one request's time.

A socket's own timeout begins anew with every byte, so a server that drips one every few seconds holds a thread for hours. Here
each read and write gets what is left until one moment, and after it nothing is waited for any more.
"""

from __future__ import annotations

import io
import socket
import ssl
import time
from typing import Final

#: No proxy says more before it lets us through.
_LONGEST_HEAD: Final = 16_384
#: What is written at once: the time is looked at between two pieces.
_PIECE: Final = 65_536


class Deadline:
    """A moment by the monotonic clock."""

    def __init__(self, *, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then. Raises TimeoutError when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class TimedSocket:
    """What `http.client` needs of a socket, over a real one. `until` is set anew for each request."""

    def __init__(self, sock: socket.socket, until: Deadline) -> None:
        self.sock, self.until = sock, until

    def sendall(self, data: bytes) -> None:
        """All of it, in time. Raises OSError."""
        left = memoryview(data)
        while left:
            self.sock.settimeout(self.until.left())
            left = left[self.sock.send(left[:_PIECE]) :]

    def makefile(self, mode: str) -> io.BufferedReader:
        """To read an answer from; its waits are cut as well."""
        return io.BufferedReader(_Read(self))

    def fileno(self) -> int:
        """For a poll."""
        return self.sock.fileno()

    def close(self) -> None:
        """Closed once the answer that is being read is closed too, as a socket is."""
        self.sock.close()


class _Read(io.RawIOBase):
    """The reading half; it keeps the socket open for as long as it is open itself."""

    def __init__(self, timed: TimedSocket) -> None:
        self._timed, self._file = timed, timed.sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, into: memoryview) -> int | None:  # type: ignore[override]
        """Some bytes, in time. Raises OSError."""
        self._timed.sock.settimeout(self._timed.until.left())
        return self._file.readinto(into)

    def close(self) -> None:
        """Both halves."""
        self._file.close()
        super().close()


def connect(*, host: str, port: int, until: Deadline, proxy: tuple[str, int] | None, trust: ssl.SSLContext | None) -> TimedSocket:
    """A connection to a host, with TLS where there is a trust, through a proxy where there is one. Raises OSError, ValueError."""
    sock = _reach(*(proxy or (host, port)), until)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if proxy:
            _pass(sock, host, port, until)
        if trust is not None:
            sock.settimeout(until.left())  # of the whole handshake
            sock = trust.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise
    return TimedSocket(sock, until)


def _reach(host: str, port: int, until: Deadline) -> socket.socket:
    """One address of the host after another; no single one takes the time of all."""
    found, problem = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), OSError("no address")
    for place, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(until.left() / (len(found) - place))
            sock.connect(address)
        except OSError as error:
            sock.close()
            problem = error
        else:
            return sock
    raise problem


def _pass(sock: socket.socket, host: str, port: int, until: Deadline) -> None:
    """Ask a proxy for a tunnel (RFC 9110, 9.3.6). Read byte by byte: what follows its head is the host's."""
    at = f"[{host}]:{port}" if ":" in host else f"{host.encode('idna').decode()}:{port}"
    TimedSocket(sock, until).sendall(f"CONNECT {at} HTTP/1.1\r\nHost: {at}\r\n\r\n".encode("ascii"))
    head = b""
    while not head.endswith((b"\r\n\r\n", b"\n\n")):
        sock.settimeout(until.left())
        one = sock.recv(1)
        if not one or len(head) > _LONGEST_HEAD:
            raise ConnectionError("the proxy does not answer as a proxy")
        head += one
    status = head.split(b" ", 2)[1:2]
    if not head.startswith(b"HTTP/1.") or not status or not status[0].startswith(b"2"):
        raise ConnectionError("the proxy does not let us through")
