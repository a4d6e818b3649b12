"""The letter language: a tree and the facts of a cohort make a letter, and two escaped values make it one person's.

Parsed when saved (`syntax.py`), compiled once per cohort and language, filled per person. One run of resolved blocks
makes both the text and the HTML, so that they say the same. docs/letters.md describes the language.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Final

from incidents.letters.content import ANNEXES, GROUPS, holds_any, owes_any, with_synonyms
from incidents.letters.syntax import (
    DERIVED_FACTS,
    FACTS,
    FIELDS,
    GIVEN_FACTS,
    LIST_FIELDS,
    SLOTS,
    Block,
    Choice,
    LawBlock,
    LetterGaps,
    LetterSyntaxError,
    LetterTree,
    Place,
    Value,
    parse_law_block,
    parse_letter,
)

__all__ = [
    "DERIVED_FACTS",
    "FACTS",
    "FIELDS",
    "GIVEN_FACTS",
    "LIST_FIELDS",
    "SLOTS",
    "CompiledLetter",
    "FilledLetter",
    "LetterGaps",
    "LetterSyntaxError",
    "LetterTree",
    "compile_letter",
    "fill",
    "parse_law_block",
    "parse_letter",
]

MAX_OUTPUT_BYTES: Final = 200_000
MAX_VALUE_CHARACTERS: Final = 1_000

LawBlocks = Callable[[str], LetterTree]
Fields = Mapping[str, str | tuple[str, ...]]

_SLOT: Final = re.compile(r"\[\[(person_name|reader_name|reference_code)\]\]")
_NO_SPACE_LANGUAGES: Final = frozenset({"ja", "zh", "zh-Hans", "zh-Hant"})
_RIGHT_TO_LEFT: Final = frozenset({"ar", "fa", "he", "ur"})
#: Characters that scripts need although they cannot be seen: zero width (non-)joiner, soft hyphen.
_KEPT_UNSEEN: Final = frozenset("\u200c\u200d\u00ad")
_BREAKS: Final = frozenset("\t\n\v\f\r\x1c\x1d\x1e\x85\u2028\u2029")

_SERIF: Final = "font-family:Georgia,'Times New Roman','Hiragino Mincho ProN','Yu Mincho',serif"
_PAGE: Final = (
    f"margin:0 auto;padding:24px 20px 40px;max-width:640px;{_SERIF};"
    "font-size:17px;line-height:1.6;color:#1a1a1a;background:#ffffff;overflow-wrap:break-word"
)
_STYLES: Final = {
    "brand": "margin:0 0 32px;padding:0 0 16px;border-bottom:1px solid #c8c8c8;font-size:22px;letter-spacing:0.12em",
    "h1": "margin:0 0 20px;font-size:24px;line-height:1.3;font-weight:normal",
    "h2": "margin:28px 0 8px;font-size:19px;line-height:1.3;font-weight:bold",
    "p": "margin:0 0 14px",
    "list": "margin:0 0 14px;padding:0 0 0 28px",
    "li": "margin:0 0 8px",
    "law": "margin:28px 0 0;padding:4px 0 0;border-top:1px solid #c8c8c8",
}
_LISTS: Final = {"bullet": "ul", "number": "ol"}


@dataclass(frozen=True)
class CompiledLetter:
    """A letter of one cohort in one language; the personal slots stand in its strings as [[person_name]]."""

    language: str
    subject: str
    text: str
    html: str
    said: frozenset[str]
    slots: frozenset[str]

    def to_json(self) -> dict[str, object]:
        """Plain data, the same for the same letter."""
        return {
            "language": self.language,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "said": sorted(self.said),
            "slots": sorted(self.slots),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> CompiledLetter:
        """The letter that `to_json` wrote; KeyError when a part is missing."""
        words = {name: str(data[name]) for name in ("language", "subject", "text", "html")}
        return cls(**words, said=frozenset(data["said"]), slots=frozenset(data["slots"]))

    @cached_property
    def text_pieces(self) -> tuple[str, ...]:
        """Literal text and names of slots in turn, split once for all readers."""
        return tuple(_SLOT.split(self.text))

    @cached_property
    def html_pieces(self) -> tuple[str, ...]:
        """Literal HTML and names of slots in turn, split once for all readers."""
        return tuple(_SLOT.split(self.html))


@dataclass(frozen=True)
class FilledLetter:
    """One person's letter."""

    subject: str
    text: str
    html: str


@dataclass(frozen=True)
class _Line:
    """A block with every field and fact resolved."""

    kind: str
    words: str
    law: str


