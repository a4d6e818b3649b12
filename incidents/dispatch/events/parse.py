"""From a provider's document to events in our words. Shapes after each provider's own reference (kinds.py names it).

A field that is missing or of a strange type is nobody's reason to stop: what can be understood is kept, and unknown names become
`other`. Our own name of the message comes back in metadata, tags or custom arguments, or in a Message-ID that is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incidents.dispatch.events import kinds
from incidents.dispatch.events.bodies import (
    harmless,
    inner_json,
    items,
    key_of,
    key_of_content,
    moment,
    name_of,
    part,
    recipient_hash,
    ref_in,
    text_of,
)
from incidents.dispatch.events.refusing import malformed

Event = dict[str, Any]
#: More in one request are refused: the largest provider sends a thousand.
MOST_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class Source:
    """What comes beside the document: heads, and the clock."""

    heads: Mapping[str, str]
    now: datetime


def parse(*, provider: str, document: Any, source: Source) -> list[Event]:
    """The events of a document, without those that are ignored. Raises EventsRefused when it is none of the provider's."""
    found = PARSERS[provider](document, source)
    if len(found) > MOST_EVENTS:
        raise malformed("more events in one request than any provider sends")
    return found


def _event(
    source: Source, *, key: str, kind: str, at: object, ref: str, recipient: object, provider_id: object,
    texts: tuple[object, ...], scale: float = 1.0, against: str = "",
) -> Event:  # fmt: skip
    """`against`: what the provider itself has against us, if it is that (`kinds.HAS_AGAINST_US`)."""
    happened_at, wrong_clock = moment(at, now=source.now, scale=scale)
    refused = ""
    if kind in (kinds.HARD, kinds.SOFT) and (refused := against or kinds.refused_by_a_server(*map(text_of, texts))):
        kind = kinds.SOFT  # whatever the provider made of it, the server spoke of us
    return {
        "event_key": key, "message_ref": ref, "kind": kind,
        "detail": harmless(kinds.mark_of_refusal(refused), wrong_clock, *texts),
        "happened_at": happened_at, "recipient_hash": recipient_hash(recipient),
        "provider_id": name_of(provider_id) if text_of(provider_id).strip() else "",
    }  # fmt: skip


def _objects(document: Any) -> list[dict[str, Any]]:
    """The events of a document that is one object, or a list of them."""
    found = [document] if isinstance(document, dict) else document
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise malformed("no event, and no list of events")
    return found


# -- SES ---------------------------------------------------------------------------------------------------------------


def _ses(document: Any, source: Source) -> list[Event]:
    event, message_id = inner_json(document.get("Message")), text_of(document.get("MessageId"))
    name = text_of(event.get("eventType") or event.get("notificationType"))
    if not name:
        return []  # "Successfully validated SNS topic": a text and no event
    said = part(event, {"Rendering Failure": "failure", "DeliveryDelay": "deliveryDelay"}.get(name, name.lower()))
    mail, kind = part(event, "mail"), _ses_kind(name, said)
    if kind == kinds.IGNORED:
        return []
    heads = {text_of(one.get("name")).lower(): text_of(one.get("value")) for one in items(mail.get("headers"))}
    tag = part(mail, "tags").get("message_ref")
    ref = ref_in(
        inner_json(heads.get("x-metadata", "")), heads.get("x-message-ref", ""), tag[0] if isinstance(tag, list) and tag else "",
        heads.get("message-id", ""),
    )  # fmt: skip
    lists = ("bouncedRecipients", "complainedRecipients", "delayedRecipients")
    people = [one for field in lists for one in items(said.get(field))]
    named = said.get("recipients") or mail.get("destination")
    people = people or [{"emailAddress": one} for one in (named if isinstance(named, list) else []) if isinstance(one, str)]
    return [
        _event(
            source, key=key_of(message_id, place) if place else key_of(message_id), kind=kind, ref=ref,
            at=said.get("timestamp") or document.get("Timestamp"), recipient=one.get("emailAddress"),
            provider_id=mail.get("messageId"), against="letter" if name in ("Reject", "Rendering Failure") else "",
            texts=(
                said.get("bounceSubType") or said.get("complaintFeedbackType") or said.get("delayType"), one.get("status"),
                one.get("diagnosticCode") or said.get("smtpResponse") or said.get("reason") or said.get("errorMessage"),
            ),
        )
        for place, one in enumerate(people or [{}])
    ]  # fmt: skip


def _ses_kind(name: str, said: Mapping[str, Any]) -> str:
    kind = kinds.SES.get(name, kinds.OTHER)
    subtype = text_of(said.get("bounceSubType") or said.get("complaintSubType"))
    if subtype in kinds.SES_SUPPRESSED:
        return kinds.SUPPRESSED
    if name != "Bounce" or said.get("bounceType") == "Permanent":
        return kinds.HARD if name == "Bounce" else kind
    failed = any(text_of(one.get("action")).lower() == "failed" for one in items(said.get("bouncedRecipients")))
    # "If you send an email to a recipient who has an active automatic response rule, you might receive this type": no bounce.
    return kinds.NOTICE if subtype == "General" and not failed else kind


