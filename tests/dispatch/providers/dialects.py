"""How each provider's API speaks: what a request says about its letters, and what success and refusals look like.

Written from the providers' own documentation, not from our code; `stub.py` serves it on this machine.
"""

from __future__ import annotations

import base64
import email
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from email.policy import default
from email.utils import parseaddr
from typing import Any
from urllib.parse import parse_qs

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Letter:
    """A letter as the provider understood it."""

    to: str
    sender: str
    sender_name: str
    reply_to: str
    subject: str
    text: str
    html: str
    ref: str
    heads: dict[str, str] = field(default_factory=dict)
    tracking: Any = None


def as_json(status: int, data: Any, **heads: str) -> Reply:
    return status, {"Content-Type": "application/json", **heads}, json.dumps(data).encode()


def _mailbox(value: Any) -> tuple[str, str]:
    if isinstance(value, dict):
        found = {name.lower(): words for name, words in value.items()}
        return found.get("name", ""), found["email"]
    return parseaddr(value)


def _letter(sender: Any, to: Any, reply_to: Any, heads: Mapping[str, Any], **more: Any) -> Letter:
    name, address = _mailbox(sender)
    reply = _mailbox(reply_to)[1] if reply_to else ""
    lower = {key.lower(): value for key, value in heads.items()}
    return Letter(to=_mailbox(to)[1], sender=address, sender_name=name, reply_to=reply, heads=lower, **more)


def _postmark_letter(data: dict[str, Any]) -> Letter:
    heads = {head["Name"]: head["Value"] for head in data.get("Headers", [])}
    tracking = (data.get("TrackOpens"), data.get("TrackLinks"))
    return _letter(
        data["From"], data["To"], data.get("ReplyTo"), heads, subject=data["Subject"], text=data["TextBody"],
        html=data["HtmlBody"], ref=data["Metadata"]["message_ref"], tracking=tracking,
    )  # fmt: skip


