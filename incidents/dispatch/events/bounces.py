"""Bounces of letters by plain SMTP: the return path names the letter (VERP), and what comes there is read for what it proves.

RFC 3464 (delivery status notifications), RFC 5965 (complaints), RFC 3834 (answers by machines); of the many that follow none of
them, those of qmail, Exim and mail daemons by their look. Whatever else comes is a notice: no delivery and no bounce. Of a
mail only the event is kept.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.message import Message as Mail
from email.parser import BytesParser
from email.policy import compat32
from email.utils import parsedate_to_datetime
from typing import Any

from django.conf import settings

from incidents.dispatch.events import kinds
from incidents.dispatch.events.bodies import REF, harmless, key_of, moment, recipient_hash

#: What is read of a mail: a report's first parts say all; the returned letter after them is not looked at for more than its name.
MOST_BYTES = 256_000
MOST_PARTS, MOST_RECIPIENTS = 50, 20
CODE = re.compile(r"\b([245])\.(\d{1,3})\.(\d{1,3})\b")
#: A reply code: where a line begins or somebody is quoted, with words behind it. Else it is a telephone number, or a rule's.
REPLY = re.compile(
    r"(?:^\s*|[>:;(#]\s*|said:?\s|error:?\s)([45])[0-5]\d[ -]\s*(?=[#<\[(]?[A-Za-z245])", re.IGNORECASE | re.MULTILINE
)
DAEMON = re.compile(
    r"(?:mailer-?daemon|postmaster|mail-?delivery\S*)@|^\s*\"?(?:mail delivery (?:sub)?system|mailer-?daemon)\b", re.IGNORECASE
)
FAILURE = re.compile(
    r"undeliver|delivery (?:status|has fail)|fail(?:ed|ure)|return(?:ed|ing)|unzustellbar|non remis|mancat|no entregado|rejected",
    re.IGNORECASE,
)
LATER = re.compile(
    r"delayed|will (?:keep|be) (?:trying|retried)|still (?:being )?(?:trying|retried)|warning: message|not yet been delivered",
    re.IGNORECASE,
)
#: What qmail and Exim, and those that are built of them, begin with.
OLD_SERVER = re.compile(
    r"This is the (?:qmail-send|MTA) program|This is the mail (?:system|delivery)"
    r"|This message was created automatically by mail delivery software",
    re.IGNORECASE,
)
#: Answers by machines, and demands to prove that one is no machine: they say that nobody has read it, and no more.
MACHINE = re.compile(
    r"auto[- _]?(?:reply|respon|antwort)|automat\w*[ :](?:reply|response|antwort)|r[ée]ponse automatique|risposta automatica"
    r"|respuesta autom|out of (?:the )?office|abwesen|absence|vacation",
    re.IGNORECASE,
)
DEMAND = re.compile(r"requires? verification|confirm (?:your|that) |quarantin", re.IGNORECASE)
#: RFC 3463: a full mailbox, and a mailbox that is closed for now, open again.
PASSING = frozenset({(2, 1), (2, 2)})
#: Where our name of a letter may stand, from what the sender of a bounce cannot forge for others to what it repeats.
ADDRESSED = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to", "to")


class NoMail(Exception):
    """It cannot be read as a mail at all."""


@dataclass(frozen=True)
class Finding:
    """What one bounce says of one recipient."""

    kind: str
    texts: tuple[str, ...] = ()
    recipient: str = ""
    happened: str = ""


def return_path(*, message_ref: str, sender: str) -> str:
    """The envelope's sender for a letter (RFC 5321, 4.4): names the letter where BOUNCE_ADDRESS is set, else the sender."""
    local, _, domain = settings.BOUNCE_ADDRESS.rpartition("@")
    return f"{local}+{message_ref}@{domain}" if local and REF.fullmatch(message_ref) else sender


