"""The drills on the shelf: one file of facts and shares per scenario under `data/`, read into frozen values.

A new scenario is a new file beside `cartier-2025.yaml`; what all of them share is under `data/common/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml

#: A group of people who look alike to the law: residence and set of exposed elements.
Cell = tuple[str, str]

#: Below this the pinned cells leave nobody to paint on; above it the counter of `person_id` overflows.
FEWEST, MOST = 50, 9_999_999

_DATA = files("incidents.scenarios") / "data"


class UnknownScenario(LookupError):
    """No such scenario; the message lists those that exist."""


class UnknownSize(ValueError):
    """Neither the name of a size nor a number of people that can be generated."""


@dataclass(frozen=True)
class ElementSet:
    """What was exposed of some of the people. `only_in`: prefixes of the residences where it occurs; empty = all."""

    elements: tuple[str, ...]
    share: Fraction
    only_in: tuple[str, ...] = ()
    #: What the table holds of these people although it is not known to have leaked.
    on_file: tuple[str, ...] = ()

    def occurs_in(self, residency: str) -> bool:
        """Whether people of this residence may belong to the set."""
        return not self.only_in or residency.startswith(self.only_in)

    def holds(self, detail: str) -> bool:
        """Whether the table has this detail of these people."""
        return detail in self.elements or detail in self.on_file


@dataclass(frozen=True)
class Population:
    """The invented people as shares. `residency_shares` has the US states apart; `edge_cases` are people per 10,000."""

    residency_shares: Mapping[str, Fraction]
    element_sets: Mapping[str, ElementSet]
    pinned_cells: tuple[Cell, ...]
    languages: Mapping[str, Mapping[str, float]]
    edge_cases: Mapping[str, int]
    state_unknown_per_10000_us: int
    #: Languages that are preferred by people of no residence here, for those who prefer another than their country's.
    other_languages: tuple[str, ...] = ()
    #: Names in Arabic script fall on anybody, where too few live in countries that write so.
    rtl_anywhere: bool = False

    def languages_of(self, residency: str) -> Mapping[str, float]:
        """Languages and their weights for a residence; the entry of the country stands for its states."""
        return self.languages[residency] if residency in self.languages else self.languages[residency[:2]]


@dataclass(frozen=True)
class Scenario:
    """One incident as a drill. `facts` is the mapping that `manage.py incident_new --facts` reads.

    `plot`: what the people in the drill find and decide (`story.py`); `conclusions`: what the law must say (`concluding.py`).
    """

    id: str
    name: str
    synthetic_warning: str
    seed: int
    sizes: Mapping[str, int]
    facts: Mapping[str, Any]
    population: Population
    sources: tuple[Mapping[str, str], ...]
    plot: Mapping[str, Any]
    conclusions: tuple[Mapping[str, Any], ...]
    #: Set by a drill over a real way out: every address is replaced by one of this domain.
    to_domain: str = ""

    @property
    def aware_on(self) -> date:
        """The day of awareness (UTC): ages are counted on it."""
        return date.fromisoformat(self.facts["anchors"]["aware_at"][:10])


@dataclass(frozen=True)
class Place:
    """What can speak for a residence. `areas` only where the calling code alone does not tell it."""

    names: Mapping[str, str]
    dial: str = ""
    areas: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    rtl_names: str = ""


def scenario_ids() -> tuple[str, ...]:
    """All scenarios that can be loaded, in alphabetical order."""
    found = (entry.name for entry in _DATA.iterdir() if entry.name.endswith(".yaml"))
    return tuple(sorted(name.removesuffix(".yaml") for name in found))


def load_scenario(*, scenario_id: str) -> Scenario:
    """Read one scenario; raises UnknownScenario."""
    if scenario_id not in scenario_ids():
        raise UnknownScenario(f"no scenario {scenario_id!r}; known: {', '.join(scenario_ids())}")
    raw = read_data(name=f"{scenario_id}.yaml")
    return Scenario(
        id=raw["id"],
        name=raw["name"],
        synthetic_warning=raw["synthetic_warning"],
        seed=raw["seed"],
        sizes=raw["sizes"],
        facts=_facts(raw),
        population=_population(raw["population"]),
        sources=tuple(raw["sources"]),
        plot=raw["plot"],
        conclusions=tuple(raw["conclusions"]),
    )


def people_in(*, scenario: Scenario, size: str) -> int:
    """How many people a size stands for: a name from the scenario or a plain number; raises UnknownSize."""
    if size in scenario.sizes:
        return scenario.sizes[size]
    if size.isascii() and size.isdigit() and FEWEST <= int(size) <= MOST:
        return int(size)
    raise UnknownSize(f"size {size!r}: give {', '.join(scenario.sizes)} or a number from {FEWEST} to {MOST}")


def size_label(*, scenario: Scenario, people: int) -> str:
    """The word for a number of people inside `person_id` and the seed: `small`, `medium`, `large` or `n<N>`."""
    return next((name for name, count in scenario.sizes.items() if count == people), f"n{people}")


@lru_cache(maxsize=1)
def load_places() -> Mapping[str, Place]:
    """All residences for which people can be invented."""
    return {
        residency: Place(
            names=raw["names"],
            dial=raw.get("dial", ""),
            areas=tuple(raw.get("areas", ())),
            stores=tuple(raw.get("stores", ())),
            rtl_names=raw.get("rtl_names", ""),
        )
        for residency, raw in read_data(name="common/places.yaml").items()
    }


def read_data(*, name: str) -> Any:
    """The parsed content of a file under `data/`."""
    return yaml.safe_load(_DATA.joinpath(*name.split("/")).read_text(encoding="utf-8"))


def _facts(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The facts with the controller's words in the languages of the letters, where the file leaves them to us."""
    facts, words = raw["facts"], read_data(name="common/in-words.yaml")
    if "clock" not in raw:
        return dict(facts)
    controller, clocks = facts["controller"], words["clocks"][raw["clock"]]
    said = {
        f"{name}_{language}": text.format(website=controller["website"], clock=clocks[language])
        for name in ("website_page", "phone_hours", "dpo_name")
        for language, text in words[name].items()
    }
    return {**facts, "controller": {**controller, **said}}


