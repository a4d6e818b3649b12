"""A letter's MIME form, built once by the standard library with placeholders, and filled per person by substitution.

Quoted-printable (RFC 2045, 6.7) lets a value stand between two soft line breaks, on lines of its own: nothing around it moves,
and it cannot reach out of its place. The boundary holds "=_", which no quoted-printable line can. Wherever substitution is not
certain to say what the library would have said, the library builds the mail; so what comes out is always right, and mostly fast.
"""

from __future__ import annotations

import html
import re
import unicodedata
from binascii import b2a_qp
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.errors import MessageError
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Final, NamedTuple

import idna

from incidents.audit.bundle_format import canonical_json
from incidents.letters.heads import EXACT, EXACT_UTF8
from incidents.letters.in_their_place import addressed_elsewhere
from incidents.letters.language import CompiledLetter, joined, slot_value
from incidents.letters.mail import OutgoingMail
from incidents.letters.render import compiled

#: Behind this stand the lines that address whoever reads in the person's place (`in_their_place`); mostly there are none.
_ABOVE_AFTER: Final = {"text": "\n\n", "html": "</header>\n"}
#: RFC 2045, 6.7 (5): with the "=" of a soft break, no line is longer than 76.
_LONGEST_BEFORE_A_SOFT_BREAK: Final = 75
#: Words that quoted-printable leaves as they are, on one line.
_PLAIN_WORDS: Final = re.compile(rf"(?=.{{1,{_LONGEST_BEFORE_A_SOFT_BREAK}}}$)[!-<>-~]+(?: [!-<>-~]+)*")
#: A mailbox that can stand in a head as it is: an ASCII dot-atom before and after the @ (RFC 5322, 3.4.1).
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_PLAIN_MAILBOX: Final = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*")
_PLAIN_REF: Final = re.compile(r"[0-9a-f]{32}")
_PLAIN_DATE: Final = re.compile(r"[A-Za-z0-9,:+ -]{20,40}")
_ANY_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_SOME_DAY: Final = datetime(2026, 1, 1, tzinfo=UTC)
#: What ends a letter on the wire (RFC 5321, 4.1.1.4).
ENDING: Final = b"\r\n.\r\n"


class Heads(NamedTuple):
    """What is the same in the heads of every letter of one text."""

    sender: str
    sender_name: str
    reply_to: str
    language: str
    subject: str


class Said(NamedTuple):
    """One person's letter, as where it goes and what stands in its places."""

    to: str
    message_ref: str
    #: Place in the text or the HTML -> what it says there.
    inner: Mapping[str, str]


def skeleton_for(*, letter_sha256: str, body: str, headers: Mapping[str, str], elsewhere: bool = False) -> Skeleton:
    """The skeleton of a compiled letter (as stored) under a campaign's heads, kept in memory.

    `elsewhere`: as whoever reads it in the person's place gets it.
    """
    return _skeleton(letter_sha256, body, headers["sender"], headers["sender_name"], headers["reply_to"], elsewhere)


@lru_cache(maxsize=1024)
def _skeleton(letter_sha256: str, body: str, sender: str, sender_name: str, reply_to: str, elsewhere: bool) -> Skeleton:
    letter = compiled(letter_sha256, body)
    letter = addressed_elsewhere(letter=letter) if elsewhere else letter
    return Skeleton(letter=letter, sender=sender, sender_name=sender_name, reply_to=reply_to)


def built(*, mail: OutgoingMail, date: str) -> bytes:
    """A mail as bytes by the standard library alone, lines ended by CRLF; `date` is the Date head.

    7-bit, unless the address itself needs SMTPUTF8 (RFC 6531). ValueError when the mail cannot be written.
    """
    mail = replace(mail, to=wire_address(address=mail.to))
    policy = EXACT if mail.to.isascii() else EXACT_UTF8
    try:
        raw = mail.build(date=parsedate_to_datetime(date)).as_bytes(policy=policy)
    except (LookupError, AttributeError, TypeError, MessageError) as error:
        # The library's own ways of saying that an address is none.
        raise ValueError(f"the mail cannot be written: {type(error).__name__}") from None
    # A line feed of its own could end the letter early for a relay that is lax about line ends.
    return _ANY_LINE_END.sub(b"\r\n", raw)


def wire_address(*, address: str) -> str:
    """An address with its domain in ASCII (RFC 5891); as it is where that cannot be done."""
    local, at, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{local}{at}{idna.encode(domain, uts46=True).decode('ascii')}"
    except idna.IDNAError:
        return address


