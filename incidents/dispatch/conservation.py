"""Do the numbers add up? People in = sum of named states, at every moment, and every claim of the campaign has its trace.

Beside the numbers: whether the campaign still rests on the law and the facts under which it was signed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.db import connection, transaction

from incidents.dispatch.contradictions import REMEDY, Contradiction, contradictions
from incidents.letters.standing import rests_on_stale, standing_of
from incidents.models import Campaign, Doubt
from incidents.people.decisions import OF_FLAGS
from incidents.people.later import MARKED, MARKS

#: Whom a later list marks, by what waits for a decision: a note, what a merge brought, somebody who may be the same person.
IN_DANGER = f"""
SELECT person_id AS person FROM incidents_queueentry
WHERE incident_id = (SELECT incident_id FROM incidents_campaign WHERE id = %(campaign)s)
  AND status IN ('open', 'rejection_proposed') AND kind IN ('data', {", ".join(f"'{kind}'" for kind in sorted(OF_FLAGS))})
  AND (kind <> 'data' OR reason LIKE '{MARKED.replace("'", "''")}%%')
UNION SELECT other_id FROM incidents_queueentry
WHERE incident_id = (SELECT incident_id FROM incidents_campaign WHERE id = %(campaign)s)
  AND status IN ('open', 'held', 'rejection_proposed') AND kind = 'match_conflict' AND reason LIKE '%%{MARKS}%%'"""  # noqa: S608
#: Each counts what must not be, under its names, one a column. Where two ask the same tables, one walk answers both: this runs
#: every minute beside the sending, also with a million people.
LOOKS: dict[tuple[str, ...], str] = {
    ("people on the register without a message", "messages whose planned content is not the register's"): """
        SELECT count(*) FILTER (WHERE m.id IS NULL),
          count(*) FILTER (WHERE strpos(e.line, '"content_sha256":"' || m.content_sha256 || '"') = 0)
        FROM incidents_registerentry e LEFT JOIN incidents_message m ON m.entry_id = e.id WHERE e.campaign_id = %(campaign)s""",
    # What a database that is lost sent left no attempt here: the doubt without a chunk that `recover` made stands for it.
    (
        "messages sent without an attempt",
        "attempts whose content is not the approved one",
        "messages tried a second time without a listed doubt, a bounce or a certain failure",
    ): """
        SELECT count(*) FILTER (WHERE a.id IS NULL AND m.state IN ('accepted', 'delivered', 'accepted_unconfirmed')
            AND NOT EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = m.id AND d.chunk_id IS NULL)),
          count(*) FILTER (WHERE a.outcome <> 'quarantined' AND a.content_sha256 <> m.content_sha256),
          count(*) FILTER (WHERE a.number > 1 AND a.outcome = 'accepted'
            AND EXISTS (SELECT 1 FROM incidents_attempt b
                        WHERE b.message_id = a.message_id AND b.number < a.number AND b.outcome = 'accepted')
            AND NOT EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = a.message_id)
            AND NOT EXISTS (SELECT 1 FROM incidents_providerevent v
                            WHERE v.message_ref = m.message_ref AND v.kind IN ('bounced_soft', 'bounced_hard', 'suppressed')))
        FROM incidents_message m LEFT JOIN incidents_attempt a ON a.message_id = m.id WHERE m.campaign_id = %(campaign)s""",
    ("messages being sent that are in no claimed chunk",): """
        SELECT count(*) FROM incidents_message m
        WHERE m.campaign_id = %(campaign)s AND m.phase = 'waiting' AND m.state = 'sending' AND m.id NOT IN
        (SELECT unnest(c.message_ids) FROM incidents_chunk c WHERE c.campaign_id = %(campaign)s AND c.state = 'claimed')""",
    ("messages in doubt that are not on the doubt list",): """
        SELECT count(*) FROM incidents_message m WHERE m.campaign_id = %(campaign)s AND m.phase = 'in_doubt'
        AND NOT EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = m.id AND d.settled_at IS NULL)""",
    ("letters that are not as they were frozen",): """
        SELECT count(*) FROM incidents_letter l WHERE encode(sha256(convert_to(l.compiled, 'UTF8')), 'hex') <> l.sha256
        AND EXISTS (SELECT 1 FROM incidents_registerentry e WHERE e.letter_id = l.id AND e.campaign_id = %(campaign)s)""",
    ("people who wait for a letter on two registers",): """
        SELECT count(*) FROM (
          SELECT FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
          WHERE m.phase = 'waiting' AND m.state IN ('planned', 'ready') AND m.attempts = 0
            AND m.campaign_id IN (SELECT c.id FROM incidents_campaign c JOIN incidents_campaign p USING (incident_id)
                                  WHERE p.id = %(campaign)s)
          GROUP BY e.person_id
          HAVING bool_or(m.campaign_id = %(campaign)s) AND bool_or(m.campaign_id <> %(campaign)s)) both_of
        WHERE EXISTS (SELECT FROM incidents_campaign c JOIN incidents_campaign p USING (incident_id)
          WHERE p.id = %(campaign)s AND c.id <> p.id)""",
    ("letters that may still leave to people who were excluded",): """
        SELECT count(*) FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
        JOIN incidents_exclusion x ON x.person_id = e.person_id AND x.confirmed_at IS NOT NULL AND x.withdrawn_at IS NULL
        WHERE m.campaign_id = %(campaign)s AND m.phase IN ('waiting', 'in_doubt')""",
    ("letters that may still leave to people whom a later list marks (dead, a minor, not to be written to), undecided",): f"""
        SELECT count(*) FROM incidents_campaign c JOIN ({IN_DANGER}) q ON true
        JOIN incidents_registerentry e ON e.person_id = q.person AND e.campaign_id = c.id
        JOIN incidents_message m ON m.entry_id = e.id AND m.phase = 'waiting'
        WHERE c.id = %(campaign)s AND c.state IN ('dispatching', 'paused')""",  # noqa: S608
    ("work claimed before the release was signed", "work claimed before the first wave to the staff passed"): """
        SELECT count(*) FILTER (WHERE c.claimed_at < coalesce((SELECT min(approved_at) FROM incidents_approval a
              WHERE a.campaign_id = p.id AND a.kind = 'release'), 'infinity')),
          count(*) FILTER (WHERE p.canary IN ('waiting', 'failed') OR c.claimed_at < (SELECT min(l.sent_at)
              FROM incidents_canaryletter l WHERE l.campaign_id = p.id))
        FROM incidents_chunk c JOIN incidents_campaign p ON p.id = c.campaign_id WHERE p.id = %(campaign)s""",
    ("late answers of work that was not taken over",): """
        SELECT count(*) FROM incidents_lateresult r JOIN incidents_chunk c ON c.id = r.chunk_id
        WHERE c.campaign_id = %(campaign)s AND c.state <> 'taken_over'""",
}
VIOLATIONS = tuple(name for names in LOOKS for name in names)
#: Work whose worker has been gone for longer than any worker waits for the database: housekeeping does not run, or fails at it.
#: Its letters are in a named state, so that nothing is violated; but they stand still.
LEFT_BEHIND = """
SELECT count(*) FROM incidents_chunk WHERE campaign_id = %s AND state = 'claimed'
  AND lease_until < clock_timestamp() - interval '15 minutes'"""
#: What must be as it was signed, before a release.
AS_SIGNED = ("letters that are not as they were frozen", "messages whose planned content is not the register's")


def _look(cursor: Any, campaign: Campaign, names: Iterable[str]) -> list[str]:
    """What is amiss of these, with its count."""
    found, asked = [], set(names)
    for together, query in LOOKS.items():
        if asked.intersection(together):
            cursor.execute(query, {"campaign": campaign.pk})
            counts = dict(zip(together, cursor.fetchone(), strict=True))
            found += [f"{name}: {number}" for name, number in counts.items() if number and name in asked]
    return found


@dataclass(frozen=True)
class CampaignCheck:
    """The conservation check of one campaign at one moment."""

    campaign: str
    state: str
    people_in: int
    states: dict[str, int]
    sum_ok: bool
    doubts_open: int
    doubts_total: int
    violations: list[str] = field(default_factory=list)
    #: Letters of which providers told two things: a person decides. No violation, for everybody is in one state.
    contradictions: list[Contradiction] = field(default_factory=list)
    #: Chunks of letters that stand still: their worker is gone, and nobody took them over.
    left_behind: int = 0
    #: What no longer follows from what is known, in lines: counts, causes, remedies.
    stale: list[str] = field(default_factory=list)
    #: Whether what is signed and not over rests on stale law, or sends letters that nobody signed knowingly.
    rests_on_stale: bool = False

    @property
    def holds(self) -> bool:
        """Whether everybody is accounted for and nothing is amiss."""
        return self.sum_ok and not self.violations

    @property
    def to_decide(self) -> str:
        """The contradictions and what can be done, in one sentence; empty when there are none."""
        return f"{'; '.join(map(str, self.contradictions))}. {REMEDY}." if self.contradictions else ""

    @property
    def stands_still(self) -> str:
        """What was left behind, in a sentence; empty when nothing was."""
        if not self.left_behind:
            return ""
        chunks = "1 chunk" if self.left_behind == 1 else f"{self.left_behind} chunks"
        return (
            f"{chunks} of letters, whose worker is gone, not taken over for 15 minutes. Does the house's worker run? "
            "Its log says what fails."
        )

    def to_json(self) -> dict[str, Any]:
        """As `check_campaign --json` prints it."""
        return asdict(self)


def changed_since_freeze(*, campaign: Campaign) -> list[str]:
    """What is no longer as it was frozen and signed; empty when all is."""
    with connection.cursor() as cursor:
        return _look(cursor, campaign, AS_SIGNED)


#: A phase is a state but for those who wait (`PHASES`), and an index counts phases without a look at a message.
STATES = """
SELECT phase, count(*) FROM incidents_message WHERE campaign_id = %(campaign)s AND phase <> 'waiting' GROUP BY 1 UNION ALL
SELECT state, count(*) FROM incidents_message WHERE campaign_id = %(campaign)s AND phase = 'waiting' GROUP BY 1"""


def count_states(*, campaign: Campaign) -> dict[str, int]:
    """How many people of the register are in which state."""
    with connection.cursor() as cursor:
        cursor.execute(STATES, {"campaign": campaign.pk})
        return dict(sorted(cursor.fetchall()))


def check_campaign(*, campaign: Campaign) -> CampaignCheck:
    """Count in one snapshot; the campaign's frozen number of people is what the states must add up to."""
    with transaction.atomic(), connection.cursor() as cursor:
        if len(connection.atomic_blocks) == 1:
            # One snapshot for all counts: workers go on while we count.
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _check(campaign, cursor)


def check_with_law(*, campaign: Campaign) -> CampaignCheck:
    """The same, and whether everything still stands on what is known. Numbers that hold never pause because of stale law."""
    now = standing_of(campaign=campaign)
    return replace(check_campaign(campaign=campaign), stale=now.lines(), rests_on_stale=rests_on_stale(now=now))


def _check(campaign: Campaign, cursor: Any) -> CampaignCheck:
    violations = _look(cursor, campaign, VIOLATIONS)
    states = count_states(campaign=campaign)
    doubts = Doubt.objects.filter(message__campaign=campaign)
    cursor.execute(LEFT_BEHIND, [campaign.pk])
    (left_behind,) = cursor.fetchone()
    campaign.refresh_from_db(fields=["state"])
    return CampaignCheck(
        campaign=campaign.reference, state=campaign.state, people_in=campaign.people, states=states,
        sum_ok=sum(states.values()) == campaign.people == campaign.register.count(),
        doubts_open=doubts.filter(settled_at__isnull=True).count(), doubts_total=doubts.count(), violations=violations,
        contradictions=contradictions(campaign=campaign), left_behind=left_behind,
    )  # fmt: skip