# -- Postmark ----------------------------------------------------------------------------------------------------------


def _postmark(document: Any, source: Source) -> list[Event]:
    found = []
    for one in _objects(document):
        words = f"{text_of(one.get('Details'))} {text_of(one.get('Description'))}"
        kind = kinds.POSTMARK.get(text_of(one.get("RecordType")), kinds.OTHER)
        if kind == kinds.IGNORED:
            continue
        if kind != kinds.DELIVERED:
            reason = one.get("SuppressionReason") if kind == kinds.UNSUBSCRIBED else one.get("Type")
            unknown = kinds.OTHER if kind == kinds.SOFT and reason else kind  # of what nobody knows no second letter comes
            kind = kinds.POSTMARK_TYPES.get(text_of(reason), unknown)
            kind = kinds.SUPPRESSED if reason == "SMTPApiError" and kinds.POSTMARK_INACTIVE.search(words) else kind
        of_its_entry = kinds.refused_by_the_provider(words) if text_of(one.get("Type")) == "SMTPApiError" else ""
        bounce = text_of(one.get("ID"))
        at = one.get("DeliveredAt") or one.get("BouncedAt") or one.get("ChangedAt") or one.get("ReceivedAt")
        found.append(
            _event(
                source, key=key_of("bounce", bounce, one.get("Type")) if bounce else key_of_content(one), kind=kind, at=at,
                ref=ref_in(part(one, "Metadata")), recipient=one.get("Email") or one.get("Recipient"),
                provider_id=one.get("MessageID"), texts=(one.get("Type"), one.get("Details") or one.get("Description")),
                against=of_its_entry or kinds.POSTMARK_AGAINST_US.get(text_of(one.get("Type")), ""),
            )
        )  # fmt: skip
    return found


# -- Mailgun -----------------------------------------------------------------------------------------------------------


def _mailgun(document: Any, source: Source) -> list[Event]:
    said = part(document, "event-data")
    if not said:
        raise malformed("no event-data")
    status, heads = part(said, "delivery-status"), part(said, "message", "headers")
    message_id = text_of(heads.get("message-id")).strip().strip("<>")
    ignored = (kind := _mailgun_kind(said, status)) == kinds.IGNORED
    # The token is under the signature and the body is not: it is used up whatever it came with.
    event = _event(
        source, key=key_of(part(document, "signature").get("token")), kind=kind, at=said.get("timestamp"),
        ref="" if ignored else ref_in(part(said, "user-variables"), message_id), recipient=said.get("recipient"),
        provider_id=f"<{message_id}>" if message_id else "", against=_mailgun_against(said, status),
        texts=(status.get("code"), status.get("message") or status.get("description") or part(said, "reject").get("reason")),
    )  # fmt: skip
    return [event | {"detail": "", "recipient_hash": "", "provider_id": ""}] if ignored else [event]