def fill(*, letter: CompiledLetter, values: Mapping[str, str]) -> FilledLetter:
    """One person's letter; ValueError when a slot has no value. Values are literal text, whatever they hold."""
    clean = {slot: slot_value(slot=slot, values=values) for slot in letter.slots}
    escaped = {slot: html.escape(value) for slot, value in clean.items()}
    return FilledLetter(
        letter.subject, joined(pieces=letter.text_pieces, values=clean), joined(pieces=letter.html_pieces, values=escaped)
    )


def slot_value(*, slot: str, values: Mapping[str, str]) -> str:
    """What stands in a slot, cleaned; ValueError when there is nothing, or far too much."""
    value = clean_value(value=values.get(slot, ""))
    if not value:
        raise ValueError(f"no value for [[{slot}]]")
    return value


def joined(*, pieces: tuple[str, ...], values: Mapping[str, str]) -> str:
    """Words and names of slots in turn, the slots filled."""
    parts = list(pieces)
    for index in range(1, len(parts), 2):
        parts[index] = values[parts[index]]
    return "".join(parts)


def clean_value(*, value: str) -> str:
    """A value on one line, without control, bidi-control and other unseen characters; ValueError when far too long."""
    if len(value) > MAX_VALUE_CHARACTERS:
        raise ValueError(f"a value is longer than {MAX_VALUE_CHARACTERS} characters")
    if not value.isprintable():
        value = re.sub(" {2,}", " ", "".join(_visible(character) for character in value))
    return value.strip()


def _visible(character: str) -> str:
    if character in _BREAKS:
        return " "
    if unicodedata.category(character) in {"Cc", "Cf", "Cs"} and character not in _KEPT_UNSEEN:
        return ""
    return character


def compile_letter(
    *,
    tree: LetterTree,
    facts: Mapping[str, bool],
    fields: Fields,
    law_block: LawBlocks | None = None,
    language: str,
) -> CompiledLetter:
    """The letter of one cohort; a fact not given is false.

    LetterSyntaxError with the place of what cannot be filled in, ValueError for names outside the closed lists.
    """
    if unknown := (facts.keys() - FACTS) | (fields.keys() - FIELDS):
        raise ValueError(f"unknown facts or fields: {', '.join(sorted(unknown))}")
    start = Place(tree.name, 1, 1)
    if tree.subject is None:
        start.refuse("a law block is not a letter: it has no subject line")
    run = _Compilation(facts, fields, law_block, language)
    run.blocks(tree.blocks, law="")
    brand, subject = run.field(Value("brand", start)), run.words(tree.subject)
    if run.gaps:
        raise LetterGaps(fields=tuple(run.gaps), place=next(iter(run.gaps.values())))
    text, page = _as_text(brand, run.lines), _as_html(brand, subject, run.lines, language)
    if max(len(text.encode()), len(page.encode())) > MAX_OUTPUT_BYTES:
        start.refuse(f"the finished letter is larger than {MAX_OUTPUT_BYTES} bytes")
    return CompiledLetter(language, subject, text, page, with_synonyms(said=frozenset(run.said)), _slots(text))


