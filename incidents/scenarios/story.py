"""A scenario as a drill, from the leaked table to the verified bundle: every step is the domain call that people make, too.

Each step looks first whether it is done, so that a story begun by a killed process goes on where it stood.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from incidents.acting import acting_as
from incidents.audit import log
from incidents.audit.export import export_evidence
from incidents.dispatch import campaign as campaigns
from incidents.dispatch.conservation import check_campaign
from incidents.dispatch.obstacles import closing_questions, freeze_obstacles
from incidents.letters.render import make_letters
from incidents.models import AuditEvent, BatchState, Campaign, CampaignState, Incident
from incidents.models.messages import FINAL_STATES, MessageState
from incidents.models.refusal import Refused
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.importing import account, import_people
from incidents.people.opening import check_facts, open_incident
from incidents.scenarios.catalog import Scenario, size_label
from incidents.scenarios.concluding import DECIDED, SECOND, broken, conclusions_of, said_of
from incidents.scenarios.generator import Table, write_people
from incidents.scenarios.plot import Cast, Plot, decide, plot_of, record_findings
from incidents.scenarios.redirect import Redirecting, strangers
from incidents.scenarios.waves import Progress, second_campaign, sign_and_send

#: How long the sequencer may take to give all that is recorded its place; it may have been killed a moment ago.
PLACES_SECONDS = 60
_RUNNING = (CampaignState.FROZEN, CampaignState.CONTENT_APPROVED, CampaignState.DISPATCHING, CampaignState.PAUSED)
_ACCOUNTED = (MessageState.ACCEPTED, MessageState.NEEDS_OTHER_CHANNEL, MessageState.HELD)


@dataclass
class Outcome:
    """What the story shows at its end; `as_json` is what `demo --json` writes. No campaign: the freeze was rightly refused."""

    incident: Incident
    campaign: Campaign | None
    people: int
    bundle: Path
    checks: dict[str, bool] = field(default_factory=dict)
    open_questions: list[str] = field(default_factory=list)
    seconds: float = 0.0
    found_finished: bool = False

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(self.checks.values())


def run_story(*, scenario: Scenario, people: int, cast: Cast, var: Path, progress: Progress) -> Outcome:
    """Play the whole line; raises Refused with the remedy when a step is refused."""
    started, plot = time.monotonic(), plot_of(scenario=scenario)
    incident = _opened(scenario, cast)
    finished = _is_over(incident, plot)
    campaign = _played(scenario, incident, people, plot, cast, progress)
    bundle = var / "bundles" / f"{incident.reference}.zip"
    if not (finished and bundle.exists()):
        progress("export the evidence", 0, 0)
        export_evidence(incident=incident, out=bundle, actor=cast.officer.username)
    outcome = Outcome(incident, campaign, people, bundle, found_finished=finished)
    progress("verify the evidence", 0, 0)
    outcome.checks = run_checks(scenario=scenario, outcome=outcome)
    outcome.open_questions = _open_questions(incident)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


def _open_questions(incident: Incident) -> list[str]:
    """What keeps the campaigns from closing, or where there is none, letters from leaving."""
    found = [question for campaign in incident.campaigns.order_by("id") for question in closing_questions(campaign=campaign)]
    return list(dict.fromkeys(found)) if incident.campaigns.exists() else freeze_obstacles(incident=incident)


def _opened(scenario: Scenario, cast: Cast) -> Incident:
    facts = check_facts(dict(scenario.facts), now=log.database_now())
    found = Incident.objects.filter(reference=facts["reference"]).first()
    if found:
        return found
    return open_incident(facts=facts, author=cast.officer, drill=True)


def _is_over(incident: Incident, plot: Plot) -> bool:
    """Whether everything that the plot sends was sent before."""
    campaigns_held = list(incident.campaigns.order_by("id"))
    wanted = 0 if plot.ends == "nothing_sent" else 2 if plot.second_wave else 1
    running = any(campaign.state in _RUNNING for campaign in campaigns_held)
    return bool(wanted) and len(campaigns_held) >= wanted and not running


def _played(
    scenario: Scenario, incident: Incident, people: int, plot: Plot, cast: Cast, progress: Progress
) -> Campaign | None:  # fmt: skip
    """The campaign that the story ends with."""
    campaign = incident.campaigns.order_by("id").first()
    if campaign is None:
        _prepared(scenario, incident, people, plot, cast, progress)
        if plot.ends == "nothing_sent":
            _filed(incident, cast)
            return None
        progress("freeze register and letters", 0, 0)
        _refuse_strangers(scenario, incident)
        campaign = campaigns.freeze(incident=incident, author=cast.officer)
    sign_and_send(campaign=campaign, cast=cast, progress=progress)
    if plot.second_wave:
        campaign = second_campaign(incident=incident, wave=plot.second_wave, cast=cast, progress=progress)
        sign_and_send(campaign=campaign, cast=cast, progress=progress)
    _filed(incident, cast)
    return campaign


def _refuse_strangers(scenario: Scenario, incident: Incident) -> None:
    """Nobody who could be real is written to in a drill, whatever the table or the decisions said."""
    number = strangers(incident=incident, domain=scenario.to_domain)
    if number:
        raise Refused(f"{number} people of this drill have an address that may be somebody's. Nothing was sent.")


def _prepared(scenario: Scenario, incident: Incident, people: int, plot: Plot, cast: Cast, progress: Progress) -> None:
    """Everything before the freeze. Where nothing may be sent, the queues stay as they are: nobody is affected yet."""
    _imported(scenario, incident, people, cast, progress)
    sent = plot.ends == "sent"
    if sent:
        progress("decide the queues", 0, 0)
        decide(incident=incident, plot=plot, cast=cast)
    progress("record findings, ask the law", 0, 0)
    record_findings(incident=incident, findings=plot.findings, cast=cast)
    assess_incident(incident=incident, author=cast.officer)
    if sent:
        progress("compile and check the letters", 0, 0)
        make_letters(incident=incident, author=cast.officer)


def _imported(scenario: Scenario, incident: Incident, people: int, cast: Cast, progress: Progress) -> None:
    if incident.imports.filter(state=BatchState.DONE).exists():
        return
    with tempfile.TemporaryDirectory(prefix="bn-drill-") as folder:
        path = Path(folder) / "people.csv"
        progress("write the table of invented people", 0, 0)
        with path.open("w", encoding="utf-8", newline="") as out:
            table: Table = Redirecting(out, scenario.to_domain) if scenario.to_domain else out
            rows = write_people(scenario=scenario, people=people, out=table).rows
        with acting_as("importer"):
            import_people(
                incident=incident,
                path=path,
                author=cast.officer,
                progress=lambda read, percent: progress(*_import_step(read, percent, rows)),
            )
    progress("import the list", rows, rows)


def _import_step(read: int, percent: int, rows: int) -> tuple[str, int, int]:
    return ("make people of the list", rows * percent // 100, rows) if percent else ("import the list", read, rows)


def _filed(incident: Incident, cast: Cast) -> None:
    """The drill's notices to the authorities, as if handed in the day before each was due, and never before it was known."""
    aware_at = datetime.fromisoformat(incident.facts.facts["anchors"]["aware_at"])
    due = incident.obligations.filter(owed="yes", cohort=None, superseded=False, filings=None).exclude(addressee="person")
    for duty in due.order_by("jurisdiction", "id"):
        when = max(aware_at, (duty.due_at or duty.internal_target_at or incident.facts.recorded_at) - timedelta(hours=20))
        reference = f"DRILL-{duty.jurisdiction}-{duty.pk:04d}"
        record_filing(obligation=duty, filed_at=when, reference=reference, author=cast.officer)


