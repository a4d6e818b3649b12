"""In every scenario and size the law says what an expert reader of the facts expects. No database: the engine is asked alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import pytest
import yaml

from incidents.law.engine import assess
from incidents.law.facts import Anchor, Findings, Group, IncidentFacts, Owed
from incidents.law.pack import load_packs
from incidents.people.assessing import plain
from incidents.people.opening import check_facts, read_facts
from incidents.scenarios.catalog import Scenario, load_scenario, scenario_ids
from incidents.scenarios.concluding import BEFORE, DECIDED, SECOND, Conclusion, Said, broken, conclusions_of, moments
from incidents.scenarios.generator import allocate_cells
from incidents.scenarios.plot import plot_of
from tests.conftest import NOW

SIZES = ("small", "medium", "large")
OURS = {"voluntary_notice", "law_unknown"}
#: What stands on the list until a person has answered.
UNTIL_THEN = {"passport_or_government_id": "other_government_id", "password_valid_at_attack": "online_credentials"}
EVERY_CONCLUSION = [
    (name, number) for name in scenario_ids() for number in range(len(load_scenario(scenario_id=name).conclusions))
]


def found_at(scenario: Scenario, when: str) -> dict[str, str]:
    """What has been found at this stage, newest last."""
    plot = plot_of(scenario=scenario)
    found = () if when == BEFORE else plot.findings
    if when == SECOND and plot.second_wave:
        found += plot.second_wave.findings
    return {each["key"]: each["value"] for each in found if each["key"] not in OURS}


def law_facts(scenario: Scenario, said: Mapping[str, str]) -> IncidentFacts:
    facts = scenario.facts
    moment = {name: datetime.fromisoformat(text) for name, text in facts["anchors"].items() if text}
    own = {key: said.get(key, "unknown") for key in ("risk", "misuse_likely", "serious_harm_likely")}
    return IncidentFacts(
        anchors={Anchor(name): at for name, at in moment.items() if name in set(Anchor)},
        processor_aware_at=moment.get("processor_aware_at"),
        based_in=facts["based_in"],
        established_in=facts["established_in"],
        cause=facts["cause"],
        contained=facts["contained"],
        findings=Findings(**own, answers={key: value for key, value in said.items() if key not in own}),
    )


def ask(scenario: Scenario, size: str, when: str, once: str = "") -> list[Said]:
    """What the engine says of the allocated people. `once`: how the question about an element was answered."""
    cells = {cell: n for cell, n in allocate_cells(scenario=scenario, people=scenario.sizes[size]).items() if n}
    sets = scenario.population.element_sets
    groups = [
        Group(
            residence="ZZ" if residency == "UNKNOWN" else residency,
            elements=frozenset(
                once if once and word in UNTIL_THEN else UNTIL_THEN.get(word, word) for word in sets[name].elements
            ),
            count=n,
        )
        for (residency, name), n in cells.items()
    ]
    facts = law_facts(scenario, found_at(scenario, when))
    duties = assess(facts=facts, groups=groups, packs=load_packs()).duties
    names = [name for _, name in cells]
    return [
        Said(
            duty.jurisdiction, duty.addressee.value, names[duty.group] if duty.group is not None else "", duty.owed.value,
            **moments(plain(duty.deadline)),
        )
        for duty in duties
        if duty.regime == "general"
    ]  # fmt: skip


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", scenario_ids())
def test_the_law_says_what_an_expert_expects(name: str, size: str) -> None:
    scenario = load_scenario(scenario_id=name)
    for when in (BEFORE, DECIDED, SECOND):
        lines = conclusions_of(scenario=scenario, when=when, size=size)
        assert broken(conclusions=lines, said=ask(scenario, size, when)) == []


@pytest.mark.parametrize("size", SIZES)
def test_a_passport_is_owed_a_letter_where_a_law_lists_it(size: str) -> None:
    scenario = load_scenario(scenario_id="dior-2025")
    lines = conclusions_of(scenario=scenario, when=DECIDED, size=size, once="passport")
    assert broken(conclusions=lines, said=ask(scenario, size, DECIDED, "passport")) == []


@pytest.mark.parametrize(("name", "number"), EVERY_CONCLUSION)
def test_no_conclusion_speaks_of_nothing(name: str, number: int) -> None:
    scenario = load_scenario(scenario_id=name)
    raw = scenario.conclusions[number]
    for when in str(raw.get("when", DECIDED)).split():
        line = conclusion_at(scenario, number, when)
        said = ask(scenario, "large", when, str(raw.get("once", "")))
        spoken_of = {each.place for each in said if line.is_about(each)}
        assert all("*" in place or place in spoken_of for place in line.places), line
        assert spoken_of, line


def conclusion_at(scenario: Scenario, number: int, when: str) -> Conclusion:
    """One line of the file, in whatever size it holds."""
    raw = scenario.conclusions[number]
    size = str(raw.get("sizes", "large")).split()[-1]
    alone = [each for each in scenario.conclusions if each is raw]
    lines = conclusions_of(scenario=_with(scenario, alone), when=when, size=size, once=str(raw.get("once", "")))
    assert len(lines) == 1
    return lines[0]


def _with(scenario: Scenario, conclusions: list[Mapping[str, object]]) -> Scenario:
    return replace(scenario, conclusions=tuple(conclusions))


def test_a_conclusion_that_does_not_hold_is_told_in_words() -> None:
    scenario = load_scenario(scenario_id="cartier-2025")
    said = [Said("US-WA", "person", "contact_dob", Owed.NO.value)]
    lines = conclusions_of(scenario=scenario, when=DECIDED, size="small")
    assert broken(conclusions=lines, said=said) == ["US-WA person contact_dob: expected yes 2025-06-29, the law says no"]


@pytest.mark.parametrize("name", scenario_ids())
def test_the_facts_are_accepted_as_a_facts_file(name: str) -> None:
    facts = dict(load_scenario(scenario_id=name).facts)
    assert read_facts(yaml.safe_dump(facts, allow_unicode=True)) == check_facts(facts, now=NOW)
