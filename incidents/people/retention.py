"""What is kept how long: classes of data, the day on which each is due, and the run that erases what is due.

The clock starts at an incident's close: every register closed (or stopped, with nobody left behind), everybody told. Uploads that
nobody confirmed have a clock of their own. A legal hold stops all of it. Erased people leave what `shredding` says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, transaction

from incidents.audit.actions import Action
from incidents.audit.log import database_now, log_of, record
from incidents.models import (
    AuditEvent,
    BatchState,
    CampaignState,
    CanaryLetter,
    ImportBatch,
    ImportRow,
    InboxMessage,
    Incident,
    Message,
    PersonStatus,
    ProviderEvent,
    RetentionPeriod,
)
from incidents.models.messages import LEFT_STATES
from incidents.models.refusal import Refused
from incidents.people.erasing import RETENTION, ErasureRefused, erase_due, open_pending, refuse_older, standing_hold
from incidents.people.shredding import shred
from incidents.people.uploads import give_up_parts
from incidents.visible import visible

BATCH = 1000
OVER = (CampaignState.CLOSED, CampaignState.STOPPED)
#: Class -> what it is, as `retention --dry-run` and docs/keys.md say it.
CLASSES = {
    "people": "sealed records of people, their versions and indexes",
    "rows": "rows of lists as they came that became nobody or were merged",
    "letters": "letters in the local inbox",
    "events": "what providers wrote beside a delivery or a bounce",
    "uploads": "uploaded lists that nobody confirmed",
}


class RetentionRefused(Refused):
    """A period cannot be set like this; nothing changed."""


@dataclass(frozen=True)
class Due:
    """One class of one incident: how many records are kept, since and until when, and what stands against erasing them."""

    incident: Incident
    data_class: str
    records: int
    days: int
    due_at: datetime | None
    waits_for: str = ""

    def is_due(self, now: datetime) -> bool:
        """Whether the run erases it."""
        return bool(self.records and not self.waits_for and self.due_at and self.due_at <= now)


def period(*, incident: Incident, data_class: str) -> int:
    """Days after the close that a class of this incident is kept: its own period, or the installation's."""
    own = incident.retention_periods.filter(data_class=data_class).order_by("-id").first()
    return own.days if own else int(settings.RETENTION_DAYS[data_class])


@transaction.atomic
def set_period(*, incident: Incident, data_class: str, days: int, reason: str, author: User) -> RetentionPeriod:
    """A period of this incident's own, with its reason. Raises RetentionRefused."""
    if data_class not in CLASSES:
        raise RetentionRefused(f"There is no class '{data_class}'. Known: {', '.join(CLASSES)}.")
    if not visible(reason):
        raise RetentionRefused("A period of an incident's own needs its reason in words (a law, a contract, a dispute).")
    data = {"class": data_class, "days": days, "reason": reason.strip()}
    record(incident=incident, action=Action.RETENTION_CHANGED, actor=author.username, data=data)
    return RetentionPeriod.objects.create(
        incident=incident, data_class=data_class, days=days, reason=reason.strip(), author=author, recorded_at=database_now()
    )


def closed_at(*, incident: Incident) -> datetime | None:
    """When the last register of the incident was closed or stopped; None while anybody has still to be told or decided about."""
    campaigns = list(incident.campaigns.all())
    if not campaigns or any(campaign.state not in OVER for campaign in campaigns):
        return None
    told = Message.objects.filter(campaign__in=campaigns).exclude(state__in=LEFT_STATES).values("entry__person")
    gone = (PersonStatus.REJECTED, PersonStatus.MERGED)
    if incident.people.exclude(status__in=gone).filter(erased_at=None).exclude(pk__in=told).exists():
        return None
    ends = AuditEvent.objects.filter(
        log=log_of(incident), action__in=[Action.CAMPAIGN_CLOSED, Action.CAMPAIGN_STOPPED]
    )  # fmt: skip
    return ends.order_by("-happened_at").values_list("happened_at", flat=True).first()


# -- what there is of each class ---------------------------------------------------------------------------------------


def _people(incident: Incident) -> Any:
    return incident.people.filter(erased_at=None)


def _rows(incident: Incident) -> Any:
    return ImportRow.objects.filter(batch__incident=incident, sealed__isnull=False)


def _letters(incident: Incident) -> Any:
    return InboxMessage.objects.filter(incident=incident).exclude(sealed=b"")