def run_checks(*, scenario: Scenario, outcome: Outcome) -> dict[str, bool]:
    """What must hold at the end of the drill."""
    incident, campaign = outcome.incident, outcome.campaign
    about_letters = {"nothing_may_be_sent": bool(freeze_obstacles(incident=incident))}
    if campaign:
        about_letters = _sent_checks(list(incident.campaigns.order_by("id")))
    stage = SECOND if plot_of(scenario=scenario).second_wave else DECIDED
    size = size_label(scenario=scenario, people=outcome.people)
    lines = conclusions_of(scenario=scenario, when=stage, size=size)
    return {
        "rows_add_up": account(incident=incident).adds_up,
        **about_letters,
        "the_law_says_what_experts_expect": not broken(conclusions=lines, said=said_of(incident=incident, scenario=scenario)),
        "log_complete": _log_complete(incident),
        "bundle_verifies": verify_bundle(bundle=outcome.bundle) == 0,
    }


def _log_complete(incident: Incident) -> bool:
    """Whether all that was recorded until now gets its place in the log. What providers tell meanwhile comes after it."""
    entries, end = AuditEvent.objects.filter(log=log.log_of(incident)), time.monotonic() + PLACES_SECONDS
    until = entries.order_by("-id").values_list("id", flat=True).first() or 0
    while entries.filter(leaf=None, id__lte=until).exists():
        if time.monotonic() > end:
            return False
        time.sleep(0.2)
    return True