class _Compilation:
    """Walks a tree once and collects the resolved lines and the statements made."""

    def __init__(self, facts: Mapping[str, bool], fields: Fields, law_block: LawBlocks | None, language: str) -> None:
        derived = {f"any.{group}": holds_any(group=group, facts=facts) for group in GROUPS}
        owed = {f"owes.{annex}": owes_any(annex=annex, facts=facts) for annex in ANNEXES}
        self.facts = {**facts, **derived, **owed}
        self.fields, self.law_block = fields, law_block
        self.soft_break = "" if language in _NO_SPACE_LANGUAGES else " "
        self.lines: list[_Line] = []
        self.said: set[str] = set()
        #: Fields without a value, and where the first one stands: whoever fills them in should hear of all at once.
        self.gaps: dict[str, Place] = {}

    def blocks(self, nodes: Iterable[Block | Choice | LawBlock], *, law: str) -> None:
        for node in nodes:
            if isinstance(node, Block):
                self._block(node, law)
            elif isinstance(node, Choice):
                self.blocks(self._chosen(node), law=law)
            else:
                self._law(node)

    def _chosen(self, choice: Choice) -> tuple[Any, ...]:
        return choice.then if self.facts.get(choice.fact, False) else choice.otherwise

    def _law(self, node: LawBlock) -> None:
        if self.law_block is None:
            node.place.refuse(f"there is no source of law blocks for [[law:{node.block}]]")
        self.blocks(self.law_block(node.block).blocks, law=node.block)

    def _block(self, block: Block, law: str) -> None:
        only = block.inline[0] if len(block.inline) == 1 else None
        found = self._list(only) if isinstance(only, Value) and only.name in LIST_FIELDS else (self.words(block.inline),)
        lines = [_Line(block.kind, words, law) for words in found if words]
        if lines:
            self.lines += lines
            self.said |= block.says

    def words(self, inline: Iterable[str | Value | Choice]) -> str:
        """Inline nodes as one line of text."""
        return re.sub(r"[ \t]{2,}", " ", "".join(self._inline(inline))).strip()

    def _inline(self, nodes: Iterable[str | Value | Choice]) -> Iterable[str]:
        for node in nodes:
            if isinstance(node, str):
                yield node.replace("\n", self.soft_break)
            elif isinstance(node, Choice):
                yield from self._inline(self._chosen(node))
            elif node.name in SLOTS:
                yield f"[[{node.name}]]"
            else:
                yield self.field(node)

    def field(self, value: Value) -> str:
        """The text of a field; noted when it has none, since a gap in a letter is never an answer."""
        given = self.fields.get(value.name, "")
        if not isinstance(given, str):
            value.place.refuse(f"[[{value.name}]] was given as a list")
        if not (found := self._checked(value, given)):
            self.gaps.setdefault(value.name, value.place)
        return found

    def _list(self, value: Value) -> tuple[str, ...]:
        given = self.fields.get(value.name, ())
        if isinstance(given, str):
            value.place.refuse(f"[[{value.name}]] is a list and was given as text")
        return tuple(self._checked(value, item) for item in given)

    def _checked(self, value: Value, given: str) -> str:
        if "[[" in given or "]]" in given:
            value.place.refuse(f"the value of [[{value.name}]] holds a bracket of the letter language")
        try:
            return clean_value(value=re.sub(r"\s*\n\s*", ", ", given.strip()))
        except ValueError as error:
            value.place.refuse(f"[[{value.name}]]: {error}")


def _slots(text: str) -> frozenset[str]:
    return frozenset(_SLOT.findall(text))


def _grouped(lines: list[_Line]) -> Iterable[tuple[str, list[_Line]]]:
    """Runs of list items of one kind; every other block alone."""
    numbered = enumerate(lines)
    key = groupby(numbered, lambda pair: (pair[1].kind, pair[1].law, -1 if pair[1].kind in _LISTS else pair[0]))
    for (kind, _, _), pairs in key:
        yield kind, [line for _, line in pairs]


def _as_text(brand: str, lines: list[_Line]) -> str:
    parts = [brand]
    for kind, group in _grouped(lines):
        if kind == "number":
            parts.append("\n".join(f"{number}. {line.words}" for number, line in enumerate(group, start=1)))
        else:
            mark = "- " if kind == "bullet" else ""
            parts.append("\n".join(mark + line.words for line in group))
    return "\n\n".join(parts) + "\n"


def _as_html(brand: str, subject: str, lines: list[_Line], language: str) -> str:
    direction = "rtl" if language.split("-", maxsplit=1)[0] in _RIGHT_TO_LEFT else "ltr"
    body = [_tag("header", _tag("p", _escaped(brand), "brand"))]
    for law, group in groupby(lines, lambda line: line.law):
        inner = "\n".join(_html_group(kind, items) for kind, items in _grouped(list(group)))
        body.append(f'<section id="law-{law.replace("/", "-")}" style="{_STYLES["law"]}">\n{inner}\n</section>' if law else inner)
    return (
        f'<!doctype html>\n<html lang="{html.escape(language)}" dir="{direction}">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(subject)}</title>\n</head>\n"
        f'<body style="margin:0;background:#ffffff">\n<main style="{_PAGE}">\n'
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _html_group(kind: str, lines: list[_Line]) -> str:
    if kind in _LISTS:
        items = "\n".join(_tag("li", _escaped(line.words)) for line in lines)
        return _tag(_LISTS[kind], f"\n{items}\n", "list")
    return _tag(kind, _escaped(lines[0].words))


def _tag(name: str, inner: str, style: str = "") -> str:
    look = _STYLES.get(style or name)
    return f'<{name} style="{look}">{inner}</{name}>' if look else f"<{name}>{inner}</{name}>"


def _escaped(words: str) -> str:
    # <bdi>: a name in Arabic or Hebrew must not turn the words around it.
    return _SLOT.sub(r"<bdi>[[\1]]</bdi>", html.escape(words))
