"""What letters say and nobody has recorded, in the words of the form of the facts: all of it at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from incidents.models.refusal import Refused

#: Field of a letter -> the box of the facts where its value belongs, as the form calls it.
BOXES: Mapping[str, str] = MappingProxyType(
    {
        "brand": "Brand", "legal_entity": "Legal entity", "legal_address": "Legal address", "website": "Trusted site",
        "website_page": "Page on the trusted site", "phone": "Telephone", "phone_hours": "Telephone hours",
        "dpo_name": "Data protection officer", "dpo_email": "Officer's e-mail", "sender_email": "Sender's e-mail",
        "occurred_on": "Occurred", "discovered_on": "Discovered", "parent_company": "Parent company",
        "delay_reason": "Why people are told late", "recipient": "Who received the data", "intruder": "Who was behind it",
        "offer_provider": "Protection services: provider", "offer_months": "Protection services: months",
        "offer_enrolment": "Protection services: how to enrol",
    }
)  # fmt: skip
#: The box beside 'Occurred' without which no letter names that day.
DAY_KNOWN = "The day on which it happened is known"


class LetterRefused(Refused):
    """A letter's text cannot be saved or compiled; names line, column and remedy."""


class LettersIncomplete(LetterRefused):
    """Letters cannot be made before some facts are recorded; says all of them."""

    def __init__(self, gaps: Mapping[str, frozenset[str]]) -> None:
        """`gaps`: field -> the texts ('notice/en') that say it."""
        self.fields = (*(name for name in BOXES if name in gaps), *sorted(gaps.keys() - BOXES.keys()))
        super().__init__(*self._lines(gaps))

    def _lines(self, gaps: Mapping[str, frozenset[str]]) -> list[str]:
        found = []
        if boxes := [name for name in self.fields if name in BOXES]:
            named = ", ".join(f"'{BOXES[name]}'" for name in boxes)
            untick = f", or untick '{DAY_KNOWN}' there" if "occurred_on" in boxes else ""
            found.append(f"The letters need {named}. Fill it in under Facts{untick}, then make the letters again.")
        for name in self.fields:
            if name not in BOXES:
                texts = ", ".join(sorted(gaps[name]))
                found.append(f"[[{name}]] has no value for some readers: put it under a condition in {texts}, or take it out.")
        return found
