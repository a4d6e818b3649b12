"""Where a supplier held the data, the letter says so, and who stays responsible."""

from __future__ import annotations

from typing import Any

import pytest

from incidents.letters.particulars import letter_facts
from incidents.scenarios.catalog import load_scenario, scenario_ids
from tests.letters.situations import BARE, every_law, situation_of
from tests.letters.test_texts import ELEMENT_SETS, TEXTS, made

AT_A_PROVIDER = {"adidas-2025", "harrods-2025"}


def said(facts: dict[str, Any]) -> bool:
    """Whether the letters of an incident say that a supplier held the data."""
    law = next(law for law in every_law() if law.pack.id == "KR")
    return letter_facts(situation=situation_of(law, frozenset({"name", "email"}), facts=facts))["is.at_provider"]


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_every_text_says_in_one_paragraph_that_a_supplier_held_the_data(form: str, language: str) -> None:
    place = "us_ca" if form == "us-ca" else "eea"
    with_it, without = (
        made(form, language, place, ELEMENT_SETS["contact"], frozenset({"is.attack", *more})).body
        for more in (["is.at_provider"], [])
    )
    [added] = set(with_it) - set(without)
    assert len(with_it) == len(without) + 1 and added


def test_it_is_said_where_the_facts_tell_when_a_supplier_knew_and_the_writer_is_the_controller() -> None:
    anchors = {**BARE["anchors"], "processor_aware_at": "2026-11-01T08:00:00+00:00"}
    assert not said(BARE)
    assert said({**BARE, "anchors": anchors}) and said({**BARE, "role": "controller", "anchors": anchors})
    assert not said({**BARE, "role": "processor", "anchors": anchors})


def test_it_is_said_in_the_drills_that_begin_at_a_provider_and_in_no_other() -> None:
    facts = {name: dict(load_scenario(scenario_id=name).facts) for name in scenario_ids()}
    assert {name for name, one in facts.items() if said(one)} == AT_A_PROVIDER
