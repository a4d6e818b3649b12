"""An .xlsx workbook: what it may hold, its sheets, its number formats. Hidden sheets are not read; nothing is ever calculated."""

from __future__ import annotations

import posixpath
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import BinaryIO

from incidents.people.reading.cells import Format, format_of
from incidents.people.reading.container import damaged, no_files_inside, open_container, pieces, whole
from incidents.people.reading.files import AS_LIST, FileAsked, FileRefused
from incidents.people.reading.markup import CONTENT_TYPE, IN_RELATIONS, RELATIONSHIP, Attributes, Handlers, in_sheets, read

CONTENT_TYPES = "[Content_Types].xml"
LARGEST_PART = 16 * 1024**2
MOST_FORMATS = 65_536
MOST_RELATIONS = 10_000
LONGEST_SHEET_NAME = 60
#: What a part or a relation is called that a list of people has no need of. DDE is a kind of external link.
NOT_IN_LISTS = {
    "vbaproject": "macros", "macroenabled": "macros", "macrosheet": "macros", "dialogsheet": "dialogs",
    "externallink": "links to other files", "ddelink": "links to other programs", "oleobject": "another file",
    "embeddings/": "another file", "relationships/package": "another file", "activex": "controls",
    "connections": "a connection to other data",
    "querytable": "a connection to other data", "customui": "macros", "webextension": "an add-in",
}  # fmt: skip
MAIN_TYPE = "sheet.main+xml"
#: How a sheet is said by its place.
PLACE = re.compile(r"#([1-9][0-9]{0,3})")


@dataclass(frozen=True)
class Workbook:
    """A workbook that passed every check: where its sheet and its texts are, and how its numbers are shown."""

    container: zipfile.ZipFile
    sheet: str
    part: str
    strings: str
    formats: tuple[Format | None, ...]
    since_1904: bool
    hidden_sheets: int
    #: Which of all its sheets it is, counted from 1.
    place: int


def open_workbook(*, raw: BinaryIO, size: int, sheet: str | None) -> Workbook:
    """The workbook, and the sheet that is said or the only one that is seen. Raises FileRefused, or FileAsked for the sheet."""
    container = open_container(raw=raw, size=size)
    names = set(container.namelist())
    _is_workbook(container, names)
    _nothing_else(container, names)
    no_files_inside(container=container)
    root = _relations(container, "_rels/.rels", "")
    main = _only(root, "officeDocument")
    if main not in names:
        raise FileRefused(f"This is a compressed file, but no Excel workbook. {AS_LIST}")
    folder, file = posixpath.split(main)
    relations = _relations(container, f"{folder}/_rels/{file}.rels", folder)
    book = _Book()
    known = Handlers(in_sheets(sheet=book.sheet, workbookPr=book.properties))
    read(pieces=[whole(container=container, name=main, most=LARGEST_PART)], handlers=known)
    sheets = [sheet for sheet in book.sheets if sheet.relation in relations and relations[sheet.relation].kind == "worksheet"]
    chosen, hidden = _sheet(sheets, sheet), sum(one.hidden for one in sheets)
    formats = _formats(container, _only(relations, "styles"))
    part, strings = relations[chosen.relation].target, _only(relations, "sharedStrings")
    return Workbook(container, chosen.name, part, strings, formats, book.since_1904, hidden, sheets.index(chosen) + 1)


def _only(relations: dict[str, _Relation], kind: str) -> str:
    """The one part of a kind; '' = there is none. With two, programs differ in which they read."""
    targets = [relation.target for relation in relations.values() if relation.kind == kind]
    if len(targets) > 1:
        raise damaged()
    return targets[0] if targets else ""


def _is_workbook(container: zipfile.ZipFile, names: set[str]) -> None:
    if "mimetype" in names and CONTENT_TYPES not in names:
        raise FileRefused("This is an OpenDocument file (ODS). Save it as .xlsx, or as CSV in UTF-8, and import that.")
    if "xl/workbook.bin" in names:
        raise FileRefused("This is a binary workbook (.xlsb). Save it as .xlsx, or as CSV in UTF-8, and import that.")
    if CONTENT_TYPES not in names:
        raise FileRefused("This is a ZIP archive, not a list. Unpack it, and import the list inside.")
    types = set[str]()

    def add(attributes: Attributes) -> None:
        types.add(attributes.get("ContentType", ""))

    starts = {CONTENT_TYPE.format(name): add for name in ("Override", "Default")}
    read(pieces=[whole(container=container, name=CONTENT_TYPES, most=LARGEST_PART)], handlers=Handlers(starts))
    _refuse_what_is_not_in_lists(types)
    if not any(kind.endswith(MAIN_TYPE) for kind in types):
        raise FileRefused(f"This is an Office document, but no Excel workbook. {AS_LIST}")


def _nothing_else(container: zipfile.ZipFile, names: set[str]) -> None:
    """No macro, link or embedded file, by the names of the parts and by what the parts are related to."""
    _refuse_what_is_not_in_lists(names)
    for name in names:
        if name.lower().endswith(".rels"):
            _relations(container, name, "")


