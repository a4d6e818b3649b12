"""Channels: where a mail is handed over, and what a failure means. `MAIL` chooses: `inbox:` or `smtp://...`.

A provider says one of four things when a hand-over fails: certainly not sent, refused for this person, refused for our account,
or doubtful. Whatever it cannot tell apart is doubtful.
"""

from __future__ import annotations

import email
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP, default
from enum import StrEnum
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from incidents.audit.log import database_now
from incidents.letters.mail import OutgoingMail
from incidents.models import InboxMessage, Incident
from incidents.vault import Vault


class SendErrorKind(StrEnum):
    """What a failed hand-over means for the message."""

    NOT_SENT = "not_sent"  # certain: nothing was taken; try again later
    REFUSED = "refused"  # this person's address is refused; another channel is needed
    ACCOUNT = "account"  # we are refused; pause the campaign, nothing was taken
    DOUBTFUL = "doubtful"  # perhaps taken


class SendError(Exception):
    """A hand-over that did not succeed; carries the decision. `detail` holds no personal data."""

    def __init__(self, *, kind: SendErrorKind, detail: str) -> None:
        super().__init__(detail)
        self.kind, self.detail = kind, detail[:200]


class Provider(Protocol):
    """What a channel must offer; docs/providers.md says how to add one."""

    name: str
    #: Whether events will tell of delivery; where none can come, an accepted mail stays "accepted, no answer".
    reports_delivery: bool

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Hand one mail over; returns the provider's id. Raises SendError."""
        ...

    def look_up(self, *, message_ref: str) -> bool | None:
        """Whether the provider has this message; None when it cannot tell."""
        ...

    def close(self) -> None:
        """Give back the connection."""
        ...


@dataclass(frozen=True)
class MailAddress:
    """`MAIL`, read."""

    kind: str
    host: str = ""
    port: int = 0
    user: str = ""
    password: str = ""
    tls: str = "none"
    delay_ms: int = 0


@lru_cache(maxsize=4)
def read_mail_setting(value: str) -> MailAddress:
    """Read `inbox:[?delay_ms=N]` or `smtp://[user:pass@]host:port[?tls=none|starttls|tls]`. Raises ImproperlyConfigured."""
    try:
        parts = urlsplit(value)
        port = parts.port or 25
    except ValueError as error:
        raise ImproperlyConfigured(f"MAIL: {error}.") from None
    asked = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if parts.scheme == "inbox":
        if not asked.get("delay_ms", "0").isdecimal():
            raise ImproperlyConfigured("MAIL: delay_ms is a whole number of milliseconds.")
        return MailAddress("inbox", delay_ms=int(asked.get("delay_ms", "0")))
    if parts.scheme == "smtp" and parts.hostname:
        tls = asked.get("tls", "none")
        if tls not in {"none", "starttls", "tls"}:
            raise ImproperlyConfigured(f"MAIL: tls={tls} is not known; use none, starttls or tls.")
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        return MailAddress("smtp", parts.hostname, port, user, password, tls)
    raise ImproperlyConfigured("MAIL must be inbox: or smtp://[user:pass@]host:port[?tls=none|starttls|tls].")


def provider_for(value: str | None = None) -> Provider:
    """The channel that `MAIL` names."""
    mail = read_mail_setting(value or settings.MAIL)
    return InboxProvider(delay_ms=mail.delay_ms) if mail.kind == "inbox" else SmtpProvider(mail)


