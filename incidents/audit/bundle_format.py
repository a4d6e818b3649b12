"""How evidence is written down: canonical JSON, signed checkpoints (C2SP tlog-checkpoint and signed-note), the bundle.

The bundle is a zip whose every byte is fixed by its content, so that a verifier can refuse any other.
"""

import base64
import json
import os
import re
import struct
import tempfile
import unicodedata
import zlib
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

INT_LIMIT = 2**53  # RFC 8785 3.2.2.3: beyond it JSON numbers lose digits
ED25519_NOTE = b"\x01"  # the signature type byte of C2SP signed-note
MEMBER_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
RESERVED = frozenset({"SHA256SUMS", "checkpoint.txt", "log.pem", "verify.py"})
SLICE = 1 << 20
ZIP_LIMIT, ZIP_MEMBERS = 0xFFFFFFFF, 0xFFFF  # no zip64: its extra fields would be bytes nobody needs
LOCAL = struct.Struct("<4s5H3L2H")
CENTRAL = struct.Struct("<4s6H3L5H2L")
END = struct.Struct("<4s4H2LH")
ZIP_VERSION, ZIP_DATE = 20, 33  # 2.0; 1980-01-01, the first day a zip can name

Content = bytes | Iterable[bytes]


def canonical_json(obj: object) -> bytes:
    """The one spelling of a value (RFC 8785, its domain narrowed); ValueError or TypeError on what it cannot hold."""
    text = json.dumps(_canonical(obj), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")  # a lone surrogate ends here: UnicodeEncodeError is a ValueError


def _canonical(obj: object) -> object:
    if isinstance(obj, str):
        return unicodedata.normalize("NFC", obj)
    if obj is None or isinstance(obj, bool):
        return obj
    if isinstance(obj, int):
        if abs(obj) >= INT_LIMIT:
            raise ValueError(f"{obj} is not below 2^53")
        return obj
    if isinstance(obj, dict):
        return {_key(key): _canonical(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [_canonical(value) for value in obj]
    raise TypeError(f"{type(obj).__name__} has no canonical form")


def _key(key: object) -> str:
    if not isinstance(key, str) or not key.isascii():
        raise ValueError(f"{key!r} is not an ASCII key")
    return key


def fingerprint(public_key_bytes: bytes) -> str:
    """SHA-256 of the raw 32-byte public key, in hexadecimal: what is compared by telephone or on paper."""
    return sha256(public_key_bytes).hexdigest()


def key_id(*, key_name: str, public_key_bytes: bytes) -> bytes:
    """The four bytes that tie a signature line to its key (C2SP signed-note, "Signatures")."""
    return sha256(_name(key_name).encode() + b"\n" + ED25519_NOTE + public_key_bytes).digest()[:4]


def verifier_key(*, key_name: str, public_key_bytes: bytes) -> str:
    """The public key in one line, as witnesses and C2SP tools read it (signed-note, "Verifier keys")."""
    identity = key_id(key_name=key_name, public_key_bytes=public_key_bytes).hex()
    return f"{key_name}+{identity}+{_base64(ED25519_NOTE + public_key_bytes)}"


def checkpoint_text(*, origin: str, size: int, root: bytes, extensions: Sequence[str] = ()) -> str:
    """The text that is signed: origin, size, root in base64, extension lines (C2SP tlog-checkpoint, "Note text")."""
    if size < 0 or len(root) != 32:
        raise ValueError("a checkpoint needs a size of 0 or more and a root of 32 bytes")
    lines = [origin, str(size), _base64(root), *extensions]
    if any(not line or not line.isprintable() for line in lines):
        raise ValueError("a checkpoint line is empty or holds a control character")
    return "\n".join(lines) + "\n"


def sign_note(*, text: str, key_name: str, private_key: Ed25519PrivateKey) -> str:
    """The text, an empty line and one signature line (C2SP signed-note); the text ends with a newline."""
    if not text.endswith("\n"):
        raise ValueError("a note ends with a newline")
    identity = key_id(key_name=key_name, public_key_bytes=_raw(private_key))
    return f"{text}\n— {key_name} {_base64(identity + private_key.sign(text.encode()))}\n"


def write_bundle(
    *,
    out: Path,
    files: Iterable[tuple[str, Content]],
    origin: str,
    size: int,
    root: bytes,
    key_name: str,
    private_key: Ed25519PrivateKey,
) -> str:
    """Write the evidence bundle to `out` (replaced only when complete) and return its signed checkpoint.

    `files` is read once, one member and one slice at a time; its order does not matter.
    """
    with (
        tempfile.TemporaryFile(dir=out.parent) as packed,
        tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}.", delete=False) as file,
    ):
        try:
            members = sorted(_pack(packed, name, content) for name, content in chain(_checked(files), _own_files(private_key)))
            archive = _Zip(file)
            for member in members:
                archive.add(member, packed)
            sums = "".join(f"{member.sha256}  {member.name}\n" for member in members).encode()
            archive.add(_pack(packed, "SHA256SUMS", sums), packed)
            lines = [f"sha256sums {sha256(sums).hexdigest()}", f"container {archive.digest.hexdigest()}"]
            text = checkpoint_text(origin=origin, size=size, root=root, extensions=lines)
            note = sign_note(text=text, key_name=key_name, private_key=private_key)
            archive.close(note.encode())
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).replace(out)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return note


class _Member(NamedTuple):
    """A file, deflated and waiting from `start` on in the file of packed members."""

    name: str
    start: int
    packed: int
    crc: int
    size: int
    sha256: str


def _pack(packed: IO[bytes], name: str, content: Content) -> _Member:
    """Deflate a file behind those already packed, a slice at a time."""
    start, digest, crc, size = packed.seek(0, os.SEEK_END), sha256(), 0, 0
    deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
    for piece in _slices(content):
        digest.update(piece)
        crc, size = zlib.crc32(piece, crc), size + len(piece)
        packed.write(deflate.compress(piece))
    packed.write(deflate.flush())
    return _Member(name, start, packed.tell() - start, crc, size, digest.hexdigest())


class _Zip:
    """A zip with nothing left to chance: no clock, no extra fields, no comment, no data descriptors."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest, self.offset = file, sha256(), 0
        self.directory: list[bytes] = []

    def add(self, member: _Member, packed: IO[bytes]) -> None:
        """Append one deflated member."""
        self._header(member, method=8)
        packed.seek(member.start)
        for at in range(0, member.packed, SLICE):
            self._write(packed.read(min(SLICE, member.packed - at)))

    def close(self, note: bytes) -> None:
        """Append the checkpoint, stored, then the directory that repeats the headers."""
        self._header(_Member("checkpoint.txt", 0, len(note), zlib.crc32(note), len(note), ""), method=0)
        self._write(note)
        directory, count, offset = b"".join(self.directory), len(self.directory), self.offset
        if count > ZIP_MEMBERS or offset + len(directory) > ZIP_LIMIT:
            raise ValueError("the bundle would need zip64: it is over 4 GiB or 65,535 members")
        self._write(directory + END.pack(b"PK\5\6", 0, 0, count, count, len(directory), offset, 0))

    def _header(self, member: _Member, *, method: int) -> None:
        if max(member.size, self.offset + member.packed) > ZIP_LIMIT:
            raise ValueError(f"{member.name} does not fit a bundle of 4 GiB")
        name = member.name.encode()
        about = (ZIP_VERSION, 0, method, 0, ZIP_DATE, member.crc, member.packed, member.size, len(name), 0)
        self.directory.append(CENTRAL.pack(b"PK\1\2", ZIP_VERSION, *about, 0, 0, 0, 0, self.offset) + name)
        self._write(LOCAL.pack(b"PK\3\4", *about) + name)

    def _write(self, data: bytes) -> None:
        self.file.write(data)
        self.digest.update(data)
        self.offset += len(data)


def _checked(files: Iterable[tuple[str, Content]]) -> Iterator[tuple[str, Content]]:
    """The files, refused when a name could escape a folder, stands for two files, or is the bundle's own."""
    names, folders = {name.lower() for name in RESERVED}, set[str]()
    for name, content in files:
        if not MEMBER_NAME.fullmatch(name) or len(name) > 200:
            raise ValueError(f"{name!r} is not a name for a file in a bundle")
        above = {str(folder).lower() for folder in PurePosixPath(name).parents}
        if name.lower() in names or name.lower() in folders or above & names:
            raise ValueError(f"{name!r} is in the bundle already, as a file or as a folder")
        names.add(name.lower())
        folders |= above
        yield name, content


def _own_files(private_key: Ed25519PrivateKey) -> list[tuple[str, Content]]:
    pem = private_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return [("log.pem", pem), ("verify.py", Path(__file__).with_name("verify_bundle.py").read_bytes())]


def _slices(content: Content) -> Iterator[bytes]:
    if isinstance(content, bytes):
        return (content[start : start + SLICE] for start in range(0, len(content), SLICE))
    return iter(content)


def _raw(private_key: Ed25519PrivateKey) -> bytes:
    return private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _name(key_name: str) -> str:
    if not key_name or not key_name.isprintable() or any(c.isspace() or c == "+" for c in key_name):
        raise ValueError(f"{key_name!r} is not a key name: no spaces, no plus sign")
    return key_name
