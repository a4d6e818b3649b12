"""One claimed chunk: open the person, fill the letter, compare with what was approved, hand it over, move the marker."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from django.conf import settings

from incidents.audit.log import database_now
from incidents.dispatch.outbox import Claim, Fenced, Outcome, Owner, finish, mark
from incidents.dispatch.providers import Provider, SendError, SendErrorKind
from incidents.letters.in_their_place import address_of, read_in_their_place
from incidents.letters.language import fill
from incidents.letters.mail import OutgoingMail, mail_for
from incidents.letters.render import compiled, personal_values
from incidents.models import Incident, Message
from incidents.vault import CannotOpen, PersonFields, Vault

KIND_OF_ERROR = {
    SendErrorKind.NOT_SENT: "failed",
    SendErrorKind.REFUSED: "refused",
    SendErrorKind.ACCOUNT: "failed",
    SendErrorKind.DOUBTFUL: "doubt",
}


@dataclass(frozen=True)
class ChunkReport:
    """How a chunk ended: how many were answered, and why the rest was not begun (empty: all were)."""

    answered: int
    stopped: str = ""
    account_refused: str = ""


def make_mail(*, message: Message, vault: Vault) -> OutgoingMail:
    """The mail of a planned message, exactly as it was hashed at the freeze. Raises CannotOpen."""
    entry = message.entry
    if entry.letter is None:
        raise CannotOpen("no letter was frozen for this person")
    return person_mail(
        fields=vault.open(person=entry.person), letter_sha256=entry.letter.sha256, body=entry.letter.compiled,
        message_ref=message.message_ref, headers=message.campaign.headers,
    )  # fmt: skip


def person_mail(
    *, fields: PersonFields, letter_sha256: str, body: str, message_ref: str, headers: dict[str, str]
) -> OutgoingMail:
    """Fill a compiled letter for one person, or for whoever stands in for them. Raises CannotOpen."""
    to = address_of(fields=fields)
    if not to:
        raise CannotOpen("no address to send to")
    letter = compiled(letter_sha256, body)
    values = personal_values(full_name=fields.full_name, language=letter.language, message_ref=message_ref)
    filled = read_in_their_place(letter=fill(letter=letter, values=values), fields=fields, language=letter.language)
    return mail_for(letter=filled, language=letter.language, to=to, message_ref=message_ref, headers=headers)


def send_chunk(*, claimed: Claim, owner: Owner, provider: Provider) -> ChunkReport:
    """Send a chunk in its order. Raises Fenced when another worker took it over; then nothing more is written."""
    found = Message.objects.filter(pk__in=claimed.message_ids).select_related("entry__person", "entry__letter", "campaign")
    messages = {message.pk: message for message in found}
    vault, outcomes, stopped, account = Vault(incident=claimed.campaign.incident), [], "", ""
    renewed = time.monotonic()
    for message_id in claimed.message_ids:
        if time.monotonic() - renewed > longest_pause():
            stopped = "the worker stood still too long to be sure that it still holds the chunk"
            break
        outcome = _send_one(messages[message_id], claimed.campaign.incident, vault, provider)
        outcomes.append(outcome)
        still = mark(owner=owner, claimed=claimed, confirmed=len(outcomes), outcome=outcome)
        renewed = time.monotonic()
        if outcome.kind == "failed" and outcome.detail.startswith("account:"):
            account = outcome.detail
        if account or not still:
            stopped = account or "the campaign no longer dispatches"
            break
    rest = len(claimed.message_ids) - len(outcomes)
    outcomes += [Outcome("unsent", detail=stopped)] * rest
    finish(claimed=claimed, outcomes=outcomes, provider=provider.name)
    return ChunkReport(len(outcomes) - rest, stopped, account)


def longest_pause() -> float:
    """Seconds since the last marker after which a call to the provider could outlive the lease; then none is begun."""
    return max(settings.LEASE_SECONDS - settings.PROVIDER_TIMEOUT_SECONDS, settings.LEASE_SECONDS / 3)


def _approved_sha256(message: Message) -> str:
    """The content's hash as the register's line has it: that line is in the signed root and can never be changed."""
    approved = json.loads(message.entry.line)["content_sha256"]
    return str(approved)


def _send_one(message: Message, incident: Incident, vault: Vault, provider: Provider) -> Outcome:
    try:
        mail = make_mail(message=message, vault=vault)
    except CannotOpen as error:
        return Outcome("quarantined", detail=str(error))
    except (ValueError, TypeError, KeyError, AttributeError):
        # Whatever stands there now, it is not the form in which letters are stored.
        return Outcome("quarantined", detail="the letter cannot be read as it is stored")
    if mail.content_sha256 != _approved_sha256(message):
        return Outcome("quarantined", detail="the letter is not the one that was approved")
    started = time.monotonic()
    try:
        provider_id = provider.send(mail=mail, incident=incident)
    except SendError as error:
        detail = f"account: {error.detail}" if error.kind == SendErrorKind.ACCOUNT else error.detail
        return Outcome(KIND_OF_ERROR[error.kind], detail=detail, content_sha256=mail.content_sha256)
    except ValueError as error:
        # Raised while the mail is put into bytes, before anything was handed over (an address that SMTP cannot carry).
        return Outcome("quarantined", detail=f"the mail cannot be written as bytes: {type(error).__name__}")
    if time.monotonic() - started > settings.LEASE_SECONDS:
        raise Fenced  # slower than the lease: another worker may hold the chunk by now; the marker would say so too
    return Outcome("accepted", provider_id, content_sha256=mail.content_sha256, answered_at=database_now())


def campaign_headers(*, campaign_facts: dict[str, dict[str, str]]) -> dict[str, str]:
    """The fixed heads of a campaign's mails, from the facts."""
    controller = campaign_facts["controller"]
    return {
        "sender": controller["sender_email"],
        "sender_name": controller["sender_name"],
        "reply_to": controller["reply_to"] or controller["sender_email"],
    }
