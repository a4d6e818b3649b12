"""Requests as providers make them: their documents, signed as they sign.

The shapes are those of the providers' references (SES "Examples of event data that Amazon SES publishes to Amazon SNS"; Postmark
"Bounce webhook", "Delivery webhook", "Subscription change webhook"; Mailgun "Webhook Payloads"; SendGrid "Event Webhook
Reference"; Brevo "Transactional webhooks"; Resend "email.bounced" and its neighbours; Mailjet "Event API"), which Anymail's tests
have too; names and numbers are ours.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

PATH = "an-address-that-nobody-guesses"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:letters"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
MAILGUN_KEY, PASSWORD = "mailgun-signing-key", "events:a-password-of-some-length"
SVIX_KEY = b"0123456789abcdef01234567"
SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
SNS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SECRETS = {
    "SES_TOPIC_ARNS": TOPIC,
    "MAILGUN_WEBHOOK_KEY": MAILGUN_KEY,
    "SENDGRID_WEBHOOK_KEY": base64.b64encode(
        SENDGRID_KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode(),
    "RESEND_WEBHOOK_SECRET": "whsec_" + base64.b64encode(SVIX_KEY).decode(),
    "POSTMARK_WEBHOOK_AUTH": PASSWORD,
    "BREVO_WEBHOOK_AUTH": PASSWORD,
    "MAILJET_WEBHOOK_AUTH": PASSWORD,
}
PROVIDERS = ("ses", "mailgun", "sendgrid", "resend", "postmark", "brevo", "mailjet")
SIGNING = ("ses", "mailgun", "sendgrid", "resend")
#: What `event` is called by each provider, for a letter that arrived, that bounced for good, and that bounced for now.
ARRIVED, BOUNCED, FULL = "delivered", "bounced_hard", "bounced_soft"


@dataclass
class Request:
    """What is posted."""

    provider: str
    body: bytes
    heads: dict[str, str] = field(default_factory=dict)


def certificate(*, days: int = 30, key: rsa.RSAPrivateKey = SNS_KEY) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    start = datetime.now(UTC) - timedelta(days=60)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
    made = made.not_valid_before(start).not_valid_after(start + timedelta(days=60 + days))
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def sns(
    message: str, *, kind: str = "Notification", version: str = "2", at: datetime | None = None, **more: Any
) -> dict[str, Any]:
    """A signed message of SNS."""
    moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    whole = {
        "Type": kind, "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "TopicArn": TOPIC, "Message": message,
        "Timestamp": moment, "SignatureVersion": version, "SigningCertURL": CERTIFICATE_URL, **more,
    }  # fmt: skip
    names = ("Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
    text = "".join(f"{name}\n{whole[name]}\n" for name in names if whole.get(name) is not None)
    algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
    return {**whole, "Signature": base64.b64encode(SNS_KEY.sign(text.encode(), padding.PKCS1v15(), algorithm)).decode()}


def sign(provider: str, document: Any, *, at: float | None = None) -> Request:
    """A document as the provider would post it; SES's and Mailgun's are signed within (`ses`, `mailgun`)."""
    body, moment = json.dumps(document).encode(), str(int(at or time.time()))
    if provider == "ses":
        return Request(provider, body, {"x-amz-sns-message-type": document["Type"]})
    if provider == "sendgrid":
        signature = base64.b64encode(SENDGRID_KEY.sign(moment.encode() + body, ec.ECDSA(hashes.SHA256()))).decode()
        names = ("signature", "timestamp")
        heads = dict(zip((f"x-twilio-email-event-webhook-{name}" for name in names), (signature, moment), strict=True))
        return Request(provider, body, heads)
    if provider == "resend":
        name = "msg_" + hashlib.sha256(body).hexdigest()[:20]
        mac = hmac.digest(SVIX_KEY, f"{name}.{moment}.".encode() + body, "sha256")
        fits = "v1,bm9uZQ== v1," + base64.b64encode(mac).decode()
        return Request(provider, body, {"svix-id": name, "svix-timestamp": moment, "svix-signature": fits})
    if provider == "mailgun":
        return Request(provider, body)
    return Request(provider, body, {"authorization": "Basic " + base64.b64encode(PASSWORD.encode()).decode()})


def _ses(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    failed = {
        "emailAddress": to,
        "action": "failed",
        "status": "5.1.1" if kind == BOUNCED else "4.4.7",
        "diagnosticCode": "smtp; 550 5.1.1 user unknown",
    }
    parts: dict[str, dict[str, Any]] = {
        ARRIVED: {
            "eventType": "Delivery",
            "delivery": {"timestamp": moment, "recipients": [to], "smtpResponse": "250 ok dirdel", "processingTimeMillis": 11893},
        },
        BOUNCED: {
            "eventType": "Bounce",
            "bounce": {
                "bounceType": "Permanent",
                "bounceSubType": "General",
                "bouncedRecipients": [failed],
                "timestamp": moment,
                "feedbackId": "f",
            },
        },
        FULL: {
            "eventType": "Bounce",
            "bounce": {
                "bounceType": "Transient",
                "bounceSubType": "MailboxFull",
                "bouncedRecipients": [failed],
                "timestamp": moment,
                "feedbackId": "f",
            },
        },
    }
    mail = {
        "timestamp": moment, "messageId": name, "destination": [to], "headersTruncated": False,
        "headers": [{"name": "From", "value": "x@example.com"}, {"name": "X-Metadata", "value": json.dumps({"message_ref": ref})}],
        "tags": {"ses:configuration-set": ["letters"]},
    }  # fmt: skip
    identity = hashlib.sha256(f"{kind}{ref}{name}".encode()).hexdigest()
    return sns(json.dumps({**parts[kind], "mail": mail}), MessageId=identity, Subject="Amazon SES Email Event Notification")


def _postmark(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    moment = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    same = {"MessageID": name, "ServerID": 23, "MessageStream": "outbound", "Tag": "c1", "Metadata": {"message_ref": ref}}
    if kind == ARRIVED:
        return {"RecordType": "Delivery", "Recipient": to, "DeliveredAt": moment, "Details": "smtp;250 OK", **same}
    bounce = {BOUNCED: ("HardBounce", 1), FULL: ("SoftBounce", 4096)}[kind]
    return {
        "RecordType": "Bounce", "ID": int(hashlib.sha256(f"{ref}{kind}".encode()).hexdigest()[:12], 16), "Type": bounce[0],
        "TypeCode": bounce[1], "Email": to, "From": "x@example.com", "BouncedAt": moment, "Inactive": True, "CanActivate": True,
        "Description": "The server was unable to deliver your message.", "Details": "smtp;550 5.1.1 unknown", "Subject": "A letter", **same,
    }  # fmt: skip


def mailgun(said: dict[str, Any], *, token: str = "", at: float | None = None) -> dict[str, Any]:
    """Mailgun's document around an event, signed."""
    moment = str(int(at or time.time()))
    token = token or hashlib.sha256(json.dumps(said).encode()).hexdigest()[:50]
    signature = hmac.digest(MAILGUN_KEY.encode(), f"{moment}{token}".encode(), "sha256").hex()
    return {"signature": {"timestamp": moment, "token": token, "signature": signature}, "event-data": said}


