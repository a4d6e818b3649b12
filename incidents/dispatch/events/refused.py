"""How many notifications of providers were refused, minute by minute, and why: no body, no head, nothing of the request.

Counted is only who knew the secret address: else anybody could fill the table, and alarm people. A minute and a reason have one
row of `ProviderEvent`, which is applied already, so that nothing else looks at it; its effect holds the number.
"""

from __future__ import annotations

import hashlib
import logging
from datetime import UTC, datetime, timedelta

from django.db import DatabaseError, connection

from incidents.dispatch.events.secrets import PROVES

logger = logging.getLogger(__name__)
#: By the database's clock, in UTC: keys of later minutes are larger, so that the last hour is found by the index of the keys.
MINUTE = """'refused ' || to_char({moment} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI')"""
COUNT = f"""
INSERT INTO incidents_providerevent (provider, event_key, message_ref, kind, detail, received_at, applied_at, effect)
VALUES (%s, {MINUTE.format(moment="clock_timestamp()")} || ' ' || %s, '', 'refused', %s, clock_timestamp(), clock_timestamp(),
  'times: 1')
ON CONFLICT (provider, event_key) DO UPDATE
  SET effect = 'times: ' || (split_part(incidents_providerevent.effect, ' ', 2)::bigint + 1)"""  # noqa: S608
LATELY = f"""
SELECT provider, sum(split_part(effect, ' ', 2)::bigint), (array_agg(detail ORDER BY received_at DESC, id DESC))[1],
  bool_and(detail LIKE '%%(403)'), max(received_at)
FROM incidents_providerevent WHERE provider = ANY (%s) AND kind = 'refused' AND event_key < 'refused 9999'
  AND event_key >= {MINUTE.format(moment="(clock_timestamp() - interval '1 hour')")} GROUP BY provider ORDER BY provider"""  # noqa: S608
#: When the newest that was believed came: looked for among so many that nobody waits for it.
BELIEVED = """
SELECT max(received_at) FROM (SELECT provider, kind, received_at FROM incidents_providerevent ORDER BY id DESC LIMIT 5000) newest
WHERE provider = %s AND kind <> 'refused'"""
#: Others that came so shortly before the newest refused one came at the same time.
MEANWHILE = timedelta(minutes=5)


def count_refused(*, provider: str, status: int, reason: str) -> None:
    """One more. Where the database cannot be asked, the provider gets its answer all the same."""
    name = hashlib.sha256(f"{status} {reason}".encode()).hexdigest()[:16]
    try:
        with connection.cursor() as cursor:
            cursor.execute(COUNT, [provider, name, f"{reason} ({status})"[:200]])
    except DatabaseError as error:
        logger.error("a refused notification of %s was not counted: %s", provider, type(error).__name__)


def refused_lately() -> list[str]:
    """A line for each provider whose notifications were refused in the last hour."""
    with connection.cursor() as cursor:
        cursor.execute(LATELY, [list(PROVES)])
        rows = cursor.fetchall()
    return [
        f"{number:,} notification{'' if number == 1 else 's'} of {provider} refused in the last hour, the newest because of "
        f"{reason}. {_what_it_means(provider, unproved, last)}"
        for provider, number, reason, unproved, last in rows
    ]


def _what_it_means(provider: str, unproved: bool, last: datetime) -> str:
    """Whether the provider is not heard, or is, and somebody else posts in its name. `unproved`: none of them was proved."""
    with connection.cursor() as cursor:
        cursor.execute(BELIEVED, [provider])
        believed = cursor.fetchone()[0]
    if believed is None or believed < last - MEANWHILE:
        return "What it tells of letters is not known while this lasts: look at its webhook and its secret (docs/events.md)."
    read = f"Others are read meanwhile, the newest at {believed.astimezone(UTC):%H:%M} UTC"
    if unproved:
        return (
            f"{read}: somebody who knows the address sends forged ones, or a second webhook signs with another secret "
            "(docs/events.md)."
        )
    return f"{read}; what those that were refused tell of letters is not known (docs/events.md)."
