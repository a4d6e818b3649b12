"""How many notifications of providers were refused, minute by minute, and why: no body, no head, nothing of the request.

Counted is only who knew the secret address: else anybody could fill the table, and alarm people. A minute and a reason have one
row of `ProviderEvent`, which is applied already, so that nothing else looks at it; its effect holds the number.
"""

from __future__ import annotations

import hashlib
import logging

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
SELECT provider, sum(split_part(effect, ' ', 2)::bigint), (array_agg(detail ORDER BY received_at DESC, id DESC))[1]
FROM incidents_providerevent WHERE provider = ANY (%s) AND kind = 'refused' AND event_key < 'refused 9999'
  AND event_key >= {MINUTE.format(moment="(clock_timestamp() - interval '1 hour')")} GROUP BY provider ORDER BY provider"""  # noqa: S608


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
        f"{reason}. What it tells of letters is not known while this lasts: look at its webhook and its secret (docs/events.md)."
        for provider, number, reason in rows
    ]
