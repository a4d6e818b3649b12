"""The vocabulary the law engine speaks: facts that go in, duties that come out. Frozen, plain Python, no Django.

Data elements and content items are named as the packs' vocabulary names them; anchors as `docs/law-cases.md`
lists them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any


class Owed(StrEnum):
    """Whether a duty exists. `ASK`: the law turns on a finding that no one has made; a person must be asked."""

    YES = "yes"
    NO = "no"
    ASK = "ask"


class Addressee(StrEnum):
    """Who has to be told."""

    PERSON = "person"
    REGULATOR = "regulator"
    BUREAUS = "bureaus"
    MEDIA = "media"
    #: Told by its processor (supplier).
    CONTROLLER = "controller"
    #: Clients and recipients of a service, under sector acts.
    CLIENTS = "clients"


class Anchor(StrEnum):
    """The moments from which clocks run."""

    OCCURRED = "occurred_at"
    FIRST_HINT = "first_hint_at"
    DISCOVERED = "discovered_at"
    AWARE = "aware_at"
    DETERMINED = "determined_at"
    ASSESSED = "assessed_at"
    PEOPLE_TOLD = "people_told_at"


#: A moment of the record: a whole local day, or an instant that carries its offset.
Moment = date | datetime


@dataclass(frozen=True)
class Findings:
    """What the privacy officer has found and signed; `unknown` until then.

    risk: unlikely / risk / high / unknown. misuse_likely, serious_harm_likely: yes / no / unknown. `answers` holds
    yes / no to the engine's other questions by their finding key ("enough_for_identity_theft", "element:ssn", ...).
    """

    risk: str = "unknown"
    misuse_likely: str = "unknown"
    serious_harm_likely: str = "unknown"
    answers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class IncidentFacts:
    """One version of an incident's facts, as far as the law can see them."""

    anchors: Mapping[Anchor, Moment] = field(default_factory=dict)
    processor_aware_at: Moment | None = None
    law_enforcement_hold_until: Moment | None = None
    filed_at: Mapping[str, Moment] = field(default_factory=dict)
    role: str = "controller"
    based_in: str | None = None
    established_in: str | None = None
    sector: str = "retail"
    cause: str = "attack"
    encrypted: bool = False
    key_taken: bool = False
    contained: bool = False
    findings: Findings = field(default_factory=Findings)


@dataclass(frozen=True)
class Group:
    """People who look alike to the law. `maybe` lists elements not known whether exposed.

    `aware_at`: people found late have a clock of their own towards them; the law and every count stay the incident's.
    """

    residence: str
    elements: frozenset[str]
    count: int
    maybe: frozenset[str] = frozenset()
    minors: bool = False
    aware_at: datetime | None = None


@dataclass(frozen=True)
class Reason:
    """One condition of the law, the fact that met or failed it, and where it is written.

    `holds` is None when the fact is not known (a question). `would_change` says what would change the answer.
    """

    condition: str
    holds: bool | None
    fact: str
    reference: str
    would_change: str = ""
    parts: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Question:
    """What a person must decide before the law has an answer. `finding` is the key under which the answer is stored."""

    finding: str
    text: str
    reference: str


@dataclass(frozen=True)
class Deadline:
    """When a duty must be done.

    `shown_at` is the safe target shown to people (aware datetime, or a date = the last local day); None where the law
    gives no number. `legal_end_at` is the end under Regulation 1182/71 where that differs. `relative` is one of
    before_individuals, same_time_as_individuals, no_later_than_individuals. `kind` is the pack's own word.
    """

    kind: str
    shown_at: Moment | None
    anchor: str
    anchor_at: Moment | None
    reference: str
    legal_end_at: datetime | None = None
    second_by: Moment | None = None
    final_by: Moment | None = None
    relative: str | None = None
    zone: str = "UTC"
    notes: tuple[str, ...] = ()
    #: Public holidays that were left out of the count or moved the end, as used: "2026-07-03 Independence Day".
    left_out: tuple[str, ...] = ()
    #: Disputed readings of the same period, beside the safe one: for information only.
    other_readings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Duty:
    """One duty of one jurisdiction. Person duties stand for one group (`group` = its index); others for all groups.

    `regime` names the law inside the pack: the general one, or a sector law.
    """

    jurisdiction: str
    addressee: Addressee
    owed: Owed
    reasons: tuple[Reason, ...]
    group: int | None = None
    deadline: Deadline | None = None
    to: tuple[str, ...] = ()
    #: Bodies that get the same notice beside the regulator.
    copy_to: tuple[str, ...] = ()
    content_required: tuple[str, ...] = ()
    content_barred: tuple[str, ...] = ()
    channels_allowed: tuple[str, ...] = ()
    channels_barred: tuple[str, ...] = ()
    monitoring_months: int = 0
    #: Grounds and means of substitute notice, as the pack gives them; `substitute_grounds` are those met by what is known.
    substitute: Any = None
    substitute_grounds: tuple[str, ...] = ()
    #: When an assessment that the law wants must be finished (Australia, Singapore).
    assess_by: Moment | None = None
    #: What the law asks of a controller that relies on a finding of no harm.
    on_no_harm: tuple[str, ...] = ()
    questions: tuple[Question, ...] = ()
    #: Special cases and exceptions that count once recorded as a finding; nothing waits for them.
    may_record: tuple[Question, ...] = ()
    references: tuple[str, ...] = ()
    pack: str = ""
    pack_sha256: str = ""
    verified: str = ""
    doubt: tuple[str, ...] = ()
    reasons_for_delay_required: bool = False
    regime: str = "general"


@dataclass(frozen=True)
class Assessment:
    """All duties for one set of facts and groups. `law_unknown` lists residences for which there is no pack."""

    duties: tuple[Duty, ...]
    lead_authority: str | None
    record_due: bool
    law_unknown: tuple[str, ...]
    packs: Mapping[str, str]
