"""Asking the provider, without sending anything: does it know us, may we send under our address, how does the way there look?"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import urlsplit

from django.conf import settings

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.http import is_this_machine
from incidents.dispatch.gate.api import LOOK_THERE, QUESTIONS, SECONDS, ask_api
from incidents.dispatch.gate.findings import BLOCK, OK, WARN, Finding
from incidents.dispatch.gate.ses import ask_ses

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def stays_here(address: MailAddress) -> bool:
    """Whether nothing leaves this machine: the local inbox, or a sink beside us, as in drills."""
    return address.kind == "inbox" or (address.kind == "smtp" and address.host in LOOPBACK)


def is_stand_in(address: MailAddress) -> bool:
    """Whether what is reached in the place of a provider's API is on this machine: a sink of one's own, for drills."""
    url = settings.PROVIDER_URLS.get(address.kind, "")
    return is_this_machine(urlsplit(url).hostname or "")


def look_at_stand_in(*, address: MailAddress) -> Iterator[Finding]:
    """It knows no account, no sender and no webhook, and need not: a drill's letters stay on this machine."""
    for name in ("credentials", "sender", "spf", "dkim", "dmarc", "alignment", "webhook"):
        yield Finding(name, OK, f"Not applicable: a drill to what stands in for {address.kind} on this machine.")


def look_at_provider(
    *, address: MailAddress, sender: str, bounces_to: str = "", recipient: str = ""
) -> Iterator[Finding]:  # fmt: skip
    """Credentials, sender and transport of one provider.

    A relay is asked what it will be asked: `bounces_to`, the return path of a letter, and whether it takes one for `recipient`,
    one of the staff of the first wave; empty: there is none to try with.
    """
    if address.kind == "smtp":
        yield from _smtp(address, bounces_to or sender, recipient)
        return
    ask = ASKERS.get(address.kind)
    if ask is None:
        text = f"{address.kind} cannot be asked about our account before a letter is sent."
        yield Finding("credentials", WARN, text, LOOK_THERE)
        return
    yield from ask(address, sender)


def _inbox(address: MailAddress, sender: str) -> Iterator[Finding]:
    yield Finding("credentials", OK, "The local inbox needs no sign-in; no letter leaves this machine.")
    yield Finding("sender", OK, "The local inbox takes every sender.")


def _smtp(address: MailAddress, bounces_to: str, recipient: str) -> Iterator[Finding]:
    yield _transport(address)
    try:
        server = _connected(address)
    except smtplib.SMTPAuthenticationError as error:
        text = f"The relay refuses our sign-in ({error.smtp_code})."
        yield Finding("credentials", BLOCK, text, "Correct user and password in MAIL.")
        return
    except (OSError, smtplib.SMTPException) as error:
        text = f"The relay {address.host}:{address.port} cannot be reached as MAIL says ({type(error).__name__})."
        yield Finding("credentials", BLOCK, text, "Look at the relay, at MAIL (host, port, tls) and at the firewall between.")
        return
    how = "takes our sign-in" if address.user else "answers; it asks for no sign-in"
    yield Finding("credentials", OK, f"The relay {how}.")
    try:
        yield from _asked_at(server, bounces_to, recipient)
    finally:
        _leave(server)


def _transport(address: MailAddress) -> Finding:
    if address.tls != "none" or address.host in LOOPBACK:
        return Finding("transport", OK, "Letters go encrypted to the relay." if address.tls != "none" else "The relay is here.")
    text = "Letters would go unencrypted to the relay; they hold personal data (Art 32 GDPR)."
    return Finding("transport", BLOCK, text, "Add tls=starttls or tls=tls to MAIL.", acceptable=True)


def _connected(address: MailAddress) -> smtplib.SMTP:
    """Signed in. Raises OSError, SMTPException."""
    context = ssl.create_default_context()
    if address.tls == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(address.host, address.port, timeout=SECONDS, context=context)
    else:
        server = smtplib.SMTP(address.host, address.port, timeout=SECONDS)
    try:
        if address.tls == "starttls":
            server.starttls(context=context)
        if address.user:
            server.login(address.user, address.password)
        server.ehlo_or_helo_if_needed()
    except (OSError, smtplib.SMTPException):
        server.close()
        raise
    return server


def _asked_at(server: smtplib.SMTP, bounces_to: str, recipient: str) -> Iterator[Finding]:
    """Whether the relay lets us begin a mail as letters will begin. Without DATA nothing is sent."""
    try:
        code, _ = server.mail(bounces_to)
    except (OSError, smtplib.SMTPException, UnicodeEncodeError) as error:
        text = f"The relay did not answer to our sender ({type(error).__name__})."
        yield Finding("sender", BLOCK, text, "Look at the relay's log; then make the preflight again.")
        return
    if code >= 400:
        text = f"The relay refuses our sender ({code})."
        remedy = "Allow the controller's sender address (or BOUNCE_ADDRESS, where it is set) at the relay, or correct it."
        yield Finding("sender", BLOCK, text, remedy)
        return
    yield Finding("sender", OK, "The relay takes our sender.")
    if recipient:
        yield _recipient_at(server, recipient)


def _recipient_at(server: smtplib.SMTP, recipient: str) -> Finding:
    """Whether it takes a letter for somebody elsewhere. Neither the address nor the relay's words are repeated: they hold it."""
    try:
        code, _ = server.rcpt(recipient)
    except (OSError, smtplib.SMTPException, UnicodeEncodeError) as error:
        text = f"The relay did not answer to a recipient of the first wave ({type(error).__name__})."
        return Finding("recipient", BLOCK, text, "Look at the relay's log; then make the preflight again.", acceptable=True)
    if code >= 500:
        text = f"The relay refuses a recipient of the first wave ({code})."
        remedy = "Let it relay for this machine or our sign-in, or correct the staff recipient: the first wave would fail."
        return Finding("recipient", BLOCK, text, remedy, acceptable=True)
    if code >= 400:
        text = f"The relay puts off a recipient of the first wave ({code}); letters that it puts off are tried again."
        return Finding("recipient", WARN, text, "Look at the relay's log.")
    return Finding("recipient", OK, "The relay takes a letter for a recipient of the first wave; none was sent.")


def _leave(server: smtplib.SMTP) -> None:
    """Take back what was begun, and go. A relay that is silent now, or hangs up, has said all that we wanted to know."""
    try:
        server.rset()
        server.quit()
    except (OSError, smtplib.SMTPException):
        server.close()


Ask = Callable[[MailAddress, str], Iterator[Finding]]
ASKERS: Mapping[str, Ask] = {"inbox": _inbox, "ses": ask_ses, **dict.fromkeys(QUESTIONS, ask_api)}