def _events(incident: Incident) -> Any:
    staff = CanaryLetter.objects.filter(campaign__incident=incident).values("message_ref")
    refs = Message.objects.filter(campaign__incident=incident).values("message_ref").union(staff)
    return ProviderEvent.objects.filter(message_ref__in=refs).exclude(detail="", recipient_hash="")


def _uploads(incident: Incident) -> Any:
    return ImportBatch.objects.filter(incident=incident, state__in=[BatchState.UPLOADING, BatchState.UPLOADED])


RECORDS: dict[str, Callable[[Incident], Any]] = {
    "people": _people, "rows": _rows, "letters": _letters, "events": _events, "uploads": _uploads,
}  # fmt: skip


def due(*, incident: Incident) -> list[Due]:
    """Every class of an incident of which something is kept."""
    closed, held = closed_at(incident=incident), standing_hold(incident=incident)
    found = []
    for data_class, records in RECORDS.items():
        days, since = period(incident=incident, data_class=data_class), closed
        kept = records(incident)
        if data_class == "uploads":
            since = kept.order_by("imported_at").values_list("imported_at", flat=True).first()
        against = "" if since else "the close of the incident"
        against = "a legal hold" if held and since else against
        due_at = since + timedelta(days=days) if since else None
        found.append(Due(incident, data_class, kept.count(), days, due_at, against))
    return [one for one in found if one.records]


# -- the run -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Applied:
    """What one run did for one incident: people erased on request, and records of each class that was due; or why nothing."""

    incident: Incident
    on_request: int
    classes: dict[str, int]
    skipped: str = ""


def run(*, actor: str = RETENTION, incident: Incident | None = None, now: datetime | None = None) -> list[Applied]:
    """Erase whatever is due, in small commits: killed at any moment, the next run goes on. Nothing under a legal hold.

    Nor anything of an incident whose database was put back from a backup: that knows of no hold that was placed since.
    """
    moment, done = now or database_now(), []
    for one in [incident] if incident else Incident.objects.order_by("id"):
        try:
            refuse_older(incident=one)
        except ErasureRefused as older:
            done.append(Applied(one, 0, {}, skipped=str(older)))
            continue
        open_pending(incident=one, actor=actor)
        on_request = erase_due(incident=one, actor=actor)
        classes = {which.data_class: _apply(which, actor, moment) for which in due(incident=one) if which.is_due(moment)}
        if on_request or classes:
            done.append(Applied(one, on_request, classes))
    return done


def _apply(which: Due, actor: str, now: datetime) -> int:
    number = 0
    while part := _erase_some(which, actor, now):
        number += part
    return number


@transaction.atomic
def _erase_some(which: Due, actor: str, now: datetime) -> int:
    """Erase some records of a class, with their entry. The hold is asked for again: it may have been placed meanwhile."""
    incident = which.incident
    _beside_holds(incident)
    if standing_hold(incident=incident):
        return 0
    chosen = RECORDS[which.data_class](incident).order_by("id")
    if which.data_class == "uploads":
        chosen = chosen.filter(imported_at__lte=now - timedelta(days=which.days))
    keys = list(chosen.values_list("id", flat=True)[:BATCH])
    if not keys:
        return 0
    number = ERASE[which.data_class](incident, keys, actor)
    data = {"class": which.data_class, "days": which.days, "records": number}
    record(incident=incident, action=Action.RETENTION_APPLIED, actor=actor, data=data)
    return number


def _beside_holds(incident: Incident) -> None:
    """Waits for a hold that is being placed, and makes one wait for this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT lock_incident(%s)", [incident.pk])


def _erase_people(incident: Incident, keys: list[int], actor: str) -> int:
    return shred(incident=incident, people=keys, basis=RETENTION, actor=actor)


def _erase_rows(_: Incident, keys: list[int], __: str) -> int:
    return ImportRow.objects.filter(pk__in=keys).update(sealed=None)


def _erase_letters(_: Incident, keys: list[int], __: str) -> int:
    return InboxMessage.objects.filter(pk__in=keys).update(sealed=b"")


def _erase_events(_: Incident, keys: list[int], __: str) -> int:
    return ProviderEvent.objects.filter(pk__in=keys).update(detail="", recipient_hash="")


def _erase_uploads(_: Incident, keys: list[int], __: str) -> int:
    for batch in ImportBatch.objects.filter(pk__in=keys):
        give_up_parts(batch=batch, state=BatchState.CANCELLED)
    return len(keys)


ERASE: dict[str, Callable[[Incident, list[int], str], int]] = {
    "people": _erase_people, "rows": _erase_rows, "letters": _erase_letters, "events": _erase_events,
    "uploads": _erase_uploads,
}  # fmt: skip
