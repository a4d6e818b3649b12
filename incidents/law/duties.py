"""One duty under one law: who is told, why, by when, saying what, through which channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any

from incidents.law.clocks import Place, anchor_moment, deadline_of, is_late, later_stage
from incidents.law.competence import told_instead
from incidents.law.conditions import Scene, weigh
from incidents.law.deadlines import local_day
from incidents.law.elements import Exposure
from incidents.law.facts import Addressee, Anchor, Duty, Group, IncidentFacts, Owed, Question, Reason
from incidents.law.pack import Pack, PackSet, Regime, Version
from incidents.law.thresholds import Notified, is_reached_by

_OWED = {True: Owed.YES, False: Owed.NO, None: Owed.ASK}
REASONS_FOR_DELAY = "reasons_for_delay"
#: The event whose day decides which law applies, in words.
_EVENT = {
    "discovered_at": "discovered on",
    "aware_at": "aware since",
    "determined_at": "determined on",
    "occurred_at": "happened on",
}
#: Kinds of a processor's clock that are no duty of the law.
_NO_DUTY = {"none": "this law sets no such duty", "contractual": "left to the contract with the controller"}
#: Moments of the controller's own knowledge; of people found late they are the moment at which these were found.
KNOWING = frozenset({Anchor.AWARE, Anchor.DISCOVERED, Anchor.DETERMINED, Anchor.ASSESSED})
CREDIT_BUREAU = "credit_bureau"
COMPROMISED_MAILBOX = "compromised_email"


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

    @cached_property
    def affected(self) -> int:
        """How many people live under this law."""
        return sum(group.count for _, group in self.groups)


def person_duty(*, law: Law, index: int, group: Group) -> Duty:
    """The duty towards one group of people."""
    scene = Scene(law.facts, [law.exposures[index]], law.affected, "", minors=group.minors, clock=group.aware_at)
    return replace(_duty(law, Addressee.PERSON, scene), group=index)


def shared_duty(
    *, law: Law, addressee: Addressee, notified: Notified, open_questions: tuple[Question, ...]
) -> Duty:  # fmt: skip
    """The duty towards the regulator, the bureaus, the media or clients, for all groups of the jurisdiction."""
    minors = any(group.minors for _, group in law.groups)
    exposures = list(law.exposures.values())
    scene = Scene(law.facts, exposures, law.affected, "", notified, minors, open_questions)
    duty = _duty(law, addressee, scene)
    instead = told_instead(pack=law.pack, lead=law.lead, rule=law.version("competence.lead"))
    if instead is None or addressee is not Addressee.REGULATOR:
        return duty
    return _refused(law, addressee, instead)


def processor_duty(*, law: Law) -> Duty | None:
    """What a processor owes its controller (GDPR Art 33(2) and the like); None where this organisation is the controller."""
    version = law.version("processor.deadline")
    if law.facts.role != "processor" or version is None:
        return None
    if told_instead(pack=law.pack, lead=law.lead, rule=law.version("competence.lead")) is not None:
        return None
    scene = Scene(law.facts, (), law.affected, version.reference)
    reason = _processor_owes(version, scene)
    owed = Owed.YES if reason.holds else Owed.NO
    duty = replace(_bare(law, Addressee.CONTROLLER, (reason, _in_force(law, version)), version), owed=owed)
    place = replace(_place(law, scene), processor=True)
    return duty if owed is Owed.NO else replace(duty, deadline=deadline_of(version=version, place=place))


def _processor_owes(version: Version, scene: Scene) -> Reason:
    """Whether the processor's duty exists: its law has one, and binds this sector."""
    clock = version.value["clocks"][0]
    bound = weigh(condition=clock["when"], scene=scene).reason if "when" in clock else None
    kind = clock["kind"]
    return Reason(
        condition="a processor (supplier, data holder) must tell the controller",
        holds=kind not in _NO_DUTY and (bound is None or bound.holds is True),
        fact=f"role: processor; {_NO_DUTY.get(kind, kind.replace('_', ' '))}",
        reference=version.reference,
        would_change="the role of controller",
        parts=(bound,) if bound else (),
    )


