"""What a provider's answer means for the letter. What is known of each provider is in `PERSON` and `OURS`; the rest is HTTP.

Only codes of the answer are ever repeated: its words may hold the address.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer, retry_after
from incidents.dispatch.events.bodies import name_of

#: Statuses (RFC 9110, 15) after which certainly nothing was taken, and later may be better.
LATER = frozenset({408, 425, 429})
#: We are refused, whoever the letter is for; or the address of the API is wrong.
ACCOUNT = frozenset({301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410})
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,40}")
_POSTMARK_TO = re.compile(r"^(Invalid|Error\s+parsing)\s+'To'", re.IGNORECASE)

#: (code, words) -> whether this person's address is refused, or we are; anything else stays undecided.
Known = Callable[[str, str], bool]


def _says(pattern: str) -> Known:
    found = re.compile(pattern, re.IGNORECASE)
    return lambda code, words: bool(found.search(words))


def _code(*codes: str) -> Known:
    return lambda code, words: code in codes


def _either(*known: Known) -> Known:
    return lambda code, words: any(one(code, words) for one in known)


#: Refusals that are about the one address of the letter.
PERSON: Mapping[str, Known] = MappingProxyType(
    {
        "postmark": _either(_code("406"), lambda code, words: code == "300" and bool(_POSTMARK_TO.search(words))),
        "resend": lambda code, words: "`to` field" in words and "testing" not in words,
        "mailgun": _says(r"^'?to'? parameter is not a valid address"),
        "sendgrid": _says(r"^personalizations\.\d+\.to\b"),
        "brevo": _says(r"email is not valid in to\b"),
        "mailjet": _says(r"^To(\[|$)"),
        "ses": _says(r"Missing (final|start) '?@|(Local address|Domain) (contains|starts|ends)|Illegal (address|char)"),
    }
)
#: Refusals that come as 400, 409 or 422 but are about our sender, our account or our request.
OURS: Mapping[str, Known] = MappingProxyType(
    {
        "postmark": _either(_code("10", "400", "401", "402", "403", "405", "409", "412", "413"), _code("300")),
        "resend": _either(_code("invalid_from_address", "invalid_access"), _says(r"`from` field|testing email")),
        "mailgun": _says(r"^'?from'? parameter|not allowed to send|Domain .* (not found|disabled|unverified)"),
        "sendgrid": _says(r"^(from|reply_to|mail_settings|tracking_settings)\b"),
        "brevo": _either(
            _code("unauthorized", "permission_denied", "account_under_validation", "not_enough_credits"), _says(r"\bsender\b")
        ),
        "mailjet": _either(_code("send-0008"), _says(r"^(From|Sender|ReplyTo)\b")),
        "ses": _either(
            _code(
                "MessageRejected", "AccountSuspendedException", "SendingPausedException", "MailFromDomainNotVerifiedException",
                "NotFoundException",
            ),
            _says(r"not verified"),
        ),
    }
)  # fmt: skip
#: Refusals for being too fast or over a quota that do not come as 429.
TOO_FAST: Mapping[str, Known] = MappingProxyType(
    {
        "postmark": _code("429"),
        "ses": _code("TooManyRequestsException", "ThrottlingException", "Throttling", "LimitExceededException"),
    }
)
#: What we are given for a day or a month is used up: no pace helps, and it ends by itself. An account without credit, which
#: somebody has to fill, is in `OURS`.
SPENT: Mapping[str, Known] = MappingProxyType(
    {
        "resend": _code("daily_quota_exceeded", "monthly_quota_exceeded"),
        "ses": _says(r"Daily message quota exceeded"),
    }
)


def taken_or_not(*, kind: str, answer: HttpAnswer, provider_id: str, now: datetime) -> Answer:
    """What one letter's own request came to. `provider_id` is what a successful answer holds; without it nothing is certain."""
    if not 200 <= answer.status < 300:
        return refused(kind=kind, answer=answer, now=now)
    if not provider_id or not answer.whole:
        return Answer(error=SendErrorKind.DOUBTFUL, detail=f"{kind}: no whole answer with an id ({answer.status})")
    return taken(provider_id=provider_id)


