"""Which laws and which authorities a breach touches: residences to packs, and the lead authority of the EEA.

Regulation (EU) 2016/679 Arts 55 and 56: with a main establishment in the EEA its authority alone is told; without one,
every authority where affected people live is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from incidents.law.facts import Group, IncidentFacts, Question, Reason
from incidents.law.pack import Pack, PackSet, Version
from incidents.law.places import country_of, is_no_part, may_mean, residence_of, says

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
    groups = [replace(group, residence=residence_of(code=group.residence)) for group in groups]
    for index, group in enumerate(groups):
        # CA-XX is no province: Canada's law is not taken for a place that does not exist.
        pack = None if is_no_part(residence=group.residence) else packs.find(residence=group.residence)
        if pack is None:
            unknown.append((index, group))
        else:
            by_pack.setdefault(pack.id, []).append((index, group))
    by_pack |= _sector_laws(facts=facts, groups=groups, packs=packs, lead=lead)
    touched = tuple(Touched(packs.packs[key], tuple(members)) for key, members in sorted(by_pack.items()))
    return Map(touched=touched, unknown=tuple(unknown), lead=lead)


def _sector_laws(
    *, facts: IncidentFacts, groups: Sequence[Group], packs: PackSet, lead: str | None
) -> dict[str, list[tuple[int, Group]]]:
    """Federal and union acts of the controller's sector, with the people they cover; EU acts also without people there."""
    found: dict[str, list[tuple[int, Group]]] = {}
    for pack in packs:
        if not pack.covers or not pack.binds(sector=facts.sector):
            continue
        covered = [(index, group) for index, group in enumerate(groups) if packs.covers(pack=pack, residence=group.residence)]
        if covered or (lead and UNION in pack.covers):
            found[pack.id] = covered
    return found


def lead_authority(*, facts: IncidentFacts, packs: PackSet) -> str | None:
    """The EEA state of the main establishment, or None where there is none in the EEA."""
    country = country_of(code=facts.established_in or "")
    return country if country in packs.members(union=UNION) else None


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


STATE_UNKNOWN = {"US", "USA", "UNITED STATES", "AMERICA"}


def residence_question(*, residence: str) -> Question:
    """The question a residence without a pack leaves open, with the code that the word may mean."""
    word = residence.strip().upper()
    if word in STATE_UNKNOWN:
        text = "In which US state do these people live? US law depends on the state."
    elif (meant := may_mean(word=residence)) and not says(code=residence):
        text = f"There is no pack for the residence {residence!r}: is {' or '.join(meant)} meant?"
    else:
        text = f"Which law applies to people in {residence!r}, and which place is meant? There is no pack for this residence."
        text += f" About this place: {says(code=residence)}." if says(code=residence) else ""
    return Question(f"law:{residence}", text, NO_PACK)