def _mailgun(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    status = {ARRIVED: (250, "OK"), BOUNCED: (550, "5.1.1 The email account does not exist"), FULL: (452, "4.2.2 over quota")}[
        kind
    ]
    said = {
        "event": "delivered" if kind == ARRIVED else "failed", "id": "CPgfbmQMTCKtHW6uIWtuVe", "timestamp": at,
        "log-level": "info", "recipient": to, "recipient-domain": to.rpartition("@")[2], "tags": ["c1"], "campaigns": [],
        "message": {"headers": {"to": to, "message-id": name.strip("<>"), "from": "x@example.com", "subject": "A letter"}, "size": 9},
        "delivery-status": {"code": status[0], "message": status[1], "description": "", "attempt-no": 1}, "flags": {"is-test-mode": False},
        "user-variables": {"message_ref": ref}, "envelope": {"targets": to, "sender": "x@example.com"},
    }  # fmt: skip
    return mailgun(said if kind == ARRIVED else {**said, "severity": "permanent", "reason": "bounce"})


def _sendgrid(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    more: dict[str, dict[str, Any]] = {
        ARRIVED: {"event": "delivered", "response": "250 OK"},
        BOUNCED: {"event": "bounce", "type": "bounce", "status": "5.1.1", "reason": "550 5.1.1 unknown"},
        FULL: {"event": "bounce", "type": "blocked", "status": "4.2.2", "reason": "452 over quota"},
    }
    one = {
        "email": to, "timestamp": int(at), "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>", "category": ["c1"],
        "sg_event_id": hashlib.sha256(f"{ref}{kind}".encode()).hexdigest()[:32], "sg_message_id": f"{name}.filter0001.16648.5515E0B88.0",
        "message_ref": ref,
    }  # fmt: skip
    return [{**one, **more[kind]}]


def _brevo(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    return {
        "event": {ARRIVED: "delivered", BOUNCED: "hard_bounce", FULL: "soft_bounce"}[kind], "email": to, "id": 26224,
        "date": "2026-11-22 09:00:00", "ts": int(at), "ts_event": int(at), "ts_epoch": int(at * 1000), "message-id": name,
        "subject": "A letter", "X-Mailin-custom": json.dumps({"message_ref": ref}), "tags": ["c1"], "sending_ip": "192.0.2.7",
        "reason": "550 5.1.1 unknown",
    }  # fmt: skip


def _resend(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    moment = datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
    data: dict[str, Any] = {
        "email_id": name, "created_at": moment, "from": "Acme <x@example.com>", "to": [to], "subject": "A letter",
        "tags": {"message_ref": ref},
    }  # fmt: skip
    if kind != ARRIVED:
        data["bounce"] = {
            "message": "550 5.1.1 unknown",
            "subType": "General",
            "type": "Permanent" if kind == BOUNCED else "Transient",
        }
    return {"type": "email.delivered" if kind == ARRIVED else "email.bounced", "created_at": moment, "data": data}


def _mailjet(kind: str, ref: str, to: str, name: str, at: float) -> Any:
    one = {
        "event": "sent" if kind == ARRIVED else "bounce", "time": int(at), "MessageID": int(name), "Message_GUID": "1ab23cd4-e567",
        "email": to, "mj_campaign_id": 7173, "mj_contact_id": 320, "customcampaign": "c1", "CustomID": "", "Payload": json.dumps({"message_ref": ref}),
    }  # fmt: skip
    if kind == ARRIVED:
        return [{**one, "smtp_reply": "sent (250 2.0.0 OK)"}]
    return [
        {
            **one,
            "blocked": False,
            "hard_bounce": kind == BOUNCED,
            "error_related_to": "recipient",
            "error": "user unknown",
            "comment": "550 5.1.1",
        }
    ]


MAKERS: dict[str, Callable[[str, str, str, str, float], Any]] = {
    "ses": _ses, "mailgun": _mailgun, "sendgrid": _sendgrid, "resend": _resend, "postmark": _postmark, "brevo": _brevo, "mailjet": _mailjet,
}  # fmt: skip
#: A provider's name for a letter, as it looks there.
NAMES = {
    "ses": "010701957c44f053b-61b59c11-9236-11e6-8f96-7be8aexample-000000", "mailgun": "<20260203192638.000be97f99f8cea1@mg.example.com>",
    "sendgrid": "14c5d75ce93dfd64b469", "resend": "56761188-7520-42d8-8898-ff6fc54ce618",
    "postmark": "883953f4-6105-42a2-a16a-77a8eac79483", "brevo": "<201798300811.5787683@relay.example.com>", "mailjet": "19421777835146490",
}  # fmt: skip


def event(provider: str, kind: str, *, ref: str, to: str = "claire@example.org", name: str = "", at: float | None = None) -> Any:
    """The document of one event."""
    return MAKERS[provider](kind, ref, to, name or NAMES[provider], at or time.time())


def request(
    provider: str, kind: str, *, ref: str, to: str = "claire@example.org", name: str = "", at: float | None = None
) -> Request:
    """One event, as it is posted."""
    return sign(provider, event(provider, kind, ref=ref, to=to, name=name, at=at))
