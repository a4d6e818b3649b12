"""Remembers which packs were found valid, so that a start need not check 160 files again that nobody has touched.

Kept are the parsed documents, as JSON, under a name made of the SHA-256 of every byte that decides about them: all packs,
schema.json, and the code that checks. One changed byte is another name, so nothing here can be out of date.

What is read here skips the check, so it is believed only where nobody can have written it who could not have written the
packs themselves: the folder and the file are plain ones, belong to this user or to the owner of the packs' folder, and no
one else may write to them; a seal over name and content finds a damaged or renamed file. It is JSON and never pickle, since
reading it must not run anything. The packs' own hashes are computed from the documents in use, never taken from here: a law
that came from elsewhere would show in every obligation. Whatever is amiss, the answer is "not remembered" and the full check
runs; a folder that cannot be written to (a read-only installation) just goes on checking.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

#: Beside the packs, under the name that Python's own caches have: never committed, always safe to delete.
FOLDER = "__pycache__"
#: The modules that decide whether a pack is valid; a stricter check must see all packs again.
_CHECKERS = ("pack.py", "pack_files.py", "pack_memory.py", "pack_words.py", "strict_yaml.py")


def recall(*, root: Path, content: Mapping[str, bytes]) -> dict[str, Any] | None:
    """The documents of exactly these files, where they were found valid before; None where that is not known."""
    path = _path(root, content)
    try:
        if not (_trusted(path.parent, root, stat.S_ISDIR) and _trusted(path, root, stat.S_ISREG)):
            return None
        seal, _, body = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    found: dict[str, Any] | None = json.loads(body) if seal == _seal(path.name, body) else None
    return found


def remember(*, root: Path, content: Mapping[str, bytes], documents: Mapping[str, Any]) -> None:
    """Keep the documents of files that were found valid, in place of those kept before; says nothing where it cannot."""
    path = _path(root, content)
    body = json.dumps(documents, separators=(",", ":")).encode()
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o755, exist_ok=True)
        if _trusted(path.parent, root, stat.S_ISDIR):
            _replace(path, _seal(path.name, body) + b"\n" + body)
            for old in set(path.parent.glob("packs-*.json")) - {path}:
                old.unlink(missing_ok=True)


def _path(root: Path, content: Mapping[str, bytes]) -> Path:
    digest = hashlib.sha256()
    for name, data in [*sorted(content.items()), *((name, _code(name)) for name in _CHECKERS)]:
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return root / FOLDER / f"packs-{digest.hexdigest()}.json"


def _code(name: str) -> bytes:
    file = Path(__file__).with_name(name)
    return file.read_bytes() if file.exists() else b""


def _trusted(path: Path, root: Path, kind: Any) -> bool:
    found = path.lstat()
    owners = {os.geteuid(), root.stat().st_uid}
    return kind(found.st_mode) and found.st_uid in owners and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _seal(name: str, body: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + body).hexdigest().encode()


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all, whoever reads meanwhile."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix="packs-", suffix=".new", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except OSError:
            Path(file.name).unlink(missing_ok=True)
            raise
