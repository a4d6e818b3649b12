"""Do the numbers add up? People in = sum of named states, at every moment, and every claim of the campaign has its trace.

Beside the numbers: whether the campaign still rests on the law and the facts under which it was signed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

from django.db import connection, transaction
from django.db.models import Count

from incidents.letters.standing import rests_on_stale, standing_of
from incidents.models import Campaign, Doubt

#: Each finds what must not be; shown with its count.
VIOLATIONS = {
    "people on the register without a message": """
        SELECT count(*) FROM incidents_registerentry e WHERE e.campaign_id = %(campaign)s
        AND NOT EXISTS (SELECT 1 FROM incidents_message m WHERE m.entry_id = e.id)""",
    "messages being sent that are in no claimed chunk": """
        SELECT count(*) FROM incidents_message m WHERE m.campaign_id = %(campaign)s AND m.state = 'sending'
        AND NOT EXISTS (SELECT 1 FROM incidents_chunk c WHERE c.campaign_id = m.campaign_id AND c.state = 'claimed'
                        AND m.id = ANY (c.message_ids))""",
    "messages sent without an attempt": """
        SELECT count(*) FROM incidents_message m WHERE m.campaign_id = %(campaign)s
        AND m.state IN ('accepted', 'delivered', 'accepted_unconfirmed')
        AND NOT EXISTS (SELECT 1 FROM incidents_attempt a WHERE a.message_id = m.id)""",
    "attempts whose content is not the approved one": """
        SELECT count(*) FROM incidents_attempt a JOIN incidents_message m ON m.id = a.message_id
        WHERE m.campaign_id = %(campaign)s AND a.outcome <> 'quarantined' AND a.content_sha256 <> m.content_sha256""",
    "messages in doubt that are not on the doubt list": """
        SELECT count(*) FROM incidents_message m WHERE m.campaign_id = %(campaign)s AND m.state = 'in_doubt'
        AND NOT EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = m.id AND d.settled_at IS NULL)""",
    "messages tried a second time without a listed doubt, a bounce or a certain failure": """
        SELECT count(*) FROM (SELECT a.message_id, count(*) FILTER (WHERE a.outcome = 'accepted') AS taken
          FROM incidents_attempt a JOIN incidents_message m ON m.id = a.message_id WHERE m.campaign_id = %(campaign)s
          GROUP BY 1 HAVING count(*) FILTER (WHERE a.outcome = 'accepted') > 1) twice
        WHERE NOT EXISTS (SELECT 1 FROM incidents_doubt d WHERE d.message_id = twice.message_id)
        AND NOT EXISTS (SELECT 1 FROM incidents_providerevent e JOIN incidents_message m ON m.message_ref = e.message_ref
                        WHERE m.id = twice.message_id AND e.kind = 'bounced_soft')""",
    "letters that are not as they were frozen": """
        SELECT count(*) FROM incidents_letter l WHERE encode(sha256(convert_to(l.compiled, 'UTF8')), 'hex') <> l.sha256
        AND EXISTS (SELECT 1 FROM incidents_registerentry e WHERE e.letter_id = l.id AND e.campaign_id = %(campaign)s)""",
    "messages whose planned content is not the register's": """
        SELECT count(*) FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
        WHERE m.campaign_id = %(campaign)s AND m.content_sha256 <> e.line::jsonb ->> 'content_sha256'""",
    "people who wait for a letter on two registers": """
        SELECT count(DISTINCT e.person_id) FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
        WHERE m.campaign_id = %(campaign)s AND m.state IN ('planned', 'ready') AND m.attempts = 0
        AND EXISTS (SELECT 1 FROM incidents_registerentry f JOIN incidents_message n ON n.entry_id = f.id
                    WHERE f.person_id = e.person_id AND n.id <> m.id AND n.state IN ('planned', 'ready') AND n.attempts = 0)""",
    "letters that may still leave to people who were excluded": """
        SELECT count(*) FROM incidents_message m JOIN incidents_registerentry e ON e.id = m.entry_id
        JOIN incidents_exclusion x ON x.person_id = e.person_id AND x.confirmed_at IS NOT NULL AND x.withdrawn_at IS NULL
        WHERE m.campaign_id = %(campaign)s AND m.state IN ('planned', 'ready', 'sending', 'in_doubt')""",
    "work claimed before the release was signed": """
        SELECT count(*) FROM incidents_chunk c WHERE c.campaign_id = %(campaign)s AND c.claimed_at <
        coalesce((SELECT min(approved_at) FROM incidents_approval a WHERE a.campaign_id = c.campaign_id AND kind = 'release'),
                 'infinity')""",
}


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
    #: What no longer follows from what is known, in lines: counts, causes, remedies.
    stale: list[str] = field(default_factory=list)
    #: Whether what is signed and not over rests on stale law, or sends letters that nobody signed knowingly.
    rests_on_stale: bool = False

    @property
    def holds(self) -> bool:
        """Whether everybody is accounted for and nothing is amiss."""
        return self.sum_ok and not self.violations

    def to_json(self) -> dict[str, Any]:
        """As `check_campaign --json` prints it."""
        return asdict(self)


#: What must be as it was signed, before a release.
AS_SIGNED = ("letters that are not as they were frozen", "messages whose planned content is not the register's")


def changed_since_freeze(*, campaign: Campaign) -> list[str]:
    """What is no longer as it was frozen and signed; empty when all is."""
    found = []
    with connection.cursor() as cursor:
        for name in AS_SIGNED:
            cursor.execute(VIOLATIONS[name], {"campaign": campaign.pk})
            number = cursor.fetchone()[0]
            found += [f"{name}: {number}"] if number else []
    return found


def count_states(*, campaign: Campaign) -> dict[str, int]:
    """How many people of the register are in which state."""
    rows = campaign.messages.values_list("state").annotate(n=Count("id")).order_by("state")
    return dict(rows)


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
    violations = []
    for name, query in VIOLATIONS.items():
        cursor.execute(query, {"campaign": campaign.pk})
        number = cursor.fetchone()[0]
        violations += [f"{name}: {number}"] if number else []
    states = count_states(campaign=campaign)
    doubts = Doubt.objects.filter(message__campaign=campaign)
    campaign.refresh_from_db(fields=["state"])
    return CampaignCheck(
        campaign=campaign.reference, state=campaign.state, people_in=campaign.people, states=states,
        sum_ok=sum(states.values()) == campaign.people == campaign.register.count(),
        doubts_open=doubts.filter(settled_at__isnull=True).count(), doubts_total=doubts.count(), violations=violations,
    )  # fmt: skip
