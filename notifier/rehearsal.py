"""The full-size drill: a whole campaign on invented people through real workers to wherever `MAIL` points, measured and checked.

It survives whatever is killed beside it, goes on where it stood when it is started again itself, and can be taken away.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from django.conf import settings
from django.db.models import Count, Exists, Max, OuterRef
from email_validator import EmailNotValidError, validate_email

from incidents.dispatch.channels.address import read_mail_setting
from incidents.dispatch.channels.choose import provider_for
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.forecast import forecast
from incidents.dispatch.gate.asking import is_stand_in, stays_here
from incidents.models import Attempt, Campaign, CampaignState, Doubt, ImportRow, Incident, Message
from incidents.models.refusal import Refused
from incidents.scenarios.catalog import Scenario, UnknownScenario, load_scenario, people_in
from incidents.scenarios.plot import Cast, plot_of
from incidents.scenarios.redirect import to_domain
from incidents.scenarios.story import Outcome, run_story
from incidents.scenarios.waves import pause_in_words
from notifier import drill, signins
from notifier.removal import remove_drill

#: How often the database may go away in one run: somebody is killing it on purpose.
INTERRUPTIONS = 1000
#: The forecast is taken down when so much of the letters is out; before, the rate of the first seconds says little.
FORECAST_AT = 0.25
PREFIX = "drill-"
MARK = "DRILL: "


@dataclass(frozen=True)
class Rehearsal:
    """What was asked for; `reference` names the drill's incident."""

    scenario: Scenario
    people: int
    reference: str


@dataclass
class Watch:
    """Shows progress, and takes the forecast down on the way to hold it against what came."""

    show: drill.Progress
    reference: str
    interruptions: int = 0
    #: Of which campaign: where there are two waves, only that one's end is held against it.
    foretold: Campaign | None = None
    foretold_at: datetime | None = None
    foretold_end: datetime | None = None

    def __call__(self, step: str, done: int, total: int) -> None:
        self.interruptions += step.startswith("the database went away")
        self.show(step, done, total)
        if step == "send the letters" and self.foretold_end is None and total and FORECAST_AT <= done / total < 1:
            campaign = Campaign.objects.filter(incident__reference=self.reference).order_by("-id")[0]
            now = forecast(campaign=campaign)
            self.foretold, self.foretold_at, self.foretold_end = campaign, now.as_of, now.ends_at


@dataclass
class Report:
    """What the drill shows at its end."""

    people: int
    letters: int
    seconds: float
    doubts: dict[str, int]
    possible_second_copies: int
    unlisted_second_copies: int
    forecast_error_percent: float | None
    interruptions: int
    campaigns: dict[str, dict[str, int]] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    #: Campaign -> why it is paused: what the system paused goes on for nobody by itself.
    paused: dict[str, str] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(self.checks.values())

    @property
    def per_second(self) -> float:
        """Letters a second, from the release to the last answer."""
        return round(self.letters / self.seconds, 1) if self.seconds else 0.0


def read_rehearsal(*, scenario: str, people: int, domain: str, keep: bool, out: TextIO) -> Rehearsal:
    """What was asked for. Raises Refused: an unknown scenario, one without letters, a way out where letters would harm."""
    try:
        found = load_scenario(scenario_id=scenario)
        people_in(scenario=found, size=str(people))
    except (UnknownScenario, ValueError) as error:
        raise Refused(str(error.args[0])) from None
    if plot_of(scenario=found).ends != "sent":
        raise Refused(
            f"The scenario {scenario} ends without a letter: choose another, or play it with demo --scenario {scenario}."
        )
    refuse_way_out(domain=domain)
    reference = drill.through_restarts(
        lambda: _reference(found.id, people, keep, out), drill.Progress(out), interruptions=INTERRUPTIONS
    )
    return Rehearsal(_as_drill(found, reference, domain), people, reference)


