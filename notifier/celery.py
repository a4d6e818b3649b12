"""The Celery app: one queue of wake-ups and a short beat. The database is the truth; see `incidents/tasks.py`."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")

app = Celery("notifier")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.task_default_queue = "wake"
app.conf.beat_schedule = {
    # Everything that is due is found in the database; a lost or doubled tick changes nothing but latency.
    "tick": {"task": "incidents.tasks.tick", "schedule": 2.0, "options": {"expires": 10}},
    "check": {"task": "incidents.tasks.check_campaigns", "schedule": 60.0, "options": {"expires": 60}},
}
app.autodiscover_tasks()
