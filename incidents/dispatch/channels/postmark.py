"""Postmark: up to 500 complete letters in a request (POST /email/batch), and an answer for each.

The answers come in the order of the letters, says Postmark; where one names its recipient, that is checked. A request is answered
with 200 whatever became of its letters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from functools import lru_cache
from json import dumps
from json.encoder import encode_basestring_ascii as in_json
from typing import Any

from django.conf import settings

from incidents.dispatch.channels.address import MailAddress
from incidents.dispatch.channels.batches import BatchProvider, mailbox
from incidents.dispatch.channels.contract import Answer, Prepared, SendError, SendErrorKind
from incidents.dispatch.channels.http import HttpAnswer, HttpLine, provider_key, provider_url
from incidents.dispatch.channels.look_ups import at_postmark
from incidents.dispatch.channels.meanings import meaning_of, read_json, reasons_in, taken
from incidents.letters.mail import message_id
from incidents.letters.mime import Heads, wire_address

URL = "https://api.postmarkapp.com/"
#: Codes of an entry that say that it may go through later.
LATER = frozenset({"100", "429"})


class PostmarkApi:
    """Requests and answers of the batch endpoint."""

    kind = "postmark"
    path = "email/batch"
    most = 500
    most_bytes = 45_000_000  # 50 MB, says Postmark

    def __init__(self, *, token: str, stream: str) -> None:
        self._token, self._stream = token, stream

    def heads(self, *, letters: Sequence[Prepared]) -> Mapping[str, str]:
        """Postmark has no key against repetition."""
        return {
            "Content-Type": "application/json", "Accept": "application/json", "X-Postmark-Server-Token": self._token,
        }  # fmt: skip

    def letter(self, *, letter: Prepared) -> str:
        """One letter; tracking is off whatever the server's own setting is."""
        common, (text, page) = _common(letter.heads, self._stream), letter.json_parts()
        to, ref = in_json(wire_address(address=letter.to)), in_json(letter.message_ref)
        heads = (
            f'{{"Name":"Message-ID","Value":{in_json(message_id(message_ref=letter.message_ref, sender=letter.heads.sender))}}}'
        )
        return f'{common[0]}{heads}{common[1]}"To":{to},"Metadata":{{"message_ref":{ref}}},"TextBody":{text},"HtmlBody":{page}}}'

    def answers(self, *, letters: Sequence[Prepared], answer: HttpAnswer) -> list[Answer]:
        """Entry by entry; what cannot be matched is doubtful."""
        entries = read_json(answer.body) if answer.whole else None
        if not isinstance(entries, list):
            return [_doubt("an answer that cannot be read")] * len(letters)
        wanted = [letter.to for letter in letters]
        if len(entries) == len(letters) and all(map(_may_be, entries, wanted)):
            return [_answer_of(entry) for entry in entries]
        return _by_recipient([_mailbox(to) for to in wanted], entries)

    def refusal(self, *, answer: HttpAnswer) -> Answer | None:
        """Nothing beyond what its codes say."""
        return None


@lru_cache(maxsize=256)
def _common(of: Heads, stream: str) -> tuple[str, str]:
    fixed = {
        "From": mailbox(name=of.sender_name, address=of.sender), "Subject": of.subject,
        **({"ReplyTo": of.reply_to} if of.reply_to else {}), **({"MessageStream": stream} if stream else {}),
        "TrackOpens": False, "TrackLinks": "None",
    }  # fmt: skip
    # X-PM-KeepID: else Postmark replaces Message-ID.
    named = {"Auto-Submitted": "auto-generated", "Content-Language": of.language, "X-PM-KeepID": "true"}
    heads = "".join("," + dumps({"Name": name, "Value": value}) for name, value in named.items())
    return dumps(fixed)[:-1] + ',"Headers":[', heads + "],"


def _mailbox(to: str) -> str:
    return wire_address(address=parseaddr(to)[1] or to).lower()


def _to_of(entry: Any) -> str:
    to = entry.get("To") if isinstance(entry, dict) else None
    return _mailbox(to) if isinstance(to, str) else ""


def _may_be(entry: Any, wanted: str) -> bool:
    """Whether an entry is not plainly somebody else's: refusals name nobody."""
    return isinstance(entry, dict) and (entry.get("To") == wanted or _to_of(entry) in {"", _mailbox(wanted)})


def _by_recipient(wanted: Sequence[str], entries: Sequence[Any]) -> list[Answer]:
    """Too few, too many or in another order: only entries that name their recipient, and as many as there are letters to it."""
    named, letters = defaultdict[str, list[Any]](list), defaultdict[str, list[int]](list)
    for entry in entries:
        named[_to_of(entry)].append(entry)
    for at, to in enumerate(wanted):
        letters[to].append(at)
    answers = [_doubt("the answer does not say what became of this letter")] * len(wanted)
    for to, places in letters.items():
        if len(named[to]) == len(places):
            for at, entry in zip(places, named[to], strict=True):
                answers[at] = _answer_of(entry)
    return answers


def _answer_of(entry: Any) -> Answer:
    if not isinstance(entry, dict):
        return _doubt("an entry that cannot be read")
    code, provider_id = entry.get("ErrorCode"), entry.get("MessageID")
    if type(code) is int and code == 0 and isinstance(provider_id, str) and provider_id:
        return taken(provider_id=provider_id)
    if type(code) is not int or code == 0:
        return _doubt("an entry without code or id")
    if str(code) in LATER:
        return Answer(error=SendErrorKind.NOT_SENT, detail=f"postmark: not now ({code})", throttled=code == 429)
    return meaning_of(kind="postmark", reasons=list(reasons_in(kind="postmark", data=entry, heads={})), status=200)


def _doubt(detail: str) -> Answer:
    return Answer(error=SendErrorKind.DOUBTFUL, detail=f"postmark: {detail}")


class PostmarkProvider(BatchProvider):
    """Postmark by its batch endpoint, and its Messages API for look-ups."""

    def __init__(self, address: MailAddress) -> None:
        self._keys = {"server_token": provider_key(kind="postmark", name="POSTMARK_SERVER_TOKEN")}
        api = PostmarkApi(token=self._keys["server_token"], stream=address.options.get("stream", ""))
        super().__init__(api=api, base=provider_url(kind="postmark", default=URL), batch=address.batch or PostmarkApi.most)

    def look_up(self, *, message_ref: str) -> bool | None:
        """True when Postmark names our reference; what is not found may only not be found yet."""
        line = HttpLine(base=self.base, seconds=settings.PROVIDER_TIMEOUT_SECONDS)
        try:
            return at_postmark(line, self._keys, {}, message_ref) or None
        except SendError:
            return None
        finally:
            line.close()