def refuse_way_out(*, domain: str) -> None:
    """Invented addresses belong to nobody: they may not go over a real way out. Raises Refused with the two remedies."""
    ways = [read_mail_setting(value) for value in (settings.MAIL, settings.MAIL_FALLBACK) if value]
    if domain:
        try:
            validate_email(f"drill@{domain}", check_deliverability=False, globally_deliverable=False, test_environment=True)
        except EmailNotValidError:
            raise Refused(f"'{domain}' is no domain that takes mail. Give one of your own with a catch-all mailbox.") from None
    elif not all(stays_here(way) or is_stand_in(way) for way in ways):
        raise Refused(
            f"MAIL leads out of this machine ({ways[0].kind}). The people of a drill have addresses under names that belong to "
            "nobody (RFC 2606): sent there, letters would bounce by the thousand and harm your sender's name.",
            "Use MAIL=inbox: or a sink on this machine (MAIL=smtp://127.0.0.1:PORT, or MAIL=postmark: with POSTMARK_API_URL on "
            "127.0.0.1), or give --to-domain DOMAIN: then every address becomes one of that domain, which has to be yours and "
            "take everything (a catch-all).",
        )


def _reference(scenario: str, people: int, keep: bool, out: TextIO) -> str:
    """The drill that goes on, or the name of a new one; what stands there from before is removed unless it is kept."""
    name = f"{PREFIX}{scenario}"
    known = {one.reference: one for one in Incident.objects.filter(reference__startswith=name, is_drill=True)}
    for reference, incident in known.items():
        if not _is_over(incident) and _size(incident) in (0, people):
            out.write(f"The drill {reference} was begun before and goes on.\n")
            return reference
    if not keep:
        for incident in known.values():
            remove_drill(incident=incident)
            out.write(f"The drill {incident.reference} of before is removed.\n")
        return name
    return name if name not in known else f"{name}-{len(known) + 1}"


def _is_over(incident: Incident) -> bool:
    """Whether nothing of it moves any more. What a person paused waits for its resumption, what the system paused for nobody."""
    over = (CampaignState.DRAINED, CampaignState.STOPPED, CampaignState.CLOSED, CampaignState.PAUSED)
    held = list(incident.campaigns.all())
    return bool(held) and all(one.state in over and not pause_in_words(one) for one in held)


def _size(incident: Incident) -> int:
    return ImportRow.objects.filter(batch__incident=incident).exclude(outcome="merged").count()


def _as_drill(scenario: Scenario, reference: str, domain: str) -> Scenario:
    """The scenario under the drill's own name, and where asked with every address at one domain."""
    facts = {**scenario.facts, "reference": reference, "title": f"{MARK}{scenario.facts['title']}"}
    marked = replace(scenario, facts=facts, to_domain=domain)
    return to_domain(scenario=marked, domain=domain) if domain else marked


def rehearse(rehearsal: Rehearsal, out: TextIO) -> Report:
    """Play the story to its end, through whatever is killed meanwhile, and measure it."""
    show = drill.Progress(out)
    watch = Watch(show, rehearsal.reference)
    try:
        outcome = drill.through_restarts(lambda: _play(rehearsal, watch), watch, interruptions=INTERRUPTIONS)
        return drill.through_restarts(lambda: _report(rehearsal, outcome, watch), watch, interruptions=INTERRUPTIONS)
    finally:
        show.end()


def _play(rehearsal: Rehearsal, watch: Watch) -> Outcome:
    players = signins.ensure_players()
    cast, var = Cast(players["officer"], players["counsel"]), Path(settings.VAR)
    return run_story(scenario=rehearsal.scenario, people=rehearsal.people, cast=cast, var=var, progress=watch)


# -- the report --------------------------------------------------------------------------------------------------------


def _report(rehearsal: Rehearsal, outcome: Outcome, watch: Watch) -> Report:
    incident = Incident.objects.get(reference=rehearsal.reference)
    campaigns, unlisted = list(incident.campaigns.order_by("id")), _second_copies(incident, listed=False)
    taken = Message.objects.filter(campaign__incident=incident).exclude(accepted_at=None)
    return Report(
        people=rehearsal.people, letters=taken.count(), seconds=round(sum(map(_span, campaigns)), 1), doubts=_doubts(incident),
        possible_second_copies=_second_copies(incident, listed=True), unlisted_second_copies=unlisted,
        forecast_error_percent=_forecast_error(watch), interruptions=watch.interruptions,
        campaigns={one.reference: check_campaign(campaign=one).states for one in campaigns},
        checks={**outcome.checks, "no_second_copy_is_unlisted": not unlisted}, paused=_paused(incident),
    )  # fmt: skip


