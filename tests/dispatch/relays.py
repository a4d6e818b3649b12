"""A relay on the loopback that does what it is told: any answer in any pieces, hanging up, resetting or falling silent anywhere.

It keeps its own ledger of what it took, so that a test can compare what was believed with what happened.
"""

from __future__ import annotations

import contextlib
import enum
import socket
import ssl
import struct
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.contract import Answer, Prepared
from incidents.dispatch.channels.smtp import SmtpLanes
from incidents.letters.mail import OutgoingMail
from incidents.letters.ready import Built

DATE = "Sun, 22 Nov 2026 09:00:00 +0000"


class Act(enum.Enum):
    """What a relay does instead of answering, or after it."""

    HANG_UP = "hang up"
    RESET = "reset"
    #: Says nothing more, but reads; DEAF does not even read.
    SILENCE = "silence"
    DEAF = "deaf"


#: Words to say (CRLF is added), raw pieces to send as they are, or something to do.
Step = bytes | Act | tuple[bytes, Act]


class Taken(NamedTuple):
    """A letter that the relay has, whatever it said about that."""

    mail_from: bytes
    rcpt: bytes
    body: bytes
    answer: Step


class _Gone(Exception):
    pass


@dataclass
class Relay:
    """Stage -> steps, used up in order over all sessions; then it answers as it should."""

    offers: tuple[str, ...] = ("PIPELINING",)
    steps: dict[str, list[Step]] = field(default_factory=dict)
    #: Answers are sent in pieces of so many bytes; 0: whole.
    pieces: int = 0
    #: After so many bytes of a body: what it says, and then reads on; or what it does, and then nothing more.
    in_the_body: list[tuple[int, Step]] = field(default_factory=list)
    #: Answers wait until no command is left in what was read, and leave in one packet.
    together: bool = True
    tls: ssl.SSLContext | None = None
    implicit_tls: bool = False
    taken: list[Taken] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    sessions: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Relay:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._peers: list[socket.socket] = []
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for peer in self._peers:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def lanes(self, number: int = 1, seconds: float = 4, **address: str) -> SmtpLanes:
        """Lanes to this relay; `seconds` as PROVIDER_TIMEOUT_SECONDS."""
        at = MailAddress("smtp", address.pop("host", "127.0.0.1"), self.port, **address)  # type: ignore[arg-type]
        return SmtpLanes(at=at, number=number, seconds=seconds)

    def _accept(self) -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                peer, _ = self._listener.accept()
                peer.settimeout(20)
                self._peers.append(peer)
                self.sessions += 1
                threads.append(threading.Thread(target=_Talk(self, peer).run, daemon=True))
                threads[-1].start()
        for thread in threads:
            thread.join(5)

    def next_step(self, stage: str) -> Step | None:
        with self._lock:
            left = self.steps.get(stage)
            return left.pop(0) if left else None

    def next_in_the_body(self) -> tuple[int, Step] | None:
        with self._lock:
            return self.in_the_body.pop(0) if self.in_the_body else None


