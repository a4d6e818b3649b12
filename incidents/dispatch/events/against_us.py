"""What providers tell after the hand-over against us and not against the person: counted, shown, and at too much a pause.

Each such letter is tried again, as after a soft bounce, and fails again while nobody acts. A campaign, a minute and what it is
have one row of `ProviderEvent`, as refused notifications have (`events/refused.py`); no word of the provider's stands there.
Whoever has looked and resumes begins a new count, which stops the campaign at twice as many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import connection, transaction

from incidents.dispatch.events.deciding import PROVES, Told
from incidents.dispatch.events.kinds import HAS_AGAINST_US, MARK_OF_REFUSAL
from incidents.dispatch.events.refused import MINUTE
from incidents.dispatch.events.secrets import PROVES as PROVIDERS
from incidents.models import Campaign, ProviderLimit

#: A line for people from so many in the last hour; a pause from so many, if they are such a part of the letters told of.
ALARM_FROM, PAUSE_FROM, PART = 5, 20, 0.25
#: Bounces by mail come under this name. Nothing tells there that a letter arrived: they are a part of what was handed over.
BY_MAIL = "smtp"
#: So many of the newest events (or pieces of work) show what part it is, whoever else sends by the same account.
NEWEST = 5000
COUNT = f"""
INSERT INTO incidents_providerevent (provider, event_key, message_ref, kind, detail, received_at, applied_at, effect)
VALUES (%s, 'against us ' || %s || ' ' || {MINUTE.format(moment="clock_timestamp()")} || ' ' || %s, '', 'refused', %s,
  clock_timestamp(), clock_timestamp(), 'times: ' || %s)
ON CONFLICT (provider, event_key) DO UPDATE
  SET effect = 'times: ' || (split_part(incidents_providerevent.effect, ' ', 2)::bigint
    + split_part(excluded.effect, ' ', 2)::bigint)"""  # noqa: S608
LATELY = f"""
WITH looked AS (SELECT provider, max(refilled_at) AS at FROM incidents_providerlimit WHERE scope = %(scope)s GROUP BY provider)
SELECT e.provider, e.detail, sum(split_part(e.effect, ' ', 2)::bigint)::bigint
FROM incidents_providerevent e LEFT JOIN looked USING (provider)
WHERE e.provider = ANY (%(providers)s) AND e.kind = 'refused'
  AND e.event_key >= %(key)s || {MINUTE.format(moment="(clock_timestamp() - interval '1 hour')")}
  AND e.event_key < %(key)s || 'refused 9999'
  AND (looked.at IS NULL OR e.event_key > %(key)s || {MINUTE.format(moment="looked.at")} || ' zzz')
GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2"""  # noqa: S608
SHARE = """
SELECT count(DISTINCT m.id) FILTER (WHERE e.detail LIKE '(refuses us: %%'), count(DISTINCT m.id)
FROM (SELECT message_ref, provider, kind, detail, received_at FROM incidents_providerevent ORDER BY id DESC LIMIT %s) e
  JOIN incidents_message m USING (message_ref)
WHERE m.campaign_id = %s AND e.provider = %s AND e.kind = ANY (%s) AND e.received_at > clock_timestamp() - interval '1 hour'"""
HANDED_OVER = """
SELECT coalesce(sum(confirmed), 0) FROM (SELECT confirmed, claimed_at FROM incidents_chunk WHERE campaign_id = %s
  ORDER BY id DESC LIMIT %s) c WHERE c.claimed_at > clock_timestamp() - interval '1 hour'"""


def scope_of(*, campaign: Campaign) -> str:
    """Of the row of `ProviderLimit` that says since when is counted, and how often somebody let it go further."""
    return f"told {campaign.pk}"


def count_refusals(*, told: Iterable[tuple[Told, int]]) -> None:
    """Count what these events have against us; each with its letter's campaign. In the caller's transaction, in one order."""
    found = Counter(
        (one.provider, campaign_id, said[1]) for one, campaign_id in told if (said := MARK_OF_REFUSAL.match(one.detail))
    )
    with connection.cursor() as cursor:
        for (provider, campaign_id, against), times in sorted(found.items()):
            cursor.execute(COUNT, [provider, str(campaign_id), against, against, str(times)])


def against_us_lately(*, campaign: Campaign) -> list[str]:
    """A line for each provider that tells it of more than a few letters, with what it has against us."""
    return [
        f"{provider} told {sum(said.values()):,} times in the last hour that letters were refused for us and not for the person: "
        f"{_in_words(said)}. They are tried again, and fail again while that stands: look at the account and the sender there."
        for provider, said in _lately(campaign).items()
        if sum(said.values()) >= ALARM_FROM
    ]


def too_much(*, campaign: Campaign) -> str:
    """Why the campaign has to pause because of what providers told lately; empty when it has not. The next count begins when
    somebody resumes."""
    for provider, said in _lately(campaign).items():
        times, most = sum(said.values()), PAUSE_FROM << _times_let_further(campaign, provider)
        if times >= most and _part(campaign, provider, times) >= PART:
            ProviderLimit.objects.get_or_create(provider=provider, scope=scope_of(campaign=campaign))
            return f"{provider} tells of letter after letter that the refusal is about us ({times:,} times): {_in_words(said)}"
    return ""


@transaction.atomic
def let_further(*, campaign: Campaign, at: datetime) -> None:
    """Somebody has looked and resumes: what was told until now counts no longer, and twice as many may be told."""
    for row in ProviderLimit.objects.select_for_update().filter(scope=scope_of(campaign=campaign)).order_by("id"):
        row.opened, row.refilled_at = min(row.opened + 1, 20), at
        row.save(update_fields=["opened", "refilled_at"])


def _lately(campaign: Campaign) -> dict[str, Counter[str]]:
    """Provider -> what it has against us, and how often it said so in the last hour, or since somebody has looked."""
    key, providers = f"against us {campaign.pk} ", [*PROVIDERS, BY_MAIL]
    found: dict[str, Counter[str]] = {}
    with connection.cursor() as cursor:
        cursor.execute(LATELY, {"scope": scope_of(campaign=campaign), "key": key, "providers": providers})
        for provider, against, times in cursor.fetchall():
            found.setdefault(provider, Counter())[against] = times
    return found


def _times_let_further(campaign: Campaign, provider: str) -> int:
    rows = ProviderLimit.objects.filter(provider=provider, scope=scope_of(campaign=campaign))
    return rows.values_list("opened", flat=True).first() or 0


def _part(campaign: Campaign, provider: str, times: int) -> float:
    """Of the letters of which the provider told an end lately; where it tells none but bounces, of those handed over."""
    with connection.cursor() as cursor:
        if provider == BY_MAIL:
            cursor.execute(HANDED_OVER, [campaign.pk, NEWEST])
            ours, of = times, cursor.fetchone()[0]
        else:
            cursor.execute(SHARE, [NEWEST, campaign.pk, provider, list(PROVES)])
            ours, of = cursor.fetchone()
    return float(ours / of) if of else 1.0


def _in_words(said: Counter[str]) -> str:
    return "; ".join(HAS_AGAINST_US.get(against, "refused") for against, _ in said.most_common())
