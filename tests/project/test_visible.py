"""A reason or a purpose has to be seen by whoever reads the log: one function says so for all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from incidents.visible import has_unseen, visible

UNSEEN = [
    "", " \t\n", "\u00a0", "\u200b", "\u2060", "\ufeff", "\u00ad", "\u202e", "\u3164", "\u2800", "\u115f\u1160", "\u0301", "\u200d",
    "\x00", "\ue000",
]  # fmt: skip
INCIDENTS = Path(__file__).resolve().parents[2] / "incidents"


@pytest.mark.parametrize("text", UNSEEN)
def test_what_nobody_can_see_is_no_reason(text: str) -> None:
    assert visible(text) == ""


@pytest.mark.parametrize("text", ["r", "?", " she called \n", "理由", "§ 34", "\u200bcalled", "e\u0301t\u00e9"])
def test_what_can_be_seen_is_a_reason_in_its_own_words(text: str) -> None:
    assert visible(text) == text.strip() != ""


def test_joiners_and_accents_are_no_unseen_marks_and_turned_writing_is() -> None:
    assert not has_unseen("علی\u200cرضا Zoe\u0308")
    assert has_unseen("a\u202eb") and has_unseen("a\x00b") and has_unseen("a\u2066b")


def test_every_reason_of_the_program_is_asked_by_that_function() -> None:
    blind = re.compile(r"not (reason|purpose|reason_for_delay)(\.strip\(\))?( |:|$)", re.MULTILINE)
    found = [str(path.relative_to(INCIDENTS)) for path in INCIDENTS.rglob("*.py") if blind.search(path.read_text())]
    assert found == []