class InboxProvider:
    """The local inbox: keeps every mail, sealed, and simulates bounces by address. Each hand-over commits by itself."""

    name = "inbox"
    reports_delivery = True

    def __init__(self, *, delay_ms: int = 0) -> None:
        self._delay = delay_ms / 1000

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Store the mail; `delay_ms` plays a slow provider."""
        if self._delay:
            time.sleep(self._delay)
        moment = database_now()
        raw = mail.build(date=moment).as_bytes(policy=SMTP)
        sealed = Vault(incident=incident).seal_blob(plain=raw, bound_to=f"inbox|{mail.message_ref}")
        stored = InboxMessage.objects.create(
            incident=incident, message_ref=mail.message_ref, is_test=test, sealed=sealed, received_at=moment,
            pending_event="" if test else self._answer(mail),
        )  # fmt: skip
        return f"inbox-{stored.pk}"

    def _answer(self, mail: OutgoingMail) -> str:
        domain = mail.to.rpartition("@")[2]
        if domain == "hard-bounce.test":
            return "bounced_hard"
        if domain == "soft-bounce.test":
            again = InboxMessage.objects.filter(message_ref=mail.message_ref, is_test=False).exists()
            return "delivered" if again else "bounced_soft"
        return "delivered"

    def look_up(self, *, message_ref: str) -> bool | None:
        """The inbox knows what it holds."""
        return InboxMessage.objects.filter(message_ref=message_ref, is_test=False).exists()

    def close(self) -> None:
        """Nothing is kept open."""


class SmtpProvider:
    """A relay by SMTP (RFC 5321) over one kept connection. No event can come back by plain SMTP."""

    name = "smtp"
    reports_delivery = False

    def __init__(self, address: MailAddress) -> None:
        self._address, self._server = address, None

    _server: smtplib.SMTP | None

    def _connect(self) -> smtplib.SMTP:
        if self._server is not None:
            return self._server
        at, seconds, server = self._address, settings.PROVIDER_TIMEOUT_SECONDS, None
        try:
            context = ssl.create_default_context()
            server = (
                smtplib.SMTP_SSL(at.host, at.port, timeout=seconds, context=context)
                if at.tls == "tls"
                else smtplib.SMTP(at.host, at.port, timeout=seconds)
            )
            if at.tls == "starttls":
                server.starttls(context=context)
            if at.user:
                server.login(at.user, at.password)
        except smtplib.SMTPAuthenticationError as error:
            _hang_up(server)
            raise SendError(kind=SendErrorKind.ACCOUNT, detail=f"the relay refused our sign-in ({error.smtp_code})") from None
        except (OSError, smtplib.SMTPException) as error:
            _hang_up(server)
            raise SendError(kind=SendErrorKind.NOT_SENT, detail=f"no connection to the relay: {type(error).__name__}") from None
        self._server = server
        return server

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """MAIL, RCPT, DATA; only after the final dot can there be doubt."""
        server = self._connect()
        raw = mail.build(date=database_now()).as_bytes(policy=SMTP)
        self._envelope(server, mail)
        return self._data(server, raw)

    def _envelope(self, server: smtplib.SMTP, mail: OutgoingMail) -> None:
        try:
            server.ehlo_or_helo_if_needed()
            code, _ = server.mail(mail.sender)
            if code >= 400:
                server.rset()
                kind = SendErrorKind.ACCOUNT if code >= 500 else SendErrorKind.NOT_SENT
                raise SendError(kind=kind, detail=f"the relay refused our sender ({code})")
            code, _ = server.rcpt(mail.to)
            if code >= 400:
                server.rset()
                kind = SendErrorKind.REFUSED if code >= 500 else SendErrorKind.NOT_SENT
                raise SendError(kind=kind, detail=f"the relay refused the recipient ({code})")
        except UnicodeEncodeError:
            # RFC 6531 would need every relay on the way to speak SMTPUTF8.
            server.rset()
            raise SendError(kind=SendErrorKind.REFUSED, detail="the address needs SMTPUTF8, which is not used") from None
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            self.close()
            raise SendError(kind=SendErrorKind.NOT_SENT, detail=f"lost before the letter: {type(error).__name__}") from None

    def _data(self, server: smtplib.SMTP, raw: bytes) -> str:
        try:
            code, answer = server.data(raw)
        except smtplib.SMTPDataError as error:
            # DATA itself was refused, so the transaction is still open: without an end the next sender would be refused.
            with suppress(OSError, smtplib.SMTPException):
                server.rset()
            kind = SendErrorKind.REFUSED if error.smtp_code >= 500 else SendErrorKind.NOT_SENT
            raise SendError(kind=kind, detail=f"the relay did not want the letter ({error.smtp_code})") from None
        except (OSError, smtplib.SMTPException) as error:
            self.close()
            raise SendError(kind=SendErrorKind.DOUBTFUL, detail=f"no answer to the letter: {type(error).__name__}") from None
        if code >= 500:
            raise SendError(kind=SendErrorKind.REFUSED, detail=f"the relay refused the letter ({code})")
        if code >= 400:
            raise SendError(kind=SendErrorKind.NOT_SENT, detail=f"the relay put the letter off ({code})")
        return answer.decode("ascii", "replace")[:120]

    def look_up(self, *, message_ref: str) -> bool | None:
        """A relay cannot be asked."""
        return None

    def close(self) -> None:
        """End the session, politely if possible."""
        _hang_up(self._server)
        self._server = None


def _hang_up(server: smtplib.SMTP | None) -> None:
    if server is not None:
        try:
            server.quit()
        except (OSError, smtplib.SMTPException):
            server.close()


def read_inbox_message(*, message: InboxMessage) -> EmailMessage:
    """A stored mail, opened. Raises vault.CannotOpen."""
    raw = Vault(incident=message.incident).open_blob(sealed=message.sealed, bound_to=f"inbox|{message.message_ref}")
    found = email.message_from_bytes(raw, policy=default)
    assert isinstance(found, EmailMessage)
    return found


def open_inbox_message(*, message: InboxMessage) -> dict[str, Any]:
    """A stored mail as the admin shows it: subject, to, from, headers, text, html."""
    mail = read_inbox_message(message=message)
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    return {
        "subject": str(mail["Subject"]), "to": str(mail["To"]), "from": str(mail["From"]),
        "headers": [(name, str(value)) for name, value in mail.items()],
        "text": text.get_content() if text else "", "html": html.get_content() if html else "",
    }  # fmt: skip


def simulated_events(*, limit: int = 2000) -> Iterator[dict[str, Any]]:
    """What the inbox's simulated provider has to tell; run inside the transaction that stores the events."""
    due = list(InboxMessage.objects.select_for_update(skip_locked=True).exclude(pending_event="").order_by("id")[:limit])
    for message in due:
        yield {
            "event_key": f"inbox-{message.pk}-{message.pending_event}", "message_ref": message.message_ref,
            "kind": message.pending_event, "happened_at": message.received_at, "detail": "",
        }  # fmt: skip
    InboxMessage.objects.filter(pk__in=[message.pk for message in due]).update(pending_event="")
