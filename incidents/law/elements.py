"""Data elements: the words for what was exposed, what each implies, and whether a statute's list is met.

A payment card with its code implies the card number; a password hash may or may not open an account, which only a
person can say. Such elements, and those a group only may have lost, count as "maybe".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from incidents.law.facts import Findings, Group

NAME = "name"
OTHER_IDENTIFIER = "other_identifier"
#: What NY, DC and TX count as identifying a person where the name itself is missing.
IDENTIFIERS = frozenset({OTHER_IDENTIFIER, "email", "phone", "postal_address", "loyalty_number", "username"})


@dataclass(frozen=True)
class Vocabulary:
    """The words of the packs: elements and their implications, content items, where each kind of clock starts."""

    elements: Mapping[str, str]
    implies: Mapping[str, frozenset[str]]
    may_imply: Mapping[str, frozenset[str]]
    content_items: Mapping[str, Mapping[str, str]]
    anchors: Mapping[str, str]

    @classmethod
    def from_document(cls, *, document: Mapping[str, Any]) -> Vocabulary:
        """The vocabulary as read from vocabulary.yaml."""
        return cls(
            elements=document["elements"],
            implies={key: frozenset(items) for key, items in document["element_implies"].items()},
            may_imply={key: frozenset(items) for key, items in document["element_may_imply"].items()},
            content_items=document["content_items"],
            anchors=document["starting_points"],
        )

    def closure(self, *, elements: Iterable[str]) -> frozenset[str]:
        """The elements with all that they imply, step by step."""
        found: set[str] = set()
        waiting = list(elements)
        while waiting:
            element = waiting.pop()
            if element not in found:
                found.add(element)
                waiting.extend(self.implies.get(element, ()))
        return frozenset(found)


@dataclass(frozen=True)
class Exposure:
    """What one group lost: `sure`, `maybe` (with the element that a person must decide on), and unknown words."""

    sure: frozenset[str]
    maybe: Mapping[str, str]
    unknown: frozenset[str]
    #: The elements as they were named, without what they imply.
    lost: frozenset[str] = frozenset()

    def sure_of(self, elements: Iterable[str]) -> list[str]:
        """Those of `elements` that were exposed for certain, in the order given."""
        return [element for element in elements if element in self.sure]

    def maybe_of(self, elements: Iterable[str]) -> list[str]:
        """Those of `elements` that may have been exposed, in the order given."""
        return [element for element in elements if element in self.maybe and element not in self.sure]


def exposure_of(*, group: Group, findings: Findings, vocabulary: Vocabulary) -> Exposure:
    """What a group lost; an officer's answer to "element:<name>" (yes or no) settles a doubtful element."""
    sure, doubtful = _decided(group=group, findings=findings, vocabulary=vocabulary)
    maybe: dict[str, str] = {}
    for element in sorted(doubtful):
        maybe |= dict.fromkeys(vocabulary.closure(elements=[element]), element)
    words = group.elements | group.maybe
    return Exposure(
        sure=vocabulary.closure(elements=sure),
        maybe=maybe,
        unknown=frozenset(word for word in words if word not in vocabulary.elements),
        lost=frozenset(group.elements),
    )


def _decided(*, group: Group, findings: Findings, vocabulary: Vocabulary) -> tuple[set[str], set[str]]:
    """What was exposed for certain, and what nobody has decided on, with what either may have opened, step by step."""
    sure, doubtful = set(group.elements), set[str]()
    while True:
        reached = vocabulary.closure(elements=sure | doubtful)
        opened = group.maybe.union(*(vocabulary.may_imply.get(element, ()) for element in reached))
        answers = {element: findings.answers.get(f"element:{element}", "unknown") for element in opened}
        more = sure | {element for element, answer in answers.items() if answer == "yes"}
        open_ = {element for element, answer in answers.items() if answer not in {"yes", "no"}} - more
        if (more, open_) == (sure, doubtful):
            return sure, doubtful
        sure, doubtful = more, open_


def name_is_met(*, exposure: Exposure, name: str) -> bool | None:
    """Whether the name condition of a list holds: `required`, `not_required` or `or_other_identifier`."""
    if name == "not_required":
        return True
    wanted = names_of(name=name)
    if exposure.sure & wanted:
        return True
    return None if exposure.maybe_of(wanted) else False


def names_of(*, name: str) -> frozenset[str]:
    """The elements of which one meets the name condition of a list."""
    return frozenset({NAME} if name == "required" else {NAME, *IDENTIFIERS})


def list_is_met(*, exposure: Exposure, any_of: Iterable[str]) -> bool | None:
    """Whether one of the listed elements was exposed; None where it only may have been."""
    wanted = list(any_of)
    if exposure.sure_of(wanted):
        return True
    return None if exposure.maybe_of(wanted) or exposure.unknown else False
