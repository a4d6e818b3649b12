"""Which way out: `MAIL` names the provider, `MAIL_FALLBACK` the one that takes over what the first one certainly did not send."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from incidents.dispatch.channels.address import MailAddress, read_mail_setting
from incidents.dispatch.channels.contract import Provider
from incidents.dispatch.channels.inbox import InboxProvider
from incidents.dispatch.channels.postmark import PostmarkProvider
from incidents.dispatch.channels.resend import ResendProvider
from incidents.dispatch.channels.smtp import SmtpProvider

__all__ = ["MailAddress", "UnknownProvider", "provider_for", "provider_named", "providers", "read_mail_setting"]


class UnknownProvider(LookupError):
    """No setting names this provider any more: who asks it about a letter gets no answer."""


def _inbox(at: MailAddress) -> Provider:
    return InboxProvider(delay_ms=at.delay_ms)


def _anymail(at: MailAddress) -> Provider:
    # Loaded when it is chosen: its HTTP library takes long to import, and every command comes by here.
    made: Provider = import_string("incidents.dispatch.channels.anymail.AnymailProvider")(at)
    return made


def _postmark(at: MailAddress) -> Provider:
    return _anymail(at) if at.batch == 1 else PostmarkProvider(at)


def _resend(at: MailAddress) -> Provider:
    return _anymail(at) if at.batch == 1 else ResendProvider(at)


#: Kind of address -> how its provider is made. Making one opens nothing and asks nobody.
MAKERS: Mapping[str, Callable[[MailAddress], Provider]] = MappingProxyType(
    {
        "inbox": _inbox, "smtp": SmtpProvider, "postmark": _postmark, "resend": _resend,
        **dict.fromkeys(("ses", "mailgun", "sendgrid", "brevo", "mailjet"), _anymail),
    }
)  # fmt: skip


def provider_for(value: str | None = None) -> Provider:
    """The provider that a setting's text names; without one, that of `MAIL`. Raises ImproperlyConfigured."""
    return _made(read_mail_setting(value or settings.MAIL))


def providers() -> list[str]:
    """The names of what is set, in the order of failover. Raises ImproperlyConfigured."""
    return [at.known_as for at in _addresses()]


def provider_named(name: str) -> Provider:
    """The one of `MAIL` and `MAIL_FALLBACK` with this name. Raises UnknownProvider when neither has it (any more)."""
    for at in _addresses():
        if at.known_as == name:
            return _made(at)
    raise UnknownProvider(f"neither MAIL nor MAIL_FALLBACK names a provider called {name!r}")


def _addresses() -> list[MailAddress]:
    found = [read_mail_setting(settings.MAIL)]
    if settings.MAIL_FALLBACK:
        found.append(read_mail_setting(settings.MAIL_FALLBACK, "MAIL_FALLBACK"))
        if found[0].known_as == found[1].known_as:
            raise ImproperlyConfigured(
                f"MAIL and MAIL_FALLBACK are both called {found[0].known_as}; give one another name: ?name=second."
            )
    return found


def _made(at: MailAddress) -> Provider:
    provider = MAKERS[at.kind](at)
    provider.name = at.known_as
    return provider
