"""Resend: up to 100 complete letters in a request (POST /emails/batch), the same request twice counted once.

In the permissive mode valid letters are taken and the others are listed by their place. The ids of those that were taken come in
order and name nobody; all that matters is that there is one for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from json import dumps
from typing import Any

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.batches import BatchProvider, mailbox
from incidents.dispatch.channels.contract import Answer, Prepared, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer, provider_key, provider_url
from incidents.dispatch.channels.meanings import meaning_of, read_json, reasons_in, taken
from incidents.letters.mail import message_id
from incidents.letters.mime import Heads, wire_address

URL = "https://api.resend.com/"
#: Names of 409: a request with the same key is under way, or had other letters in it. Either may have been taken.
PERHAPS_TAKEN = frozenset({"concurrent_idempotent_requests", "invalid_idempotent_request"})


class ResendApi:
    """Requests and answers of the batch endpoint."""

    kind = "resend"
    path = "emails/batch"
    most = 100
    most_bytes = 30_000_000

    def __init__(self, *, key: str) -> None:
        self._key = key

    def heads(self, *, letters: Sequence[Prepared]) -> Mapping[str, str]:
        """With the key that makes the same letters in the same order one request, however often it is made (24 hours)."""
        return {
            "Content-Type": "application/json", "Accept": "application/json", "Authorization": f"Bearer {self._key}",
            "x-batch-validation": "permissive", "Idempotency-Key": idempotency_key(letters=letters),
        }  # fmt: skip

    def letter(self, *, letter: Prepared) -> str:
        """One letter. Tracking is a setting of the domain at Resend, not of the letter."""
        ref, to = letter.message_ref, dumps([wire_address(address=letter.to)])
        name = message_id(message_ref=ref, sender=letter.heads.sender)
        heads = f'"Message-ID":{dumps(name)},"X-Metadata":{dumps(dumps({"message_ref": ref}))}'
        tags = dumps([{"name": "message_ref", "value": ref}])
        common, (text, page) = _common(letter.heads), letter.json_parts()
        return f'{common}{heads}}},"to":{to},"tags":{tags},"text":{text},"html":{page}}}'

    def answers(self, *, letters: Sequence[Prepared], answer: HttpAnswer) -> list[Answer]:
        """Those listed as errors are refused; the others are taken if there is an id for each, else doubtful."""
        found = read_json(answer.body) if answer.whole else None
        data, errors = (found.get("data"), found.get("errors")) if isinstance(found, dict) else (None, None)
        answers = [_doubt("the answer does not say what became of this letter")] * len(letters)
        if not isinstance(data, list):
            return answers
        wrong = _by_place(errors, len(letters))
        if wrong is None:
            return answers
        for at, error in wrong.items():
            answers[at] = meaning_of(kind="resend", reasons=list(reasons_in(kind="resend", data=error, heads={})), status=200)
        ids = [one["id"] for one in data if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"]]
        right = [at for at in range(len(letters)) if at not in wrong]
        if len(ids) == len(right) == len(data) and len(set(ids)) == len(ids):
            for at, provider_id in zip(right, ids, strict=True):
                answers[at] = taken(provider_id=provider_id)
        return answers

    def refusal(self, *, answer: HttpAnswer) -> Answer | None:
        """409 says something about an earlier request with the same letters."""
        data = read_json(answer.body)
        name = data.get("name") if isinstance(data, dict) else None
        return _doubt(f"an earlier request with this key ({name})") if name in PERHAPS_TAKEN else None


def idempotency_key(*, letters: Sequence[Prepared]) -> str:
    """A stable name of these letters in this order; says nothing about anybody."""
    return "bn-" + sha256("\n".join(letter.message_ref for letter in letters).encode()).hexdigest()


@lru_cache(maxsize=256)
def _common(of: Heads) -> str:
    fixed = {
        "from": mailbox(name=of.sender_name, address=of.sender), "subject": of.subject,
        **({"reply_to": [of.reply_to]} if of.reply_to else {}),
    }  # fmt: skip
    heads = {"Auto-Submitted": "auto-generated", "Content-Language": of.language}
    return dumps(fixed)[:-1] + ',"headers":' + dumps(heads)[:-1] + ","


def _by_place(errors: Any, number: int) -> dict[int, dict[str, Any]] | None:
    """Place -> error; None when the list is not what it should be."""
    found: dict[int, dict[str, Any]] = {}
    for error in errors if isinstance(errors, list) else []:
        at = error.get("index") if isinstance(error, dict) else None
        if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at < number or at in found:
            return None
        found[at] = error
    return found


def _doubt(detail: str) -> Answer:
    return Answer(error=SendErrorKind.DOUBTFUL, detail=f"resend: {detail}")


class ResendProvider(BatchProvider):
    """Resend by its batch endpoint. It cannot be asked about a message by our reference."""

    def __init__(self, address: MailAddress) -> None:
        api = ResendApi(key=provider_key(kind="resend", name="RESEND_API_KEY"))
        super().__init__(api=api, base=provider_url(kind="resend", default=URL), batch=address.batch or ResendApi.most)
