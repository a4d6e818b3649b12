"""A scenario as a drill, from the leaked table to the verified bundle: every step is the domain call that people make, too.

Each step looks first whether it is done, so that a story begun by a killed process goes on where it stood.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.contrib.auth.models import User

from incidents.audit import log
from incidents.audit.export import export_evidence
from incidents.dispatch import campaign as campaigns
from incidents.dispatch.conservation import check_campaign, count_states
from incidents.letters.approving import approve_content
from incidents.letters.render import make_letters
from incidents.models import AuditEvent, Campaign, CampaignState, Incident
from incidents.models.messages import FINAL_STATES, MessageState
from incidents.models.people import QueueKind, QueueStatus
from incidents.models.refusal import Refused
from incidents.people import deciding
from incidents.people.assessing import assess_incident, record_filing
from incidents.people.importing import account, import_people
from incidents.people.opening import check_facts, newest_findings, open_incident, record_finding
from incidents.scenarios.catalog import Scenario
from incidents.scenarios.generator import write_people
from incidents.tasks import wake_campaign

#: step, done so far, of how many (0 = unknown).
Progress = Callable[[str, int, int], None]
HOLD_DAYS = 30
SILENCE_SECONDS = 180


class StoryStuck(Refused):
    """The campaign does not move any more."""


@dataclass(frozen=True)
class Cast:
    """Who acts: the officer writes and releases, counsel approves."""

    officer: User
    counsel: User


@dataclass
class Outcome:
    """What the story shows at its end; `to_json` is what `demo --json` writes."""

    incident: Incident
    campaign: Campaign
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


FINDINGS = (
    (
        "risk",
        "risk",
        "Names, e-mail addresses and countries were taken by an outsider: messages that pretend to come from the "
        "brand are likely, so a risk cannot be ruled out. No password, payment or identity data: not a high risk.",
    ),
    (
        "misuse_likely",
        "yes",
        "The data were taken by somebody who had no right to them; misuse for deceptive messages is likely.",
    ),
    (
        "serious_harm_likely",
        "no",
        "Name, e-mail address and country alone, for some the date of birth: serious harm to a person is not likely from these.",
    ),
    (
        "voluntary_notice",
        "yes",
        "Where the law asks for no letter we write all the same: people can guard against false messages only if they know.",
    ),
    ("law_unknown", "courtesy", "Courtesy notice now, law to be checked: a letter harms nobody, waiting may."),
)
#: Queue -> why its people are held in the drill.
HOLD_REASONS = {
    QueueKind.STATE_UNKNOWN: "Date of birth leaked and the state is unknown: North Dakota or Washington may owe a letter with "
    "fixed content. The boutiques were asked for the state.",
    QueueKind.RESIDENCE_UNKNOWN: "Nothing tells where this client lives; client services are looking in the sales records.",
    QueueKind.RESIDENCE_CONFLICT: "Two places of residence stand side by side; the boutique asks the client.",
    QueueKind.ADDRESS: "The address cannot be written to; the boutique is asked for the right one.",
    QueueKind.NO_CHANNEL: "No e-mail address; the postal address is being asked for.",
    QueueKind.GUARDIAN: "The reader is a minor; the guardian has to be found first.",
    QueueKind.NEXT_OF_KIN: "Said to be deceased; next of kin is being found, with care.",
    QueueKind.SAFE_ADDRESS: "Protected address: nobody writes before the client says which way is safe.",
    QueueKind.MATCH_CONFLICT: "The same customer number stands beside two names; the sales records decide.",
    QueueKind.DATA: "A value of the row is not plausible; the source is being looked at.",
}
NO_STATE_NEEDED = (
    "Name, e-mail and country only: no state whose law we hold fires on these. The state stays unknown and the law open; the "
    "client gets the courtesy letter now."
)


def run_story(*, scenario: Scenario, people: int, cast: Cast, var: Path, progress: Progress) -> Outcome:
    """Play the whole line; raises Refused with the remedy when a step is refused."""
    started = time.monotonic()
    incident = _opened(scenario, cast)
    known = incident.campaigns.first()
    finished = known is not None and known.state not in _RUNNING
    campaign = known or _prepared(scenario, incident, people, cast, progress)
    _signed(campaign, cast)
    _sent(campaign, progress)
    _filed(incident, cast)
    bundle = var / "bundles" / f"{incident.reference}.zip"
    if not (finished and bundle.exists()):
        progress("export the evidence", 0, 0)
        export_evidence(incident=incident, out=bundle, actor=cast.officer.username)
    outcome = Outcome(incident, campaign, people, bundle, found_finished=finished)
    progress("verify the evidence", 0, 0)
    outcome.checks = run_checks(campaign=campaign, bundle=bundle)
    outcome.open_questions = campaigns.closing_questions(campaign=campaign)
    outcome.seconds = round(time.monotonic() - started, 1)
    return outcome


_RUNNING = (CampaignState.FROZEN, CampaignState.CONTENT_APPROVED, CampaignState.DISPATCHING)


def _opened(scenario: Scenario, cast: Cast) -> Incident:
    found = Incident.objects.filter(reference=scenario.id).first()
    if found:
        return found
    facts = check_facts(dict(scenario.facts), now=log.database_now())
    return open_incident(facts=facts, author=cast.officer, drill=True)


def _prepared(scenario: Scenario, incident: Incident, people: int, cast: Cast, progress: Progress) -> Campaign:
    _imported(scenario, incident, people, cast, progress)
    progress("decide the queues", 0, 0)
    _decide(incident, cast)
    progress("record findings, ask the law", 0, 0)
    known = newest_findings(incident=incident)
    for key, value, reason in FINDINGS:
        if (key, "") not in known:
            record_finding(incident=incident, key=key, value=value, reason=reason, author=cast.officer)
    assess_incident(incident=incident, author=cast.officer)
    progress("compile and check the letters", 0, 0)
    make_letters(incident=incident, author=cast.officer)
    progress("freeze register and letters", 0, 0)
    return campaigns.freeze(incident=incident, author=cast.officer)


def _imported(scenario: Scenario, incident: Incident, people: int, cast: Cast, progress: Progress) -> None:
    if incident.imports.exists():
        return
    with tempfile.TemporaryDirectory(prefix="bn-drill-") as folder:
        path = Path(folder) / "people.csv"
        with path.open("w", encoding="utf-8", newline="") as out:
            rows = write_people(scenario=scenario, people=people, out=out).rows
        import_people(
            incident=incident,
            path=path,
            author=cast.officer,
            progress=lambda done: progress("import the list", done, rows),
        )
    progress("import the list", rows, rows)


def _decide(incident: Incident, cast: Cast) -> None:
    """The drill's decisions, as officer and counsel, with reasons that show."""
    queue = incident.queue.filter(status=QueueStatus.OPEN)
    until = log.database_now().date() + timedelta(days=HOLD_DAYS)
    harmless = queue.filter(kind=QueueKind.STATE_UNKNOWN).exclude(person__elements__contains=["date_of_birth"])
    deciding.correct_residence(incident=incident, entries=harmless, residence="US", reason=NO_STATE_NEEDED, author=cast.officer)
    first = queue.filter(kind=QueueKind.ADDRESS).order_by("id").first()
    if first:
        deciding.correct_address(
            incident=incident,
            entry=first,
            address="confirmed.by.telephone@example.org",
            author=cast.officer,
            reason="The client read the address out to the boutique, which wrote it down and read it back.",
        )
    for kind, reason in HOLD_REASONS.items():
        deciding.hold(incident=incident, entries=queue.filter(kind=kind), until=until, reason=reason, author=cast.officer)
    rows = queue.filter(kind=QueueKind.ROW)
    deciding.propose_rejection(incident=incident, entries=rows, reason="The row names nobody.", author=cast.officer)
    deciding.confirm_rejection(incident=incident, entries=incident.queue.all(), author=cast.counsel)


