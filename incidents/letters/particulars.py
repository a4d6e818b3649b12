"""What a cohort's letter is made of: the closed facts on which its paragraphs depend, and the closed fields that it prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from babel.numbers import format_decimal

from incidents.law.pack import Pack, load_packs
from incidents.letters.contacts import attorney_general
from incidents.letters.content import OFFERS, STATEMENTS, is_due
from incidents.letters.syntax import GIVEN_FACTS
from incidents.letters.wording import element_labels, long_date
from incidents.models.duties import Handling
from incidents.people.anchors import PROCESSOR_AWARE
from incidents.people.statements import NO_PARENT, in_language

_PLAIN_FLAGS = ("contained", "experts_engaged", "occurred_known")
_CAUSES = {"attack": "is.attack", "error": "is.mistake", "loss": "is.loss", "insider": "is.insider"}
_TEXTS = {"delay_reason": "is.delay_explained", "recipient": "is.recipient_known", "intruder": "is.intruder_known"}


@dataclass(frozen=True)
class Situation:
    """One cohort before its letter: the incident's facts, who they are, and what the laws owed to them ask.

    `conditional` are required items that a law ties to certain data; `in_state` counts the people of the residence.
    """

    facts: Mapping[str, Any]
    residence: str
    elements: frozenset[str]
    handling: str
    now: datetime
    minors: bool = False
    required: tuple[str, ...] = ()
    barred: tuple[str, ...] = ()
    conditional: frozenset[str] = frozenset()
    months: int = 0
    references: tuple[str, ...] = ()
    late: bool = False
    regulator_told: bool = False
    in_state: int = 0

    @property
    def services(self) -> Mapping[str, Any]:
        """The offer as recorded; empty while nobody has."""
        found: Mapping[str, Any] = self.facts.get("services") or {}
        return found

    @property
    def offer_owed(self) -> bool:
        """Whether a law asks to offer services to these people: by its months, or by an item for their data."""
        return self.months > 0 or bool(OFFERS & self.conditional)

    @property
    def offered(self) -> bool:
        """Whether these people are offered services."""
        to = self.services.get("offered_to")
        return to == "everyone" or (to == "where_owed" and self.offer_owed)


def letter_facts(*, situation: Situation) -> dict[str, bool]:
    """The closed facts on which a letter's paragraphs depend."""
    facts, residence, handling = situation.facts, situation.residence, situation.handling
    pack = load_packs().find(residence=residence)
    place = f"in.{residence.lower().replace('-', '_')}"
    found = {
        **{f"has.{element}": True for element in situation.elements},
        "has_not.any": any(state == "not_involved" for state in facts["elements"].values()),
        "has.authority": all(authority_of(residence=residence, language="en")) and handling != Handling.LAW_UNKNOWN,
        "has.attorney_general": attorney_general(residence=residence) is not None,
        **{name: facts["cause"] == cause for cause, name in _CAUSES.items()},
        **{f"is.{name}": bool(facts[name]) for name in _PLAIN_FLAGS},
        # Who is a processor and writes for itself has held the data itself.
        "is.at_provider": facts.get("role") != "processor" and bool(facts["anchors"].get(PROCESSOR_AWARE)),
        "is.authorities_informed": bool(facts["authorities_informed"]) or situation.regulator_told,
        "is.statutory": handling == Handling.STATUTORY,
        "is.voluntary": handling == Handling.VOLUNTARY,
        "is.law_unknown": handling == Handling.LAW_UNKNOWN,
        "is.child": situation.minors,
        "in.eea": pack is not None and pack.inherits == "EU",
        "in.us": residence.startswith("US"),
        **({place: True} if place in GIVEN_FACTS else {}),
        **_statement_facts(situation),
    }
    owed = (item for item in situation.required if item in STATEMENTS and is_due(item=item, facts=found))
    return {**found, **{f"owes.{item}": True for item in owed}}