def _population(raw: Mapping[str, Any]) -> Population:
    painted = read_data(name="common/edge-cases.yaml") | raw.get("edge_cases", {})
    return Population(
        residency_shares=_spread_over_states(raw["residency_shares"]),
        element_sets={name: _element_set(entry) for name, entry in raw["element_sets"].items()},
        pinned_cells=tuple((residency, element_set) for residency, element_set in raw["pinned_cells"]),
        languages=raw["languages"],
        edge_cases={name: count for name, count in painted.items() if name not in raw.get("not_painted", ())},
        state_unknown_per_10000_us=raw.get("state_unknown_per_10000_us", 0),
        other_languages=tuple(raw.get("other_languages", ())),
        rtl_anywhere=raw.get("rtl_anywhere", False),
    )


def _element_set(raw: Mapping[str, Any]) -> ElementSet:
    return ElementSet(tuple(raw["elements"]), _exact(raw["share"]), tuple(raw.get("only_in", ())), tuple(raw.get("on_file", ())))


def _spread_over_states(shares: Mapping[str, float]) -> dict[str, Fraction]:
    spread: dict[str, Fraction] = {}
    for residency, share in shares.items():
        if residency == "US":
            states = read_data(name="common/us-state-shares.yaml")
            spread |= {f"US-{state}": _exact(share) * _exact(part) for state, part in states.items()}
        else:
            spread[residency] = _exact(share)
    return spread


def _exact(share: float) -> Fraction:
    """The decimal as written: binary fractions would break ties between equal shares."""
    return Fraction(str(share))