def taken(*, provider_id: str) -> Answer:
    """A letter that was taken under this id, named as its events will name it: an id that no column can hold would keep the whole
    chunk from ending."""
    return Answer(provider_id=name_of(provider_id))


def refused(*, kind: str, answer: HttpAnswer, now: datetime) -> Answer:
    """What an answer that is no success means."""
    status, data = answer.status, read_json(answer.body)
    wait = retry_after(value=answer.heads.get("retry-after"), now=now)
    reasons = list(reasons_in(kind=kind, data=data, heads=answer.heads))
    if 400 <= status < 500 and any(_known(SPENT, kind, reason) for reason in reasons):
        detail = f"{kind}: our quota is used up ({status}{_first(reasons)})"
        return Answer(error=SendErrorKind.NOT_SENT, detail=detail, retry_after=wait, spent=True)
    if status in LATER or any(_known(TOO_FAST, kind, reason) for reason in reasons):
        detail = f"{kind}: too fast ({status})" if status == 429 else f"{kind}: not now ({status})"
        return Answer(error=SendErrorKind.NOT_SENT, detail=detail, retry_after=wait, throttled=status not in {408, 425})
    if status in ACCOUNT:
        return Answer(error=SendErrorKind.ACCOUNT, detail=f"{kind}: we are refused ({status}{_first(reasons)})", retry_after=wait)
    if 400 <= status < 500:
        return meaning_of(kind=kind, reasons=reasons, status=status)
    return Answer(error=SendErrorKind.DOUBTFUL, detail=f"{kind}: answered {status}", retry_after=wait)


def meaning_of(*, kind: str, reasons: list[tuple[str, str]], status: int) -> Answer:
    """What a refusal's reasons mean. One that nobody knows is no proof against the person or against us: tried again later."""
    said = f"({status}{_first(reasons)})"
    if any(_known(PERSON, kind, reason) for reason in reasons):
        return Answer(error=SendErrorKind.REFUSED, detail=f"{kind}: the address is refused {said}")
    if any(_known(OURS, kind, reason) for reason in reasons):
        return Answer(error=SendErrorKind.ACCOUNT, detail=f"{kind}: our sender or account is refused {said}")
    return Answer(error=SendErrorKind.NOT_SENT, detail=f"{kind}: refused for a reason that is not known {said}")


def _known(table: Mapping[str, Known], kind: str, reason: tuple[str, str]) -> bool:
    known = table.get(kind)
    return known is not None and known(*reason)


def _first(reasons: list[tuple[str, str]]) -> str:
    code = next((code for code, _ in reasons if _CODE.fullmatch(code)), "")
    return f", {code}" if code else ""


def read_json(body: bytes) -> Any:
    """The answer's JSON; None when it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def reasons_in(*, kind: str, data: Any, heads: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(code, words or place) of each reason that an answer gives, in the form of its provider."""
    if not isinstance(data, dict):
        return
    if kind == "sendgrid":
        yield from (("", str(error.get("field") or "")) for error in _dicts(data.get("errors")))
    elif kind == "mailjet":
        yield from _mailjet(data)
    elif kind == "postmark":
        yield str(data.get("ErrorCode", "")), str(data.get("Message", ""))
    elif kind == "ses":
        code = heads.get("x-amzn-errortype") or str(data.get("__type") or data.get("code") or "")
        yield code.split(":")[0].rpartition("#")[2], str(data.get("message") or data.get("Message") or "")
    else:
        yield str(data.get("name") or data.get("code") or ""), str(data.get("message", ""))


def _mailjet(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for message in [data, *_dicts(data.get("Messages"))]:
        for error in [message, *_dicts(message.get("Errors"))]:
            code, places = str(error.get("ErrorCode", "")), error.get("ErrorRelatedTo")
            for place in places if isinstance(places, list) else []:
                yield code, str(place)
            if code:
                yield code, ""


def _dicts(found: Any) -> list[dict[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
