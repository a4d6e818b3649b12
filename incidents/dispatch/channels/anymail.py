"""Providers by django-anymail: one person a request. Anymail writes the request; what its answer means is decided here.

Anymail's exceptions are not asked for their meaning: they do not tell a connection that was never made from an answer that never
came. Every request goes over an `HttpLine`, and its outcome is read from there.
"""

from __future__ import annotations

import email
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import Message as MimeMessage
from types import MappingProxyType
from typing import Any

from anymail.exceptions import AnymailInvalidAddress
from anymail.utils import parse_address_list
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.utils.module_loading import import_string

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.batches import mailbox
from incidents.dispatch.channels.contract import Answer, Lanes, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer, HttpLine, provider_key, provider_url
from incidents.dispatch.channels.look_ups import LOOK_UPS
from incidents.dispatch.channels.meanings import meaning_of, read_json, reasons_in, taken_or_not
from incidents.dispatch.channels.over_lines import ses_backend, session_over
from incidents.dispatch.channels.single import send_single
from incidents.dispatch.channels.threads import ThreadLanes, answer_of
from incidents.letters.mail import OutgoingMail
from incidents.letters.mime import wire_address
from incidents.models import Incident

BACKEND = "anymail.backends.{}.EmailBackend"


@dataclass(frozen=True)
class Service:
    """What differs from provider to provider."""

    module: str
    url: str
    #: Anymail's name of a key -> the setting that holds it.
    keys: Mapping[str, str]
    #: Whether tracking is turned off in each request; where the provider has no such field, it must be off in the account.
    tracking_off: bool = True
    #: Whether the request may name its own Message-ID; where not, the provider makes one.
    message_id: bool = True


SERVICES: Mapping[str, Service] = MappingProxyType(
    {
        "postmark": Service("postmark", "https://api.postmarkapp.com/", {"server_token": "POSTMARK_SERVER_TOKEN"}),
        "resend": Service("resend", "https://api.resend.com/", {"api_key": "RESEND_API_KEY"}, tracking_off=False),
        "mailgun": Service("mailgun", "https://api.mailgun.net/v3/", {"api_key": "MAILGUN_API_KEY"}),
        "sendgrid": Service("sendgrid", "https://api.sendgrid.com/v3/", {"api_key": "SENDGRID_API_KEY"}),
        # Brevo: its custom heads are not for the standard ones that name a message; there is no field for tracking.
        "brevo": Service(
            "brevo", "https://api.brevo.com/v3/", {"api_key": "BREVO_API_KEY"}, tracking_off=False, message_id=False,
        ),
        # Mailjet refuses a request that names its own Message-ID.
        "mailjet": Service(
            "mailjet", "https://api.mailjet.com/v3.1/", {"api_key": "MAILJET_API_KEY", "secret_key": "MAILJET_SECRET_KEY"},
            message_id=False,
        ),
        # SES: tracking belongs to a configuration set; it replaces Message-ID whatever the request says.
        "ses": Service("amazon_ses", "", {}, tracking_off=False),
    }
)  # fmt: skip
#: (provider, region) -> where that region is reached.
REGIONS = {("mailgun", "eu"): "https://api.eu.mailgun.net/v3/", ("sendgrid", "eu"): "https://api.eu.sendgrid.com/v3/"}