def _mailgun_kind(said: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    kind = kinds.MAILGUN.get(text_of(said.get("event")), kinds.OTHER)
    if said.get("event") != "failed":
        return kind
    if said.get("severity") == "temporary":
        return kinds.DEFERRED
    reason, code = text_of(said.get("reason")), text_of(status.get("code"))
    if reason.startswith("suppress") or code in kinds.MAILGUN_SUPPRESSED:
        return kinds.SUPPRESSED
    return kind if code.startswith("5") and reason not in kinds.MAILGUN_OURS else kinds.SOFT


def _mailgun_against(said: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    if said.get("event") == "rejected":
        return kinds.refused_by_the_provider(text_of(part(said, "reject").get("reason"))) or "account"
    if text_of(said.get("reason")) in kinds.MAILGUN_BLOCKED:
        return "blocked"
    words = f"{text_of(status.get('message'))} {text_of(status.get('description'))}"
    return kinds.refused_by_the_provider(words) if text_of(status.get("code")).startswith("6") else ""


# -- SendGrid ----------------------------------------------------------------------------------------------------------


def _sendgrid(document: Any, source: Source) -> list[Event]:
    found = []
    for one in _objects(document):
        kind = kinds.SENDGRID.get(text_of(one.get("event")), kinds.OTHER)
        if kind == kinds.IGNORED:
            continue
        if one.get("event") == "bounce" and one.get("type") == "blocked":
            kind = kinds.SOFT
        if one.get("event") == "dropped" and text_of(one.get("reason")).strip().lower() not in kinds.SENDGRID_DROPS:
            kind = kinds.SOFT
        dropped = one.get("event") == "dropped" and kind == kinds.SOFT
        name = text_of(one.get("sg_event_id"))
        found.append(
            _event(
                source, key=key_of(name) if name else key_of_content(one), kind=kind, at=one.get("timestamp"),
                ref=ref_in(one, one.get("smtp-id")), recipient=one.get("email"),
                provider_id=one.get("anymail_id") or text_of(one.get("sg_message_id")).partition(".")[0],
                texts=(one.get("status"), one.get("response") or one.get("reason") or one.get("type")),
                against=kinds.refused_by_the_provider(text_of(one.get("reason"))) if dropped else "",
            )
        )  # fmt: skip
    return found


# -- Brevo -------------------------------------------------------------------------------------------------------------


def _brevo(document: Any, source: Source) -> list[Event]:
    found = []
    for one in _objects(document):
        kind = kinds.BREVO.get(text_of(one.get("event")).lower(), kinds.OTHER)
        if kind == kinds.IGNORED:
            continue
        if one.get("reason") and kind == kinds.SUPPRESSED and not kinds.BREVO_PERSONS.search(text_of(one.get("reason"))):
            kind = kinds.SOFT
        own = kind == kinds.SOFT and text_of(one.get("event")).lower() in ("blocked", "error")
        exact = one.get("ts_epoch")
        found.append(
            _event(
                source, key=key_of_content(one), kind=kind, at=exact or one.get("ts_event") or one.get("ts"),
                ref=ref_in(inner_json(one.get("X-Mailin-custom")), one.get("X-Mailin-custom"), one.get("message-id")),
                recipient=one.get("email"), provider_id=one.get("message-id"), texts=(one.get("reason"),),
                scale=1000.0 if exact else 1.0, against=kinds.refused_by_the_provider(text_of(one.get("reason"))) if own else "",
            )
        )  # fmt: skip
    return found


# -- Resend ------------------------------------------------------------------------------------------------------------


def _resend(document: Any, source: Source) -> list[Event]:
    data, name = part(document, "data"), text_of(document.get("type")) if isinstance(document, dict) else ""
    kind, bounce = kinds.RESEND.get(name, kinds.OTHER), part(data, "bounce")
    if kind == kinds.IGNORED or not name.startswith("email."):
        return []
    if bounce and name == "email.bounced":
        subtype = text_of(bounce.get("subType"))
        kind = kinds.SUPPRESSED if subtype in kinds.SES_SUPPRESSED else kind
        kind = kinds.SOFT if text_of(bounce.get("type")) in ("Transient", "Undetermined", "Temporary") else kind
    failed = text_of(part(data, "failed").get("reason"))
    if name == "email.failed" and any(word in failed.lower() for word in kinds.RESEND_PERSONS):
        kind = kinds.SUPPRESSED
    heads = {text_of(one.get("name")).lower(): one.get("value") for one in items(data.get("headers"))}
    tags, to = data.get("tags"), data.get("to")
    named = {text_of(one.get("name")): one.get("value") for one in items(tags)} if isinstance(tags, list) else part(data, "tags")
    return [
        _event(
            source, key=key_of(source.heads.get("svix-id", "")), kind=kind, at=document.get("created_at"),
            ref=ref_in(named, inner_json(heads.get("x-metadata")), heads.get("message-id"), data.get("message_id")),
            recipient=to[0] if isinstance(to, list) and len(to) == 1 else to, provider_id=data.get("email_id"),
            texts=(bounce.get("subType"), bounce.get("message") or failed),
            against=kinds.refused_by_the_provider(failed.replace("_", " ")) if kind == kinds.SOFT else "",
        )
    ]  # fmt: skip


# -- Mailjet -----------------------------------------------------------------------------------------------------------


def _mailjet(document: Any, source: Source) -> list[Event]:
    found = []
    for one in _objects(document):
        kind, error = _mailjet_kind(one), text_of(one.get("error")).strip().lower()
        if kind == kinds.IGNORED:
            continue
        found.append(
            _event(
                source, key=key_of_content(one), kind=kind, at=one.get("time"),
                ref=ref_in(inner_json(one.get("Payload")), one.get("CustomID"), one.get("Payload")), recipient=one.get("email"),
                provider_id=one.get("MessageID"),
                texts=(one.get("error_related_to"), one.get("error"), one.get("smtp_reply") or one.get("comment")),
                against=kinds.refused_by_the_provider(error) if error in kinds.MAILJET_OURS else "",
            )
        )  # fmt: skip
    return found


def _mailjet_kind(said: Mapping[str, Any]) -> str:
    kind, error = kinds.MAILJET.get(text_of(said.get("event")), kinds.OTHER), text_of(said.get("error")).strip().lower()
    if said.get("event") == "bounce":
        kind = kinds.HARD if said.get("hard_bounce") is True else kinds.SUPPRESSED if said.get("blocked") is True else kinds.SOFT
    elif said.get("event") == "blocked" and error not in kinds.MAILJET_PERSONS:
        kind = kinds.SOFT
    if kind in (kinds.HARD, kinds.SUPPRESSED) and error in kinds.MAILJET_OURS:
        kind = kinds.SOFT
    return kinds.DEFERRED if said.get("event") == "bounce" and error == "greylisted" and kind == kinds.SOFT else kind


PARSERS: dict[str, Callable[[Any, Source], list[Event]]] = {
    "ses": _ses, "postmark": _postmark, "mailgun": _mailgun, "sendgrid": _sendgrid, "brevo": _brevo, "resend": _resend,
    "mailjet": _mailjet,
}  # fmt: skip
