"""The ZIP container of a workbook, checked by its table of contents before a byte is unpacked.

Stricter than the format: what no spreadsheet program writes is refused. zipfile reads a member only up to its declared size and
checks its CRC, so the sizes checked here hold while it is read.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from incidents.people.reading.files import AS_LIST, BLOCK, OLD_EXCEL, SIGNATURES, FileRefused

MOST_MEMBERS = 1_000
LARGEST_DIRECTORY = 512 * 1024
LARGEST_UNPACKED = 1024**3
#: A small member may be anything: a list of one repeated value is no bomb until it is large.
MOST_RATIO, SMALL_MEMBER = 100, 1024**2
LONGEST_NAME = 255
PIECE = 64 * 1024
END, END_SIGN = struct.Struct("<4s4H2LH"), b"PK\x05\x06"
END64, END64_SIGN = struct.Struct("<4sQ2H2L4Q"), b"PK\x06\x06"
LOCATOR_SIZE, LOCATOR_SIGN = 20, b"PK\x06\x07"
LOCAL, LOCAL_SIGN = struct.Struct("<4s5H3L2H"), b"PK\x03\x04"
ENCRYPTED = 0x1 | 0x40 | 0x2000
NESTED = (".zip", ".xlsx", ".xlsm", ".docx", ".pptx", ".jar", ".gz", ".7z", ".rar", ".bz2", ".xz", ".tar")
NESTED_SIGNS = (
    b"PK\x03\x04", OLD_EXCEL, *(sign for sign, what in SIGNATURES.items() if "compressed" in what or "program" in what),
)  # fmt: skip
#: Everything that zipfile and zlib raise for a container or a member that is not what it says.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, ValueError, OverflowError)


def damaged() -> FileRefused:
    """The refusal for a container that contradicts itself."""
    return FileRefused("The workbook is damaged or was made to deceive. Save it again with a spreadsheet program.")


def fingerprint(*, raw: BinaryIO, size: int) -> str:
    """SHA-256 of the whole file. Raises FileRefused when it is not whole."""
    raw.seek(0)
    digest, read = hashlib.sha256(), 0
    while part := raw.read(BLOCK):
        digest.update(part)
        read += len(part)
    if read != size:
        raise FileRefused(f"The file is cut: {read} of {size} bytes are here. Send it again; nothing was imported.")
    return digest.hexdigest()


def open_container(*, raw: BinaryIO, size: int) -> zipfile.ZipFile:
    """The container, once its table of contents has passed every check. Raises FileRefused."""
    directory = _directory(raw, size)
    try:
        found = zipfile.ZipFile(raw)
    except DAMAGE:
        raise damaged() from None
    members = found.infolist()
    for member in members:
        _check(member)
    if sum(member.file_size for member in members) > LARGEST_UNPACKED:
        raise FileRefused(f"The workbook would unpack to more than {LARGEST_UNPACKED // 1024**2} MiB. Save it as CSV in UTF-8.")
    if len({member.filename.casefold() for member in members}) < len(members):
        raise damaged()
    _apart(raw, members, directory)
    return found


def _directory(raw: BinaryIO, size: int) -> int:
    """Where the table of contents begins; nothing may stand before, between or behind what belongs to the container."""
    raw.seek(max(size - END.size - LOCATOR_SIZE - END64.size, 0))
    tail = raw.read(END.size + LOCATOR_SIZE + END64.size)
    end = size - END.size
    if len(tail) < END.size or tail[-END.size :][:4] != END_SIGN or tail[-2:] != b"\x00\x00":
        raise FileRefused("The workbook is cut or damaged: its end is missing. Send or save it again; nothing was imported.")
    _, disk, first_disk, _, count, length, start, _ = END.unpack(tail[-END.size :])
    if tail[-END.size - LOCATOR_SIZE :][:4] == LOCATOR_SIGN:
        if len(tail) < END.size + LOCATOR_SIZE + END64.size or tail[:4] != END64_SIGN:
            raise damaged()
        _, _, _, _, disk, first_disk, _, count, length, start = END64.unpack(tail[: END64.size])
        end -= LOCATOR_SIZE + END64.size
    if count > MOST_MEMBERS or length > LARGEST_DIRECTORY:
        raise FileRefused(f"The workbook has more than {MOST_MEMBERS} parts. {AS_LIST}")
    if disk or first_disk or start + length != end:
        raise damaged()
    return int(start)


def _check(member: zipfile.ZipInfo) -> None:
    name = member.orig_filename
    if member.flag_bits & ENCRYPTED:
        raise FileRefused("The workbook is encrypted. Save it without a password, and import that.")
    parts = name.rstrip("/").split("/")
    if not name.isprintable() or len(name) > LONGEST_NAME or set("\\:") & set(name) or {"", ".", ".."} & set(parts):
        raise damaged()
    if stat.S_ISLNK(member.external_attr >> 16) or member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise damaged()
    if name.lower().endswith(NESTED):
        raise FileRefused(f"The workbook holds another file inside. {AS_LIST}")
    if member.file_size > SMALL_MEMBER and member.file_size > MOST_RATIO * max(member.compress_size, 1):
        raise FileRefused(
            f"A part of the workbook would unpack to more than {MOST_RATIO} times its size, as a bomb does. Save the list as CSV "
            "in UTF-8, and import that."
        )


def _apart(raw: BinaryIO, members: list[zipfile.ZipInfo], directory: int) -> None:
    """No two members share bytes, and none reaches into the table of contents."""
    reached = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        raw.seek(member.header_offset)
        header = raw.read(LOCAL.size)
        if (
            member.header_offset < reached
            or (member.header_offset and not reached)
            or len(header) < LOCAL.size
            or header[:4] != LOCAL_SIGN
        ):
            raise damaged()
        name, extra = LOCAL.unpack(header)[-2:]
        reached = member.header_offset + LOCAL.size + name + extra + member.compress_size
    if reached > directory:
        raise damaged()


def no_files_inside(*, container: zipfile.ZipFile) -> None:
    """Refuse an archive, a document or a program as a member, whatever its name."""
    for name in container.namelist():
        head = b"".join(pieces(container=container, name=name, first=8))
        if head.startswith(NESTED_SIGNS):
            raise FileRefused(f"The workbook holds another file inside. {AS_LIST}")


def pieces(*, container: zipfile.ZipFile, name: str, first: int = 0) -> Iterator[bytes]:
    """A member's content in small pieces (or its first bytes). Raises FileRefused when it is not what the container says."""
    try:
        with container.open(name) as member:
            if first:
                yield member.read(first)
                return
            while piece := member.read(PIECE):
                yield piece
    except DAMAGE:
        raise damaged() from None
    except KeyError:
        raise FileRefused("The workbook lacks a part of itself. Save it again with a spreadsheet program.") from None


def whole(*, container: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A small member. Raises FileRefused when it is larger than such a part ever is."""
    out = io.BytesIO()
    for piece in pieces(container=container, name=name):
        out.write(piece)
        if out.tell() > most:
            raise damaged()
    return out.getvalue()