def _statement_facts(situation: Situation) -> dict[str, bool]:
    facts = situation.facts
    parent, free = facts.get("parent_company"), facts.get("phone_toll_free")
    answered = {"is.police_delay": facts["police_asked_delay"]} if "police_asked_delay" in facts else {}
    return {
        **answered,
        "is.toll_free": free is True,
        "is.toll_call": free is False,
        "is.parent_known": parent not in (None, "", NO_PARENT),
        "is.without_parent": parent == NO_PARENT,
        **{name: bool(facts.get(text)) for text, name in _TEXTS.items()},
        "is.late": situation.late,
        "is.services_offered": situation.offered,
        "is.no_services": bool(situation.services) and not situation.offered,
        "is.offer_owed": situation.offer_owed,
    }


def letter_fields(*, situation: Situation, language: str) -> dict[str, str | tuple[str, ...]]:
    """The closed fields of a letter, in its language."""
    facts, residence = situation.facts, situation.residence
    controller, anchors, zone = facts["controller"], facts["anchors"], facts["zone"]
    uninvolved = [name for name, state in facts["elements"].items() if state == "not_involved"]
    name, site = authority_of(residence=residence, language=language)
    shown = _english_of(residence) if language == "en" else language

    def worded(name: str) -> str:
        return str(controller.get(f"{name}_{language}") or controller[name])

    def day(anchor: str) -> str:
        return long_date(moment=datetime.fromisoformat(anchors[anchor]), zone=zone, language=shown) if anchor in anchors else ""

    return {
        **{key: controller[key] for key in ("brand", "legal_entity", "legal_address", "website", "phone")},
        "website_page": worded("website_page") or controller["website"],
        "dpo_name": worded("dpo_name"),
        "phone_hours": worded("phone_hours"), "dpo_email": controller["dpo_email"], "sender_email": controller["sender_email"],
        "letter_date": long_date(moment=situation.now, zone=zone, language=shown),
        "occurred_on": day("occurred_at"), "discovered_on": day("discovered_at") or day("aware_at"),
        "elements": element_labels(elements=situation.elements, language=language),
        "not_involved": element_labels(elements=uninvolved, language=language),
        "authority_name": name, "authority_site": site, "law_name": "; ".join(situation.references),
        **_statement_fields(situation, language, shown),
    }  # fmt: skip


def _statement_fields(situation: Situation, language: str, shown: str) -> dict[str, str]:
    facts, services, office = situation.facts, situation.services, attorney_general(residence=situation.residence)
    parent = str(facts.get("parent_company") or "")
    return {
        "parent_company": "" if parent == NO_PARENT else parent,
        **{name: in_language(facts=facts, name=name, language=language) for name in _TEXTS},
        "number_affected": format_decimal(situation.in_state, locale=shown.replace("-", "_")) if situation.in_state else "",
        "offer_provider": in_language(facts=services, name="provider", language=language),
        "offer_months": str(services.get("months") or ""),
        "offer_enrolment": in_language(facts=services, name="enrolment", language=language).rstrip("."),
        **{f"state_ag_{part}": getattr(office, part) if office else "" for part in ("name", "address", "phone", "site")},
    }


def _english_of(residence: str) -> str:
    return "en" if residence.startswith("US") else "en-GB"


def authority_of(*, residence: str, language: str) -> tuple[str, str]:
    """Where a person there may complain: the authority's name and plain site address; ('', '') where there is none."""
    pack = load_packs().find(residence=residence)
    if pack is None or residence.startswith("US"):
        return "", ""
    worded = _complaints().get(pack.id)
    if worded:
        return worded["name"].get(language, worded["name"]["en"]), worded["site"]
    named = _first_regulator(pack)
    site = str(named.get("site") or named.get("url") or "").removeprefix("https://").removeprefix("http://")
    return str(named.get("name") or ""), site.removeprefix("www.").split("/")[0].split(" ")[0]


@lru_cache(maxsize=1)
def _complaints() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((Path(__file__).parent / "wording" / "complaints.yaml").read_text())
    return found


def _first_regulator(pack: Pack) -> Mapping[str, Any]:
    for regime in pack.regimes:
        for version in regime.paths.get("regulator.to", ()):
            names = version.value.get("names") or ()
            if not regime.sectors and names and not version.dormant:
                first: Mapping[str, Any] = names[0]
                return first
    return {}