def _signed(campaign: Campaign, cast: Cast) -> None:
    campaign.refresh_from_db()
    if campaign.state == CampaignState.FROZEN:
        approve_content(
            campaign=campaign,
            author=cast.counsel,
            reason="Letters read in every language and form; the register's numbers are those of the accounting.",
        )
        campaign.refresh_from_db()
    if campaign.state == CampaignState.CONTENT_APPROVED:
        campaigns.release(
            campaign=campaign, author=cast.officer, reason="Approved by counsel; the call centre is briefed and open."
        )


def _sent(campaign: Campaign, progress: Progress) -> None:
    """Wait for the workers; they find the work in the database, the wake-up only saves a moment."""
    wake_campaign(campaign.pk)
    seen, since = -1, time.monotonic()
    while True:
        campaign.refresh_from_db()
        states = count_states(campaign=campaign)
        settled = sum(n for state, n in states.items() if state not in (*_WAITING, *_NOT_SENT))
        progress("send the letters", settled, campaign.people - sum(states.get(state, 0) for state in _NOT_SENT))
        if campaign.state != CampaignState.DISPATCHING:
            return
        if settled != seen:
            seen, since = settled, time.monotonic()
        if time.monotonic() - since > SILENCE_SECONDS:
            raise StoryStuck(
                f"No letter moved for {SILENCE_SECONDS} seconds; the campaign stands at {states}. Look at var/log, or "
                f"send without workers: manage.py dispatch {campaign.reference}"
            )
        time.sleep(0.5)


