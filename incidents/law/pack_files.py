"""Reads the files of a folder of packs and checks them: strict YAML, the schema, every word against the vocabulary.

Whatever is wrong is refused with file, line, key and remedy. What was checked once is remembered (`pack_memory.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from incidents.law.pack_words import unknown_words
from incidents.law.strict_yaml import Lined, StrictYamlError, parse_yaml

VOCABULARY, CALENDARS, SCHEMA = "vocabulary.yaml", "calendars.yaml", "schema.json"
_DEFINITIONS = {VOCABULARY: "vocabulary", CALENDARS: "calendars"}
Document = Mapping[str, Any]


class PackError(ValueError):
    """A pack that cannot be used: the file, the line (from 1; 0 where none is known), the key, and what to do about it."""

    def __init__(self, *, file: str, key: str, problem: str, remedy: str, line: int = 0) -> None:
        self.file, self.line, self.key, self.problem, self.remedy = file, line, key, problem, remedy
        where = f"{file}:{line}" if line else file
        super().__init__(f"{where}: {key}: {problem}; {remedy}")


@dataclass(frozen=True)
class PackFiles:
    """The documents of one folder by file name; where they were parsed from YAML, their mappings know their lines."""

    documents: Mapping[str, Document]

    @property
    def vocabulary(self) -> Document:
        """The words that packs may use."""
        return self.documents[VOCABULARY]

    @property
    def calendars(self) -> Document:
        """The rules by which periods are counted."""
        return self.documents[CALENDARS]

    @property
    def packs(self) -> dict[str, Document]:
        """The packs alone, by file name."""
        return {name: document for name, document in self.documents.items() if name not in _DEFINITIONS}


def read_content(*, root: Path) -> dict[str, bytes]:
    """The bytes of every file that the packs of a folder are made of, by name; raises PackError."""
    names = {VOCABULARY, CALENDARS, SCHEMA, *(path.name for path in root.glob("*.yaml"))}
    return {name: _bytes(root / name) for name in sorted(names)}


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise PackError(file=path.name, key="file", problem=problem, remedy="put it there, or make it readable") from None


def checked(*, content: Mapping[str, bytes]) -> PackFiles:
    """The documents of these files, parsed and checked in full; raises PackError."""
    files = PackFiles({name: _parsed(name, data) for name, data in content.items() if name != SCHEMA})
    _check_schema(schema=json.loads(content[SCHEMA]), files=files)
    for name, document in files.packs.items():
        _check_words(name=name, document=document, files=files, written=content[name].decode().splitlines())
        _check_zone_and_days(name=name, document=document)
    return files


def line_of(*, document: Document, keys: tuple[str | int, ...]) -> int:
    """The line of the value that stands under these keys, or of what holds it; 0 where lines are not known."""
    line, node = getattr(document, "line", 0), document
    for place, key in enumerate(keys, 1):
        if isinstance(node, Lined) and isinstance(key, str):
            item = keys[place] if place < len(keys) else None
            line = node.line_of(key, item if isinstance(item, int) else None)
        try:
            node = node[key]  # type: ignore[index]
        except (KeyError, IndexError):
            break
    return line


def _parsed(name: str, data: bytes) -> Document:
    try:
        document = parse_yaml(data=data, path=name)
    except StrictYamlError as error:
        raise PackError(file=name, line=error.line, key=error.key, problem=error.problem, remedy="correct the file") from None
    if not isinstance(document, Lined):
        raise PackError(file=name, line=1, key="-", problem="not a mapping", remedy="start from another pack")
    return document


def _check_schema(*, schema: Document, files: PackFiles) -> None:
    import jsonschema  # only here: a start that remembers its packs does without it

    for name, document in files.documents.items():
        wanted = {"$ref": f"#/$defs/{_DEFINITIONS.get(name, 'pack')}", "$defs": schema["$defs"]}
        error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(wanted).iter_errors(document))
        if error is not None:
            path = tuple(error.absolute_path)
            raise PackError(
                file=name,
                line=line_of(document=document, keys=path),
                key=".".join(map(str, path)) or "(the file)",
                problem=error.message[:300],
                remedy="see schema.json and docs/packs.md",
            )


def _check_words(*, name: str, document: Document, files: PackFiles, written: list[str]) -> None:
    for found in unknown_words(document=document, vocabulary=files.vocabulary, calendars=files.calendars):
        keys = tuple(int(part) if part.isdigit() else part for part in found.key.split("."))
        first = line_of(document=document, keys=keys)
        # A word in a list has no line of its own: it is the first one of this spelling from there on.
        lines = (number for number, text in enumerate(written[first - 1 :], first) if found.word in text)
        raise PackError(
            file=name,
            line=next(lines, first),
            key=found.key,
            problem=f"{found.word!r} is no known {found.kind}",
            remedy=f"correct the word, or add it to {VOCABULARY} or {CALENDARS}",
        )


def _check_zone_and_days(*, name: str, document: Document) -> None:
    """What the schema knows only by its looks: the zone exists, and every day stands in the calendar."""
    for keys, value in _leaves(document, ()):
        try:
            if keys == ("zone",):
                ZoneInfo(value)
            elif keys[-1] in {"from", "until", "checked_on"} and isinstance(value, str):
                date.fromisoformat(value)
        except (ValueError, OSError, ZoneInfoNotFoundError):
            problem = f"{value!r} is no {'time zone' if keys == ('zone',) else 'day of the calendar'}"
            line = line_of(document=document, keys=keys)
            key = ".".join(map(str, keys))
            raise PackError(file=name, line=line, key=key, problem=problem, remedy="correct it") from None


def _leaves(node: Any, keys: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    inner = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inner:
        yield (*keys, key), value
        yield from _leaves(value, (*keys, key))
