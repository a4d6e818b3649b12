"""The pipeline that everybody writes first: a Celery task for each message, acknowledged when it starts. It has to fail the storm.

It sends the same letters from the same database to the same sink; only the chunk, the marker, the doubts and the take-over are not
there. Kept so that the storm and the checker prove, in every run, that they can find what they look for.

    celery -A tests.faults.naive worker -c 4           and      python -m tests.faults.naive   (puts a task in for everybody)
"""

from __future__ import annotations

import os
import smtplib
from typing import Any
from urllib.parse import urlsplit

import django
from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "notifier.settings")
app = Celery("naive", broker=os.environ.get("REDIS_URL", ""))
app.conf.update(task_default_queue="naive", task_ignore_result=True, broker_connection_retry_on_startup=True)
_relay: list[smtplib.SMTP] = []


@app.task(name="deliver")
def deliver(message_id: int) -> None:
    """Send one letter, then write down that it was sent."""
    from django.utils import timezone

    from incidents.dispatch.prepare import person_mail
    from incidents.models import Message
    from incidents.vault import Vault

    message = Message.objects.select_related("entry__person", "entry__letter", "campaign__incident").get(pk=message_id)
    if message.state != "ready":
        return
    entry, campaign = message.entry, message.campaign
    mail: Any = person_mail(
        fields=Vault(incident=campaign.incident).open(person=entry.person), letter_sha256=entry.letter.sha256,
        body=entry.letter.compiled, message_ref=message.message_ref, headers=campaign.headers,
    )  # fmt: skip
    Message.objects.filter(pk=message_id).update(state="sending")
    relay().send_message(mail.build(date=timezone.now()), mail.sender, [mail.to])
    Message.objects.filter(pk=message_id).update(state="accepted")


def relay() -> smtplib.SMTP:
    """One connection, kept; made again when it is gone."""
    try:
        if _relay and _relay[0].noop()[0] == 250:
            return _relay[0]
    except (OSError, smtplib.SMTPException):
        pass
    at = urlsplit(os.environ["MAIL"])
    _relay[:] = [smtplib.SMTP(at.hostname or "", at.port or 25, timeout=10)]
    return _relay[0]


def enqueue() -> int:
    """A task for everybody who waits."""
    from incidents.models import Message

    ids = list(Message.objects.filter(state="ready").order_by("id").values_list("id", flat=True))
    for message_id in ids:
        deliver.delay(message_id)
    return len(ids)


django.setup()

if __name__ == "__main__":
    print(enqueue())
