"""Reads law packs: one YAML file per jurisdiction, checked against schema.json, each with a version and a hash.

A pack holds regimes (the general law, sector laws); a regime holds values by path ("person.deadline"); a value is a
list of dated versions. A pack that inherits takes the regimes of its union and replaces single paths.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jsonschema

from incidents.law.elements import Vocabulary
from incidents.law.pack_words import unknown_words
from incidents.law.strict_yaml import StrictYamlError, read_yaml

PACKS_FOLDER = Path(__file__).parent / "packs"
NOT_PACKS = {"calendars.yaml", "vocabulary.yaml"}
#: Statuses of texts that are not law; they are kept and shown, and never create a duty.
DORMANT = {"proposed", "enacted_not_started"}
_NOT_PATHS = {"id", "scope", "sectors", "displaces", "judged_on"}


class PackError(ValueError):
    """A pack that cannot be used: the file, the key, and what to do about it."""

    def __init__(self, *, file: str, key: str, problem: str, remedy: str) -> None:
        self.file, self.key, self.problem, self.remedy = file, key, problem, remedy
        super().__init__(f"{file}: {key}: {problem}; {remedy}")


@dataclass(frozen=True)
class Version:
    """One dated version of one value: in force from `from_on` until the day before `until_on`."""

    value: Mapping[str, Any]
    reference: str
    from_on: date | None = None
    until_on: date | None = None
    dormant: bool = False

    def covers(self, *, on: date) -> bool:
        """Whether this version is law on the local day `on`."""
        after_start = self.from_on is None or self.from_on <= on
        return not self.dormant and after_start and (self.until_on is None or on < self.until_on)


@dataclass(frozen=True)
class Regime:
    """One law of a jurisdiction: the general one (no sectors) or a sector law."""

    id: str
    judged_on: str
    paths: Mapping[str, tuple[Version, ...]]
    scope: str = ""
    sectors: frozenset[str] = frozenset()
    displaces: frozenset[str] = frozenset()

    def version(self, *, path: str, on: date) -> Version | None:
        """The version of `path` in force on the local day `on`, or None."""
        return next((version for version in self.paths.get(path, ()) if version.covers(on=on)), None)

    def applies_to(self, *, sector: str) -> bool:
        """Whether this law reaches a controller of this sector."""
        return not self.sectors or sector in self.sectors


@dataclass(frozen=True)
class Pack:
    """The law of one jurisdiction. `sha256` is that of the canonical pack, inherited law included."""

    id: str
    name: str
    kind: str
    zone: ZoneInfo
    version: str
    checked_on: date
    sha256: str
    law: str
    regimes: tuple[Regime, ...]
    inherits: str | None = None
    verified: str = ""
    from_memory: tuple[str, ...] = ()
    doubt: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True)
class PackSet:
    """All packs of one folder, with the vocabulary and the calendar rules they use."""

    packs: Mapping[str, Pack]
    vocabulary: Vocabulary
    calendars: Mapping[str, Mapping[str, Any]]
    sha256: str

    def find(self, *, residence: str) -> Pack | None:
        """The pack that governs a residence; a province takes its country's, a US state never does."""
        pack = self.packs.get(residence)
        country, dash, _ = residence.partition("-")
        if pack is None and dash and country != "US":
            pack = self.packs.get(country)
        return None if pack is None or pack.kind == "union" else pack

    def members(self, *, union: str) -> frozenset[str]:
        """Ids of the packs that inherit from `union`."""
        return frozenset(pack.id for pack in self.packs.values() if pack.inherits == union)

    def __iter__(self) -> Iterator[Pack]:
        return iter(self.packs.values())


def load_packs(*, folder: Path | None = None) -> PackSet:
    """All packs of `folder` (default: those shipped), read once; raises PackError naming file, key and remedy."""
    return _load(str(folder or PACKS_FOLDER))


@cache
def _load(folder: str) -> PackSet:
    root = Path(folder)
    vocabulary = _read(root / "vocabulary.yaml")
    calendars = _read(root / "calendars.yaml")
    files = {path.name: _read(path) for path in sorted(root.glob("*.yaml")) if path.name not in NOT_PACKS}
    _check_schema(root=root, files={**files, "vocabulary.yaml": vocabulary, "calendars.yaml": calendars})
    _check_words(files=files, vocabulary=vocabulary, calendars=calendars)
    documents = {document["id"]: (name, document) for name, document in files.items()}
    packs = {key: _build(name, document, documents) for key, (name, document) in sorted(documents.items())}
    words = Vocabulary.from_document(document=vocabulary)
    shared = {"vocabulary": vocabulary, "calendars": calendars}
    digest = _sha256({**shared, "packs": {key: pack.sha256 for key, pack in packs.items()}})
    return PackSet(packs=packs, vocabulary=words, calendars=calendars["rules"], sha256=digest)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = read_yaml(path=path)
    except StrictYamlError as error:
        key = f"line {error.line}, {error.key}"
        raise PackError(file=path.name, key=key, problem=error.problem, remedy="correct the file") from None
    if not isinstance(document, dict):
        raise PackError(file=path.name, key="-", problem="not a mapping", remedy="start from another pack")
    return document