def stuffed(*, raw: bytes) -> bytes:
    """A letter with its lines' first dots doubled (RFC 5321, 4.5.2) and its end."""
    return _ended(_dots_doubled(raw))


def _ended(whole: bytes) -> bytes:
    return whole + ENDING[2:] if whole.endswith(b"\r\n") else whole + ENDING


def _dots_doubled(lines: bytes) -> bytes:
    """Of bytes that begin where a line begins."""
    whole = lines.replace(b"\r\n.", b"\r\n..")
    return b"." + whole if whole.startswith(b".") else whole


class Skeleton:
    """One compiled letter under one campaign's heads, as MIME bytes and as the bytes that are hashed, its places left open."""

    def __init__(self, *, letter: CompiledLetter, sender: str, sender_name: str, reply_to: str) -> None:
        self.heads = Heads(sender, sender_name, reply_to, letter.language, letter.subject)
        self._text, self._html = _Part("text", letter.text_pieces), _Part("html", letter.html_pieces)
        self._slots = tuple((slot, f"text.{slot}", f"html.{slot}") for slot in sorted(letter.slots))
        #: How many places there are in both parts.
        self._inner = len(self._text.pieces) // 2 + len(self._html.pieces) // 2
        marks = self._marks()
        self._wire, self._json = self._mime_form(marks), self._json_form(marks)
        self._by_smtp = self._wire and self._wire.stuffed()

    def say(self, *, to: str, message_ref: str, values: Mapping[str, str], above: tuple[str, str] = ("", "")) -> Said | None:
        """This letter to one person; None where substitution may not say what the library would, which then has to build it.

        `above`: what stands above the letter in the text and in the HTML. ValueError when a slot has no value.
        """
        if self._wire is None or not (_PLAIN_MAILBOX.fullmatch(to) and "=?" not in to and _PLAIN_REF.fullmatch(message_ref)):
            return None
        if above != ("", "") and not (self._text.opens and self._html.opens and "\r" not in "".join(above)):
            return None
        inner = {"text.above": above[0], "html.above": above[1]}
        for slot, in_text, in_html in self._slots:
            inner[in_text] = value = slot_value(slot=slot, values=values)
            inner[in_html] = html.escape(value)
        return Said(to, message_ref, inner)

    def raw(self, *, said: Said, date: str) -> bytes:
        """The whole message, lines ended by CRLF; `date` is the Date head. ValueError when it is none."""
        assert self._wire is not None  # else nothing was said
        return self._wire.filled(_heads_of(said, date) | {place: _own_lines(value) for place, value in said.inner.items()})

    def stuffed(self, *, said: Said, date: str) -> bytes:
        """The same as it travels by SMTP: `stuffed` of it."""
        assert self._by_smtp is not None
        filled, own = _heads_of(said, date), {"": b""}
        for place, value in said.inner.items():
            if value not in own:  # a name is mostly the same in both parts, and quoted once
                own[value] = _dots_doubled(_own_lines(value))
            filled[place] = own[value]
        return self._by_smtp.filled(filled)

    def content_sha256(self, *, said: Said) -> str:
        """The very same as that of the whole mail, sooner."""
        if self._json is None:
            return self.mail(said=said).content_sha256
        inner = {place: encode_basestring(value)[1:-1] if value else "" for place, value in said.inner.items()}
        if not self._json.stays_composed(inner):
            return self.mail(said=said).content_sha256
        filled = _ends_of(said)
        for place, value in inner.items():
            filled[place] = value.encode("utf-8")
        return sha256(self._json.filled(filled)).hexdigest()

    def mail(self, *, said: Said) -> OutgoingMail:
        """The whole mail, for whoever takes no MIME."""
        return OutgoingMail(said.message_ref, said.to, *self.heads, self._text.joined(said.inner), self._html.joined(said.inner))

    def json_parts(self, *, said: Said) -> tuple[str, str]:
        """Text and HTML as JSON strings in ASCII."""
        return self._text.in_json(said.inner), self._html.in_json(said.inner)

    def _marks(self) -> dict[str, str]:
        """Place -> letters and digits that stand for it and cannot occur in the letter, since they are made of its hash.

        No accent melts with a Q, so that a mark stays itself when the whole is composed.
        """
        whole = repr((tuple(self.heads), self._text.pieces, self._html.pieces))
        seed = sha256(whole.encode("utf-8", "backslashreplace")).hexdigest()[:32]
        inner = [place for _, *places in self._slots for place in places] + ["text.above", "html.above"]
        numbered = {place: f"Mark{number}x{seed}Q" for number, place in enumerate([*inner, "text", "html", "date"])}
        return {**numbered, "message_ref": seed[::-1], "to": f"{seed}@place.invalid"}

    def _template(self, marks: Mapping[str, str], *, text: str, page: str) -> OutgoingMail:
        return OutgoingMail(marks["message_ref"], marks["to"], *self.heads, text, page)

    def _json_form(self, marks: Mapping[str, str]) -> _Form | None:
        mail = self._template(marks, text=self._text.joined(marks), page=self._html.joined(marks))
        form = _Form.of(canonical_json(asdict(mail)).decode(), marks)
        return (
            form
            if len(form.places) == self._inner + 2
            and all(_stands_alone(edge) for before, _, after in form.runs for edge in (before, after))
            else None
        )

    def _mime_form(self, marks: Mapping[str, str]) -> _Form | None:
        pieces = (*self._text.pieces, *self._html.pieces)
        if any("\r" in piece for piece in pieces) or not (self._text.pieces[-1] and self._html.pieces[-1]):
            return None  # a place at the very end: whether a line end is missing there depends on its value
        message = self._template(marks, text=marks["text"], page=marks["html"]).build(date=_SOME_DAY)
        message.set_boundary(f"=_{sha256(marks['to'].encode()).hexdigest()[:32]}")
        raw, day = message.as_bytes(policy=EXACT).decode("ascii"), f"\r\nDate: {format_datetime(_SOME_DAY)}\r\n"
        expected = (marks["message_ref"], marks["to"], marks["text"] + "\r\n", marks["html"] + "\r\n", day)
        if any(raw.count(once) != 1 for once in expected):
            return None  # folded or encoded so that no place is left to fill
        raw = raw.replace(day, f"\r\nDate: {marks['date']}\r\n")
        raw = raw.replace(marks["text"] + "\r\n", self._text.quoted(marks))
        form = _Form.of(raw.replace(marks["html"] + "\r\n", self._html.quoted(marks)), marks)
        return form if len(form.places) == self._inner + 3 else None


