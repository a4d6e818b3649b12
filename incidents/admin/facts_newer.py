"""A facts page that somebody else's version has overtaken: what was typed beside what was saved meanwhile, fact by fact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from incidents.admin.facts_form import STATES, FactsForm
from incidents.admin.moments import Shown, local_text, shown
from incidents.models import FactVersion, Incident

NOTHING = "–"
SAID: dict[object, str] = {
    True: "yes",
    False: "no",
    None: NOTHING,
    "": NOTHING,
    **{state: said for state, said in STATES if state},
}


#: What is compared, and shown, of a fact that is not there.
ABSENT: tuple[object, str] = (NOTHING, NOTHING)


@dataclass(frozen=True)
class Fact:
    """One fact that would be different from the newer version: its box, and the three values."""

    box: str
    label: str
    #: As the version had it from which the page was shown.
    was: str
    newer: str
    typed: str

    @property
    def untouched(self) -> bool:
        """The author of the page never changed it: saved as it is, it takes back what somebody else said."""
        return self.typed == self.was


@dataclass(frozen=True)
class Newer:
    """The newer version, and every fact in which the boxes differ from it."""

    version: FactVersion
    at: Shown | None
    #: The number of the version from which the page was shown; 0 when the page named none.
    shown: int
    facts: tuple[Fact, ...]

    @property
    def labels(self) -> str:
        """The differing facts by the names of their boxes."""
        return ", ".join(fact.label for fact in self.facts)


def newer_than(*, incident: Incident, version: FactVersion, number: int, typed: Mapping[str, Any], form: FactsForm) -> Newer:
    """What the page that was shown from `number` would change of the newer version."""
    seen = incident.fact_versions.filter(number=number).first()
    was, now, said = (_flat(facts) for facts in (seen.facts if seen else {}, version.facts, typed))
    facts = tuple(
        Fact(*_box(form, name), *(values.get(name, ABSENT)[1] for values in (was, now, said)))
        for name in dict.fromkeys([*now, *said])
        if now.get(name, ABSENT)[0] != said.get(name, ABSENT)[0]
    )
    return Newer(version, shown(version.recorded_at, zone=str(version.facts["zone"])), number, facts)


def _flat(facts: Mapping[str, Any]) -> dict[str, tuple[object, str]]:
    """The facts by the names of their boxes: what is compared, and its words. Moments as the clocks of their own facts' zone show
    them, which is what stands in the boxes; the same moment in two zones is no difference."""
    found: dict[str, tuple[object, str]] = {}
    for name, value in facts.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        for part, said in inner:
            key, words = (f"{name}_{part}" if part else name), _words(said)
            at = datetime.fromisoformat(said) if name == "anchors" else None
            found[key] = (at, local_text(at, str(facts["zone"]))) if at else (words, words)
    return found


def _box(form: FactsForm, name: str) -> tuple[str, str]:
    """Id and name of a fact's box; a text in another language has its box under another name. Without one: no id."""
    inner = name.partition("_")[2]
    known = next((box for box in (name, f"words_{inner}", f"told_{inner}", f"told_{name}") if box in form.fields), "")
    return (f"id_{known}", str(form.fields[known].label)) if known else ("", name.replace("_", " "))


def _words(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value) or NOTHING
    return SAID.get(value, str(value)) if isinstance(value, bool | str | None) else str(value)
