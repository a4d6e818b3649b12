"""Letters to a domain that is put aside: they wait, and in time before their deadline they go by another channel instead."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q

from incidents.audit.log import database_now
from incidents.dispatch.limits import CLOSED
from incidents.dispatch.outcomes import MOST_DAYS_OF_TRYING
from incidents.models import Campaign, MessageState, ProviderLimit
from incidents.models.messages import in_states
from incidents.people.moving import move

STEP = 500
REASON = "its mail domain takes no letters, and there is no more time to wait"


def switch_channel(*, campaign: Campaign, providers: Sequence[str]) -> int:
    """Move what waits for a domain that takes no letters by any of these providers, once the deadline is near.

    A domain counts when it failed again after its first time aside, so that nobody is given up for one bad quarter of an hour.
    Near is `CHANNEL_SWITCH_HOURS`; where no deadline runs, a letter waits for as long as one that fails is tried. Returns how
    many letters now need another channel; at most 500 a call.
    """
    closed = ProviderLimit.objects.filter(provider__in=providers, opened__gte=2).exclude(breaker=CLOSED).exclude(scope="")
    shut: dict[str, set[str]] = {}
    for provider, key in closed.values_list("provider", "scope"):
        shut.setdefault(key, set()).add(provider)
    keys = [key for key, names in shut.items() if names == set(providers)]
    if not keys:
        return 0
    now = database_now()
    near = Q(due_at__lt=now + timedelta(hours=settings.CHANNEL_SWITCH_HOURS))
    if campaign.released_at and campaign.released_at + timedelta(days=MOST_DAYS_OF_TRYING) < now:
        near |= Q(due_at=None)
    with transaction.atomic():
        waiting = campaign.messages.filter(near, in_states(MessageState.READY), domain_key__in=keys)
        waiting = waiting.select_related("entry__person").select_for_update(of=("self",), skip_locked=True).order_by("id")
        return move(
            campaign=campaign, messages=waiting[:STEP], to=MessageState.NEEDS_OTHER_CHANNEL, actor="dispatcher", reason=REASON
        )
