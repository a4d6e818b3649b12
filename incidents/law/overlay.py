"""Packs as they would be: files of one's own laid over those shipped, or a whole folder in their place.

One file takes the place of the pack with its `id`, or is a new one. A folder with a vocabulary of its own is a whole set;
another folder is so many single files. The schema is always the program's own. Nothing is copied and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from incidents.law.pack import PACKS_FOLDER, PackSet, packs_from
from incidents.law.pack_files import CALENDARS, SCHEMA, VOCABULARY, PackError, read_content
from incidents.law.strict_yaml import StrictYamlError, parse_yaml

_SHARED = (CALENDARS, SCHEMA, VOCABULARY)


@dataclass(frozen=True)
class Sources:
    """The bytes of every file of a set of packs by name, and where those that were given lie."""

    content: Mapping[str, bytes]
    given: Mapping[str, Path]

    def place(self, *, name: str) -> str:
        """How a file of the set is called in messages: as it was given, else by its name."""
        return str(self.given.get(name, name))


def sources_of(*, path: Path | None = None) -> Sources:
    """The shipped files, with what `path` (a file or a folder) brings; raises PackError where it cannot be read."""
    shipped = read_content(root=PACKS_FOLDER)
    if path is None:
        return Sources(shipped, {name: _from_here(PACKS_FOLDER / name) for name in shipped})
    files = _files(path)
    whole = any(file.name == VOCABULARY for file in files)
    content = {name: data for name, data in shipped.items() if name in _SHARED or not whole}
    given: dict[str, Path] = {}
    for file in files:
        data = _bytes(file)
        name = _name(file, data)
        name = file.name if name in given else name  # two files with one id: both are looked at, and refused
        content[name], given[name] = data, file
    return Sources(content, given)


def packs_with(*, path: Path) -> PackSet:
    """All packs, with those of `path` in the place of the shipped ones; raises PackError naming the file as it was given."""
    sources = sources_of(path=path)
    try:
        return packs_from(content=sources.content)
    except PackError as error:
        raise PackError(
            file=sources.place(name=error.file), line=error.line, key=error.key, problem=error.problem, remedy=error.remedy
        ) from None


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(path.glob("*.yaml"))
    if not found:
        remedy = "give a pack (a YAML file), or a folder of packs"
        raise PackError(file=str(path), key="folder", problem="holds no pack", remedy=remedy)
    return found


def _from_here(file: Path) -> Path:
    here = Path.cwd()
    return file.relative_to(here) if file.is_relative_to(here) else file


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise PackError(file=str(file), key="file", problem=problem, remedy="give the path of a pack or of a folder") from None


def _name(file: Path, data: bytes) -> str:
    """The name of the file in the set: that of the shipped pack with the same id; without an id (which is refused) its own."""
    if file.name in {CALENDARS, VOCABULARY}:
        return file.name
    try:
        document = parse_yaml(data=data, path=file)
    except StrictYamlError as error:
        remedy = "correct the file; nothing was read"
        raise PackError(file=str(file), line=error.line, key=error.key, problem=error.problem, remedy=remedy) from None
    known = isinstance(document, Mapping) and isinstance(document.get("id"), str)
    return f"{document['id'].lower()}.yaml" if known else file.name