def _refuse_what_is_not_in_lists(words: Iterable[str]) -> None:
    for word in words:
        what = next((what for sign, what in NOT_IN_LISTS.items() if sign in word.lower()), "")
        if what:
            raise _holds(what)


def _holds(what: str) -> FileRefused:
    return FileRefused(
        f"The workbook holds {what}. Copy the list into a new workbook (paste values), save it as .xlsx, and import that."
    )


@dataclass(frozen=True)
class _Relation:
    kind: str
    target: str


class _Relations:
    """Reads a .rels part. Links that leave the workbook are refused, but for those behind e-mail addresses and the like."""

    def __init__(self, folder: str) -> None:
        self.folder, self.found = folder, dict[str, _Relation]()

    def add(self, attributes: Attributes) -> None:
        kind = attributes.get("Type", "").rpartition("/")[2]
        if kind == "hyperlink":
            return
        _refuse_what_is_not_in_lists([attributes.get("Type", "")])
        if attributes.get("TargetMode") == "External":
            raise _holds(NOT_IN_LISTS["externallink"])
        own, to = attributes.get("Id", ""), posixpath.join("/", self.folder, attributes.get("Target", ""))
        if own in self.found or len(self.found) > MOST_RELATIONS:
            raise damaged()
        self.found[own] = _Relation(kind, posixpath.normpath(to).lstrip("/"))


def _relations(container: zipfile.ZipFile, name: str, folder: str) -> dict[str, _Relation]:
    reader = _Relations(folder)
    if name in container.NameToInfo:
        read(pieces=pieces(container=container, name=name), handlers=Handlers({RELATIONSHIP: reader.add}))
    return reader.found


@dataclass(frozen=True)
class _Sheet:
    name: str
    relation: str
    hidden: bool


@dataclass
class _Book:
    """Reads xl/workbook.xml."""

    sheets: list[_Sheet] = field(default_factory=list)
    since_1904: bool = False

    def properties(self, attributes: Attributes) -> None:
        self.since_1904 = attributes.get("date1904", "0") in {"1", "true", "on"}

    def sheet(self, attributes: Attributes) -> None:
        relation = next((attributes[key] for space in IN_RELATIONS if (key := f"{space} id") in attributes), "")
        self.sheets.append(_Sheet(attributes.get("name", ""), relation, attributes.get("state", "visible") != "visible"))


def _sheet(sheets: list[_Sheet], asked: str | None) -> _Sheet:
    """The sheet that is said by its place ('#2') or its name, or the only one that is seen. Raises FileRefused, FileAsked."""
    visible = [sheet for sheet in sheets if not sheet.hidden]
    if asked:
        place = PLACE.fullmatch(asked)
        said = [sheet for at, sheet in enumerate(sheets, 1) if (at == int(place[1]) if place else sheet.name == asked)]
        visible = [sheet for sheet in said if not sheet.hidden]
        if said and not visible:
            raise FileRefused("The sheet that was said is hidden. Show it in the workbook, look what it holds, save again.")
    if len(visible) == 1:
        return visible[0]
    seen = [
        f"#{at} '{sheet.name[:LONGEST_SHEET_NAME]}'"
        for at, sheet in enumerate(sheets, 1)
        if not sheet.hidden and sheet.name.isprintable()
    ]
    if not seen:
        raise FileRefused("The workbook shows no sheet with a list. Show the sheet, or save it as CSV in UTF-8.")
    why = "has no such sheet, it has" if asked else f"shows {len(visible)} sheets"
    raise FileAsked(
        f"The workbook {why}: {', '.join(seen[:20])}. Say which holds the list, for example --sheet '{seen[0].split()[0]}'.",
        question="sheet", choices=seen,
    )  # fmt: skip


class _Styles:
    """Reads xl/styles.xml: the format of each style that a cell may name."""

    def __init__(self) -> None:
        self.codes: dict[int, str] = {}
        self.formats: list[Format | None] = []
        self.of_cells = False

    def code(self, attributes: Attributes) -> None:
        if len(self.codes) < MOST_FORMATS:
            self.codes[int(attributes["numFmtId"])] = attributes.get("formatCode", "")[:LONGEST_SHEET_NAME]

    def cells_begin(self, _: Attributes) -> None:
        self.of_cells = True

    def cells_end(self) -> None:
        self.of_cells = False

    def style(self, attributes: Attributes) -> None:
        if self.of_cells and len(self.formats) < MOST_FORMATS:
            number = int(attributes.get("numFmtId", "0"))
            self.formats.append(format_of(number=number, code=self.codes.get(number, "")))


def _formats(container: zipfile.ZipFile, name: str) -> tuple[Format | None, ...]:
    styles = _Styles()
    if name in container.NameToInfo:
        starts = in_sheets(numFmt=styles.code, cellXfs=styles.cells_begin, xf=styles.style)
        known = Handlers(starts, in_sheets(cellXfs=styles.cells_end))
        read(pieces=pieces(container=container, name=name), handlers=known)
    return tuple(styles.formats)