def _ends_of(said: Said) -> dict[str, bytes]:
    return {"to": said.to.encode("ascii"), "message_ref": said.message_ref.encode("ascii")}


def _heads_of(said: Said, date: str) -> dict[str, bytes]:
    if not _PLAIN_DATE.fullmatch(date):
        raise ValueError("this is no Date head")
    return {"to": said.to.encode("ascii"), "message_ref": said.message_ref.encode("ascii"), "date": date.encode("ascii")}


class _Part:
    """The text or the HTML of a letter: words and names of places in turn."""

    def __init__(self, name: str, pieces: tuple[str, ...]) -> None:
        head, mark, rest = pieces[0].partition(_ABOVE_AFTER[name])
        first, second = (head + mark, rest) if mark else ("", head)
        others = (piece if at % 2 else f"{name}.{piece}" for at, piece in enumerate(pieces[1:]))
        self.pieces = (first, f"{name}.above", second, *others)
        self._escaped = tuple(piece if at % 2 else _in_ascii_json(piece) for at, piece in enumerate(self.pieces))
        #: Whether lines above the letter stand where `in_their_place` puts them: behind the head, or before all where none is.
        self.opens = bool(mark) or not any(_ABOVE_AFTER[name] in piece for piece in self.pieces[::2])

    def joined(self, values: Mapping[str, str]) -> str:
        """The part with its places filled."""
        return joined(pieces=self.pieces, values=values)

    def in_json(self, values: Mapping[str, str]) -> str:
        """The filled part as a JSON string in ASCII."""
        escaped = {place: _in_ascii_json(values[place]) for place in self.pieces[1::2]}
        return f'"{joined(pieces=self._escaped, values=escaped)}"'

    def quoted(self, marks: Mapping[str, str]) -> str:
        """The part in quoted-printable, a mark in each place; ends with a line end, as the library has it."""
        *parts, last = self.pieces
        whole = [marks[part] if at % 2 else _own_lines(part).decode("ascii") for at, part in enumerate(parts)]
        end = last if last.endswith("\n") else last + "\n"
        return "".join(whole) + _quoted(end).decode("ascii")


