"""From nothing to a signed-in session with a relay: TCP, greeting, EHLO, STARTTLS (RFC 3207), AUTH (RFC 4954). It may block."""

from __future__ import annotations

import socket
import ssl
import time
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.contract import SendError, SendErrorKind
from incidents.dispatch.channels.smtp_replies import CLOSING, GarbledReply, Reply, ReplyReader, speaks_of_pace

_READY, _DONE, _SIGNED_IN, _GO_ON = 220, 250, 235, 334
_CHUNK: Final = 65_536


@dataclass(frozen=True)
class Connected:
    """A session in which letters may be handed over, and what the relay offers."""

    sock: socket.socket
    offers: frozenset[str]


def connect(*, at: MailAddress, seconds: float) -> Connected:
    """Open a session, in `seconds` altogether. Raises SendError: NOT_SENT, or ACCOUNT where our sign-in is refused."""
    attempt = _Attempt(at, time.monotonic() + seconds)
    try:
        return attempt.run()
    except BaseException as error:
        attempt.hang_up()
        if isinstance(error, OSError | GarbledReply):
            raise SendError(kind=SendErrorKind.NOT_SENT, detail=_in_words(error), unreached=True) from None
        raise


def _in_words(error: OSError | GarbledReply) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"the relay's certificate is not trusted: {error.verify_message}"
        case ssl.SSLError():
            return f"no encryption with the relay: {(error.reason or type(error).__name__).replace('_', ' ').lower()}"
        case TimeoutError():
            return "no connection to the relay: it did not answer in time"
        case socket.gaierror():
            return "no connection to the relay: its name is not found"
        case GarbledReply():
            return "no connection to the relay: what answers there does not speak SMTP"
    return f"no connection to the relay: {type(error).__name__}"


class _Attempt:
    """One try to get a session; each wait is cut to what is left of the time."""

    def __init__(self, at: MailAddress, until: float) -> None:
        self._at, self._until, self._reader = at, until, ReplyReader()
        self._sock: socket.socket | None = None

    def run(self) -> Connected:
        at = self._at
        self._sock = socket.create_connection((at.host, at.port), timeout=self._left())
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if at.tls == "tls":
            self._encrypt()
        self._need(self._reply(), _READY, "did not greet us")
        offers = self._hello()
        if at.tls == "starttls":
            if "STARTTLS" not in offers:
                raise SendError(kind=SendErrorKind.NOT_SENT, detail="the relay does not offer STARTTLS")
            self._need(self._ask(b"STARTTLS"), _READY, "refused STARTTLS")
            self._encrypt()
            offers = self._hello()
        if at.user:
            self._sign_in(offers)
        self._sock.setblocking(False)
        return Connected(self._sock, frozenset(offers))

    def hang_up(self) -> None:
        if self._sock is not None:
            self._sock.close()

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left

    def _encrypt(self) -> None:
        assert self._sock is not None
        if self._reader.in_the_middle:
            raise GarbledReply  # said in clear before the encryption: not by whoever will be identified by it
        self._sock.settimeout(self._left())
        # Trusts what the machine trusts; SSL_CERT_FILE adds an authority of one's own.
        self._sock = ssl.create_default_context().wrap_socket(self._sock, server_hostname=self._at.host)

    def _hello(self) -> dict[str, str]:
        """What the relay offers: keyword -> parameters, in capitals."""
        assert self._sock is not None
        name = _own_name() or _literal(self._sock)
        reply = self._ask(b"EHLO " + name.encode("ascii"))
        if reply.code in {500, 501, 502, 504}:
            reply = self._ask(b"HELO " + name.encode("ascii"))
            self._need(reply, _DONE, "did not greet us")
            return {}
        self._need(reply, _DONE, "did not greet us")
        words = [line.decode("ascii", "replace").upper().replace("AUTH=", "AUTH ").partition(" ") for line in reply.lines[1:]]
        return {keyword: parameters for keyword, _, parameters in words}

    def _sign_in(self, offers: dict[str, str]) -> None:
        ways, user, password = offers.get("AUTH", "").split(), self._at.user.encode(), self._at.password.encode()
        if "PLAIN" in ways:
            steps = [b"AUTH PLAIN " + b64encode(b"\0" + user + b"\0" + password)]
        elif "LOGIN" in ways:
            steps = [b"AUTH LOGIN", b64encode(user), b64encode(password)]
        else:
            raise SendError(kind=SendErrorKind.NOT_SENT, detail="the relay offers no sign-in that we know (PLAIN, LOGIN)")
        reply = self._ask(steps[0])
        for answer in steps[1:]:
            if reply.code == _GO_ON:
                reply = self._ask(answer)
        kind = SendErrorKind.ACCOUNT if reply.code >= 500 else SendErrorKind.NOT_SENT
        self._need(reply, _SIGNED_IN, "refused our sign-in", kind)

    def _ask(self, command: bytes) -> Reply:
        assert self._sock is not None
        self._sock.settimeout(self._left())
        self._sock.sendall(command + b"\r\n")
        return self._reply()

    def _reply(self) -> Reply:
        """The next reply, and nothing behind it: whoever speaks unasked cannot be followed."""
        assert self._sock is not None
        while True:
            self._sock.settimeout(self._left())
            data = self._sock.recv(_CHUNK)
            if not data:
                raise ConnectionResetError
            found = list(self._reader.feed(data))
            if len(found) > 1 or (found and self._reader.in_the_middle):
                raise GarbledReply
            if found:
                return found[0]

    def _need(self, reply: Reply, code: int, what: str, kind: SendErrorKind = SendErrorKind.NOT_SENT) -> None:
        if reply.code != code:
            # "Service not available" (RFC 5321, 3.8 and 4.2.3) is as if nobody were there: it is left alone for a while, and the
            # pace of what it takes afterwards is what it was. Many relays say "too many connections" by it, too.
            too_fast = speaks_of_pace(reply=reply)
            away = reply.code == CLOSING and not too_fast
            raise SendError(kind=kind, detail=f"the relay {what} ({reply.named})", throttled=too_fast, unreached=away)


@lru_cache(maxsize=1)
def _own_name() -> str:
    """Our full name; '' when the machine has none (RFC 5321, 4.1.4: then the address says who we are)."""
    name = socket.getfqdn()
    return name if "." in name and name.isascii() and all(part for part in name.split(".")) else ""


def _literal(sock: socket.socket) -> str:
    address = str(sock.getsockname()[0])
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
