"""What has changed since the law was last asked: facts, findings, filings, people and packs, each with its old and new value."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from incidents.audit.actions import Action
from incidents.law.pack import load_packs
from incidents.models import AuditEvent, Finding, Incident
from incidents.people.assessing import Known, known, pack_version
from incidents.people.opening import facts_at

#: Entries after which the people, where they live, or their clocks are others.
PEOPLE_CHANGED = (
    Action.SOURCE_IMPORTED, Action.PERSON_CORRECTED, Action.PERSON_MERGED, Action.QUEUE_REJECTED, Action.PERSON_JOINED,
    Action.PERSON_EXCLUDED,
)  # fmt: skip
NOTHING = "nothing"


@dataclass(frozen=True)
class Change:
    """One thing that changed: its kind (fact, finding, filing, people, pack, program), its name, its old and its new value."""

    kind: str
    name: str
    was: str = ""
    now: str = ""
    note: str = ""

    @property
    def title(self) -> str:
        """Kind and name alone: no value, so that it may stand in the log."""
        return f"{self.kind} {self.name}".strip()

    @property
    def words(self) -> str:
        """The change in one line."""
        values = f": {self.was} -> {self.now}" if self.was or self.now else ""
        return self.title + values + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class Asked:
    """The last time the law's answer was written down: when, as which entry, and under which packs."""

    at: datetime
    entry: int
    packs: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    unions: Mapping[str, str] = field(default_factory=dict)
    set_sha256: str = ""

    @property
    def other_set(self) -> bool:
        """Whether any pack, calendar or word is another one now."""
        return bool(self.set_sha256) and self.set_sha256 != load_packs().sha256


@dataclass(frozen=True)
class Candidate:
    """A change, and what would be known without it."""

    change: Change
    without: Known


def last_asked(*, incident: Incident) -> Asked | None:
    """When the law was last asked and said something new; None before the first time.

    A later question with the same answer leaves no entry: what changed before it changed no obligation.
    """
    asked = AuditEvent.objects.filter(log__incident=incident, subject="", action=Action.RULES_LOADED)
    event = asked.order_by("-id").first()
    if event is None:
        return None
    data = json.loads(event.line)["data"]
    more = {name: data[name] for name in ("versions", "unions", "set_sha256") if name in data}
    return Asked(event.happened_at, event.pk, data["packs"], **more)


def candidates(*, incident: Incident, asked: Asked, now: Known) -> list[Candidate]:
    """Everything that a person changed since then and that the law looks at."""
    then = known(incident=incident, until=asked.at)
    seen = _of_facts(incident, then, now)
    return [*seen, *_of_findings(then, now, {one.change.name for one in seen})]


def _of_facts(incident: Incident, then: Known, now: Known) -> list[Candidate]:
    version, found = facts_at(incident=incident), []
    zone = version.facts["zone"]
    for name, was, is_now in differing(then.facts, now.facts):
        kind, short = _kind(name)
        note = f"facts version {version.number}" if kind == "fact" else _by(now.findings.get((short, "")))
        without = Known(reverted(now.facts, then.facts, name), now.findings)
        found.append(Candidate(Change(kind, short, shown(was, zone=zone), shown(is_now, zone=zone), note), without))
    return found


def _kind(name: str) -> tuple[str, str]:
    head, _, rest = name.partition(".")
    if head == "findings":
        return "finding", rest.removeprefix("answers.")
    return ("filing", rest) if head == "filed_at" else ("fact", name)


def _by(finding: Finding | None) -> str:
    return f"found by {finding.author.username}" if finding else ""


def _of_findings(then: Known, now: Known, seen: set[str]) -> list[Candidate]:
    """Findings that the engine does not see: what is done where no law decides."""
    found = []
    for key in sorted({*then.findings, *now.findings}):
        was, is_now = then.findings.get(key), now.findings.get(key)
        name = ":".join(part for part in key if part)
        if key[0] not in seen and (was and was.value) != (is_now and is_now.value):
            old = {other: finding for other, finding in now.findings.items() if other != key} | ({key: was} if was else {})
            values = (shown(was.value if was else None), shown(is_now.value if is_now else None))
            found.append(Candidate(Change("finding", name, *values, _by(is_now)), Known(now.facts, old)))
    return found


def people_change(*, incident: Incident, asked: Asked) -> Change | None:
    """Whether the people changed since then: another list, a merge, a correction, a rejection."""
    later = AuditEvent.objects.filter(log__incident=incident, id__gt=asked.entry, action__in=PEOPLE_CHANGED)
    newest = later.order_by("-id").first()
    return Change("people", note=f"{newest.action} by {newest.actor}", name="") if newest else None


def pack_changes(*, name: str, asked: Asked, was: str, now: str) -> list[Change]:
    """A pack that is another one than it was then, or the union's that it inherits; hashes are empty where there is none."""
    old, new = asked.versions.get(name, ""), pack_version(name=name) if now else ""
    pack = load_packs().packs.get(name)
    union = load_packs().packs.get(pack.inherits or "") if pack else None
    own = [Change("pack", name, _version(old, was), _version(new, now))]
    if union is None or asked.unions.get(union.id, union.sha256) == union.sha256:
        return own
    before = _version(old.partition(f" on {union.id} ")[2], asked.unions[union.id])
    changed = Change("pack", union.id, before, _version(union.version, union.sha256))
    return [changed, *own] if old.partition(" on ")[0] != new.partition(" on ")[0] else [changed]


def shared_change() -> Change:
    """What all packs share is another: how periods are counted, what the words mean."""
    return Change("pack", "calendars.yaml, vocabulary.yaml, or the program")


def _version(version: str, sha256: str) -> str:
    return f"{version} [{sha256[:12]}]".strip() if sha256 else NOTHING


# -- values, by their names ----------------------------------------------------------------------------------------


def flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside mappings and dataclasses, by its dotted name; a list is one value."""
    parts = _parts(value)
    if parts is None:
        yield prefix, value
    else:
        for name, inner in parts.items():
            yield from flat(inner, f"{prefix}.{name}" if prefix else name)


def _parts(value: Any) -> dict[str, Any] | None:
    if isinstance(value, Mapping):
        return {str(name): inner for name, inner in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    return None


def differing(then: Any, now: Any) -> list[tuple[str, Any, Any]]:
    """What differs between two values: name, old, new. An absent value is as good as none."""
    old, new = dict(flat(then)), dict(flat(now))
    names = dict.fromkeys([*old, *new])
    return [(name, old.get(name), new.get(name)) for name in names if (old.get(name) or None) != (new.get(name) or None)]


def reverted(now: Any, then: Any, name: str) -> Any:
    """`now` with the one value of this name as it was `then`."""
    head, _, rest = name.partition(".")
    new, old = _parts(now) or {}, _parts(then) or {}
    inner = reverted(new.get(head, {}), old.get(head, {}), rest) if rest else old.get(head)
    if not isinstance(now, Mapping):
        return replace(now, **{head: inner})
    kept = {key: value for key, value in now.items() if str(key) != head}
    return {**kept, head: inner} if rest or head in old else kept


def shown(value: Any, *, zone: str = "") -> str:
    """A value as a line of text; a moment at the place of a zone, where one is given."""
    if value is None or value in ("", [], ()):
        return NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime) and zone and value.tzinfo:
        return value.astimezone(ZoneInfo(zone)).isoformat()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {shown(inner)}" for name, inner in value.items())
    return "; ".join(shown(part) for part in value) if isinstance(value, list | tuple | set | frozenset) else str(value)
