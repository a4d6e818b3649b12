"""What providers told of letters that are nobody's here. No incident's close ever ends its time, so it has a time of its own.

The row stays: the same event stays one. What was written beside it goes, and it is not looked at again.
"""

from __future__ import annotations

from django.conf import settings
from django.db import connection

from incidents.models import LegalHold

BATCH = 2000
FORGET = """
WITH page AS (SELECT id FROM incidents_providerevent WHERE effect = 'unknown message'
                AND received_at < clock_timestamp() - make_interval(days => %s) ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)
UPDATE incidents_providerevent e SET effect = 'given up: unknown message', detail = '', recipient_hash = ''
FROM page WHERE e.id = page.id"""


def forget_strangers() -> int:
    """Give up events that named nothing of ours for as long as events are kept; returns how many.

    While any legal hold stands they are kept: nobody knows whose they are.
    """
    total, number = 0, BATCH
    while number == BATCH and not LegalHold.objects.filter(lifted_at=None).exists():
        with connection.cursor() as cursor:
            cursor.execute(FORGET, [settings.RETENTION_DAYS["events"], BATCH])
            number = cursor.rowcount
        total += number
    return total
