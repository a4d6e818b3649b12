"""XML of a workbook, read in pieces by expat: no document type, no entity, no endless token, no bottomless nesting.

These are the rules of defusedxml, and two more; expat itself never opens a file or an address.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar
from xml.parsers import expat

from incidents.people.reading.files import FileRefused

#: One start tag or comment: expat holds it whole, so it has an end.
LONGEST_TOKEN = 4 * 1024**2
DEEPEST = 64
MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main",
    "http://purl.oclc.org/ooxml/spreadsheetml/main",
)
IN_RELATIONS = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "http://purl.oclc.org/ooxml/officeDocument/relationships",
)


RELATIONSHIP = "http://schemas.openxmlformats.org/package/2006/relationships Relationship"
CONTENT_TYPE = "http://schemas.openxmlformats.org/package/2006/content-types {}"
Attributes = dict[str, str]
Done = TypeVar("Done", bound=Callable[..., None])


@dataclass(frozen=True)
class Handlers:
    """What is done at the start and the end of elements, by their full names, and with the text between."""

    starts: Mapping[str, Callable[[Attributes], None]]
    ends: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    text: Callable[[str], None] | None = None


def in_sheets(**done: Done) -> dict[str, Done]:
    """Handlers by the full names (namespace and name, as expat gives them), in both forms of the standard."""
    return {f"{space} {name}": do for space in MAIN for name, do in done.items()}


def feed(*, pieces: Iterable[bytes], handlers: Handlers) -> Iterator[None]:
    """Read a part piece by piece; stops after each, so that what was read can be handed on. Raises FileRefused."""
    parser = _parser(handlers)
    fed = 0
    try:
        for piece in pieces:
            parser.Parse(piece, False)
            fed += len(piece)
            if fed - max(parser.CurrentByteIndex, 0) > LONGEST_TOKEN:
                raise _not_a_sheet()
            yield
        parser.Parse(b"", True)
        yield
    except (expat.ExpatError, ValueError, LookupError):
        raise FileRefused("The workbook is damaged: a part is no XML. Save it again with a spreadsheet program.") from None


def read(*, pieces: Iterable[bytes], handlers: Handlers) -> None:
    """Read a whole part. Raises FileRefused."""
    for _ in feed(pieces=pieces, handlers=handlers):
        pass


def _parser(handlers: Handlers) -> expat.XMLParserType:
    parser, depth = expat.ParserCreate(namespace_separator=" "), 0
    starts, ends = handlers.starts, handlers.ends

    def deeper(name: str, attributes: Attributes) -> None:
        nonlocal depth
        depth += 1
        if depth > DEEPEST:
            raise _not_a_sheet()
        if name in starts:
            starts[name](attributes)

    def higher(name: str) -> None:
        nonlocal depth
        depth -= 1
        if name in ends:
            ends[name]()

    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = deeper, higher, handlers.text
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    return parser


def _refuse(*declared: object) -> NoReturn:
    raise FileRefused(
        "The workbook declares a document type or entities, as attacks do and no spreadsheet program does. Save the list as CSV "
        "in UTF-8 and import that."
    )


def _not_a_sheet() -> FileRefused:
    return FileRefused("The workbook is none that a spreadsheet program writes. Save the list as CSV in UTF-8.")
