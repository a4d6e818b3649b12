"""What a relay says (RFC 5321, 4.2; RFC 3463) and what that means for a letter.

The words of a refusal are read and never kept, since they quote people; its codes are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from incidents.dispatch.channels.contract import Answer, SendErrorKind

MOST_REPLY_BYTES: Final = 65_536
LONGEST_PROVIDER_ID: Final = 120
_USUAL_BYTES: Final = 512
#: "The service is closing": may come in place of any answer (RFC 5321, 3.8).
CLOSING: Final = 421

_LINE: Final = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED: Final = re.compile(rb"[245]\.[0-9]{1,3}\.[0-9]{1,3}(?![0-9.])")
_ADDRESS: Final = re.compile(r"[^\s<>]*(?:@|%40|=40)[^\s<>]*")
#: "Too many recipients" (4.5.3) is no word about pace: a letter of ours has one.
_TOO_FAST: Final = re.compile(
    rb"too (?:many(?! recipients)|fast|much)|rate.?limit|rate exceeded|throttl|slow down|4\.7\.28", re.IGNORECASE
)
#: The quota of the day is used up, as SES's relay says it.
_SPENT: Final = re.compile(rb"daily message quota exceeded", re.IGNORECASE)
#: How those that greylist say it (RFC 6647): whoever comes again after a while is let in, and each of our letters is a first one.
_GREYLISTED: Final = re.compile(rb"gr[ae]y[ -]?list", re.IGNORECASE)
#: A refusal that says nothing of the person: the relay does not carry our mail at all, or not this letter to anybody.
_OURS: Final = re.compile(
    rb"relay(?:ing)? (?:access )?(?:denied|not permitted|prohibited|not allowed)|unable to relay|not permitted to relay"
    rb"|authentication (?:is )?required|not authenticated|unauthenticated|must (?:be )?authenticate"
    rb"|not verified|sending (?:is )?(?:suspended|paused|disabled)|account (?:is |has been )?(?:suspended|disabled|blocked)"
    rb"|client host|helo command|sender address rejected|blocked using|send as\b|not owned by"
    rb"|(?:sending|sender|outbound|relay(?:ing)?) (?:limit|quota)|sending ip\b|from this ip\b|reverse dns"
    rb"|(?:black|block) ?list|spam|virus|\bdmarc\b|\bspf\b|\bdkim\b|message (?:size )?exceeds|message (?:is )?too (?:big|large)",
    re.IGNORECASE,
)
_OUR_CODES: Final = frozenset({530, 534, 535, 538})
#: The same as enhanced codes: our sender, a letter too large for the relay, our quota, how we speak SMTP, what it lets us do. Not
#: 5.7.0 and 5.7.1, which servers say of anything: one person's would pause everybody's letters again and again. Where they are
#: meant for all, so many are refused running that the brake of `shift` stops.
_OUR_ENHANCED: Final = re.compile(r"5\.(?:1\.[78]|3\.4|4\.5|5\.[0-9]+|7\.(?:[3-9]|[1-9][0-9]+))")
#: Codes that name the mailbox, whatever words stand beside them: it is gone, full or shut, or lets only some people write to it.
_PERSONS_ENHANCED: Final = re.compile(r"5\.(?:1\.(?:1|2|3|6|10)|2\.[0-9]+|7\.(?:2|12|13|17|18|1[1-3][0-9]|504|505|507|513|703))")
#: Words that name it, where the code alone would be ours; the first kind goes before every other word.
_PERSONS_RULE: Final = re.compile(rb"resolver\.", re.IGNORECASE)
_PERSONS: Final = re.compile(
    rb"recipient|mailbox|mailing list|distribution (?:list|group)|user (?:is )?(?:unknown|not found)|(?:unknown|no such) user"
    rb"|only accepts|accepts? (?:mail|messages?) (?:only )?from",
    re.IGNORECASE,
)
#: What is quoted of an address is nobody's word.
_QUOTED: Final = re.compile(rb"[^\s<>]*@[^\s<>:;,]*")


class GarbledReply(Exception):
    """What came is no SMTP reply, or one without end."""


class Reply(NamedTuple):
    """One whole reply: its code, and the words of each of its lines."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def named(self) -> str:
        """Code and enhanced code, which hold nothing personal: '550 5.1.1'."""
        enhanced = _ENHANCED.match(self.lines[-1])
        return f"{self.code} {enhanced[0].decode()}" if enhanced else str(self.code)


