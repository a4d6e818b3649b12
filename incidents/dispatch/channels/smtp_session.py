"""One session with a relay, without waiting: what was asked, what was answered, and how far a letter has left (RFC 5321, 2920).

A letter counts as taken only by a 250 to its own final dot. Once a byte of the line that ends it has left, only an answer can say
that it was not taken; before that, it certainly was not.
"""

from __future__ import annotations

import re
import ssl
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

from incidents.dispatch.channels.contract import Answer, Prepared, SendErrorKind
from incidents.dispatch.channels.smtp_connect import Connected
from incidents.dispatch.channels.smtp_replies import CLOSING, GarbledReply, Reply, ReplyReader, refusal, taken_as
from incidents.letters.mime import ENDING, wire_address

_CHUNK: Final = 65_536
#: One record of TLS: it counts as left when it was tried.
_RECORD: Final = 16_384
_OK, _GO_AHEAD, _BAD_SEQUENCE, _SIGN_IN_FIRST = 250, 354, 503, 530
_ATOMS: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.\u00a1-\U0010ffff-]+"
_QUOTED: Final = r'"(?:[ !#-\[\]-~\u00a1-\U0010ffff]|\\[ -~])*"'
#: What may stand in a path (RFC 5321, 4.1.2; RFC 6531, 3.3): no line end, no bracket outside quotes, so nothing but an address.
_MAILBOX: Final = re.compile(rf"(?:{_ATOMS}|{_QUOTED})@(?:[A-Za-z0-9.-]+|\[[A-Za-z0-9:.]+\])")
_LONGEST_PATH: Final = 254

_NEEDS_UTF8: Final = Answer(
    error=SendErrorKind.REFUSED, detail="the address needs SMTPUTF8 (RFC 6531), which the relay does not offer"
)
_NO_ADDRESS: Final = Answer(error=SendErrorKind.REFUSED, detail="the address cannot be written in an SMTP envelope")
_NO_RETURN: Final = Answer(error=SendErrorKind.ACCOUNT, detail="our return path cannot be written in an SMTP envelope")


class Lost(Exception):
    """The session is at its end; the words say how, without personal data."""

    def __init__(self, how: str, *, throttled: bool = False) -> None:
        super().__init__(how)
        self.how, self.throttled = how, throttled


class Silent(Lost):
    """The relay did not answer in time: it may be out of step, so that what it said last is not to be leant on."""


class Envelope(NamedTuple):
    """MAIL and RCPT of one letter, as bytes."""

    mail: bytes
    rcpt: bytes
    utf8: bool

    def impossible(self, *, offers: frozenset[str]) -> Answer | None:
        """Why a relay with these offers cannot be asked at all."""
        return _NEEDS_UTF8 if self.utf8 and "SMTPUTF8" not in offers else None


def envelope_of(*, letter: Prepared) -> Envelope | Answer:
    """The letter's envelope, or why it has none."""
    sender, to = letter.return_path, wire_address(address=letter.to)
    if sender and not (_MAILBOX.fullmatch(sender) and sender.isascii() and len(sender) <= _LONGEST_PATH):
        return _NO_RETURN
    if not _MAILBOX.fullmatch(to) or len(to.encode("utf-8")) > _LONGEST_PATH:
        return _NO_ADDRESS
    utf8 = not to.isascii()
    special = b" BODY=8BITMIME SMTPUTF8" if utf8 else b""
    return Envelope(b"MAIL FROM:<%b>%b\r\n" % (sender.encode("ascii"), special), b"RCPT TO:<%b>\r\n" % to.encode("utf-8"), utf8)