def _check_schema(*, root: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    schema = json.loads((root / "schema.json").read_text(encoding="utf-8"))
    definitions = {"vocabulary.yaml": "vocabulary", "calendars.yaml": "calendars"}
    for name, document in files.items():
        wanted = {"$ref": f"#/$defs/{definitions.get(name, 'pack')}", "$defs": schema["$defs"]}
        error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(wanted).iter_errors(document))
        if error is not None:
            key = ".".join(str(part) for part in error.absolute_path) or "(the file)"
            remedy = "see schema.json and docs/packs.md"
            raise PackError(file=name, key=key, problem=error.message[:300], remedy=remedy)


def _check_words(*, files: Mapping[str, Mapping[str, Any]], vocabulary: Mapping[str, Any], calendars: Mapping[str, Any]) -> None:
    for name, document in files.items():
        for found in unknown_words(document=document, vocabulary=vocabulary, calendars=calendars):
            problem = f"{found.word!r} is no known {found.kind}"
            remedy = "correct the word, or add it to vocabulary.yaml or calendars.yaml"
            raise PackError(file=name, key=found.key, problem=problem, remedy=remedy)


def _build(name: str, document: Mapping[str, Any], documents: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Pack:
    parent: Mapping[str, Any] = {}
    inherits = document.get("inherits")
    if inherits is not None:
        if inherits not in documents:
            problem = f"there is no pack {inherits}"
            raise PackError(file=name, key="inherits", problem=problem, remedy="add it, or remove the key")
        parent = documents[inherits][1]
    return Pack(
        id=document["id"],
        name=document["name"],
        kind=document["kind"],
        zone=ZoneInfo(document["zone"]),
        version=document["version"],
        checked_on=date.fromisoformat(document["checked_on"]),
        sha256=_sha256({"pack": document, "inherited": parent}),
        law=_reference(document["law"]),
        regimes=_regimes(name, document, parent),
        inherits=inherits,
        verified=document["verified"],
        from_memory=tuple(document.get("from_memory", ())),
        doubt=tuple(document.get("doubt", ())),
        notes=tuple(document.get("notes", ())),
        languages=tuple(document.get("languages", ())),
        document=document,
    )


def _regimes(name: str, document: Mapping[str, Any], parent: Mapping[str, Any]) -> tuple[Regime, ...]:
    found = {regime["id"]: dict(_paths(regime)) for regime in parent.get("regimes", ())}
    heads = {regime["id"]: regime for regime in parent.get("regimes", ())}
    for regime in document["regimes"]:
        heads.setdefault(regime["id"], regime)
        found.setdefault(regime["id"], {}).update(_paths(regime))
    return tuple(_regime(name, heads[key], paths) for key, paths in found.items())


def _paths(regime: Mapping[str, Any]) -> Iterator[tuple[str, list[Mapping[str, Any]]]]:
    for group, values in regime.items():
        if group not in _NOT_PATHS:
            for key, versions in values.items():
                yield f"{group}.{key}", versions


def _regime(name: str, head: Mapping[str, Any], paths: Mapping[str, list[Mapping[str, Any]]]) -> Regime:
    versions = {path: tuple(_version(item) for item in items) for path, items in paths.items()}
    for path, items in versions.items():
        _refuse_overlaps(name=name, key=f"{head['id']}.{path}", versions=items)
    return Regime(
        id=head["id"],
        judged_on=head["judged_on"],
        paths=versions,
        scope=head.get("scope", ""),
        sectors=frozenset(head.get("sectors", ())),
        displaces=frozenset(head.get("displaces", ())),
    )


def _version(item: Mapping[str, Any]) -> Version:
    return Version(
        value=item,
        reference=_reference(item["reference"]),
        from_on=_day(item["from"]),
        until_on=_day(item["until"]),
        dormant=item.get("status") in DORMANT,
    )


def _refuse_overlaps(*, name: str, key: str, versions: tuple[Version, ...]) -> None:
    living = sorted((v for v in versions if not v.dormant), key=lambda v: v.from_on or date.min)
    for earlier, later in pairwise(living):
        if earlier.until_on is None or (later.from_on or date.min) < earlier.until_on:
            problem = f"two versions are in force on {later.from_on or 'the first day'}"
            raise PackError(file=name, key=key, problem=problem, remedy="end one the day the other starts")


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _reference(reference: Mapping[str, Any]) -> str:
    section = reference.get("section")
    return f"{reference['title']}, {section}" if section else str(reference["title"])


def _sha256(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
