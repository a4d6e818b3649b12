"""The Celery app: one queue of wake-ups and a short beat. The database is the truth; see `incidents/tasks.py`."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from celery import Celery, bootsteps
from celery.signals import worker_ready
from celery.worker import state
from django.conf import settings

from incidents.checks import refuse_to_serve
from notifier.logs import end_without_words

end_without_words()
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")


class RefuseWrongRole(bootsteps.Step):
    """No worker starts as the owner, as a superuser, or with settings of a developer's machine."""

    def __init__(self, parent: Any, **_: Any) -> None:
        refuse_to_serve()


app = Celery("notifier")
app.steps["worker"].add(RefuseWrongRole)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = "wake"
app.conf.beat_schedule = {
    # Everything that is due is found in the database; a lost or doubled tick changes nothing but latency.
    "tick": {"task": "incidents.tasks.tick", "schedule": 2.0},
    "seal": {"task": "incidents.tasks.seal", "schedule": 2.0},
    "lists": {"task": "incidents.tasks.import_waiting", "schedule": 5.0},
    "retention": {"task": "incidents.tasks.keep_retention", "schedule": settings.RETENTION_EVERY_HOURS * 3600.0},
    "check": {"task": "incidents.tasks.check_campaigns", "schedule": 60.0},
}
app.autodiscover_tasks()


@worker_ready.connect
def end_with_beat(sender: Any, **_: Any) -> None:
    """A worker whose beat dies ends too, so that whoever keeps it alive starts both: without a beat nothing is due any more."""
    beat = getattr(sender.controller, "beat", None)
    if beat is not None:
        threading.Thread(target=_end_after, args=(beat,), daemon=True).start()


def _end_after(beat: Any) -> None:
    beat.join()
    if state.should_stop is None:
        os.kill(os.getpid(), signal.SIGTERM)
