"""A pack, and what changed in packs, ready to be shown: as data, and as lines of plain English made from these data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from typing import Any

from incidents.law.compare import Difference, PackChange, ValueChange, between_days, inherited_from, values_on
from incidents.law.competence import STATE_UNKNOWN
from incidents.law.in_words import value_lines
from incidents.law.pack import Pack, PackSet, Regime, Version
from incidents.law.places import is_no_part, may_mean, residence_of

_WHOM = {
    "person": "people",
    "regulator": "authority",
    "bureaus": "consumer reporting agencies",
    "media": "media",
    "clients": "clients",
    "processor": "supplier to its client",
    "record": "register",
    "competence": "which authority",
    "assessment": "assessment",
}
_WHAT = {
    "owed": "whether owed",
    "deadline": "by when",
    "second": "second report",
    "final": "final report",
    "hold": "waiting",
    "content": "what it says",
    "channels": "by which way",
    "substitute": "notice in other ways",
    "monitoring": "free services",
    "exemptions": "exemptions",
    "to": "to whom",
    "late": "if late",
    "phased": "in phases",
    "duty": "what is kept",
    "lead": "who leads",
}
_STATUS = {
    "proposed": "proposed, not enacted",
    "enacted_not_started": "enacted, without a first day",
    "future": "starts later",
    "grace_period": "in force, in its grace period",
    "in_force_without_regulations": "in force, without its regulations",
}
_VERIFIED = {"true": "compared with its sources", "partly": "partly compared with its sources", "memory": "from memory alone"}
_HEAD = ("authority_languages", "covers", "notes", "sources")

#: So many characters of text are told in full on both sides of a change.
_SHORT = 600

Found = Mapping[str, Any]


class UnknownJurisdiction(LookupError):
    """There is no pack of this name; the text says what may be meant."""


def pack_named(*, word: str, packs: PackSet) -> Pack:
    """The pack of an id or a residence, in capitals or not; raises UnknownJurisdiction with what may be meant."""
    key = residence_of(code=word).strip().upper()
    found = packs.packs.get(key) or (None if is_no_part(residence=key) else packs.find(residence=key))
    if found is None:
        raise UnknownJurisdiction(f"There is no pack '{word}'{_meant(word, packs)}")
    return found


def _meant(word: str, packs: PackSet) -> str:
    key = word.strip().upper()
    if key in STATE_UNKNOWN:
        return ": US law depends on the state; name it, such as US-CA."
    if meant := may_mean(word=word):
        return f": is {' or '.join(meant)} meant?"
    names = {pack.name.upper(): pack.id for pack in packs} | {id_: id_ for id_ in packs.packs}
    near = dict.fromkeys(names[name] for name in get_close_matches(key, names, n=3, cutoff=0.75))
    return f": is {' or '.join(near)} meant?" if near else ". Write the code of a country (FR) or of its part (US-CA, CA-QC)."


def pack_document(*, pack: Pack, on: date) -> dict[str, Any]:
    """The whole pack as data: its head, each law with what is in force on the local day `on`, and apart what is no law then."""
    return {
        **_head(pack),
        "on": on.isoformat(),
        "regimes": [_regime(pack, regime, on) for regime in pack.regimes],
        "not_law": [entry for regime in pack.regimes for entry in _entries(pack, regime, on, "not law")],
    }


def _head(pack: Pack) -> dict[str, Any]:
    document = pack.document
    return {
        "id": pack.id, "name": pack.name, "kind": pack.kind, "law": pack.law, "address": document["law"].get("address", ""),
        "zone": pack.zone.key, "languages": list(pack.languages), "inherits": pack.inherits or "",
        "holidays_of": pack.holidays_of, "version": pack.version, "sha256": pack.sha256,
        "checked_on": pack.checked_on.isoformat(), "verified": pack.verified, "from_memory": list(pack.from_memory),
        "doubt": list(pack.doubt), **{key: list(document.get(key, ())) for key in _HEAD},
    }  # fmt: skip


def _regime(pack: Pack, regime: Regime, on: date) -> dict[str, Any]:
    heads = {"scope": regime.scope, "sectors": sorted(regime.sectors), "displaces": sorted(regime.displaces)}
    values = {"values": "in force", "earlier": "earlier"}
    entries = {name: list(_entries(pack, regime, on, kind)) for name, kind in values.items()}
    return {"id": regime.id, **heads, "judged_on": regime.judged_on, **entries}


def _entries(pack: Pack, regime: Regime, on: date, kind: str) -> Iterator[dict[str, Any]]:
    for path, versions in regime.paths.items():
        for version in versions:
            if state_of(version=version, on=on) == kind:
                origin = inherited_from(pack=pack, regime=regime.id, path=path)
                yield {
                    "regime": regime.id,
                    "path": path,
                    **version_document(path=path, version=version),
                    "inherited_from": origin,
                }


def state_of(*, version: Version, on: date) -> str:
    """Whether a version is `in force` on that day, `earlier` law, or `not law` (proposed, not started, or starting later)."""
    if version.covers(on=on):
        return "in force"
    ended = version.until_on is not None and version.until_on <= on
    return "earlier" if ended and not version.dormant else "not law"


def version_document(*, path: str, version: Version) -> dict[str, Any]:
    """One version of one value as data, with its text in plain English and every mark it carries."""
    value = version.value
    return {
        "from": version.from_on.isoformat() if version.from_on else None,
        "until": version.until_on.isoformat() if version.until_on else None,
        "status": value.get("status", ""),
        "reference": version.reference,
        "address": value["reference"].get("address", ""),
        "from_memory": bool(value.get("from_memory", False)) or version.verified == "memory",
        "checked_on": version.checked_on.isoformat() if version.checked_on else None,
        "verified": version.verified,
        "changed_by": value.get("changed_by", ""),
        "note": value.get("note", ""),
        "text": value_lines(path=path, value=value),
        "value": value,
    }


def pack_lines(*, document: Found) -> Iterator[str]:
    """The whole pack in plain English."""
    yield from _head_lines(document)
    for regime in document["regimes"]:
        yield ""
        yield from _regime_lines(regime)
    if document["not_law"]:
        yield ""
        yield f"NOT LAW on {document['on']}: kept and shown, never a duty"
        for entry in document["not_law"]:
            yield from _entry_lines(entry)


def _head_lines(document: Found) -> Iterator[str]:
    yield f"{document['id']}: {document['name']} ({document['kind'].replace('_', ' ')}), as on {document['on']}"
    yield f"  law: {document['law']}{' <' + document['address'] + '>' if document['address'] else ''}"
    yield f"  languages of the letters: {', '.join(document['languages']) or 'none is named'}"
    yield f"  time zone: {document['zone']}; business days of: {document['holidays_of'] or 'the main establishment'}"
    if document["inherits"]:
        yield f"  takes the law of {document['inherits']}, where it has none of its own"
    if document["covers"]:
        yield f"  covers people in: {', '.join(document['covers'])}"
    yield f"  version {document['version']}, sha256 {document['sha256'][:16]}"
    yield f"  checked on {document['checked_on']}: {_VERIFIED[document['verified']]}"
    for name, title in (("from_memory", "FROM MEMORY, not checked"), ("doubt", "in doubt"), ("notes", "note")):
        yield from (f"  {title}: {item}" for item in document[name])


def _regime_lines(regime: Found) -> Iterator[str]:
    scope = f": {regime['scope']}" if regime["scope"] else ": the law for everyone" if not regime["sectors"] else ""
    yield f"LAW '{regime['id']}'{scope}"
    if regime["sectors"]:
        yield f"  for the sectors: {', '.join(regime['sectors'])}"
    if regime["displaces"]:
        yield f"  takes the place of the general law towards: {', '.join(_WHOM[one] for one in regime['displaces'])}"
    yield f"  judged by the law of the day of: {regime['judged_on']}"
    for entry in regime["values"]:
        yield from _entry_lines(entry)
    if not regime["values"]:
        yield "  nothing of this law is in force on that day"
    for entry in regime["earlier"]:
        yield f"  no longer: {label(path=entry['path'])}, {_dates(entry)} [{entry['reference']}]"


def _entry_lines(entry: Found) -> Iterator[str]:
    yield f"  {label(path=entry['path'])} [{entry['regime']}.{entry['path']}], {_dates(entry)}"
    yield from (f"      {line}" for line in entry["text"])
    yield f"      -- {entry['reference']}{_marks(entry)}"


def label(*, path: str) -> str:
    """The path of a value in English: "person.deadline" is "people, by when"."""
    whom, _, what = path.partition(".")
    return f"{_WHOM.get(whom, whom)}, {_WHAT.get(what, what)}"


def _dates(entry: Found) -> str:
    since = f"since {entry['from']}" if entry["from"] else "as far back as the pack goes"
    until = f" until {entry['until']} (that day no longer)" if entry["until"] else ""
    status = _STATUS.get(entry["status"], "")
    return f"{since}{until}" + (f" ({status})" if status else "")


def _marks(entry: Found) -> str:
    own_check = {"checked_on", "verified"} & set(entry["value"])
    marks = [
        "FROM MEMORY, not checked" if entry["from_memory"] else "",
        f"taken from {entry['inherited_from']}" if entry["inherited_from"] else "",
        f"changed by {entry['changed_by']}" if entry["changed_by"] else "",
        f"checked on {entry['checked_on']}, {_VERIFIED[entry['verified']]}" if own_check else "",
        f"note: {entry['note']}" if entry["note"] else "",
    ]
    return "".join(f"; {mark}" for mark in marks if mark)


# -- what changed --------------------------------------------------------------------------------------------------


def changes_document(*, pack: Pack, first: date, last: date, inherited: bool) -> dict[str, Any]:
    """What changed in one pack between two local days; with `inherited` also what it takes from its union."""
    found = [change for change in between_days(pack=pack, first=first, last=last) if inherited or not change.inherited_from]
    return {
        "jurisdiction": pack.id,
        "name": pack.name,
        "in_force": {str(on): len(values_on(pack=pack, on=on)) for on in (first, last)},
        "changes": [change_document(change=change) for change in found],
    }


def change_document(*, change: ValueChange) -> dict[str, Any]:
    """One step of one value as data."""
    return {
        "regime": change.regime,
        "path": change.path,
        "on": change.on.isoformat() if change.on else None,
        "inherited_from": change.inherited_from,
        "before": version_document(path=change.path, version=change.before) if change.before else None,
        "after": version_document(path=change.path, version=change.after) if change.after else None,
        "differences": differences_document(found=change.differences),
        "references": list(change.references),
    }


def pack_change_document(*, change: PackChange) -> dict[str, Any]:
    """What is written otherwise in one pack, as data."""
    return {
        "jurisdiction": change.jurisdiction,
        "name": change.name,
        "kind": change.kind,
        "head": differences_document(found=change.head),
        "changes": [change_document(change=one) for one in change.values],
    }


def differences_document(*, found: Iterable[Difference]) -> list[dict[str, Any]]:
    """Differences as data, each with its one line."""
    return [{"key": one.key, "before": one.before, "after": one.after, "text": one.words} for one in found]


def changes_lines(*, documents: Sequence[Found]) -> Iterator[str]:
    """What changed, pack by pack, in plain English."""
    for document in documents:
        kind = {"new": "a new pack", "gone": "the pack is gone"}.get(document.get("kind", ""), "")
        yield f"{document['jurisdiction']}: {document['name']}{' (' + kind + ')' if kind else ''}"
        for difference in document.get("head", ()):
            yield f"  {difference['text']}"
        for change in document["changes"]:
            yield from _change_lines(change)


def _change_lines(change: Found) -> Iterator[str]:
    day = f"{change['on']}  " if change["on"] else ""
    origin = f", taken from {change['inherited_from']}" if change["inherited_from"] else ""
    yield f"  {day}{label(path=change['path'])} [{change['regime']}.{change['path']}]{origin}"
    before, after = change["before"], change["after"]
    if before and after and not _is_told_whole(change):
        yield from (f"      {difference['text']}" for difference in change["differences"])
        if not change["differences"]:
            yield "      the same, written elsewhere or noted otherwise"
        yield from (f"      {one}" for one in dict.fromkeys([f"-- {before['reference']}", f"-- {after['reference']}"]))
        return
    for title, version in (("was", before), ("is", after)):
        yield from _side_lines(title, version)
    if not change["on"]:
        yield from (f"      {difference['text']}" for difference in change["differences"] if not _is_deep(difference))


def _is_told_whole(change: Found) -> bool:
    """Whether both texts are told: where they are short, or where the differences alone would be hard to read."""
    before, after = change["before"]["text"], change["after"]["text"]
    short = sum(map(len, [*before, *after])) <= _SHORT
    return before != after and (short or any(_is_deep(difference) for difference in change["differences"]))


def _is_deep(difference: Found) -> bool:
    parts = [part for side in ("before", "after") for part in _parts(difference[side])]
    return any(isinstance(part, Mapping) for part in parts)


def _parts(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _side_lines(title: str, version: Found | None) -> Iterator[str]:
    if version is None:
        yield f"      {title}: nothing"
        return
    yield from (f"      {f'{title}:' if not number else '   '} {line}" for number, line in enumerate(version["text"]))
    memory = "; FROM MEMORY, not checked" if version["from_memory"] else ""
    by = f"; {version['changed_by']}" if version["changed_by"] else ""
    yield f"          {_dates(version)} -- {version['reference']}{by}{memory}"