class AnymailProvider:
    """One of `SERVICES`."""

    reports_delivery = True
    batch = 1

    def __init__(self, address: MailAddress) -> None:
        self.kind, self.name = address.kind, address.known_as
        self._service, self._options = SERVICES[address.kind], dict(address.options)
        self._settings = {name: provider_key(kind=self.kind, name=setting) for name, setting in self._service.keys.items()}
        self._base = ""
        if self.kind != "ses" or settings.PROVIDER_URLS.get("ses"):
            default = REGIONS.get((self.kind, self._options.get("region", "")), self._service.url)
            self._base = provider_url(kind=self.kind, default=default)
        self._own: AnymailSession | None = None

    def lanes(self, *, incident: Incident, number: int) -> Lanes:
        """A connection and a thread a lane."""
        return ThreadLanes(make=self.session, seconds=settings.PROVIDER_TIMEOUT_SECONDS + 1)

    def session(self) -> AnymailSession:
        """A connection of one's own; nothing is opened yet."""
        return AnymailSession(kind=self.kind, service=self._service, backend=self._backend)

    def _backend(self) -> tuple[Any, HttpLine]:
        make, seconds = import_string(BACKEND.format(self._service.module)), settings.PROVIDER_TIMEOUT_SECONDS
        if self.kind == "ses":
            return ses_backend(make, self._base, self._options, seconds)
        more = {"sender_domain": self._options["domain"]} if self.kind == "mailgun" else {}
        if self.kind == "postmark" and self._options.get("stream"):
            more["message_stream"] = self._options["stream"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SendGrid: "unsupported"; docs/providers.md says so to whoever chooses it
            backend = make(api_url=self._base, **self._settings, **more)
        line = HttpLine(base=self._base, seconds=seconds)
        backend.session = session_over(line)
        return backend, line

    def send(self, *, mail: OutgoingMail, incident: Incident, test: bool = False) -> str:
        """Hand over a single mail; returns the provider's id. Raises SendError."""
        self._own = self._own or self.session()
        return send_single(session=self._own, mail=mail)

    def look_up(self, *, message_ref: str) -> bool | None:
        """True when the provider names our reference; never False, since what is not found may only not be found yet."""
        ask = LOOK_UPS.get(self.kind)
        if ask is None:
            return None
        line = HttpLine(base=self._base, seconds=settings.PROVIDER_TIMEOUT_SECONDS)
        try:
            return ask(line, self._settings, self._options, message_ref) or None
        except SendError:
            return None
        finally:
            line.close()

    def close(self) -> None:
        """Give back the connection of single mails."""
        if self._own is not None:
            self._own.close()
        self._own = None


class AnymailSession:
    """One Anymail backend over one line."""

    def __init__(self, *, kind: str, service: Service, backend: Callable[[], tuple[Any, HttpLine]]) -> None:
        self._kind, self._service, self._make = kind, service, backend
        self._opened: tuple[Any, HttpLine] | None = None

    def hand_over(self, *, letters: Sequence[Prepared]) -> list[Answer]:
        """One after another."""
        if self._opened is None:
            try:
                self._opened = self._make()
            except Exception as error:  # of the libraries; its text may hold a key
                detail = f"{self._kind}: the client cannot be made: {type(error).__name__}"
                return [Answer(error=SendErrorKind.ACCOUNT, detail=detail)] * len(letters)
        return [self._one(letter, *self._opened) for letter in letters]

    def _one(self, letter: Prepared, backend: Any, line: HttpLine) -> Answer:
        line.last = None
        message: EmailMultiAlternatives | None = None
        problem: Exception | None = None
        try:
            message = anymail_message(kind=self._kind, service=self._service, letter=letter)
            backend.send_messages([message])
        except SendError as error:
            return answer_of(error)
        except Exception as error:
            problem = error  # its text holds the letter and the key; its meaning is read from the line
        if line.last is None:
            return _never_asked(self._kind, letter, problem)
        provider_id = "" if problem or message is None else _id_of(self._kind, message, line.last)
        answer = taken_or_not(kind=self._kind, answer=line.last, provider_id=provider_id, now=datetime.now(tz=UTC))
        return _inner_refusal(self._kind, line.last) or answer

    def close(self) -> None:
        """End the connection."""
        if self._opened is not None:
            with suppress(Exception):
                self._opened[0].close()
            self._opened[1].close()
        self._opened = None


def _never_asked(kind: str, letter: Prepared, problem: Exception | None) -> Answer:
    """The request was not even written: because of this person's address or letter, or because of us."""
    name = type(problem).__name__ if problem else "no request"
    if name in {"ValueError", "UnicodeEncodeError"} or (name == "AnymailInvalidAddress" and not _is_mailbox(letter.to)):
        return Answer(error=SendErrorKind.REFUSED, detail=f"{kind}: the address or letter cannot be written into a request")
    return Answer(error=SendErrorKind.ACCOUNT, detail=f"{kind}: the request cannot be made: {name}")


def _is_mailbox(address: str) -> bool:
    try:
        return len(parse_address_list([address])) == 1
    except AnymailInvalidAddress:
        return False


def _id_of(kind: str, message: EmailMultiAlternatives, answer: HttpAnswer) -> str:
    if kind == "sendgrid":
        return str(answer.heads.get("x-message-id", ""))  # Anymail would give an id of its own making
    found = message.anymail_status.message_id  # type: ignore[attr-defined]
    return found if isinstance(found, str) else ""


def _inner_refusal(kind: str, answer: HttpAnswer) -> Answer | None:
    """Some say 200 and put the refusal inside."""
    if not 200 <= answer.status < 300 or kind not in {"mailjet", "postmark"}:
        return None
    data = read_json(answer.body)
    reasons = [reason for reason in reasons_in(kind=kind, data=data, heads=answer.heads) if reason[0] not in {"", "0"}]
    return meaning_of(kind=kind, reasons=reasons, status=answer.status) if reasons else None


def anymail_message(*, kind: str, service: Service, letter: Prepared) -> EmailMultiAlternatives:
    """The approved mail as Anymail wants it: same address, heads, subject and parts, and our reference for the events."""
    mail, make = letter.mail, _ReadyMime if kind == "ses" else EmailMultiAlternatives
    heads = {"Auto-Submitted": "auto-generated", "Content-Language": mail.language}
    if service.message_id:
        heads["Message-ID"] = mail.message_id
    if kind == "postmark":
        heads["X-PM-KeepID"] = "true"  # else Postmark replaces Message-ID
    message = make(
        subject=mail.subject, body=mail.text, from_email=mailbox(name=mail.sender_name, address=mail.sender),
        to=[wire_address(address=mail.to)],
        reply_to=[mail.reply_to] if mail.reply_to else None, headers=heads,
    )  # fmt: skip
    message.attach_alternative(mail.html, "text/html")
    more: Any = message  # Anymail reads attributes that Django does not declare
    more.metadata, more.esp_extra = {"message_ref": mail.message_ref}, _extra(kind, mail.message_ref)
    if service.tracking_off:
        more.track_opens = more.track_clicks = False
    if isinstance(message, _ReadyMime):
        message.raw = letter.raw
    return message


def _extra(kind: str, message_ref: str) -> dict[str, Any]:
    if kind == "mailjet":
        return {"Globals": {"CustomID": message_ref}}
    if kind == "mailgun":
        return {"o:tracking": "no"}
    if kind == "sendgrid":
        off = {"enable": False}
        return {"tracking_settings": {"subscription_tracking": off, "ganalytics": off}}
    if kind == "resend":
        return {"tags": [{"name": "message_ref", "value": message_ref}]}
    return {"EmailTags": [{"Name": "message_ref", "Value": message_ref}]} if kind == "ses" else {}


class _ReadyMime(EmailMultiAlternatives):
    """SES takes the MIME message itself: the very bytes that a relay would get, and Anymail's head with our reference."""

    raw = b""

    def message(self, *args: Any, **kwargs: Any) -> MimeMessage:  # type: ignore[override]
        """Called by Anymail."""
        return email.message_from_bytes(self.raw)
