"""The panel beside the risk finding: the severity method's questions as boxes, and what it suggests from the answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from incidents.admin.overview import Overview
from incidents.law.severity import Input, Suggestion, document, weigh
from incidents.law.severity_inputs import KINDS, OPEN, Circumstances, circumstances_of, questions
from incidents.people.opening import digest

PREFIX = "severity-"
#: Asked in the open for each kind of data; the other steps wait behind a fold.
FIRST = ("class", "controller")


@dataclass(frozen=True)
class Box:
    """One question with the answer that counts now."""

    answered: Input

    @property
    def name(self) -> str:
        """The box's name and id."""
        return PREFIX + self.answered.question.key.replace(".", "-")

    @property
    def hint(self) -> str:
        """Whose answer it is, and what the default rests on."""
        because = self.answered.question.because
        changed = f"your answer; by default “{self.answered.default.label}” ({because})"
        return changed if self.answered.by_officer else f"default: {because}"

    @property
    def open(self) -> bool:
        """Whether nobody has said it yet."""
        return self.answered.option.value == OPEN


@dataclass(frozen=True)
class Group:
    """The boxes of one kind of data."""

    title: str
    elements: tuple[str, ...]
    source: str
    first: list[Box]
    more: list[Box]

    @property
    def moved(self) -> bool:
        """Whether a step behind the fold was taken."""
        return any(box.answered.by_officer for box in self.more)


@dataclass(frozen=True)
class Panel:
    """The suggestion as it stands for the answers given so far."""

    suggestion: Suggestion

    @cached_property
    def kept(self) -> dict[str, Any]:
        """What is shown, in the shape in which it will be stored."""
        return document(suggestion=self.suggestion)

    @property
    def shown(self) -> str:
        """The mark of what was shown; words typed beside it change nothing in it."""
        return digest(document(suggestion=replace(self.suggestion, grounds="")))

    @property
    def groups(self) -> list[Group]:
        """The questions about the data, by kind."""
        return [self._group(one.kind.value, one.elements, *KINDS[one.kind]) for one in self.suggestion.kinds]

    def _group(self, kind: str, elements: tuple[str, ...], title: str, _: object, source: str) -> Group:
        boxes = [Box(one) for one in self.suggestion.inputs if one.question.key.startswith(f"{kind}.")]
        first = [box for box in boxes if box.answered.question.key.rpartition(".")[2] in FIRST]
        return Group(title, elements, source, first, [box for box in boxes if box not in first])

    @property
    def others(self) -> list[Box]:
        """The questions about identification and the circumstances."""
        return [Box(one) for one in self.suggestion.inputs if "." not in one.question.key]


def panel_of(*, view: Overview, post: Mapping[str, str]) -> Panel:
    """The panel for an incident; answers come from the post, the defaults from the facts."""
    people = view.people or view.facts["expected_people"]
    circumstances = circumstances_of(facts=view.facts, people=people)
    grounds = post.get(f"{PREFIX}grounds", "")
    return Panel(weigh(circumstances=circumstances, answers=_answers(circumstances, post), grounds=grounds))


def _answers(circumstances: Circumstances, post: Mapping[str, str]) -> dict[str, str]:
    """What was posted; a value that the question does not have is left out, and the default shows."""
    found = {one.key: (one, post.get(PREFIX + one.key.replace(".", "-"))) for one in questions(circumstances=circumstances)}
    return {key: said for key, (one, said) in found.items() if said and said in {option.value for option in one.options}}
