"""One duty under one law: who is told, why, by when, saying what, through which channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

from incidents.law.clocks import Place, anchor_moment, deadline_of, is_late, second_deadline
from incidents.law.competence import told_instead
from incidents.law.conditions import Scene, weigh
from incidents.law.deadlines import local_day
from incidents.law.elements import Exposure
from incidents.law.facts import Addressee, Anchor, Duty, Group, IncidentFacts, Owed, Question, Reason
from incidents.law.pack import Pack, PackSet, Regime, Version
from incidents.law.thresholds import Notified

_OWED = {True: Owed.YES, False: Owed.NO, None: Owed.ASK}
REASONS_FOR_DELAY = "reasons_for_delay"


@dataclass(frozen=True)
class Law:
    """One regime of one pack, read on the day its clock starts, with the groups that live under it."""

    pack: Pack
    regime: Regime
    packs: PackSet
    facts: IncidentFacts
    groups: Sequence[tuple[int, Group]]
    exposures: Mapping[int, Exposure]
    lead: str | None

    @cached_property
    def judged_on(self) -> date:
        """The local day whose law applies: that of the event the statute names, else the day the pack was checked."""
        at = anchor_moment(
            facts=self.facts, anchor=self.regime.judged_on, jurisdiction=self.pack.id, zone=self.pack.zone
        )  # fmt: skip
        return self.pack.checked_on if at is None else local_day(moment=at, zone=self.pack.zone)

    def version(self, path: str) -> Version | None:
        """The version of a value that is law on that day."""
        return self.regime.version(path=path, on=self.judged_on)

    def has(self, addressee: str) -> bool:
        """Whether this law speaks of the addressee at all; a sector law only where it makes a duty in force."""
        if not self.regime.sectors:
            return f"{addressee}.owed" in self.regime.paths
        version = self.version(f"{addressee}.owed")
        return version is not None and "never" not in version.value["when"]

    @property
    def affected(self) -> int:
        """How many people live under this law."""
        return sum(group.count for _, group in self.groups)


def person_duty(*, law: Law, index: int, group: Group) -> Duty:
    """The duty towards one group of people."""
    exposures = [law.exposures[index]]
    duty = _duty(law, Addressee.PERSON, exposures, Notified(), ())
    return replace(duty, group=index)


def shared_duty(
    *, law: Law, addressee: Addressee, notified: Notified, open_questions: tuple[Question, ...]
) -> Duty:  # fmt: skip
    """The duty towards the regulator or the bureaus, for all groups of the jurisdiction."""
    exposures = list(law.exposures.values())
    duty = _duty(law, addressee, exposures, notified, open_questions)
    instead = told_instead(pack=law.pack, lead=law.lead, rule=law.version("competence.lead"))
    if instead is None or addressee is not Addressee.REGULATOR:
        return duty
    return _refused(law, addressee, instead)


def _duty(
    law: Law,
    addressee: Addressee,
    exposures: Sequence[Exposure],
    notified: Notified,
    open_questions: tuple[Question, ...],
) -> Duty:
    version = law.version(f"{addressee.value}.owed")
    if version is None:
        return _without_law(law, addressee)
    if law.facts.role == "processor":
        return _refused(law, addressee, _processor_reason(law, version))
    scene = Scene(law.facts, exposures, law.affected, version.reference, notified, open_questions)
    outcome = weigh(condition=version.value["when"], scene=scene)
    reasons = (outcome.reason, _in_force(law, version))
    duty = replace(_bare(law, addressee, reasons, version), owed=_OWED[outcome.holds], questions=outcome.questions)
    return duty if duty.owed is Owed.NO else _completed(law, duty, scene)


def _bare(law: Law, addressee: Addressee, reasons: tuple[Reason, ...], version: Version | None) -> Duty:
    from_memory = [f"from memory, not checked: {item}" for item in law.pack.from_memory]
    note = [version.value["note"]] if version is not None and "note" in version.value else []
    return Duty(
        jurisdiction=law.pack.id,
        addressee=addressee,
        owed=Owed.NO,
        reasons=reasons,
        references=tuple(dict.fromkeys(reason.reference for reason in reasons)),
        pack=law.pack.id,
        pack_sha256=law.pack.sha256,
        verified=law.pack.verified,
        doubt=(*law.pack.doubt, *from_memory, *note),
        regime=law.regime.id,
    )


def _in_force(law: Law, version: Version) -> Reason:
    since = f"since {version.from_on}" if version.from_on else "as far back as the pack goes"
    until = f"; until {version.until_on}" if version.until_on else ""
    anchored = any(anchor in law.facts.anchors for anchor in (Anchor.AWARE, Anchor.DISCOVERED))
    day = f"{law.regime.judged_on}: {law.judged_on}" if anchored else f"no date known; law of {law.judged_on}"
    return Reason(f"this version is law on that day ({since}{until})", True, day, version.reference, _other_days(version))


def _other_days(version: Version) -> str:
    before = [f"an event before {version.from_on}"] if version.from_on else []
    after = [f"an event on or after {version.until_on}"] if version.until_on else []
    return ", or ".join([*before, *after]) or "a change of this law"


def _processor_reason(law: Law, version: Version) -> Reason:
    rule = law.version("processor.deadline")
    kind = rule.value["clocks"][0]["kind"].replace("_", " ") if rule else "without delay"
    return Reason(
        condition="the organisation decides on the data (controller)",
        holds=False,
        fact=f"role: processor; it tells its controller ({kind}), who tells the others",
        reference=rule.reference if rule else version.reference,
        would_change="the role of controller",
    )


def _refused(law: Law, addressee: Addressee, reason: Reason) -> Duty:
    return _bare(law, addressee, (reason,), law.version(f"{addressee.value}.owed"))


def _without_law(law: Law, addressee: Addressee) -> Duty:
    """No version covers the day: not law yet (no), or older than the pack goes (a person must look)."""
    versions = [version for version in law.regime.paths[f"{addressee.value}.owed"] if not version.dormant]
    starts = min((version.from_on for version in versions if version.from_on), default=None)
    future = starts is None or starts > law.pack.checked_on
    fact = f"{law.regime.judged_on}: {law.judged_on}; the first version starts on {starts or 'no day yet'}"
    reason = Reason(
        condition="a version of this law is in force on that day",
        holds=False if future else None,
        fact=fact,
        reference=versions[0].reference if versions else law.pack.law,
        would_change=f"an event on or after {starts}" if starts else "the start of the law",
    )
    duty = _bare(law, addressee, (reason,), None)
    question = Question(f"law:{law.pack.id}", f"Which law applied on {law.judged_on}? The pack is younger.", law.pack.law)
    return duty if future else replace(duty, owed=Owed.ASK, questions=(question,))


def _completed(law: Law, duty: Duty, scene: Scene) -> Duty:
    """Adds to a duty (or a possible one) its deadline, addressees, content, channels and monitoring."""
    duty = _with_deadline(law, duty, scene)
    duty = _with_content(law, duty, scene.exposures)
    if duty.addressee is Addressee.REGULATOR:
        duty = replace(duty, to=_names(law))
    if duty.addressee is Addressee.PERSON:
        duty = _with_channels(law, duty, scene.exposures)
    return duty


def _with_deadline(law: Law, duty: Duty, scene: Scene) -> Duty:
    who = duty.addressee.value
    version, second = law.version(f"{who}.deadline"), law.version(f"{who}.second")
    if version is None:
        return duty
    place = Place(law.packs, law.pack.id, law.pack.zone, scene, law.version(f"{who}.hold"))
    deadline = deadline_of(version=version, place=place)
    if second is not None:
        deadline = replace(deadline, second_by=second_deadline(version=second, place=place))
    duty = _cited(replace(duty, deadline=deadline), version, second)
    late = law.version(f"{who}.late")
    if late is not None and late.value["reasons_required"] and is_late(deadline=deadline, place=place):
        duty = replace(duty, reasons_for_delay_required=True, content_required=(REASONS_FOR_DELAY,))
    return duty


def _with_content(law: Law, duty: Duty, exposures: Sequence[Exposure]) -> Duty:
    version = law.version(f"{duty.addressee.value}.content")
    if version is None:
        return duty
    required = [_item(item, exposures) for item in version.value["required"]]
    return replace(
        _cited(duty, version),
        content_required=tuple(item for item in required if item) + duty.content_required,
        content_barred=tuple(version.value["barred"]),
    )


def _item(item: str | Mapping[str, object], exposures: Sequence[Exposure]) -> str | None:
    """A content item, or None where it is owed only with elements that were not exposed."""
    if isinstance(item, str):
        return item
    elements = [str(element) for element in item["if_any_of"]]  # type: ignore[attr-defined]
    return str(item["item"]) if _touches(elements, exposures) else None


def _touches(elements: Sequence[str], exposures: Sequence[Exposure]) -> bool:
    return any(exposure.sure_of(elements) or exposure.maybe_of(elements) for exposure in exposures)


def _names(law: Law) -> tuple[str, ...]:
    version = law.version("regulator.to")
    names = version.value["names"] if version else []
    sector = law.facts.sector
    return tuple(
        name["name"] for name in names if sector in name.get("sectors", [sector]) and sector not in name.get("not_sectors", [])
    )


def _with_channels(law: Law, duty: Duty, exposures: Sequence[Exposure]) -> Duty:
    channels, monitoring = law.version("person.channels"), law.version("person.monitoring")
    if channels is not None:
        rule = channels.value.get("credentials_only_rule") or {}
        mailbox = rule.get("not_to_compromised_email") and _touches(["email_account_credentials"], exposures)
        barred = ("compromised_email",) if mailbox else ()
        duty = replace(duty, channels_allowed=tuple(channels.value["allowed"]), channels_barred=barred)
    if monitoring is not None and any(exposure.sure_of(monitoring.value["if_any_of"]) for exposure in exposures):
        duty = replace(_cited(duty, monitoring), monitoring_months=monitoring.value["months"])
    return duty


def _cited(duty: Duty, *versions: Version | None) -> Duty:
    added = [version.reference for version in versions if version is not None]
    return replace(duty, references=tuple(dict.fromkeys([*duty.references, *added])))
