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

from incidents.law.elements import Vocabulary
from incidents.law.pack_files import PackError, PackFiles, checked, line_of, read_content
from incidents.law.pack_memory import recall, remember

__all__ = ["PACKS_FOLDER", "Pack", "PackError", "PackSet", "Regime", "Version", "load_packs", "packs_from"]

PACKS_FOLDER = Path(__file__).parent / "packs"
#: Statuses of texts that are not law; they are kept and shown, and never create a duty.
DORMANT = {"proposed", "enacted_not_started"}
_NOT_PATHS = {"id", "scope", "sectors", "displaces", "judged_on"}


@dataclass(frozen=True)
class Version:
    """One dated version of one value: in force from `from_on` until the day before `until_on`."""

    value: Mapping[str, Any]
    reference: str
    from_on: date | None = None
    until_on: date | None = None
    dormant: bool = False
    #: When this value was last checked against its source, and how well; the pack's head says it where the value does not.
    checked_on: date | None = None
    verified: str = ""

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
    #: Places that an act of one sector covers: a country ("US"), a state ("US-NY") or a union ("EU").
    covers: tuple[str, ...] = ()
    #: Where business days are counted: "US-VT", "BR"; empty: at the controller's main establishment.
    holidays_of: str = ""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def binds(self, *, sector: str) -> bool:
        """Whether any law of the pack reaches a controller of this sector."""
        return any(regime.applies_to(sector=sector) for regime in self.regimes)


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
        return None if pack is None or pack.kind in {"union", "sector"} else pack

    def covers(self, *, pack: Pack, residence: str) -> bool:
        """Whether an act of one sector covers people of this residence."""
        own = self.find(residence=residence)
        union = own.inherits if own else None
        return any(residence == place or residence.startswith(f"{place}-") or union == place for place in pack.covers)

    def members(self, *, union: str) -> frozenset[str]:
        """Ids of the packs that inherit from `union`."""
        return frozenset(pack.id for pack in self.packs.values() if pack.inherits == union)

    def __iter__(self) -> Iterator[Pack]:
        return iter(self.packs.values())


def load_packs(*, folder: Path | None = None) -> PackSet:
    """All packs of `folder` (default: those shipped), read once; raises PackError naming file, line, key and remedy."""
    return _load(str(folder or PACKS_FOLDER))


def packs_from(*, content: Mapping[str, bytes]) -> PackSet:
    """The packs made of these files (by name, schema.json among them), checked in full and kept nowhere; raises PackError."""
    return _pack_set(checked(content=content))


@cache
def _load(folder: str) -> PackSet:
    root = Path(folder)
    content = read_content(root=root)
    known = recall(root=root, content=content)
    if known is not None:
        return _pack_set(PackFiles(known))
    files = checked(content=content)
    found = _pack_set(files)
    # Only now: building refuses versions that overlap and unions that do not exist.
    remember(root=root, content=content, documents=files.documents)
    return found


def _pack_set(files: PackFiles) -> PackSet:
    documents: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for name, document in files.packs.items():
        other, _ = documents.setdefault(document["id"], (name, document))
        if other != name:
            line, problem = line_of(document=document, keys=("id",)), f"{document['id']} is the id of {other} already"
            raise PackError(file=name, line=line, key="id", problem=problem, remedy="give each pack an id of its own")
    packs = {key: _build(name, document, documents) for key, (name, document) in sorted(documents.items())}
    words = Vocabulary.from_document(document=files.vocabulary)
    shared = {"vocabulary": files.vocabulary, "calendars": files.calendars}
    digest = _sha256({**shared, "packs": {key: pack.sha256 for key, pack in packs.items()}})
    return PackSet(packs=packs, vocabulary=words, calendars=files.calendars["rules"], sha256=digest)


def _build(name: str, document: Mapping[str, Any], documents: Mapping[str, tuple[str, Mapping[str, Any]]]) -> Pack:
    parent: Mapping[str, Any] = {}
    inherits = document.get("inherits")
    if inherits is not None:
        if inherits not in documents:
            problem = f"there is no pack {inherits}"
            line = line_of(document=document, keys=("inherits",))
            raise PackError(file=name, line=line, key="inherits", problem=problem, remedy="add it, or remove the key")
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
        covers=tuple(document.get("covers", ())),
        holidays_of=document.get("holidays_of", document["id"] if document["kind"] != "sector" else ""),
        document=document,
    )


def _regimes(name: str, document: Mapping[str, Any], parent: Mapping[str, Any]) -> tuple[Regime, ...]:
    found = {regime["id"]: dict(_paths(regime, parent)) for regime in parent.get("regimes", ())}
    heads = {regime["id"]: regime for regime in parent.get("regimes", ())}
    for regime in document["regimes"]:
        heads.setdefault(regime["id"], regime)
        found.setdefault(regime["id"], {}).update(_paths(regime, document))
    return tuple(_regime(name, heads[key], paths) for key, paths in found.items())


def _paths(regime: Mapping[str, Any], head: Mapping[str, Any]) -> Iterator[tuple[str, tuple[Version, ...]]]:
    for group, values in regime.items():
        if group not in _NOT_PATHS:
            for key, versions in values.items():
                yield f"{group}.{key}", tuple(_version(item, head) for item in versions)


def _regime(name: str, head: Mapping[str, Any], versions: Mapping[str, tuple[Version, ...]]) -> Regime:
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


def _version(item: Mapping[str, Any], head: Mapping[str, Any]) -> Version:
    return Version(
        value=item,
        reference=_reference(item["reference"]),
        from_on=_day(item["from"]),
        until_on=_day(item["until"]),
        dormant=item.get("status") in DORMANT,
        checked_on=_day(item.get("checked_on", head["checked_on"])),
        verified=item.get("verified", head["verified"]),
    )


def _refuse_overlaps(*, name: str, key: str, versions: tuple[Version, ...]) -> None:
    living = sorted((v for v in versions if not v.dormant), key=lambda v: v.from_on or date.min)
    for earlier, later in pairwise(living):
        if earlier.until_on is None or (later.from_on or date.min) < earlier.until_on:
            problem = f"two versions are in force on {later.from_on or 'the first day'}"
            line = line_of(document=later.value, keys=("from",))
            raise PackError(file=name, line=line, key=key, problem=problem, remedy="end one the day the other starts")


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _reference(reference: Mapping[str, Any]) -> str:
    section = reference.get("section")
    return f"{reference['title']}, {section}" if section else str(reference["title"])


def _sha256(document: Mapping[str, Any]) -> str:
    canonical = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()
