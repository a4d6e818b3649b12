"""How fast letters left in the last minutes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from incidents.audit.actions import Action
from incidents.models import AuditEvent, Campaign

#: The rate is that of the last so many seconds.
WINDOW_SECONDS = 300
#: Rate that is assumed where none is set and too little was sent before the provider said "too fast" to tell one: half of what a
#: campaign's first letters came to would be a crawl that lasts for an hour.
ASSUMED_RATE, LEAST_SAMPLE_SECONDS = 20.0, 10.0


@dataclass(frozen=True)
class Measured:
    """What was handed over lately."""

    letters: int
    seconds: float
    #: The provider of the newest piece of work; empty: nothing was sent yet.
    provider: str = ""

    @property
    def per_second(self) -> float:
        """Letters a second; 0 when nothing was."""
        return self.letters / self.seconds if self.letters else 0.0


#: After these moments letters begin to leave (anew): what left before them, or in the seconds after, tells no rate.
BEGINNINGS = (Action.RELEASE_APPROVED, Action.CAMPAIGN_RESUMED, Action.CANARY_PASSED)


def begun_at(*, campaign: Campaign) -> datetime | None:
    """When the campaign was released or resumed last, or its first wave passed; None: it was not released."""
    events = AuditEvent.objects.filter(log__incident=campaign.incident, subject="", action__in=BEGINNINGS).order_by("-id")
    for happened_at, line in events.values_list("happened_at", "line"):
        if json.loads(line)["data"]["campaign"] == campaign.reference:
            return happened_at
    return campaign.released_at


NEWEST = 500
MEASURE = """
WITH newest AS (SELECT id, state, confirmed, claimed_at, ended_at, provider FROM incidents_chunk WHERE campaign_id = %s
                ORDER BY id DESC LIMIT %s),
     recent AS (SELECT * FROM newest WHERE state = 'claimed' OR ended_at > clock_timestamp() - make_interval(secs => %s))
SELECT (SELECT count(*) FROM incidents_attempt a WHERE a.outcome <> 'failed'
          AND a.chunk_id IN (SELECT id FROM recent WHERE state <> 'claimed')),
       coalesce(sum(confirmed) FILTER (WHERE state = 'claimed'), 0),
       extract(epoch FROM clock_timestamp() - min(claimed_at)),
       (SELECT provider FROM newest ORDER BY id DESC LIMIT 1)
FROM recent"""


def measure(*, campaign: Campaign) -> Measured:
    """What was handed over in the last minutes: the attempts of the newest pieces of work, and what open ones have answered."""
    with connection.cursor() as cursor:
        cursor.execute(MEASURE, [campaign.pk, NEWEST, WINDOW_SECONDS])
        ended, still, seconds, provider = cursor.fetchone()
    return Measured(int(ended + still), max(1.0, float(seconds or 0)), provider or "")


RECENT = """
SELECT coalesce(sum(confirmed), 0), coalesce(extract(epoch FROM clock_timestamp() - min(claimed_at)), 0)::float FROM (
  SELECT confirmed, claimed_at FROM incidents_chunk WHERE provider = %s
  ORDER BY id DESC LIMIT 2000) newest WHERE claimed_at > clock_timestamp() - interval '60 seconds'"""


def rate_of_the_last_minute(*, provider: str) -> float:
    """Letters a second that were handed over in the last minute, since the first of them: what "too fast" means."""
    with connection.cursor() as cursor:
        cursor.execute(RECENT, [provider])
        letters, seconds = cursor.fetchone()
    measured = float(letters / max(1.0, seconds))
    return measured if seconds >= LEAST_SAMPLE_SECONDS and letters else max(measured, ASSUMED_RATE)
