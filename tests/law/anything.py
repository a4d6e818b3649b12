"""Hypothesis strategies for anything that facts, findings and groups of people may be, over all packs as shipped."""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from incidents.law.facts import Anchor, Findings, Group, IncidentFacts, Moment, Reason
from incidents.law.pack import load_packs
from incidents.law.questions import keys_of

PACKS = load_packs()
ELEMENTS = sorted(PACKS.vocabulary.elements)
HOMES = sorted(pack.id for pack in PACKS if PACKS.find(residence=pack.id))
NO_PACK = ["US", "US-ZZ", "XX", "UK", "EU", "FED-HIPAA", "Atlantis", ""]
RESIDENCES = [*HOMES, *NO_PACK, "CA-ON", "GB-SCT", "JP-13"]
KEYS = sorted({*keys_of(packs=PACKS), *(f"element:{element}" for element in ELEMENTS)})
DECISIONS = ["yes", "no", "unknown"]
RISKS = ["unlikely", "risk", "high", "unknown"]
#: `PROPERTIES=50 pytest tests/law/test_law_properties.py` looks fifty times as far.
FURTHER = int(os.environ.get("PROPERTIES", "1"))


def tried(times: int) -> Callable[..., Any]:
    """How many examples a property is tried on."""
    return settings(max_examples=times * FURTHER, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def _sectors_in(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key in {"sectors", "not_sectors"}:
                yield from value
            elif key == "sector" and isinstance(value, Mapping):
                yield from (*value["any_of"], *value.get("ask_if", ()))
            else:
                yield from _sectors_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from _sectors_in(value)


SECTORS = sorted({"retail", "no_such_sector", *(word for pack in PACKS for word in _sectors_in(pack.document))})

#: Zones with half hours, changes at midnight, and days that were left out.
ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Paris", "America/New_York", "Asia/Kathmandu", "Asia/Beirut", "Pacific/Apia")]
instants = st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30), timezones=st.sampled_from(ZONES))  # noqa: DTZ001 - bounds
days = st.dates(date(1970, 1, 1), date(2199, 12, 31))
moments: st.SearchStrategy[Moment] = days | instants
#: The years in which laws change hands; `moments` are mostly far from them.
near_days = st.dates(date(2012, 1, 1), date(2029, 12, 31))
near_instants = st.datetimes(datetime(2012, 1, 1), datetime(2029, 12, 31), timezones=st.sampled_from(ZONES))  # noqa: DTZ001
near: st.SearchStrategy[Moment] = near_days | near_instants
answers = st.builds(
    lambda everything, some: {**dict.fromkeys(KEYS, everything), **some},
    st.sampled_from(DECISIONS),
    st.dictionaries(st.sampled_from(KEYS), st.sampled_from(DECISIONS), max_size=8),
)
findings = st.builds(
    Findings,
    risk=st.sampled_from(RISKS),
    misuse_likely=st.sampled_from(DECISIONS),
    serious_harm_likely=st.sampled_from(DECISIONS),
    answers=answers,
)
some_elements = st.frozensets(st.sampled_from(ELEMENTS), max_size=6)
counts = st.sampled_from([0, 1, 249, 250, 251, 499, 500, 501, 999, 1_000, 1_001, 10_000]) | st.integers(0, 2_000_000)
group = st.builds(
    Group,
    residence=st.sampled_from(RESIDENCES),
    elements=some_elements,
    count=counts,
    maybe=st.frozensets(st.sampled_from(ELEMENTS), max_size=2),
    minors=st.booleans(),
)
groups = st.lists(group, max_size=5)
#: The same people in every place that has a law.
everywhere = group.map(lambda one: [replace(one, residence=home) for home in HOMES])


def _shifted(start: datetime, minutes: int, whole_day: bool) -> Moment:
    moment = start + timedelta(minutes=minutes)
    return moment.date() if whole_day else moment


@st.composite
def facts(draw: st.DrawFn) -> IncidentFacts:
    """Facts whose moments lie anywhere, or, as in life, within some weeks of one another."""
    start = draw(near_instants)
    offsets = st.integers(-60 * 24 * 3, 60 * 24 * 3) | st.integers(-60 * 24 * 60, 60 * 24 * 90)
    close = st.builds(_shifted, st.just(start), offsets, st.booleans())
    moment = draw(st.sampled_from([close, close, near, moments]))
    return IncidentFacts(
        anchors=draw(st.dictionaries(st.sampled_from(list(Anchor)), moment)),
        processor_aware_at=draw(st.none() | moment),
        law_enforcement_hold_until=draw(st.none() | moment),
        filed_at=draw(st.dictionaries(st.sampled_from(RESIDENCES), moment, max_size=3)),
        role=draw(st.sampled_from(["controller", "controller", "processor"])),
        based_in=draw(st.none() | st.sampled_from(RESIDENCES)),
        established_in=draw(st.none() | st.sampled_from(RESIDENCES)),
        sector=draw(st.sampled_from(SECTORS)),
        cause=draw(st.sampled_from(["attack", "error", "loss", "insider", "unknown"])),
        encrypted=draw(st.booleans()),
        key_taken=draw(st.booleans()),
        contained=draw(st.booleans()),
        findings=draw(findings),
    )


def nodes(reason: Reason) -> Iterator[Reason]:
    """A reason with all its parts."""
    yield reason
    for part in reason.parts:
        yield from nodes(part)
