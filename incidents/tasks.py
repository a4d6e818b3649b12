"""Every Celery task, a few lines each. Wake-ups carry no personal data; losing or repeating one changes nothing but latency."""

from __future__ import annotations

import logging
from contextlib import closing
from functools import lru_cache

from celery import shared_task
from kombu.exceptions import OperationalError

from incidents.dispatch import work
from incidents.dispatch.outbox import Owner
from incidents.dispatch.providers import provider_for

logger = logging.getLogger(__name__)
SLICE_SECONDS = 20


@lru_cache(maxsize=1)
def _owner() -> Owner:
    """This process's identity, kept for its life; a killed process loses the lock and is taken over at once."""
    return Owner().__enter__()


@shared_task(ignore_result=True, expires=60)
def wake(campaign_id: int) -> None:
    """Send what is ready in one campaign, for one slice of time."""
    if not _owner().alive():
        _owner.cache_clear()
    owner = _owner()
    with closing(provider_for()) as provider:
        done = work.send_ready(campaign_id=campaign_id, owner=owner, provider=provider, seconds=SLICE_SECONDS)
    if done.more:
        wake_campaign(campaign_id)


@shared_task(ignore_result=True, expires=10)
def tick() -> None:
    """Keep house, then wake workers for every campaign that has something to send."""
    for campaign_id in work.keep_house():
        wake_campaign(campaign_id)


@shared_task(ignore_result=True, expires=60)
def check_campaigns() -> None:
    """The minute's conservation check."""
    if work.check_running_campaigns():
        logger.error("a campaign was paused: its numbers do not add up; see manage.py check_campaign")


def wake_campaign(campaign_id: int) -> bool:
    """Send a wake-up; without a broker the tick or `dispatch` does the work. Returns whether it was sent."""
    try:
        wake.apply_async((campaign_id,), retry=False)
    except (OperationalError, OSError):
        logger.warning("no broker: the wake-up was not sent; 'manage.py dispatch' sends without one")
        return False
    return True