_NOT_SENT = (MessageState.HELD, MessageState.NOT_OWED)
_WAITING = (MessageState.PLANNED, MessageState.READY, MessageState.SENDING, MessageState.IN_DOUBT)


def _filed(incident: Incident, cast: Cast) -> None:
    """The drill's notices to the authorities, as if handed in the day before each was due."""
    due = incident.obligations.filter(owed="yes", cohort=None, superseded=False, filings=None).exclude(addressee="person")
    for duty in due.order_by("jurisdiction", "id"):
        when = (duty.due_at or duty.internal_target_at or incident.facts.recorded_at) - timedelta(hours=20)
        reference = f"DRILL-{duty.jurisdiction}-{duty.pk:04d}"
        record_filing(obligation=duty, filed_at=when, reference=reference, author=cast.officer)


def run_checks(*, campaign: Campaign, bundle: Path) -> dict[str, bool]:
    """What must hold at the end of the drill."""
    campaign.refresh_from_db()
    incident, check = campaign.incident, check_campaign(campaign=campaign)
    sent = [state for state in check.states if state in FINAL_STATES or state in _ACCOUNTED]
    return {
        "rows_add_up": account(incident=incident).adds_up,
        "everybody_in_one_state": check.sum_ok,
        "no_violation": not check.violations,
        "no_open_doubt": check.doubts_open == 0,
        "campaign_drained": campaign.state in (CampaignState.DRAINED, CampaignState.CLOSED),
        "nobody_left_unsent": len(sent) == len(check.states),
        "log_complete": not AuditEvent.objects.filter(log=log.log_of(incident), leaf=None).exists(),
        "bundle_verifies": verify_bundle(bundle=bundle) == 0,
    }


_ACCOUNTED = (MessageState.ACCEPTED, MessageState.NEEDS_OTHER_CHANNEL, MessageState.HELD)


def verify_bundle(*, bundle: Path) -> int:
    """Run the very checker that is in the bundle, in a bare Python; returns its exit code."""
    with tempfile.TemporaryDirectory(prefix="bn-verify-") as folder:
        subprocess.run([sys.executable, "-m", "zipfile", "-e", str(bundle), folder], check=True, capture_output=True)
        command = [sys.executable, "-I", "-S", f"{folder}/verify.py", str(bundle), "--key", log.fingerprint_of_key()]
        return subprocess.run(command, capture_output=True, check=False).returncode


def as_json(*, outcome: Outcome, scenario: str, size: str) -> dict[str, Any]:
    """What `demo --json` writes."""
    incident, counts = outcome.incident, account(incident=outcome.incident)
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
        "campaign": outcome.campaign.reference,
        "messages": check_campaign(campaign=outcome.campaign).states,
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
