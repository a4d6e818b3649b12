"""Where everybody used to import the providers from; the providers are in `incidents.dispatch.channels`."""

from __future__ import annotations

from incidents.dispatch.channels.address import MailAddress, read_mail_setting
from incidents.dispatch.channels.choose import provider_for, provider_named, providers
from incidents.dispatch.channels.contract import Provider, SendError, SendErrorKind
from incidents.dispatch.channels.inbox import InboxProvider, open_inbox_message, read_inbox_message, simulated_events
from incidents.dispatch.channels.smtp import SmtpProvider

__all__ = [
    "InboxProvider", "MailAddress", "Provider", "SendError", "SendErrorKind", "SmtpProvider", "open_inbox_message",
    "provider_for", "provider_named", "providers", "read_inbox_message", "read_mail_setting", "simulated_events",
]  # fmt: skip
