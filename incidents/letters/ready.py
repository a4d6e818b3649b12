"""A letter that is ready to leave: filled by substitution, or built by the library where that is not certain to be the same."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from json.encoder import encode_basestring_ascii

from incidents.letters.mail import OutgoingMail
from incidents.letters.mime import Heads, Said, Skeleton, built, stuffed


@dataclass(frozen=True)
class Built:
    """A whole mail, written by the library."""

    mail: OutgoingMail
    #: The Date head (RFC 5322, 3.6.1), already formatted.
    date: str
    #: Where bounces go (RFC 5321, 4.4): names the message, so that a bounce does (VERP); else the sender.
    return_path: str

    @property
    def to(self) -> str:
        """The address."""
        return self.mail.to

    @property
    def message_ref(self) -> str:
        """The message's name."""
        return self.mail.message_ref

    @property
    def heads(self) -> Heads:
        """What other letters of the same text have too."""
        mail = self.mail
        return Heads(mail.sender, mail.sender_name, mail.reply_to, mail.language, mail.subject)

    @property
    def content_sha256(self) -> str:
        """What is compared with the approved."""
        return self.mail.content_sha256

    def write(self) -> None:
        """ValueError when it cannot be written as bytes."""
        assert self.raw

    @cached_property
    def raw(self) -> bytes:
        """The message as bytes with CRLF line ends. ValueError when it cannot be written."""
        return built(mail=self.mail, date=self.date)

    @cached_property
    def stuffed(self) -> bytes:
        """The message as it travels by SMTP, with its end. ValueError when it cannot be written."""
        return stuffed(raw=self.raw)

    def json_parts(self) -> tuple[str, str]:
        """Text and HTML as JSON strings in ASCII."""
        return encode_basestring_ascii(self.mail.text), encode_basestring_ascii(self.mail.html)


class Filled:
    """A person's values in the places of a skeleton. What is asked for is written from the same values that were hashed."""

    def __init__(self, *, skeleton: Skeleton, said: Said, date: str, return_path: str) -> None:
        self._skeleton, self._said, self._date, self._stuffed = skeleton, said, date, b""
        self.to, self.message_ref, self.return_path, self.heads = said.to, said.message_ref, return_path, skeleton.heads

    @property
    def content_sha256(self) -> str:
        """What is compared with the approved."""
        return self._skeleton.content_sha256(said=self._said)

    def write(self) -> None:
        """Nothing: whose hash could be made, of that the bytes can."""

    @property
    def mail(self) -> OutgoingMail:
        """The whole mail."""
        return self._skeleton.mail(said=self._said)

    @property
    def raw(self) -> bytes:
        """The message as bytes with CRLF line ends."""
        return self._skeleton.raw(said=self._said, date=self._date)

    @property
    def stuffed(self) -> bytes:
        """The message as it travels by SMTP, with its end."""
        if not self._stuffed:
            self._stuffed = self._skeleton.stuffed(said=self._said, date=self._date)
        return self._stuffed

    def json_parts(self) -> tuple[str, str]:
        """Text and HTML as JSON strings in ASCII."""
        return self._skeleton.json_parts(said=self._said)
