"""Who gets which letter: for every cohort the duty that decides, the form of its jurisdiction, and all that its laws ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from incidents.law.pack import load_packs
from incidents.models import Cohort, Incident, Obligation
from incidents.models.duties import Handling

TOLD = (Handling.STATUTORY, Handling.VOLUNTARY, Handling.LAW_UNKNOWN)
WEIGHT = {
    Handling.STATUTORY: 0,
    Handling.LAW_UNKNOWN: 1,
    Handling.VOLUNTARY: 2,
    Handling.UNDECIDED: 3,
    Handling.NONE: 4,
}

COURTESY, NOTICE = "courtesy", "notice"
#: Laws that prescribe a letter of their own: California its title and headings; Massachusetts bars what others ask for.
OWN_FORMS: Mapping[str, str] = {"US-CA": "us-ca", "US-MA": "us-ma"}


@dataclass(frozen=True)
class Reader:
    """What a cohort's letter depends on: the weightiest duty towards it, and where its people live.

    `statutory` are all duties owed to it by law: one place can have a general law and a sector's own.
    """

    cohort: Cohort
    obligation: Obligation
    statutory: tuple[Obligation, ...] = field(default=())

    @property
    def form(self) -> str:
        """The form of the letter."""
        if not self.statutory:
            return COURTESY
        return next((OWN_FORMS[place] for place in self.jurisdictions if place in OWN_FORMS), NOTICE)

    @cached_property
    def jurisdictions(self) -> tuple[str, ...]:
        """Whose laws owe this letter."""
        return tuple(dict.fromkeys(duty.jurisdiction for duty in self.statutory))

    @cached_property
    def required(self) -> tuple[str, ...]:
        """Every content item that a law owed to this cohort asks for."""
        return tuple(dict.fromkeys(item for duty in self.statutory for item in duty.duty["content_required"]))

    @cached_property
    def barred(self) -> tuple[str, ...]:
        """Every bar of a law owed to this cohort."""
        return tuple(dict.fromkeys(item for duty in self.statutory for item in duty.duty["content_barred"]))

    @cached_property
    def months(self) -> int:
        """For how many months free services have to be offered; 0 where no law asks for it."""
        return max((int(duty.duty.get("monitoring_months") or 0) for duty in self.statutory), default=0)

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The laws under which the letter is owed, each once; of another duty's letter its own."""
        duties = self.statutory or (self.obligation,)
        return tuple(dict.fromkeys(name for duty in duties for name in duty.duty["references"][:1]))

    @cached_property
    def conditional(self) -> frozenset[str]:
        """Required items that their law ties to certain data: they are asked here because these data leaked."""
        tied = frozenset().union(*(conditional_items(jurisdiction=place) for place in self.jurisdictions))
        return tied & frozenset(self.required)


def readers(*, incident: Incident) -> dict[int, Reader]:
    """For every inhabited cohort the duty that decides its letter; cohorts to whom no notice goes are left out."""
    found: dict[int, list[Obligation]] = {}
    duties = incident.obligations.filter(addressee="person", superseded=False, cohort__count__gt=0).select_related("cohort")
    for duty in sorted(duties, key=lambda duty: (WEIGHT[Handling(duty.handling)], duty.pk)):
        if duty.cohort and duty.handling in TOLD:
            found.setdefault(duty.cohort.pk, []).append(duty)
    return {key: _reader(told) for key, told in found.items()}


def _reader(told: list[Obligation]) -> Reader:
    cohort = told[0].cohort
    assert cohort is not None
    return Reader(cohort, told[0], tuple(duty for duty in told if duty.handling == Handling.STATUTORY))


def conditional_items(*, jurisdiction: str) -> frozenset[str]:
    """Content items that a jurisdiction's laws ask for only where certain data leaked."""
    pack = load_packs().packs.get(jurisdiction)
    versions = [version for regime in pack.regimes for version in regime.paths.get("person.content", ())] if pack else []
    return frozenset(str(item["item"]) for version in versions for item in version.value["required"] if isinstance(item, Mapping))
