"""Workbooks for the tests of the reader: real ones by openpyxl, plain ones part by part, and containers forged byte by byte."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import openpyxl
from openpyxl.worksheet.worksheet import Worksheet

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
HEADER = ("full_name", "email")
PEOPLE = (("Zoë Müller", "zoe@example.org"), ("佐藤", "sato@example.org"))
SHEET = "xl/worksheets/sheet1.xml"


def workbook(*rows: Sequence[object], change: Callable[[Worksheet], object] | None = None) -> bytes:
    """A workbook as openpyxl writes it, with one sheet of these rows."""
    book = openpyxl.Workbook()
    sheet = book.active
    for row in rows or (HEADER, *PEOPLE):
        sheet.append(list(row))
    if change:
        change(sheet)
    return saved(book)


def saved(book: openpyxl.Workbook) -> bytes:
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parts_of(raw: bytes) -> dict[str, bytes]:
    """The parts of a workbook by name."""
    with zipfile.ZipFile(io.BytesIO(raw)) as container:
        return {name: container.read(name) for name in container.namelist()}


def packed(parts: Mapping[str, bytes | str]) -> bytes:
    """A container of these parts."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name, content in parts.items():
            container.writestr(name, content)
    return out.getvalue()


def with_parts(extra: Mapping[str, bytes | str]) -> bytes:
    """The plain workbook with some parts replaced or added."""
    return packed({**plain_parts(), **extra})


def relations(*found: tuple[str, str], more: str = "") -> str:
    lines = "".join(f'<Relationship Id="r{at}" Type="{OFFICE}/{kind}" Target="{to}"/>' for at, (kind, to) in enumerate(found, 1))
    return f'<Relationships xmlns="{PACKAGE}/relationships">{lines}{more}</Relationships>'


def plain_parts(*, cells: str = "", after: str = "", strings: Sequence[str] = ()) -> dict[str, str]:
    """The parts of a small workbook; `cells` are the rows of its sheet as XML, `after` what follows them."""
    header = "".join(f'<c t="inlineStr"><is><t>{name}</t></is></c>' for name in HEADER)
    person = "".join(f'<c t="inlineStr"><is><t>{text}</t></is></c>' for text in PEOPLE[0])
    rows = cells or f"<row>{person}</row>"
    override = '<Override PartName="/{}" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.{}+xml"/>'
    return {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">' + override.format("xl/workbook.xml", "sheet.main") + "</Types>",
        "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><workbookPr/><sheets><sheet name="List" sheetId="1" r:id="r1"/>'
        "</sheets></workbook>",
        "xl/_rels/workbook.xml.rels": relations(
            ("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>',
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">' + "".join(f"<si><t>{text}</t></si>" for text in strings) + "</sst>",
        SHEET: f'<worksheet xmlns="{MAIN}"><sheetData><row>{header}</row>{rows}</sheetData>{after}</worksheet>',
    }  # fmt: skip


@dataclass(frozen=True)
class Member:
    """One member of a forged container; what is None is what it should be."""

    name: str
    content: bytes = b""
    deflated: bytes | None = None
    declared: int | None = None
    flags: int = 0
    mode: int = 0
    #: Where the table of contents says that it begins.
    offset: int | None = None


def forged(members: Sequence[Member], *, count: int | None = None, before: bytes = b"", after: bytes = b"") -> bytes:
    """A container written by hand, so that it can lie."""
    out, directory = io.BytesIO(), io.BytesIO()
    out.write(before)
    for member in members:
        name, body = member.name.encode(), member.deflated
        flags = member.flags | (0 if member.name.isascii() else 0x800)
        if body is None:
            deflater = zlib.compressobj(wbits=-15)
            body = deflater.compress(member.content) + deflater.flush()
        sizes = (zlib.crc32(member.content), len(body), len(member.content) if member.declared is None else member.declared)
        start = out.tell() if member.offset is None else member.offset
        out.write(struct.pack("<4s5H3L2H", b"PK\x03\x04", 20, flags, 8, 0, 0, *sizes, len(name), 0) + name + body)
        directory.write(
            struct.pack(
                "<4s6H3L5H2L", b"PK\x01\x02", 0x031E, 20, flags, 8, 0, 0, *sizes, len(name), 0, 0, 0, 0, member.mode << 16, start
            )
            + name
        )
    at, table = out.tell(), directory.getvalue()
    count = len(members) if count is None else count
    out.write(table + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(table), at, 0) + after)
    return out.getvalue()


def members(extra: Sequence[Member] = ()) -> list[Member]:
    """The plain workbook as members of a forged container, and more."""
    return [*(Member(name, content.encode()) for name, content in plain_parts().items()), *extra]
