"""What a reader is to do stands in the order in which it is urgent."""

from __future__ import annotations

import re

import pytest

from incidents.letters.language import parse_letter
from incidents.scenarios.catalog import load_scenario
from incidents.scenarios.plot import plot_of
from incidents.scenarios.waves import with_first_action
from tests.letters import test_texts
from tests.letters.test_texts import ALL_TRUE, ELEMENT_SETS, LETTERS, TEXTS, Made, made, typical


def actions(made: Made) -> list[str]:
    """The numbered items of a letter, without their numbers. A German date begins like one."""
    return re.findall(r"(?m)^\d\. (?!Juni)(.+)$", made.letter.text)


@pytest.mark.parametrize(("form", "language"), TEXTS)
def test_somebody_whose_password_leaked_reads_first_that_it_has_to_be_changed(form: str, language: str) -> None:
    leaked, contact = (actions(typical(form, language, elements)) for elements in ("password", "contact"))
    assert leaked[1:3] == contact[:2] and leaked[0] not in contact, leaked
    assert contact[2] not in leaked, "that passwords should be strong is said once"


@pytest.mark.parametrize(("form", "language"), [text for text in TEXTS if text[0] != "us-ca"])
def test_the_second_wave_of_a_drill_says_first_what_to_do_when_the_intruder_writes(
    form: str, language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wave = plot_of(scenario=load_scenario(scenario_id="harrods-2025")).second_wave
    assert wave is not None
    source = (LETTERS / form / f"{language}.txt").read_text("utf-8")
    tree = parse_letter(source=with_first_action(source=source, action=wave.first_action[language]), name=form)
    monkeypatch.setattr(test_texts, "tree_of", lambda *_: tree)
    second = made.__wrapped__(form, language, "eea", ELEMENT_SETS["contact"], ALL_TRUE)
    assert actions(second) == [wave.first_action[language], *actions(typical(form, language, "contact"))]
    assert second.blocks == []