def _in_ascii_json(words: str) -> str:
    return encode_basestring_ascii(words)[1:-1]


@dataclass(frozen=True, slots=True)
class _Form:
    """Fixed bytes with places between them."""

    pieces: tuple[bytes, ...]
    places: tuple[tuple[int, str], ...]
    #: Neighbouring places with nothing between them, and the characters right before and right after them, for each such run.
    runs: tuple[tuple[str, tuple[str, ...], str], ...]
    #: The same of the runs within the parts, as words and places in turn, each run on a line of its own.
    edges: tuple[str, ...]
    #: Whether their words are ASCII.
    plain_edges: bool

    @classmethod
    def of(cls, whole: str, marks: Mapping[str, str]) -> _Form:
        """Split where the marks stand."""
        place_of = {mark: place for place, mark in marks.items()}
        parts = re.split("(" + "|".join(re.escape(mark) for mark in place_of) + ")", whole)
        places = tuple((at, place_of[parts[at]]) for at in range(1, len(parts), 2))
        runs = tuple(_runs(parts, place_of))
        edges = _edges(runs)
        plain_edges = "".join(edges[::2]).isascii()
        return cls(tuple(part.encode("utf-8") for part in parts), places, runs, edges, plain_edges)

    def filled(self, values: Mapping[str, bytes]) -> bytes:
        """The whole with each place filled."""
        parts = list(self.pieces)
        for at, place in self.places:
            parts[at] = values[place]
        return b"".join(parts)

    def stuffed(self) -> _Form:
        """The same as it travels by SMTP: places of the parts begin a line and end one, those of heads stand within one."""
        begins = {0, *(at + 1 for at, place in self.places if "." in place)}
        doubled = (
            _dots_doubled(piece) if at in begins else _dots_doubled(b" " + piece)[1:] for at, piece in enumerate(self.pieces)
        )
        *pieces, last = doubled
        return replace(self, pieces=(*pieces, _ended(last)))

    def stays_composed(self, inner: Mapping[str, str]) -> bool:
        """Whether the whole is in Unicode's composed form (NFC) with these values in its parts, given that the pieces are."""
        if self.plain_edges and "".join(inner.values()).isascii():
            return True
        return unicodedata.is_normalized("NFC", joined(pieces=self.edges, values=inner))


def _edges(runs: Iterable[tuple[str, tuple[str, ...], str]]) -> tuple[str, ...]:
    """Addresses and names of messages are ASCII, and so is what stands around them."""
    found = [""]
    for before, places, after in runs:
        if inner := [place for place in places if "." in place]:
            found[-1] += before
            for place in inner:
                found += [place, ""]
            found[-1] += f"{after}\n"
    return tuple(found)


def _runs(parts: list[str], place_of: Mapping[str, str]) -> Iterator[tuple[str, tuple[str, ...], str]]:
    run: tuple[str, ...] = ()
    before = ""
    for at in range(1, len(parts), 2):
        before = before if run else parts[at - 1][-1:]
        run = (*run, place_of[parts[at]])
        if parts[at + 1]:
            yield before, run, parts[at + 1][0]
            run = ()


def _stands_alone(edge: str) -> bool:
    """Whether a character is sure never to melt into what stands before it (UAX 15, 9.1: stable code points)."""
    if edge.isascii():
        return edge != ""  # where a place is the first or the last of all there is nothing to lean on
    plain = not unicodedata.category(edge).startswith("M") and not unicodedata.combining(edge)
    return plain and ord(edge) <= 0xFFFF and not 0x1100 <= ord(edge) <= 0x11FF  # Hangul jamo and young scripts: not sure


def _quoted(words: str) -> bytes:
    return b2a_qp(words.encode("utf-8"), istext=True).replace(b"\n", b"\r\n")


def _own_lines(words: str) -> bytes:
    """In quoted-printable, ending where a line ends, by a soft break if need be: what follows begins a line."""
    if not words:
        return b""
    if _PLAIN_WORDS.fullmatch(words):
        return words.encode("ascii") + b"=\r\n"
    quoted = _quoted(words)
    if not quoted or quoted.endswith(b"\n"):
        return quoted
    if len(quoted) - quoted.rfind(b"\n") - 1 > _LONGEST_BEFORE_A_SOFT_BREAK:
        return _own_lines(words[:-1]) + _own_lines(words[-1])
    return quoted + b"=\r\n"
