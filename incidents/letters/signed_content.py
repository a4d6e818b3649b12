"""What the first signature stands under, to be read beside it: the numbers by law and language, and every letter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from incidents.letters.check import WARN
from incidents.letters.gets import frozen_lines
from incidents.letters.language import CompiledLetter
from incidents.letters.readers import Reader, readers
from incidents.models import Campaign, Letter
from incidents.models.duties import Handling

#: Cohort, letter (0: none) -> people of the frozen register.
Numbers = Mapping[tuple[int, int], int]


@dataclass(frozen=True)
class Variant:
    """One letter of the register."""

    letter: Letter
    people: int
    #: The campaign whose letter for the same people (place, data, language) it is held against; empty: none had one.
    earlier: str = ""
    #: The lines that went ("-") and came ("+") since that one.
    changes: tuple[tuple[str, str], ...] = ()

    @property
    def warnings(self) -> list[str]:
        """What the check warns of."""
        return [finding["message"] for finding in self.letter.findings if finding["level"] == WARN]


@dataclass(frozen=True)
class Content:
    """The frozen content in numbers, and its letters."""

    #: Jurisdiction, what we do, people; whoever lives under two laws counts for each.
    laws: tuple[tuple[str, str, int], ...]
    languages: tuple[tuple[str, int], ...]
    variants: tuple[Variant, ...]
    #: People who get a letter, and of whose cohort no law says anything now: everybody in it was corrected since.
    lawless: int
    #: People on the register who get no letter.
    without: int
    has_earlier: bool

    @property
    def told(self) -> int:
        """People who get one of these letters."""
        return sum(people for _, people in self.languages)

    @property
    def warned(self) -> int:
        """Letters with a warning of the check."""
        return sum(bool(one.warnings) for one in self.variants)


def signed_content(*, campaign: Campaign) -> Content:
    """What was frozen for this campaign. The laws are named as they stand now; letters and numbers as they were frozen."""
    numbers = frozen_lines(campaign=campaign).people
    people = Counter[int]()
    for (_, letter), number in numbers.items():
        people[letter] += number
    letters = Letter.objects.filter(pk__in=people).select_related("cohort", "incident")
    found = list(letters.order_by("cohort__residence", "language", "form", "id"))
    languages = Counter[str]()
    for one in found:
        languages[one.language] += people[one.pk]
    earlier = _earlier(campaign)
    told = readers(incident=campaign.incident)
    return Content(
        _laws(numbers, told), tuple(languages.most_common()),
        tuple(_variant(one, people[one.pk], earlier) for one in found),
        sum(number for (cohort, letter), number in numbers.items() if letter and cohort not in told), people[0], bool(earlier),
    )  # fmt: skip


def _laws(numbers: Numbers, told: Mapping[int, Reader]) -> tuple[tuple[str, str, int], ...]:
    found = Counter[tuple[str, str]]()
    for (cohort, letter), number in numbers.items():
        if letter and (reader := told.get(cohort)):
            handling = str(Handling(reader.obligation.handling).label)
            for law in reader.jurisdictions or (reader.obligation.jurisdiction,):
                found[law, handling] += number
    return tuple((*key, number) for key, number in sorted(found.items()))


Key = tuple[str, tuple[str, ...], bool, str]


def _key(letter: Letter) -> Key:
    cohort = letter.cohort
    return cohort.residence, tuple(cohort.elements), cohort.minors, letter.language


def _earlier(campaign: Campaign) -> dict[Key, tuple[str, Letter]]:
    """The letters of the campaigns before, the newest for each kind of reader."""
    found: dict[Key, tuple[str, Letter]] = {}
    for one in campaign.incident.campaigns.filter(pk__lt=campaign.pk).order_by("id"):
        made = Letter.objects.filter(incident=campaign.incident_id, amendment=one.amendment_id).select_related("cohort")
        found |= {_key(letter): (one.reference, letter) for letter in made}
    return found


def _variant(letter: Letter, people: int, earlier: Mapping[Key, tuple[str, Letter]]) -> Variant:
    reference, before = earlier.get(_key(letter), ("", None))
    if before is None:
        return Variant(letter, people)
    return Variant(letter, people, reference, _changes(before, letter))


def _changes(before: Letter, after: Letter) -> tuple[tuple[str, str], ...]:
    """Line by line only: to look for likeness inside lines (`ndiff`) takes a second of one letter whose every line differs."""
    was, now = _lines(before), _lines(after)
    found: list[tuple[str, str]] = []
    for what, first, last, start, end in SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if what != "equal":
            found += [("-", line) for line in was[first:last]] + [("+", line) for line in now[start:end]]
    return tuple(found)


def _lines(letter: Letter) -> list[str]:
    compiled = CompiledLetter.from_json(json.loads(letter.compiled))
    return [line for line in (compiled.subject, *compiled.text.split("\n")) if line.strip()]
