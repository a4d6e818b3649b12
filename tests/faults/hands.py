"""Processes that do one thing of ours again and again and may die at any moment: a parent that forks, so that dying costs nothing.

    python -m tests.faults.hands house|sequencer|freeze|store_events|wake|stale [NUMBER]

Prints how often it died. Used where a whole Celery process for each death would take too long, and where there is no Celery.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

import django

from tests.faults.ground import CAMPAIGN, INCIDENT


def house(_: int) -> None:
    """Keep house, for ever."""
    from incidents.dispatch.work import keep_house

    while True:
        keep_house()
        time.sleep(0.05)


def sequencer(_: int) -> None:
    """Order the log and sign its head after each step, for ever."""
    from incidents.audit import log
    from incidents.models import Incident

    while True:
        log.seal()
        for incident in Incident.objects.all():
            log.checkpoint(incident=incident)
        time.sleep(0.02)


def freeze(_: int) -> None:
    """Freeze the register; over when it is done."""
    from django.contrib.auth.models import User

    from incidents.dispatch.campaign import freeze as freeze_register
    from incidents.models import Campaign, Incident

    if not Campaign.objects.exists():
        incident = Incident.objects.get(reference=INCIDENT)
        freeze_register(incident=incident, author=User.objects.get(username="officer"))


def store_events(number: int) -> None:
    """What a provider does that got no answer: it tells the same again until it is taken."""
    from incidents.dispatch.receive import store_events as store
    from incidents.models import Message

    refs = Message.objects.order_by("id").values_list("message_ref", flat=True)[: number or None]
    for ref in refs:
        store(
            provider="smtp",  # by which the letters went: another one's word on them is a conflict
            events=[{"event_key": f"e-{ref}", "message_ref": ref, "kind": "delivered", "detail": "", "happened_at": None}],
        )


def wake(number: int) -> None:
    """Wake the workers so often, quickly, and say how long the slowest call took and how many were sent."""
    from incidents.models import Campaign
    from incidents.tasks import wake_campaign

    campaign, slowest, sent = Campaign.objects.get(reference=CAMPAIGN).pk, 0.0, 0
    for _ in range(number or 1):
        started = time.monotonic()
        sent += wake_campaign(campaign)
        slowest = max(slowest, time.monotonic() - started)
    print(f"sent={sent} slowest={slowest:.3f}", flush=True)


def stale(number: int) -> None:
    """Put so many wake-ups into the broker over one connection: nobody was awake to take them."""
    from incidents.models import Campaign
    from incidents.tasks import wake as task

    campaign = Campaign.objects.get(reference=CAMPAIGN).pk
    with task.app.connection_for_write() as line:
        for _ in range(number):
            task.apply_async((campaign,), retry=False, connection=line)
    print(f"sent={number}", flush=True)


DEEDS: dict[str, Callable[[int], None]] = {
    "house": house, "sequencer": sequencer, "freeze": freeze, "store_events": store_events, "wake": wake, "stale": stale,
}  # fmt: skip


def main() -> int:
    """Fork, wait, fork again when it was killed or failed; over when it ended well."""
    deed, number, deaths = DEEDS[sys.argv[1]], int(sys.argv[2]) if len(sys.argv) > 2 else 0, 0
    django.setup()
    # Every module that a deed needs, once and before the fork.
    import incidents.dispatch.work
    import incidents.tasks  # noqa: F401

    while True:
        pid = os.fork()
        if not pid:
            try:
                deed(number)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            sys.stdout.flush()
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        if status == 0:
            print(f"deaths={deaths}", flush=True)
            return 0
        deaths += 1
        if not os.WIFSIGNALED(status):
            time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
