"""What one person has proposed and a second one confirms: everybody else sees it as theirs to decide, over the whole incident."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.contrib.auth.models import User
from django.urls import reverse

from incidents.admin.items import Item
from incidents.admin.shell import count
from incidents.models import Incident
from incidents.models.people import QueueKind, QueueStatus


def proposals(*, incident: Incident, user: User) -> Iterator[Item]:
    """Rejections, exclusions, and people who cannot be reached, of whichever campaign."""
    yield from _rejections(incident, user)
    open_ones = {"withdrawn_at": None, "confirmed_at": None}
    excluded = incident.exclusions.filter(**open_ones).values_list("proposed_by_id", flat=True)
    link = reverse("admin:amendments", args=[incident.pk]) + "#ex-h"
    yield from _both(excluded, user, ("proposed exclusion", "exclusion that you proposed", "exclusions that you proposed"), link)
    given_up = incident.unreachables.filter(**open_ones).order_by("message__campaign_id")
    by_campaign: dict[tuple[int, str], list[int]] = {}
    for pk, name, author in given_up.values_list("message__campaign_id", "message__campaign__reference", "proposed_by_id"):
        by_campaign.setdefault((pk, name), []).append(author)
    for (pk, name), authors in by_campaign.items():
        link = reverse("admin:waiting_letters", args=[incident.pk, pk, "another-channel"]) + "#u-h"
        words = (
            "proposal that somebody cannot be reached",
            "proposal of yours that somebody cannot be reached",
            "proposals of yours that people cannot be reached",
        )
        yield from _both(authors, user, words, link, of=f" ({name})", many="proposals that people cannot be reached")


def _rejections(incident: Incident, user: User) -> Iterator[Item]:
    by_kind: dict[str, list[int | None]] = {}
    proposed = incident.queue.filter(status=QueueStatus.REJECTION_PROPOSED).order_by("kind")
    for kind, author in proposed.values_list("kind", "decided_by_id"):
        by_kind.setdefault(kind, []).append(author)
    words = ("proposed rejection", "rejection that you proposed", "rejections that you proposed")
    for kind, authors in by_kind.items():
        link = f"{reverse('admin:queue', args=[incident.pk, kind])}?status={QueueStatus.REJECTION_PROPOSED}"
        yield from _both(authors, user, words, link, of=f" ({QueueKind(kind).label})")


def _both(
    authors: Iterable[int | None], user: User, words: tuple[str, str, str], link: str, *, of: str = "", many: str = ""
) -> Iterator[Item]:
    """What the reader may confirm, and what the reader proposed: nobody confirms their own."""
    found, (theirs, mine, all_mine) = list(authors), words
    own = found.count(user.pk)
    if others := len(found) - own:
        yield Item(f"Confirm {count(others, theirs, many)}{of}", link)
    if own:
        yield Item(f"{count(own, mine, all_mine)}{of}: waits for a second person", link, other=True)
