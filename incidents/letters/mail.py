"""The letter as an e-mail: fixed heads, both parts, one hash over everything the reader can see and where it goes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from incidents.audit.bundle_format import canonical_json
from incidents.letters.heads import EXACT
from incidents.letters.language import FilledLetter


def message_id(*, message_ref: str, sender: str) -> str:
    """Fixed before the first attempt, so that a second copy can be recognised (RFC 5322, 3.6.4)."""
    return f"<{message_ref}@{sender.rpartition('@')[2]}>"


@dataclass(frozen=True)
class OutgoingMail:
    """One mail for one person, complete but for the date of sending."""

    message_ref: str
    to: str
    sender: str
    sender_name: str
    reply_to: str
    language: str
    subject: str
    text: str
    html: str

    @property
    def message_id(self) -> str:
        """The Message-ID head."""
        return message_id(message_ref=self.message_ref, sender=self.sender)

    @property
    def content_sha256(self) -> str:
        """Hash of all that was approved: heads, address, subject, both parts."""
        whole = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return hashlib.sha256(canonical_json(whole)).hexdigest()

    def build(self, *, date: datetime) -> EmailMessage:
        """The MIME message as handed to the provider."""
        message = EmailMessage(policy=EXACT)
        message["From"] = Address(self.sender_name, addr_spec=self.sender)
        message["To"] = self.to
        if self.reply_to:
            message["Reply-To"] = self.reply_to
        message["Subject"] = self.subject
        message["Date"] = format_datetime(date)
        message["Message-ID"] = self.message_id
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers, please
        message.set_content(self.text, charset="utf-8", cte="quoted-printable")
        message.add_alternative(self.html, subtype="html", charset="utf-8", cte="quoted-printable")
        # After the parts: making a message multipart moves every Content-* head into its first part.
        message["Content-Language"] = self.language
        return message


def mail_for(*, letter: FilledLetter, language: str, to: str, message_ref: str, headers: Mapping[str, str]) -> OutgoingMail:
    """The mail of one filled letter under a campaign's fixed heads."""
    return OutgoingMail(
        message_ref=message_ref, to=to, sender=headers["sender"], sender_name=headers["sender_name"],
        reply_to=headers["reply_to"], language=language, subject=letter.subject, text=letter.text, html=letter.html,
    )  # fmt: skip
