"""One incident of which everything is recorded, and letters made from it as `make_letters` does, without a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from incidents.law.pack import Pack, Regime, Version, load_packs
from incidents.letters.check import LetterFinding, check_letter
from incidents.letters.language import CompiledLetter, LetterTree, compile_letter, parse_law_block, parse_letter
from incidents.letters.owed import check_owed
from incidents.letters.particulars import Situation, letter_facts, letter_fields
from incidents.letters.readers import NOTICE, OWN_FORMS
from incidents.letters.wording import SUPPORTED

LETTERS = Path(__file__).parents[2] / "templates" / "letters"
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BARE: dict[str, Any] = {
    "controller": {
        "brand": "Cartier", "legal_entity": "Cartier SA", "legal_address": "Route des Biches 10, 1752 Villars-sur-Glâne",
        "website": "cartier.com", "website_page": "cartier.com", "phone": "1-800-555-0199",
        "phone_hours": "Monday to Friday, 9 am to 6 pm", "sender_name": "Cartier", "sender_email": "privacy@cartier.com",
        "reply_to": "", "dpo_name": "Marie Laurent", "dpo_email": "privacy@cartier.com",
    },
    "cause": "attack", "zone": "Europe/Paris", "contained": True, "experts_engaged": True, "authorities_informed": True,
    "occurred_known": True,
    "anchors": {"occurred_at": "2026-10-20T08:00:00+00:00", "discovered_at": "2026-11-02T08:00:00+00:00",
                "aware_at": "2026-11-02T09:00:00+00:00"},
    "elements": {"name": "exposed", "biometric": "not_involved"},
}  # fmt: skip
#: What an officer can record beside it.
RECORDED: dict[str, Any] = {
    "police_asked_delay": False,
    "phone_toll_free": True,
    "parent_company": "Richemont SA",
    "delay_reason": "We first had to find out whose data was in the files.",
    "recipient": "A competitor in Geneva.",
    "intruder": "A former supplier.",
    "services": {"offered_to": "where_owed", "provider": "Example Guard", "months": 24, "enrolment": "call 1-800-555-0100"},
}
ELEMENT_SETS: dict[str, frozenset[str]] = {
    "contact": frozenset({"name", "email", "country"}),
    "birth": frozenset({"name", "email", "country", "date_of_birth"}),
    "password": frozenset({"name", "email", "online_credentials"}),
    "mailbox": frozenset({"name", "email_account_credentials"}),
    "card": frozenset({"name", "payment_card_with_code"}),
    "account": frozenset({"name", "financial_account"}),
    "licence": frozenset({"name", "drivers_license"}),
    "health": frozenset({"name", "medical_information", "health_insurance_id"}),
    "severe": frozenset({"name", "date_of_birth", "ssn", "tax_id", "payment_card", "medical_information", "online_credentials"}),
}


@dataclass(frozen=True)
class Law:
    """One version of what one law wants told to a person."""

    pack: Pack
    regime: Regime
    version: Version

    def __str__(self) -> str:
        return f"{self.pack.id}-{self.regime.id}-{self.version.from_on or 'ever'}"

    @property
    def residence(self) -> str:
        """Where its people live; of a federal or sector law somewhere in its area."""
        return {"FED": "US-TX", "EU": "FR"}.get(self.pack.id.split("-")[0], self.pack.id)

    def required(self, elements: frozenset[str]) -> tuple[str, ...]:
        """The items as the engine filters them for these elements."""
        items = self.version.value["required"]
        return tuple(
            item if isinstance(item, str) else item["item"]
            for item in items
            if isinstance(item, str) or not elements.isdisjoint(item["if_any_of"])
        )

    def months(self, elements: frozenset[str]) -> int:
        """The months of services that the law sets for these elements."""
        versions = [version.value for version in self.regime.paths.get("person.monitoring", ())]
        return max((value["months"] for value in versions if not elements.isdisjoint(value["if_any_of"])), default=0)


def every_law() -> Iterator[Law]:
    """Each version of the content that a law pack asks for, as many as there are packs."""
    for pack in load_packs():
        for regime in pack.regimes:
            for version in regime.paths.get("person.content", ()):
                yield Law(pack, regime, version)


def situation_of(law: Law, elements: frozenset[str], *, facts: Mapping[str, Any] | None = None, **changed: Any) -> Situation:
    """A cohort to which this law owes a letter."""
    required = law.required(elements)
    tied = frozenset(str(item["item"]) for item in law.version.value["required"] if not isinstance(item, str))
    own = {**BARE, **RECORDED} if facts is None else dict(facts)
    found = Situation(
        facts=own, residence=law.residence, elements=elements, handling="statutory", now=NOW, required=required,
        barred=tuple(law.version.value["barred"]), conditional=tied & frozenset(required), months=law.months(elements),
        references=(law.version.reference,), in_state=1234,
    )  # fmt: skip
    return replace(found, **changed)


def form_of(law: Law) -> str:
    return OWN_FORMS.get(law.pack.id, NOTICE)


def languages_of(form: str) -> list[str]:
    """The languages in which the form exists, English first."""
    found = {file.stem for file in (LETTERS / form).glob("*.txt")} & SUPPORTED
    return ["en", *sorted(found - {"en"})]


@cache
def tree_of(form: str, language: str) -> LetterTree:
    return parse_letter(source=(LETTERS / form / f"{language}.txt").read_text("utf-8"), name=f"{form}/{language}")


@cache
def law_block(name: str, language: str) -> LetterTree:
    return parse_law_block(source=(LETTERS / "law" / name / f"{language}.txt").read_text("utf-8"), name=name)


def made(
    situation: Situation, *, form: str, language: str, tree: LetterTree | None = None
) -> tuple[CompiledLetter, list[LetterFinding]]:
    """The letter and everything that is found about it."""
    facts, fields = letter_facts(situation=situation), letter_fields(situation=situation, language=language)
    letter = compile_letter(
        tree=tree or tree_of(form, language), facts=facts, fields=fields, language=language,
        law_block=lambda name: law_block(name, language),
    )  # fmt: skip
    found = check_letter(
        letter=letter, required=situation.required, barred=situation.barred, facts=facts, fields=fields,
        elements=situation.elements,
    )  # fmt: skip
    return letter, [*found, *check_owed(letter=letter, situation=situation)]


def blocks(findings: list[LetterFinding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.reference) for finding in findings if finding.level == "block"]