def read_postmark(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert heads["x-postmark-server-token"] == "secret-key"
    data = json.loads(body)
    assert path == ("/email/batch" if isinstance(data, list) else "/email")
    return [_postmark_letter(one) for one in (data if isinstance(data, list) else [data])]


def postmark_entry(letter: Letter, number: int = 0) -> dict[str, Any]:
    return {
        "To": letter.to, "SubmittedAt": "2026-01-01T00:00:00Z", "MessageID": f"pm-{letter.ref}", "ErrorCode": 0, "Message": "OK"
    }  # fmt: skip


def postmark_refused(letter: Letter) -> dict[str, Any]:
    words = f"You tried to send to a recipient that has been marked as inactive. Found inactive addresses: {letter.to}."
    return {"ErrorCode": 406, "Message": words}


def _resend_letter(data: dict[str, Any]) -> Letter:
    [to] = data["to"]
    reply = (data.get("reply_to") or [None])[0]
    ref = json.loads(data["headers"]["X-Metadata"])["message_ref"]
    assert data["tags"] == [{"name": "message_ref", "value": ref}]
    return _letter(
        data["from"], to, reply, data["headers"], subject=data["subject"], text=data["text"], html=data["html"], ref=ref
    )  # fmt: skip


def read_resend(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert heads["authorization"] == "Bearer secret-key"
    data = json.loads(body)
    if isinstance(data, list):
        assert path == "/emails/batch" and heads["x-batch-validation"] == "permissive" and len(heads["idempotency-key"]) <= 256
        return [_resend_letter(one) for one in data]
    assert path == "/emails"
    return [_resend_letter(data)]


def read_mailgun(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert base64.b64decode(heads["authorization"].split()[1]) == b"api:secret-key"
    assert path == "/mg.cartier.example/messages"
    data = {name: values[-1] for name, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    own = {name[2:]: value for name, value in data.items() if name.startswith("h:")}
    tracking = tuple(data.get(f"o:tracking{name}") for name in ("", "-opens", "-clicks"))
    return [
        _letter(
            data["from"], data["to"], own.get("Reply-To"), own, subject=data["subject"], text=data["text"], html=data["html"],
            ref=data["v:message_ref"], tracking=tracking,
        )
    ]  # fmt: skip


def read_sendgrid(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert heads["authorization"] == "Bearer secret-key" and path == "/mail/send"
    data = json.loads(body)
    [personal] = data["personalizations"]
    [to] = personal["to"]
    parts = {part["type"]: part["value"] for part in data["content"]}
    ref = {**data.get("custom_args", {}), **personal.get("custom_args", {})}["message_ref"]
    reply = (data.get("reply_to_list") or [data.get("reply_to")])[0]
    return [
        _letter(
            data["from"], to, reply, data.get("headers", {}), subject=data["subject"], text=parts["text/plain"],
            html=parts["text/html"], ref=ref, tracking={name: one["enable"] for name, one in data["tracking_settings"].items()},
        )
    ]  # fmt: skip


def read_brevo(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert heads["api-key"] == "secret-key" and path == "/smtp/email"
    data = json.loads(body)
    [to] = data["to"]
    ref = json.loads(data["headers"]["X-Mailin-custom"])["message_ref"]
    # Brevo understands encoded words, and loses a name with a comma and more than ASCII in it unless it comes as one.
    data["sender"]["name"] = str(make_header(decode_header(data["sender"]["name"])))
    return [
        _letter(
            data["sender"], to, data.get("replyTo"), data["headers"], subject=data["subject"], text=data["textContent"],
            html=data["htmlContent"], ref=ref,
        )
    ]  # fmt: skip


def read_mailjet(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert base64.b64decode(heads["authorization"].split()[1]) == b"secret-key:secret-key" and path == "/v3.1/send"
    data = json.loads(body)
    [message] = data["Messages"]
    whole = {**data["Globals"], **message}
    assert not {"message-id", "date"} & {name.lower() for name in whole["Headers"]}, "Mailjet refuses these heads"
    ref = json.loads(whole["EventPayload"])["message_ref"]
    assert whole["CustomID"] == ref
    [to] = whole["To"]
    return [
        _letter(
            whole["From"], to, whole.get("ReplyTo"), whole["Headers"], subject=whole["Subject"], text=whole["TextPart"],
            html=whole["HTMLPart"], ref=ref, tracking=(whole["TrackOpens"], whole["TrackClicks"]),
        )
    ]  # fmt: skip


def read_ses(path: str, heads: Mapping[str, str], body: bytes) -> list[Letter]:
    assert heads["authorization"].startswith("AWS4-HMAC-SHA256 Credential=secret-key/")
    assert path == "/v2/email/outbound-emails"
    data = json.loads(body)
    mail = email.message_from_bytes(base64.b64decode(data["Content"]["Raw"]["Data"]), policy=default)
    ref = json.loads(mail["X-Metadata"])["message_ref"]
    assert data["EmailTags"] == [{"Name": "message_ref", "Value": ref}]
    assert data["Destination"] == {"ToAddresses": [str(mail["To"])]}
    text, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text and page
    return [
        _letter(
            str(mail["From"]), str(mail["To"]), str(mail["Reply-To"] or ""), {name: str(value) for name, value in mail.items()},
            subject=str(mail["Subject"]), text=text.get_content(), html=page.get_content(), ref=ref,
        )
    ]  # fmt: skip


def _same(reply: Reply) -> Callable[[Letter], Reply]:
    return lambda letter: reply


NOBODY_KNOWS = _same(as_json(400, {"message": "computer says no"}))


@dataclass(frozen=True)
class Dialect:
    """One provider: its requests, its success, and its refusals of a person, of us, and for nobody knows what."""

    read: Callable[[str, Mapping[str, str], bytes], list[Letter]]
    success: Callable[[list[Letter]], Reply]
    person: Callable[[Letter], Reply]
    ours: Callable[[Letter], Reply]
    #: A 2xx of the right form that names no message.
    nameless: Reply
    #: Parts of the URL behind the host.
    base: str = "/"
    #: A refusal for a reason that nobody knows.
    odd: Callable[[Letter], Reply] = NOBODY_KNOWS


def _resend_success(letters: list[Letter]) -> Reply:
    return as_json(200, {"data": [{"id": f"re-{letter.ref}"} for letter in letters]})


def _mailjet_error(status: int, code: str, place: str) -> Reply:
    error = {"ErrorCode": code, "StatusCode": status, "ErrorMessage": "no", "ErrorRelatedTo": [place]}
    return as_json(status, {"Messages": [{"Status": "error", "Errors": [error]}]})


POSTMARK_SINGLE = Dialect(
    read=read_postmark,
    success=lambda letters: as_json(200, postmark_entry(letters[0])),
    person=lambda letter: as_json(422, postmark_refused(letter)),
    ours=_same(as_json(422, {"ErrorCode": 400, "Message": "The 'From' address is not a Sender Signature"})),
    nameless=as_json(200, {"ErrorCode": 0, "Message": "OK"}),
)
RESEND_SINGLE = Dialect(
    read=read_resend,
    success=lambda letters: as_json(200, {"id": f"re-{letters[0].ref}"}),
    person=_same(as_json(422, {"statusCode": 422, "name": "validation_error", "message": "Invalid `to` field."})),
    ours=_same(as_json(422, {"statusCode": 422, "name": "invalid_from_address", "message": "Invalid `from` field."})),
    nameless=as_json(200, {"object": "email"}),
)
DIALECTS: dict[str, Dialect] = {
    "postmark:": Dialect(
        read=read_postmark,
        success=lambda letters: as_json(200, [postmark_entry(letter) for letter in letters]),
        person=lambda letter: as_json(200, [postmark_refused(letter)]),
        ours=_same(as_json(200, [{"ErrorCode": 400, "Message": "The 'From' address is not a Sender Signature"}])),
        nameless=as_json(200, [{"ErrorCode": 0, "Message": "OK"}]),
    ),
    "postmark:?batch=1": POSTMARK_SINGLE,
    "resend:": Dialect(
        read=read_resend,
        success=_resend_success,
        person=_same(as_json(200, {"data": [], "errors": [{"index": 0, "message": "Invalid `to` field."}]})),
        ours=_same(as_json(403, {"statusCode": 403, "name": "validation_error", "message": "The domain is not verified."})),
        nameless=as_json(200, {"data": [{}]}),
    ),
    "resend:?batch=1": RESEND_SINGLE,
    "mailgun:?domain=mg.cartier.example": Dialect(
        read=read_mailgun,
        success=lambda letters: as_json(200, {"id": f"<{letters[0].ref}@mg>", "message": "Queued. Thank you."}),
        person=_same(as_json(400, {"message": "'to' parameter is not a valid address. please check documentation"})),
        ours=_same(as_json(400, {"message": "'from' parameter is not a valid address. please check documentation"})),
        nameless=as_json(200, {"message": "Queued. Thank you."}),
    ),
    "sendgrid:": Dialect(
        read=read_sendgrid,
        success=lambda letters: (202, {"X-Message-Id": f"sg-{letters[0].ref}"}, b""),
        person=_same(as_json(400, {"errors": [{"field": "personalizations.0.to.0.email", "message": "Does not contain a valid address."}]})),
        ours=_same(as_json(400, {"errors": [{"field": "from.email", "message": "does not match a verified Sender Identity"}]})),
        nameless=(202, {}, b""),
    ),
    "brevo:": Dialect(
        read=read_brevo,
        success=lambda letters: as_json(201, {"messageId": f"<{letters[0].ref}@smtp-relay.mailin.fr>"}),
        person=_same(as_json(400, {"code": "invalid_parameter", "message": "email is not valid in to"})),
        ours=_same(as_json(400, {"code": "invalid_parameter", "message": "sender is not valid"})),
        nameless=as_json(201, {"ok": True}),
    ),
    "mailjet:": Dialect(
        read=read_mailjet,
        success=lambda letters: as_json(
            200, {"Messages": [{"Status": "success", "To": [{"Email": letters[0].to, "MessageID": 1234567890987654321}]}]}
        ),
        person=_same(_mailjet_error(400, "mj-0013", "To[0].Email")),
        ours=_same(_mailjet_error(400, "send-0008", "From")),
        nameless=as_json(200, {"Messages": []}),
        base="/v3.1/",
    ),
    "ses:?region=eu-west-1": Dialect(
        read=read_ses,
        success=lambda letters: as_json(200, {"MessageId": f"ses-{letters[0].ref}"}),
        person=_same(
            as_json(400, {"message": "Missing final '@domain'"}, **{"x-amzn-errortype": "BadRequestException:http://a/"})
        ),
        ours=_same(
            as_json(400, {"message": "Email address is not verified."}, **{"x-amzn-errortype": "MessageRejected:http://a/"})
        ),
        nameless=as_json(200, {}),
        odd=_same(as_json(400, {"message": "no"}, **{"x-amzn-errortype": "BadRequestException:http://a/"})),
    ),
}  # fmt: skip