@lru_cache(maxsize=64)
def _usual(line: bytes) -> Reply | None:
    """A reply of one line: most are the same again for every letter."""
    found = _LINE.fullmatch(line)
    return Reply(int(found[1]), (found[3] or b"",)) if found and found[2] != b"-" else None


class ReplyReader:
    """Cuts what arrives, in whatever pieces, into replies."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[bytes] = []
        self._code = b""
        self._size = 0

    @property
    def in_the_middle(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> Iterator[Reply]:
        """The replies that end within `data`. Raises GarbledReply, after those that came before it."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            reply = self._line(line.removesuffix(b"\r"))
            if reply is not None:
                yield reply
        if self._size + len(self._rest) > MOST_REPLY_BYTES:
            raise GarbledReply

    def _line(self, line: bytes) -> Reply | None:
        if not self._lines and len(line) <= _USUAL_BYTES and (whole := _usual(line)) is not None:
            return whole
        found = _LINE.fullmatch(line)
        self._size += len(line)
        if found is None or self._size > MOST_REPLY_BYTES:
            raise GarbledReply
        code, mark, words = found.groups()
        if self._lines and code != self._code:
            raise GarbledReply  # RFC 5321, 4.2.1: each line of a reply has its code
        if mark == b"-":
            self._code = code
            self._lines.append(words)
            return None
        reply = Reply(int(code), (*self._lines, words or b""))
        self._lines.clear()
        self._size = 0
        return reply


def taken_as(*, reply: Reply) -> str:
    """The relay's words for a letter that it took: the provider's id. Printable ASCII, and no address in it."""
    words = b" ".join(reply.lines).decode("ascii", "replace")
    if "@" in words or "40" in words:
        words = _ADDRESS.sub("(address)", words)
    if not (words.isascii() and words.isprintable()):
        words = re.sub(r"[^ -~]", "?", words)
    return words[:LONGEST_PROVIDER_ID]


def speaks_of_pace(*, reply: Reply) -> bool:
    """Whether what is said before any letter means that we are too fast: in words, or by closing for a policy (4.7.x)."""
    closing_by_policy = reply.code == CLOSING and reply.named.partition(" ")[2].startswith("4.7.")
    return 400 <= reply.code < 500 and (closing_by_policy or _TOO_FAST.search(b" ".join(reply.lines)) is not None)


def refusal(*, stage: str, reply: Reply, special: bool = False) -> Answer:
    """What a 4xx or 5xx means. `stage`: MAIL, RCPT, DATA, DOT; `special`: MAIL asked for SMTPUTF8, for this letter alone."""
    what = {"MAIL": "our sender", "RCPT": "the recipient"}.get(stage, "the letter")
    words = b" ".join(reply.lines)
    if reply.code < 500:
        if _SPENT.search(words):
            detail = f"the relay says that our quota is used up ({reply.named})"
            return Answer(error=SendErrorKind.NOT_SENT, detail=detail, spent=True)
        throttled = reply.code == CLOSING or _TOO_FAST.search(words) is not None
        later = not throttled and stage != "MAIL" and _GREYLISTED.search(words) is not None
        detail = f"the relay put {what} off ({reply.named}{', greylisted' if later else ''})"
        return Answer(error=SendErrorKind.NOT_SENT, detail=detail, throttled=throttled, greylisted=later)
    # A sender refused is refused for everybody: the campaign pauses, before each person is struck off for it.
    ours = (stage == "MAIL" and not special) or reply.code in _OUR_CODES or _is_about_us(reply, _QUOTED.sub(b"", words), special)
    kind = SendErrorKind.ACCOUNT if ours else SendErrorKind.REFUSED
    return Answer(error=kind, detail=f"the relay refused {what} ({reply.named})")


def _is_about_us(reply: Reply, words: bytes, special: bool) -> bool:
    """Whether a refusal would meet everybody's letter, by its words or by a code that leaves no doubt."""
    enhanced = reply.named.partition(" ")[2]
    if _PERSONS_ENHANCED.fullmatch(enhanced) or _PERSONS_RULE.search(words):
        return False
    if _OURS.search(words):
        return True
    return not special and _OUR_ENHANCED.fullmatch(enhanced) is not None and not _PERSONS.search(words)