def _paused(incident: Incident) -> dict[str, str]:
    held = incident.campaigns.filter(state=CampaignState.PAUSED).order_by("id")
    return {one.reference: one.pause_reason or "no reason given" for one in held}


def _last_answer(campaign: Campaign, **which: int) -> datetime | None:
    tries = Attempt.objects.filter(message__campaign=campaign, **which)
    found: datetime | None = tries.aggregate(last=Max("answered_at"))["last"]
    return found


def _span(campaign: Campaign) -> float:
    """Seconds from the release to the last answer of the provider."""
    last = _last_answer(campaign)
    return (last - campaign.released_at).total_seconds() if last and campaign.released_at else 0.0


def _doubts(incident: Incident) -> dict[str, int]:
    rows = Doubt.objects.filter(message__campaign__incident=incident).values_list("settled_how").annotate(n=Count("id"))
    return {how or "open": number for how, number in rows.order_by()}


def _second_copies(incident: Incident, *, listed: bool) -> int:
    """Letters that were handed over again after a try of which nobody knows whether it arrived."""
    later = Attempt.objects.filter(message=OuterRef("message"), number__gt=OuterRef("number"))
    doubtful = Attempt.objects.filter(Exists(later), message__campaign__incident=incident, outcome="doubt")
    on_list = Doubt.objects.filter(message=OuterRef("message"), chunk=OuterRef("chunk"))
    return doubtful.filter(Exists(on_list) if listed else ~Exists(on_list)).values("message").distinct().count()


def _forecast_error(watch: Watch) -> float | None:
    """By how much the end that was foretold was off, in per cent of the time that was left then.

    Its end is that of the first tries: when a doubt ends is not foretold.
    """
    ended = _last_answer(watch.foretold, number=1) if watch.foretold else None
    if ended is None or watch.foretold_at is None or watch.foretold_end is None or ended <= watch.foretold_at:
        return None
    left = (ended - watch.foretold_at).total_seconds()
    return round(100 * (watch.foretold_end - ended).total_seconds() / left, 1)


def as_json(report: Report, rehearsal: Rehearsal) -> dict[str, Any]:
    """What `drill --json` writes."""
    return {
        "incident": rehearsal.reference, "scenario": rehearsal.scenario.id, "people": report.people, "letters": report.letters,
        "seconds": report.seconds, "letters_per_second": report.per_second, "provider": provider_for().name,
        "messages": report.campaigns, "doubts": report.doubts, "possible_second_copies": report.possible_second_copies,
        "unlisted_second_copies": report.unlisted_second_copies, "forecast_error_percent": report.forecast_error_percent,
        "database_interruptions": report.interruptions, "checks": report.checks, "paused": report.paused, "holds": report.holds,
    }  # fmt: skip


def tell(report: Report, rehearsal: Rehearsal, out: TextIO) -> None:
    """The same in words."""
    for name, holds in report.checks.items():
        out.write(f"  {'holds' if holds else 'FAILS':6} {name.replace('_', ' ')}\n")
    for reference, reason in report.paused.items():
        out.write(
            f"{reference} is paused: {reason}. Put that right, then manage.py resume {reference} --as USER --reason TEXT, and "
            "the same call of drill goes on where it stood.\n"
        )
    for reference, states in report.campaigns.items():
        out.write(f"{reference}: " + ", ".join(f"{number} {state}" for state, number in sorted(states.items())) + "\n")
    doubts = ", ".join(f"{number} {how}" for how, number in sorted(report.doubts.items())) or "none"
    out.write(f"Doubts: {doubts}. Letters that may exist twice: {report.possible_second_copies}, all on the doubt list.\n")
    if report.forecast_error_percent is not None:
        off = f"{report.forecast_error_percent:+.0f} %"
        out.write(f"The forecast at a quarter of the letters was off by {off} of the time left then.\n")
    out.write(f"The database went away {report.interruptions} times under this command.\n")
    out.write(f"{report.people} people, {report.letters} letters in {report.seconds} s: {report.per_second} a second.\n")
    out.write(f"To take it away again: manage.py drill --remove (incident {rehearsal.reference})\n")
    out.flush()
