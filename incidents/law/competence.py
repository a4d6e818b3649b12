"""Which laws and which authorities a breach touches: residences to packs, and the lead authority of the EEA.

Regulation (EU) 2016/679 Arts 55 and 56: with a main establishment in the EEA its authority alone is told; without one,
every authority where affected people live is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from incidents.law.facts import Group, IncidentFacts, Question, Reason
from incidents.law.pack import Pack, PackSet, Version

UNION = "EU"
NO_PACK = "no pack"


@dataclass(frozen=True)
class Touched:
    """One pack and the groups (index, group) that live under it."""

    pack: Pack
    groups: tuple[tuple[int, Group], ...]


@dataclass(frozen=True)
class Map:
    """Everything a breach touches; `unknown` are groups whose residence has no pack."""

    touched: tuple[Touched, ...]
    unknown: tuple[tuple[int, Group], ...]
    lead: str | None


def map_of(*, facts: IncidentFacts, groups: Sequence[Group], packs: PackSet) -> Map:
    """The packs touched by these groups, the lead authority's among them even where no one lives under it."""
    lead = lead_authority(facts=facts, packs=packs)
    by_pack: dict[str, list[tuple[int, Group]]] = {lead: []} if lead else {}
    unknown: list[tuple[int, Group]] = []
    for index, group in enumerate(groups):
        pack = packs.find(residence=group.residence)
        if pack is None:
            unknown.append((index, group))
        else:
            by_pack.setdefault(pack.id, []).append((index, group))
    touched = tuple(Touched(packs.packs[key], tuple(members)) for key, members in sorted(by_pack.items()))
    return Map(touched=touched, unknown=tuple(unknown), lead=lead)


def lead_authority(*, facts: IncidentFacts, packs: PackSet) -> str | None:
    """The EEA state of the main establishment, or None where there is none in the EEA."""
    return facts.established_in if facts.established_in in packs.members(union=UNION) else None


def told_instead(*, pack: Pack, lead: str | None, rule: Version | None) -> Reason | None:
    """Why this authority is not told: another one leads. None where it is competent."""
    if rule is None or lead is None or pack.id == lead:
        return None
    return Reason(
        condition="the authority is competent: it leads, or there is no main establishment in the EEA",
        holds=False,
        fact=f"main establishment in {lead}: the authority of {lead} leads and is told",
        reference=rule.reference,
        would_change=f"a main establishment in {pack.id}, or none in the EEA",
    )


def residence_question(*, residence: str) -> Question:
    """The question a residence without a pack leaves open."""
    if residence == "US":
        text = "In which US state do these people live? US law depends on the state."
    else:
        text = f"Which law applies to people in {residence!r}? There is no pack for this residence."
    return Question(f"law:{residence}", text, NO_PACK)