def _duty(law: Law, addressee: Addressee, scene: Scene) -> Duty:
    version = law.version(f"{addressee.value}.owed")
    if version is None:
        return _without_law(law, addressee)
    if law.facts.role == "processor":
        return _refused(law, addressee, _processor_reason(law, version))
    scene = replace(scene, reference=version.reference)
    outcome = weigh(condition=version.value["when"], scene=scene)
    reasons = (outcome.reason, _in_force(law, version))
    duty = replace(
        _bare(law, addressee, reasons, version),
        owed=_OWED[outcome.holds],
        questions=outcome.questions,
        may_record=outcome.may_record,
    )
    return _without_notice(law, duty) if duty.owed is Owed.NO else _completed(law, duty, scene)


def _without_notice(law: Law, duty: Duty) -> Duty:
    """A no that rests on a finding of no harm brings what the law asks of those who rely on it."""
    version = law.version("record.duty")
    conditions = version.value.get("on_no_harm", ()) if version else ()
    found_no_harm = duty.addressee is Addressee.PERSON and law.facts.findings.misuse_likely == "no"
    return replace(duty, on_no_harm=tuple(conditions)) if found_no_harm else duty


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
    day = f"{_EVENT[law.regime.judged_on]} {law.judged_on}" if anchored else f"no date known; law of {law.judged_on}"
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
    """No version covers the day: this law did not apply yet (or no longer); an earlier law is named as a doubt."""
    versions = [version for version in law.regime.paths[f"{addressee.value}.owed"] if not version.dormant]
    starts = min((version.from_on for version in versions if version.from_on), default=None)
    reason = Reason(
        condition="a version of this law is in force on that day",
        holds=False,
        fact=f"{_EVENT[law.regime.judged_on]} {law.judged_on}; the first version starts on {starts or 'no day yet'}",
        reference=versions[0].reference if versions else law.pack.law,
        would_change=f"an event on or after {starts}" if starts else "the start of the law",
    )
    duty = _bare(law, addressee, (reason,), None)
    if starts is None or starts > law.pack.checked_on:
        return duty
    doubt = f"The pack begins on {starts}: whether an earlier law asked for a notice is not in it; have that checked."
    return replace(duty, doubt=(*duty.doubt, doubt))


def _completed(law: Law, duty: Duty, scene: Scene) -> Duty:
    """Adds to a duty (or a possible one) its deadline, addressees, content, channels and monitoring."""
    duty = _with_deadline(law, duty, scene)
    duty = _with_content(law, duty, scene)
    if duty.addressee is Addressee.REGULATOR:
        duty = replace(duty, to=_names(law), copy_to=_names(law, copies=True))
    if duty.addressee is Addressee.PERSON:
        duty = _with_channels(law, duty, scene.exposures)
    return duty


def _place(law: Law, scene: Scene, hold: Version | None = None) -> Place:
    running = replace(scene, facts=_on_clock(scene.facts, scene.clock)) if scene.clock else scene
    return Place(
        law.packs, law.pack.id, law.pack.zone, running, hold, holidays=law.pack.holidays_of or law.facts.established_in or ""
    )


def _on_clock(facts: IncidentFacts, aware_at: datetime) -> IncidentFacts:
    """The facts from which the clocks of people found late run: the controller knew of them from this moment, not before."""
    knowing = {anchor: aware_at for anchor in facts.anchors if anchor in KNOWING}
    return replace(facts, anchors={**facts.anchors, **knowing, Anchor.AWARE: aware_at})


