"""Reads a finished letter as a browser would: the visible blocks in their order, and whatever a letter must not have."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

_TAGS: Final = frozenset(
    ["html", "head", "meta", "title", "body", "main", "header", "section", "p", "h1", "h2", "ul", "ol", "li", "bdi"]
)
_ATTRIBUTES: Final = frozenset({"lang", "dir", "charset", "name", "content", "style", "id"})


@dataclass(frozen=True)
class Part:
    """A block as the reader meets it: brand, h1, h2, p, bullet or number; `law` is the section it stands in."""

    kind: str
    words: str
    law: str


class Page(HTMLParser):
    """Collects the visible blocks of a page, and every tag and attribute that a letter must not have."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[Part] = []
        self.refused: list[str] = []
        self.open: list[str] = []
        self.law = ""
        self.words: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _TAGS:
            self.refused.append(f"<{tag}>")
        self.refused += [f"{tag} {name}" for name in given if name not in _ATTRIBUTES]
        if "(" in (given.get("style") or ""):
            self.refused.append(f"{tag} style with a function")
        if tag == "section":
            self.law = given.get("id") or "law"
        if tag != "meta":
            self.open.append(tag)
        if tag in {"p", "h1", "h2", "li"}:
            self.words = []

    def handle_data(self, data: str) -> None:
        if self.words is not None:
            self.words.append(data)
        elif data.strip() and "title" not in self.open:
            self.parts.append(Part("stray", data.strip(), self.law))

    def handle_endtag(self, tag: str) -> None:
        if self.open and self.open[-1] == tag:
            self.open.pop()
        if tag == "section":
            self.law = ""
        if tag in {"p", "h1", "h2", "li"} and self.words is not None:
            self.parts.append(Part(self._kind(tag), " ".join("".join(self.words).split(" ")).strip(), self.law))
            self.words = None

    def _kind(self, tag: str) -> str:
        inside = self.open[-1] if self.open else ""
        if tag == "li":
            return "number" if inside == "ol" else "bullet"
        return "brand" if inside == "header" else tag

    @property
    def body(self) -> tuple[Part, ...]:
        """What the letter itself says, without the law blocks and the brand's name on top."""
        return tuple(part for part in self.parts if not part.law and part.kind != "brand")


def read_page(*, html: str) -> Page:
    """The blocks of one page."""
    page = Page()
    page.feed(html)
    page.close()
    return page
