"""Reading the letter language: source text to a tree, with line and column for whatever is not part of it.

The language is text, [[field]], [[#if fact]] and approved law blocks; no loops, filters, attributes, includes, HTML,
links.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from incidents.letters.content import ANNEXES, GROUPS, STATEMENTS
from incidents.letters.wording import ELEMENTS

LIST_FIELDS: Final = frozenset({"elements", "not_involved"})
# fmt: off
FIELDS: Final = LIST_FIELDS | {
    "brand", "legal_entity", "legal_address", "letter_date", "occurred_on", "discovered_on", "website",
    "website_page", "phone", "phone_hours", "dpo_name", "dpo_email", "authority_name", "authority_site", "law_name",
    "sender_email", "subject_line", "offer_provider", "offer_months", "offer_enrolment", "parent_company",
    "number_affected", "delay_reason", "recipient", "intruder", "state_ag_name", "state_ag_address", "state_ag_phone",
    "state_ag_site",
}
# fmt: on
#: The only values that differ from person to person: whom the letter is about, who reads it (mostly the same), and the code.
SLOTS: Final = frozenset({"person_name", "reader_name", "reference_code"})

#: The US jurisdictions, for `in.us_<code>`.
# fmt: off
US_PLACES: Final = (
    "al", "ak", "az", "ar", "ca", "co", "ct", "de", "dc", "fl", "ga", "gu", "hi", "id", "il", "in", "ia", "ks", "ky", "la",
    "me", "md", "ma", "mi", "mn", "ms", "mo", "mt", "ne", "nv", "nh", "nj", "nm", "ny", "nc", "nd", "oh", "ok", "or", "pa",
    "pr", "ri", "sc", "sd", "tn", "tx", "ut", "vt", "vi", "va", "wa", "wv", "wi", "wy",
)
GIVEN_FACTS: Final = frozenset(f"has.{element}" for element in ELEMENTS) | {
    "has_not.any", "has.authority", "has.attorney_general", "is.attack", "is.mistake", "is.loss", "is.insider",
    "is.at_provider", "is.contained", "is.experts_engaged", "is.authorities_informed", "is.occurred_known", "is.occurred_range",
    "is.statutory", "is.voluntary", "is.law_unknown", "is.child", "is.police_delay", "is.services_offered",
    "is.no_services", "is.offer_owed", "is.toll_free", "is.toll_call", "is.parent_known", "is.without_parent", "is.late",
    "is.delay_explained", "is.recipient_known", "is.intruder_known", "in.eea", "in.gb", "in.ch", "in.jp", "in.kr",
    "in.tr", "in.us",
} | {f"in.us_{place}" for place in US_PLACES} | {f"owes.{item}" for item in STATEMENTS}
# fmt: on
#: Facts that follow from the given ones: whether the reader's data include an element of the group, and whether the
#: law asks for one of the statements of a law block.
DERIVED_FACTS: Final = frozenset(f"any.{group}" for group in GROUPS) | {f"owes.{annex}" for annex in ANNEXES}
FACTS: Final = GIVEN_FACTS | DERIVED_FACTS

MAX_SOURCE_BYTES: Final = 100_000
MAX_NESTING: Final = 20

_NO_LINKS: Final = "a letter has no links and no images"
_REFUSED: Final = (
    (re.compile(r"<[A-Za-z/!?%]"), "raw HTML has no place in a letter"),
    (re.compile(r"&#?\w+;"), "write the character itself, not an HTML entity"),
    (re.compile(r"\{\{|\{%|\{#|\$\{"), "this is another template language; a letter knows only [[...]]"),
    (re.compile(r"(?i)[a-z][a-z0-9+.-]*://|\bwww\.|\b(?:mailto:|(?:java|vb)script:|data:\w+/|tel:\+?\d)"), _NO_LINKS),
    (re.compile(r"\[[^\[\]]*\]\("), _NO_LINKS),
    (re.compile(r"\*\*|__|~~|`"), "a letter has headings, paragraphs and lists; no emphasis and no code"),
)
_UNKNOWN_MARKER: Final = re.compile(r"#|[*+>] |\||-{3}|={3}|\d+\) ")
_MARKER: Final = re.compile(r"(?P<heading>#{1,2}) |(?P<bullet>-) |(?P<number>\d{1,2})\. ")
_DIRECTIVE: Final = re.compile(r"\[\[([^\[\]]*)\]\]")
_TOKEN: Final = re.compile(r"\[\[(.*?)\]\]|\[\[|\]\]")
_SAYS: Final = re.compile(r"\[\[says ([a-z_ ]+)\]\]\s*")
_LAW: Final = re.compile(r"law:([a-z0-9]+(?:-[a-z0-9]+)*/[a-z0-9]+(?:-[a-z0-9]+)*)")
#: Invisible characters that scripts need: zero width (non-)joiner. All other format characters are refused or stripped.
_JOINERS: Final = "\u200c\u200d"
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class LetterSyntaxError(Exception):
    """A letter that cannot be read or compiled: what is wrong and where (line and column count from 1)."""

    def __init__(self, *, name: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{name}, line {line}, column {column}: {message}")
        self.name, self.line, self.column, self.message = name, line, column, message


class LetterGaps(LetterSyntaxError):
    """A letter whose fields have no value for its readers: all of them, and where the first one stands."""

    def __init__(self, *, fields: tuple[str, ...], place: Place) -> None:
        named = ", ".join(f"[[{name}]]" for name in fields)
        super().__init__(
            name=place.name, line=place.line, column=place.column,
            message=f"{named} {'has' if len(fields) == 1 else 'have'} no value for these readers",
        )  # fmt: skip
        self.fields = fields


@dataclass(frozen=True)
class Place:
    """Where something stands in a source."""

    name: str
    line: int
    column: int

    def refuse(self, message: str) -> NoReturn:
        """Raise the error for this place."""
        raise LetterSyntaxError(name=self.name, line=self.line, column=self.column, message=message)


@dataclass(frozen=True)
class Value:
    """A field or a personal slot."""

    name: str
    place: Place


@dataclass(frozen=True)
class Choice:
    """One of two runs of nodes, by a fact; inline or of whole blocks."""

    fact: str
    then: tuple[Any, ...]
    otherwise: tuple[Any, ...]


@dataclass(frozen=True)
class LawBlock:
    """An approved text of a law, by id."""

    block: str
    place: Place


@dataclass(frozen=True)
class Block:
    """A heading (h1, h2), paragraph (p), bullet or numbered item; `says` are the content items it states."""

    kind: str
    inline: tuple[str | Value | Choice, ...]
    says: frozenset[str]
    place: Place


@dataclass(frozen=True)
class LetterTree:
    """A parsed letter; `subject` is None for a law block."""

    name: str
    subject: tuple[str | Value | Choice, ...] | None
    blocks: tuple[Block | Choice | LawBlock, ...]


def parse_letter(*, source: str, name: str) -> LetterTree:
    """Read a whole letter, whose first line is `Subject: ...`; LetterSyntaxError with line and column."""
    lines = _readable_lines(source, name)
    if not lines[0].startswith("Subject: "):
        Place(name, 1, 1).refuse("the first line of a letter is `Subject: ...` (law blocks: parse_law_block)")
    run = _Run(name)
    run.feed(lines[0][9:], 1, 10)
    subject = run.close()
    for value in _values(subject):
        if value.name in SLOTS | LIST_FIELDS:
            value.place.refuse(f"[[{value.name}]] does not belong in a subject line, which all readers share")
    if not "".join(part if isinstance(part, str) else "x" for part in subject).strip():
        Place(name, 1, 10).refuse("the subject line is empty")
    return LetterTree(name, subject, _Reader(name).read(lines[1:], first=2))


def parse_law_block(*, source: str, name: str) -> LetterTree:
    """Read an approved law block: no subject line, no law block within; LetterSyntaxError with line and column."""
    return LetterTree(name, None, _Reader(name, in_law=True).read(_readable_lines(source, name), first=1))


def _readable_lines(source: str, name: str) -> list[str]:
    """The lines of a source of acceptable size, without anything that a letter must not hold."""
    if len(source.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        Place(name, 1, 1).refuse(f"the source is larger than {MAX_SOURCE_BYTES} bytes")
    lines = source.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    for number, line in enumerate(lines, start=1):
        for column, character in enumerate(line, start=1):
            if unicodedata.category(character) in _UNSEEN and character not in _JOINERS:
                Place(name, number, column).refuse(f"the character U+{ord(character):04X} cannot be seen")
        for pattern, message in _REFUSED:
            if found := pattern.search(line):
                Place(name, number, found.start() + 1).refuse(message)
    return lines


def _values(nodes: Iterable[Any]) -> Iterable[Value]:
    for node in nodes:
        if isinstance(node, Value):
            yield node
        elif isinstance(node, Choice):
            yield from _values(node.then + node.otherwise)


@dataclass
class _Open:
    """An [[#if]] that waits for its [[/if]]."""

    fact: str
    place: Place
    then: list[Any] = field(default_factory=list)
    otherwise: list[Any] | None = None

    def nodes(self) -> list[Any]:
        return self.then if self.otherwise is None else self.otherwise


class _Nest:
    """Nested choices, inline or of blocks: the stack of open ones and the nodes that stand outside all."""

    def __init__(self, depth: int) -> None:
        self.top: list[Any] = []
        self.stack: list[_Open] = []
        self.depth = depth

    def nodes(self) -> list[Any]:
        return self.stack[-1].nodes() if self.stack else self.top

    def directive(self, words: str, place: Place) -> None:
        """`#if fact`, `#else` or `/if`."""
        if words.startswith("#if "):
            self._open(words[4:], place)
        elif words == "#else":
            if not self.stack or self.stack[-1].otherwise is not None:
                place.refuse("[[#else]] without an open [[#if ...]]")
            self.stack[-1].otherwise = []
        elif words == "/if":
            if not self.stack:
                place.refuse("[[/if]] without an open [[#if ...]]")
            done = self.stack.pop()
            self.nodes().append(Choice(done.fact, tuple(done.then), tuple(done.otherwise or ())))
        else:
            place.refuse(f"unknown directive [[{words[:60]}]]")

    def _open(self, fact: str, place: Place) -> None:
        if fact not in FACTS:
            place.refuse(f"unknown fact {fact[:60]!r}")
        if self.depth + len(self.stack) >= MAX_NESTING:
            place.refuse(f"[[#if ...]] is nested deeper than {MAX_NESTING}")
        self.stack.append(_Open(fact, place))

    def close(self) -> tuple[Any, ...]:
        """All nodes; an error at the place of an [[#if]] that was never closed."""
        if self.stack:
            self.stack[-1].place.refuse("this [[#if ...]] has no [[/if]]")
        return tuple(self.top)


class _Run:
    """Inline text of one block, line by line."""

    def __init__(self, name: str, depth: int = 0) -> None:
        self.name = name
        self.nest = _Nest(depth)

    def feed(self, text: str, line: int, column: int) -> None:
        """One line of text that starts at this column."""
        done = 0
        for token in _TOKEN.finditer(text):
            self._words(text[done : token.start()])
            self._token(token, Place(self.name, line, column + token.start()))
            done = token.end()
        self._words(text[done:])

    def _words(self, words: str) -> None:
        if words:
            self.nest.nodes().append(words)

    def _token(self, token: re.Match[str], place: Place) -> None:
        words = token.group(1)
        if words is None:
            place.refuse(f"{token.group(0)} without its partner on the same line")
        if words.startswith(("#", "/")):
            self.nest.directive(words, place)
        elif words.startswith(("says ", "law:")):
            place.refuse(f"[[{words[:60]}]] stands on a line of its own")
        elif words in FIELDS | SLOTS:
            self.nest.nodes().append(Value(words, place))
        else:
            place.refuse(f"unknown field {words[:60]!r}")

    def close(self) -> tuple[Any, ...]:
        return self.nest.close()


class _Reader:
    """Blocks of a letter: headings, paragraphs, list items, choices between blocks, law blocks."""

    def __init__(self, name: str, *, in_law: bool = False) -> None:
        self.name, self.in_law = name, in_law
        self.nest = _Nest(0)
        self.says: tuple[frozenset[str], Place] | None = None
        self.kind = ""
        self.run: _Run | None = None
        self.start = Place(name, 1, 1)

    def read(self, lines: list[str], *, first: int) -> tuple[Any, ...]:
        """All blocks of these lines."""
        for number, line in enumerate(lines, start=first):
            self._line(line, number)
        self._end_block()
        self._no_pending_says()
        return self.nest.close()

    def _line(self, line: str, number: int) -> None:
        text = line.strip()
        place = Place(self.name, number, len(line) - len(line.lstrip()) + 1)
        if said := _SAYS.match(text):
            self._end_block()
            self._remember(said.group(1).split(), place)
            text, place = text[said.end() :], Place(self.name, number, place.column + said.end())
        whole = _DIRECTIVE.fullmatch(text)
        if not text:
            self._end_block()
        elif whole and whole.group(1) not in FIELDS | SLOTS:
            self._end_block()
            self._directive(whole.group(1), place)
        else:
            self._text(text, place)

    def _remember(self, items: list[str], place: Place) -> None:
        for item in items:
            if item not in STATEMENTS:
                place.refuse(f"unknown content item {item[:60]!r}")
        earlier = self.says[0] if self.says else frozenset()
        self.says = (earlier | frozenset(items), place)

    def _no_pending_says(self) -> None:
        if self.says:
            self.says[1].refuse("[[says ...]] stands directly before a paragraph, heading or list item")

    def _directive(self, words: str, place: Place) -> None:
        self._no_pending_says()
        if not words.startswith("law:"):
            self.nest.directive(words, place)
            return
        block = _LAW.fullmatch(words)
        if not block:
            place.refuse("a law block is named [[law:jurisdiction/block]]")
        if self.in_law:
            place.refuse("a law block cannot hold another one")
        self.nest.nodes().append(LawBlock(block.group(1), place))

    def _text(self, text: str, place: Place) -> None:
        marker = _MARKER.match(text)
        if marker:
            self._start(marker, place)
            text, place = text[marker.end() :], Place(self.name, place.line, place.column + marker.end())
        elif _UNKNOWN_MARKER.match(text):
            place.refuse("only `# `, `## `, `- ` and `1. ` can start a line")
        elif inner := re.match(r"(?:\[\[#[^\[\]]*\]\]\s*)+(?=(?:#{1,2}|-|\d{1,2}\.) )", text):
            Place(place.name, place.line, place.column + inner.end()).refuse("put the [[#if ...]] on a line of its own")
        if self.run is None:
            self._open("p", place)
        elif not marker:
            text = "\n" + text
            place = Place(place.name, place.line, place.column - 1)
        self._feed(text, place)
        if self.kind in {"h1", "h2"}:
            self._end_block()

    def _start(self, marker: re.Match[str], place: Place) -> None:
        if place.column > 1 and marker.group("heading") is None and not self.says:
            place.refuse("lists do not nest; start the item at the beginning of the line")
        if self.run is not None and self.kind == "p":
            place.refuse("leave an empty line before a heading or a list")
        self._end_block()
        kind = marker.lastgroup or ""
        self._open(f"h{len(marker.group(0)) - 1}" if kind == "heading" else kind, place)

    def _open(self, kind: str, place: Place) -> None:
        self.kind, self.start = kind, place
        self.run = _Run(self.name, depth=len(self.nest.stack))

    def _feed(self, text: str, place: Place) -> None:
        assert self.run is not None
        for token in _TOKEN.finditer(text):
            if token.group(1) in LIST_FIELDS and not (self.kind == "bullet" and token.group(0) == text):
                column = place.column + token.start()
                Place(place.name, place.line, column).refuse(f"a list stands on its own line: `- {token.group(0)}`")
        self.run.feed(text, place.line, place.column)

    def _end_block(self) -> None:
        if self.run is None:
            return
        says = self.says[0] if self.says else frozenset()
        self.nest.nodes().append(Block(self.kind, self.run.close(), says, self.start))
        self.run, self.says = None, None
