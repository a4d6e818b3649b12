"""Addresses refused running, by all workers together: at too many somebody has to look at the relay, whatever its words are.

The count is the row of `ProviderLimit` of a provider and a campaign. It is written from a worker's second refusal running on, and
set back by whichever worker knows of it (each claim looks) and hears that a letter was taken: letters that are taken, and one
address that is gone, cost no statement. So each worker may have one refusal that is not counted, and what is on its way.
"""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection, transaction

from incidents.dispatch import pacing
from incidents.dispatch.channels.contract import Answer, SendErrorKind
from incidents.dispatch.owner import Owner
from incidents.models import Campaign, ProviderLimit

#: After so many running, and none taken. Whoever looked and resumes gets twice as far: then it may be the list.
REFUSED_RUNNING = 20
#: So many running a worker keeps for itself.
ALONE = 1
MORE = """
INSERT INTO incidents_providerlimit (provider, scope, tokens, sent_today, breaker, failures, opened, reason)
VALUES (%s, %s, 0, 0, 'closed', %s, 0, '')
ON CONFLICT (provider, scope) DO UPDATE SET failures = incidents_providerlimit.failures + excluded.failures
RETURNING failures, opened"""


def scope_of(*, campaign: Campaign) -> str:
    """Of the row; no domain's key begins like it."""
    return f"refused {campaign.pk}"


def hear(*, owner: Owner, campaign: Campaign, provider: str, answers: Sequence[Answer]) -> int:
    """How many addresses were refused running, once they are too many; else 0. `answers` in their order; none: all were taken."""
    this, scope = (campaign.pk, provider), scope_of(campaign=campaign)
    running, taken = owner.refused.get(this, 0), not answers
    for answer in answers:
        if answer.error is None:
            running, taken = 0, True
        elif answer.error == SendErrorKind.REFUSED:
            running += 1
    if taken and pacing.is_watched(provider=provider, scope=scope):
        ProviderLimit.objects.filter(provider=provider, scope=scope).update(failures=0, opened=0)
        pacing.watch(provider=provider, scope=scope, on=False)
    owner.refused[this] = running
    if running <= (0 if pacing.is_watched(provider=provider, scope=scope) else ALONE):
        return 0
    owner.refused[this] = 0
    return _counted(provider, scope, running)


def _counted(provider: str, scope: str, running: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(MORE, [provider, scope, running])
        together, times = cursor.fetchone()
    pacing.watch(provider=provider, scope=scope, on=True)
    return int(together) if together >= _most(times) else 0


def _most(times: int) -> int:
    """How many are too many, when somebody has let it go further so many times."""
    return REFUSED_RUNNING << min(times, 20)


@transaction.atomic
def let_further(*, campaign: Campaign) -> None:
    """Somebody has looked and resumes: what stopped it stops it at twice as many."""
    rows = ProviderLimit.objects.select_for_update().filter(scope=scope_of(campaign=campaign), failures__gt=0)
    for row in rows.order_by("id"):
        while row.failures >= _most(row.opened) and row.opened < 20:
            row.opened += 1
        row.save(update_fields=["opened"])