class Session:
    """One connection. Whatever finds it at its end raises Lost; then `outcome` and `in_doubt` still tell the truth."""

    def __init__(self, *, connected: Connected) -> None:
        self._sock, self.offers = connected.sock, connected.offers
        self._tls = isinstance(self._sock, ssl.SSLSocket)
        self.pipelining = "PIPELINING" in self.offers
        self._reader = ReplyReader()
        self._expected: deque[str] = deque()
        self._unasked: deque[tuple[str, bytes]] = deque()  # without pipelining: the steps that wait for an answer
        self._out, self._left, self._reached = b"", 0, 0
        self._ending = self._end = 0
        self._open = False  # a transaction that the next one must first take back
        self._recipient_taken = False
        #: How many letters it has heard an answer to.
        self.served = 0
        self.forget()

    def forget(self) -> None:
        """Nothing of the letter before matters any more."""
        self.envelope: Envelope | None = None
        #: The relay waits for the body of `envelope`; or why it does not want it, and whether all was heard about that.
        self.go, self.refused, self.settled = False, None, False
        #: It is refused because the relay does not know us any more (RFC 4954, 6).
        self.signed_out = False
        self.outcome: Answer | None = None

    refused: Answer | None

    def fileno(self) -> int:
        """For the selector."""
        return self._sock.fileno()

    @property
    def unsent(self) -> bool:
        """Whether something waits for room to leave."""
        return self._left < len(self._out)

    @property
    def in_doubt(self) -> bool:
        """Whether any byte of the line that ends the letter may have left."""
        return self._reached > self._ending

    # What we say

    def offer(self, *, envelope: Envelope) -> None:
        """Ask whether a letter may come."""
        self._say(self._asking(envelope))

    def give(self, *, body: bytes, following: Envelope | None = None) -> None:
        """Hand over the letter that the relay waits for (`stuffed`); where it may, the next one's envelope right behind."""
        self._ending, self._end, self._reached = len(body) - len(ENDING), len(body), 0
        if self._reader.in_the_middle or self._expected or self.unsent:
            raise Lost("the relay said what nobody had asked")
        self.forget()
        self._expected.append("DOT")
        self._open = False
        ahead = following is not None and self.pipelining and following.impossible(offers=self.offers) is None
        self._say(body + self._asking(following) if following is not None and ahead else body)

    def _asking(self, envelope: Envelope) -> bytes:
        if self._reader.in_the_middle:
            raise Lost("the relay said what nobody had asked")
        self.envelope, self._recipient_taken = envelope, False
        steps = [("MAIL", envelope.mail), ("RCPT", envelope.rcpt), ("DATA", b"DATA\r\n")]
        if self._open:
            steps.insert(0, ("RSET", b"RSET\r\n"))
        if not self.pipelining:
            self._unasked.extend(steps[1:])
            steps = steps[:1]
        self._expected.extend([stage for stage, _ in steps])
        return b"".join([command for _, command in steps])

    def _say(self, words: bytes) -> None:
        self._out, self._left, self._reached = self._out[self._left :] + words, 0, 0
        self.flush()

    def flush(self) -> None:
        """Let leave what there is room for."""
        while self._left < len(self._out):
            chunk = self._out[self._left : self._left + _RECORD] if self._tls or self._left else self._out
            if self._tls:
                self._reached = self._left + len(chunk)
            try:
                self._left += self._sock.send(chunk)
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                return
            except OSError as error:
                self.hear()  # its last words say more than that it is gone
                raise Lost(f"the connection broke ({type(error).__name__})") from None
            self._reached = max(self._reached, self._left)

    def leave(self) -> None:
        """End the session: politely where no letter is awaited, else at once, which takes back its envelope."""
        if self.envelope is None and not self._expected and not self.unsent:
            with suppress(OSError):
                self._sock.send(b"QUIT\r\n")
        with suppress(OSError):
            self._sock.close()

    # What the relay says

    def hear(self) -> None:
        """Take in what has come."""
        try:
            while data := self._sock.recv(_CHUNK):
                for reply in self._reader.feed(data):
                    self._heard(reply)
                if not self._tls:
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except GarbledReply:
            raise Lost("the relay's answer cannot be read") from None
        except OSError as error:
            raise Lost(f"the connection broke ({type(error).__name__})") from None
        raise Lost("the relay hung up")

    def _heard(self, reply: Reply) -> None:
        if not self._expected:
            raise Lost(f"the relay said what nobody had asked ({reply.code})")
        stage = self._expected.popleft()
        if stage == "DOT":
            self._heard_of_the_letter(reply)
        elif reply.code == CLOSING:
            raise Lost(f"the relay closed the session ({reply.named})", throttled=True)
        elif stage == "MAIL":
            self._heard_of_the_sender(reply)
        elif stage == "RCPT":
            self._heard_of_the_recipient(reply)
        elif stage == "DATA":
            self._heard_of_data(reply)
        elif stage == "RSET":
            self._need(reply.code == _OK)
            self._open = False
        if self._unasked and self.refused is None and not self._expected:
            stage, command = self._unasked.popleft()
            self._expected.append(stage)
            self._say(command)

    def _need(self, fits: bool) -> None:
        if not fits:
            raise Lost("the relay's answer does not fit what was asked")

    def _heard_of_the_sender(self, reply: Reply) -> None:
        self._need(200 <= reply.code < 300 or (reply.code >= 400 and reply.code != _BAD_SEQUENCE))
        if reply.code < 300:
            self._open = True
        else:
            assert self.envelope is not None
            self.signed_out = reply.code == _SIGN_IN_FIRST
            self._refuse(refusal(stage="MAIL", reply=reply, special=self.envelope.utf8))

    def _heard_of_the_recipient(self, reply: Reply) -> None:
        self._recipient_taken = 200 <= reply.code < 300
        if self.refused is None and not self._recipient_taken:
            self._need(reply.code >= 400 and reply.code != _BAD_SEQUENCE)
            self._refuse(refusal(stage="RCPT", reply=reply))

    def _heard_of_data(self, reply: Reply) -> None:
        if self.refused is None:
            self._need(reply.code == _GO_AHEAD or (reply.code >= 400 and reply.code != _BAD_SEQUENCE))
            self.go = reply.code == _GO_AHEAD
            if not self.go:
                self._refuse(refusal(stage="DATA", reply=reply))
        elif reply.code == _GO_AHEAD:
            # RFC 2920, 3.1: an empty letter ends it. With a recipient taken, it would reach somebody.
            self._need(not self._recipient_taken)
            self._expected.append("EMPTY")
            self._say(b".\r\n")
        self.settled = True

    def _refuse(self, answer: Answer) -> None:
        self.refused = answer
        self._unasked.clear()
        self.settled = self.settled or not self.pipelining

    def _heard_of_the_letter(self, reply: Reply) -> None:
        if reply.code >= 400:
            self.outcome = refusal(stage="DOT", reply=reply)
        elif reply.code == _OK and self._left >= self._end:
            self.outcome = Answer(provider_id=taken_as(reply=reply))
        else:
            raise Lost(f"the relay's answer to the letter is unclear ({reply.code})")
        self.served += 1
        if reply.code == CLOSING or self._left < self._end:
            raise Lost("the relay closed the session")
