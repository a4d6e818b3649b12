"""Every Celery task, a few lines each. Wake-ups carry no personal data; losing or repeating one changes nothing but latency."""

from __future__ import annotations

import gc
import logging
import signal
from functools import lru_cache
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init
from django.conf import settings
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from incidents.audit import log
from incidents.dispatch import work
from incidents.dispatch.events.refused import refused_lately
from incidents.dispatch.events.strangers import forget_strangers
from incidents.dispatch.owner import AWAY, Owner
from incidents.dispatch.recovering import pause_older
from incidents.models import BatchState, ImportBatch
from incidents.people import retention
from incidents.people.importing import Busy, carry_on, difference, unfinished
from incidents.refusal import Refused
from incidents.vault import KeyAway
from incidents.wakeups import is_needed

logger = logging.getLogger(__name__)
#: Short: a worker that is asked to end does so after its slice; and the most urgent campaign is looked for anew.
SLICE_SECONDS = 10
#: By so much this machine's clock may differ from the database's before somebody is told.
MOST_SKEW_SECONDS = 5


@lru_cache(maxsize=1)
def _owner() -> Owner:
    """This process's identity, kept for its life; a killed process loses the lock and is taken over at once."""
    return Owner()


@worker_process_init.connect
def leave_ending_to_the_parent(**_: Any) -> None:
    """Who asks a whole group of processes to end asks us too: the slice in hand is ended, and the parent starts no other."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


@worker_process_init.connect
def leave_what_stays_alone(**_: Any) -> None:
    """What was loaded stays for the process's life: it is not searched for garbage again and again between letters."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@shared_task(ignore_result=True)
def wake(campaign_id: int) -> None:
    """Somebody found something to send in this campaign: send what is most urgent, of whichever, for one slice of time."""
    try:
        owner = _owner()
        if not owner.alive():
            owner.stand()  # the database was restarted, or this is the first time
            pause_older()  # it may be another one
            _compare_clocks()
        done = work.send_due(owner=owner, seconds=SLICE_SECONDS)
    except AWAY as error:
        # What was known is written by now or will be taken over; the next tick that reaches the database wakes us again.
        logger.warning("the database is away: %s", type(error).__name__)
        connection.close()
        return
    if done.more:
        wake_campaign(campaign_id)


def _compare_clocks() -> None:
    """Leases and deadlines go by the database's clock and suffer nothing; what this machine writes into logs and mails does."""
    ahead = (timezone.now() - log.database_now()).total_seconds()
    if abs(ahead) > MOST_SKEW_SECONDS:
        logger.warning("this machine's clock is %+.0f s off the database's: let it follow a time server", ahead)


@shared_task(ignore_result=True)
def tick() -> None:
    """Keep house, then wake workers for every campaign that has something to send."""
    for campaign_id in work.keep_house():
        wake_campaign(campaign_id)


@shared_task(ignore_result=True)
def seal() -> None:
    """Order the log and sign its heads; only the sequencer's process may."""
    log.seal()


@shared_task(ignore_result=True)
def check_campaigns() -> None:
    """The minute's conservation check, and whether what providers tell is heard."""
    if work.check_running_campaigns():
        logger.error("a campaign was paused: its numbers do not add up; see manage.py check_campaign")
    for line in refused_lately():
        logger.error("%s", line)


@shared_task(ignore_result=True)
def keep_retention() -> None:
    """Erase what is due, and whoever asked and need not be told any more."""
    for applied in retention.run():
        if applied.skipped:
            logger.error("retention: %s: %s", applied.incident, applied.skipped)
            continue
        logger.warning("retention: %s: %s on request, %s", applied.incident, applied.on_request, applied.classes)
    if number := forget_strangers():
        logger.warning("retention: %s events of unknown letters were given up", number)


@shared_task(ignore_result=True)
def import_list(batch_id: int) -> None:
    """Carry on one confirmed list to its end; the importer's process only."""
    batch = ImportBatch.objects.select_related("incident").get(pk=batch_id)
    try:
        carry_on(batch=batch, wait=False)
    except Busy:
        pass  # another process has it, or another list of this incident; the next tick looks again
    except KeyAway as away:
        logger.error("list %s waits: %s", batch_id, away)
        words = f"{away} This list is tried again by itself; nothing is lost."
        ImportBatch.objects.filter(pk=batch_id).exclude(state=BatchState.DONE).update(refusal=words)
    except Refused:
        # The refusal stands with the list, for the desk; its text is for people and not for a log.
        logger.warning("list %s was not imported; its page says why", batch_id)
    except AWAY as error:
        logger.warning("list %s: the database is away: %s", batch_id, type(error).__name__)
        connection.close()
    except Exception as error:
        # A fault of ours with this list: it is tried on, says so on its page, and holds up no other.
        logger.error("list %s is not imported yet: %s", batch_id, type(error).__name__)
        words = f"A fault of the program stops this list ({type(error).__name__}). It is tried again by itself; nothing is lost."
        ImportBatch.objects.filter(pk=batch_id).exclude(state=BatchState.DONE).update(refusal=words)


@shared_task(ignore_result=True)
def import_difference(batch_id: int) -> None:
    """Find out what a newer version of a list changes, before anybody confirms it; the importer's process only."""
    batch = ImportBatch.objects.select_related("incident", "source").get(pk=batch_id)
    try:
        difference(batch=batch)
    except Refused as refusal:
        ImportBatch.objects.filter(pk=batch_id).update(refusal="\n".join(refusal.lines))
        logger.warning("list %s was not compared; its page says why", batch_id)


@shared_task(ignore_result=True)
def import_waiting() -> None:
    """Go on with every confirmed list that nobody carries on: a lost wake-up, or an importer that died."""
    for batch in unfinished():
        import_list(batch.pk)


def wake_import(batch_id: int, *, compare: bool = False) -> bool:
    """Wake the importer for a list. Without a broker `import_people --resume` does the work."""
    return _sent(import_difference if compare else import_list, batch_id)


def wake_campaign(campaign_id: int) -> bool:
    """Wake a worker for a campaign; without a broker the tick or `dispatch` does the work. Returns whether it was sent."""
    return _sent(wake, campaign_id)


#: Seconds that whoever wakes somebody waits for the broker; a broker that stands still must not hold up a desk.
PATIENCE_SECONDS = 1


def _sent(task: Any, key: int) -> bool:
    usual = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    brief = {**usual, "socket_timeout": PATIENCE_SECONDS, "socket_connect_timeout": PATIENCE_SECONDS}
    try:
        with task.app.connection_for_write(transport_options=brief) as own:
            if is_needed(task, channel=own.default_channel):
                task.apply_async((key,), retry=False, connection=own)
    except (OperationalError, OSError, RedisError):
        logger.warning("no broker: a wake-up was not sent; 'dispatch' sends and 'import_people --resume' imports without one")
        return False
    return True