def _sent_checks(sent: list[Campaign]) -> dict[str, bool]:
    checks = [check_campaign(campaign=campaign) for campaign in sent]
    accounted = (*FINAL_STATES, *_ACCOUNTED)
    return {
        "everybody_in_one_state": all(check.sum_ok for check in checks),
        "no_violation": not any(check.violations for check in checks),
        "no_open_doubt": not any(check.doubts_open for check in checks),
        "campaign_drained": all(campaign.state in (CampaignState.DRAINED, CampaignState.CLOSED) for campaign in sent),
        "nobody_left_unsent": all(state in accounted for check in checks for state in check.states),
    }


def verify_bundle(*, bundle: Path) -> int:
    """Run the very checker that is in the bundle, in a bare Python; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="bn-verify-") as folder:
        subprocess.run([sys.executable, "-m", "zipfile", "-e", str(bundle), folder], check=True, capture_output=True)
        command = [sys.executable, "-I", "-S", f"{folder}/verify.py", str(bundle), "--key", log.fingerprint_of_key()]
        return subprocess.run(command, capture_output=True, check=False).returncode


def as_json(*, outcome: Outcome, scenario: str, size: str) -> dict[str, Any]:
    """What `demo --json` writes."""
    incident, campaign, counts = outcome.incident, outcome.campaign, account(incident=outcome.incident)
    duties: dict[str, dict[str, int]] = {}
    for jurisdiction, owed in incident.obligations.filter(superseded=False).values_list("jurisdiction", "owed"):
        at = duties.setdefault(jurisdiction, {})
        at[owed] = at.get(owed, 0) + 1
    head = log.log_of(incident).checkpoints.order_by("-id").first()
    return {
        "scenario": scenario,
        "size": size,
        "rows_in": counts.rows_in,
        "people": counts.people,
        "merged": counts.merged,
        "needs_attention": counts.needs_attention,
        "rejected": counts.rejected,
        "held": counts.held,
        "rejection_pending": counts.rejection_pending,
        "cohorts": incident.cohorts.filter(count__gt=0).count(),
        "obligations": duties,
        "campaign": campaign.reference if campaign else "",
        "messages": check_campaign(campaign=campaign).states if campaign else {},
        "audit": {"entries": head.size if head else 0, "root": head.root if head else "", "key": log.fingerprint_of_key()},
        "bundle": str(outcome.bundle),
        "checks": outcome.checks,
        "open_questions": outcome.open_questions,
        "seconds": outcome.seconds,
        "found_finished": outcome.found_finished,
    }


def save_json(*, value: dict[str, Any], path: Path) -> None:
    """Write the report for machines."""
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n")