def read_bounce(*, raw: bytes, now: datetime, to: str = "") -> list[dict[str, Any]]:
    """The events in a mail, each with the letter it is about; `to`: the address it came to, where the mail server says it.

    Empty when it names no letter of ours. Raises NoMail.
    """
    try:
        mail = BytesParser(policy=compat32).parsebytes(raw[:MOST_BYTES])
        parts = list(_parts(mail))
        ref = _ref(mail, parts, to)
        findings = _findings(mail, parts)[:MOST_RECIPIENTS] if ref else []
        name = _head(mail, "message-id").strip() or hashlib.sha256(raw).hexdigest()
    except (RecursionError, MessageError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        # The parser of the standard library promises not to raise, and does for some hostile mails.
        raise NoMail(f"the mail cannot be read ({type(error).__name__})") from None
    return [_event(one, ref, name, place, now) for place, one in enumerate(findings)]


def _event(found: Finding, ref: str, name: str, place: int, now: datetime) -> dict[str, Any]:
    happened_at, mark = moment(_iso(found.happened), now=now) if found.happened else (None, "")
    refused = kinds.mark_of_refusal(kinds.refused_by_a_server(*found.texts)) if found.kind == kinds.SOFT else ""
    return {
        "event_key": key_of("mail", hashlib.sha256(f"{ref}|{name}|{place}|{found.kind}".encode("utf-8", "replace")).hexdigest()),
        "message_ref": ref, "kind": found.kind, "detail": harmless(refused, mark, *found.texts), "happened_at": happened_at,
        "recipient_hash": recipient_hash(found.recipient), "provider_id": "",
    }  # fmt: skip


def _iso(head: str) -> str:
    try:
        found = parsedate_to_datetime(head)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
    except (ValueError, TypeError, OverflowError, IndexError):
        return head[:100]


def _parts(mail: Mail) -> Iterator[Mail]:
    """The parts of a mail, the outermost first; a returned letter's own parts are not gone into."""
    waiting = [mail]
    for _ in range(MOST_PARTS):
        if not waiting:
            return
        part = waiting.pop(0)
        yield part
        if part.get_content_type() not in ("message/rfc822", "message/delivery-status") and part.is_multipart():
            inner = part.get_payload()
            waiting += [one for one in inner if isinstance(one, Mail)] if isinstance(inner, list) else []
    if waiting:
        raise MessageError("more parts than any report has")


def _head(mail: Mail, name: str) -> str:
    return str(mail.get(name, ""))[:2000]


def _text(part: Mail) -> str:
    payload = part.get_payload(decode=True)
    return payload[:20_000].decode("utf-8", "replace") if isinstance(payload, bytes) else ""


# -- which letter -----------------------------------------------------------------------------------------------------------


def _ref(mail: Mail, parts: list[Mail], to: str) -> str:
    local, _, domain = settings.BOUNCE_ADDRESS.rpartition("@")
    if local:
        ours = re.compile(
            rf"(?<![A-Za-z0-9._-]){re.escape(local)}\+([0-9a-f]{{32}})@{re.escape(domain)}(?![A-Za-z0-9.-])", re.IGNORECASE
        )
        for text in (to, *(str(value)[:2000] for name in ADDRESSED for value in mail.get_all(name, []))):
            if found := ours.search(text):
                return found[1].lower()
    for part in parts[1:]:
        if part.get_content_type() in ("message/rfc822", "text/rfc822-headers"):
            text = _head(_returned(part), "message-id")
            if found := re.search(r"<([0-9a-f]{32})@", text):
                return found[1]
    return ""


def _returned(part: Mail) -> Mail:
    """The heads that a part of a report holds: those of our letter as it was given back, or of a complaint."""
    inner = part.get_payload()
    if isinstance(inner, list):
        return inner[0] if inner and isinstance(inner[0], Mail) else Mail()
    return BytesParser(policy=compat32).parsebytes(_text(part).encode("utf-8", "replace"), headersonly=True)


# -- what it says -----------------------------------------------------------------------------------------------------------


def _findings(mail: Mail, parts: list[Mail]) -> list[Finding]:
    if mail.get_content_type() == "multipart/report":
        for part in parts:
            if part.get_content_type() in ("message/delivery-status", "message/global-delivery-status"):
                return list(_statuses(part)) or [_by_its_look(mail, parts, sure=True)]
            if part.get_content_type() == "message/feedback-report":
                return [_feedback(part)]
        if "disposition" in _head(mail, "content-type").lower():
            return [Finding(kinds.NOTICE, ("a receipt",))]
    if _by_a_machine(mail) and not (_by_an_old_server(mail, parts) or _by_a_daemon(mail, parts)):
        return [Finding(kinds.NOTICE, ("an answer by a machine",), happened=_head(mail, "date"))]
    return [_by_its_look(mail, parts)]


def _statuses(part: Mail) -> Iterator[Finding]:
    """RFC 3464, 2.3: one group of fields for each recipient, after the one about the message."""
    groups = _groups(part)
    # Some leave out the empty line behind what is said of the message: then one group says all.
    for fields in groups[: 1 + MOST_RECIPIENTS]:
        if "action" not in fields:
            continue
        action, status = _head(fields, "action").partition("(")[0].strip().lower(), _head(fields, "status")
        diagnosis = _head(fields, "diagnostic-code").partition(";")[2] or _head(fields, "diagnostic-code")
        # A final recipient may be where somebody forwards their mail to: only the original one can be compared with ours.
        original = _head(fields, "original-recipient").partition(";")[2]
        kind = {"delayed": kinds.DEFERRED, "delivered": kinds.DELIVERED}.get(action, kinds.NOTICE)
        kind = _how_bad(status, diagnosis) if action == "failed" else kind
        code = CODE.search(status)
        yield Finding(kind, (code[0] if code else "", diagnosis), original, _head(fields, "last-attempt-date"))


def _groups(part: Mail) -> list[Mail]:
    """The groups of fields. Some servers encode them, which the standard forbids; the parser then takes the code for fields."""
    inner = part.get_payload()
    groups = [one for one in inner if isinstance(one, Mail)] if isinstance(inner, list) else []
    if _head(part, "content-transfer-encoding").strip().lower() != "base64":
        return groups
    coded = "".join(str(one.get_payload()) for one in groups)
    text = base64.b64decode(re.sub(r"[^A-Za-z0-9+/=]", "", coded)).replace(b"\r\n", b"\n")
    return [BytesParser(policy=compat32).parsebytes(group, headersonly=True) for group in re.split(rb"\n{2,}", text)]


def _how_bad(status: str, diagnosis: str) -> str:
    if kinds.AGAINST_US.search(diagnosis):
        return kinds.SOFT
    found = CODE.search(status)
    if found is None or (found[2], found[3]) == ("0", "0"):  # which says nothing but that it failed
        found = CODE.search(diagnosis) or found
    if found:
        passing = found[1] == "4" or (int(found[2]), int(found[3])) in PASSING
        return kinds.SOFT if passing else kinds.HARD
    reply = REPLY.search(f"{diagnosis} ")
    return kinds.HARD if reply and reply[1] == "5" else kinds.SOFT


def _feedback(part: Mail) -> Finding:
    """RFC 5965: the recipient's provider tells that they called it spam."""
    said = _head(_returned(part), "feedback-type").strip().lower()
    return Finding(kinds.COMPLAINED if said in ("abuse", "fraud", "virus") else kinds.NOTICE, ("feedback",))


def _by_a_machine(mail: Mail) -> bool:
    """RFC 3834, 5, and the heads that were used before it."""
    said = _head(mail, "auto-submitted").split(";")[0].strip().lower()
    if said.startswith("auto-replied") or any(name in mail for name in ("x-autoreply", "x-autorespond", "x-auto-reply-from")):
        return True
    if _head(mail, "precedence").strip().lower() in ("auto_reply", "auto-reply"):
        return True
    return bool(MACHINE.search(_head(mail, "subject")) or DEMAND.search(_head(mail, "subject")))


def _first_text(parts: list[Mail]) -> str:
    return next((_text(part) for part in parts if part.get_content_type() == "text/plain"), "")


def _by_an_old_server(mail: Mail, parts: list[Mail]) -> bool:
    """Exim and qmail say so; Exim and Postfix call their own bounces an answer by a machine, which they are."""
    return "x-failed-recipients" in mail or bool(OLD_SERVER.search(_first_text(parts)))


def _by_a_daemon(mail: Mail, parts: list[Mail]) -> bool:
    """A mail daemon that calls itself an answer by a machine, and gives a code; a postmaster may be a person on holiday."""
    sender, text = _head(mail, "from"), _first_text(parts)
    named = DAEMON.search(sender) and ("postmaster" not in sender.lower() or FAILURE.search(_head(mail, "subject")))
    return bool(named and not DEMAND.search(_head(mail, "subject")) and (CODE.search(text) or REPLY.search(text)))


def _by_its_look(mail: Mail, parts: list[Mail], *, sure: bool = False) -> Finding:
    """A bounce that follows no standard: of Exim, of qmail, or of whoever calls themselves a daemon. `sure`: it is a report."""
    text, old = _first_text(parts), _by_an_old_server(mail, parts)
    happened = _head(mail, "date")
    if not (sure or old or DAEMON.search(_head(mail, "from"))):
        return Finding(kinds.NOTICE, ("a mail that is no bounce",), happened=happened)
    code, reply = CODE.search(text), REPLY.search(text)
    said = _line_of(text, code or reply)
    if LATER.search(_head(mail, "subject")) or (LATER.search(text[:2000]) and not (code and code[1] == "5")):
        return Finding(kinds.DEFERRED, (said,), happened=happened)
    if code is None and reply is None:
        # Whoever returns a letter without a reason has returned it all the same; qmail and Exim do so for good. A postmaster
        # who writes without a word of failure is a person.
        if not old and not FAILURE.search(_head(mail, "subject")):
            return Finding(kinds.NOTICE, ("a mail that says no reason",), happened=happened)
        return Finding(kinds.HARD if old else kinds.SOFT, ("returned without a code",), happened=happened)
    return Finding(_how_bad(code[0] if code else "", text), (said,), happened=happened)


def _line_of(text: str, found: re.Match[str] | None) -> str:
    if found is None:
        return ""
    start = text.rfind("\n", 0, found.start()) + 1
    return text[start : start + 300].partition("\n")[0]