class _Talk:
    def __init__(self, relay: Relay, peer: socket.socket) -> None:
        self.relay, self.peer, self.buffer, self.out = relay, peer, b"", b""
        self.mail_from: bytes | None = None
        self.rcpt: bytes | None = None

    def run(self) -> None:
        with contextlib.suppress(OSError, _Gone, ssl.SSLError):
            if self.relay.implicit_tls:
                self._encrypt()
            self._do("greeting", b"220 relay.test ESMTP")
            while True:
                self._command(self._line())
        with contextlib.suppress(OSError):
            self.peer.close()

    def _encrypt(self) -> None:
        assert self.relay.tls is not None
        self.peer = self.relay.tls.wrap_socket(self.peer, server_side=True)

    def _read(self) -> None:
        self._send()
        data = self.peer.recv(65536)
        if not data:
            raise _Gone
        self.buffer += data

    def _line(self) -> bytes:
        while b"\r\n" not in self.buffer:
            self._read()
        line, _, self.buffer = self.buffer.partition(b"\r\n")
        self.relay.heard.append(line)
        return line

    def _command(self, line: bytes) -> None:
        verb = line.split(b" ")[0].upper()
        if verb == b"EHLO":
            self._do("EHLO", b"".join(b"250-%b\r\n" % offer.encode() for offer in ("relay.test", *self.relay.offers)) + b"250 OK")
        elif verb == b"STARTTLS":
            said = self._do("STARTTLS", b"220 go on")
            self._send()
            if said == b"2" and self.relay.tls is not None:
                self._encrypt()
        elif verb == b"MAIL":
            wrong = self.mail_from is not None
            if self._do("MAIL", b"503 5.5.1 nested MAIL" if wrong else b"250 2.1.0 Ok") == b"2":
                self.mail_from, self.rcpt = line[len(b"MAIL FROM:") :], None
        elif verb == b"RCPT":
            if self._do("RCPT", b"250 2.1.5 Ok" if self.mail_from else b"503 5.5.1 need MAIL") == b"2":
                self.rcpt = line[len(b"RCPT TO:") :]
        elif verb == b"DATA":
            ready = b"354 go on" if self.rcpt else b"554 5.5.1 no valid recipients" if self.mail_from else b"503 5.5.1 need MAIL"
            if self._do("DATA", ready) == b"3":
                self._letter()
        elif verb == b"RSET":
            self.mail_from = self.rcpt = None
            self._do("RSET", b"250 2.0.0 Ok")
        elif verb == b"QUIT":
            self._do("QUIT", b"221 bye")
            raise _Gone
        else:
            self._do(verb.decode("ascii", "replace"), b"500 5.5.2 what?")

    def _letter(self) -> None:
        stop = self.relay.next_in_the_body()
        seen = 0
        while not self.buffer.startswith(b".\r\n") and self.buffer.find(b"\r\n.\r\n", max(0, seen - 5)) < 0:
            seen = len(self.buffer)
            if stop and len(self.buffer) >= stop[0]:
                self._say(stop[1])
                stop = None
            self._read()
        if stop:
            self._say(stop[1])
        if self.buffer.startswith(b".\r\n"):
            body, self.buffer = b"", self.buffer[3:]
        else:
            body, _, self.buffer = self.buffer.partition(b"\r\n.\r\n")
        number = len(self.relay.taken) + 1
        step = self.relay.next_step("DOT")
        said = step if step is not None else b"250 2.0.0 Ok: queued as %d" % number
        words = said[0] if isinstance(said, tuple) else said if isinstance(said, bytes) else b"2"
        kept = words.startswith(b"2")  # also where it hangs up without a word: it may have it
        if kept and self.rcpt is not None:
            self.relay.taken.append(Taken(self.mail_from or b"", self.rcpt, body + b"\r\n", said))
        self.mail_from = self.rcpt = None
        self._say(said)

    def _do(self, stage: str, default: bytes) -> bytes:
        """Answer a stage; returns the first digit of the answer."""
        step = self.relay.next_step(stage)
        said = default if step is None else step
        self._say(said)
        return said[:1] if isinstance(said, bytes) else b""

    def _say(self, said: Step) -> None:
        words, act = said if isinstance(said, tuple) else (said, None) if isinstance(said, bytes) else (b"", said)
        if words or act is None:
            self.out += words + b"\r\n"
        if act is not None:
            self._act(act)
        if not self.relay.together:
            self._send()

    def _send(self) -> None:
        out, self.out = self.out, b""
        size = self.relay.pieces or len(out) or 1
        for at in range(0, len(out), size):
            self.peer.sendall(out[at : at + size])

    def _act(self, act: Act) -> None:
        self._send()
        if act is Act.SILENCE:
            while self.peer.recv(65536):
                pass
        if act is Act.DEAF:
            self.relay.over.wait(20)
        if act is Act.RESET:
            self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.peer.close()
        raise _Gone


def mail_to(address: str, *, ref: str = "ab" * 16, text: str = "Chère Claire,\n.\n..\nFin\n") -> OutgoingMail:
    return OutgoingMail(
        message_ref=ref, to=address, sender="notice@cartier.example", sender_name="Cartier", reply_to="dpo@cartier.example",
        language="fr", subject="Vos données — ce qui s’est passé", text=text, html="<p>Chère Claire</p>\n",
    )  # fmt: skip


def letter_to(
    address: str, *, ref: str = "ab" * 16, text: str = "Chère Claire,\n.\n..\nFin\n", return_path: str | None = None
) -> Prepared:
    """A prepared letter, with a return path that names it."""
    path = f"bounce+{ref}@cartier.example" if return_path is None else return_path
    return Built(mail_to(address, ref=ref, text=text), DATE, path)


class _Large(Built):
    raw = b"Subject: large\r\n\r\n" + (b"." * 70 + b"\r\n") * 200_000


def large_letter_to(address: str) -> Prepared:
    """A letter larger than what two sockets on one machine hold between them."""
    return _Large(mail_to(address), DATE, "")


def letters(number: int) -> list[Prepared]:
    """Letters to so many people."""
    return [letter_to(f"person{each}@example.org", ref=f"{each:032x}") for each in range(number)]


def handed_over(lanes: SmtpLanes, wanted: Sequence[Prepared], *, number: int = 1, ahead: bool = True) -> list[Answer]:
    """Hand over letters as a worker does: each lane its own, the next begun when the one before is answered."""
    answers: dict[int, Answer] = {}
    queues = {lane: list(range(lane, len(wanted), number)) for lane in range(number)}
    busy = {}

    def begin(lane: int) -> None:
        if queues[lane]:
            busy[lane] = queues[lane].pop(0)
            following = wanted[queues[lane][0]] if ahead and queues[lane] else None
            lanes.begin(lane=lane, letters=[wanted[busy[lane]]], following=following)

    for lane in queues:
        begin(lane)
    while busy:
        for lane, [answer] in lanes.answers(seconds=10):
            answers[busy.pop(lane)] = answer
            begin(lane)
    return [answers[each] for each in range(len(wanted))]


@contextlib.contextmanager
def lanes_to(relay: Relay, *, number: int = 1, seconds: float = 4, **address: str) -> Iterator[SmtpLanes]:
    """Lanes that are closed at the end."""
    lanes = relay.lanes(number, seconds, **address)
    try:
        yield lanes
    finally:
        lanes.close()