def _with_deadline(law: Law, duty: Duty, scene: Scene) -> Duty:
    who = duty.addressee.value
    version = law.version(f"{who}.deadline")
    if version is None:
        return duty
    place = _place(law, scene, law.version(f"{who}.hold"))
    deadline = deadline_of(version=version, place=place)
    if scene.clock:
        note = f"found late: counted from {scene.clock.isoformat()}, when the controller learnt of these people"
        deadline = replace(deadline, notes=(*deadline.notes, note))
    second, final = law.version(f"{who}.second"), law.version(f"{who}.final")
    deadline = replace(
        deadline,
        second_by=later_stage(version=second, place=place) if second else None,
        final_by=later_stage(version=final, place=place) if final else None,
    )
    duty = _cited(replace(duty, deadline=deadline), version, second, final)
    late = law.version(f"{who}.late")
    if late is not None and late.value["reasons_required"] and is_late(deadline=deadline, place=place):
        duty = replace(duty, reasons_for_delay_required=True, content_required=(REASONS_FOR_DELAY,))
    return _with_assessment(law, duty, place)


def _with_assessment(law: Law, duty: Duty, place: Place) -> Duty:
    """The day by which the law wants the breach assessed (Australia s.26WH, Singapore's guidance)."""
    version = law.version("assessment.deadline")
    if version is None:
        return duty
    return replace(_cited(duty, version), assess_by=deadline_of(version=version, place=place).shown_at)


def _with_content(law: Law, duty: Duty, scene: Scene) -> Duty:
    version = law.version(f"{duty.addressee.value}.content")
    if version is None:
        return duty
    required = [_item(item, scene) for item in version.value["required"]]
    return replace(
        _cited(duty, version),
        content_required=tuple(item for item in required if item) + duty.content_required,
        content_barred=tuple(version.value["barred"]),
    )


def _item(item: str | Mapping[str, Any], scene: Scene) -> str | None:
    """A content item, or None where it is owed only with elements that were not exposed, or from a number of people."""
    if isinstance(item, str):
        return item
    if "if_notified" in item:
        limit = item["if_notified"]
        return str(item["item"]) if is_reached_by(notified=scene.notified, **limit) else None
    return str(item["item"]) if _touches(item["if_any_of"], scene.exposures) else None


def _touches(elements: Sequence[str], exposures: Sequence[Exposure]) -> bool:
    return any(exposure.sure_of(elements) or exposure.maybe_of(elements) for exposure in exposures)


def _names(law: Law, *, copies: bool = False) -> tuple[str, ...]:
    """The regulators told in this sector; with `copies` those that get the same notice beside them."""
    version = law.version("regulator.to")
    names = version.value["names"] if version else []
    sector = law.facts.sector
    told = [name for name in names if sector in name.get("sectors", [sector]) and sector not in name.get("not_sectors", [])]
    return tuple(name["name"] for name in told if name.get("copy", False) is copies)


def _with_channels(law: Law, duty: Duty, exposures: Sequence[Exposure]) -> Duty:
    channels, monitoring = law.version("person.channels"), law.version("person.monitoring")
    # A mailbox whose own credentials leaked is in a stranger's hands: never written to, whatever the statute says.
    mailbox = _touches(["email_account_credentials"], exposures)
    duty = replace(duty, channels_barred=(COMPROMISED_MAILBOX,) if mailbox else ())
    if channels is not None:
        duty = replace(duty, channels_allowed=tuple(channels.value["allowed"]))
    if monitoring is not None and any(exposure.sure_of(monitoring.value["if_any_of"]) for exposure in exposures):
        months = monitoring.value.get("months_if_sender_is_credit_bureau", 0) if law.facts.sector == CREDIT_BUREAU else 0
        duty = replace(_cited(duty, monitoring), monitoring_months=months or monitoring.value["months"])
    return _with_substitute(law, duty)


def _with_substitute(law: Law, duty: Duty) -> Duty:
    version = law.version("person.substitute")
    if version is None:
        return duty
    grounds = version.value["grounds"]
    limit = grounds.get("persons_over") if isinstance(grounds, Mapping) else None
    met = (f"{law.affected:,} people, more than {limit:,}",) if limit is not None and law.affected > limit else ()
    return replace(_cited(duty, version), substitute=grounds, substitute_grounds=met)


def _cited(duty: Duty, *versions: Version | None) -> Duty:
    added = [version.reference for version in versions if version is not None]
    return replace(duty, references=tuple(dict.fromkeys([*duty.references, *added])))
